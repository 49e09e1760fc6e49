# SPDX-License-Identifier: MIT
"""Socle as a guest of Linux KVM: what an initramfs must hold for it, and how its lines are compared.

L0 is Linux with KVM on the emulated processor (no Socle below it). A guest test runs twice in QEMU there: by itself (lines
marked KVM) and on Socle (marked SOCLE). The first is the bare processor of that machine, whatever KVM makes of VMX; where it
is KVM that is wrong, on either side, the line is listed in KVM_ITSELF with the reason.
"""
import os
import re
import subprocess
import tempfile
import threading

import image
import l1
import pack as kit

# The guest tests and the words of their command lines: what there is time for, three VMXs deep.
# Not there: an EPT pointer that leads nowhere makes that KVM end its guest, with a warning of its own.
TESTS = (("basic", ""), ("ept", "except=tables_nowhere"), ("events", ""), ("exits", ""), ("shadowing", ""))
# Alone on KVM, without Socle: what KVM costs (`make bench-kvm`).
ALONE = ("bench",)
LINUX = len(TESTS)  # the menu's last entry: a Linux L1 with its short guests

# Lines that differ under Socle because of KVM; each with KVM's reason. The SDM's answer is the one on Socle.
KVM_ITSELF = (
    # a VMCALL in VMX root operation is a hypercall of KVM's to KVM, not a VMfail with error 1
    r"RESULT errors vmcall_root=",
    # KVM loses the event that injects INT1 (privileged software exception, vector 1) where it has to inject it anew
    r"(RESULT|FAIL) injection (mode=\w+ event=501|after_iret exit=18 len=3 handler=6|basic\.c:\d+ reason == REASON_VMCALL)",
    r"RESULT cut_by_\w+ .*\binj_int1 |RESULT cut_in_real_mode \w+ inj_int1 ",
    # with "NMI exiting" and without "virtual NMIs", an IRET of L2's unblocks no NMIs; under KVM it does
    r"RESULT iret_unblocks pin=8 blocked=1 ",
    # an EPT misconfiguration has no exit qualification; KVM leaves that of a violation there
    r"RESULT cut_virtual_interrupts misconfig ",
    r"SUMMARY",
)


def cpio_of(folder, out):
    names = "\n".join(sorted(os.path.relpath(os.path.join(at, name), folder)
                             for at, folders, files in os.walk(folder) for name in folders + files))
    with open(out, "wb") as file:
        subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], input=names.encode(), cwd=folder, stdout=file,
                       check=True)
    return out


def cpio(build, options=""):
    """The initramfs: /socle with an image whose menu has Socle with each guest test and with Linux, and the tests alone."""
    folder = os.path.join(build, "scenarios")
    os.makedirs(folder, exist_ok=True)
    elf = os.path.join(build, "socle.elf")
    with tempfile.TemporaryDirectory(dir=folder) as tree:
        home = os.path.join(tree, "socle")
        os.mkdir(home)
        entries = []
        for name, words in TESTS:
            path = os.path.join(build, "tests", "guest", name + ".elf")
            entries.append((name, {"l1": path, "l1_args": words, "elf": elf, "options": options}))
            os.link(path, os.path.join(home, name + ".elf"))
            with open(os.path.join(home, name + ".words"), "w", encoding="ascii") as file:
                file.write(words)
        for name in ALONE:
            os.link(os.path.join(build, "tests", "guest", name + ".elf"), os.path.join(home, name + ".elf"))
        linux, _ = l1.linux("selftest", "kvm")
        entries.append(("linux", {**linux, "elf": elf, "options": options}))
        image.make_menu(os.path.join(home, "socle.iso"), entries, choose="insmod tar\nsource (hd0)/choice.cfg")
        made = cpio_of(tree, os.path.join(folder, "kvm.%d.%d.cpio" % (os.getpid(), threading.get_ident())))
    os.replace(made, os.path.join(folder, "kvm.cpio"))
    return os.path.join(folder, "kvm.cpio")


def kit_cpio(build, model):
    """The initramfs: /kit, judging by that model alone, and without the image for machines that cannot load an ELF."""
    folder = os.path.join(build, "scenarios")
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as tree:
        os.mkdir(os.path.join(tree, "kit"))
        kit.write_folder(build, os.path.join(tree, "kit"), kit.reference_of(build, [model], "of this tree"), iso=False)
        made = cpio_of(tree, os.path.join(folder, "kit.%d.%d.cpio" % (os.getpid(), threading.get_ident())))
    os.replace(made, os.path.join(folder, "kit.cpio"))
    return os.path.join(folder, "kit.cpio")


def lines(result, mark):
    return [line[len(mark) + 1:] for line in result.lines if re.match(mark + " (RESULT|FAIL|SKIP|SUMMARY|DONE)", line)]


def differences(result):
    """What the guest tests say on Socle and do not say on KVM alone, and the other way round."""
    alone, under = lines(result, "KVM"), lines(result, "SOCLE")
    wrong = ["only on KVM: " + line for line in alone if line not in under]
    wrong += ["only on Socle: " + line for line in under if line not in alone]
    if not result.having("^(KVM SUMMARY|SOCLE SELFTEST)"):
        wrong.append("neither a guest test nor Linux came to an end on KVM")
    ours = [line for line in wrong if not any(re.search(pattern, line) for pattern in KVM_ITSELF)]
    # sums differ by what is listed, not by themselves
    return ours if ours or not all(" SUMMARY" in line for line in wrong) else wrong
