/* SPDX-License-Identifier: MIT */
/*
 * Names of VMX: capability bits, interruption-information fields, activity
 * states, VM-instruction errors.  Constants only; SDM spelling. The controls are controls.h's.
 * SDM: "Virtual Machine Control Structures", "VM Instruction Error Numbers".
 */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "kernel/bits.h"
#include "kernel/types.h"
#include "vmx/hw/controls.h"

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

/* IA32_VMX_BASIC */
#define VMX_BASIC_MEMORY_TYPE GENMASK(53, 50) /* of the regions that the processor reads and writes */
#define VMX_BASIC_INS_OUTS_INFO BIT(54)
#define VMX_BASIC_TRUE_CONTROLS BIT(55)
#define VMX_BASIC_ANY_ERROR_CODE BIT(56) /* hardware exceptions are injected with or without one */
#define VMX_BASIC_REGION_SIZE_SHIFT 32

/* IA32_VMX_MISC */
#define VMX_MISC_TIMER_RATE GENMASK(4, 0)
#define VMX_MISC_STORES_LMA BIT(5) /* an exit stores LMA in "IA-32e mode guest" */
#define VMX_MISC_ACTIVITY(state) BIT(5 + (state))
#define VMX_MISC_ACTIVITIES GENMASK(8, 6)
#define VMX_MISC_CR3_TARGETS(misc) (((misc) >> 16) & 0x1ff)
#define VMX_MISC_CR3_TARGETS_MASK GENMASK(24, 16)
#define VMX_MISC_MSR_LIST_LENGTH GENMASK(27, 25)
#define VMX_MISC_VMWRITE_ANY BIT(29)
#define VMX_MISC_ZERO_LENGTH BIT(30) /* injection with instruction length 0 */

/* IA32_VMX_EPT_VPID_CAP */
#define EPT_CAP_EXEC_ONLY BIT(0)
#define EPT_CAP_WALK_4 BIT(6)
#define EPT_CAP_WALK_5 BIT(7)
#define EPT_CAP_UC BIT(8)
#define EPT_CAP_WB BIT(14)
#define EPT_CAP_2M BIT(16)
#define EPT_CAP_1G BIT(17)
#define EPT_CAP_INVEPT BIT(20)
#define EPT_CAP_AD BIT(21)
#define EPT_CAP_ADVANCED BIT(22) /* advanced information of EPT violations */
#define EPT_CAP_INVEPT_TYPE(type) BIT(24 + (type))
#define VPID_CAP_INVVPID BIT(32)
#define VPID_CAP_INVVPID_TYPE(type) BIT(40 + (type))

/* IA32_VMX_VMFUNC, and the VM-function controls */
#define VMFUNC_EPTP_SWITCHING 0 /* EAX of the function; its bit: BIT(VMFUNC_EPTP_SWITCHING) */

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

/* What exits.def says of a reason; its table has FACT_ROW in each row that there is. */
enum exit_fact {
	FACT_QUAL = 1,
	FACT_LENGTH = 2,
	FACT_INFO = 4,
	FACT_LINEAR = 8,
	FACT_PHYSICAL = 16,
	FACT_EVENT = 32,
	FACT_BREAKS = 64,
	FACT_TRACED = 128,
	FACT_ROW = 256,
	FACT_INSN = 512,
	FACT_STRING = 1024,
};
#define IO_QUALIFICATION_STRING BIT(4)

enum exit_reason {
#define X(number, name, handler, wants, facts) EXIT_##name = number,
#include "vmx/hw/exits.def"
#undef X
	EXIT_REASON_COUNT = 80,
};

/* The virtual TPR, in the virtual-APIC page. */
#define VTPR_OFFSET 0x80

#endif
