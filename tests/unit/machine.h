/* SPDX-License-Identifier: MIT */
/*
 * All of Socle's vmx/ on the fake processor: a vCPU that really runs its run loop, where each entry into the
 * guest ends in the exit that the test asked for. L1 is in 64-bit mode with an identity map, and "executes"
 * VMX instructions by the exits that they are; with VMCS shadowing its VMREADs and VMWRITEs go to the shadow
 * VMCS as on a processor.
 */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H

#include "tests/fake/fake.h"
#include "vmx/guest/event.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/entry/bitmaps.h"
#include "vmx/nested/entry/check.h"
#include "vmx/nested/entry/entry.h"
#include "vmx/nested/entry/entry_fast.h"
#include "vmx/nested/entry/io_bitmaps.h"
#include "vmx/nested/entry/merge.h"
#include "vmx/nested/entry/msr_area.h"
#include "vmx/nested/entry/timer.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/ept/ept12.h"
#include "vmx/nested/ept/ve.h"
#include "vmx/nested/ept/vpid.h"
#include "vmx/nested/exit/event.h"
#include "vmx/nested/exit/exit.h"
#include "vmx/nested/exit/exit_wanted.h"
#include "vmx/nested/exit/host_state.h"
#include "vmx/nested/exit/leave.h"
#include "vmx/nested/exit/reflect.h"
#include "vmx/nested/explain/fail.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/insn/insn.h"
#include "vmx/nested/state.h"
#include "vmx/nested/vmcs12/addresses.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/exit_record.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/nested/vmcs12/slots.h"
#include "vmx/nested/nested.h"
#include "vmx/guest/vcpu.h"
#include "vmx/create.h"
#include "vmx/carry_out.h"
#include "vmx/run.h"

/* Where things are in L1's memory. */
#define M_OPERAND 0x10000
/* The VM-exit instruction information of a memory operand whose address is the displacement; of registers. */
#define INFO_MEMORY (2u << 7 | 3u << 15 | 1u << 22 | 1u << 27)
#define INFO_REGISTERS(reg1, reg2) (1u << 10 | (u32)(reg1) << 3 | (u32)(reg2) << 28)
#define M_VMXON 0x20000
#define M_VMCS(n) (0x21000u + (n)*0x1000u)
#define M_SPARE 0x100000 /* the test's own, to 0x1000000 */
#define M_RAM_END 0x10000000
#define M_WINDOW 0x8000000
#define M_WINDOW_SIZE 0x8000000

extern struct vcpu *machine_vcpu;

/* Powers the fake processor on and starts the vCPU, with Socle's options as on its command line. */
void machine_init(const char *options);
/* For what must differ before Socle looks: called after the fake's reset, if not NULL. */
extern void (*machine_before_start)(void);
/* Memory besides: called when the memory map is there and before anything is made of it, if not NULL. */
extern void (*machine_more_memory)(void);

struct machine_exit {
	u32 reason;
	u64 qualification;
	u32 length; /* 0: 3 */
	u32 info;   /* of the instruction */
	u32 intr_info, intr_error_code;
	u32 vectoring_info, vectoring_error_code;
	u64 guest_physical, guest_linear;
};

/* The guest runs, ends in this exit, and Socle handles it up to the next entry. */
void machine_exit(const struct machine_exit *exit);
#define EXIT_NOW(...) machine_exit(&(const struct machine_exit){ __VA_ARGS__ })
/* So many entries after the next exit are refused with this VM-instruction error. */
extern u32 machine_refusals, machine_refusal;
/* Interruption information of the last entry, as the processor found it: 0 if nothing was injected. */
extern u32 machine_injected, machine_injected_error_code;
/* Lets the guest be entered and exit by VMCALL-like nothing: what was pending is injected now. */
u32 machine_pending(void);

/* The exit of L2 that would be in hand now, for who looks at it; nothing is handled or changed. */
struct vcpu *machine_exit_in_hand(u32 reason, u64 qualification);

/* A register or field of the guest that would run next. */
u64 machine_field(u32 field);
void machine_set_field(u32 field, u64 value);
/* Of vmcs01, whatever is current. */
u64 machine_field01(u32 field);
bool machine_in_l2(void);

u64 l1_read64(u64 gpa);
void l1_write64(u64 gpa, u64 value);
void l1_write32(u64 gpa, u32 value);

/* ---- L1's VMX instructions. The outcome: 0 success, -1 VMfailInvalid, else the VM-instruction error; 1000 +
 * vector: an exception. ---- */
#define L1_FAIL_INVALID (-1)
#define L1_FAULT(vector) (1000 + (vector))
int l1_memory_insn(u32 reason, u64 operand); /* VMXON, VMCLEAR, VMPTRLD with this 64-bit operand */
int l1_vmptrst(u64 *value);
int l1_vmxoff(void);
int l1_vmread(u64 field, u64 *value);
int l1_vmwrite(u64 field, u64 value);
int l1_invalidate(u32 reason, u64 type, u64 first, u64 second);
/* 0: L2 runs now; exit reasons of failed entries are read by l1_vmread(). */
int l1_enter(u32 reason);

/* VMXON, VMCLEAR, VMPTRLD of M_VMCS(n) (its revision set). */
void l1_start_vmx(void);
void l1_load_vmcs(unsigned int n);
/* All fields that make a 64-bit L2 without EPT12, of L1's own memory. */
void l1_write_valid_vmcs(void);
/* The three together, and VMLAUNCH. */
void l1_run_l2(void);

/* ---- tests on a machine: each in a process of its own, since Socle's start cannot be undone ---- */
struct machine_test {
	void (*body)(void **state);
	const char *options;
	void (*before_start)(void); /* see machine_before_start */
};
/* A cmocka test function; its initial state is a struct machine_test. */
void machine_test_run(void **state);

#define MACHINE_TEST_BEFORE(test, options_, before)                                                          \
	{                                                                                                    \
#test " (" options_ ")", machine_test_run, NULL, NULL, &(struct machine_test)                \
		{                                                                                            \
			test, options_, before                                                               \
		}                                                                                            \
	}
#define MACHINE_TEST(test, options) MACHINE_TEST_BEFORE(test, options, NULL)
/* With the processor's VMCS shadowing and without. */
#define MACHINE_TEST_BOTH(test) MACHINE_TEST(test, "shadow-vmcs=on"), MACHINE_TEST(test, "shadow-vmcs=off")

#endif
