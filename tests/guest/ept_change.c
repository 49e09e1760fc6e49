/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ept": changes of EPT entries, violations in event delivery and PDPTE loads, page-modification
 * logging, mode-based execute control.
 */
#include "tests/guest/ept.h"

GUEST_CODE(ept_ud, 64, "ud2");
GUEST_CODE(ept_int, 64, "int $0x40");
GUEST_CODE(ept_nop, 64, "nop; vmcall");
GUEST_CODE(ept_user, 64, "push $0x2b; push %rsp; pushf; push $0x33; push %rdi; iretq");
GUEST_CODE(ept_pae_cr3, 32, "mov %ebx, %cr3; vmcall");

/* More permission needs no INVEPT; less is seen after it. */
TEST_VMX(changes)
{
	struct target t;
	u32 level, type;
	u64 mark;

	NEED(caps_proc2(PROC2_EPT));
	create_target(&t, false);
	mark = page_mark();
	for (level = 4; level >= 1; level--) {
		if (level == 4 && t.target < HIGH)
			continue;
		for (type = 1; type <= 2; type++) {
			u64 *e;
			u64 flags;

			aim(&t, WRITE);
			map_target(&t, level, 0, false);
			print("RESULT %s level=%u invept=%u", test_name(), level, type);
			print_outcome(&t, attempt(&t, WRITE));
			e = ept_entry(t.vm.ept, t.target, (int)level);
			for (flags = 1; flags < 8; flags = flags << 1 | 1) {
				*e |= flags;
				print_outcome(&t, vm_run(&t.vm));
				if (flags == 3)
					vm_set_code(&t.vm, ept_fetch);
			}
			for (flags = 3; flags; flags >>= 1) {
				*e = (*e & ~EPT_RWX) | flags;
				invept(type, type == 1 ? t.eptp : 0);
				vm_set_code(&t.vm, flags == 3 ? ept_fetch : ept_write);
				print_outcome(&t, vm_run(&t.vm));
			}
			print("\n");
			page_release(mark);
		}
	}
}

/* Tables and pages that change size and place under the same address. */
TEST_VMX(remapping)
{
	struct target t;
	u64 other[3], *pde, *pte, pt;
	u32 i;

	NEED(caps_proc2(PROC2_EPT) && caps.ept_vpid & EPT_CAP_2M);
	create_large(&t, false, 2);
	aim(&t, READ);
	for (i = 0; i < 3; i++) {
		other[i] = addr_of(page_alloc());
		*(u64 *)ptr_of(other[i]) = 0x1000 + i;
	}
	map_target(&t, 2, EPT_RWX, true);
	pde = ept_entry(t.vm.ept, t.target, 2);
	pt = addr_of(page_alloc());
	print("RESULT %s", test_name());
	for (i = 0; i < 12; i++) {
		u64 large = (t.page & ~(2 * MIB - 1)) | EPT_RWX | EPT_WB | EPT_PS;

		pte = (u64 *)ptr_of(pt) + (t.target >> 12 & 511);
		*pte = other[i % 3] | EPT_RWX | EPT_WB;
		*pde = i % 4 == 3 ? large : pt | EPT_RWX;
		CHECK(attempt(&t, READ) == REASON_VMCALL);
		print(" %lx", t.vm.regs.rax == VMCALL_NOP ? 0xfff : t.vm.regs.rax);
	}
	print("\n");
}

/* SDM "Information for VM Exits During Event Delivery". */
TEST_VMX(delivery)
{
	static const struct {
		const char *name;
		const void *code;
		u64 inject;
	} ways[] = {
		{ "ud", ept_ud, 0 },
		{ "int", ept_int, 0 },
		{ "irq", ept_nop, INTR_VALID | INTR_EXTERNAL | 0x41 },
		{ "nmi", ept_nop, INTR_VALID | INTR_NMI | 2 },
		{ "gp", ept_nop, INTR_VALID | INTR_HARD | INTR_CODE | 13 },
		{ "soft", ept_int, INTR_VALID | INTR_SOFT | 0x42 },
	};
	u32 way, what;
	char name[48];

	NEED(caps_proc2(PROC2_EPT));
	for (way = 0; way < ARRAY_SIZE(ways); way++)
		for (what = 0; what < 2; what++) {
			struct vm vm;
			u64 page, flags, *e;
			u32 reason;

			vm_create(&vm, VM_64, VM_EPT, ways[way].code);
			page = what ? (vm.stack - 64) & ~0xffful : vmread(F_GUEST_IDTR_BASE);
			e = ept_entry(vm.ept, page, 1);
			flags = *e;
			*e = what ? (flags & ~EPT_W) : 0;
			if (ways[way].inject) {
				vmset(F_GUEST_RFLAGS, RFLAGS_IF);
				vmwrite(F_ENTRY_INTR_INFO, ways[way].inject);
				vmwrite(F_ENTRY_LENGTH, 2);
				vmwrite(F_ENTRY_ERROR_CODE, 0x18);
			}
			reason = vm_run(&vm);
			format(name, sizeof(name), "%s %s", ways[way].name, what ? "stack" : "idt");
			CHECK(reason == REASON_EPT_VIOLATION &&
			      (vmread(F_GUEST_PHYSICAL) & ~0xffful) == page);
			print("RESULT %s %s qual=%lx idt=%lx block=%lx pc=%lx\n", test_name(), name,
			      vmread(F_QUALIFICATION), vmread(F_IDT_INFO), vmread(F_GUEST_INTERRUPTIBILITY),
			      vm_pc(&vm));
			/* Repaired and delivered again. */
			*e = flags;
			if (vmread(F_IDT_INFO) & INTR_VALID) {
				vmwrite(F_ENTRY_INTR_INFO, vmread(F_IDT_INFO) & ~BIT(12));
				vmwrite(F_ENTRY_LENGTH, vmread(F_EXIT_LENGTH));
				vmwrite(F_ENTRY_ERROR_CODE, vmread(F_IDT_ERROR_CODE));
				if ((vmread(F_IDT_INFO) & 0x700) == INTR_NMI)
					vmunset(F_GUEST_INTERRUPTIBILITY, BLOCK_NMI);
			}
			vm_report(&vm, vm_run(&vm), name);
		}
}

