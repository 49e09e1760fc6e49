# SPDX-License-Identifier: MIT
"""Shortcuts on the way through an ordinary exit of L2, each taken once too often."""
from mutant import Mutant

MUTANTS = [
    Mutant("ept02-link-counts-as-leaf", "vmx/nested/ept02_table.c",
           [("\tcache->tables[table].links[index / 64] |= BIT(index % 64);\n", "")],
           "ept02: test_model_small_budget"),
]
