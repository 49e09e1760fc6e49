/* SPDX-License-Identifier: MIT */
/*
 * Does L1 want an exit of L2's that depends on the instruction's operand: on a port, an MSR, a control
 * register and its value, a field of a VMCS?  Predicates of vmx/hw/exits.def. L1's bitmaps are read from L1's
 * pages, for the merged ones say only that somebody wants the exit. SDM: "Instructions That Cause VM Exits
 * Conditionally".
 */
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/exit/wanted.h"

/*
 * "If any of the I/O ports accessed has its bit set, or the access wraps
 * around the 16-bit port space": every port of the access counts.
 */
static NOINLINE bool wants_port(struct vcpu *vcpu, const struct vmcs12 *v12)
{
	u64 qualification = vcpu_reg_hot(vcpu, REG_EXIT_QUALIFICATION);
	u32 size = (qualification & 7) + 1;
	u32 first = (qualification >> 16) & 0xffff;

	if (first + size > 0x10000)
		return true;
	for (u32 port = first;;) {
		u64 bitmap = port < 0x8000 ? v12->io_bitmap_a : v12->io_bitmap_b;

		if (likely(guest_mem_bit(vcpu, GPA(bitmap), port & 0x7fff)))
			return true;
		if (++port == first + size)
			return false;
	}
}

bool wants_io(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = v12_current(vcpu);

	if (!v12_has_proc(v12, PROC_IO_BITMAPS))
		return v12_has_proc(v12, PROC_UNCONDITIONAL_IO);
	return wants_port(vcpu, v12);
}

/* The MSR bitmap: four quarters of 1 KiB, read low, read high, write low, write high. */
static bool wants_msr(struct vcpu *vcpu, bool write)
{
	const struct vmcs12 *v12 = v12_current(vcpu);
	u32 msr = (u32)vcpu->gpr[GPR_RCX];
	u64 quarter = v12->msr_bitmap + (write ? 0x800 : 0);

	if (!v12_has_proc(v12, PROC_MSR_BITMAPS))
		return true;
	if (msr <= MSR_LOW_LAST)
		return guest_mem_bit(vcpu, GPA(quarter), msr);
	if (msr >= MSR_HIGH_FIRST && msr <= MSR_HIGH_LAST)
		return guest_mem_bit(vcpu, GPA(quarter + 0x400), msr - MSR_HIGH_FIRST);
	return true;
}

bool wants_rdmsr(struct vcpu *vcpu)
{
	return wants_msr(vcpu, false);
}

bool wants_wrmsr(struct vcpu *vcpu)
{
	return wants_msr(vcpu, true);
}

/* A bit that L1 owns would get another value than the one that its read shadow shows. */
static bool wants_cr_write(u64 mask, u64 shadow, u64 value)
{
	return (value ^ shadow) & mask;
}

static bool wants_cr3_load(const struct vmcs12 *v12, u64 value)
{
	const u64 targets[] = { v12->cr3_target0, v12->cr3_target1, v12->cr3_target2, v12->cr3_target3 };

	if (!v12_has_proc(v12, PROC_CR3_LOAD_EXITING))
		return false;
	for (u32 i = 0; i < v12->cr3_target_count && i < ARRAY_SIZE(targets); i++)
		if (targets[i] == value)
			return false;
	return true;
}

static bool wants_mov_to_cr(struct vcpu *vcpu, u64 qualification)
{
	const struct vmcs12 *v12 = v12_current(vcpu);
	u64 value = vcpu_gpr(vcpu, (qualification >> 8) & 0xf);

	if (!vcpu_is_64bit(vcpu))
		value = (u32)value;
	switch (qualification & 0xf) {
	case 0: return wants_cr_write(v12->cr0_guest_host_mask, v12->cr0_read_shadow, value);
	case 3: return wants_cr3_load(v12, value);
	case 4: return wants_cr_write(v12->cr4_guest_host_mask, v12->cr4_read_shadow, value);
	case 8: return v12_has_proc(v12, PROC_CR8_LOAD_EXITING);
	}
	return true;
}

/*
 * LMSW writes the four low bits of CR0 and never clears PE: "CR0.PE is set in
 * the mask and the source operand and clear in the shadow, or any of bits 3:1
 * is set in the mask and differs between source operand and shadow".
 */
static bool wants_lmsw(const struct vmcs12 *v12, u64 source)
{
	u64 mask = v12->cr0_guest_host_mask, shadow = v12->cr0_read_shadow;

	if (mask & source & ~shadow & CR0_PE)
		return true;
	return wants_cr_write(mask & (CR0_MP | CR0_EM | CR0_TS), shadow, source);
}

/* SDM: "Exit Qualification for Control-Register Accesses" */
bool wants_cr_access(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = v12_current(vcpu);
	u64 qualification = vcpu_reg_hot(vcpu, REG_EXIT_QUALIFICATION);

	switch ((qualification >> 4) & 3) {
	case 0: return wants_mov_to_cr(vcpu, qualification);
	case 1: /* MOV from CR3 or CR8 */
		return v12_has_proc(v12, (qualification & 0xf) == 3 ? PROC_CR3_STORE_EXITING
								    : PROC_CR8_STORE_EXITING);
	case 2: /* CLTS */ return v12->cr0_guest_host_mask & v12->cr0_read_shadow & CR0_TS;
	}
	return wants_lmsw(v12, (qualification >> 16) & 0xffff);
}

/*
 * VMREAD and VMWRITE exit without "VMCS shadowing", with bits 63:15 of the
 * encoding (31:15 outside 64-bit mode) not all 0, or by L1's bitmap.
 */
static bool wants_vmcs_access(struct vcpu *vcpu, u64 bitmap)
{
	u32 info = (u32)vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_INFO);
	u64 encoding = vcpu_gpr(vcpu, (info >> 28) & 0xf);

	if (!v12_has_proc2(v12_current(vcpu), PROC2_VMCS_SHADOWING))
		return true;
	if (!vcpu_is_64bit(vcpu))
		encoding = (u32)encoding;
	return encoding >> 15 || guest_mem_bit(vcpu, GPA(bitmap), (u32)encoding);
}

bool wants_vmread(struct vcpu *vcpu)
{
	return wants_vmcs_access(vcpu, v12_current(vcpu)->vmread_bitmap);
}

bool wants_vmwrite(struct vcpu *vcpu)
{
	return wants_vmcs_access(vcpu, v12_current(vcpu)->vmwrite_bitmap);
}
