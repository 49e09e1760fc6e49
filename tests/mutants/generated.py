#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Generated mutants of vmx/ (instrument.py says which): all of them in one build, one chosen when a test runs.

    generated.py [--out DIR] [--files PREFIX,...] [--again [--sanitize]] [--jobs N] host
                                                                                  the host tests that come by each mutant
    generated.py [--files ...] list                                              what lives without a verdict
    generated.py some N                                                          N that were killed, by the commit's hash
    generated.py keep                                                            killed.txt from the results

Results are kept in DIR/results.json by the mutants' keys, and a run goes on where the last one stopped; --again takes those
that live once more. tests/mutants/verdicts.txt says of survivors why they may live; tests/mutants/killed.txt names those
that the host tests have killed. The exit status is 1 if one lives without a verdict in a file that is held (HELD).
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from multiprocessing.pool import ThreadPool

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDERS = ("boot", "kernel", "mm", "drivers", "vmx", "tests/unit", "tests/fake", "tests/guest", "tests/machines",
           "tools/vmcs_why")
VERDICTS, KILLED = os.path.join(HERE, "verdicts.txt"), os.path.join(HERE, "killed.txt")
SLOW_MODEL = "20000"  # steps of EPT02's model, in each of its worlds
# Files in which no mutant may live without a verdict: the list only grows.
HELD = ("vmx/nested/entry/check", "vmx/nested/entry/merge", "vmx/nested/entry/bitmaps", "vmx/nested/entry/msr_area")

import instrument  # noqa: E402


def files_of(root):
    yield "Makefile"
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def", ".S", ".ld", ".mk", "Makefile")):
                    yield os.path.relpath(os.path.join(where, name), root)


def write_if_new(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path) or open(path, "rb").read() != content:
        with open(path, "wb") as file:
            file.write(content)


class Build:
    """The instrumented copy of the tree, and what is built of it."""

    def __init__(self, out):
        self.tree, self.out, self.mutants = os.path.join(out, "tree"), out, []
        wanted = {"vmx/mutant_switch.h": "mutant_switch.h", "vmx/mutant_switch.c": "mutant_switch.c",
                  "tests/unit/mutant_server.c": "server.c"}
        for name in sorted(files_of(ROOT)):
            with open(os.path.join(ROOT, name), "rb") as file:
                content = file.read()
            if name.startswith("vmx/") and name.endswith((".c", ".h")):
                text, mutants, unknown = instrument.instrument(name, content.decode(), len(self.mutants) + 1)
                content = text.encode()
                self.mutants += mutants
                for what in unknown:
                    print("not understood, and without mutants: " + what)
            write_if_new(os.path.join(self.tree, name), content)
            wanted[name] = None
        for name, source in wanted.items():
            if source:
                with open(os.path.join(HERE, source), "rb") as file:
                    write_if_new(os.path.join(self.tree, name), file.read())
        for name in list(files_of(self.tree)):
            if name not in wanted:
                os.unlink(os.path.join(self.tree, name))

    def make(self, *arguments):
        done = subprocess.run(["make", "-s", "-j2", *arguments], cwd=self.tree, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit("generated: the instrumented copy does not build:\n" + done.stderr[-4000:])

    def host_tests(self, sanitize=False):
        """The test binaries; with sanitizers they see an access behind an array's end, and take three times as long."""
        out = os.path.join(self.out, "sanitized" if sanitize else "unit")
        self.make("-C", "tests/unit", "O=" + out, "CLANG=/nonexistent", "WARNINGS=-w",
                  "EXTRA_LDFLAGS=-Wl,--wrap=_cmocka_run_group_tests", *([] if sanitize else ["SANITIZE="]), "tests")
        names = sorted(name for name in os.listdir(os.path.join(out, "san")) if name.endswith("_test"))
        return [os.path.join(out, "san", name) for name in names]


class Server:
    """A test binary that is asked for mutants one after the other (server.c)."""

    def __init__(self, path):
        self.name = os.path.basename(path)[:-len("_test")]
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        env=dict(os.environ, MODEL_STEPS=SLOW_MODEL))
        self.tests = []
        self.send("list")
        while (line := self.receive()) != ".":
            self.tests.append(line.split(" ", 1)[1])

    def send(self, line):
        self.process.stdin.write(line + "\n")

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.name + " ended")
        return line.rstrip("\n")

    def reach(self, index):
        """(milliseconds, numbers of the mutants that the test comes by), or None if it fails as it is."""
        self.send("reach %d" % index)
        line = self.receive()
        if line == "failed":
            print("%s: %s fails without a mutant" % (self.name, self.tests[index]))
            self.receive()
            return None
        words = line.split()
        return int(words[1]), [int(word) for word in words[2:]]

    def run(self, number, limit, indices):
        self.send("run %d %d %s" % (number, limit, " ".join(map(str, indices))))
        words = self.receive().split()
        return None if words[0] == "alive" else (words[0], self.tests[int(words[1])])

    def close(self):
        self.process.stdin.close()
        if self.process.wait():
            sys.exit("generated: %s has a second group of tests, which no mutant meets" % self.name)


