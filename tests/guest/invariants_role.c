/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants", the others than the first: what PDPTEs mean, CR3 in an entry to HLT, the paging
 * role, #PF.
 */
#include "tests/guest/invariants.h"

GUEST_CODE(i_vmcall, 64, "vmcall");
GUEST_CODE(i_vmcall16, 16, "vmcall");
GUEST_CODE(i_read_mark, 32, "movl 0xc0000000, %ecx; vmcall");

/* 2. The PDPTE fields are read with EPT and PAE only; other guests neither fail by them nor spoil them. */
TEST_VMX(pdpte_meaning)
{
	static const enum vm_mode modes[] = { VM_64, VM_COMPAT, VM_32, VM_PROTECTED, VM_REAL, VM_V86 };
	struct pae_tables t;
	struct vm vm;
	u32 i, k, ept;

	NEED(caps_proc2(PROC2_EPT));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		for (ept = 0; ept < 2; ept++) {
			u32 reason;

			if (!vm_mode_possible(modes[i]))
				continue;
			vm_create(&vm, modes[i], ept ? VM_EPT : 0,
				  modes[i] >= VM_REAL ? i_vmcall16 : i_vmcall);
			for (k = 0; k < 4; k++)
				vmwrite(F_GUEST_PDPTE0 + 2 * k, 0xfff0000000000fffull + k);
			reason = vm_run(&vm);
			result("%s ept=%u exit=%u kept=%u", vm_mode_names[modes[i]], ept, reason,
			       vmread(F_GUEST_PDPTE0) == 0xfff0000000000fffull &&
				       vmread(F_GUEST_PDPTE3) == 0xfff0000000001002ull);
			CHECK(reason == REASON_VMCALL);
		}
	}
	/* with EPT the fields decide, whatever memory says */
	pae_make(&t);
	pae_guest(&vm, &t, VM_EPT, i_read_mark);
	vmwrite(F_GUEST_PDPTE3, addr_of(t.pd_b) | PTE_P);
	vm_report(&vm, vm_run(&vm), "fields_win");
	result("read=%x", (u32)vm.regs.rcx);
	CHECK((u32)vm.regs.rcx == MARK_B);
	for (k = 0; k < 4; k++) {
		static const u64 bad[] = { PTE_P | PTE_W, PTE_P | BIT(8), PTE_P | BIT(63), PTE_P | BIT(51) };

		pae_guest(&vm, &t, VM_EPT, i_read_mark);
		vmwrite(F_GUEST_PDPTE2, bad[k]);
		vm_report(&vm, vm_run(&vm), "field_reserved");
		vmwrite(F_GUEST_PDPTE2, bad[k] & ~PTE_P);
		vm_report(&vm, vm_run(&vm), "field_not_present");
	}
	/* without EPT memory decides, whatever the fields say */
	pae_guest(&vm, &t, 0, i_read_mark);
	for (k = 0; k < 4; k++)
		vmwrite(F_GUEST_PDPTE0 + 2 * k, 0xfff0000000000fffull);
	vm_report(&vm, vm_run(&vm), "memory_wins");
	result("read=%x", (u32)vm.regs.rcx);
	CHECK((u32)vm.regs.rcx == MARK_A);
	t.pdpt[2] = PTE_P | PTE_W;
	pae_guest(&vm, &t, 0, i_read_mark);
	vm_report(&vm, vm_run(&vm), "memory_reserved");
	CHECK(vmread(F_QUALIFICATION) == 2);
	t.pdpt[2] = PTE_W | BIT(63);
	vm_report(&vm, vm_run(&vm), "memory_not_present");
	t.pdpt[2] = 0;
	/* CR3's low five bits and the table in the middle of a page */
	pae_guest(&vm, &t, 0, i_read_mark);
	memcpy((u8 *)t.pdpt + 0x7e0, t.pdpt, 32);
	vmwrite(F_GUEST_CR3, (addr_of(t.pdpt) + 0x7e0) | 0x1f);
	vm_report(&vm, vm_run(&vm), "cr3_offset");
	result("read=%x cr3=%lx", (u32)vm.regs.rcx, vmread(F_GUEST_CR3) & 0xfff);
}

GUEST_CODE(i_cr3_hlt, 64, "mov %rax, %cr3; hlt; vmcall");
GUEST_CODE(i_cr3_hlt32, 32, "mov %eax, %cr3; hlt; vmcall");

