# SPDX-License-Identifier: MIT
"""Mutants of Socle on a hypervisor that lacks what every processor has."""
from mutant import Mutant

MUTANTS = [
    Mutant("smbase-only-where-the-platform-has-it", "vmx/nested/vmcs12/vmcs12.c",
           [("return row == V12_executive_vmcs_pointer || row == V12_guest_smbase;", "return row == VMCS12_FIELD_COUNT;")],
           "table: fields_of_smm_are_always_there"),
]