/* SDM: a load of PDPTEs by MOV to CR3 has no linear address. */
TEST_VMX(pdptes)
{
	u32 ad, what;

	NEED(caps_proc2(PROC2_EPT));
	for (ad = 0; ad <= !!(caps.ept_vpid & EPT_CAP_AD); ad++)
		for (what = 0; what < 3; what++) {
			static const char *const names[] = { "absent", "misconfigured", "read-only" };
			struct vm vm;
			u64 root;
			char name[48];

			vm_create(&vm, VM_PAE, VM_EPT, ept_pae_cr3);
			if (ad)
				vmwrite(F_EPTP, vm.ept | EPTP_FLAGS | EPTP_AD);
			root = paging_create_pae();
			vm.regs.rbx = root;
			*ept_entry(vm.ept, root, 1) = what == 0	  ? 0
						      : what == 1 ? root | EPT_W | EPT_WB
								  : root | EPT_R | EPT_WB;
			format(name, sizeof(name), "%s ad=%u", names[what], ad);
			{
				u32 reason = vm_run(&vm);

				print("RESULT %s %s exit=%u qual=%lx gpa=%u flags=%lx\n", test_name(), name,
				      reason,
				      reason == REASON_EPT_VIOLATION ? vmread(F_QUALIFICATION) & 0x1ff : 0,
				      reason != REASON_VMCALL && vmread(F_GUEST_PHYSICAL) == root,
				      *ept_entry(vm.ept, root, 1) >> 8 & 3);
			}
		}
}

/* SDM "Page-Modification Logging". */
TEST_VMX(logging)
{
	struct target t;
	u64 *log, i;
	u32 reason;

	NEED(caps_proc2(PROC2_EPT | PROC2_PML));
	create_target(&t, true);
	aim(&t, WRITE);
	map_target(&t, 1, EPT_RWX, false);
	log = page_alloc();
	vmwrite(F_PML_ADDRESS, addr_of(log));
	vmwrite(F_GUEST_PML_INDEX, 511);
	vmset(F_PROC2, PROC2_PML);
	CHECK(attempt(&t, READ) == REASON_VMCALL);
	vmwrite(F_GUEST_PML_INDEX, 2);
	for (i = 0; i < 5; i++) {
		t.vm.regs.rdi = TEST_VA + i * 8;
		*ept_entry(t.vm.ept, t.target, 1) &= ~EPT_D;
		reason = attempt(&t, WRITE);
		print("RESULT %s write=%lu exit=%u index=%lx flags=%lx", test_name(), i, reason,
		      vmread(F_GUEST_PML_INDEX), *ept_entry(t.vm.ept, t.target, 1) >> 8 & 3);
		print(" log=%lx,%lx,%lx\n", log[0], log[1], log[2]);
	}
}

/* SDM "Mode-Based Execute Control": bit 2 for supervisor-mode fetches, bit 10 for user-mode ones. */
TEST_VMX(mode_based_execute)
{
	struct target t;
	u32 user, level, flags;
	u64 mark;

	NEED(caps_proc2(PROC2_EPT | PROC2_MBEC));
	create_target(&t, false);
	vmset(F_PROC2, PROC2_MBEC);
	mark = page_mark();
	for (user = 0; user < 2; user++)
		for (level = t.target >= HIGH ? 4 : 3; level >= 1; level--) {
			print("RESULT %s user=%u level=%u", test_name(), user, level);
			for (flags = 0; flags < 16; flags++) {
				u64 permissions = (flags & 7) | (flags & 8 ? BIT(10) : 0);
				u64 *pte;
				u32 reason;

				aim(&t, FETCH);
				pte = ptr_of(*paging_entry(vmread(F_GUEST_CR3), TEST_VA, 2) & PTE_ADDR);
				*pte = user ? *pte | PTE_U : *pte & ~PTE_U;
				map_target_with(&t, level, permissions, false, EPT_RWX | BIT(10));
				vm_set_code(&t.vm, user ? ept_user : ept_fetch);
				invept(1, t.eptp);
				reason = vm_run(&t.vm);
				if (reason == REASON_EPT_VIOLATION)
					print(" 48:%lx", vmread(F_QUALIFICATION) & ~0xe000ul);
				else
					print(" %u", reason);
				page_release(mark);
			}
			print("\n");
		}
}
