# SPDX-License-Identifier: MIT
"""tools/core.py against a stub made here: what it asks, what it makes of it, and what it does where the line is bad."""
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

import pytest
from conftest import ROOT

sys.path.insert(0, os.path.join(ROOT, "tools"))

import core  # noqa: E402

NAMES = ("rip", "rsp", "eflags", "cr3", "st0", "xmm0")
BITS = {"st0": 80, "xmm0": 128}
TARGET = "<target>%s</target>" % "".join('<reg name="%s" bitsize="%d" type="int"/>' % (name, BITS.get(name, 64))
                                         for name in (*NAMES, "v12_guest_rip"))


def word(value, size=8):
    return value.to_bytes(size, "little").hex()


class Stub:
    """Two threads; 0x5000 is there for both, with other bytes. `damage`: so many replies come with a wrong checksum first.
    `unasked`: what is sent before the first two `+`. `replies`: others than usual, by the packet; a function makes one."""

    def __init__(self, damage=0, target=TARGET, threads=(1, 2), unasked=(), replies=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.damage, self.target, self.threads, self.now, self.asked = damage, target, threads, 1, []
        self.unasked, self.replies = unasked, replies or {}
        threading.Thread(target=self.serve, daemon=True).start()

    def reply(self, packet):
        if packet in self.replies:
            return self.replies[packet]
        if packet.startswith("qXfer:features:read:target.xml:"):
            at, length = (int(part, 16) for part in packet.rsplit(":", 1)[1].split(","))
            return ("m" if at + length < len(self.target) else "l") + self.target[at:at + length]
        if packet.startswith("Hg"):
            self.now = int(packet[2:], 16)
            return "OK"
        if packet.startswith("m"):
            at, length = (int(part, 16) for part in packet[1:].split(","))
            inside = range(max(at, 0x5000), min(at + length, 0x5100))
            return bytes([self.now] * len(inside)).hex() if inside and at >= 0x5000 else "E14"
        if packet == "g":
            return word(0x5040 + self.now) + word(0x5080) + word(2) + "xx" * 8 + "00" * 10 + "11" * 16
        known = {"?": "T05thread:1;", "qfThreadInfo": ("m" + ",".join("%x" % one for one in self.threads)).rstrip("m") or "l",
                 "qsThreadInfo": "l", "D": "OK"}
        return known.get(packet, b"cpu 0, L1".hex() if packet.startswith("qThread") else "")

    def serve(self):
        peer, _ = self.listener.accept()
        rest = b""
        while True:
            data = peer.recv(4096)
            if not data:
                return
            rest += data
            for match in re.finditer(rb"\$([^#]*)#..", rest):
                packet = match.group(1).decode()
                self.asked.append(packet)
                for text in self.unasked if len(self.asked) <= 2 else ():
                    self.send(peer, text)
                peer.sendall(b"+")
                if packet.startswith("qRcmd,"):
                    self.send(peer, "O" + ("said to %s\n" % bytes.fromhex(packet[6:]).decode()).encode().hex())
                    self.send(peer, "OK")
                else:
                    self.send(peer, self.reply(packet))
            rest = rest[rest.rfind(b"#") + 3:] if b"#" in rest else rest

    def send(self, peer, text):
        whole = b"$%s#%02x" % (text.encode(), sum(text.encode()) & 0xFF)
        if self.damage:
            self.damage -= 1
            peer.sendall(b"$%sx#%02x" % (text.encode(), sum(text.encode()) & 0xFF))
        peer.sendall(whole)


def command(port, folder, *arguments):
    return ["/usr/bin/python3", os.path.join(ROOT, "tools", "core.py"), port, str(folder / "core"), *arguments]


def pull(stub, folder, *arguments):
    return subprocess.run(command(stub.port, folder, *arguments), capture_output=True, text=True, check=False, timeout=60)


def memory_of(core):
    """{address: bytes} of the core's PT_LOADs."""
    data = core.read_bytes()
    count, = struct.unpack_from("<H", data, 56)
    rows = [struct.unpack_from("<IIQQQQQQ", data, 64 + 56 * i) for i in range(count)]
    return {row[3]: data[row[2]:row[2] + row[5]] for row in rows if row[0] == 1}


@pytest.mark.parametrize("damage", (0, 3))
def test_what_is_pulled(damage, tmp_path):
    stub = Stub(damage)
    done = pull(stub, tmp_path, "--stack", "64")
    assert not done.returncode and "threads 1 cpu 0, L1; 2 cpu 0, L1" in done.stdout, done
    said = "5080 of thread 2 is left out: thread 1, of another level, has other memory there; say --level 2\n"
    assert said in done.stderr, done
    assert memory_of(tmp_path / "core") == {0x5001: b"\1" * 0xff}
    text = (tmp_path / "core.txt").read_text()
    assert "== thread 1: cpu 0, L1\ncr3 unknown\n" in text and "== cpu 0: vmcs 12\nsaid to vmcs 12\n" in text, text
    assert "== trace dump\nsaid to trace dump\n" in text and text.count("said to regs\n") == 1, text
    assert stub.asked[0] == "?" and stub.asked[-1] == "D", stub.asked
    notes = subprocess.run(["readelf", "-n", str(tmp_path / "core")], capture_output=True, text=True, check=True).stdout
    assert notes.count("NT_PRSTATUS") == 2 and "NT_FPREGSET" not in notes and "SOCLE" in notes, notes


def test_whose_memory(tmp_path):
    stub = Stub()
    done = pull(stub, tmp_path, "--level", "2", "--stack", "64", "--memory", "0x5000,16", "--stay")
    assert "5080 of thread 1 is left out" in done.stderr and "5000 of thread 1 is left out" in done.stderr, done
    assert b"".join(memory_of(tmp_path / "core").values()).strip(b"\2") == b"", memory_of(tmp_path / "core")
    assert stub.asked[-1] != "D", stub.asked


@pytest.mark.parametrize("stub, said", (
    ({"target": "<target/>"}, "the stub is not Socle's"),
    ({"target": TARGET.replace("v12_", "")}, "the stub is not Socle's"),
    ({"target": TARGET.replace('"rsp"', '"xsp"')}, "the stub is not Socle's"),
    ({"target": TARGET.replace('"80"', '"99999"')}, "the stub is not Socle's"),
    ({"threads": ()}, "no CPU stands still"),
    ({"replies": {"qThreadExtraInfo,1": "what"}}, "the stub says what is no hexadecimal number: what"),
    ({"replies": {"qfThreadInfo": "mwhat"}},
     "the stub's replies do not fit: invalid literal for int() with base 16: 'what'"),
))
def test_another_stub(stub, said, tmp_path):
    """A line, no files, and the machine goes on."""
    stub = Stub(**stub)
    done = pull(stub, tmp_path)
    assert done.returncode == 2 and done.stderr == "core: %s\n" % said, done
    assert not list(tmp_path.iterdir()) and stub.asked[-1] == "D", stub.asked


@pytest.mark.parametrize("unasked", (
    ("T02thread:2;",), ("O" + b"breakpoint 1".hex(), "T05thread:1;"), ("W00",), ("T02thread:2;", "OK", "l"),
))
def test_what_a_gdb_that_died_has_left(unasked, tmp_path):
    """Packets that nobody has asked for are no replies."""
    stub = Stub(unasked=unasked)
    done = pull(stub, tmp_path)
    assert not done.returncode and "threads 1 cpu 0, L1; 2 cpu 0, L1" in done.stdout, (done, stub.asked)
    assert stub.asked.count("?") == 1 and stub.asked[-1] == "D", stub.asked


def test_where_nothing_can_be_written(tmp_path):
    """It is said before the machine is stopped; where there is a folder or a device already, too."""
    for out, said in ((tmp_path / "no", "No such file"), (tmp_path, "Is a directory")):
        (tmp_path / "core").mkdir(exist_ok=True)
        stub = Stub()
        done = pull(stub, out)
        assert done.returncode == 2 and not stub.asked, (done, stub.asked)
        assert said in done.stderr or "is no file: OUT is where the core is written" in done.stderr, done


def test_a_text_that_cannot_be_written(tmp_path):
    (tmp_path / "core.txt").mkdir()
    done = pull(Stub(), tmp_path)
    assert done.returncode == 2 and "core.txt is no file" in done.stderr and not (tmp_path / "core").exists(), done


@pytest.mark.parametrize("number, status", ((signal.SIGINT, 130), (signal.SIGTERM, 143)))
def test_it_is_interrupted(number, status, tmp_path):
    """In the middle: the machine goes on, and what was in OUT before is still there."""
    (tmp_path / "core").write_text("of yesterday")
    ready = threading.Event()

    class Slow(Stub):
        def reply(self, packet):
            if packet == "Hg2":
                ready.set()
            return super().reply(packet)

        def send(self, peer, text):
            if not ready.is_set() or self.asked[-1] == "D":
                super().send(peer, text)

    stub = Slow()
    # whoever runs the tests in the background ignores SIGINT, and so would what they start
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command(stub.port, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    with process:
        assert ready.wait(60)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == status and "Traceback" not in said, said
    assert stub.asked[-1] == "D", stub.asked
    assert (tmp_path / "core").read_text() == "of yesterday" and not (tmp_path / "core.txt").exists()


def test_port_and_out_are_swapped(tmp_path):
    """A file is no port, and nothing is written to it."""
    (tmp_path / "notes").write_text("mine")
    done = subprocess.run(command(str(tmp_path / "notes"), tmp_path), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and "notes is no port: say a terminal such as /dev/ttyS1, or HOST:PORT" in done.stderr, done
    assert (tmp_path / "notes").read_text() == "mine" and not (tmp_path / "core").exists()
    done = subprocess.run(command(os.devnull, tmp_path), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and "is no terminal" in done.stderr and not (tmp_path / "core").exists(), done


def test_a_console(tmp_path):
    """Something talks, without an end, and in no packets."""
    class Console(Stub):
        def serve(self):
            peer, _ = self.listener.accept()
            try:
                while True:
                    peer.sendall(b"L1 says $something: +1 -1\n")
            except OSError:
                pass

    done = pull(Console(), tmp_path)
    assert done.returncode == 2 and "is it L1's console" in done.stderr and not (tmp_path / "core").exists(), done


def test_a_terminal(tmp_path):
    """The port is a terminal, where L1's console is: bytes come, no packet."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command(os.ttyname(theirs), tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        assert os.read(ours, 64) == b"$?#3f"
        os.write(ours, b"login: \r\n" * 2000)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2 and "is it L1's console" in said, said
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("wanted, said", (
    ("0x9000,16", "core: --memory 0x9000,16: no thread has memory there\n"),
    ("0x50f0,32", "core: --memory 0x50f0,32: only 16 bytes of it are in the core\n"),
))
def test_memory_that_is_not_there(wanted, said, tmp_path):
    done = pull(Stub(threads=(1,)), tmp_path, "--memory", "0x5000,16", "--memory", wanted)
    assert done.returncode == 1 and done.stderr == said and (tmp_path / "core").exists(), done


@pytest.mark.parametrize("wanted", ("0x5000,-4", "-5,4", "0x1ffffffffffffffff,4", "0x5000", "0x5000,0"))
def test_memory_that_cannot_be(wanted, tmp_path):
    done = pull(Stub(), tmp_path, "--memory=" + wanted)
    assert done.returncode == 2 and "say ADDRESS,SIZE" in done.stderr, done


def test_cpus_with_different_memory(tmp_path):
    """Of the same level: what is said helps."""
    done = pull(Stub(threads=(1, 3)), tmp_path, "--stack", "64")
    assert "5080 of thread 3 is left out: thread 1, of another CPU, has other memory there; say --cpu 1\n" in done.stderr, done
    done = pull(Stub(threads=(1, 3)), tmp_path, "--stack", "64", "--cpu", "1")
    assert "5080 of thread 1 is left out: thread 3, of another CPU, has other memory there; say --cpu 0\n" in done.stderr, done
    assert b"".join(memory_of(tmp_path / "core").values()).strip(b"\3") == b"", memory_of(tmp_path / "core")


def test_long_pointers_of_the_x87():
    """FXSAVE64 has 64 bits of them; gdb's registers halve them."""
    words = {"fctrl": 0x37f, "fstat": 0, "ftag": 0xffff, "fiseg": 0x7f12, "fioff": 0x89abcdef, "foseg": 0x7ffe, "fooff": 0x1234,
             "fop": 0x105, "mxcsr": 0x1f80}
    values = {name: value.to_bytes(4, "little") for name, value in words.items()}
    values.update({"st%d" % i: bytes(10) for i in range(8)}, **{"xmm%d" % i: bytes(16) for i in range(16)})
    image = core.floating(values)
    assert struct.unpack_from("<QQI", image, 8) == (0x7f1289abcdef, 0x7ffe00001234, 0x1f80) and len(image) == 512
