/* SPDX-License-Identifier: MIT */
/*
 * Data and I/O breakpoints over accesses that L0 makes in a guest's name: the
 * processor sees none of them.  DR0-3 are the guest's own in the registers
 * while L0 runs, for no exit touches them; DR7 is in the VMCS.  Delivery is
 * the processor's, from the pending debug exceptions, or L1's exit for L2's.
 * SDM: "Debug Registers", "Data Memory and I/O Breakpoint Exception Conditions".
 */
#include "vmx/guest/watch.h"

#include "kernel/hw/cpu.h"
#include "kernel/x86.h"

#define DR_COUNT 4

/* R/Wn of DR7. */
enum { WATCH_EXECUTION, WATCH_WRITE, WATCH_PORT, WATCH_READ_WRITE };

static bool is_enabled(u64 dr7, unsigned int n)
{
	return dr7 >> (2 * n) & 3;
}

static unsigned int kind_of(u64 dr7, unsigned int n)
{
	return dr7 >> (16 + 4 * n) & 3;
}

/* LENn of DR7: 10B is 8 bytes.  SDM: low bits of the address that LEN does not allow are not compared. */
static u64 mask_of(u64 dr7, unsigned int n)
{
	static const u8 masks[] = { 0, 1, 7, 3 };

	return masks[dr7 >> (18 + 4 * n) & 3];
}

/*
 * Bits B0-B3 of the breakpoints of one of two kinds that a byte from `first` to `last` meets, enabled or not:
 * "any of these bits may be set even if the corresponding enabling bit in DR7 is not set".
 */
static u64 hits(u64 dr7, u64 first, u64 last, unsigned int kind, unsigned int other)
{
	const u64 address[DR_COUNT] = { read_dr0(), read_dr1(), read_dr2(), read_dr3() };
	u64 found = 0;

	for (unsigned int n = 0; n < DR_COUNT; n++) {
		u64 mask = mask_of(dr7, n), begin = address[n] & ~mask;

		if ((kind_of(dr7, n) == kind || kind_of(dr7, n) == other) && first <= (begin | mask) &&
		    begin <= last)
			found |= BIT(n);
	}
	return found;
}

/* There is a debug exception only if one of the breakpoints that were met is enabled. */
static void leave_pending(struct vcpu *vcpu, u64 dr7, u64 found)
{
	for (unsigned int n = 0; n < DR_COUNT; n++)
		if ((found & BIT(n)) && is_enabled(dr7, n))
			vcpu_set_reg(vcpu, REG_PENDING_DEBUG,
				     vcpu_reg(vcpu, REG_PENDING_DEBUG) | found | PENDING_DEBUG_ENABLED_BP);
}

void watch_memory_enabled(struct vcpu *vcpu, u64 va, size_t length, bool write)
{
	unsigned int other = write ? WATCH_WRITE : WATCH_READ_WRITE;
	u64 dr7 = vcpu_reg(vcpu, REG_DR7), last = va + length - 1, found = 0;

	/* Outside 64-bit mode an access goes on at address 0. */
	if (!vcpu_is_64bit(vcpu) && last >> 32) {
		found = hits(dr7, 0, (u32)last, WATCH_READ_WRITE, other);
		last = 0xffffffff;
	}
	leave_pending(vcpu, dr7, found | hits(dr7, va, last, WATCH_READ_WRITE, other));
}

void watch_port_enabled(struct vcpu *vcpu, u16 port, size_t length)
{
	u64 dr7 = vcpu_reg(vcpu, REG_DR7);

	if (vcpu_reg(vcpu, REG_CR4) & CR4_DE)
		leave_pending(vcpu, dr7, hits(dr7, port, port + length - 1, WATCH_PORT, WATCH_PORT));
}
