# SPDX-License-Identifier: MIT
"""explain=: each mistake of tests/guest/broken.c gets its paragraph, with the field and the rule that it is about."""
import re

import pytest

from conftest import assert_no_accident, boot, guest_image, show
from guests import results

# What the test prints: what Socle must have said just before.
PARAGRAPHS = {
    "controls pin controls are 0": ("VMLAUNCH at 0x[0-9a-f]+ refused: VM-instruction error 7",
                                    r"field  pin_controls \(4000\) = 0", "wrong  bits .* must be 1"),
    "event a page fault": ("VM-instruction error 7", r"entry_intr_info \(4016\) = 8000030e: valid, hardware exception, "
                           "vector 14, no error code", "wrong  bit 11 must be 1"),
    "host_cs host CS is null": ("VM-instruction error 8", r"field  host_cs_selector \(0c02\) = 0", "rule   not null"),
    "guest_cs CS has D and L": ("exit reason 33, qualification 0", r"field  guest_cs_ar \(4816\) = e09b", "not both L and D"),
    "rflags RFLAGS is 0": ("exit reason 33, qualification 0", r"field  guest_rflags \(6820\) = 0", "wrong  bit 1 must be 1"),
    "ept_pointer memory type 7": ("VM-instruction error 7", r"field  ept_pointer \(201a\) = .*memory type 7"),
    "launch_twice VMLAUNCH again": ("VMLAUNCH at .* refused: VM-instruction error 4", "VMLAUNCH needs a VMCS that is clear"),
    "field a field that there is not": ("VMWRITE at .* refused: VM-instruction error 12", "field  encoding 4ffe"),
    # before VMLAUNCH the test writes the host's stack pointer, which is refused first (but for VMCS shadowing)
    "no_vmcs no current VMCS": ("(VMWRITE|VMLAUNCH) at .* refused: VMfailInvalid", "there is a current VMCS"),
    "guest_triple a guest without IDT": ("triple fault, exit reason 2 to L1", "idtr base 7000000000 limit fff$",
                                         "#DF   at 7000000080; it is not in mapped RAM",
                                         "code   none: RIP leads to no RAM",
                                         "guess  #DF could not be delivered, for its entry is not"),
}

# The same with explain=all: of what L1 may want, and so is told at once only then.
WANTED = {
    "ept_entry an EPT entry is not present": ("EPT violation, exit reason 48 to L1, which may want it",
                                              "walk   EPT pointer .* level 1: ", "rule   the last entry is present"),
    "ept_entry an EPT entry is writable": ("EPT misconfiguration, exit reason 49 to L1, which may want it",
                                           "level 1: [0-9a-f]+002$", "readable too"),
}
# And with explain=first, when L1 has done nothing about it at the thousandth time.
LEFT_ALONE = r"EPT violation, exit reason 48 to L1, the same 1000 times in a row\n.*\n.*\n.*the last entry is present"


def said_before(result, text):
    """Socle's lines between the result before this one and it."""
    said = []
    for line in result.lines:
        if line.startswith("RESULT " + text):
            return "\n".join(said)
        if line.startswith("RESULT "):
            said = []
        elif line.startswith("socle: "):
            said.append(line)
    return None


def assert_explained(result, paragraphs):
    for mistake, wanted in paragraphs.items():
        said = said_before(result, mistake)
        assert said, "%s: nothing\n%s" % (mistake, show(result))
        for pattern in wanted:
            assert re.search(pattern, said, re.M), "%s: no '%s' in\n%s" % (mistake, pattern, said)


def test_each_mistake_is_explained():
    bare = boot(guest_image("broken"), bare=True)
    under = boot(guest_image("broken"), options="explain=first")
    assert_no_accident(under)
    assert results(bare) == results(under)
    assert_explained(under, PARAGRAPHS)
    assert not said_before(under, "ept_entry an EPT entry is not present"), show(under)
    assert len(re.findall(LEFT_ALONE, under.text())) == 1, show(under)
    assert not said_before(under, "launch_twice no mistake")
    # L1 may be in the middle of a line: a paragraph begins one of its own
    first = [at for at, line in enumerate(under.lines) if re.match("socle: cpu 0: (VM|L2)", line)]
    assert len(first) >= len(PARAGRAPHS) and not any(under.lines[at - 1] for at in first), show(under)


def test_what_l1_may_want_is_told_at_once_on_request():
    under = boot(guest_image("broken"), "tests=ept_entry", options="explain=all")
    assert_explained(under, WANTED)


@pytest.mark.parametrize("options", ["", "monitor=com2"])
def test_an_l1_that_gives_up_is_told_why(options):
    """It halts, as it does on the bare processor: a second later Socle says what it has been given last."""
    result = boot(guest_image("broken"), "tests=give_up giveup", options="explain=first " + options,
                  until=("^socle:   vmcs ",))
    said = (r"^RESULT give_up .* exit=48(.*\n)+socle: cpu 0: L2 at 0x[0-9a-f]+: EPT violation, exit reason 48 to L1, "
            r"which has not entered L2 again\n.*\n.*\nsocle:   rule   the last entry is present")
    assert re.search(said, result.text(), re.M), show(result)


def test_nothing_is_said_if_off():
    result = boot(guest_image("broken"), options="explain=off")
    assert not result.having("^socle: (cpu 0: (VM|L2)|  rule )"), show(result)
    assert result.having("^RESULT guest_triple "), show(result)


def test_an_abort_is_explained():
    """The bare processor shuts down without a word."""
    result = boot(guest_image("broken"), "tests=abort abort", options="explain=first", until=("^socle:   vmcs ",))
    said = result.text()
    assert re.search("^socle: cpu 0: VMX abort at an exit of L2", said, re.M), show(result)
    assert re.search("^socle:   entry  1 of the list, at 0x[0-9a-f]+: MSR 7fffffff, value 0", said, re.M), show(result)
    assert re.search("^socle:   rule   indicator 4: ", said, re.M), show(result)


def test_a_triple_fault_of_l1_is_explained():
    """The bare processor shuts down, and resets."""
    said = boot(guest_image("broken"), "tests=triple triple", options="explain=off on-stop=halt").text()
    for pattern in (r"CPU 0: triple fault of L1", r"  rip [0-9a-f]+ rflags ",
                    r"gdtr base [0-9a-f]+ limit bf, idtr base 0 limit 0$", r"  #PF   at e0; it is beyond the limit of IDTR$",
                    r"  code   0f 0b ", r"guess  the first exception was #UD, for UD2",
                    r"guess  #DF could not be delivered, for its entry is beyond the limit of IDTR$",
                    r"-1: L1 TRIPLE_FAULT rip "):
        assert re.search("^socle: .*" + pattern, said, re.M), (pattern, said)


def test_a_host_state_that_ends_the_machine_is_explained():
    said = boot(guest_image("broken"), "tests=host_rip hostrip", options="explain=off on-stop=halt").text()
    for pattern in (r"#DF   at 500000000080; it is not in mapped RAM$", r"-2: L2 VMCALL \(to L1\) ",
                    r"L1 VMWRITE rip [0-9a-f]+ field 6c0e host_idtr_base ", r"L1 VMWRITE rip [0-9a-f]+ field 6c16 host_rip "):
        assert re.search("^socle: .*" + pattern, said, re.M), (pattern, said)
