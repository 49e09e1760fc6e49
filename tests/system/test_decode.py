# SPDX-License-Identifier: MIT
"""A pasted crash becomes functions, lines and a core; a stop of a booted Socle does; and what is no crash is said."""
import os
import re
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT, boot, guest_image, show

sys.path.insert(0, os.path.join(ROOT, "tools"))

import crash  # noqa: E402

DEBUG = os.path.join(BUILD, "socle.debug")
PYTHON, DECODE = "/usr/bin/python3", os.path.join(ROOT, "tools", "decode.py")


def decode(text, *arguments):
    return subprocess.run([PYTHON, DECODE, "--debug", DEBUG, *arguments], input=text, capture_output=True, text=True,
                          check=False, timeout=60)


def gdb(core, *commands, elf=DEBUG):
    words = [word for command in commands for word in ("-ex", command)]
    return subprocess.run(["gdb", "-batch", "-nx", *words, elf, core], capture_output=True, text=True, check=False,
                          timeout=60).stdout


@pytest.fixture(scope="module", name="build_id")
def fixture_build_id():
    notes = subprocess.run(["readelf", "-n", DEBUG], capture_output=True, text=True, check=True).stdout
    return re.search(r"Build ID: (\w+)", notes).group(1)


def address_of(name):
    symbols = subprocess.run(["nm", DEBUG], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"^(\w+) [tT] %s$" % name, symbols, re.M).group(1), 16)


def panic_text(build_id):
    """A panic in vmx_enter(), called by vcpu_run(), as crash.c and trap.c write it."""
    return """[  1.0] something of L1's
socle: #PF in L0, error code 2, RIP %x, CR2 10, CR3 20
socle:   RAX %016x RBX 00000000000000bb RCX 0000000000000000 RDX 0000000000000000
socle:   RSI 0000000000000000 RDI 0000000000000000 RBP 0000000000000000 RSP fffffffff0001000
socle:   R8  0000000000000088 R9  0000000000000000 R10 0000000000000000 R11 0000000000000000
socle: panic: #PF
socle: build id %s
socle: CPU 3, vmcs02 current, exit CPUID (a), L2 ran
socle:   rip 1234 rsp 5678 cr0 80000011 cr3 9000 cr4 2020 efer 500
socle:   rflags 246 cs 10/0/a09b ss-ar c093 activity 0 interruptibility 0
socle:   rax 111 rcx 222 rdx 333 rbx 444 rbp 555 rsi 666 rdi 777
socle:   r8 8 r9 9 r10 a r11 b r12 c r13 d r14 e r15 f
socle:   L1: rip ffffffff81000000 rsp 7000 cr0 80000011 cr3 8000 cr4 2020
socle:   -1: L2 CPUID rip 1234 tsc 99
socle: L0: rip %x rsp fffffffff0000800 rbx 1 rbp 2 r12 3 r13 4 r14 5 r15 6
socle:   stack fffffffff0000800: 0 %x 0 1
socle:   stack fffffffff0000820: 7 8 9 a
socle: halted
""" % (address_of("vmx_enter"), 0x11, build_id, address_of("vcpu_run") + 9, address_of("vcpu_run") + 20)


def test_functions_and_lines(build_id):
    done = decode(panic_text(build_id))
    assert done.returncode == 0 and not done.stderr, done
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "#PF in L0" in line)
    assert re.match(r" +%x  .* at \w+\.[Sc]:\d+" % address_of("vmx_enter"), lines[at + 1]), lines[at:at + 3]
    assert sum("vcpu_run at run.c:" in line for line in lines) == 2, done.stdout
    # a guest's address in the same range is no function of Socle's
    assert not any(line.strip().startswith("ffffffff81000000  ") for line in lines), done.stdout


