# SPDX-License-Identifier: MIT
"""Mutants of what registers hold: RIP behind an emulated instruction."""
from mutant import Mutant

RIP = [
    Mutant("ip-wraps-at-64k", "vmx/event.c",
           [("\tif (unlikely((rip ^ next) >> 32))\n", "\tif (unlikely((rip ^ next) >> 16))\n"),
            ("\treturn vcpu_is_64bit(vcpu) ? rip : (u32)rip;",
             "\tif (!vcpu_is_64bit(vcpu) && !(vcpu_reg(vcpu, REG_CS_AR) & AR_DB))\n\t\treturn (u16)rip;\n"
             "\treturn vcpu_is_64bit(vcpu) ? rip : (u32)rip;")],
           None, "insn: wrap_l1"),
    Mutant("eip-never-wraps", "vmx/event.c",
           [("\treturn vcpu_is_64bit(vcpu) ? rip : (u32)rip;", "\t(void)vcpu;\n\treturn rip;")],
           "l1: eip_ends_at_4_gib"),
    Mutant("eptp-index-by-control", "vmx/nested/insn.c",
           [("\tif (caps12.proc2.allowed1 & PROC2_VE)\n", "\tif (v12_has_proc2(&slot->v12, PROC2_VE))\n")],
           None, "shadowing: eptp_switching", model="tigerlake"),
]

MUTANTS = RIP
