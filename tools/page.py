# SPDX-License-Identifier: MIT
"""The frame of the pages that the tools write: one file, nothing beside it, nothing from the network."""
import html

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 110em; padding: 0 1em; color: #1b1f24; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 1.6em; }
table { border-collapse: collapse; } td, th { padding: 1px 8px; text-align: left; vertical-align: top; }
th { background: #eef1f4; } code, pre, .console td { font: 12.5px/1.4 ui-monospace, monospace; }
.console { width: 100%; table-layout: fixed; } .console td { white-space: pre-wrap; overflow-wrap: anywhere; }
.console td:nth-child(odd) { width: 3.5em; color: #8a929b; text-align: right; }
.differs td:nth-child(even) { background: #ffe3e0; } .masked td { background: #f6f3e4; } .ignored td { color: #8a929b; }
.moved td { background: #e8f0fb; } summary { color: #57606a; cursor: pointer; padding: 2px 8px; }
.good { background: #d7f0dc; } .bad { background: #ffd0ca; } .note { background: #fbefc8; } .none { color: #8a929b; }
.verdict { padding: 6px 12px; display: inline-block; font-weight: 600; }
.matrix td, .matrix th { border: 1px solid #d5dae0; }
"""


def text(value):
    return html.escape(str(value))


def facts(pairs):
    """A table of names and values."""
    return "<table>%s</table>" % "".join("<tr><th>%s</th><td>%s</td></tr>" % (text(name), text(value))
                                         for name, value in pairs)


def write(path, title, body):
    with open(path, "w", encoding="utf-8") as file:
        file.write("<!doctype html>\n<html lang=en><meta charset=utf-8><title>%s</title>\n<style>%s</style>\n<body>\n"
                   "<h1>%s</h1>\n%s\n</body></html>\n" % (text(title), STYLE, text(title), body))
