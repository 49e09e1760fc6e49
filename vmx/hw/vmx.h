/* SPDX-License-Identifier: MIT */
/*
 * Names of VMX: control bits, interruption-information fields, activity
 * states, VM-instruction errors.  Constants only; SDM spelling.
 * SDM: "Virtual Machine Control Structures", "VM Instruction Error Numbers".
 */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "kernel/bits.h"
#include "kernel/types.h"

/* Pin-based VM-execution controls */
#define PIN_EXTERNAL_INTERRUPT BIT(0)
#define PIN_NMI_EXITING BIT(3)
#define PIN_VIRTUAL_NMIS BIT(5)
#define PIN_PREEMPTION_TIMER BIT(6)
#define PIN_POSTED_INTERRUPTS BIT(7)

/* Primary processor-based VM-execution controls */
#define PROC_INTERRUPT_WINDOW BIT(2)
#define PROC_TSC_OFFSETTING BIT(3)
#define PROC_HLT_EXITING BIT(7)
#define PROC_INVLPG_EXITING BIT(9)
#define PROC_MWAIT_EXITING BIT(10)
#define PROC_RDPMC_EXITING BIT(11)
#define PROC_RDTSC_EXITING BIT(12)
#define PROC_CR3_LOAD_EXITING BIT(15)
#define PROC_CR3_STORE_EXITING BIT(16)
#define PROC_TERTIARY BIT(17)
#define PROC_CR8_LOAD_EXITING BIT(19)
#define PROC_CR8_STORE_EXITING BIT(20)
#define PROC_TPR_SHADOW BIT(21)
#define PROC_NMI_WINDOW BIT(22)
#define PROC_MOV_DR_EXITING BIT(23)
#define PROC_UNCONDITIONAL_IO BIT(24)
#define PROC_IO_BITMAPS BIT(25)
#define PROC_MTF BIT(27)
#define PROC_MSR_BITMAPS BIT(28)
#define PROC_MONITOR_EXITING BIT(29)
#define PROC_PAUSE_EXITING BIT(30)
#define PROC_SECONDARY BIT(31)

/* Secondary processor-based VM-execution controls */
#define PROC2_APIC_ACCESS BIT(0)
#define PROC2_EPT BIT(1)
#define PROC2_DESC_TABLE_EXITING BIT(2)
#define PROC2_RDTSCP BIT(3)
#define PROC2_VIRTUAL_X2APIC BIT(4)
#define PROC2_VPID BIT(5)
#define PROC2_WBINVD_EXITING BIT(6)
#define PROC2_UNRESTRICTED_GUEST BIT(7)
#define PROC2_APIC_REGISTER_VIRT BIT(8)
#define PROC2_VIRTUAL_INTERRUPT BIT(9)
#define PROC2_PAUSE_LOOP_EXITING BIT(10)
#define PROC2_RDRAND_EXITING BIT(11)
#define PROC2_INVPCID BIT(12)
#define PROC2_VMFUNC BIT(13)
#define PROC2_VMCS_SHADOWING BIT(14)
#define PROC2_ENCLS_EXITING BIT(15)
#define PROC2_RDSEED_EXITING BIT(16)
#define PROC2_PML BIT(17)
#define PROC2_VE BIT(18)
#define PROC2_CONCEAL_FROM_PT BIT(19)
#define PROC2_XSAVES BIT(20)
#define PROC2_MODE_BASED_EXECUTE BIT(22)
#define PROC2_SUB_PAGE_WRITE BIT(23)
#define PROC2_PT_GPA BIT(24)
#define PROC2_TSC_SCALING BIT(25)
#define PROC2_USER_WAIT_PAUSE BIT(26)
#define PROC2_PCONFIG BIT(27)
#define PROC2_ENCLV_EXITING BIT(28)

