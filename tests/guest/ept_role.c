/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ept": one L2 whose EPT pointer, accessed-and-dirty flag, VPID or VMCS changes between entries;
 * EPT tables in places where no memory is; an IRET that a violation breaks off.
 */
#include "tests/guest/ept.h"

GUEST_CODE(role_iret, 64, "iretq");
GUEST_CODE(role_end, 64, "nop; vmcall");

enum { TREES = 3 };

static u64 new_page(u64 value)
{
	u64 *page = page_alloc();

	*page = value;
	return addr_of(page);
}

/* An EPT in which the target is a page of its own with `value`. */
static u64 new_tree(u64 target, u64 value)
{
	u64 root = ept_create();

	*ept_entry(root, target, 1) = new_page(value) | EPT_RWX | EPT_WB;
	return root | EPTP_FLAGS;
}

static u64 read_under(struct target *t, u64 eptp)
{
	vmwrite(F_EPTP, eptp);
	vm_set_code(&t->vm, ept_read);
	return vm_run(&t->vm) == REASON_VMCALL ? t->vm.regs.rax : ~0ull;
}

/* The EPT pointer of one VMCS goes round several trees: with a VPID or without, after VMCLEAR and VMLAUNCH.
 */
TEST_VMX(eptp_changes)
{
	u64 eptp[TREES], i;
	struct target t;
	u32 vpid;

	NEED(caps_proc2(PROC2_EPT | PROC2_VPID));
	create_target(&t, false);
	aim(&t, READ);
	for (i = 0; i < TREES; i++)
		eptp[i] = new_tree(t.target, 0xe0 + i);
	for (vpid = 0; vpid < 2; vpid++) {
		if (vpid) {
			vmset(F_PROC2, PROC2_VPID);
			vmwrite(F_VPID, 9);
		}
		print("RESULT %s vpid=%u", test_name(), vpid);
		for (i = 0; i < 9; i++) {
			print(" %lx", read_under(&t, eptp[i % TREES]));
			if (i % 4 != 3)
				continue;
			/* Not launched any more, and perhaps not the current one. */
			CHECK(vmclear(t.vm.vmcs) == VMX_OK && vmptrld(t.vm.vmcs) == VMX_OK);
			t.vm.launched = false;
		}
		/* The second tree becomes the first one's twin, and the third is given back to be the
		 * first's. */
		*ept_entry(eptp[1], t.target, 1) = *ept_entry(eptp[0], t.target, 1);
		CHECK(invept(1, eptp[1]) == VMX_OK);
		print("; %lx", read_under(&t, eptp[1]));
		memcpy(ptr_of(eptp[2] & PTE_ADDR), ptr_of(eptp[0] & PTE_ADDR), PAGE_SIZE);
		CHECK(invept(2, 0) == VMX_OK);
		print(" %lx\n", read_under(&t, eptp[2]));
		*ept_entry(eptp[1], t.target, 1) = new_page(0xe1) | EPT_RWX | EPT_WB;
		eptp[2] = new_tree(t.target, 0xe2);
		CHECK(invept(2, 0) == VMX_OK);
	}
}

/* SDM "Accessed and Dirty Flags for EPT": bit 6 of the EPT pointer turns them on and off for the same tables.
 */
TEST_VMX(ad_changes)
{
	struct target t;
	u64 i, *e;

	NEED(caps_proc2(PROC2_EPT) && caps.ept_vpid & EPT_CAP_AD);
	create_target(&t, false);
	aim(&t, WRITE);
	map_target(&t, 1, EPT_RWX, false);
	e = ept_entry(t.vm.ept, t.target, 1);
	print("RESULT %s", test_name());
	for (i = 0; i < 8; i++) {
		bool ad = i & 1;

		*e &= ~(EPT_A | EPT_D);
		vmwrite(F_EPTP, t.vm.ept | EPTP_FLAGS | (ad ? EPTP_AD : 0));
		vm_set_code(&t.vm, i & 2 ? ept_read : ept_write);
		CHECK(invept(i & 4 ? 1 : 2, t.eptp) == VMX_OK);
		CHECK(vm_run(&t.vm) == REASON_VMCALL);
		print(" %lx", *e >> 8 & 3);
	}
	print("\n");
}

/* Data accesses under mode-based execute control: execute permissions do not matter, but are told. */
TEST_VMX(mode_based_data)
{
	static const enum kind kinds[] = { READ, WRITE, WALK };
	struct target t;
	u32 i, flags;
	u64 mark;

	NEED(caps_proc2(PROC2_EPT | PROC2_MBEC));
	create_target(&t, false);
	vmset(F_PROC2, PROC2_MBEC);
	mark = page_mark();
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		u64 user_bit = 0;

		print("RESULT %s %s", test_name(), kind_names[kinds[i]]);
		for (flags = 0; flags < 16; flags++) {
			u64 permissions = (flags & 7) | (flags & 8 ? BIT(10) : 0);
			u32 reason;

			aim(&t, kinds[i]);
			map_target_with(&t, 1, permissions, false, EPT_RWX | BIT(10));
			reason = attempt(&t, kinds[i]);
			if (reason == REASON_EPT_VIOLATION) {
				/* Bit 6 is the subject of deviations.md. */
				print(" 48:%lx", vmread(F_QUALIFICATION) & ~0xe040ul);
				if (vmread(F_QUALIFICATION) & BIT(6))
					user_bit |= BIT(flags);
			} else {
				print(" %u", reason);
			}
			page_release(mark);
		}
		print("\n");
		/* SDM "Exit Qualification for EPT Violations": bit 6 is bit 10 of the entries, for data as
		 * well. */
		CHECK(!under_socle() ||
		      user_bit == (kinds[i] == READ || kinds[i] == WALK ? 0x1100u : 0x3300u));
	}
}

