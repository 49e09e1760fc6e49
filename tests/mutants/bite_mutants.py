# SPDX-License-Identifier: MIT
"""Wrong Socles that no test noticed once; each names the test that does now."""
from mutant import Mutant

LINEAR = "vmx/guest/guest_linear.c"
CR, MSR = "vmx/l1/exit_cr.c", "vmx/l1/exit_msr.c"
EVENT, INSN_VMCS = "vmx/nested/exit/event.c", "vmx/nested/insn/insn_vmcs.c"
REFLECT, EPT02 = "vmx/nested/exit/reflect.c", "vmx/nested/ept/ept02.c"

MUTANTS = [
    Mutant("quick-walk-user-page", LINEAR,
           [("(met->all & (PTE_P | PTE_A | PTE_U)) ==", "(met->all & (PTE_P | PTE_A)) ==")],
           "guest_mem: plain_reads_are_full_walks"),
    Mutant("quick-walk-reserved", LINEAR,
           [("(PTE_P | PTE_A) && !(met->any & reserved));", "(PTE_P | PTE_A));")],
           "guest_mem: plain_reads_are_full_walks"),
    Mutant("vmclear-inactive-keeps-launched", INSN_VMCS,
           [("\t\tguest_mem_write(vcpu, GPA(gpa + offsetof(struct vmcs12, launched)), &clear, sizeof(clear));",
             "\t\t(void)clear;")], "insn: vmclear_of_an_inactive_vmcs_clears_it"),
    Mutant("vectoring-nmi-blocking-lost", EVENT,
           [("\tif (event->type == INTR_TYPE_NMI)\n\t\tv12->guest_interruptibility |= INTERRUPTIBILITY_NMI;\n", "")],
           "event: an_nmi_that_l0_holds_is_vectoring_information"),
    Mutant("double-fault-nmi-blocking-lost", EVENT,
           [("\t\tif (vcpu->pending.type == INTR_TYPE_NMI)\n\t\t\tvcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,\n"
             "\t\t\t\t     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);\n", "")],
           "event: an_exception_in_an_nmis_delivery_to_l2"),
    Mutant("eptp-list-index-512", "vmx/nested/entry/guest2.c",
           [("\tif (index >= EPTP_LIST_LENGTH)", "\tif (index > EPTP_LIST_LENGTH)")], "exit: vmfunc_switches_epts"),
    Mutant("xss-unchecked", MSR,
           [("return !(value & ~CPUID_XSS_OFFERED) && wrmsr_safe(index, value);", "return wrmsr_safe(index, value);")],
           "exit_msr: xss_is_what_is_offered"),
    Mutant("cr4-pcide-unchecked", CR,
           [("\t    (!long_mode || (vcpu_reg(vcpu, REG_CR3) & CR3_PCID_MASK)))\n\t\treturn false;",
             "\t    false)\n\t\treturn false;")],
           "exit_cr: each_rule_of_cr4"),
    Mutant("cr3-width-unchecked", CR, [("\tif (vcpu_is_long_mode(vcpu) && value >> vmx_caps.physical_bits)", "\tif (false)")],
           "exit_cr: each_rule_of_cr3"),
    Mutant("nmi-blocked-with-vnmi", REFLECT,
           [("\treturn !v12_has_pin(v12, PIN_VIRTUAL_NMIS) && (v12->guest_interruptibility",
             "\treturn (v12->guest_interruptibility")], "nmi: whose_nmi_blocking_outlasts_the_exit"),
    Mutant("feature-control-unlocked", MSR,
           [("\tif (vcpu->l1.feature_control & FEATURE_CONTROL_LOCKED)\n\t\treturn false;\n", "")],
           "exit_msr: a_locked_feature_control_stays"),
    Mutant("advanced-bits-dropped", EPT02, [("\t\tbits |= EPTV_USER | EPTV_RW_PAGE | EPTV_NX_PAGE;", "\t\tbits |= EPTV_USER;")],
           "ept02: test_model_small_budget"),
    Mutant("cr0-fixed-of-an-unrestricted-l2-for-all", "vmx/nested/entry/guest2.c",
           [("\treturn v12_has_proc2(v12_of(vcpu), PROC2_UNRESTRICTED_GUEST) ? cr0_forced() : vmx_caps.cr0_fixed0;\n",
             "\treturn cr0_forced();\n")], None, "exits: cr0_fixed", "intercept=cr"),
    Mutant("no-instruction-information-beside-an-nmi", "vmx/nested/vmcs12/exit_record.h",
           [("\tif (facts & FACT_INFO)\n\t\trecord.instruction_info =", "\tif (facts & 0)\n\t\trecord.instruction_info =")],
           "exit_fields: each_reason_defines_them_beside_an_nmi"),
]
