# SPDX-License-Identifier: MIT
"""Mutants of what is said of firmware that contradicts itself, and of what is not believed."""
from mutant import Mutant

REVIEW = "drivers/acpi_review.c"
ACPI = "drivers/acpi.c"
MADT = "drivers/madt.c"
CONSOLE = "drivers/console.c"

MUTANTS = [
    Mutant("xsdt-by-a-wrong-sum", ACPI, [("else if (!acpi_sum_is_zero(rsdp, RSDP_V2_SIZE))", "else if (!rsdp)")],
           "acpi: the_pointer"),
    Mutant("second-table-in-silence", REVIEW, [("if (first != at && !may_be_many(table))", "if (first != at && !first)")],
           "acpi: tables_that_come_twice"),
    Mutant("several-ssdts-are-too-many", REVIEW, [('return !memcmp(table, "SSDT", 4) || ', "return ")],
           "acpi: good_tables_are_no_news"),
    Mutant("rsdt-not-compared", REVIEW, [("if (!table || lists(xsdt, at, xsdt->count))", "if (!table || xsdt->count)")],
           "acpi: an_xsdt_that_contradicts_the_rsdt"),
    Mutant("high-tables-missed-in-the-rsdt", REVIEW, [("if (!table || at >= SIZE_4G || ", "if (!table || ")],
           "acpi: good_tables_are_no_news"),
    Mutant("lines-without-end", REVIEW, [("return said <= ACPI_REVIEW_LINES;", "return said <= 1000 * ACPI_REVIEW_LINES;")],
           "acpi: not_for_ever"),
    Mutant("any-name-in-a-line", REVIEW, [("if (table[i] < ' ' || table[i] > '~')", "if (!table[i])")],
           "acpi: tables_that_are_damaged"),
    Mutant("madt-entries-at-any-length", MADT, [("out->odd += size != wanted;", "out->odd += size < wanted;")],
           "acpi: entries_of_the_madt"),
    Mutant("madt-types-unknown-in-silence", MADT, [("case TYPE_LAST + 1 ... TYPE_OEM - 1:", "case TYPE_LAST + 1:")],
           "acpi: entries_of_the_madt"),
    Mutant("madt-of-nobody-in-silence", MADT, [("if (madt && !out->count)", "if (!madt && out->count)")],
           "acpi: entries_of_the_madt"),
    Mutant("memory-is-a-port", CONSOLE, [("if (place.memory && is_memory(", "if (!place.memory && is_memory(")],
           "console: memory_is_no_port"),
    Mutant("spcr-refused-in-silence", CONSOLE, [('return refuse(SPCR, place.base, "it is no 16550");', "return false;")],
           "console: a_port_that_is_not_used_is_told"),
    Mutant("a-screen-in-memory", "boot/screen_start.c", [("boot_info_has_ram(info, mode.address, screen_size())", "!info")],
           "console: what_the_loader_left"),
    Mutant("ranges-touch-is-overlap", "mm/memmap.c",
           [("ranges[i].base < end && base < end_of(&ranges[i]))\n\t\t\treturn true;",
             "ranges[i].base <= end && base < end_of(&ranges[i]))\n\t\t\treturn true;")],
           "window: a_map_that_contradicts_itself"),
    Mutant("sleep-register-in-memory", "drivers/acpi_sleep.c",
           [("return memmap_is_usable(r->address, 1) || memmap_in_window(r->address, r->width);",
             "return memmap_in_window(r->address, r->width);")],
           "sleep: what_is_no_register_is_told"),
]
