# SPDX-License-Identifier: MIT
"""Wrong Socles: `check`, and what ACPI's DMAR table says."""
from mutant import Mutant

HIDDEN = "vmx/l1/hidden.c"
DMAR = "drivers/dmar.c"

MUTANTS = [
    Mutant("rehearsal-unknown-bits-unsaid", HIDDEN, [("if (bits && has_features(", "if (!bits && has_features(")],
           "rehearsal: what_l1_does_not_see"),
    Mutant("rehearsal-shown-is-hidden", HIDDEN, [("bits = register_of(&bare, reg) & ~register_of(&l1s, reg);",
                                                  "bits = register_of(&bare, reg) | register_of(&l1s, reg);")],
           "rehearsal: what_l1_does_not_see"),
    Mutant("rehearsal-leaves-unsaid", HIDDEN, [("\tif (bare_last > last)", "\tif (bare_last < last)")],
           "rehearsal: what_l1_does_not_see"),
    Mutant("rehearsal-controls-of-bare", "vmx/hw/caps.c",
           [("!control_available(l1s, &control_rows[i])", "!control_available(l1s ? &vmx_caps : l1s, &control_rows[i])")],
           "rehearsal: controls_that_l1_does_not_see"),
    Mutant("rehearsal-dmar-length-unchecked", DMAR, [("head[1] < STRUCTURE_HEAD || head[1] > length - at", "!head[1]")],
           "rehearsal: damaged_tables"),
    Mutant("rehearsal-dmar-short-unit", DMAR, [("(type == TYPE_DRHD && size < DRHD_SIZE) ||", "")],
           "rehearsal: damaged_tables"),
    Mutant("rehearsal-dmar-units-twice", DMAR, [("\t\tif (out->units[i] == base)\n\t\t\treturn;\n", "\t\t;\n")],
           "rehearsal: units_and_regions"),
    Mutant("rehearsal-string-of-another", "drivers/smbios.c", [("for (; index > 1 && p < end", "for (; index > 2 && p < end")],
           "rehearsal: names_of_the_machine"),
]