/* 3. An entry into HLT that executes nothing: the next exit shows the CR3 that L1 wrote. */
TEST_VMX(cr3_in_hlt)
{
	static const enum vm_mode modes[] = { VM_64, VM_PAE, VM_32 };
	enum { BY_INTERRUPT, BY_TIMER, BY_EVENT, BY_WINDOW, WAYS };
	static const char *const names[] = { "interrupt", "timer", "event", "window" };
	u32 m, way, own, ept;

	NEED(caps.misc & BIT(6));
	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		for (ept = 0; ept < 2; ept++) {
			for (way = 0; way < WAYS; way++) {
				for (own = 0; own < 2; own++) {
					struct vm vm;
					u64 other, mark = page_mark();
					u32 reason;

					if ((ept && !caps_proc2(PROC2_EPT)) ||
					    (way == BY_TIMER && !caps_pin(PIN_TIMER)) ||
					    (way == BY_EVENT && own))
						continue;
					vm_create(&vm, modes[m], ept ? VM_EPT : 0,
						  modes[m] == VM_64 ? i_cr3_hlt : i_cr3_hlt32);
					CHECK(vmread(F_GUEST_CR3) != 0);
					other = modes[m] == VM_64    ? paging_create64()
						: modes[m] == VM_PAE ? paging_create_pae()
								     : paging_create32();
					if (own) {
						vm.regs.rax = other;
					} else {
						/* once run, so that an old CR3 is in place */
						const void *code = modes[m] == VM_64 ? i_vmcall : i_vmcall;

						vm_set_code(&vm, code);
						CHECK(vm_run(&vm) == REASON_VMCALL);
						vmwrite(F_GUEST_CR3, other);
						vmwrite(F_GUEST_ACTIVITY, HLT);
						if (modes[m] == VM_PAE && ept) {
							u32 k;

							for (k = 0; k < 4; k++)
								vmwrite(F_GUEST_PDPTE0 + 2 * k,
									((u64 *)ptr_of(other))[k]);
						}
					}
					switch (way) {
					case BY_INTERRUPT:
						vmset(F_PIN, PIN_EXTINT);
						if (own)
							vmset(F_GUEST_INTERRUPTIBILITY, 0);
						apic_self(IRQ);
						delay(100);
						break;
					case BY_TIMER:
						vmset(F_PIN, PIN_TIMER);
						vmwrite(F_GUEST_TIMER, 5000 >> (caps.misc & 31));
						break;
					case BY_EVENT:
						vmset(F_GUEST_RFLAGS, RFLAGS_IF);
						vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_EXTERNAL | 0x50);
						break;
					case BY_WINDOW:
						vmset(F_PROC, PROC_INTR_WINDOW);
						vmset(F_GUEST_RFLAGS, RFLAGS_IF);
						if (own) /* closed until HLT */
							vmset(F_GUEST_INTERRUPTIBILITY, BLOCK_STI);
						break;
					}
					reason = vm_run(&vm);
					result("%s ept=%u %s own=%u exit=%u cr3=%s activity=%lx",
					       vm_mode_names[modes[m]], ept, names[way], own, reason,
					       vmread(F_GUEST_CR3) == other ? "new" : "old",
					       vmread(F_GUEST_ACTIVITY));
					if (!own)
						CHECK(vmread(F_GUEST_CR3) == other);
					cpu_sti();
					delay(50);
					cpu_cli();
					page_release(mark);
				}
			}
		}
	}
}

GUEST_CODE(i_toggle, 32,
	   "mov $200, %edi; 1: mov %cr4, %eax; xor $0x20, %eax; mov %eax, %cr4; movl (%esi), %ebx; "
	   "mov %eax, %ebp; and $0x20, %ebp; jz 2f; movl 0xc0000000, %ecx; 2: dec %edi; jnz 1b; vmcall");

/* 4. L2 switches CR4.PAE with paging on, with tables that are valid in both formats. */
TEST_VMX(paging_role)
{
	u32 ept;

	for (ept = 0; ept < 2; ept++) {
		struct pae_tables t;
		struct vm vm;
		u32 reason;

		if (ept && !caps_proc2(PROC2_EPT))
			continue;
		pae_make(&t);
		pae_guest(&vm, &t, ept ? VM_EPT : 0, i_toggle);
		pae_use_alias(&vm);
		vm.regs.rsi = (addr_of(i_vmcall) & ~7ull) + ALIAS;
		reason = vm_run(&vm);
		result("ept=%u exit=%u mark=%x same=%u left=%lu", ept, reason, (u32)vm.regs.rcx,
		       (u32)vm.regs.rbx == *(u32 *)ptr_of(addr_of(i_vmcall) & ~7ull), vm.regs.rdi);
		CHECK(reason == REASON_VMCALL && (u32)vm.regs.rcx == MARK_A);
		/* the same in single steps by L1, each exit with the paging that it was in */
		if (!caps_proc(PROC_MTF))
			continue;
		pae_guest(&vm, &t, ept ? VM_EPT : 0, i_toggle);
		pae_use_alias(&vm);
		vm.regs.rsi = (addr_of(i_vmcall) & ~7ull) + ALIAS;
		vmset(F_PROC, PROC_MTF);
		{
			u64 hash = 0;
			u32 steps;

			for (steps = 0; steps < 100; steps++) {
				if (vm_run(&vm) != REASON_MTF)
					break;
				hash = hash_add(hash, vmread(F_GUEST_CR4));
				hash = hash_add(hash, vm_pc(&vm));
			}
			result("ept=%u steps=%u hash=%lx", ept, steps, hash);
		}
	}
}

