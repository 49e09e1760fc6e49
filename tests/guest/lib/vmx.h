/* SPDX-License-Identifier: MIT */
/*
 * VMX for the guest tests: fields, controls, capabilities (vmx.c); a guest of ours with sane defaults in
 * every operating mode, and its run (vm.c, vm_entry.S); EPT tables (ept.c).
 */
#ifndef TESTS_GUEST_LIB_VMX_H
#define TESTS_GUEST_LIB_VMX_H

#include "tests/guest/lib/trap.h"

enum field {
#define FIELD(encoding, name) F_##name = encoding,
#include "tests/guest/lib/fields.def"
#undef FIELD
};

#define PIN_EXTINT BIT(0)
#define PIN_NMI BIT(3)
#define PIN_VNMI BIT(5)
#define PIN_TIMER BIT(6)
#define PIN_POSTED BIT(7)

#define PROC_INTR_WINDOW BIT(2)
#define PROC_TSC_OFFSET BIT(3)
#define PROC_HLT BIT(7)
#define PROC_INVLPG BIT(9)
#define PROC_MWAIT BIT(10)
#define PROC_RDPMC BIT(11)
#define PROC_RDTSC BIT(12)
#define PROC_CR3_LOAD BIT(15)
#define PROC_CR3_STORE BIT(16)
#define PROC_TERTIARY BIT(17)
#define PROC_CR8_LOAD BIT(19)
#define PROC_CR8_STORE BIT(20)
#define PROC_TPR_SHADOW BIT(21)
#define PROC_NMI_WINDOW BIT(22)
#define PROC_MOV_DR BIT(23)
#define PROC_IO BIT(24)
#define PROC_IO_BITMAPS BIT(25)
#define PROC_MTF BIT(27)
#define PROC_MSR_BITMAPS BIT(28)
#define PROC_MONITOR BIT(29)
#define PROC_PAUSE BIT(30)
#define PROC_SECONDARY BIT(31)

#define PROC2_APIC_ACCESS BIT(0)
#define PROC2_EPT BIT(1)
#define PROC2_DESC BIT(2)
#define PROC2_RDTSCP BIT(3)
#define PROC2_X2APIC BIT(4)
#define PROC2_VPID BIT(5)
#define PROC2_WBINVD BIT(6)
#define PROC2_UNRESTRICTED BIT(7)
#define PROC2_APIC_REGISTER BIT(8)
#define PROC2_VINTR BIT(9)
#define PROC2_PLE BIT(10)
#define PROC2_RDRAND BIT(11)
#define PROC2_INVPCID BIT(12)
#define PROC2_VMFUNC BIT(13)
#define PROC2_SHADOW BIT(14)
#define PROC2_ENCLS BIT(15)
#define PROC2_RDSEED BIT(16)
#define PROC2_PML BIT(17)
#define PROC2_VE BIT(18)
#define PROC2_XSAVES BIT(20)
#define PROC2_MBEC BIT(22)
#define PROC2_TSC_SCALING BIT(25)
#define PROC2_USER_WAIT BIT(26)

#define EXIT_SAVE_DEBUG BIT(2)
#define EXIT_HOST64 BIT(9)
#define EXIT_LOAD_PERF BIT(12)
#define EXIT_ACK BIT(15)
#define EXIT_SAVE_PAT BIT(18)
#define EXIT_LOAD_PAT BIT(19)
#define EXIT_SAVE_EFER BIT(20)
#define EXIT_LOAD_EFER BIT(21)
#define EXIT_SAVE_TIMER BIT(22)

#define ENTRY_LOAD_DEBUG BIT(2)
#define ENTRY_IA32E BIT(9)
#define ENTRY_LOAD_PERF BIT(13)
#define ENTRY_LOAD_PAT BIT(14)
#define ENTRY_LOAD_EFER BIT(15)

