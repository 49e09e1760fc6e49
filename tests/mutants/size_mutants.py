# SPDX-License-Identifier: MIT
"""Mutants of what Socle takes of memory; the fields are explained in mutants.py."""
from mutant import Mutant

MUTANTS = [
    Mutant("slot-takes-a-page-for-each-half", "vmx/nested/entry/io_bitmaps.c", [
        ("\tslot->io_page = page_alloc();\n", "\tpage_alloc();\n\tslot->io_page = page_alloc();\n")],
           "size: the_page_has_what_is_measured"),
    Mutant("shadow-region-of-two-pages", "vmx/nested/vmcs12/shadow.c", [
        ("\tregion = page_alloc();\n", "\tregion = (u32 *)page_alloc_contig(2);\n")],
           "size: the_page_has_what_is_measured"),
    Mutant("window-for-twice-the-cpus", "boot/window.c", [
        ("\t\t     roster->usable * cpu;", "\t\t     2 * roster->usable * cpu;")],
           "size: the_page_has_what_is_measured"),
]
