#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Generated mutants of vmx/ (instrument.py says which): all of them in one build, one chosen when a test runs.

    generated.py [--out DIR] [--files PREFIX,...] [--again [--sanitize]] [--jobs N] host
                                                                                  the host tests that come by each mutant
    generated.py [--files ...] [--model NAME] [--options WORDS] guest [N]        guest tests, for N of those that live
                                                                                 without a verdict
    generated.py [--files ...] list                                              what lives without a verdict
    generated.py some N                                                          N that were killed, by the commit's hash
    generated.py keep                                        killed.txt and killed_by_guests.txt from the results

Results are kept in DIR/results.json by the mutants' keys, and a run goes on where the last one stopped; --again takes those
that live once more. tests/mutants/verdicts.txt says of survivors why they may live; tests/mutants/killed.txt names those
that the host tests have killed, tests/mutants/killed_by_guests.txt those that the host tests leave alive and a guest test
kills, with the line that differed; what has a verdict or stands there is not tried again by `host`. The exit status is 1 if one
lives without a verdict in a file that is held (HELD).
"""
import argparse
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from multiprocessing.pool import ThreadPool

from generated_build import Build, ROOT
from generated_guest import Guests
from generated_host import Team

HERE = os.path.dirname(os.path.abspath(__file__))
VERDICTS, KILLED = os.path.join(HERE, "verdicts.txt"), os.path.join(HERE, "killed.txt")
KILLED_BY_GUESTS = os.path.join(HERE, "killed_by_guests.txt")
FOREVER = 10 ** 9  # milliseconds
# Files in which no mutant may live without a verdict: the list only grows.
HELD = ("vmx/nested/entry/check", "vmx/nested/entry/merge", "vmx/nested/entry/bitmaps", "vmx/nested/entry/msr_area")


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


def killed_by_guests():
    """{key: the image and the line that differed}"""
    return dict(line.split(" ", 1) for line in lines_of(KILLED_BY_GUESTS))


def killed_keys():
    return {key for line in lines_of(KILLED) for key in line.split()}


def title(mutant):
    return "%s %s:%d %s: %s: %s" % (mutant.key, mutant.path, mutant.line, mutant.function, mutant.kind, mutant.text[:110])


def host(build, chosen, results, jobs, sanitize, budget):
    binaries = build.host_tests(sanitize)
    first = Team(binaries)
    teams = [first] + [Team(binaries, first.reach) for _ in range(jobs - 1)]

    def part(number):
        for mutant in chosen[number::len(teams)]:
            found = teams[number].killer(mutant, budget)
            results.put(mutant, **{"sanitized" if sanitize else "host": " ".join(found) if found else "alive"},
                        whole=found != "", reached=sum(len(tests) for tests in first.reach.get(mutant.number, {}).values()))
    with ThreadPool(len(teams)) as pool:
        pool.map(part, range(len(teams)))
    for team in teams:
        team.close()
    results.save()


def guest(build, chosen, results, count, model, options):
    """The guest stage: what the host tests leave alive and nobody has judged."""
    team = Guests(build, model, options)
    for mutant in chosen[:count]:
        found = team.killer(mutant)
        results.put(mutant, guest=" ".join(found) if found else "alive")
        print("%-8s%s%s" % ("killed" if found else "alive", title(mutant), ": " + found[1] if found else ""), flush=True)
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
    alive = [mutant for mutant in chosen if not team.killer(mutant, FOREVER)]
    team.close()
    for mutant in alive:
        print("ALIVE   " + title(mutant))
    if len(chosen) < count:
        print("ALIVE   killed.txt knows only %d of today's mutants: `generated.py host`, then `keep`" % len(chosen))
    print("generated: %d killed, %d alive" % (len(chosen) - len(alive), len(alive)))
    return 1 if alive or len(chosen) < count else 0


def keep_guests(build, results):
    """killed_by_guests.txt: those that are still there, and that no host test kills by now."""
    known = killed_by_guests()
    with open(KILLED_BY_GUESTS, "w", encoding="utf-8") as file:
        file.write("# SPDX-License-Identifier: MIT\n# Generated mutants that the host tests leave alive and a guest test "
                   "kills: KEY IMAGE: the line that differed\n# (generated.py keep writes this).\n")
        for mutant in build.mutants:
            result = results.of.get(mutant.key, {})
            said = result.get("guest", "")
            if said.startswith("killed guest "):
                known[mutant.key] = said[len("killed guest "):]
            if mutant.key in known and result.get("host", "alive") == "alive":
                file.write("%s %s\n" % (mutant.key, known[mutant.key]))


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
    guests = killed_by_guests()
    alive = [m for m in chosen if m.key not in guests and (lives(results, m) or m.key in why)]
    unsaid = [m for m in alive if m.key not in why]
    if show:
        for mutant in unsaid:
            print("%s  [%s tests]" % (title(mutant), results.of[mutant.key].get("reached")))
    tried = [m for m in chosen if m.key in results.of or m.key in why or m.key in guests]
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
    parser.add_argument("--budget", type=int, default=FOREVER)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--model", default="haswell")
    parser.add_argument("--options", default="")
    parser.add_argument("what", choices=("host", "guest", "list", "some", "keep"))
    parser.add_argument("count", nargs="?", type=int, default=50)
    arguments = parser.parse_args()
    out = os.path.abspath(arguments.out)
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the copy of the tree is one
        return work(out, arguments)


def work(out, arguments):
    build = Build(out)
    if arguments.what == "some":
        return some(build, arguments.count)
    results = Results(out)
    chosen = [m for prefix in arguments.files.split(",") for m in build.mutants if m.path.startswith(prefix)]
    if arguments.what == "keep":
        keep(build, results)
        keep_guests(build, results)
        return 0
    if arguments.what == "host":
        why = {**verdicts(), **killed_by_guests()}
        new = [m for m in chosen if m.key not in why and
               (m.key not in results.of or (lives(results, m) and
                                            (arguments.again or not results.of[m.key].get("whole", True))))]
        host(build, new, results, arguments.jobs, arguments.sanitize, arguments.budget)
    if arguments.what == "guest":
        why = {**verdicts(), **killed_by_guests()}
        guest(build, [m for m in chosen if lives(results, m) and m.key not in why and
                      (arguments.again or "guest" not in results.of[m.key])],
              results, arguments.count, arguments.model, arguments.options)
    return summary(chosen, results, arguments.what == "list")


if __name__ == "__main__":
    sys.exit(main())