enum reason {
	REASON_EXCEPTION = 0,
	REASON_EXTINT = 1,
	REASON_TRIPLE = 2,
	REASON_INIT = 3,
	REASON_SIPI = 4,
	REASON_INTR_WINDOW = 7,
	REASON_NMI_WINDOW = 8,
	REASON_TASK_SWITCH = 9,
	REASON_CPUID = 10,
	REASON_HLT = 12,
	REASON_INVD = 13,
	REASON_INVLPG = 14,
	REASON_RDPMC = 15,
	REASON_RDTSC = 16,
	REASON_VMCALL = 18,
	REASON_VMCLEAR = 19,
	REASON_VMREAD = 23,
	REASON_VMWRITE = 25,
	REASON_CR = 28,
	REASON_DR = 29,
	REASON_IO = 30,
	REASON_RDMSR = 31,
	REASON_WRMSR = 32,
	REASON_BAD_STATE = 33,
	REASON_BAD_MSR = 34,
	REASON_MWAIT = 36,
	REASON_MTF = 37,
	REASON_MONITOR = 39,
	REASON_PAUSE = 40,
	REASON_TPR = 43,
	REASON_APIC_ACCESS = 44,
	REASON_EOI = 45,
	REASON_GDTR_IDTR = 46,
	REASON_LDTR_TR = 47,
	REASON_EPT_VIOLATION = 48,
	REASON_EPT_MISCONFIG = 49,
	REASON_INVEPT = 50,
	REASON_RDTSCP = 51,
	REASON_TIMER = 52,
	REASON_INVVPID = 53,
	REASON_WBINVD = 54,
	REASON_XSETBV = 55,
	REASON_APIC_WRITE = 56,
	REASON_RDRAND = 57,
	REASON_INVPCID = 58,
	REASON_VMFUNC = 59,
	REASON_RDSEED = 61,
	REASON_PML_FULL = 62,
	REASON_XSAVES = 63,
	REASON_XRSTORS = 64,
	REASON_UMWAIT = 67,
	REASON_TPAUSE = 68,
};
#define REASON_FAILED_ENTRY BIT(31)

/* Entry did not happen: VM_FAIL + 0 is VMfailInvalid, VM_FAIL + n is VMfailValid(n). */
#define VM_FAIL 0x40000000u

#define INTR_VALID BIT(31)
#define INTR_EXTERNAL (0ull << 8)
#define INTR_NMI (2ull << 8)
#define INTR_HARD (3ull << 8)
#define INTR_SOFT (4ull << 8)
#define INTR_PRIV (5ull << 8)
#define INTR_SOFT_EXC (6ull << 8)
#define INTR_OTHER (7ull << 8)
#define INTR_CODE BIT(11)

#define BLOCK_STI BIT(0)
#define BLOCK_MOV_SS BIT(1)
#define BLOCK_SMI BIT(2)
#define BLOCK_NMI BIT(3)

enum activity { ACTIVE, HLT, SHUTDOWN, WAIT_FOR_SIPI };

/* The capability MSRs, read once; the true ones where the processor has them. */
struct vmx_caps {
	u64 basic, pin, proc, proc2, exit, entry, misc, ept_vpid, vmfunc;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};
extern struct vmx_caps caps;

#define EPT_CAP_EXEC_ONLY BIT(0)
#define EPT_CAP_2M BIT(16)
#define EPT_CAP_1G BIT(17)
#define EPT_CAP_INVEPT BIT(20)
#define EPT_CAP_AD BIT(21)
#define EPT_CAP_ADVANCED BIT(22)
#define EPT_CAP_INVVPID BIT(32)

bool vmx_supported(void);
void vmx_caps_read(void);
static inline bool caps_pin(u64 bits)
{
	return (caps.pin >> 32 & bits) == bits;
}
static inline bool caps_proc(u64 bits)
{
	return (caps.proc >> 32 & bits) == bits;
}
static inline bool caps_proc2(u64 bits)
{
	return (caps.proc2 >> 32 & bits) == bits;
}
static inline bool caps_exit(u64 bits)
{
	return (caps.exit >> 32 & bits) == bits;
}
static inline bool caps_entry(u64 bits)
{
	return (caps.entry >> 32 & bits) == bits;
}
static inline u64 caps_adjust(u64 cap, u64 want)
{
	return (want & cap >> 32) | (u32)cap;
}

