/* SPDX-License-Identifier: MIT */
/*
 * Guest test "eptcount": what EPT-on-EPT must not do again. Under Socle its counters prove it; on the bare
 * processor the same steps only have to work. The numbers of instructions are INFO, their bounds are checked.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum {
	GUESTS = 64,
	ROUNDS = 10,
	SIZE_MIB = 16,
	PAGES = SIZE_MIB * 256,
	LARGE = SIZE_MIB / 2,
	INVEPT_ONE = 1
};

GUEST_CODE(count_write, 64, "1: movb $1, (%rdi); add $4096, %rdi; dec %rcx; jnz 1b; vmcall");

static u64 base; /* SIZE_MIB of L1's memory at an address that large pages can have */

static void touch(struct vm *vm, u64 at, u64 pages)
{
	vm_set_code(vm, count_write);
	vm->regs.rdi = at;
	vm->regs.rcx = pages;
	CHECK(vm_run(vm) == REASON_VMCALL && vm->regs.rcx == 0);
}

static void create(struct vm *vm, u64 flags, bool ad)
{
	base = (addr_of(page_alloc_contig(PAGES + 512)) + 2 * MIB - 1) & ~(2 * MIB - 1);
	vm_create(vm, VM_64, flags, count_write);
	if (ad)
		vmwrite(F_EPTP, vm->ept | EPTP_FLAGS | EPTP_AD);
}

/* So many L2s in turn, each with an EPT and a VPID of its own, find everything as they left it. */
TEST_VMX(alternating)
{
	static struct vm vms[GUESTS];
	u64 before[COUNT_SLOT_EVICTIONS + 1], data = addr_of(page_alloc_contig(GUESTS)), count[4];
	u32 i, round;

	NEED(caps_proc2(PROC2_EPT | PROC2_VPID));
	for (i = 0; i < GUESTS; i++) {
		vm_create(&vms[i], VM_64, VM_EPT | VM_VPID, count_write);
		vmwrite(F_VPID, i + 1);
		ept_map(vms[i].ept, data + i * PAGE_SIZE, data + i * PAGE_SIZE, 1, EPT_RWX | EPT_WB);
	}
	for (round = 0; round <= ROUNDS; round++) {
		for (i = 0; i < GUESTS; i++) {
			vm_current(&vms[i]);
			touch(&vms[i], data + i * PAGE_SIZE, 1);
		}
		if (!round)
			for (i = 0; i <= COUNT_SLOT_EVICTIONS; i++)
				before[i] = socle_count((enum socle_counter)i);
	}
	for (i = 0; i < ARRAY_SIZE(count); i++)
		count[i] = socle_count((enum socle_counter)(COUNT_EPT02_FILLS + i)) -
			   before[COUNT_EPT02_FILLS + i];
	info("fills=%lu rebuilds=%lu reclaims=%lu vpid_flushes=%lu evictions=%lu", count[0], count[1],
	     count[2], count[3], socle_count(COUNT_SLOT_EVICTIONS) - before[COUNT_SLOT_EVICTIONS]);
	CHECK(!count[0] && !count[1] && !count[2] && !count[3]);
	CHECK(socle_count(COUNT_SLOT_EVICTIONS) == before[COUNT_SLOT_EVICTIONS]);
	/* L1's CPU did run them through Socle. */
	if (under_socle())
		CHECK(socle_count(COUNT_ENTRIES) - before[COUNT_ENTRIES] == GUESTS * ROUNDS);
	result("guests=%u rounds=%u", GUESTS, ROUNDS);
}

struct cost {
	u64 ticks, fills;
};

static struct cost measure(struct vm *vm, bool invalidate)
{
	struct cost cost = { rdtsc(), socle_count(COUNT_EPT02_FILLS) };

	if (invalidate)
		CHECK(invept(INVEPT_ONE, vmread(F_EPTP)) == VMX_OK);
	touch(vm, base, PAGES);
	cost.fills = socle_count(COUNT_EPT02_FILLS) - cost.fills;
	cost.ticks = rdtsc() - cost.ticks;
	return cost;
}

