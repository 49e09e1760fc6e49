# SPDX-License-Identifier: MIT
"""Sphinx' configuration for the site that `make site` makes of README.md and docs/."""
project = "Socle"
extensions = ["myst_parser"]
html_theme = "alabaster"
html_theme_options = {"description": "A hypervisor for hypervisors", "page_width": "68em", "fixed_sidebar": True,
                      "body_max_width": "none"}
html_show_copyright = html_show_sphinx = False
html_static_path = ["_static"]  # custom.css, which the theme looks for
myst_heading_anchors = 4
exclude_patterns = []
