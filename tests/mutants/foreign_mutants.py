# SPDX-License-Identifier: MIT
"""Wrong Socles: foreign tables and stale pointers that are taken at their word."""
from mutant import Mutant

MUTANTS = [
    Mutant("spcr-port-cut-to-16-bits", "drivers/console.c",
           [("place.base > (place.memory ? 0xffffff00 : 0xfff8)", "place.base > 0xffffff00")], "console: acpi_names_the_port"),
    Mutant("spcr-in-the-middle-of-registers", "drivers/console.c",
           [("(place.base & ((8u << place.shift) - 1))", "(place.base & 0)")], "console: acpi_names_the_port"),
    Mutant("screen-drawn-unmapped", "drivers/screen.c", [("!columns || !mapped || shown", "!columns || shown")],
           "console: the_screen_is_l1s"),
    Mutant("iommu-unit-in-ram", "drivers/iommu.c",
           [("memmap_in_window(base, PAGE_SIZE) || memmap_is_ram(base, PAGE_SIZE)", "memmap_in_window(base, PAGE_SIZE)")],
           "iommu: tables_that_do_not_do"),
    Mutant("monitor-walks-a-freed-ept02", "vmx/monitor/show_memory.c",
           [("!ept02_is_in_use(vcpu, walk.eptp)", "!walk.eptp")], "monitor: tables_are_walked"),
]