/* VM-exit controls */
#define EXIT_SAVE_DEBUG BIT(2)
#define EXIT_HOST_64 BIT(9)
#define EXIT_LOAD_PERF_GLOBAL BIT(12)
#define EXIT_ACK_INTERRUPT BIT(15)
#define EXIT_SAVE_PAT BIT(18)
#define EXIT_LOAD_PAT BIT(19)
#define EXIT_SAVE_EFER BIT(20)
#define EXIT_LOAD_EFER BIT(21)
#define EXIT_SAVE_PREEMPTION_TIMER BIT(22)
#define EXIT_CLEAR_BNDCFGS BIT(23)
#define EXIT_CONCEAL_FROM_PT BIT(24)
#define EXIT_CLEAR_RTIT_CTL BIT(25)
#define EXIT_LOAD_CET BIT(28)
#define EXIT_LOAD_PKRS BIT(29)
#define EXIT_SECONDARY BIT(31)

/* VM-entry controls */
#define ENTRY_LOAD_DEBUG BIT(2)
#define ENTRY_IA32E_GUEST BIT(9)
#define ENTRY_SMM BIT(10)
#define ENTRY_DEACTIVATE_DUAL_MONITOR BIT(11)
#define ENTRY_LOAD_PERF_GLOBAL BIT(13)
#define ENTRY_LOAD_PAT BIT(14)
#define ENTRY_LOAD_EFER BIT(15)
#define ENTRY_LOAD_BNDCFGS BIT(16)
#define ENTRY_CONCEAL_FROM_PT BIT(17)
#define ENTRY_LOAD_RTIT_CTL BIT(18)
#define ENTRY_LOAD_CET BIT(20)
#define ENTRY_LOAD_PKRS BIT(22)

/* Interruption information: VM entry, VM exit, IDT vectoring (same layout) */
#define INTR_INFO_VECTOR 0xffu
#define INTR_INFO_TYPE_SHIFT 8
#define INTR_INFO_TYPE (7u << INTR_INFO_TYPE_SHIFT)
#define INTR_INFO_ERROR_CODE BIT(11)
#define INTR_INFO_NMI_UNBLOCKING BIT(12)
#define INTR_INFO_VALID BIT(31)

enum intr_type {
	INTR_TYPE_EXTERNAL = 0,
	INTR_TYPE_NMI = 2,
	INTR_TYPE_HARD_EXCEPTION = 3,
	INTR_TYPE_SOFT_INTERRUPT = 4,
	INTR_TYPE_PRIVILEGED_SOFT_EXCEPTION = 5, /* INT1 */
	INTR_TYPE_SOFT_EXCEPTION = 6,		 /* INT3, INTO */
	INTR_TYPE_OTHER = 7,			 /* MTF */
};

/* Guest interruptibility state */
#define INTERRUPTIBILITY_STI BIT(0)
#define INTERRUPTIBILITY_MOV_SS BIT(1)
#define INTERRUPTIBILITY_SMI BIT(2)
#define INTERRUPTIBILITY_NMI BIT(3)
#define INTERRUPTIBILITY_ENCLAVE BIT(4)

/* Guest activity state */
enum activity_state { ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_FOR_SIPI };

/* Pending debug exceptions */
#define PENDING_DEBUG_B (BIT(0) | BIT(1) | BIT(2) | BIT(3))
#define PENDING_DEBUG_BLD BIT(11)
#define PENDING_DEBUG_ENABLED_BP BIT(12)
#define PENDING_DEBUG_BS BIT(14)
#define PENDING_DEBUG_RTM BIT(16)

#define EXIT_REASON_ENTRY_FAILURE BIT(31)

/* Access rights of a segment in the VMCS */
#define AR_TYPE 0xfu
#define AR_S BIT(4)
#define AR_DPL_SHIFT 5
#define AR_DPL (3u << AR_DPL_SHIFT)
#define AR_P BIT(7)
#define AR_AVL BIT(12)
#define AR_L BIT(13)
#define AR_DB BIT(14)
#define AR_G BIT(15)
#define AR_UNUSABLE BIT(16)

