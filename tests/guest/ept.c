/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ept": what EPT does to an access, kind of access by permission by level by page size, with and
 * without accessed and dirty flags; misconfigurations bit by bit. Each line is one row of the matrix.
 */
#include "tests/guest/ept.h"

static void matrix(bool ad)
{
	struct target t;
	u32 kind, level, flags;
	u64 mark;

	create_target(&t, ad);
	mark = page_mark();
	for (kind = 0; kind < KINDS; kind++)
		for (level = t.target >= HIGH ? 4 : 3; level >= 1; level--) {
			print("RESULT %s ad=%u %s level=%u", test_name(), ad, kind_names[kind], level);
			for (flags = 0; flags < 8; flags++) {
				aim(&t, kind);
				map_target(&t, level, flags, false);
				print_outcome(&t, attempt(&t, kind));
				page_release(mark);
			}
			print("\n");
		}
}

TEST_VMX(permissions)
{
	NEED(caps_proc2(PROC2_EPT));
	matrix(false);
}

TEST_VMX(permissions_ad)
{
	NEED(caps_proc2(PROC2_EPT));
	NEED(caps.ept_vpid & EPT_CAP_AD);
	matrix(true);
}

TEST_VMX(large_pages)
{
	struct target t;
	u32 kind, level, flags, ad;
	u64 mark;

	NEED(caps_proc2(PROC2_EPT));
	for (ad = 0; ad <= !!(caps.ept_vpid & EPT_CAP_AD); ad++)
		for (level = 2; level <= 3; level++) {
			if (!(caps.ept_vpid & (level == 2 ? EPT_CAP_2M : EPT_CAP_1G)))
				continue;
			create_large(&t, ad, level);
			mark = page_mark();
			for (kind = 0; kind < KINDS; kind++) {
				print("RESULT %s ad=%u level=%u %s", test_name(), ad, level,
				      kind_names[kind]);
				for (flags = 0; flags < 8; flags++) {
					aim(&t, kind);
					map_target(&t, level, flags, true);
					print_outcome(&t, attempt(&t, kind));
					if (ad)
						print("/%lx",
						      *ept_entry(t.vm.ept, t.target, (int)level) >> 8 & 3);
					page_release(mark);
				}
				print("\n");
			}
		}
}

/* Which single bits, set or cleared in a good entry, make what of a read. */
TEST_VMX(misconfigurations)
{
	struct target t;
	u32 level, large, bit;
	u64 mark;

	NEED(caps_proc2(PROC2_EPT));
	for (level = 4; level >= 1; level--)
		for (large = 0; large <= (level == 2 || level == 3); large++) {
			u64 misconfigured = 0, violation = 0, other = 0;

			create_large(&t, false, large ? level : 1);
			if (level == 4 && t.target < HIGH)
				continue;
			if (large && !(caps.ept_vpid & (level == 2 ? EPT_CAP_2M : EPT_CAP_1G)))
				continue;
			mark = page_mark();
			for (bit = 0; bit < 64; bit++) {
				u32 reason;
				u64 *e;

				aim(&t, READ);
				map_target(&t, level, EPT_RWX, large);
				e = ept_entry(t.vm.ept, t.target, (int)level);
				/* An address bit that only leads elsewhere is not the question. */
				if (bit >= (large ? 12 + 9 * (level - 1) : 12) && bit < physical_bits()) {
					page_release(mark);
					continue;
				}
				*e ^= BIT(bit);
				reason = attempt(&t, READ);
				if (reason == REASON_EPT_MISCONFIG)
					misconfigured |= BIT(bit);
				else if (reason == REASON_EPT_VIOLATION)
					violation |= BIT(bit);
				else if (reason != REASON_VMCALL)
					other |= BIT(bit);
				*e ^= BIT(bit);
				page_release(mark);
			}
			result("level=%u large=%u misconfigured=%lx violation=%lx other=%lx", level, large,
			       misconfigured, violation, other);
		}
}

TEST_VMX(memory_types)
{
	struct target t;
	u32 type, flags;

	NEED(caps_proc2(PROC2_EPT));
	create_target(&t, false);
	aim(&t, READ);
	map_target(&t, 1, EPT_RWX, false);
	for (flags = 0; flags < 8; flags++) {
		u64 *e = ept_entry(t.vm.ept, t.target, 1);

		print("RESULT %s flags=%u", test_name(), flags);
		for (type = 0; type < 16; type++) {
			*e = t.page | flags | type << 3; /* bit 6 is ignore-PAT */
			print_outcome(&t, attempt(&t, READ));
		}
		print("\n");
	}
}

/* SDM "Accessed and Dirty Flags for EPT": which entries get which flags from which access. */
TEST_VMX(accessed_dirty)
{
	struct target t;
	u32 kind, at;
	u64 mark;

	NEED(caps_proc2(PROC2_EPT));
	NEED(caps.ept_vpid & EPT_CAP_AD);
	create_target(&t, true);
	mark = page_mark();
	for (kind = 0; kind < KINDS; kind++) {
		u32 round;

		aim(&t, kind);
		map_target(&t, 1, EPT_RWX, false);
		for (round = 0; round < 3; round++) {
			CHECK(attempt(&t, kind) == REASON_VMCALL);
			print("RESULT %s %s round=%u", test_name(), kind_names[kind], round);
			for (at = 4; at >= 1; at--)
				print(" %lx", *ept_entry(t.vm.ept, t.target, (int)at) >> 8 & 3);
			print("\n");
			/* Cleared with INVEPT they come again. */
			for (at = 4; at >= 1; at--)
				*ept_entry(t.vm.ept, t.target, (int)at) &=
					~(round == 0 ? EPT_D : EPT_A | EPT_D);
		}
		page_release(mark);
	}
	/* A write after a read sets D then, also without INVEPT between. */
	aim(&t, READ);
	map_target(&t, 1, EPT_RWX, false);
	CHECK(attempt(&t, READ) == REASON_VMCALL);
	vm_set_code(&t.vm, ept_write);
	CHECK(vm_run(&t.vm) == REASON_VMCALL);
	result("write after read: %lx", *ept_entry(t.vm.ept, t.target, 1) >> 8 & 3);
}
