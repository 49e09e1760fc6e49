# SPDX-License-Identifier: MIT
"""Generated mutants before host tests: each test binary is a server that is asked for mutants (server.c)."""
import hashlib
import json
import os
import subprocess
import sys

SLOW_MODEL = "20000"  # steps of EPT02's model, in each of its worlds
RECENT = 4  # killers of a function's and a file's mutants that are tried first


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

    def run(self, number, tests):
        """The mutant before these tests, (milliseconds, index) each: (how it died, the test), or None."""
        expected = sum(ms for ms, _ in tests)
        self.send("run %d %d %d %s" % (number, 300 + 10 * expected, 20000 + 100 * expected,
                                       " ".join(str(index) for _, index in tests)))
        words = self.receive().split()
        return None if words[0] == "alive" else (words[0], int(words[1]))

    def close(self):
        self.process.stdin.close()
        if self.process.wait():
            sys.exit("generated: %s has a second group of tests, which no mutant meets" % self.name)


def reached(server, path):
    """{index: (milliseconds, mutants)} of a binary's tests: what it said the last time, if it is the same binary."""
    with open(path, "rb") as file:
        digest = hashlib.sha1(file.read()).hexdigest()
    try:
        with open(path + ".reach", encoding="utf-8") as file:
            known = json.load(file)
    except FileNotFoundError:
        known = {}
    if known.get("of") != digest:
        found = {str(index): server.reach(index) for index in range(len(server.tests))}
        known = {"of": digest, "tests": {index: what for index, what in found.items() if what}}
        with open(path + ".reach", "w", encoding="utf-8") as file:
            json.dump(known, file)
    return known["tests"]


class Team:
    """One process for each test binary; knows which tests come by which mutant, and which ones killed its neighbours."""

    def __init__(self, binaries, reach=None):
        self.recent = {}  # {function or file: [(binary, index)], the last killer first}
        self.servers = {}
        self.binaries = binaries
        self.reach = reach or {}
        for path in binaries:
            server = Server(path)
            self.servers[server.name] = server
            if reach is None:
                for index, (ms, numbers) in reached(server, path).items():
                    for number in numbers:
                        self.reach.setdefault(number, {}).setdefault(server.name, []).append((ms, int(index)))

    def in_order(self, mutant):
        """(binary, tests) that come by the mutant: alone those that killed its neighbours, then the rest, binaries of its
        file's name first, and the quick before the slow."""
        where = self.reach.get(mutant.number, {})
        subject = os.path.basename(mutant.path).split(".")[0].split("_")[0]
        first = list(dict.fromkeys(self.recent.get((mutant.path, mutant.function), []) + self.recent.get(mutant.path, [])))
        for name, wanted in first:
            yield name, [test for test in where.get(name, ()) if test[1] == wanted]
        for name in sorted(where, key=lambda name: (not name.startswith(subject), sum(ms for ms, _ in where[name]))):
            yield name, [test for test in sorted(where[name]) if (name, test[1]) not in first]

    def killer(self, mutant, budget):
        """(how, "binary: test") of the first test that fails, or None; "": no more for the budget, in milliseconds."""
        for name, tests in self.in_order(mutant):
            budget -= sum(ms for ms, _ in tests)
            if budget < 0:
                return ""
            found = self.servers[name].run(mutant.number, tests) if tests else None
            if found:
                how, index = found
                for place in ((mutant.path, mutant.function), mutant.path):
                    old = [test for test in self.recent.get(place, []) if test != (name, index)]
                    self.recent[place] = [(name, index)] + old[:RECENT - 1]
                return how, "%s: %s" % (name, self.servers[name].tests[index])
        return None

    def close(self):
        for server in self.servers.values():
            server.close()
