/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ept": VPIDs. What L2 sees after each kind of INVVPID, after entries without a VPID, with two
 * L2s under one VPID and under two. Only what is certain on every processor is printed: after an invalidation
 * nothing is old.
 */
#include "tests/guest/ept.h"

enum { VPID_A = 7, VPID_B = 300 };

/* An L2 whose TEST_VA leads to `page`. */
static u64 *create_reader(struct vm *vm, u64 flags, u64 vpid, u64 page)
{
	u64 cr3 = paging_create64();
	u64 *pte;

	vm_create(vm, VM_64, flags, ept_read);
	vmwrite(F_GUEST_CR3, cr3);
	if (flags & VM_VPID)
		vmwrite(F_VPID, vpid);
	pte = paging_entry(cr3, TEST_VA, 1);
	*pte = page | PTE_P | PTE_W | PTE_A | PTE_D;
	vm->regs.rdi = TEST_VA;
	return pte;
}

static u64 read_value(struct vm *vm)
{
	vm_current(vm);
	vm_set_code(vm, ept_read);
	return vm_run(vm) == REASON_VMCALL ? vm->regs.rax : ~0ull;
}

static u64 new_page(u64 value)
{
	u64 *page = page_alloc();

	*page = value;
	return addr_of(page);
}

/* The page tables of L2 change behind its back: seen after each type of INVVPID that covers it. */
TEST_VMX(vpid_invalidation)
{
	u32 ept, type;

	NEED(caps_proc2(PROC2_EPT | PROC2_VPID) && caps.ept_vpid & EPT_CAP_INVVPID);
	for (ept = 0; ept < 2; ept++)
		for (type = 0; type < 4; type++) {
			u64 pages[2] = { new_page(0xa0), new_page(0xa1) };
			struct vm vm;
			u64 *pte, round;

			if (!(caps.ept_vpid & BIT(40 + type)))
				continue;
			pte = create_reader(&vm, ept ? VM_EPT | VM_VPID : VM_VPID, VPID_A, pages[0]);
			print("RESULT %s ept=%u type=%u", test_name(), ept, type);
			for (round = 0; round < 4; round++) {
				*pte = pages[round % 2] | PTE_P | PTE_W | PTE_A | PTE_D;
				if (invvpid(type, type == 2 ? 0 : VPID_A, TEST_VA) != VMX_OK)
					print(" failed");
				print(" %lx", read_value(&vm));
			}
			print("\n");
		}
}

/* Without a VPID every entry starts without translations; L1's own go with them. */
TEST_VMX(vpid_none)
{
	u32 ept;

	NEED(caps_proc2(PROC2_EPT));
	for (ept = 0; ept < 2; ept++) {
		u64 pages[2] = { new_page(0xb0), new_page(0xb1) };
		struct vm vm;
		u64 *pte = create_reader(&vm, ept ? VM_EPT : 0, 0, pages[0]);
		u64 *own, round;

		paging_map(TEST_VA, pages[0], PTE_P | PTE_W);
		own = paging_entry(cr3_read(), TEST_VA, 1);
		print("RESULT %s ept=%u", test_name(), ept);
		for (round = 0; round < 4; round++) {
			CHECK(READ_ONCE(*(u64 *)TEST_VA) == 0xb0 + (round + 1) % 2 || !round);
			*pte = pages[round % 2] | PTE_P | PTE_W | PTE_A | PTE_D;
			*own = pages[round % 2] | PTE_P | PTE_W;
			print(" %lx", read_value(&vm));
			/* Neither did L1 say INVLPG: the VM entry and exit did. */
			print("/%lx", READ_ONCE(*(u64 *)TEST_VA));
		}
		print("\n");
	}
}

/* Two L2s under two VPIDs do not see each other's pages, however they alternate. */
TEST_VMX(vpid_apart)
{
	struct vm a, b;
	u32 ept, round;

	NEED(caps_proc2(PROC2_EPT | PROC2_VPID));
	for (ept = 0; ept < 2; ept++) {
		u64 flags = ept ? VM_EPT | VM_VPID : VM_VPID;

		create_reader(&a, flags, VPID_A, new_page(0xc0));
		create_reader(&b, flags, VPID_B, new_page(0xc1));
		invvpid(2, 0, 0);
		print("RESULT %s ept=%u", test_name(), ept);
		for (round = 0; round < 4; round++)
			print(" %lx/%lx", read_value(&a), read_value(&b));
		/* One takes over the other's VPID, after an INVVPID of it. */
		vm_current(&b);
		vmwrite(F_VPID, VPID_A);
		invvpid(1, VPID_A, 0);
		print(" %lx", read_value(&b));
		invvpid(1, VPID_A, 0);
		print("/%lx\n", read_value(&a));
	}
}

/* More VPIDs than L0 may keep apart: each is flushed by the time another's number is given to it. */
TEST_VMX(vpid_many)
{
	u64 pages[2] = { new_page(0xd0), new_page(0xd1) };
	struct vm vm;
	u64 *pte, vpid, wrong = 0;

	NEED(caps_proc2(PROC2_EPT | PROC2_VPID));
	pte = create_reader(&vm, VM_EPT | VM_VPID, 1, pages[0]);
	for (vpid = 1; vpid <= 600; vpid++) {
		vm_current(&vm);
		vmwrite(F_VPID, vpid * 101);
		invvpid(1, vpid * 101, 0);
		*pte = pages[vpid % 2] | PTE_P | PTE_W | PTE_A | PTE_D;
		if (read_value(&vm) != 0xd0 + vpid % 2)
			wrong++;
	}
	result("wrong=%lu", wrong);
	CHECK(!wrong);
}
