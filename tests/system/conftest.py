# SPDX-License-Identifier: MIT
"""What all system tests share: the built images, and boots that are done once however many tests look at them.

A boot is described by plain values; its result is kept under build/system/<key of the description> for this test run, so
that parallel workers and several tests share it. tests/all.sh builds before pytest starts.
"""
import fcntl
import hashlib
import json
import os
import re
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
BUILD = os.path.abspath(os.path.join(ROOT, os.environ.get("O", "build")))
RUNS = os.path.join(BUILD, "system")
os.environ.setdefault("BOCHS_SERIAL_FAST", "1")  # the few tests that need a line's own speed unset it (tools/bochs/edits.py)
RUN_ID = os.environ.get("SOCLE_TEST_RUN", str(os.getppid()))

import image  # noqa: E402
import l1  # noqa: E402
import machine  # noqa: E402

ELF = os.path.join(BUILD, "socle.elf")
BOOT_SECONDS = 180


def pytest_make_parametrize_id(val):
    """Workers must have the same names for the same tests; bytes may have a time in them (gzip's), and are no names. Nor are
    control characters."""
    if isinstance(val, (bytes, bytearray)):
        return "bytes"
    return re.sub(r"[^ -~]+", "_", val) if isinstance(val, str) else None


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: boots a Linux as L2")
    os.makedirs(RUNS, exist_ok=True)


def run_description(what, settings, folder):
    """Makes the image and boots it; see boot()."""
    iso = image.make_iso(os.path.join(folder, "image.iso"), **{"elf": ELF, **what})
    try:
        return machine.run_image(iso, folder=folder, **settings)
    finally:
        os.unlink(iso)


def boot(l1_image=None, l1_args="", modules=(), options="", bare=False, grub="", machine_name="bochs", elf=None,
         timeout=BOOT_SECONDS, run=RUN_ID, **settings):
    """The machine.Result of a boot so described; done once in a test run (or for another `run`)."""
    what = {"l1": l1_image, "l1_args": l1_args, "modules": list(modules),
            "options": options if bare else image.silent(options), "bare": bare, "grub": grub}
    if elf:
        what["elf"] = elf
    settings.update(machine=machine_name, timeout=timeout)
    key = hashlib.sha256(json.dumps([what, settings], sort_keys=True).encode()).hexdigest()[:16]
    folder = os.path.join(RUNS, key)
    os.makedirs(folder, exist_ok=True)
    kept = os.path.join(folder, "result.json")
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(kept):
            with open(kept, encoding="utf-8") as file:
                saved = json.load(file)
            if saved.pop("run") == run:
                return machine.Result(**saved)
        result = run_description(what, settings, folder)
        with open(kept, "w", encoding="utf-8") as file:
            json.dump({**vars(result), "run": run}, file)
    return result


def boot_linux(steps="selftest", more="", model="ivy_bridge", options="", bare=False, **settings):
    """Boots the Linux KVM L1 of tests/l1."""
    what, wanted = l1.linux(steps, settings.get("machine_name", "bochs"), model, more=more)
    wanted.update(settings)
    options = (options + " " + l1.SOCLE_OPTIONS).strip()
    return boot(what["l1"], what["l1_args"], what["modules"], options=options, bare=bare, model=model, **wanted)


def guest_image(name):
    """The path of a guest test's image (tests/guest)."""
    return os.path.join(BUILD, "tests", "guest", name + ".elf")


def guest_names():
    folder = os.path.join(BUILD, "tests", "guest")
    if not os.path.isdir(folder):
        return []
    return sorted(name[:-4] for name in os.listdir(folder) if name.endswith(".elf"))


def show(result):
    """For assertion messages: the end of the console."""
    return "\n".join(["ended by %s after %.1f s (%s)" % (result.ended, result.seconds, result.folder),
                      *result.lines[-40:]])


def assert_no_accident(result):
    """No panic or fatal line of Socle's, and no second boot."""
    assert result.ended != "reboot", show(result)
    accidents = result.having(r"^socle: (error: )?(panic|fatal)|assertion failed")
    assert not accidents, show(result)


def assert_halts_with(result, pattern, advice=""):
    """Socle said what is wrong and what to do in one line, and halted: no reboot, no panic."""
    assert_no_accident(result)
    said = result.having(pattern)
    assert said, show(result)
    assert all(line.startswith("socle: ") for line in said), show(result)
    if advice:
        assert any(advice in line for line in said), show(result)
    assert len(said) == 1, show(result)
    assert result.having(r"^socle: (error: )?halted") and result.ended == "marker", show(result)


@pytest.fixture(scope="session", autouse=True)
def built():
    """The images that the tests boot."""
    assert os.path.exists(ELF), "no %s: run the tests by `make system` or tests/all.sh" % ELF
