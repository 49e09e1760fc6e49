# SPDX-License-Identifier: MIT
"""Mutants of the processors' start: who is found, who is held, who is L1's, and the page in which they start."""
from mutant import Mutant

CENSUS, ROSTER, TRAMPOLINE = "boot/census.c", "boot/roster.c", "boot/trampoline.c"

MUTANTS = [
    Mutant("count-believed-at-once", CENSUS, [("#define QUIET 100000", "#define QUIET 50000")],
           "cpus: late_ones_are_waited_for"),
    Mutant("late-answers-in-one-wait", CENSUS, [("now == count ? quiet", "now >= count ? quiet")],
           "cpus: late_ones_are_waited_for"),
    Mutant("restless-count-taken", CENSUS, [("\t}\n\treturn false;\n", "\t}\n\treturn true;\n")],
           "cpus: one_that_never_stands_still"),
    Mutant("no-init-before-the-sipi", CENSUS, [("\tapic_send_init_others();\n", "")], "cpus: init_sipi_sipi_to_all"),
    Mutant("page-filled-before-the-init", CENSUS,
           [("\tapic_send_init_others();\n", "\ttrampoline_take();\n\tapic_send_init_others();\n")],
           "cpus: init_sipi_sipi_to_all"),
    Mutant("census-without-an-apic", CENSUS, [("\tif (!apic_is_enabled())", "\tif (0)")], "cpus: what_a_census_needs"),
    Mutant("sipi-to-one", "drivers/apic.c",
           [("ICR_STARTUP | (u32)ICR_ASSERT | ICR_OTHERS | page", "ICR_STARTUP | (u32)ICR_ASSERT | page")],
           "cpus: init_sipi_sipi_to_all"),
    Mutant("trampoline-left-in-l1s-page", TRAMPOLINE,
           [("saved, PAGE_SIZE);\n\tpage = 0;", "saved, 64);\n\tpage = 0;")],
           "cpus: the_page_is_given_back"),
    Mutant("trampoline-saved-twice", TRAMPOLINE, [("\tif (page)\n\t\treturn parameters();\n", "")],
           "cpus: the_page_is_given_back"),
    Mutant("unnamed-cpus-are-l1s", ROSTER, [("\tif (!named->count)\n", "")], "cpus: others_are_parked"),
    Mutant("unnamed-cpus-forgotten", ROSTER, [("add(out, answered->apic_id[i]);", ";")], "cpus: others_are_parked"),
    Mutant("nobody-l1s-without-a-table", ROSTER, [("\tif (!named->count)\n", "\tif (0)\n")],
           "cpus: without_a_table_all_are_l1s"),
    Mutant("roster-by-chance", ROSTER,
           [("\tsort(out, out->usable);\n", "\tsort(out, out->count);\n")], "cpus: others_are_parked"),
    Mutant("cpus-option-reaches-parked-ones", ROSTER, [("limit > out->usable", "limit > out->count")],
           "cpus: others_are_parked"),
    Mutant("cpus-option-drops-the-rest", ROSTER,
           [("\t\tout->usable = limit;\n", "\t\tout->usable = out->count = limit;\n")], "cpus: others_are_parked"),
    Mutant("answers-without-room-unseen", ROSTER, [("\tif (answered->count > TRAMPOLINE_ID_MAX)", "\tif (0)")],
           "cpus: too_many_are_refused"),
    Mutant("init-behind-vmxon", "boot/smp.c",
           [("\ttrampoline_give_back();\n", "\tapic_send_init_others();\n\ttrampoline_give_back();\n")],
           guest="init: all_at_once"),
]
