# SPDX-License-Identifier: MIT
"""Mutants of what registers hold: breakpoints that accesses of L0's meet, RIP behind an emulated instruction."""
from mutant import Mutant

LINEAR = "vmx/guest/guest_linear.c"
WATCH = "vmx/guest/watch.c"
TASK, TSS = "vmx/l1/task_switch.c", "vmx/l1/tss.c"

WATCHES = [
    Mutant("operands-not-watched", LINEAR,
           [("\tif (watch_is_on(vcpu) && (to || from) && !(access & WALK_FETCH))\n", "\tif (false)\n")],
           "watch: an_operand", "insn: watch_operand"),
    Mutant("operands-of-l2-not-watched", LINEAR,
           [("\tif (watch_is_on(vcpu) && (to || from) && !(access",
             "\tif (!vcpu->nested.in_l2 && watch_is_on(vcpu) && (to || from) && !(access")],
           None, "insn: watch_operand_l2"),
    Mutant("reads-watched-as-writes", LINEAR,
           [("\t\twatch_memory_enabled(vcpu, va.v, length, from);", "\t\twatch_memory_enabled(vcpu, va.v, length, true);")],
           None, "insn: watch_operand"),
    Mutant("watched-at-the-first-byte", WATCH, [("begin <= last)", "begin <= first && last)")],
           "watch: every_length_kind_and_place", "insn: watch_operand"),
    Mutant("watched-unaligned", WATCH, [("begin = address[n] & ~mask;", "begin = address[n];")],
           "watch: every_length_kind_and_place", "insn: watch_operand"),
    Mutant("watched-while-disabled", WATCH,
           [("if ((found & BIT(n)) && is_enabled(dr7, n))", "if ((found & BIT(n)) && (dr7 || is_enabled(dr7, n)))")],
           "watch: bits_come_together", "insn: watch_operand"),
    Mutant("watched-not-around-the-end", WATCH,
           [("\tif (!vcpu_is_64bit(vcpu) && last >> 32) {", "\tif (false) {")], "watch: around_the_end"),
    Mutant("ports-watched-without-de", WATCH, [("\tif (vcpu_reg(vcpu, REG_CR4) & CR4_DE)\n", "")], "watch: ports"),
    Mutant("breakpoint-left-by-a-fault", TASK,
           [("\tvcpu_set_reg(vcpu, REG_PENDING_DEBUG, pending_debug);\n", "\t(void)pending_debug;\n")],
           "l1: breakpoints_of_a_task_switch"),
    Mutant("t-flag-forgets-breakpoints", TASK,
           [(" |\n\t\t\t  (vcpu_reg(vcpu, REG_PENDING_DEBUG) & PENDING_DEBUG_B));", ");")],
           None, "legacy: task_watches"),
    Mutant("old-task-written-whole", TSS,
           [("\tSTEP(task_access(vcpu, first, NULL, &registers, sizeof(registers)));",
             "\tSTEP(task_access(vcpu, base + 4, NULL, &registers, 4));\n"
             "\tSTEP(task_access(vcpu, first, NULL, &registers, sizeof(registers)));")],
           None, "legacy: task_watches"),
]

RIP = [
    Mutant("ip-wraps-at-64k", "vmx/guest/event.c",
           [("\tif (unlikely((rip ^ next) >> 32))\n", "\tif (unlikely((rip ^ next) >> 16))\n"),
            ("\treturn vcpu_is_64bit(vcpu) ? rip : (u32)rip;",
             "\tif (!vcpu_is_64bit(vcpu) && !(vcpu_reg(vcpu, REG_CS_AR) & AR_DB))\n\t\treturn (u16)rip;\n"
             "\treturn vcpu_is_64bit(vcpu) ? rip : (u32)rip;")],
           None, "insn: wrap_l1"),
    Mutant("eip-never-wraps", "vmx/guest/event.c",
           [("\treturn vcpu_is_64bit(vcpu) ? rip : (u32)rip;", "\t(void)vcpu;\n\treturn rip;")],
           "l1: eip_ends_at_4_gib"),
    Mutant("eptp-index-by-control", "vmx/nested/entry/guest2.c",
           [("\tif (caps12.proc2.allowed1 & PROC2_VE)\n", "\tif (v12_has_proc2(&slot->v12, PROC2_VE))\n")],
           None, "shadowing: eptp_switching", model="tigerlake"),
]

LOADED = [
    Mutant("reserved-bits-of-cr0-loaded", "vmx/l1/exit_cr.c",
           [("\treturn (field & CR0_LOADED) | CR0_ET |", "\treturn (field & (CR0_LOADED | BIT(17) | BIT(6))) | CR0_ET |")],
           "entry: fields_that_are_not_loaded", "exits: odd_fields_held"),
    Mutant("et-loaded", "vmx/l1/exit_cr.c",
           [("\treturn (field & CR0_LOADED) | CR0_ET |", "\treturn (field & (CR0_LOADED | CR0_ET)) |")],
           "entry: fields_that_are_not_loaded", "exits: cr0_reserved", "intercept=cr"),
    Mutant("cr0-shadow-of-the-raw-field", "vmx/nested/entry/merge.c",
           [("\tu64 cr0 = (cr_loaded_cr0(v12->guest_cr0) & ~mask0)", "\tu64 cr0 = (v12->guest_cr0 & ~mask0)")],
           None, "exits: cr0_reserved", "intercept=cr"),
    Mutant("dr7-loaded-raw", "vmx/nested/entry/merge_state.c",
           [("\treturn (field & ~DR7_RESERVED0) | DR7_FIXED1;", "\treturn field;")],
           "entry: fields_that_are_not_loaded", "exits: odd_fields_held"),
]

TIME = [
    Mutant("time-of-l0s-work", "vmx/nested/entry/msr_area.c",
           [("if (e->index != MSR_IA32_TSC || !tsc)", "if (e->index || !tsc)")],
           "msr_area: the_time_is_the_exits", "exits: tsc_stored"),
    Mutant("time-of-the-exit-before", "vmx/nested/entry/msr_area.c", [("\tslot->exit_time.tsc = 0;\n", "")],
           "msr_area: the_time_is_the_exits", "exits: tsc_stored_held"),
    Mutant("time-taken-for-ever", "vmx/nested/entry/msr_area.c",
           [("\tif (slot->stores_time != wanted)\n", "\twanted |= slot->stores_time;\n\tif (slot->stores_time != wanted)\n")],
           "msr_area: the_time_is_the_exits"),
    Mutant("a-field-that-one-lacks", "vmx/l1/vm.c", [("\tregcache_check_fields();\n", "")],
           "unlike: fields_and_msrs_of_all"),
]

MUTANTS = WATCHES + RIP + LOADED + TIME
