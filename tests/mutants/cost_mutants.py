# SPDX-License-Identifier: MIT
"""Shortcuts on the way through an ordinary exit of L2, each taken once too often."""
from mutant import Mutant

MUTANTS = [
    Mutant("step-of-l2-by-another-reason", "vmx/nested/exit/exit.c",
           [("unlikely(vcpu->vmcs->steps & STEP_ABSENT) &&", "unlikely(vcpu->vmcs->steps & STEP_NMI) &&")],
           "caps: absent_memory_of_l2_is_stepped"),
    Mutant("load-list-of-one-is-none", "vmx/nested/entry/entry.c",
           [("\tif (v12->entry_msr_load_count) {\n", "\tif (v12->entry_msr_load_count > 1) {\n")],
           "msr_area: entry_list_fails_with_its_index"),
    Mutant("ept02-link-counts-as-leaf", "vmx/nested/ept/ept02_table.c",
           [("\tcache->tables[table].links[index / 64] |= BIT(index % 64);\n", "")],
           "ept02: test_model_small_budget"),
]
