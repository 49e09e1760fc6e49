# SPDX-License-Identifier: MIT
"""DWARF's call frame information out of the kernel's ORC tables: how to get from a place in the code to its caller.

Linux: Documentation/x86/orc-unwinder.rst, arch/x86/include/asm/orc_types.h. DWARF 5, "Call Frame Information"; the numbers of
registers are those of the System V ABI for x86-64.
"""
import struct

# ORC's registers; two of them point to the place where the stack pointer is
UNDEFINED, PREV_SP, DX, DI, BP, SP, R10, R13, BP_INDIRECT, SP_INDIRECT = range(10)
DWARF = {DX: 1, DI: 5, BP: 6, SP: 7, R10: 10, R13: 13}
RBP, RSP, RETURN = 6, 7, 16
# Where struct pt_regs has what DWARF numbers
PT_REGS = {0: 80, 1: 96, 2: 88, 3: 40, 4: 104, 5: 112, 6: 32, 7: 152, 8: 72, 9: 64, 10: 56, 11: 48, 12: 24, 13: 16, 14: 8,
           15: 0, 16: 128}
IRET_FRAME = {7: 24, 16: 0}  # from the place of RIP on
CALL, REGS, REGS_PARTIAL, NOTHING = range(4)
PER_ENTRY = 64  # of ORC's, in one of DWARF's: gdb executes one from its start

ADVANCE1, ADVANCE2, ADVANCE4 = 2, 3, 4
OFFSET_SIGNED, SAME, UNDEFINED_RULE, CFA, CFA_EXPRESSION, EXPRESSION = 0x11, 8, 7, 0x0C, 0x0F, 0x10
DEREF, CONSTANT, PLUS, BREG = 0x06, 0x11, 0x22, 0x70


class OrcError(Exception):
    """A line for the user."""


def uleb(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sleb(value):
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def block(data):
    return uleb(len(data)) + data


def read(address, ips, words):
    """[(address, sp offset, bp offset, sp register, bp register, kind)], in order. Each IP is relative to its own place."""
    if len(ips) // 4 != len(words) // 6:
        raise OrcError("the two ORC tables have different lengths")
    entries = []
    for i, (ip,) in enumerate(struct.iter_unpack("<i", ips)):
        sp_offset, bp_offset, bits = struct.unpack_from("<hhH", words, 6 * i)
        entries.append((address + 4 * i + ip, sp_offset, bp_offset, bits & 15, bits >> 4 & 15, bits >> 8))
    entries.sort(key=lambda entry: entry[0])
    # Since 6.4 two kinds come first that lead nowhere. Calls are by far the most.
    if 2 * sum(entry[5] & 7 == 2 for entry in entries) > len(entries):
        return [entry[:5] + ({2: CALL, 3: REGS, 4: REGS_PARTIAL}.get(entry[5] & 7, NOTHING),) for entry in entries]
    return [entry[:5] + (entry[5] & 3 if entry[3] else NOTHING,) for entry in entries]


def cfa_rule(sp_register, offset):
    """The stack pointer of the caller, or where the saved registers are."""
    if sp_register == BP_INDIRECT:
        return bytes([CFA_EXPRESSION]) + block(bytes([BREG + RBP]) + sleb(offset) + bytes([DEREF]))
    if sp_register == SP_INDIRECT:
        code = bytes([BREG + RSP]) + sleb(0) + bytes([DEREF, CONSTANT]) + sleb(offset) + bytes([PLUS])
        return bytes([CFA_EXPRESSION]) + block(code)
    if sp_register not in DWARF:
        return None
    offset = offset if sp_register in (BP, SP) else 0
    if offset < 0:
        return bytes([CFA_EXPRESSION]) + block(bytes([BREG + DWARF[sp_register]]) + sleb(offset))
    return bytes([CFA]) + uleb(DWARF[sp_register]) + uleb(offset)


def saved_at(register, offset):
    return bytes([OFFSET_SIGNED]) + uleb(register) + sleb(offset // -8)


def rules(entry):
    """All rules of this place, whatever held before it."""
    _, sp_offset, bp_offset, sp_register, bp_register, kind = entry
    cfa = cfa_rule(sp_register, sp_offset) if kind != NOTHING else None
    if not cfa:
        return bytes([UNDEFINED_RULE]) + uleb(RETURN)
    if kind == REGS:
        return cfa + b"".join(saved_at(*place) for place in PT_REGS.items())
    if kind == REGS_PARTIAL:
        cfa += b"".join(saved_at(*place) for place in IRET_FRAME.items())
    else:
        cfa += saved_at(RETURN, -8)
    if bp_register == PREV_SP and kind == CALL:
        return cfa + saved_at(RBP, bp_offset)
    if bp_register == BP:
        return cfa + bytes([EXPRESSION]) + uleb(RBP) + block(bytes([BREG + RBP]) + sleb(bp_offset))
    return cfa + bytes([SAME]) + uleb(RBP)


def advance(delta):
    if delta < 64:
        return bytes([0x40 | delta])
    for code, letter, limit in ((ADVANCE1, "<B", 1 << 8), (ADVANCE2, "<H", 1 << 16), (ADVANCE4, "<I", 1 << 32)):
        if delta < limit:
            return bytes([code]) + struct.pack(letter, delta)
    raise OrcError("two ORC entries are too far from each other")


def padded(head, program):
    body = head + program
    body += bytes(-(len(body) + 4) % 8)  # DW_CFA_nop
    return struct.pack("<I", len(body)) + body


def common(augmentation):
    """A CIE: version 1, code in bytes, data in words down."""
    head = struct.pack("<IB", 0xFFFFFFFF, 1) + augmentation + b"\0" + uleb(1) + sleb(-8) + bytes([RETURN])
    return padded(head, bytes([CFA]) + uleb(RSP) + uleb(8))


def group(entry):
    return entry[5] if entry[5] in (REGS, REGS_PARTIAL) else CALL


def pieces(entries):
    """Runs of entries whose rules say something of the same registers. To an interrupted place a return is no call's."""
    start = 0
    for i in range(1, len(entries) + 1):
        if i == len(entries) or i - start == PER_ENTRY or group(entries[i]) != group(entries[start]):
            yield entries[start:i], entries[i][0] if i < len(entries) else entries[-1][0] + 1
            start = i


def debug_frame(address, ips, words):
    """(the section's bytes, how many places it describes)."""
    entries = read(address, ips, words)
    calls, interrupted = common(b""), common(b"S")
    out = [calls, interrupted]
    for piece, end in pieces(entries):
        program, at, before = [], piece[0][0], None
        for entry in piece:
            if entry[1:] == before:
                continue
            # What one place leaves as it was another must say.
            program.append((advance(entry[0] - at) if entry[0] > at else b"") + rules(entry))
            at, before = entry[0], entry[1:]
        cie = len(calls) if group(piece[0]) != CALL else 0
        out.append(padded(struct.pack("<IQQ", cie, piece[0][0], end - piece[0][0]), b"".join(program)))
    return b"".join(out), len(entries)
