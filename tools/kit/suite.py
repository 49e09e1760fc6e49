# SPDX-License-Identifier: MIT
"""What is in the kit: its images, how each is run, and which subject each of their tests belongs to."""
import collections
import json
import os
import re

# words: always on its command line; results: False where an image only measures
Image = collections.namedtuple("Image", "name title cpus words results", defaults=(2, "", True))

IMAGES = (
    Image("basic", "a small hypervisor: VMX on and off, launch, errors, injection, two guests"),
    Image("insn", "the VMX instructions: operands, prefixes, privilege, order of checks, from L2"),
    Image("modes", "VMX instructions of an L1 in real, virtual-8086 and protected mode; its task switches"),
    Image("legacy", "a 32-bit L1, with PAE and without, and 32-bit guests"),
    Image("exits", "what exits and what does not, and everything that an exit says"),
    Image("events", "events under delivery, cut short by exits of each kind"),
    Image("invariants", "PAE guests, PDPTEs, CR3, paging modes, page-fault interception"),
    Image("ept", "EPT: permissions, sizes, accessed and dirty bits, logging, misconfigurations, VPIDs"),
    Image("eptsmp", "one EPT edited while several CPUs run guests on it"),
    Image("eptstress", "many guests on EPTs that are edited all the time"),
    Image("eptcount", "many guests in turn"),
    Image("shadowing", "VMCS shadowing, EPTP switching and #VE as an L1 uses them"),
    Image("init", "INIT, SIPI, VMX aborts on the other CPUs"),
    Image("ports", "I/O instructions at and around the chipset's power port"),
    Image("hostile", "addresses, tables and values that lead nowhere, and what they may cost"),
    Image("bios", "the BIOS called from real mode"),
    Image("bench", "what an operation costs, in ticks of the TSC", results=False),
)

# The columns of the matrix: the first row whose pattern fits `image.test`.
SUBJECTS = (
    ("MSR lists, aborts", r"^exits\.(msr_lists|vmx_abort|tsc_stored)|^init\.aborts|^legacy\.host_pdptes"),
    ("activity, INIT, CPUs", r"^init\.|^eptsmp\.|^exits\.(activity|init_sipi|nmis_while_running)|^basic\.smp"),
    ("APIC", r"\.(apic_\w+|x2apic_mode|tpr_shadow|virtual_(and_real_)?interrupts|posted_interrupts|cut_virtual_interrupts|"
             r"cut_by_apic_access|threshold_\w+)$"),
    ("debug, MTF, timer, TSC", r"\.(mtf|trap_flag|pending_debug|preemption_timer|tsc\w*|timer_\w+|watch_\w+|task_watches|"
                               r"step_then_\w+)$"),
    ("events", r"^events\.|\.(injection|double_fault|external_interrupts|held_nmi|idt_\w+|interrupt_\w+|nmi\w*|virtual_nmis|"
               r"delivery|iret_unblocks|exception_exit)$"),
    ("entry checks", r"\.(bad_guest|entry_order|fixed_bits|controls|primary_controls_alone|failed_entry|guest_segments|"
                     r"host_state|host_tss_limit|linear_addresses|odd_fields_held|cr0_reserved|not_canonical)$"),
    ("EPT, VPID", r"^ept\w*\.|\.(ept_violation|low_page|addresses_\w+|cost_ept)$"),
    ("PAE, paging modes", r"^invariants\.|^legacy\.(toggle_\w+|exit_changes_pae|task_loads_pdptes|guests32|large_pages)"),
    ("shadowing, VMFUNC, #VE", r"^shadowing\.|\.(root_shadow|shadows)$"),
    ("exits, intercepts", r"^exits\.|^ports\.|^basic\.cpuid_loop"),
    ("hostile values", r"^hostile\."),
    ("instructions", r"^insn\.|^basic\.|^modes\.|^legacy\."),
    ("other", r""),
)
# The capabilities by which a platform is likened to a reference: those of the line that `basic` prints.
CAPABILITY_TEST = "capabilities"


