# SPDX-License-Identifier: MIT
"""Wrong Socles: what a reading with a hostile L1 in mind has found."""
from mutant import Mutant

MUTANTS = [
    Mutant("apic-over-rom", "vmx/l1/exit_msr.c",
           [("\tif (moves && guest_mem_is_rom(GPA(page), PAGE_SIZE))\n\t\treturn false;\n", "")],
           "msr: the_apic_is_not_laid_over_memory"),
    Mutant("fetch-meets-breakpoints", "vmx/guest/guest_linear.c", [(" && !(access & WALK_FETCH))\n", ")\n")],
           "sleep_page: a_breakpoint_does_not_see_the_fetch"),
]
