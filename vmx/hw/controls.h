/* SPDX-License-Identifier: MIT */
/*
 * Every VM-execution, VM-exit and VM-entry control, once, and the masks that follow from the table. A control
 * that L1 may have from now on is one row here (docs/design.md, "How to add") and its test.
 * SDM: "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields".
 */
#ifndef VMX_HW_CONTROLS_H
#define VMX_HW_CONTROLS_H

/* clang-format off */

/*
 * C(..., WORD, NAME, bit, need, l0, l1, text)
 *   WORD  PIN, PROC (primary processor-based), PROC2 (secondary), EXIT, ENTRY
 *   need  the status by which the start fails on a processor without it; OPTIONAL: Socle or an L1 uses it where
 *         it is there, and `check` says so; UNUSED: `check` says nothing
 *   l0    where it is set for L0's own sake: BOTH vmcs01 and vmcs02; VMCS01 alone; NO: nowhere, or only at
 *         times, and the code that sets it says when
 *   l1    PASSED: L1 may set it, and vmcs02 has it as L1 sets it; MERGED: L1 may set it, and code decides what
 *         becomes of it in vmcs02 (nested/entry/merge.c and what that calls); HIDDEN: L1 is told that the
 *         processor does not have it
 *   text  the SDM's name
 */
#define CONTROLS(C, ...) \
	/* first what an old processor is likely to lack: the start fails with the first one */ \
	C(__VA_ARGS__, PROC, SECONDARY, 31, NO_EPT, BOTH, MERGED, "secondary controls") \
	C(__VA_ARGS__, PROC2, EPT, 1, NO_EPT, BOTH, MERGED, "EPT") \
	C(__VA_ARGS__, PROC2, UNRESTRICTED_GUEST, 7, NO_UNRESTRICTED, VMCS01, PASSED, "unrestricted guest") \
	C(__VA_ARGS__, PIN, EXTERNAL_INTERRUPT, 0, UNUSED, NO, PASSED, "external-interrupt exiting") \
	C(__VA_ARGS__, PIN, NMI_EXITING, 3, VMX_CONTROL, BOTH, MERGED, "NMI exiting") \
	C(__VA_ARGS__, PIN, VIRTUAL_NMIS, 5, VMX_CONTROL, BOTH, MERGED, "virtual NMIs") \
	C(__VA_ARGS__, PIN, PREEMPTION_TIMER, 6, OPTIONAL, NO, PASSED, "VMX-preemption timer") \
	C(__VA_ARGS__, PIN, POSTED_INTERRUPTS, 7, OPTIONAL, NO, PASSED, "posted interrupts") \
	C(__VA_ARGS__, PROC, INTERRUPT_WINDOW, 2, UNUSED, NO, PASSED, "interrupt-window exiting") \
	C(__VA_ARGS__, PROC, TSC_OFFSETTING, 3, UNUSED, NO, PASSED, "TSC offsetting") \
	C(__VA_ARGS__, PROC, HLT_EXITING, 7, UNUSED, NO, PASSED, "HLT exiting") \
	C(__VA_ARGS__, PROC, INVLPG_EXITING, 9, UNUSED, NO, PASSED, "INVLPG exiting") \
	C(__VA_ARGS__, PROC, MWAIT_EXITING, 10, UNUSED, NO, PASSED, "MWAIT exiting") \
	C(__VA_ARGS__, PROC, RDPMC_EXITING, 11, UNUSED, NO, PASSED, "RDPMC exiting") \
	C(__VA_ARGS__, PROC, RDTSC_EXITING, 12, UNUSED, NO, PASSED, "RDTSC exiting") \
	C(__VA_ARGS__, PROC, CR3_LOAD_EXITING, 15, UNUSED, NO, PASSED, "CR3-load exiting") \
	C(__VA_ARGS__, PROC, CR3_STORE_EXITING, 16, UNUSED, NO, PASSED, "CR3-store exiting") \
	C(__VA_ARGS__, PROC, TERTIARY, 17, UNUSED, NO, HIDDEN, "tertiary controls") \
	C(__VA_ARGS__, PROC, CR8_LOAD_EXITING, 19, UNUSED, NO, PASSED, "CR8-load exiting") \
	C(__VA_ARGS__, PROC, CR8_STORE_EXITING, 20, UNUSED, NO, PASSED, "CR8-store exiting") \
	C(__VA_ARGS__, PROC, TPR_SHADOW, 21, UNUSED, NO, PASSED, "TPR shadow") \
	C(__VA_ARGS__, PROC, NMI_WINDOW, 22, VMX_CONTROL, NO, PASSED, "NMI-window exiting") \
	C(__VA_ARGS__, PROC, MOV_DR_EXITING, 23, UNUSED, NO, PASSED, "MOV-DR exiting") \
	C(__VA_ARGS__, PROC, UNCONDITIONAL_IO, 24, UNUSED, NO, PASSED, "unconditional I/O exiting") \
	C(__VA_ARGS__, PROC, IO_BITMAPS, 25, VMX_CONTROL, NO, PASSED, "I/O bitmaps") \
	C(__VA_ARGS__, PROC, MTF, 27, VMX_CONTROL, NO, PASSED, "monitor trap flag") \
	C(__VA_ARGS__, PROC, MSR_BITMAPS, 28, VMX_CONTROL, BOTH, MERGED, "MSR bitmaps") \
	C(__VA_ARGS__, PROC, MONITOR_EXITING, 29, UNUSED, NO, PASSED, "MONITOR exiting") \
	C(__VA_ARGS__, PROC, PAUSE_EXITING, 30, UNUSED, NO, PASSED, "PAUSE exiting") \
	C(__VA_ARGS__, PROC2, APIC_ACCESS, 0, OPTIONAL, NO, PASSED, "virtualize APIC accesses") \
	C(__VA_ARGS__, PROC2, DESC_TABLE_EXITING, 2, OPTIONAL, NO, PASSED, "descriptor-table exiting") \
	C(__VA_ARGS__, PROC2, RDTSCP, 3, OPTIONAL, VMCS01, PASSED, "RDTSCP") \
	C(__VA_ARGS__, PROC2, VIRTUAL_X2APIC, 4, OPTIONAL, NO, PASSED, "virtualize x2APIC mode") \
	C(__VA_ARGS__, PROC2, VPID, 5, OPTIONAL, NO, MERGED, "VPID") \
	C(__VA_ARGS__, PROC2, WBINVD_EXITING, 6, UNUSED, NO, PASSED, "WBINVD exiting") \
	C(__VA_ARGS__, PROC2, APIC_REGISTER_VIRT, 8, OPTIONAL, NO, PASSED, "APIC-register virtualization") \
	C(__VA_ARGS__, PROC2, VIRTUAL_INTERRUPT, 9, OPTIONAL, NO, PASSED, "virtual-interrupt delivery") \
	C(__VA_ARGS__, PROC2, PAUSE_LOOP_EXITING, 10, UNUSED, NO, PASSED, "PAUSE-loop exiting") \
	C(__VA_ARGS__, PROC2, RDRAND_EXITING, 11, UNUSED, NO, PASSED, "RDRAND exiting") \
	C(__VA_ARGS__, PROC2, INVPCID, 12, OPTIONAL, VMCS01, PASSED, "INVPCID") \
	C(__VA_ARGS__, PROC2, VMFUNC, 13, OPTIONAL, NO, PASSED, "VM functions") \
	C(__VA_ARGS__, PROC2, VMCS_SHADOWING, 14, OPTIONAL, NO, MERGED, "VMCS shadowing") \
	C(__VA_ARGS__, PROC2, ENCLS_EXITING, 15, UNUSED, NO, HIDDEN, "ENCLS exiting") \
	C(__VA_ARGS__, PROC2, RDSEED_EXITING, 16, UNUSED, NO, PASSED, "RDSEED exiting") \
	C(__VA_ARGS__, PROC2, PML, 17, OPTIONAL, NO, MERGED, "page-modification logging") \
	C(__VA_ARGS__, PROC2, VE, 18, OPTIONAL, NO, MERGED, "#VE") \
	C(__VA_ARGS__, PROC2, CONCEAL_FROM_PT, 19, UNUSED, NO, HIDDEN, "conceal VMX from PT") \
	C(__VA_ARGS__, PROC2, XSAVES, 20, OPTIONAL, VMCS01, PASSED, "XSAVES") \
	C(__VA_ARGS__, PROC2, MODE_BASED_EXECUTE, 22, OPTIONAL, NO, PASSED, "mode-based execute control") \
	C(__VA_ARGS__, PROC2, SUB_PAGE_WRITE, 23, UNUSED, NO, HIDDEN, "sub-page write permissions") \
	C(__VA_ARGS__, PROC2, PT_GPA, 24, UNUSED, NO, HIDDEN, "PT uses guest-physical addresses") \
	C(__VA_ARGS__, PROC2, TSC_SCALING, 25, OPTIONAL, NO, PASSED, "TSC scaling") \
	C(__VA_ARGS__, PROC2, USER_WAIT_PAUSE, 26, OPTIONAL, VMCS01, PASSED, "user wait and pause") \
	C(__VA_ARGS__, PROC2, PCONFIG, 27, UNUSED, NO, HIDDEN, "PCONFIG") \
	C(__VA_ARGS__, PROC2, ENCLV_EXITING, 28, UNUSED, NO, HIDDEN, "ENCLV exiting") \
	C(__VA_ARGS__, EXIT, SAVE_DEBUG, 2, VMX_CONTROL, BOTH, MERGED, "save debug controls") \
	C(__VA_ARGS__, EXIT, HOST_64, 9, VMX_CONTROL, BOTH, MERGED, "64-bit host") \
	C(__VA_ARGS__, EXIT, LOAD_PERF_GLOBAL, 12, UNUSED, NO, MERGED, "load IA32_PERF_GLOBAL_CTRL at exit") \
	C(__VA_ARGS__, EXIT, ACK_INTERRUPT, 15, UNUSED, NO, PASSED, "acknowledge interrupt on exit") \
	C(__VA_ARGS__, EXIT, SAVE_PAT, 18, VMX_CONTROL, BOTH, MERGED, "save IA32_PAT") \
	C(__VA_ARGS__, EXIT, LOAD_PAT, 19, VMX_CONTROL, BOTH, MERGED, "load IA32_PAT at exit") \
	C(__VA_ARGS__, EXIT, SAVE_EFER, 20, VMX_CONTROL, BOTH, MERGED, "save IA32_EFER") \
	C(__VA_ARGS__, EXIT, LOAD_EFER, 21, VMX_CONTROL, BOTH, MERGED, "load IA32_EFER at exit") \
	C(__VA_ARGS__, EXIT, SAVE_PREEMPTION_TIMER, 22, UNUSED, NO, MERGED, "save VMX-preemption timer value") \
	/* Passed, this and "load IA32_PERF_GLOBAL_CTRL" would undo what L2 wrote to the MSR, at each exit that L0 handles. */ \
	C(__VA_ARGS__, EXIT, CLEAR_BNDCFGS, 23, UNUSED, NO, MERGED, "clear IA32_BNDCFGS") \
	C(__VA_ARGS__, EXIT, CONCEAL_FROM_PT, 24, UNUSED, NO, HIDDEN, "conceal VM exits from PT") \
	C(__VA_ARGS__, EXIT, CLEAR_RTIT_CTL, 25, UNUSED, NO, HIDDEN, "clear IA32_RTIT_CTL") \
	C(__VA_ARGS__, EXIT, LOAD_CET, 28, UNUSED, NO, HIDDEN, "load CET state at exit") \
	C(__VA_ARGS__, EXIT, LOAD_PKRS, 29, UNUSED, NO, HIDDEN, "load PKRS at exit") \
	C(__VA_ARGS__, EXIT, SECONDARY, 31, UNUSED, NO, HIDDEN, "secondary exit controls") \
	C(__VA_ARGS__, ENTRY, LOAD_DEBUG, 2, VMX_CONTROL, BOTH, MERGED, "load debug controls") \
	C(__VA_ARGS__, ENTRY, IA32E_GUEST, 9, VMX_CONTROL, NO, PASSED, "IA-32e mode guest") \
	C(__VA_ARGS__, ENTRY, SMM, 10, UNUSED, NO, HIDDEN, "entry to SMM") \
	C(__VA_ARGS__, ENTRY, DEACTIVATE_DUAL_MONITOR, 11, UNUSED, NO, HIDDEN, "deactivate dual-monitor treatment") \
	C(__VA_ARGS__, ENTRY, LOAD_PERF_GLOBAL, 13, UNUSED, NO, MERGED, "load IA32_PERF_GLOBAL_CTRL at entry") \
	C(__VA_ARGS__, ENTRY, LOAD_PAT, 14, VMX_CONTROL, BOTH, MERGED, "load IA32_PAT at entry") \
	C(__VA_ARGS__, ENTRY, LOAD_EFER, 15, VMX_CONTROL, BOTH, MERGED, "load IA32_EFER at entry") \
	C(__VA_ARGS__, ENTRY, LOAD_BNDCFGS, 16, UNUSED, NO, PASSED, "load IA32_BNDCFGS at entry") \
	C(__VA_ARGS__, ENTRY, CONCEAL_FROM_PT, 17, UNUSED, NO, HIDDEN, "conceal VM entries from PT") \
	C(__VA_ARGS__, ENTRY, LOAD_RTIT_CTL, 18, UNUSED, NO, HIDDEN, "load IA32_RTIT_CTL") \
	C(__VA_ARGS__, ENTRY, LOAD_CET, 20, UNUSED, NO, HIDDEN, "load CET state at entry") \
	C(__VA_ARGS__, ENTRY, LOAD_PKRS, 22, UNUSED, NO, HIDDEN, "load PKRS at entry")