/* EPT pointer and entries */
#define EPTP_MEMTYPE 7u
#define EPTP_WALK_SHIFT 3
#define EPTP_WALK (7u << EPTP_WALK_SHIFT)
#define EPTP_AD BIT(6)
#define EPT_READ BIT(0)
#define EPT_WRITE BIT(1)
#define EPT_EXEC BIT(2)
#define EPT_RWX (EPT_READ | EPT_WRITE | EPT_EXEC)
#define EPT_MEMTYPE_SHIFT 3
#define EPT_MEMTYPE (7u << EPT_MEMTYPE_SHIFT)
#define EPT_IGNORE_PAT BIT(6)
#define EPT_LEAF BIT(7)
#define EPT_ACCESSED BIT(8)
#define EPT_DIRTY BIT(9)
#define EPT_USER_EXEC BIT(10)
#define EPT_SUPPRESS_VE BIT(63)

/* EPT-violation exit qualification */
#define EPTV_READ BIT(0)
#define EPTV_WRITE BIT(1)
#define EPTV_FETCH BIT(2)
#define EPTV_PERM_SHIFT 3 /* bits 5:3 = R, W, X of the translation */
#define EPTV_PERM_USER_EXEC BIT(6)
#define EPTV_LINEAR_VALID BIT(7)
#define EPTV_TRANSLATED BIT(8) /* access to the final address, not a walk */
#define EPTV_USER BIT(9)       /* advanced information */
#define EPTV_RW_PAGE BIT(10)
#define EPTV_NX_PAGE BIT(11)
#define EPTV_NMI_UNBLOCKING BIT(12)

/* INVEPT and INVVPID types */
enum { INVEPT_SINGLE = 1, INVEPT_ALL = 2 };
enum { INVVPID_ADDRESS = 0, INVVPID_SINGLE = 1, INVVPID_ALL = 2, INVVPID_RETAIN_GLOBALS = 3 };

/* SDM: "VM Instruction Error Numbers" */
enum vmx_error {
	VMXERR_VMCALL_IN_ROOT = 1,
	VMXERR_VMCLEAR_ADDRESS = 2,
	VMXERR_VMCLEAR_VMXON_POINTER = 3,
	VMXERR_VMLAUNCH_NOT_CLEAR = 4,
	VMXERR_VMRESUME_NOT_LAUNCHED = 5,
	VMXERR_VMRESUME_AFTER_VMXOFF = 6,
	VMXERR_ENTRY_CONTROLS = 7,
	VMXERR_ENTRY_HOST_STATE = 8,
	VMXERR_VMPTRLD_ADDRESS = 9,
	VMXERR_VMPTRLD_VMXON_POINTER = 10,
	VMXERR_VMPTRLD_REVISION = 11,
	VMXERR_UNSUPPORTED_FIELD = 12,
	VMXERR_READ_ONLY_FIELD = 13,
	VMXERR_VMXON_IN_ROOT = 15,
	VMXERR_ENTRY_MOV_SS = 26,
	VMXERR_INVALID_OPERAND = 28,
};

/* VM-entry failure qualifications (exit reason 33) */
enum { ENTRY_FAIL_DEFAULT = 0, ENTRY_FAIL_PDPTE = 2, ENTRY_FAIL_NMI = 3, ENTRY_FAIL_LINK_POINTER = 4 };

/* SDM: "VMX Aborts" */
enum vmx_abort {
	VMX_ABORT_STORE_MSR = 1,
	VMX_ABORT_HOST_PDPTE = 2,
	VMX_ABORT_VMCS_CORRUPT = 3,
	VMX_ABORT_LOAD_MSR = 4,
	VMX_ABORT_MCE = 5,
	VMX_ABORT_HOST_LONG_MODE = 6,
};

#define VMCS_SHADOW_INDICATOR BIT(31) /* in the first word of a VMCS region */

enum exit_reason {
#define X(number, name, handler, wants) EXIT_##name = number,
#include "vmx/exits.def"
#undef X
	EXIT_REASON_COUNT = 80,
};

#endif
