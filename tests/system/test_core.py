# SPDX-License-Identifier: MIT
"""tools/core.py against a stub made here: what it asks, what it makes of it, and what it does where the line is bad."""
import os
import re
import socket
import struct
import subprocess
import threading

import pytest
from conftest import ROOT

NAMES = ("rip", "rsp", "eflags", "cr3", "st0", "xmm0")
BITS = {"st0": 80, "xmm0": 128}
TARGET = "<target>%s</target>" % "".join('<reg name="%s" bitsize="%d" type="int"/>' % (name, BITS.get(name, 64))
                                         for name in (*NAMES, "v12_guest_rip"))


def word(value, size=8):
    return value.to_bytes(size, "little").hex()


class Stub:
    """Two threads; 0x5000 is there for both, with other bytes. `damage`: so many replies come with a wrong checksum first."""

    def __init__(self, damage=0, target=TARGET, threads=(1, 2)):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.damage, self.target, self.threads, self.now, self.asked = damage, target, threads, 1, []
        threading.Thread(target=self.serve, daemon=True).start()

    def reply(self, packet):
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
            peer.sendall(b"+$%sx#%02x" % (text.encode(), sum(text.encode()) & 0xFF))
        peer.sendall(whole)


def pull(stub, folder, *arguments):
    command = ["/usr/bin/python3", os.path.join(ROOT, "tools", "core.py"), stub.port, str(folder / "core"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


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
    assert "5080 of thread 2 is left out: another level has other memory there; say --level 2" in done.stderr, done
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
    ({"threads": ()}, "no CPU stands still"),
))
def test_another_stub(stub, said, tmp_path):
    done = pull(Stub(**stub), tmp_path)
    assert done.returncode == 2 and done.stderr == "core: %s\n" % said, done
    assert not (tmp_path / "core").exists()
