#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs the kit: the guest tests' images, Socle, the runner, and what the bare processor says, into one archive.

    pack.py [--build DIR] [--models a,b] [--images a,b] [--out FILE.tar.gz]

What the bare (emulated) processor says is found out here, by booting each image on each model; that is kept in
BUILD/kit/runs, so that only images that have changed are booted again. The archive of the same sources is the same.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.path.dirname(HERE)
sys.path.insert(0, TOOLS)

import boot  # noqa: E402
import image as images  # noqa: E402
import machine  # noqa: E402
import results  # noqa: E402
import suite  # noqa: E402

MODELS = ("ivy_bridge", "haswell", "skylake_x", "tigerlake")
MODULES = ("kit/suite.py", "kit/boot.py", "kit/results.py", "kit/report.py", "machine.py", "page.py")
SECONDS = 600
QUIET_SECONDS = 2  # what is there from the last time comes sooner, and is not told


def guest_elf(build, name):
    return os.path.join(build, "tests", "guest", name + ".elf")


def test_names(elf):
    """The tests of an image, in their order: their entries' symbols stand in the unstripped image beside it."""
    listed = subprocess.run(["nm", "-n", elf + ".64"], stdout=subprocess.PIPE, check=True, text=True).stdout
    return [line.split()[2][len("entry_"):] for line in listed.splitlines() if line.split()[2].startswith("entry_")]


def boots_folder(build):
    """Where the boots of this process have their images and logs."""
    return os.path.join(build, "kit", "boots-%d" % os.getpid())


def bare_lines(build, one, model):
    """The console of the image on the bare processor, from the last time if nothing has changed."""
    elf = guest_elf(build, one.name)
    with open(elf, "rb") as file:
        digest = hashlib.sha256(file.read() + repr((one.words, one.cpus, model)).encode()).hexdigest()[:20]
    kept = os.path.join(build, "kit", "runs", "%s-%s-%s.json" % (one.name, model, digest))
    if os.path.exists(kept):
        with open(kept, encoding="utf-8") as file:
            return json.load(file)
    os.makedirs(boots_folder(build), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=boots_folder(build)) as folder:
        iso = images.make_iso(os.path.join(folder, "bare.iso"), l1=elf, l1_args=one.words, bare=True)
        result = machine.run_image(iso, machine="bochs", model=model, cpus=one.cpus, mem=boot.MEM, ips=20_000_000,
                                   timeout=SECONDS, folder=folder)
    if not result.having("^DONE"):
        raise machine.MachineError("%s did not end on %s; its last line: %s" % (one.name, model, result.lines[-1:]))
    lines = [line for line in result.lines if line.startswith(("RESULT ", "FAIL ", "SKIP ", "INFO ", "SUMMARY "))]
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    with open(kept + ".new", "w", encoding="utf-8") as file:
        json.dump(lines, file)
    os.replace(kept + ".new", kept)
    return lines


def all_bare_lines(build, chosen, models):
    """{(image, model): its console}; a line for each boot, for all of them take minutes."""
    consoles, start = {}, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        jobs = {pool.submit(bare_lines, build, one, model): (one.name, model) for one in chosen for model in models}
        try:
            for job in concurrent.futures.as_completed(jobs):
                consoles[jobs[job]] = job.result()
                if time.monotonic() - start > QUIET_SECONDS:
                    print("  BARE    %s on %s (%d of %d)" % (*jobs[job], len(consoles), len(jobs)), flush=True)
        except machine.MachineError:
            pool.shutdown(cancel_futures=True)
            raise
        except KeyboardInterrupt:
            # the boots under way would be waited for; the emulators die with this process
            print("\nkit: interrupted; what the bare processor has said is kept", file=sys.stderr, flush=True)
            shutil.rmtree(boots_folder(build), ignore_errors=True)
            os._exit(130)
    if os.path.isdir(boots_folder(build)) and not os.listdir(boots_folder(build)):
        os.rmdir(boots_folder(build))
    return consoles