u64 vmx_region(void);		/* a new page with the revision identifier */
extern u64 vmx_region_area;	/* where such pages come from, if not 0: their contents differ by platform */
void vmx_enable(void);		/* CR4.VMXE, FEATURE_CONTROL, VMXON on this CPU */
void vmx_disable(void);		/* VMXOFF if on; CR4 as before */
u64 vmread(u64 field);		/* all ones where the field fails */
void vmwrite(u64 field, u64 v); /* a failure counts as a failed check */
void vmset(u64 field, u64 bits);
void vmunset(u64 field, u64 bits);
u32 vmx_error(void);
const char *vmx_result_name(enum vmx_result r, char buf[48]);

enum vm_mode {
	VM_64,
	VM_COMPAT,
	VM_PAE,
	VM_32,
	VM_PROTECTED,
	VM_REAL,
	VM_V86,
	VM_MODES,
};
extern const char *const vm_mode_names[VM_MODES];

#define VM_EPT BIT(0) /* identity EPT of its own */
#define VM_VPID BIT(1)

/* One guest: its VMCS is kept current by vm_create(), vm_current() and vm_run(). */
struct vm {
	struct gprs regs; /* all but RSP, which is in the VMCS */
	u64 vmcs;
	bool launched;
	enum vm_mode mode;
	u64 ept;		   /* root table's page, 0 without */
	u64 stack;		   /* top */
	u64 stubs;		   /* the page of L2's handlers */
	u64 msr_bitmap, io_bitmap; /* pages, all clear; used by vm_use_*() */
};

extern u8 vm_exit_stub[];

void vm_create(struct vm *vm, enum vm_mode mode, u64 flags, const void *code);
bool vm_mode_possible(enum vm_mode mode);
void vm_current(struct vm *vm);
u32 vm_run(struct vm *vm);   /* exit reason with bit 31, or VM_FAIL + n */
void vm_skip(struct vm *vm); /* RIP past the instruction that exited; blocking by STI and MOV SS ends */
void vm_use_msr_bitmap(struct vm *vm);
void vm_use_io_bitmaps(struct vm *vm);
void vm_set_code(struct vm *vm, const void *code);
u64 vm_pc(struct vm *vm); /* RIP relative to the code last set */

/* RESULT line about the last exit: reason, qualification, and what else is defined for that reason. */
void vm_report(struct vm *vm, u32 reason, const char *what);

/* L2's IDT (or IVT): each vector's handler is a VMCALL and an IRET in this page, at vector * 16. */
u32 vm_vector(struct vm *vm);	       /* after a VMCALL exit: which handler it was, 256 if none */
void vm_iret(struct vm *vm);	       /* goes on behind that VMCALL */
u64 vm_stack(struct vm *vm, u32 slot); /* a slot of the mode's width on L2's stack */

/* Code of L2, in place in the image for all but real mode and v86, for which vm_set_code() copies it. */
#define GUEST_CODE(name, bits, text)                                                                         \
	extern const u8 name[];                                                                              \
	asm(".pushsection .guest_code,\"ax\"\n\t.balign 16\n\t.code" #bits "\n\t.global " #name "\n" #name   \
	    ":\n\t" text "\n\t.code64\n\t.popsection")

enum { LOW_CODE = 0x10000, LOW_STUBS = 0x12000, LOW_STACK = 0x13000 }; /* real mode and v86 */

/* nmi.c: NMIs are blocked for L1 as after an exit by one, and another waits for the next entry. */
void nmi_block_and_hold(void);
void nmi_unblock(void);

/* ept.c */
#define EPT_R BIT(0)
#define EPT_W BIT(1)
#define EPT_X BIT(2)
#define EPT_RWX (EPT_R | EPT_W | EPT_X)
#define EPT_WB (6ull << 3)
#define EPT_PAT BIT(6)
#define EPT_PS BIT(7)
#define EPT_A BIT(8)
#define EPT_D BIT(9)
#define EPTP_FLAGS (6ull | 3ull << 3)
#define EPTP_AD BIT(6)

u64 ept_create(void); /* identity, 4 GiB, the largest pages the processor has up to 2 MiB */
u64 *ept_entry(u64 root, u64 gpa, int level); /* makes tables and splits large pages on the way */
void ept_map(u64 root, u64 gpa, u64 hpa, int level, u64 flags);

#endif
