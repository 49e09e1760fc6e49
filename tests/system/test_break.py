# SPDX-License-Identifier: MIT
"""Breakpoints and steps of the monitor, in L1 and in an L2: where they stop, and that neither guest can tell."""
import re
import subprocess

import pytest
from conftest import boot, guest_image, show
from monitored import SETTINGS, Monitored, results, value


def await_stop(run, command):
    """What is said when the guest has come to what `command` waits for."""
    run.type(command + "\r")
    return run.expect(r"\n((?:breakpoint|step:)[^\n]*)\nstopped> $").group(1)


def symbol(guest, name):
    listing = subprocess.run(["nm", guest_image(guest) + ".64"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"^([0-9a-f]+) \w %s$" % name, listing, re.M).group(1), 16)


def registers(run):
    return run.ask("regs")[0]


@pytest.mark.parametrize("level, counter, test, cpus", ((2, "rcx", "l2_loops", 1), (1, None, "l1_loops", 2)))
def test_break_and_step(level, counter, test, cpus):
    """In a loop of two instructions with interrupts off: break at one, pass it, step by both, watch its count."""
    args = "tests=" + test
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, cpus=cpus, **SETTINGS)
    run = Monitored("break-%d" % level, args, cpus=cpus)
    run.expect(r"running> $")
    run.await_line(" begins")
    assert run.ask("stop")[1] == "stopped"
    run.ask("cpu 0")
    here = value(registers(run), "rip")
    assert run.ask("break %x" % here)[0][0].startswith("1 code l%d %x length 1" % (level, here))
    where = "breakpoint 1: cpu 0, L%d at %x, exit EPT_VIOLATION" % (level, here)
    assert await_stop(run, "go").startswith(where)
    first = registers(run)
    assert value(first, "rip") == here
    # once more around
    assert await_stop(run, "go").startswith(where)
    second = registers(run)
    if counter:
        assert value(second, counter) == value(first, counter) - 1
    stepped = await_stop(run, "step")
    assert re.match(r"step: cpu 0, L%d at [0-9a-f]+$" % level, stepped) and not stepped.endswith(" %x" % here), stepped
    # its end would be the breakpoint's
    assert await_stop(run, "step 2").startswith(where)
    assert run.ask("break delete all")[1] == "stopped"
    assert await_stop(run, "step 2") == "step: cpu 0, L%d at %x" % (level, here)
    assert [line for line in registers(run) if line.startswith("cr0")] == [line for line in first if line.startswith("cr0")]
    assert run.ask("break exit CPUID")[0][0] == "1 exit CPUID l0"
    assert run.ask("break delete 1")[1] == "stopped"
    assert run.ask("go") == ([], "running")
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 2, show(result)


def test_a_cpu_that_is_started_anew():
    """A code page and a watched one stay closed over L1's INITs and SIPIs of the CPU that meets them."""
    args = "tests=l1_restarts_a_cpu"
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, cpus=2, **SETTINGS)
    watched = symbol("monitored", "other_rounds")
    run = Monitored("restart", args, cpus=2)
    run.expect(r"running> $")
    run.await_line(" begins")
    assert run.ask("stop")[1] == "stopped"
    run.ask("cpu 0")
    assert run.ask("break l1 7000")[0][0].startswith("1 code l1 7000 length 1")  # where SIPIs lead
    for _ in range(3):
        assert await_stop(run, "go").startswith("breakpoint 1: cpu 1, L1 at 7000, exit EPT_VIOLATION")
        assert value(registers(run), "rip") == 0
    assert run.ask("break delete 1")[1] == "stopped"
    assert run.ask("cpu 0")[1] == "stopped"
    assert run.ask("break l1 write %x" % watched)[0][0].startswith("1 write l1 %x length 8" % watched)
    for _ in range(3):
        # CPU 0 has put 0 where there was the last sum
        told = await_stop(run, "go")
        if told.startswith("breakpoint 1: cpu 0"):
            told = await_stop(run, "go")
        assert told.startswith("breakpoint 1: cpu 1, L1 at "), told
        assert run.ask("x/1q %x" % watched)[0] == ["%x: %016x" % (watched, 100)]
    assert run.ask("break delete all")[1] == "stopped"
    assert run.ask("go") == ([], "running")
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 3, show(result)


