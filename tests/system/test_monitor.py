# SPDX-License-Identifier: MIT
"""The monitor on a serial port of its own and on L1's, over a terminal: what it shows of L1 and L2, and that neither can
tell."""
import re

import pytest
from conftest import boot, guest_image, l1
from monitored import SETTINGS, Monitored, results, show, value, whole_lines


def same_as_bare(result, l1_args, whole=False, **settings):
    bare = boot(guest_image("monitored"), l1_args=l1_args, bare=True, **{**SETTINGS, **settings})
    ours = results(result)
    assert (whole_lines(ours) if whole else ours) == results(bare) and len(ours) >= 3, show(result)


def look_at_l2(run):
    first, prompt = run.ask("regs")
    assert prompt == "stopped" and first[0] == "cpu 0: L2, which runs", first
    assert value(first, "r8") == 0x1122334455667788 and value(first, "rflags") & 0x200 == 0
    assert run.ask("regs")[0] == first
    pin = run.ask("vmcs 12 pin_controls")[0][1]
    l1s, l0s = re.match(r"4000 pin_controls (\w+) \(02: (\w+)\)", pin).groups()
    assert not int(l1s, 16) & 1 << 6 and int(l0s, 16) & 1 << 6
    rip = "%x" % value(first, "rip")
    walk = run.ask("walk " + rip)[0]
    assert walk[0].startswith("L2, cr3 ") and walk[-1] == "which is L1's " + rip, walk
    assert run.ask("ept 12 " + rip)[0][-1] == "%s is %s" % (rip, rip)
    assert run.ask("ept 02 " + rip)[0][-1] == "%s is %s" % (rip, rip)
    # dec %rcx; jnz
    code = run.ask("x/5b gpa:%x" % (value(first, "rip") & ~7))[0][0]
    assert re.match(r"[0-9a-f]+:( [0-9a-f]{2}){5}$", code), code
    host = run.ask("regs l1")[0]
    assert host[0] == "cpu 0: L1, which does not run" and "host state of vmcs12" in host[1], host
    assert run.ask("why")[0][0].endswith("has failed")
    assert any("PREEMPTION_TIMER l1 " in line for line in run.ask("exits")[0])
    assert re.match(r"-1 L2 PREEMPTION_TIMER rip %s " % rip, run.ask("trace 1")[0][0])


@pytest.mark.parametrize("cpus", (1, 2))
def test_stopped_and_going_on(cpus):
    """L2 loops with interrupts off, and then L1: each is stopped, looked at, and ends as on the bare processor."""
    args = "tests=l2_loops,l1_loops"
    run = Monitored("stop-%d" % cpus, args, cpus=cpus)
    run.await_line("l2_loops begins")
    assert run.ask("nonsense") == (["error: no command nonsense; try help"], "running")
    assert run.ask("stop")[1] == "stopped"
    listed = run.ask("cpus")[0]
    assert len(listed) == cpus and re.match(r"cpu 0: apic-id 0 L2 rip \w+ last-exit PREEMPTION_TIMER", listed[0]), listed
    assert run.ask("cpu 0")[1] == "stopped"
    look_at_l2(run)
    # nothing but L0's own timer ends this L2, every 20 ms of its time: whatever time a person takes
    assert run.ask("exits reset") == ([], "stopped") and run.ask("go") == ([], "running")
    rates = run.ask("exits")[0]
    assert rates[0].startswith("cpu 0: rates per second, of ") and rates[-1].startswith("all l1 "), rates
    timers = next(line for line in rates if line.startswith("52 PREEMPTION_TIMER l1 "))
    assert 20 < float(re.search(r" l2-rate (\d+\.\d) ", timers).group(1)) < 110, rates
    assert " l1-rate 0.0 l2-rate 0.0 to-l1-rate 0.0" in next(line for line in rates if " VMLAUNCH " in line), rates
    same_as_bare(run.end(), args, cpus=cpus)


def test_two_cpus_run():
    """One in L2, one in L1: both stop, are looked at, and go on."""
    run = Monitored("two", "tests=both_loop", cpus=2)
    run.await_line("both_loop begins")
    assert run.ask("stop") == ([], "stopped")
    listed = run.ask("cpus")[0]
    assert [line.split(" rip ")[0] for line in listed] == ["cpu 0: apic-id 0 L2", "cpu 1: apic-id 1 L1"], listed
    run.type("cpu 1\r")
    run.expect("stopped> $")
    ours = run.ask("regs")[0]
    assert ours[0] == "cpu 1: L1, which runs" and value(ours, "rflags") & 0x200 == 0
    assert run.ask("regs")[0] == ours
    run.type("cpu 0\r")
    run.expect("stopped> $")
    assert run.ask("regs")[0][0] == "cpu 0: L2, which runs"
    assert run.ask("go") == ([], "running")
    assert run.ask("s") == ([], "stopped")
    assert [line.split(" rip ")[0] for line in run.ask("cs")[0]] == ["cpu 0: apic-id 0 L2", "cpu 1: apic-id 1 L1"]
    assert run.ask("g") == ([], "running")
    same_as_bare(run.end(), "tests=both_loop", cpus=2)


