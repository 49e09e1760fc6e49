# SPDX-License-Identifier: MIT
"""Socle as a guest of Linux KVM: what an initramfs must hold for it, and how its lines are compared.

L0 is Linux with KVM on the emulated processor (no Socle below it). A guest test runs twice in QEMU there: by itself (lines
marked KVM) and on Socle (marked SOCLE). The first is the bare processor of that machine, whatever KVM makes of VMX; where it
is KVM that is wrong, on either side, the line is listed in KVM_ITSELF with the reason.
"""
import difflib
import os
import re
import subprocess
import tempfile
import threading

import image
import l1
import pack as kit

# The guest tests, as entries of the menu: name, image, the words of its command line. What there is time for, three VMXs
# deep. Not there:
# - an EPT pointer that leads nowhere makes that KVM end its guest, with a warning of its own;
# - interrupt_window_hlt, pending_debug_hlt: a window that opens and a debug exception that waits while L2 is in HLT end
#   that state; that KVM halts, and never looks again;
# - activity: an entry that injects an event into wait-for-SIPI fails; that KVM enters, and waits for a SIPI;
# - of exits, what has been run on that KVM alone: 22 tests, of which nine differ from the bare processor (docs/kvm.md).
EXITS = ("controls", "cr_masks", "cr3_targets", "tpr_shadow", "msr_bitmap", "msr_values", "io_bitmaps",
         "primary_controls_alone", "string_io", "tsc", "pause_loop", "exceptions", "double_fault", "page_faults",
         "idt_vectoring", "idt_vectoring_exceptions", "mtf", "preemption_timer")
EXITS_EVENTS = ("interrupt_window", "external_interrupts", "interrupt_pair", "nmi", "virtual_nmis", "nmi_unblocking",
                "trap_flag", "pending_debug")
TESTS = (("basic", "basic", ""), ("ept", "ept", "except=tables_nowhere"), ("events", "events", ""),
         ("exits", "exits", "tests=" + ",".join(EXITS)), ("shadowing", "shadowing", ""),
         ("exits-events", "exits", "tests=" + ",".join(EXITS_EVENTS)))
# Alone on KVM, without Socle: what KVM costs (`make bench-kvm`).
ALONE = ("bench",)
LINUX = len(TESTS)  # the menu's last entry: a Linux L1 with its short guests

# What that KVM itself gets wrong: the lines that only KVM alone has, those that only Socle on it has (the SDM's answer, but
# where KVM is wrong there too), each after "RESULT ", and KVM's reason above them.
KVM_ITSELF = (
    # a VMCALL in VMX root operation is a hypercall of KVM's to KVM, not a VMfail with error 1
    (r"errors vmcall_root=ok$", r"errors vmcall_root=valid\(1\)$"),
    # an event that injects INT1 (privileged software exception, vector 1) is lost if KVM exits in its delivery
    (r"injection mode=\w+ event=501 exit=18 handler=256 ", r"injection mode=\w+ event=501 exit=18 handler=1 "),
    (r"injection after_iret exit=18 len=3 handler=6$", r"injection after_iret exit=18 len=3 pc=2$"),
    (r"cut_by_\w+ (.* )?inj_int1 ", r"cut_by_\w+ (.* )?inj_int1 "),
    (r"cut_in_real_mode \w+ inj_int1 ", r"cut_in_real_mode \w+ inj_int1 "),
    # with "NMI exiting" and without "virtual NMIs", an IRET of L2's unblocks no NMIs; under KVM it does
    (r"iret_unblocks pin=8 blocked=1 .* interruptibility=0$", r"iret_unblocks pin=8 blocked=1 .* interruptibility=8$"),
    # an EPT misconfiguration has no exit qualification; KVM leaves that of a violation there
    (r"cut_virtual_interrupts misconfig ", r"cut_virtual_interrupts misconfig (?!.*\b49\([^0])"),
    # an NMI that waits while L2 has NMIs blocked comes behind L2's IRET, as on the bare processor; under KVM it does not
    (r"nmi unblocked_by_iret exit=18 len=3 pc=1a$", r"nmi unblocked_by_iret exit=18 len=3 handler=2 block=8$"),
    # the link pointer must not be the current VMCS; KVM does not look
    (r"shadow_links link=4 on=0 exit=17 ", r"shadow_links link=4 on=0 exit=80000021 qualification=4$"),
)
# The failures that these are; on Socle only those that are there on KVM alone.
FAILS = (r"FAIL injection basic\.c:\d+ reason == REASON_VMCALL && vm_vector",)


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
        for name, test, words in TESTS:
            path = os.path.join(build, "tests", "guest", test + ".elf")
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


def kit_cpio(build, model, words):
    """The initramfs: /kit with the images of these words, judging by that model alone, and without the image for machines
    that cannot load an ELF."""
    folder = os.path.join(build, "scenarios")
    os.makedirs(folder, exist_ok=True)
    names = {"basic"} | {word.partition(".")[0] for word in words if "=" not in word}
    with tempfile.TemporaryDirectory(dir=folder) as tree:
        os.mkdir(os.path.join(tree, "kit"))
        kit.write_folder(build, os.path.join(tree, "kit"), kit.reference_of(build, [model], "of this tree", names), iso=False)
        made = cpio_of(tree, os.path.join(folder, "kit.%d.%d.cpio" % (os.getpid(), threading.get_ident())))
    out = os.path.join(folder, "kit-%s.cpio" % "-".join([model, *sorted(names)]))
    os.replace(made, out)
    return out


def lines(result, mark):
    return [line[len(mark) + 1:] for line in result.lines if re.match(mark + " (RESULT|FAIL|SKIP|SUMMARY|DONE)", line)]


def only(alone, under):
    """What a comparison line by line finds: each line that one side has and the other has not, or has elsewhere."""
    for what, left, left_end, right, right_end in difflib.SequenceMatcher(None, alone, under, False).get_opcodes():
        if what != "equal":
            yield from ("only on KVM: " + line for line in alone[left:left_end])
            yield from ("only on Socle: " + line for line in under[right:right_end])


def explained(line):
    """Is this KVM's own?"""
    side, _, said = line.partition(": ")
    if said.startswith("FAIL "):
        return side != "only on Socle" and any(re.match(pattern, said) for pattern in FAILS)
    column = 0 if side == "only on KVM" else 1
    return said.startswith("SUMMARY ") or any(re.match("RESULT " + row[column], said) for row in KVM_ITSELF)


def differences(result):
    """Where the guest tests say on Socle what they do not say on KVM alone: how often, and in which order, counts."""
    alone, under = lines(result, "KVM"), lines(result, "SOCLE")
    wrong = list(only(alone, under))
    ours = [line for line in wrong if not explained(line)]
    ours += [line for line in ("on both: " + said for said in alone if said.startswith("FAIL ") and said in under)
             if not explained(line)]
    # sums differ by what is listed, not by themselves
    if not ours and wrong and all(" SUMMARY " in line for line in wrong):
        ours = wrong
    if not result.having("^(KVM SUMMARY|SOCLE SELFTEST)"):
        ours.append("neither a guest test nor Linux came to an end on KVM")
    return ours
