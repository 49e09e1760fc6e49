# SPDX-License-Identifier: MIT
"""Wrong Socles around gdb's stub: its bounds, what it lets a person write, who is told of what."""
from mutant import Mutant

PACKET, REGISTERS, SERVE, BREAKS = "vmx/gdb/packet.c", "vmx/gdb/registers.c", "vmx/gdb/serve.c", "vmx/gdb/gdb_breaks.c"
FPU = "vmx/gdb/fpu.c"
GO, GDB, LOOKUP = "vmx/gdb/serve_go.c", "vmx/gdb/gdb.c", "vmx/monitor/lookup.c"

MUTANTS = [
    Mutant("gdb-packet-without-end", PACKET, [("input->length == PACKET_SIZE || !byte", "!byte")],
           "gdb: a_packet_has_an_end"),
    Mutant("gdb-reply-without-end", PACKET, [("\tif (output->length == sizeof(output->text) - TAIL)\n", "\tif (0)\n")],
           "gdb: a_packet_has_an_end"),
    Mutant("gdb-bad-sum-is-taken", PACKET, [("input->spoilt || input->said != input->sum ?", "input->spoilt ?")],
           "gdb: a_packet_is_whole_or_refused"),
    Mutant("gdb-spoilt-packet-is-taken", PACKET,
           [("input->spoilt || input->said != input->sum", "input->said != input->sum")],
           "gdb: a_packet_is_whole_or_refused"),
    Mutant("gdb-number-wraps", PACKET, [("\t\tif (*value >> 60)\n\t\t\treturn false;\n", "")], "gdb: numbers"),
    Mutant("gdb-read-beyond-buffer", SERVE, [("(size_t)MIN(length, (u64)sizeof(bytes))", "(size_t)length")],
           "gdb: memory_of_l1"),
    Mutant("gdb-any-flag", REGISTERS, [("(old & ~RFLAGS_OPEN) | (value & RFLAGS_OPEN)", "value")], "gdb: registers_of_l1"),
    Mutant("gdb-any-rip", REGISTERS, [("is_rip(vcpu, value))", "(is_rip(vcpu, value) || true))")],
           "gdb: registers_of_l1"),
    Mutant("gdb-sti-blocking-stays", REGISTERS, [("\tif (!(rflags & RFLAGS_IF))\n", "\tif (0)\n")],
           "gdb: sti_blocking_ends_with_interrupts"),
    Mutant("gdb-writes-the-other-level", REGISTERS, [("level != vcpu->guest->level || number", "level > 9 || number")],
           "gdb: threads_of_both_levels"),
    Mutant("gdb-l2s-registers-for-l1s", REGISTERS, [("\tif (level == vcpu->guest->level)\n", "\tif (level)\n")],
           "gdb: threads_of_both_levels"),
    Mutant("gdb-level-is-forgotten", BREAKS, [("(set->level && add(vcpu, set, set->level))", "0")],
           "gdb: a_breakpoint_keeps_its_level"),
    Mutant("gdb-leaves-breakpoints", GO, [("\tbreaks_forget();\n", "")], "gdb: a_breakpoint_of_gdbs"),
    Mutant("gdb-step-of-any-level", GO, [("step_begin(vcpu, 1, session.level)", "step_begin(vcpu, 1, 0)")],
           "gdb: a_step_of_the_other_level"),
    Mutant("gdb-cannot-interrupt-a-step", GDB, [("\tcontrol_end_alone(vcpu);\n", "")],
           "gdb: a_guest_that_waits_is_interrupted"),
    Mutant("gdb-fxsave-without-osfxsr", FPU, [("\twrite_cr4(old_cr4 | CR4_OSFXSR);\n", "")], "gdb: floating_point"),
    Mutant("gdb-fxsave-with-ts", FPU, [("~(u64)(CR0_TS | CR0_EM)", "~(u64)CR0_EM")], "gdb: floating_point"),
    Mutant("gdb-fxsave-with-em", FPU, [("~(u64)(CR0_TS | CR0_EM)", "~(u64)CR0_TS")], "gdb: floating_point"),
    Mutant("gdb-fxsave-leaves-cr0", FPU, [("\twrite_cr0(old_cr0);\n", "")], "gdb: floating_point"),
    Mutant("gdb-fxsave-leaves-cr4", FPU, [("\twrite_cr4(old_cr4);\n", "")], "gdb: floating_point"),
    Mutant("gdb-tags-by-the-stack", FPU, [("tag_of((i - top) & 7)", "tag_of(i)")], "gdb: floating_point"),
    Mutant("gdb-any-mxcsr", FPU, [("mxcsr & (mask ? mask : 0xffbfu)", "mxcsr | (mask & 0)")],
           "gdb: floating_point_is_written"),
    Mutant("gdb-empty-tags-are-valid", FPU, [("!= TAG_EMPTY)\n", "!= TAG_ZERO)\n")], "gdb: floating_point_is_written"),
    Mutant("gdb-ymm-without-xcr0", FPU, [(" || !(xgetbv(0) & XCR0_AVX)", "")], "gdb: floating_point_is_written"),
    Mutant("gdb-ymm-made-initial", FPU, [("\tarea.in_use = XCR0_AVX;\n", "")], "gdb: floating_point_is_written"),
    Mutant("gdb-ymm-of-the-first", FPU, [("memcpy(area.high[ymm], from", "memcpy(area.high[0], from"),
                                         ("memcpy(to, area.high[ymm]", "memcpy(to, area.high[0]")],
           "gdb: floating_point_is_written"),
    Mutant("gdb-writes-what-is-no-ram", LOOKUP, [("\t\tif (!page)\n\t\t\tbreak;\n", "")], "gdb: memory_of_l1"),
]