# What each says, by its long name; reset comes last.
COMMANDS = {
    "help": "stop +s +stop all CPUs", "cpus": "cpu 0: apic-id 0 L2", "regs": "which runs", "regs l1": "host state of vmcs12",
    "vmcs 01 ctl": "pin_controls", "vmcs 12 guest_rip": "guest_rip", "vmcs 02 681e": "guest_rip",
    "vmcs 02 4000": "means  .*NMI exiting, virtual NMIs, VMX-preemption timer",
    "vmcs 12 4000": "02 has .*VMX-preemption timer", "vmcs 12 guest_cr0": "means  PE .*PG$", "why": "cpu 0: no VM entry",
    "walk 5000": "5000 is gpa 5000", "ept 12 5000": "5000 is 5000", "ept 01 5000": "level 1|level 2|level 3",
    "ept 02 5000": "ept02, pointer", "x/2q gpa:5000": "5000: [0-9a-f]{16} [0-9a-f]{16}$", "msr c0000080": "msr c0000080: ",
    "io 80": "io 80: ", "io 80 1": "error: say monitor-write=on", "exits": "PREEMPTION_TIMER l1 .* l2-rate ",
    "exits reset": "^$", "trace 2": "-2 L", "msr c0000080 1": "error: msr c0000080: say monitor-write=on",
    "dump": "(?s)which runs.*cpu 0: no VM entry.*-1 L2", "cpu 5": "error: cpu N", "log 3": r"\w", "trace on": "error: ",
    "break": "there are no breakpoints", "break exit CPUID": "1 exit CPUID l0", "break exception pf": "2 exception pf l0",
    "break read 5000 2": "3 read l2 5000 length 2, L1's 5000", "break l1 access 6000": "error: |4 access l1 6000",
    "break msr c0000081": "msr c0000081 l0", "break port 80": "port 80 l0", "break entry": "entry", "break delete all": "^$",
}


@pytest.mark.parametrize("cpus", (1, 2))
@pytest.mark.parametrize("firmware", ("bios", "uefi"))
@pytest.mark.parametrize("shared", (False, True))
def test_each_command(shared, firmware, cpus):
    settings = {"firmware": "uefi", "model": "skylake_x"} if firmware == "uefi" else {}
    run = Monitored("each-%d-%s-%d" % (shared, firmware, cpus), "tests=l2_loops", shared=shared, cpus=cpus, **settings)
    run.await_line("l2_loops begins")
    if shared:
        run.take_keyboard()
    # l2_loops starts no second CPU: that one waits for a SIPI
    waits = ["cpu 1: has not stopped; it waits for a SIPI, or sleeps deeper than C2"] * (cpus - 1)
    assert run.ask("stop") == (waits, "stopped")
    assert run.ask("cpu 0")[1] == "stopped"
    assert len(run.ask("cpus")[0]) == cpus
    for command, said in COMMANDS.items():
        answer = "\n".join(run.ask(command)[0])
        assert re.search(said, answer), (command, answer)
    run.type("vm\t01 pin\t\r")
    run.expect("vmcs 01 pin_controls")
    run.expect("stopped> $")
    run.type("\x1b[A\r")
    run.expect("4000 pin_controls")
    run.expect("stopped> $")
    run.type("step 2\r")
    run.expect(r"\nstep: cpu 0, L2 at [0-9a-f]+\nstopped> $")
    if firmware == "uefi":  # OVMF does not come through a reset on this emulator (tests/deviations.md)
        assert run.ask("go") == ([], "running")
    else:
        run.type("reset\r")
        run.expect("socle: Socle .* a microhypervisor" if shared else "socle: monitor; try help")
    run.end()


@pytest.mark.parametrize("cpus", (1, 2))
def test_a_shared_port(cpus):
    """L1 speaks while the monitor is talked to on the same port: none of its lines is cut."""
    args = "tests=l2_loops,l1_talks"
    run = Monitored("shared-%d" % cpus, args, shared=True, cpus=cpus)
    run.await_line("l2_loops begins")
    run.take_keyboard()
    assert run.ask("stop")[1] == "stopped"
    look_at_l2(run)
    assert run.ask("go") == ([], "running")
    run.await_line("l1_talks begins")
    for _ in range(3):
        run.type("cpus\r")
        run.expect("cpu 0: apic-id 0 L1")
        run.type("nonsense\r")
        run.expect("error: no command nonsense")
        run.give_keyboard()
        run.take_keyboard()
    same_as_bare(run.end(), args, whole=True, cpus=cpus)