# Tests that end a machine on Linux' KVM, or hang it, and why: without them the others are not waited for. docs/kvm.md of
# Socle's tree has the manual's sentence for each. They are run where the words of --only name them in full.
APIC_PAGE = "an APIC-access page where the machine has no memory stops it: an internal error of KVM's"
KVM_AVOIDS = {
    ("modes", "tasks"): "a task switch to a 16-bit TSS saves the old task as if its TSS were 16-bit, too: no return",
    ("modes", "task_kinds"): "the fault of a task that an exception cannot begin is lost, and it comes again for good",
    ("legacy", "large_pages"): "an instruction that KVM cannot emulate stops the machine: an internal error of KVM's",
    ("exits", "interrupt_window_hlt"): "L2 stays in HLT for good: its interrupt window is not looked at there",
    ("exits", "pending_debug_hlt"): "L2 stays in HLT for good: its pending debug exception is not looked at there",
    ("exits", "activity"): "an entry into wait-for-SIPI with an event succeeds, and L2 waits for good",
    ("ept", "tables_nowhere"): "an EPT pointer that leads nowhere makes KVM end its guest",
    ("hostile", "tables_anywhere"): "an EPT pointer that leads nowhere makes KVM end its guest",
    ("hostile", "pointers_anywhere"): APIC_PAGE,
    ("hostile", "addresses_absent"): APIC_PAGE,
    ("hostile", "addresses_mmio"): APIC_PAGE,
}


def subject(image, test):
    """The first subject whose pattern is found in `image.test`."""
    return next(name for name, pattern in SUBJECTS if re.search(pattern, image + "." + test))


def capabilities(lines):
    """{name: number} from the lines of `basic`; empty if it did not say them."""
    found = {}
    for line in lines:
        if line.startswith("INFO %s " % CAPABILITY_TEST):
            for name, values in re.findall(r"(\w+)=([0-9a-f/]+)", line):
                for index, value in enumerate(values.split("/")):
                    found[name + (str(index) if index else "")] = int(value, 16)
    return found


def distance(one, other):
    """In how many bits two platforms differ."""
    return sum(bin(one.get(name, 0) ^ other.get(name, 0)).count("1") for name in set(one) | set(other))


class Reference:
    """The lines of the bare processor: {image: {"tests": [names], "lines": {test: [[models, lines], ...]}}}."""

    def __init__(self, data):
        self.models = data["models"]  # {model: capabilities}
        self.images = data["images"]
        self.version = data["version"]

    def nearest(self, found):
        """The model whose capabilities are the most like these, and in how many bits they differ."""
        return min((distance(found, caps), model) for model, caps in self.models.items())[::-1]

    def known(self):
        """The images that it has; a small kit has not all."""
        return [image for image in IMAGES if image.name in self.images]

    def tests(self, image):
        return self.images[image]["tests"]

    def variants(self, image, test):
        """[(models, lines)], one for each different answer."""
        return [(models, lines) for models, lines in self.images[image]["lines"].get(test, [[list(self.models), []]])]

    def of(self, image, test, model):
        return next((lines for models, lines in self.variants(image, test) if model in models), None)


def load(folder):
    with open(os.path.join(folder, "reference.json"), encoding="utf-8") as file:
        return Reference(json.load(file))


def avoided(only, reference, machine):
    """{(image, test): why} of what is not run on that machine, but for what the words name in full."""
    return {pair: why for pair, why in (KVM_AVOIDS if machine == "kvm" else {}).items()
            if pair[0] in reference.images and "%s.%s" % pair not in only
            and (not only or any(fits(word, *pair) for word in only))}


def chosen(only, reference, avoid=()):
    """[(Image, tests, are they all)] for words such as `exits`, `ept.logging`, `ept.vpid_*`; all without words."""
    wanted, known = [], reference.known()
    for image in known:
        tests = reference.tests(image.name)
        picked = [test for test in tests if (image.name, test) not in avoid and
                  (not only or any(fits(word, image.name, test) for word in only))]
        if picked:
            wanted.append((image, picked, len(picked) == len(tests)))
    for word in only:
        if not any(fits(word, image.name, test) for image in known for test in reference.tests(image.name)):
            raise ValueError("--only %s: there is no such image or test; `socle-kit list` has them" % word)
    return wanted


def fits(word, image, test):
    name, _, rest = word.partition(".")
    return name == image and (not rest or rest == test or rest.endswith("*") and test.startswith(rest[:-1]))