/* clang-format on */

enum { WORD_PIN, WORD_PROC, WORD_PROC2, WORD_EXIT, WORD_ENTRY, WORD_COUNT };
enum { L0_NO = 1, L0_BOTH = 2, L0_VMCS01 = 4, L0_ANY = 7 };
enum { L1_HIDDEN = 1, L1_PASSED = 2, L1_MERGED = 4, L1_OFFERED = L1_PASSED | L1_MERGED, L1_ANY = 7 };

/* The bits: PIN_NMI_EXITING, PROC_MTF, PROC2_EPT, EXIT_HOST_64, ENTRY_LOAD_EFER... */
#define CONTROL_BIT(unused, word, name, bit, need, l0, l1, text) word##_##name = 1u << (bit),
enum { CONTROLS(CONTROL_BIT, 0) };
#undef CONTROL_BIT

/* A constant: the bits of one word (WORD_*) whose columns l0 and l1 are in the two sets (L0_*, L1_*). */
#define CONTROLS_WITH(word, l0s, l1s) (0u CONTROLS(CONTROL_IF, word, l0s, l1s))
#define CONTROL_IF(in_word, l0s, l1s, word, name, bit, need, l0, l1, text)                                   \
	| (WORD_##word == (in_word) && (L0_##l0 & (l0s)) && (L1_##l1 & (l1s)) ? 1u << (bit) : 0u)

#endif
