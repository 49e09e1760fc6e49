# SPDX-License-Identifier: MIT
"""The side of gdb's remote serial protocol that asks: a port, and packets over it, as much as core.py needs."""
import contextlib
import os
import re
import select
import socket
import stat
import sys
import termios
import time
import tty

TRIES, QUIET = 6, 1
SECONDS, TALK_SECONDS = 10, 30  # of silence; of bytes in which no packet is
STRAY_MAX = 16384  # bytes in which no packet is; the longest packet of Socle's is shorter
# `+` or `-`; a packet and its checksum; a packet whose end has not come
TOKEN = re.compile(rb"([-+])|\$([^#$]*)(?:#([0-9a-fA-F]{2})|(#?[0-9a-fA-F]?\Z))")
TALK = "something talks there, but not gdb's protocol: is it L1's console, or is the speed another one (--baud)?"


class RspError(Exception):
    """A line for the user."""


def open_port(name, baud):
    """A file descriptor, and what must live as long."""
    host = re.fullmatch(r"(?:tcp:)?([^/]*):(\d+)", name)
    if host:
        peer = socket.create_connection((host.group(1) or "127.0.0.1", int(host.group(2))), SECONDS)
        peer.settimeout(None)
        return peer.fileno(), peer
    # A file that is none must not be written to: PORT and OUT may have been swapped.
    if not stat.S_ISCHR(os.stat(name).st_mode):
        raise RspError("%s is no port: say a terminal such as /dev/ttyS1, or HOST:PORT" % name)
    port = os.open(name, os.O_RDWR | os.O_NOCTTY)
    if not os.isatty(port):
        raise RspError("%s is no terminal: say one such as /dev/ttyS1, or HOST:PORT" % name)
    tty.setraw(port)
    speed = getattr(termios, "B%d" % baud, None)
    if speed is None:
        raise RspError("there is no speed %d" % baud)
    mode = termios.tcgetattr(port)
    mode[4] = mode[5] = speed
    termios.tcsetattr(port, termios.TCSANOW, mode)
    termios.tcflush(port, termios.TCIFLUSH)
    return port, None


def unhex(text):
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise RspError("the stub says what is no hexadecimal number: %.40s" % text) from None


class Link:
    """gdb's remote serial protocol, as much as this needs."""

    def __init__(self, port):
        self.port = port
        self.rest = b""
        self.stray = 0      # bytes since the last packet
        self.heard = False  # a packet, ever

    def more(self, seconds):
        if not select.select([self.port], [], [], seconds)[0]:
            return False
        data = os.read(self.port, 4096)
        if not data:
            raise RspError("the port was closed")
        self.rest += data
        self.stray += len(data)
        if self.stray > STRAY_MAX:
            raise RspError(TALK)
        return True

    def token(self):
        """The next one: b"+", b"-", or a packet's text. None where the time is over. What is damaged is asked for again."""
        end = time.monotonic() + TALK_SECONDS
        while True:
            match = TOKEN.search(self.rest)
            if not match or match.group(4) is not None:
                if not self.more(SECONDS):
                    return None
                if time.monotonic() > end:
                    raise RspError(TALK)
                continue
            self.rest = self.rest[match.end():]
            if match.group(1):
                return match.group(1)
            whole = sum(match.group(2)) & 0xFF == int(match.group(3), 16)
            os.write(self.port, b"+" if whole else b"-")
            if whole:
                self.stray, self.heard = 0, True
                return match.group(2).decode("latin-1")

    def drop(self, seconds):
        """What nobody has asked for, until so long nothing comes."""
        end = time.monotonic() + SECONDS
        while self.more(seconds) and time.monotonic() < end:
            pass
        self.rest = b""

    def send(self, text):
        data = text.encode()
        os.write(self.port, b"$%s#%02x" % (data, sum(data) & 0xFF))

    def reply(self):
        """(the reply to what was sent, what was printed before it), or None. A packet that comes before the `+` is none: the
        stop that a gdb waited for which has died."""
        printed, taken = "", False
        while True:
            token = self.token()
            if token is None or (token == b"-" and not taken):
                return None
            if token == b"+":
                taken = True
            elif taken and token != b"-":
                if token[:1] != "O" or token == "OK":
                    return token, printed
                printed += unhex(token[1:]).decode("latin-1")

    def ask(self, text, tries=TRIES):
        """The reply, and what was printed before it."""
        for i in range(tries):
            # a reply that comes too late is not the next one's
            self.drop(QUIET if i else 0)
            self.send(text)
            found = self.reply()
            if found:
                return found
        raise RspError(TALK if self.stray else "nobody answers: is it the port of gdb=, and is no gdb there?")

    def leave(self):
        """Lets the machine go on, whatever was the matter."""
        self.stray = 0
        try:
            if not self.heard:
                self.send("D")
                return
            with contextlib.suppress(RspError):
                self.drop(QUIET)
            self.stray = 0
            self.ask("D", 2)
        except (RspError, OSError):
            print("core: the machine may stand still: nobody answers when it is to go on", file=sys.stderr)

    def monitor(self, command):
        return self.ask("qRcmd," + command.encode().hex())[1]
