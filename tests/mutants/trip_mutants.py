# SPDX-License-Identifier: MIT
"""Mutants that make VMX accesses in vain on the round trip; the fields are explained in mutants.py."""
from mutant import Mutant

HOST = "vmx/nested/exit/host_state.c"
MUTANTS = [
    Mutant("rsp-saved-twice", "vmx/nested/exit/reflect.c", [
        ("\tKEEP(guest_rsp, GET(RSP));\n", "\tKEEP(guest_rsp, GET(RSP));\n\tKEEP(guest_rsp, GET(RSP));\n")],
           "round_trip: the_page_has_each_access"),
    Mutant("host-rip-loaded-twice", HOST, [
        ("\tLOAD(RSP, v12->host_rsp);\n", "\tLOAD(RIP, v12->host_rip);\n\tLOAD(RSP, v12->host_rsp);\n")],
           "round_trip: the_page_has_each_access"),
    Mutant("sysenter-msrs-never-known", HOST, [
        ("\tvcpu->nested.host_known = slot;\n", "\tvcpu->nested.host_known = NULL;\n")],
           "round_trip: with_all_controls_it_is_less"),
    Mutant("pull-goes-back-to-vmcs01", "vmx/nested/entry/entry.c", [
        ("\tshadow_pull_for_entry(vcpu, slot);\n",
         "\tshadow_pull_for_entry(vcpu, slot);\n\tvcpu_load_vmcs(vcpu, &vcpu->vmcs01);\n")],
           "round_trip: the_page_has_each_access"),
]