def stop_at_port_80(run):
    run.await_line(" begins")
    assert run.ask("break port 80")[1] == "running"
    run.expect(r"\nbreakpoint 1: cpu 0, L1 at [0-9a-f]+, exit IO[^\n]*\nstopped> $")
    assert run.ask("break delete all")[1] == "stopped"


def step_over_three(run):
    """CPU 0 alone, over INIT, SIPI, SIPI, while the other stands still: and where that stands then."""
    stop_at_port_80(run)
    sent = symbol("monitored", "sent")
    for _ in range(100):
        assert await_stop(run, "step 30").startswith("step: cpu 0, L1 at ")
        if run.ask("x/1w %x" % sent)[0] == ["%x: 00000003" % sent]:
            break
    other = run.ask("cpus")[0][1]
    assert run.ask("go") == ([], "running")
    return other


@pytest.mark.parametrize("tests", ("l1_starts_a_cpu,l1_starts_all_others", "l1_starts_a_cpu_x2apic"))
def test_a_cpu_that_is_started_while_it_stands_still(tests):
    """Stepped over by the CPU that sends it: the other stands at its first instruction, and goes on from there."""
    bare = boot(guest_image("monitored"), l1_args="tests=" + tests, bare=True, cpus=2, **SETTINGS)
    run = Monitored("starts-" + tests[:24], "tests=" + tests, cpus=2)
    run.expect(r"running> $")
    for _ in range(2):
        other = step_over_three(run)
        assert re.match("cpu 1: apic-id 1 L1 rip 0 last-exit SIPI", other), other
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 2, show(result)


@pytest.mark.parametrize("turn", (0, 1))
def test_a_cpu_that_is_let_go_into_its_wait(turn):
    """VMXOFF with a held INIT, stepped: a SIPI by the first instruction behind go is not lost, whoever has the turn."""
    args = "tests=l1_starts_a_cpu_in_vmx"
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, cpus=2, **SETTINGS)
    run = Monitored("vmxoff-%d" % turn, args, cpus=2)
    run.expect(r"running> $")
    assert re.match("cpu 1: apic-id 1 L1 in VMX operation rip ", step_over_three(run))
    stop_at_port_80(run)
    # each CPU to the instruction in question
    places = {cpu: symbol("monitored", name) for cpu, name in enumerate(("send_now", "leave_now"))}
    for place in places.values():
        run.ask("break l1 %x" % place)
    met = {int(re.search("cpu ([01])", await_stop(run, "go")).group(1))}
    for cpu in {0, 1} - met:
        run.type("cpu %d\r" % cpu)
        run.expect("stopped> $")
        assert await_stop(run, "step 1000").startswith("breakpoint %d: cpu %d" % (cpu + 1, cpu))
    assert run.ask("break delete all")[1] == "stopped"
    run.type("cpu 1\r")
    run.expect("stopped> $")
    assert re.match("step: cpu 1, L1 at [0-9a-f]+, which waits", await_stop(run, "step"))
    assert run.ask("regs")[0][0] == "cpu 1: L1, which runs"
    listed = run.ask("cpus")[0]
    assert " rip %x " % places[0] in listed[0], listed
    run.type("cpu %d\r" % turn)
    run.expect("stopped> $")
    assert run.ask("go") == ([], "running")
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 3, show(result)


def test_stops_while_a_cpu_is_started_again_and_again():
    """INIT, a SIPI at once, one soon, to a CPU that has just stopped the machine: none of the starts fails."""
    args = "tests=l1_restarts_for_long soon=2000"
    bare = boot(guest_image("monitored"), l1_args=args, bare=True, cpus=2, **SETTINGS)
    run = Monitored("restarts", args, cpus=2)
    run.expect(r"running> $")
    run.await_line(" begins")
    assert run.ask("stop")[1] == "stopped"
    assert run.ask("break port 80")[1] == "stopped"
    for _ in range(40):
        run.type("go\r")
        run.expect(r"running> (?s:.*?)stopped> $")
    assert run.ask("break delete all") == ([], "stopped")
    for _ in range(10):
        assert run.ask("go") == ([], "running")
        assert run.ask("stop")[1] == "stopped"
    assert run.ask("go") == ([], "running")
    result = run.end()
    assert results(result) == results(bare) and "RESULT l1_restarts_for_long good=3000" in results(bare), show(result)


