# SPDX-License-Identifier: MIT
"""The Linux KVM L1 of tests/l1 as the runner and the tests use it: its files, and its kernel command line."""
import os
import re
import subprocess

from image import ROOT
from machine import MachineError

# What these save on an emulator, in instructions: cryptomgr.notests 750 million, load_system_certificate_list 145,
# trace_eval_init 75, quiet 100 and more (the serial port is slow), nokaslr the relocation pass. Without clearcpuid=fsrm
# Linux hangs on the emulated tigerlake, bare as well.
ARGS = ("console=ttyS0 panic=-1 nokaslr mitigations=off cryptomgr.notests "
        "initcall_blacklist=load_system_certificate_list,trace_eval_init clearcpuid=aperfmperf,fsrm tsc=reliable "
        "no_timer_check audit=0 apparmor=0 nowatchdog raid=noautodetect")
ARGS_DOM0 = ARGS.partition(" ")[2]  # but the console
# CPUID's TSC frequency of these models contradicts the emulated clock
EARLY_TSC_MODELS = ("haswell", "broadwell", "skylake_x", "icelake", "tigerlake", "sapphire_rapids")
# For Socle: kvmlet, which asks for the counters at the end, is no ring 0.
SOCLE_OPTIONS = "counters=on"
# Python's own that tools/kit imports
KIT_MODULES = "argparse collections ctypes difflib html json os re shutil signal subprocess tempfile time".split()
STEPS_WITH_LINUX64 = ("kill", "stop", "unplug")
STEPS_WITH_QEMU = {"qemu", "on_kvm", "alone_on_kvm", "socle_on_kvm", "kit"}


def made_by(script, *arguments):
    """What a script of tests/l1 prints: the path of what it made."""
    done = subprocess.run([os.path.join(ROOT, "tests", "l1", script), *arguments], stdout=subprocess.PIPE, check=False,
                          text=True)
    if done.returncode:
        raise MachineError("the Linux L1 could not be made (see above)")
    return done.stdout.strip()


def folder():
    """Where the files are; makes them at the first call."""
    return made_by("build.sh")


def known_steps():
    """What tests/l1/l1-steps.sh can do: its step_NAME functions and the guests of kvmlet's."""
    with open(os.path.join(ROOT, "tests", "l1", "l1-steps.sh"), encoding="utf-8") as file:
        text = file.read()
    guests = text[text.index("\nguest() {"):text.index("\tesac")]
    return re.findall(r"^step_(\w+)\(\)", text, re.M) + re.findall(r"^\t(\w+)\) kvmlet", guests, re.M)


def check_steps(steps):
    """A misspelt step is noticed now, not after a minute of booting Linux."""
    for step in steps.split(","):
        if step.split(":")[0] not in known_steps():
            raise MachineError("STEPS=%s: there is no step %s; there are %s" % (
                steps, step or "without a name", " ".join(sorted(known_steps()))))


def linux(steps="selftest", machine="bochs", model=None, ips=50_000_000, more=""):
    """make_iso()'s and run_image()'s arguments for L1 Linux that takes these steps."""
    check_steps(steps)
    home = folder()
    names = re.split("[,:]", steps)
    need64 = any(name.startswith("linux64") or name in STEPS_WITH_LINUX64 for name in names)
    need32 = any(name.startswith("linux32") for name in names)
    initramfs = {(False, False): "min", (True, False): "64", (False, True): "32", (True, True): "all"}[need64, need32]
    if "l3" in names:
        initramfs = "nest"
    path = os.path.join(home, "l1-%s.cpio" % initramfs)
    if STEPS_WITH_QEMU & set(names):
        path = made_by("qemu.sh", os.path.join(home, "l1-64.cpio"))
    if "kit" in names:
        path = made_by("python.sh", path, *KIT_MODULES)
    args = ARGS + ("" if "loglevel=" in more else " quiet")
    if machine == "bochs" and any(name in (model or "") for name in EARLY_TSC_MODELS):
        args += " tsc_early_khz=%d" % (ips // 1000)
    image = {"l1": os.path.join(home, "vmlinuz"), "l1_args": (args + " l1=" + steps + " " + more).strip(),
             "modules": [path]}
    return image, {"ignore_bad_msrs": 1, "ips": ips}


def xen(kind="xen"):
    """The same for Debian's Xen, with a dom0 that ends the machine at once: paravirtualized, or `xen-pvh`: a guest in VMX.
    `xen-domus`: a paravirtualized dom0 with Xen's toolstack, which starts two guests in VMX and ends when they have."""
    home = made_by("xen.sh")
    words = "com1=115200,8n1 console=com1 noreboot loglvl=%s dom0_mem=" % ("warning" if kind == "xen-domus" else "all")
    if kind == "xen-domus":  # lines of Xen's own may come in the middle of dom0's
        files = made_by("xen_domus.sh", home)
        words += "384M"
        modules = [os.path.join(files, "vmlinux") + " console=hvc0 quiet " + ARGS_DOM0, os.path.join(files, "dom0.cpio")]
    else:
        words += "192M dom0=pvh dom0-iommu=none" if kind == "xen-pvh" else "128M"
        kernel = " panic=-1 cryptomgr.notests" + (" earlyprintk=xen,keep" if kind == "xen-pvh" else "")
        modules = [os.path.join(home, "vmlinuz") + kernel, os.path.join(home, "dom0.cpio")]
    image = {"l1": os.path.join(home, "xen.elf"), "l1_args": words, "modules": modules}
    return image, {"ignore_bad_msrs": 1}
