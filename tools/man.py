#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the man page socle.7 to stdout: its options are the rows of kernel/options.def, from which the parser, the messages,
`help` and README's table come too. `make man` calls this."""
import datetime
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROW = re.compile(r'^OPTION\("([^"]*)", "([^"]*)", "([^"]*)"', re.M)

HEAD = r"""
.SH NAME
socle \- a hypervisor for hypervisors: nested VMX on a machine of its own
.SH SYNOPSIS
.nf
\fBmultiboot2 /boot/socle.elf\fR \fIOPTION\fR...
\fBmodule2\fR \fIL1-IMAGE\fR \fIL1-COMMAND-LINE\fR
[\fBmodule2\fR \fIFILE\fR ...]
.fi
.SH DESCRIPTION
Socle is booted by GRUB, by BIOS or UEFI. It turns on VMX on all processors, gives the whole machine to one guest, L1, and
gives L1 a complete VMX of its own, in which it runs its guests, L2. The first module is L1: a multiboot or multiboot2 ELF, or
a Linux bzImage. Further modules go to L1 by its own boot protocol; for Linux the initial RAM disk.
.PP
The processor must have VT\-x with EPT and unrestricted guests, and the firmware must not have locked VT\-x off. Socle says
in one line what is missing and what to do about it, and halts.
.PP
On an installed system,
.I /etc/grub.d/21_linux_socle
makes an entry of GRUB's menu for each kernel, and one that reports what the machine has. Options for all of them stand in
.IR /etc/default/grub.d/socle.cfg ;
after a change, run
.BR update\-grub (8).
.SH OPTIONS
They stand after
.I socle.elf
on the multiboot2 line. An option that is wrong is an error, and the machine halts. The value in parentheses is taken where the
option is not given.
"""
TAIL = r"""
.SH EXAMPLES
A Linux with KVM as L1:
.PP
.nf
menuentry 'Linux on Socle' {
    multiboot2 /boot/socle.elf log=info
    module2    /boot/vmlinuz root=/dev/sda1 console=ttyS0
    module2    /boot/initrd.img
}
.fi
.PP
What this machine has and lacks:
.PP
.nf
multiboot2 /boot/socle.elf check
.fi
.SH DIAGNOSTICS
Each line of Socle's on the console begins with
.BR "socle: " .
A line
.B "socle: error:"
says what is wrong and what can be done;
.B "socle: halted"
is the last one.
.SH FILES
.TP
.I /boot/socle.elf
the image that GRUB loads
.TP
.I /boot/socle\-disk.bin
an L1 that starts a disk's boot sector, on BIOS machines
.TP
.I /etc/grub.d/21_linux_socle
the script that makes GRUB's entries
.TP
.I /etc/default/grub.d/socle.cfg
its settings
.SH LIMITS
L1 owns the devices: without
.B iommu=protect
a hostile L1 reaches Socle's memory by DMA. There is one L1 on a machine, and Intel processors only. What is missing, and
what that means for a guest, is in
.I limits.md
among the documents.
.SH SEE ALSO
.BR grub\-mkconfig (8),
.BR socle\-kit (1)
"""


def roff(text):
    """Text as roff wants it."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def values_of(text):
    """`on|off` with the alternatives in bold, and what stands for a value of the user's, in capitals, in italics."""
    parts = re.split(r"([|,:]| or )", text)
    # a long list may be broken behind a separator
    return "".join(part + "\\:" if part in "|,:" else part if part == " or " else
                   "\\fI%s\\fR" % roff(part) if re.fullmatch(r"[A-Z]+", part) else
                   "\\fB%s\\fR" % roff(part) for part in parts)


def options():
    with open(os.path.join(ROOT, "kernel", "options.def"), encoding="utf-8") as file:
        rows = ROW.findall(file.read())
    for name, values, meaning in rows:
        yield ".TP\n\\fB%s\\fR%s\n%s" % (roff(name), "=" + values_of(values) if values else "", roff(meaning))


def main():
    version = subprocess.run([os.path.join(ROOT, "tools", "version.sh")], stdout=subprocess.PIPE, check=True,
                             text=True).stdout.strip()
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    day = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc) if epoch else datetime.datetime.now()
    sys.stdout.write('.\\" SPDX-License-Identifier: MIT\n.\\" Made by tools/man.py from kernel/options.def.\n'
                     '.TH SOCLE 7 "%s" "Socle %s" "Socle"\n.ad l\n%s%s\n%s' % (
                         day.strftime("%Y-%m-%d"), version, HEAD.lstrip(), "\n".join(options()), TAIL.lstrip()))


if __name__ == "__main__":
    main()