def test_bytes_that_are_no_text(build_id):
    """A serial line's noise, in standard input as in a file."""
    done = subprocess.run([PYTHON, DECODE, "--debug", DEBUG], input=b"\xff\xfe\x80\n" + panic_text(build_id).encode(),
                          capture_output=True, check=False, timeout=60,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"})
    assert not done.returncode and b"vcpu_run at run.c:" in done.stdout, done


def test_guests_symbols(build_id, tmp_path):
    listing = tmp_path / "map"
    listing.write_text("0000000000001200 T l2_loop\n")
    done = decode(panic_text(build_id), "--symbols", "l2=%s" % listing)
    assert "    1234  l2_loop" in done.stdout.splitlines(), done.stdout


def test_the_build_is_matched(build_id):
    text = panic_text("0" * 40)
    assert "functions and lines are wrong" in decode(text).stderr
    assert "does not say its build id" in decode(text.replace("build id", "")).stderr
    # the banner says it as well, and the last one counts: a machine that was started again
    assert not decode("socle: Socle 1, a microhypervisor for VMX in VMX; build id %s\n" % build_id).stderr


def test_the_core(build_id, tmp_path):
    core = str(tmp_path / "core")
    done = decode(panic_text(build_id), "--core", core)
    assert "threads 1 L0 at the fault, 2 CPU 3 L2, 3 CPU 3 L1, as host, 4 L0 in its panic" in done.stderr, done
    said = gdb(core, "info threads", "p/x $rip", "p/x $r8", "thread 2", "p/x $rip", "p/x $rdi", "p/x $r15", "p/x $eflags",
               "thread 4", "x/3gx 0xfffffffff0000818")
    assert "vmx_enter () at vmx/hw/entry.S" in said, said
    assert re.findall(r"^\$\d+ = (.*)", said, re.M) == [
        hex(address_of("vmx_enter")), "0x88", "0x1234", "0x777", "0xf", "0x246"], said
    assert "0x0000000000000001\t0x0000000000000007" in said, said


def test_the_core_of_a_monitors_log(tmp_path):
    """What the monitor shows of several CPUs, and memory in units of each size."""
    text = """cpu 0: L2, which runs
rip 10602b rsp 20c800 rflags 6
cs 8 base 0 limit ffffffff ar a09b
fs 10 base 7f00 limit ffffffff ar c093
rax 1 rcx 2 rdx 3 rbx 4
stopped> x/2l 20c800
20c800: 11223344 55667788
20c808: 01 02 03
stopped> regs
cpu 1: L1, which runs
rip 2000 rsp 3000 rflags 2
rax 9 rcx 0 rdx 0 rbx 0
"""
    threads, memory = crash.parse(text)
    assert [one.title for one in threads] == ["CPU 0 L2", "CPU 1 L1"]
    assert threads[0].registers["fs-base"] == 0x7f00 and threads[1].registers["rax"] == 9
    assert crash.segments(memory) == [(0x20c800, bytes.fromhex("4433221188776655010203"))]
    core = tmp_path / "core"
    core.write_bytes(crash.make_core(threads, memory, text))
    notes = subprocess.run(["readelf", "-n", str(core)], capture_output=True, text=True, check=True).stdout
    assert notes.count("NT_PRSTATUS") == 2 and "SOCLE" in notes, notes


def test_nothing_to_decode():
    done = decode("hello\n", "--core", "/nowhere/core")
    assert done.returncode == 2 and "no registers in the log" in done.stderr, done
    assert decode("", "--debug", "/nowhere").returncode == 2
    assert "Traceback" not in done.stderr


def test_a_stop_of_a_machine(tmp_path):
    """A triple fault of L1's, as it stands on the console: of this build, with registers, and with the last exits."""
    result = boot(guest_image("broken"), l1_args="tests=triple triple", options="on-stop=halt trace=4K", model="haswell")
    assert result.having("^socle: CPU 0: triple fault of L1"), show(result)
    text = "\n".join(result.lines)
    core = str(tmp_path / "core")
    done = decode(text, "--core", core)
    assert done.returncode == 0 and "1 CPU 0 L1" in done.stderr and "decode: the log" not in done.stderr, done
    rip = re.search(r"^socle:   rip (\w+) rsp (\w+) cr0", text, re.M)
    said = gdb(core, "p/x $rip", "p/x $rsp")
    assert re.findall(r"= 0x(\w+)", said) == list(rip.groups()), said
    traced = subprocess.run([PYTHON, os.path.join(ROOT, "tools", "trace", "socle-trace"), "-"], input=text,
                            capture_output=True, text=True, check=False)
    assert re.match(r"64 events of 1 CPUs|\d+ events of 1 CPUs", traced.stdout), traced