def test_exceptions_that_nobody_misses():
    """L0's wish for #PF comes and goes while L2 runs, and L1's three values hold."""
    what = {"l1": guest_image("invariants"), "l1_args": "tests=page_fault_value"}
    bare = boot(what["l1"], l1_args=what["l1_args"], bare=True, **SETTINGS)
    run = Monitored("exceptions", "", what=what)

    def rounds(line, kinds):
        run.await_line("RESULT " + line)
        assert run.ask("stop")[1] == "stopped"
        for kind in kinds:
            level, _, name = kind.split()
            assert run.ask("break " + kind)[0] == ["1 exception %s %s" % (name, level)]
            told = await_stop(run, "go")
            assert re.match("breakpoint 1: cpu 0, %s at [0-9a-f]+, exit EXCEPTION_NMI; L[12] goes on at " % level.upper(), told)
            if level == "l2":
                seen.add(told.split("; ")[1][:2])
            assert run.ask("break delete 1")[1] == "stopped"
        assert run.ask("go") == ([], "running")

    seen = set()
    rounds("page_fault_value", ["l2 exception pf", "l2 exception pf", "l1 exception pf"] * 6)
    result = run.end()
    assert seen == {"L1", "L2"}, seen
    assert results(result) == results(bare) and len(results(result)) > 100, show(result)


def test_debug_exceptions_that_nobody_misses(monkeypatch):
    """L0's wish for #DB and #BP comes and goes while L2 runs, beside L1's own and beside L0's steps, in which L2 has TF."""
    monkeypatch.delenv("BOCHS_SERIAL_FAST")  # the first stop is to come before the tests of L1 have gone by
    what = {"l1": guest_image("exits"), "l1_args": "tests=trap_flag,exceptions,pending_debug,idt_vectoring_exceptions"}
    bare = boot(what["l1"], l1_args=what["l1_args"], bare=True, **SETTINGS)
    run = Monitored("debug", "", what=what)
    run.expect(r"running> $")
    assert run.ask("stop")[1] == "stopped"
    seen = set()
    for turn in range(30):
        assert run.ask("break l2 exception db")[0] == ["1 exception db l2"]
        assert run.ask("break l2 exception bp")[0] == ["2 exception bp l2"]
        told = await_stop(run, "go")
        said = re.match(r"breakpoint ([12]): cpu 0, L2 at [0-9a-f]+, exit EXCEPTION_NMI; (L[12]) goes on", told)
        seen.add(said.groups())
        if turn % 3 == 1:  # with the wish
            assert await_stop(run, "step").startswith(("step: cpu 0, L", "breakpoint "))
        assert run.ask("break delete all") == ([], "stopped")
        if turn % 3 == 2:  # and without it
            assert await_stop(run, "step").startswith("step: cpu 0, L")
    assert run.ask("go") == ([], "running")
    assert seen == {("1", "L1"), ("1", "L2"), ("2", "L1"), ("2", "L2")}, seen
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 100, show(result)


def test_a_wish_that_changes_while_pdptes_wait():
    """An L2 with PAE paging has loaded its PDPTEs by an exit, and before it goes on L0's wish for #PF comes or goes."""
    what = {"l1": guest_image("invariants"), "l1_args": "tests=pdpte_update_ept"}
    bare = boot(what["l1"], l1_args=what["l1_args"], bare=True, **SETTINGS)
    run = Monitored("pdptes", "", what=what, options="intercept=cr")
    run.expect(r"running> $")
    assert run.ask("stop")[1] == "stopped"
    assert run.ask("break l2 exit CR_ACCESS")[0] == ["1 exit CR_ACCESS l2"]
    for turn in range(30):
        assert re.match("breakpoint 1: cpu 0, L2 at [0-9a-f]+, exit CR_ACCESS; L[12] goes on", await_stop(run, "go"))
        if turn % 2:
            assert run.ask("break delete 2") == ([], "stopped")
        else:
            assert run.ask("break exception pf")[0] == ["2 exception pf l0"]
    assert run.ask("break delete all")[1] == "stopped"
    assert run.ask("go") == ([], "running")
    result = run.end()
    assert results(result) == results(bare) and len(results(result)) > 100, show(result)