/* 5. #PF exits iff (((error & mask) == match) == bit 14), for errors of all kinds. */
GUEST_CODE(i_pf, 64,
	   "cmp $1, %edx; je 1f; ja 2f; mov (%rbx), %rax; vmcall; 1: mov %rax, (%rbx); vmcall; 2: jmp *%rbx");

struct pf_case {
	const char *name;
	u64 flags; /* of the page; 0: not present */
	u32 kind;  /* 0 read, 1 write, 2 fetch */
	bool user;
	u32 error;
};

static const struct pf_case pf_cases[] = {
	{ "read", 0, 0, false, 0 },
	{ "write", 0, 1, false, 2 },
	{ "fetch", 0, 2, false, 0x10 },
	{ "write_ro", PTE_P, 1, false, 3 },
	{ "fetch_nx", PTE_P | PTE_XD, 2, false, 0x11 },
	{ "read_reserved", PTE_P | PTE_W | BIT(51), 0, false, 9 },
	{ "user_read", 0, 0, true, 4 },
	{ "user_write_super", PTE_P | PTE_W, 1, true, 7 },
	{ "user_read_super", PTE_P, 0, true, 5 },
	{ "user_write", 0, 1, true, 6 },
	{ "user_fetch", 0, 2, true, 0x14 },
};

TEST_VMX(page_fault_value)
{
	static const u32 masks[] = { 0, 1, 2, 4, 0x10, 3, 0x1f, 0xffffffff };
	static const u32 matches[] = { 0, 1, 2, 4, 0x10, 3, 7, 0x11, 9 };
	u64 stack = addr_of(page_alloc());
	u32 c, m, x, bit, ept;
	struct vm vm;

	*paging_entry(cr3_read(), stack, 1) |= PTE_U;
	*paging_entry(cr3_read(), addr_of(i_pf), 1) |= PTE_U;
	cr3_write(cr3_read());
	for (ept = 0; ept < 2; ept++) {
		u64 total = 0;

		if (ept && !caps_proc2(PROC2_EPT))
			continue;
		vm_create(&vm, VM_64, ept ? VM_EPT : 0, i_pf);
		for (m = 0; m < ARRAY_SIZE(masks); m++) {
			for (x = 0; x < ARRAY_SIZE(matches); x++) {
				u64 exits = 0;

				for (bit = 0; bit < 2; bit++) {
					vmwrite(F_EXCEPTION_BITMAP, bit << 14);
					vmwrite(F_PFEC_MASK, masks[m]);
					vmwrite(F_PFEC_MATCH, matches[x]);
					for (c = 0; c < ARRAY_SIZE(pf_cases); c++) {
						const struct pf_case *p = &pf_cases[c];
						u64 va = TEST_VA + 0x40000 + c * PAGE_SIZE;
						bool exit,
							want = ((p->error & masks[m]) == matches[x]) == bit;
						u32 reason;
						struct fault f;

						if (!m && !x && !bit && !ept)
							paging_map(va, p->flags ? stack : 0, p->flags);
						vmwrite(F_GUEST_RIP, addr_of(i_pf));
						vmwrite(F_GUEST_RSP, stack + 2048);
						vmwrite(F_GUEST_CS, p->user ? SEL_USER64 : SEL_CODE64);
						vmwrite(F_GUEST_CS_RIGHTS, p->user ? 0xa0fb : 0xa09b);
						vmwrite(F_GUEST_SS, p->user ? SEL_USER_DATA : SEL_DATA);
						vmwrite(F_GUEST_SS_RIGHTS, p->user ? 0xc0f3 : 0xc093);
						vmwrite(F_GUEST_SS_LIMIT, 0xffffffff);
						vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED);
						vm.regs.rbx = va + 8;
						vm.regs.rdx = p->kind;
						cr2_write(0);
						reason = vm_run(&vm);
						exit = reason == REASON_EXCEPTION;
						exits |= (u64)exit << (bit * 16 + c);
						total++;
						if (exit != want ||
						    (exit ? vmread(F_QUALIFICATION) != va + 8 ||
								     vmread(F_EXIT_ERROR_CODE) != p->error ||
								     cr2_read()
							  : vm_vector(&vm) != VEC_PF ||
								     cr2_read() != va + 8 ||
								     vm_stack(&vm, 0) != p->error)) {
							print("FAIL %s %s bit=%u mask=%x match=%x exit=%u "
							      "qual=%lx cr2=%lx\n",
							      test_name(), p->name, bit, masks[m], matches[x],
							      reason, vmread(F_QUALIFICATION), cr2_read());
							test_failed();
						}
						/* L1's own faults are L1's, in the middle of all this */
						if (c == 3) {
							guard_call(&f, (u64(*)(u64, u64, u64))(void *)memcpy,
								   TEST_VA + 0x40008, stack, 8);
							CHECK(f.vector == VEC_PF &&
							      f.cr2 == TEST_VA + 0x40008 && f.error == 2);
						}
					}
				}
				result("ept=%u mask=%x match=%x exits=%lx", ept, masks[m], matches[x], exits);
			}
		}
		result("ept=%u faults=%lu", ept, total);
	}
}