/* After INVEPT an unchanged EPT costs next to nothing, and of a changed one what changed. */
static void after_invept(u32 level, bool ad)
{
	u64 span = 1ull << (12 + 9 * (level - 1)), i, changed;
	struct cost plain, same, some;
	struct vm vm;

	create(&vm, VM_EPT | VM_VPID, ad);
	for (i = 0; i < SIZE_MIB * MIB / span; i++)
		ept_map(vm.ept, base + i * span, base + i * span, (int)level, EPT_RWX | EPT_WB);
	measure(&vm, false);
	plain = measure(&vm, false);
	same = measure(&vm, true);
	/* Every fourth of these leads elsewhere; with the flags on others have to be marked dirty anew. */
	for (i = changed = 0; i < 64 && i < SIZE_MIB * MIB / span; i += 4, changed++)
		ept_map(vm.ept, base + i * span, base + (i ^ 1) * span, (int)level, EPT_RWX | EPT_WB);
	for (i = 2; ad && i < 64 && i < SIZE_MIB * MIB / span; i += 4, changed++)
		*ept_entry(vm.ept, base + i * span, (int)level) &= ~EPT_D;
	some = measure(&vm, true);
	info("level=%u ad=%u plain=%lu invept: same=%lu some=%lu per 4 KiB, thousandths; fills %lu %lu of "
	     "%lu",
	     level, ad, plain.ticks * 1000 / PAGES, same.ticks * 1000 / PAGES, some.ticks * 1000 / PAGES,
	     same.fills, some.fills, changed);
	CHECK(plain.fills == 0);
	if (level > 1) {
		CHECK(same.fills == 0 && some.fills <= changed);
		/* INVEPT itself is two exits and the comparison of a few tables. */
		CHECK(same.ticks < plain.ticks + PAGES);
	} else {
		/* More entries than are compared at once: a table of 512 costs one violation at its next use.
		 */
		CHECK(same.fills <= LARGE && some.fills <= LARGE + changed);
		CHECK(same.ticks < plain.ticks + 12 * PAGES);
	}
	result("level=%u ad=%u changed=%lu", level, ad, changed);
}

TEST_VMX(unchanged_large)
{
	NEED(caps_proc2(PROC2_EPT | PROC2_VPID) && caps.ept_vpid & EPT_CAP_2M);
	after_invept(2, false);
	if (caps.ept_vpid & EPT_CAP_AD)
		after_invept(2, true);
}

TEST_VMX(unchanged_small)
{
	NEED(caps_proc2(PROC2_EPT | PROC2_VPID));
	after_invept(1, false);
	if (caps.ept_vpid & EPT_CAP_AD)
		after_invept(1, true);
}

/* Entries and exits flush no VPID of their own accord; one that L1 reuses after INVVPID of all is flushed
 * once. */
TEST_VMX(vpids)
{
	u64 flushes, again, i;
	struct vm vms[4];

	NEED(caps_proc2(PROC2_EPT | PROC2_VPID) && caps.ept_vpid & EPT_CAP_INVVPID);
	for (i = 0; i < ARRAY_SIZE(vms); i++) {
		vm_create(&vms[i], VM_64, VM_VPID | (i & 1 ? VM_EPT : 0), count_write);
		vmwrite(F_VPID, 100 + i / 2);
		touch(&vms[i], vms[i].stack - 128, 1);
	}
	flushes = socle_count(COUNT_VPID_FLUSHES);
	for (i = 0; i < 100; i++) {
		vm_current(&vms[i % 4]);
		touch(&vms[i % 4], vms[i % 4].stack - 128, 1);
		/* Of one VPID, or one address: no reason to give up a number. */
		if (i % 10 == 0)
			CHECK(invvpid(i % 20 ? 1 : 0, 100, 0) == VMX_OK);
	}
	CHECK(socle_count(COUNT_VPID_FLUSHES) == flushes);
	CHECK(invvpid(2, 0, 0) == VMX_OK);
	for (i = 0; i < 100; i++) {
		vm_current(&vms[i % 4]);
		touch(&vms[i % 4], vms[i % 4].stack - 128, 1);
	}
	again = socle_count(COUNT_VPID_FLUSHES) - flushes;
	info("flushes after INVVPID of all: %lu", again);
	CHECK(!under_socle() || again == 2);
	result("done");
}
