# SPDX-License-Identifier: MIT
"""Mutants of what only machines with more of everything show: many ranges, modules, processors, unlike ones."""
from mutant import Mutant

GIVE, EFI = "boot/l1_linux_give.c", "boot/efi_map.c"

MUTANTS = [
    Mutant("windows-all-low", "boot/window.c", [("find(piece, MEMORY_END);", "find(piece, SIZE_4G);")],
           "window: the_rest_is_where_there_is_memory"),
    Mutant("windows-in-one-piece-or-none", "boot/window.c", [("if (piece <= 2 * share)", "if (piece)")],
           "window: the_rest_is_where_there_is_memory"),
    Mutant("half-of-memory-for-socle", "boot/window.c", [("#define SHARE_OF_MEMORY 8", "#define SHARE_OF_MEMORY 2")],
           "window: small_machines_keep_most"),
    Mutant("second-window-open", "vmx/l1/passthru.c", [("memmap_window_from(from);", "memmap_window(0);")],
           "passthru: every_window_is_cut_out"),
    Mutant("first-window-counts", "mm/memmap.c",
           [("\tfor (size_t i = 0; i < window_count; i++)\n\t\tif (pa < end_of(&windows[i]))",
             "\tfor (size_t i = 0; i < MIN(window_count, 1ul); i++)\n\t\tif (pa < end_of(&windows[i]))")],
           "passthru: every_window_is_cut_out"),
    Mutant("initrds-unaligned", GIVE, [("\t\tto = ALIGN_UP(to, 4);\n", "")],
           "l1_linux: several_initrds_are_one"),
    Mutant("second-initrd-only", GIVE, [("\t\tto += m->size;\n", "")],
           "l1_linux: several_initrds_are_one"),
    Mutant("more-ranges-from-the-first", GIVE, [("put_ranges(phys_to_ptr(HPA(at + sizeof(head))), BP_E820_MAX, count);",
                                                 "put_ranges(phys_to_ptr(HPA(at + sizeof(head))), 0, count);")],
           "l1_linux: ranges_beyond_128_are_told"),
    Mutant("setup-data-for-an-old-kernel", GIVE, [("version < SETUP_DATA_VERSION", "!version")],
           "l1_linux: ranges_beyond_128_are_told"),
    Mutant("high-map-free-for-the-decompressor", GIVE, [("return at && memmap_override(at, size, MEMMAP_ACPI) ? at : 0;",
                                                         "return at;")],
           "l1_linux: the_firmwares_map_goes_where_there_is_room"),
    Mutant("pieces-of-one-kind-apart", EFI,
           [("memmap_type_at(next, &after)) != type)", "memmap_type_at(next, &after)) <= type)")],
           "boot: linux_gets_the_firmwares_map"),
]
