# SPDX-License-Identifier: MIT
"""Names of exit reasons and of VMCS fields, from Socle's own tables: of the tree, or the copies beside an installed tool."""
import os
import re

HOME = os.path.dirname(os.path.realpath(__file__))
PLACES = (HOME, os.path.join(HOME, "..", "..", "vmx", "hw"))

# What Linux' KVM calls them, where that is another name.
KVM_NAMES = {
    "SIPI": "SIPI_SIGNAL", "INIT": "INIT_SIGNAL", "IO": "IO_INSTRUCTION", "RDMSR": "MSR_READ", "WRMSR": "MSR_WRITE",
    "ENTRY_FAIL_GUEST": "INVALID_STATE", "ENTRY_FAIL_MSR": "MSR_LOAD_FAIL", "MWAIT": "MWAIT_INSTRUCTION",
    "MONITOR": "MONITOR_INSTRUCTION", "PAUSE": "PAUSE_INSTRUCTION", "MTF": "MONITOR_TRAP_FLAG", "VMXOFF": "VMOFF",
    "VMXON": "VMON", "VIRTUALIZED_EOI": "EOI_INDUCED",
}


def read_table(name, pattern):
    for place in PLACES:
        path = os.path.join(place, name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return re.findall(pattern, file.read(), re.M)
    return []


REASONS = {int(number): name for number, name in read_table("exits.def", r"^X\((\d+), (\w+),")}
FIELDS = {int(encoding, 16): name for encoding, name in read_table("vmcs_fields.def", r"^F\((0x[0-9a-f]+), (\w+),")}
NUMBERS = {name: number for number, name in REASONS.items()}


def reason_name(number):
    return REASONS.get(number, "reason %d" % number)


def kvm_name(number):
    name = reason_name(number)
    return KVM_NAMES.get(name, name)


def kind(event):
    """What of it is worth being counted: a field, an MSR, a port; "" elsewhere."""
    name = reason_name(event.reason)
    if name in ("VMREAD", "VMWRITE"):
        return FIELDS.get(event.subject & ~1, "field %x" % event.subject)
    if name in ("RDMSR", "WRMSR"):
        return "msr %x" % (event.subject & 0xffffffff)
    if name == "IO":
        return "port %x" % (event.subject >> 16 & 0xffff)
    return ""


def subject(event):
    """What the exit was about, in words; "" where there is nothing to say."""
    name = reason_name(event.reason)
    if name in ("VMREAD", "VMWRITE"):
        return "field %x %s" % (event.subject, FIELDS.get(event.subject & ~1, "?"))
    if name in ("RDMSR", "WRMSR"):
        return "msr %x%s" % (event.subject & 0xffffffff, " = %x" % event.detail if name == "WRMSR" else "")
    if name == "IO":
        return "%s port %x, %d bytes" % ("in" if event.subject & 8 else "out", event.subject >> 16 & 0xffff,
                                         (event.subject & 7) + 1)
    if name == "CPUID":
        return "leaf %x, %x" % (event.detail & 0xffffffff, event.subject & 0xffffffff)
    if name == "EXCEPTION_NMI":
        return "vector %d, address %x" % (event.detail & 0xff, event.subject)
    if name in ("EPT_VIOLATION", "EPT_MISCONFIG"):
        return "gpa %x, qualification %x" % (event.detail, event.subject)
    if name == "EXTERNAL_INTERRUPT":
        return "vector %d" % (event.detail & 0xff)
    if name in ("CR_ACCESS", "DR_ACCESS", "INVLPG", "TASK_SWITCH", "APIC_ACCESS"):
        return "qualification %x" % event.subject
    return ""