def reference_of(build, models, version, names=None):
    """What suite.Reference reads. names: these images, not all; `basic` must be one of them."""
    chosen = [one for one in suite.IMAGES if names is None or one.name in names]
    consoles = all_bare_lines(build, chosen, models)
    data = {"version": version, "images": {},
            "models": {model: suite.capabilities(consoles["basic", model]) for model in models}}
    for one in chosen:
        tests, lines = test_names(guest_elf(build, one.name)), {}
        for test in tests if one.results else ():
            for model in models:
                said = results.lines_of(machine.Result(consoles[one.name, model], "", 0, "", ""), [test]).get(test, [])
                same = [entry for entry in lines.setdefault(test, []) if entry[1] == said]
                if same:
                    same[0][0].append(model)
                else:
                    lines[test].append([[model], said])
        data["images"][one.name] = {"tests": tests, "lines": lines}
    return data


def write_folder(build, folder, data, iso=True):
    """The kit's folder. iso: with the image for machines that cannot load an ELF."""
    chosen = [one for one in suite.IMAGES if one.name in data["images"]]
    for name in ("lib", "images"):
        os.makedirs(os.path.join(folder, name))
    for name in MODULES:
        shutil.copy(os.path.join(TOOLS, name), os.path.join(folder, "lib"))
    for source, target in ((os.path.join(HERE, "socle-kit"), "socle-kit"), (os.path.join(HERE, "README.md"), "README.md"),
                           (os.path.join(images.ROOT, "LICENSE"), "LICENSE"),
                           (os.path.join(images.ROOT, "tests", "deviations.md"), "deviations.md"),
                           (os.path.join(build, "socle.elf"), "socle.elf")):
        shutil.copy(source, os.path.join(folder, target))
    for one in chosen:
        shutil.copy(guest_elf(build, one.name), os.path.join(folder, "images"))
    edits = subprocess.run([sys.executable, os.path.join(TOOLS, "bochs", "edits.py"), "--list"], stdout=subprocess.PIPE,
                           check=True).stdout
    with open(os.path.join(folder, "bochs-deviations.txt"), "wb") as file:
        file.write(edits)
    with open(os.path.join(folder, "reference.json"), "w", encoding="utf-8") as file:
        json.dump(data, file, indent=0, sort_keys=True)
    if not iso:
        return
    entries = [("socle", {"elf": os.path.join(build, "socle.elf")})]
    entries += [(one.name, {"l1": guest_elf(build, one.name), "bare": True}) for one in chosen]
    images.make_menu(os.path.join(folder, "kit.iso"), entries, choose=boot.placeholder())


def pack(folder, out, epoch):
    """An archive that depends on nothing but the folder's files."""
    listed = subprocess.Popen(["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+w,go=rX",
                               "--mtime=@%d" % epoch, "-C", os.path.dirname(folder), "-cf", "-", os.path.basename(folder)],
                              stdout=subprocess.PIPE)
    with open(out + ".new", "wb") as file:
        subprocess.run(["gzip", "-9n"], stdin=listed.stdout, stdout=file, check=True)
    if listed.wait():
        raise machine.MachineError("tar failed")
    os.replace(out + ".new", out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(images.ROOT, os.environ.get("O", "build")))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--images", help="only these, and basic (default: all)")
    parser.add_argument("--version", default="0.1")
    parser.add_argument("--epoch", type=int, default=int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    parser.add_argument("--folder", help="where the unpacked kit is made (default: BUILD/kit)")
    parser.add_argument("--out", help="the archive (default: BUILD/socle-kit-VERSION.tar.gz)")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    try:
        data = reference_of(build, args.models.split(","), args.version,
                            ["basic", *args.images.split(",")] if args.images else None)
        folder = os.path.join(args.folder or os.path.join(build, "kit"), "socle-kit-" + args.version)
        shutil.rmtree(folder, ignore_errors=True)
        write_folder(build, folder, data)
        out = args.out or os.path.join(build, "socle-kit-%s.tar.gz" % args.version)
        pack(folder, out, args.epoch)
    except machine.MachineError as error:
        sys.exit("kit: " + str(error))
    print("  KIT     %s" % out)


if __name__ == "__main__":
    main()