@pytest.mark.parametrize("test", ("l1_polls", "l1_is_interrupted"))
def test_l1_hears(test):
    """What is typed and not the key is L1's, whether it polls or waits in HLT for the UART's interrupt."""
    run = Monitored(test, "tests=" + test, shared=True)
    run.await_line(test + " begins")
    for part in ("Good ", "\x01", "morning", "\x01\x01", ", L1"):
        run.type(part)
        run.expect(r"\Z")
    run.take_keyboard()
    assert run.ask("regs")[0][0] == "cpu 0: L1, which runs"
    run.give_keyboard()
    run.type(" - and good night.")
    result = run.end()
    assert "RESULT %s heard 'Good \x01morning\x01\x01, L1 - and good night.'" % test in results(result), show(result)


def test_the_planted_bug():
    """The way of docs/debugging.md: an L2 that waits for ever, and why."""
    what = {"l1": guest_image("broken"), "l1_args": "tests=mailbox mailbox"}
    run = Monitored("planted", "", shared=True, what=what, until=(r"^socle: the keyboard is L1's",))
    run.await_line("L2 waits for its mail")
    run.take_keyboard()
    assert re.match("cpu 0: apic-id 0 L2 rip ", run.ask("cpus")[0][0])
    run.ask("stop")
    regs = run.ask("regs")[0]
    rip, rdi = value(regs, "rip"), value(regs, "rdi")
    # pause; cmpq $0,(%rdi); je back
    assert "f3 90 48 83 3f 00 74 f8" in run.ask("x/16b %x" % (rip - 6))[0][0]
    assert run.ask("x/1q %x" % rdi)[0] == ["%x: 0000000000000000" % rdi]
    walk = run.ask("walk %x" % rdi)[0]
    assert walk[-2].startswith("%x is gpa %x," % (rdi, rdi)) and walk[-1] == "which is L1's %x" % (rdi + 0x1000), walk
    entry = run.ask("ept 12 %x" % rdi)[0]
    assert entry[-2].startswith("level 1 at ") and entry[-1] == "%x is %x" % (rdi, rdi + 0x1000), entry
    assert run.ask("ept 12 %x" % (rdi - 0x1000))[0][-1] == "%x is %x" % (rdi - 0x1000, rdi - 0x1000)
    assert run.ask("go") == ([], "running")
    run.give_keyboard()
    run.end()


def test_nobody_can_tell():
    """L1's own preemption timer is exact beside L0's, and the port is not there."""
    run = Monitored("timer", "tests=l1_timer")
    same_as_bare(run.end(), "tests=l1_timer")


def test_beside_linux():
    """Linux' KVM as L1 runs L2s: stopped in front of one of them, looked at, and all ends well."""
    what, settings = l1.linux("selftest", "bochs", "ivy_bridge")
    run = Monitored("linux", "", what=what, options=l1.SOCLE_OPTIONS, model="ivy_bridge", **settings)
    run.await_line("L1 STEP selftest")
    assert run.ask("stop") == ([], "stopped")
    assert run.ask("break exit VMRESUME")[0][0] == "1 exit VMRESUME l0"
    run.type("go\r")
    run.expect(r"\nbreakpoint 1: cpu 0, L1 at [0-9a-f]+, exit VMRESUME; L2 goes on at [0-9a-f]+\nstopped> $")
    assert " L2 " in run.ask("cpus")[0][0]
    first = run.ask("regs")[0]
    assert first[0] == "cpu 0: L2, which runs" and run.ask("regs")[0] == first
    assert any(line.startswith("4012 ") for line in run.ask("vmcs 12 ctl")[0])
    assert run.ask("break delete 1")[1] == "stopped"
    assert run.ask("go") == ([], "running")
    result = run.end()
    assert result.having("^L1 STEP selftest rc=0") and result.having("^L1 DONE"), show(result)


def test_an_nmi_stops():
    """nmi=monitor: L1's own NMI, sent by its local APIC, stops the machine, and L1 does not see it."""
    run = Monitored("nmi", "tests=l1_has_an_nmi", options="nmi=monitor", shared=True)
    run.expect("socle: stopped by an NMI on cpu 0\nstopped> ")
    assert run.ask("regs")[0][0] == "cpu 0: L1, which runs"
    assert run.ask("go") == ([], "running")
    assert "RESULT l1_has_an_nmi nmis=0" in results(run.end())