class Team:
    """One process for each test binary; knows which tests come by which mutant."""

    def __init__(self, binaries, reach=None):
        self.servers = {}
        self.binaries = binaries
        self.reach = reach or {}
        for path in binaries:
            server = Server(path)
            self.servers[server.name] = server
            if reach is None:
                for index in range(len(server.tests)):
                    found = server.reach(index)
                    for number in found[1] if found else ():
                        self.reach.setdefault(number, {}).setdefault(server.name, []).append((found[0], index))

    def killer(self, mutant):
        """(how, "binary: test") of the first test that fails, or None."""
        where = self.reach.get(mutant.number, {})
        for name in sorted(where, key=lambda name: sum(ms for ms, _ in where[name])):
            tests = sorted(where[name])
            found = self.servers[name].run(mutant.number, 3000 + 20 * sum(ms for ms, _ in tests),
                                           [index for _, index in tests])
            if found:
                return found[0], "%s: %s" % (name, found[1])
        return None

    def close(self):
        for server in self.servers.values():
            server.close()


class Results:
    def __init__(self, out):
        self.path = os.path.join(out, "results.json")
        self.of = {}
        self.lock = threading.Lock()  # teams put their results at once
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.of = json.load(file)
        self.saved = time.time()

    def put(self, mutant, **what):
        with self.lock:
            self.of.setdefault(mutant.key, {}).update(what)
            if time.time() - self.saved > 10:
                self.save()

    def save(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.of, file, indent=0, sort_keys=True)
        os.replace(self.path + ".new", self.path)
        self.saved = time.time()


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [line for line in file.read().splitlines() if line and not line.startswith("#")]


def verdicts():
    """{key: why it may live}"""
    return dict(line.split(" ", 1) for line in lines_of(VERDICTS))


def killed_keys():
    return {key for line in lines_of(KILLED) for key in line.split()}


def title(mutant):
    return "%s %s:%d %s: %s: %s" % (mutant.key, mutant.path, mutant.line, mutant.function, mutant.kind, mutant.text[:110])


def host(build, chosen, results, jobs, sanitize):
    binaries = build.host_tests(sanitize)
    first = Team(binaries)
    teams = [first] + [Team(binaries, first.reach) for _ in range(jobs - 1)]

    def part(number):
        for mutant in chosen[number::len(teams)]:
            found = teams[number].killer(mutant)
            results.put(mutant, **{"sanitized" if sanitize else "host": " ".join(found) if found else "alive"},
                        reached=sum(len(tests) for tests in first.reach.get(mutant.number, {}).values()))
    with ThreadPool(len(teams)) as pool:
        pool.map(part, range(len(teams)))
    for team in teams:
        team.close()
    results.save()


def lives(results, mutant):
    """No way of looking at it has seen it."""
    result = results.of.get(mutant.key, {})
    return result.get("host") == "alive" and result.get("sanitized", "alive") == "alive" and \
        not result.get("guest", "").startswith("killed")


def some(build, count):
    """Mutants that were killed before: each must be killed again."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    seed = done.stdout.strip() or "none"
    known = killed_keys()
    chosen = sorted((m for m in build.mutants if m.key in known),
                    key=lambda m: hashlib.sha1((seed + m.key).encode()).hexdigest())[:count]
    team = Team(build.host_tests())
    alive = [mutant for mutant in chosen if not team.killer(mutant)]
    team.close()
    for mutant in alive:
        print("ALIVE   " + title(mutant))
    if len(chosen) < count:
        print("ALIVE   killed.txt knows only %d of today's mutants: `generated.py host`, then `keep`" % len(chosen))
    print("generated: %d killed, %d alive" % (len(chosen) - len(alive), len(alive)))
    return 1 if alive or len(chosen) < count else 0


def keep(build, results):
    """killed.txt: by file, those that are still there."""
    by_file = {}
    known = killed_keys()
    for mutant in build.mutants:
        said = results.of.get(mutant.key, {}).get("host")
        if said not in (None, "alive") or (said is None and mutant.key in known):
            by_file.setdefault(mutant.path, []).append(mutant.key)
    with open(KILLED, "w", encoding="utf-8") as file:
        file.write("# SPDX-License-Identifier: MIT\n# Generated mutants that the host tests kill, by source file "
                   "(generated.py keep writes this).\n")
        for path, keys in by_file.items():
            file.write("# %s\n" % path)
            keys = sorted(keys)
            for at in range(0, len(keys), 10):
                file.write(" ".join(keys[at:at + 10]) + "\n")


def summary(chosen, results, show):
    why = verdicts()
    alive = [m for m in chosen if lives(results, m)]
    unsaid = [m for m in alive if m.key not in why]
    if show:
        for mutant in unsaid:
            print("%s  [%s tests]" % (title(mutant), results.of[mutant.key].get("reached")))
    tried = [m for m in chosen if m.key in results.of]
    print("generated: %d killed, %d alive, %d with a verdict; %d not tried" % (
        len(tried) - len(alive), len(alive), len(alive) - len(unsaid), len(chosen) - len(tried)))
    held = [m for m in unsaid if m.path.startswith(HELD)]
    for mutant in held:
        print("ALIVE   " + title(mutant))
    return 1 if held else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(ROOT, os.environ.get("O", "build"), "generated"))
    parser.add_argument("--files", default="vmx/")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--sanitize", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("what", choices=("host", "list", "some", "keep"))
    parser.add_argument("count", nargs="?", type=int, default=50)
    arguments = parser.parse_args()
    out = os.path.abspath(arguments.out)
    build = Build(out)
    if arguments.what == "some":
        return some(build, arguments.count)
    results = Results(out)
    chosen = [m for prefix in arguments.files.split(",") for m in build.mutants if m.path.startswith(prefix)]
    if arguments.what == "keep":
        keep(build, results)
        return 0
    if arguments.what == "host":
        new = [m for m in chosen if m.key not in results.of or (arguments.again and lives(results, m))]
        host(build, new, results, arguments.jobs, arguments.sanitize)
    return summary(chosen, results, arguments.what == "list")


if __name__ == "__main__":
    sys.exit(main())
