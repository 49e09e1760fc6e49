# SPDX-License-Identifier: MIT
"""Mutants of what L1 is told by its boot loader, and of how a relocatable image is placed."""
from mutant import Mutant

HEADER = "boot/l1_multiboot2_header.c"

MUTANTS = [
    Mutant("loader-name-of-socles-own", "boot/l1_multiboot1.c",
           [("block_string(b, info->loader_name)", "block_string(b, \"Socle\")")],
           "loader: multiboot1_is_told_the_same"),
    Mutant("kept-tags-dropped", "boot/l1_multiboot2.c", [("\tt->used += info->kept_size;\n", "")],
           "loader: kept_tags_arrive_unchanged"),
    Mutant("kept-tag-not-kept", "boot/mb2_info_tags.def", [("INFO_TAG(16, NETWORK, KEPT)",
             "INFO_TAG(16, NETWORK, NOT_GIVEN)")],
           "loader: too_many_kept_bytes_are_a_status"),
    Mutant("kept-space-unchecked", "boot/multiboot2.c",
           [("\tif (padded > BOOT_KEPT_SPACE - out->kept_size)\n\t\treturn", "\tif (padded > BOOT_KEPT_SPACE)\n\t\treturn")],
           "loader: too_many_kept_bytes_are_a_status"),
    Mutant("required-request-ignored", HEADER, [("if (!(flags & MB2_OPTIONAL) && (answer",
             "if (flags > 1 && (answer")],
           "loader: required_requests_are_met_or_refused"),
    Mutant("optional-request-refused", HEADER, [("if (!(flags & MB2_OPTIONAL) && (answer",
             "if (flags < 2 && (answer")],
           "loader: required_requests_are_met_or_refused"),
    Mutant("header-tag-size-unchecked", HEADER, [("\tif (size < tag_size_min(type))\n",
             "\tif (size < MIN(tag_size_min(type), 8u))\n")],
           "loader: header_tags_are_answered"),
    Mutant("relocation-ignores-the-limits", "boot/l1_image.c",
           [("return low >= place->min && low + size <= (u64)place->max + 1 &&", "return (low || size) &&")],
           "loader: a_relocatable_image_moves_when_it_must"),
    Mutant("relocated-entry-not-moved", "boot/l1_image.c", [("\t*entry += place->offset;\n", "")],
           "loader: a_relocatable_image_moves_when_it_must"),
    Mutant("section-contents-beyond-the-image", "boot/l1_symbols.c",
           [("|| s->offset > size || s->size > size - s->offset)", "|| s->offset > size)")],
           "loader: damaged_sections_are_left_out"),
    Mutant("section-table-unchecked", "boot/elf.c",
           [(" > size - view.shoff)\n\t\treturn false;", " > size)\n\t\treturn false;")],
           "loader: damaged_sections_are_left_out"),
]
