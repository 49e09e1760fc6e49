#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""extract_vmlinux.py BZIMAGE OUT: the ELF kernel inside a bzImage whose payload is XZ or legacy LZ4."""
import lzma
import struct
import subprocess
import sys

with open(sys.argv[1], "rb") as file:
    image = file.read()
setup_size = ((image[0x1F1] or 4) + 1) * 512
offset, length = struct.unpack_from("<II", image, 0x248)
payload = image[setup_size + offset:setup_size + offset + length]
if payload[:6] == b"\xfd7zXZ\0":
    kernel = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload)
elif payload[:4] == b"\x02\x21\x4c\x18":  # the last 4 bytes are the unpacked size
    kernel = subprocess.run(["lz4", "-dc"], input=payload[:-4], stdout=subprocess.PIPE, check=False).stdout
else:
    sys.exit("extract_vmlinux.py: unknown payload " + payload[:6].hex())
if kernel[:4] != b"\x7fELF":
    sys.exit("extract_vmlinux.py: what came out is no ELF file")
with open(sys.argv[2], "wb") as file:
    file.write(kernel)
