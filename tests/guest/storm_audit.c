/* SPDX-License-Identifier: MIT */
/*
 * What the storm holds Socle to: its own word about its code and its resources (the debug call), L1's memory,
 * and the window, which is also what everything is aimed at.
 */
#include "tests/guest/storm.h"

u64 storm_targets[STORM_TARGETS];
static u64 window_base, window_size;

void storm_failed(struct storm_cpu *c, const char *what, u64 value)
{
	if (!__atomic_fetch_add(&c->failures, 1, __ATOMIC_SEQ_CST)) {
		c->failed_value = value;
		c->failed = what;
	}
}

u64 storm_ask(u64 call, u64 index, u64 *more)
{
	u64 value = 0x50434c53;

	asm volatile("vmcall" : "+a"(value), "+b"(call), "=d"(*more) : "c"(index) : "memory", "cc");
	return value;
}

static u64 checksum_now(void)
{
	u64 hash = 0, pieces = 1, i;

	for (i = 0; i < pieces; i++)
		hash = hash_add(hash, storm_ask(STORM_CALL_CHECKSUM, i, &pieces));
	return hash;
}

void storm_check_resources(struct storm_cpu *c)
{
	u64 unused, i, count;

	for (i = 0; i < STORM_RESOURCES && storm_in_socle; i++) {
		count = storm_ask(STORM_CALL_RESOURCE, i, &unused);
		if (count)
			storm_failed(c, "a resource is not back at its base", i << 32 | count);
	}
}

/* While L1 runs, no instruction is being stepped over absent memory: L2's step ended when it was left. */
void storm_nothing_stepped(struct storm_cpu *c)
{
	u64 unused, i;

	for (i = STORM_STEPS; i < STORM_STEPS + 2 && storm_in_socle; i++)
		if (storm_ask(STORM_CALL_RESOURCE, i, &unused))
			storm_failed(c, "a step over absent memory goes on without its L2", i);
}

/* SDM: "VMX Aborts": 1 a guest MSR could not be saved, ... 6. */
u32 storm_abort(const struct storm_cpu *c)
{
	u32 indicator = c->current ? ((volatile u32 *)ptr_of(c->current->vm.vmcs))[1] : 0;

	return indicator <= 6 ? indicator : 0;
}

/* Of an abort by 1 or 4 there is a reason: an entry that the storm's L1s never write. */
bool storm_exit_list_is_bad(const struct storm_vm *v)
{
	static const u64 good[] = { STORM_EXIT_MSRS };
	const volatile u64 *entry = ptr_of(v->page[PAGE_EXIT_LIST]);
	u32 indicator = ((volatile u32 *)ptr_of(v->vm.vmcs))[1], i, n;

	if (indicator != 1 && indicator != 4)
		return false;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		for (n = 0; n < ARRAY_SIZE(good) && entry[2 * i] != good[n]; n++)
			;
		if (n == ARRAY_SIZE(good))
			return true;
	}
	return false;
}

/* L1's own memory is still its own. */
void storm_check_memory(struct storm_cpu *c)
{
	u32 i;

	for (i = 0; i < STORM_DATA; i++) {
		volatile u64 *p = ptr_of(c->data + i * PAGE_SIZE + 8 * storm_choose(c, 512));

		*p = 0x5a5a5a5a00000000ul + i;
		if (*p != 0x5a5a5a5a00000000ul + i)
			storm_failed(c, "a page of L1's is gone", (u64)p);
	}
}

/* While nobody else is at it: absent memory remembers nothing. */
void storm_check_absent(struct storm_cpu *c)
{
	u32 i;

	for (i = 0; i < STORM_WINDOW && storm_in_socle; i++) {
		volatile u64 *p = ptr_of(storm_targets[i] + 8 * storm_choose(c, 512));

		*p = 0x1122334455667788;
		if (*p != ~0ul)
			storm_failed(c, "absent memory remembers", (u64)p);
	}
}

/* All of the window, at the end. */
void storm_check_window(struct storm_cpu *c)
{
	u64 at;

	for (at = window_base; at < window_base + window_size; at += PAGE_SIZE) {
		volatile u64 *p = ptr_of(at + (at >> 9 & 0xff8));

		*p = 0x123456789abcdef0;
		if (*p != ~0ul)
			storm_failed(c, "a page of the window is there", at);
	}
}

/* What Socle said of its code and constants the first time, it says for ever. */
void storm_check_image(struct storm_cpu *c)
{
	static u64 first;
	u64 now = storm_in_socle ? checksum_now() : 0;

	if (!first)
		first = now;
	if (now != first)
		storm_failed(c, "Socle's code or constants changed", now);
}

static void find_window(u64 base, u64 size, u32 type)
{
	(void)type;
	if (size >= 4 * MIB && base >= 16 * MIB && base + size < 0xe0000000) {
		window_base = base;
		window_size = size;
	}
}

void storm_set_targets(void)
{
	u64 base, size;
	u32 i;

	if (storm_in_socle)
		memory_holes(find_window);
	base = window_size ? window_base : 0xd0000000;
	size = window_size ? window_size : 8 * MIB;
	for (i = 0; i < STORM_WINDOW; i++)
		storm_targets[i] = base + (size / PAGE_SIZE * i / (STORM_WINDOW - 1) & ~0ul) * PAGE_SIZE;
	storm_targets[STORM_WINDOW - 1] -= PAGE_SIZE;
	storm_targets[8] = 0xd0000000;
	storm_targets[9] = 0x7ffffff000;
	storm_targets[10] = 1ul << 45;
	storm_targets[11] = 0xf0000;
	storm_targets[12] = 0xfffff000;
	storm_targets[13] = 0xa0000;
	storm_targets[14] = base + 5 * PAGE_SIZE;
	storm_targets[15] = base + 7 * PAGE_SIZE;
}