/*
 * SDM "Exit Qualification for EPT Violations": bit 12 tells that an IRET had unblocked NMIs before it was
 * broken off; it is not defined with NMI exiting but without virtual NMIs.
 */
TEST_VMX(iret_unblocks)
{
	static const u64 pins[] = { 0, PIN_NMI, PIN_NMI | PIN_VNMI };
	struct target t;
	u32 i, blocked, walk;
	u64 *frame;

	NEED(caps_proc2(PROC2_EPT));
	create_target(&t, false);
	for (i = 0; i < ARRAY_SIZE(pins); i++)
		for (blocked = 0; blocked < 2; blocked++)
			for (walk = 0; walk < 2; walk++) {
				u64 defined = pins[i] == PIN_NMI ? 0x1ff : 0x11ff;
				u32 reason;

				if (!caps_pin(pins[i]))
					continue;
				aim(&t, walk ? WALK : READ);
				frame = ptr_of(walk ? t.table : t.page);
				frame[0] = addr_of(role_end);
				frame[1] = SEL_CODE64;
				frame[2] = RFLAGS_FIXED;
				frame[3] = t.vm.stack;
				frame[4] = SEL_DATA;
				vmunset(F_PIN, PIN_NMI | PIN_VNMI);
				vmset(F_PIN, pins[i]);
				vmwrite(F_GUEST_INTERRUPTIBILITY, blocked ? BLOCK_NMI : 0);
				vmwrite(F_GUEST_RSP, TEST_VA);
				map_target(&t, 1, 0, false);
				vm_set_code(&t.vm, role_iret);
				CHECK(invept(1, t.eptp) == VMX_OK);
				reason = vm_run(&t.vm);
				print("RESULT %s pin=%lx blocked=%u walk=%u exit=%u:%lx interruptibility=%lx",
				      test_name(), pins[i], blocked, walk, reason,
				      vmread(F_QUALIFICATION) & defined,
				      pins[i] == PIN_NMI ? 0 : vmread(F_GUEST_INTERRUPTIBILITY));
				map_target(&t, 1, EPT_RWX, false);
				vmwrite(F_GUEST_INTERRUPTIBILITY, blocked ? BLOCK_NMI : 0);
				reason = vm_run(&t.vm);
				print(" again=%u interruptibility=%lx\n", reason,
				      vmread(F_GUEST_INTERRUPTIBILITY));
			}
}

/* The entry of level `level` - 1 would lie at `where`, which is not L1's memory: all ones, so misconfigured.
 */
static u32 read_through(struct target *t, u32 level, u64 where)
{
	u32 reason;
	u64 *e, old;

	aim(t, READ);
	map_target(t, 1, EPT_RWX, false);
	if (level == 5) {
		vmwrite(F_EPTP, where | (t->eptp & 0xfff));
		CHECK(invept(1, where | (t->eptp & 0xfff)) == VMX_OK);
		vm_set_code(&t->vm, ept_read);
		reason = vm_run(&t->vm);
		vmwrite(F_EPTP, t->eptp);
		return reason;
	}
	e = ept_entry(t->vm.ept, t->target, (int)level);
	old = *e;
	*e = where | EPT_RWX;
	reason = attempt(t, READ);
	*e = old;
	return reason;
}

static u64 window;

static void note_window(u64 base, u64 size, u32 type)
{
	if (type != 1 && size >= 8 * MIB && base + size <= 2 * GIB)
		window = base;
}

/* Tables of L1's in the window, above all RAM, at the top of what addresses can say: read as ones. */
TEST_VMX(tables_nowhere)
{
	u64 places[3] = { 0, BIT(physical_bits() - 1), (BIT(physical_bits()) - 1) & ~0xffful };
	u32 level, i, ad;
	struct target t;

	NEED(caps_proc2(PROC2_EPT));
	window = 0;
	memory_holes(note_window);
	if (under_socle() && window)
		places[0] = window + 0x5000;
	for (ad = 0; ad <= !!(caps.ept_vpid & EPT_CAP_AD); ad++) {
		create_target(&t, ad);
		for (i = 0; i < ARRAY_SIZE(places); i++)
			for (level = 5; level > 1; level--)
				if (places[i]) {
					u32 reason = read_through(&t, level, places[i]);

					if (reason != REASON_EPT_MISCONFIG)
						info("place=%lx level=%u exit=%u", places[i], level, reason);
					CHECK(reason == REASON_EPT_MISCONFIG);
				}
		CHECK(read_through(&t, 2, *ept_entry(t.vm.ept, t.target, 2) & PTE_ADDR) == REASON_VMCALL);
	}
	result("done");
}
