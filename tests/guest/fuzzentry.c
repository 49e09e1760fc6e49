/* SPDX-License-Identifier: MIT */
/*
 * Guest test "fuzzentry": VM entries generated from (seed, case): a valid VMCS in some mode, one to four
 * fields changed, VMLAUNCH or VMRESUME, and a hash of all that L1 can see afterwards. The same seed on the
 * bare processor and under Socle must print the same lines. Options: seed=, cases=from-to, detail (a line for
 * each case); drop-pin=, drop-proc=, drop-proc2=, drop-exit=, drop-entry=, drop-cr4=: bits never to be set,
 * for where two platforms advertise different ones. L2 can reach only its own few pages and every exception
 * exits, so that whatever state it is entered in, it comes back.
 */
#include "tests/guest/fuzz.h"

/* Code of L2: nothing but VMCALLs; real mode and v86 have a copy. */
GUEST_CODE(f_code, 64, ".balign 4096; .rept 1365; vmcall; .endr; hlt; .balign 4096");

const u16 all_fields[FIELDS] = {
#define FIELD(encoding, name) encoding,
#include "tests/guest/lib/fields.def"
#undef FIELD
};
bool exists[FIELDS];

static struct template templates[VM_MODES][2];
static struct msr_entry *msr_list;
static u64 spare; /* pages behind the address fields */

static void map32(u64 root, u64 va)
{
	u32 *pd = ptr_of(root);
	u32 *pt;

	if (!(pd[va >> 22] & PTE_P))
		pd[va >> 22] = (u32)(addr_of(page_alloc()) | PTE_P | PTE_W | PTE_U | PTE_A);
	pt = ptr_of(pd[va >> 22] & 0xfffff000);
	pt[va >> 12 & 1023] = (u32)(va | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D);
}

static void map_pae(u64 root, u64 va)
{
	u64 *pdpt = ptr_of(root);
	u64 *pd, *pt;

	if (!(pdpt[va >> 30] & PTE_P))
		pdpt[va >> 30] = addr_of(page_alloc()) | PTE_P;
	pd = ptr_of(pdpt[va >> 30] & PTE_ADDR);
	if (!(pd[va >> 21 & 511] & PTE_P))
		pd[va >> 21 & 511] = addr_of(page_alloc()) | PTE_P | PTE_W | PTE_U | PTE_A;
	pt = ptr_of(pd[va >> 21 & 511] & PTE_ADDR);
	pt[va >> 12 & 511] = va | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
}

/* Replaces identity paging and EPT by tables in which only the guest's own pages are present. */
static void confine(struct template *t)
{
	struct vm *vm = &t->vm;
	u64 gdt = addr_of(page_alloc());
	u64 pages[8], root = 0;
	u32 i, n = 0;
	u64 mark = page_mark();
	u64 first = addr_of(page_alloc());

	memcpy(ptr_of(gdt), this_cpu()->gdt, sizeof(this_cpu()->gdt));
	vmwrite(F_GUEST_GDTR_BASE, gdt);
	pages[n++] = gdt;
	pages[n++] = vmread(F_GUEST_IDTR_BASE) & ~0xffful;
	pages[n++] = vm->stubs & ~0xffful;
	pages[n++] = vmread(F_GUEST_TR_BASE) & ~0xffful;
	pages[n++] = (*(u64 *)ptr_of(vmread(F_GUEST_TR_BASE) + 4) & 0xffffffff) & ~0xffful;
	pages[n++] = (vmread(F_GUEST_SS_BASE) + vmread(F_GUEST_RSP)) & ~0xffful;
	pages[n++] = (vmread(F_GUEST_CS_BASE) + vmread(F_GUEST_RIP)) & ~0xffful;
	page_release(mark);
	if (vm->mode == VM_64 || vm->mode == VM_COMPAT || vm->mode == VM_PAE || vm->mode == VM_32 ||
	    vm->mode == VM_V86) {
		root = addr_of(page_alloc());
		for (i = 0; i < n; i++) {
			if (vm->mode == VM_64 || vm->mode == VM_COMPAT)
				*paging_entry(root, pages[i], 1) =
					pages[i] | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
			else if (vm->mode == VM_PAE)
				map_pae(root, pages[i]);
			else
				map32(root, pages[i]);
		}
		vmwrite(F_GUEST_CR3, root);
		if (caps_proc2(PROC2_EPT))
			for (i = 0; i < 4; i++)
				vmwrite(F_GUEST_PDPTE0 + 2 * i,
					vm->mode == VM_PAE ? ((u64 *)ptr_of(root))[i] : 0);
	}
	if (vm->ept) {
		u64 ept = addr_of(page_alloc());
		u64 end;

		for (i = 0; i < n; i++)
			ept_map(ept, pages[i], pages[i], 1, EPT_RWX | EPT_WB);
		end = addr_of(page_alloc());
		for (; first < end; first += PAGE_SIZE) /* the tables themselves */
			ept_map(ept, first, first, 1, EPT_RWX | EPT_WB);
		vm->ept = ept;
		vmwrite(F_EPTP, ept | EPTP_FLAGS);
	}
}

static void make(struct template *t, enum vm_mode mode, bool ept)
{
	u32 i;

	vm_create(&t->vm, mode, ept ? VM_EPT : 0, f_code);
	t->ept = t->vm.ept != 0;
	confine(t);
	vmset(F_PROC, PROC_HLT);
	vmwrite(F_EXCEPTION_BITMAP, 0xffffffff);
	if (caps_pin(PIN_TIMER)) {
		vmset(F_PIN, PIN_TIMER);
		vmwrite(F_GUEST_TIMER, 20000);
	}
	for (i = 0; i < FIELDS; i++) {
		u64 v = 0;
		u32 f = all_fields[i];

		exists[i] = vmread_checked(f, &v) == VMX_OK;
		/* pages behind every address, so that a control that is switched on finds something there */
		if (exists[i] && f >= F_IO_BITMAP_A && f <= F_TSC_MULTIPLIER && f != F_TSC_OFFSET &&
		    f != F_EPTP && f != F_VMFUNC_CONTROLS && f != F_XSS_BITMAP && f != F_ENCLS_BITMAP &&
		    f != F_TSC_MULTIPLIER && !(f >= F_EOI_EXIT0 && f <= F_EOI_EXIT3)) {
			v = spare + (f & 0x1e) * PAGE_SIZE;
			if (f == F_ENTRY_MSR_LOAD || f == F_EXIT_MSR_LOAD || f == F_EXIT_MSR_STORE)
				v = addr_of(msr_list) + (f - F_EXIT_MSR_STORE) * 512;
		}
		if (f == F_TSC_MULTIPLIER)
			v = 1ul << 48;
		if (f == F_HOST_PAT || f == F_GUEST_PAT)
			v = 0x0007040600070406;
		t->values[i] = v;
	}
	memset(t->changed, 0, sizeof(t->changed));
	for (i = 0; i < FIELDS; i++)
		t->changed[i] = exists[i] && !read_only(all_fields[i]);
	t->made = true;
}

/* A state in which nobody would come back from: HLT or the like without the timer. */
static bool would_sleep(void)
{
	u64 activity = vmread(F_GUEST_ACTIVITY);

	if (activity == ACTIVE || activity > WAIT_FOR_SIPI)
		return false;
	return activity != HLT || !(vmread(F_PIN) & PIN_TIMER) || vmread(F_GUEST_PENDING_DEBUG) != 0;
}

static u64 hash_state(struct vm *vm, u32 reason)
{
	u64 hash = hash_add(0, reason);
	u32 i;
	bool pae = vmread(F_GUEST_CR4) & CR4_PAE && vmread(F_GUEST_CR0) & CR0_PG &&
		   !(vmread(F_ENTRY) & ENTRY_IA32E);

	if (!(reason & VM_FAIL)) {
		u64 intr = vmread(F_EXIT_INTR_INFO);
		u64 idt = vmread(F_IDT_INFO);

		hash = hash_add(hash, vmread(F_QUALIFICATION));
		if (!(reason & REASON_FAILED_ENTRY)) {
			hash = hash_add(hash, intr & INTR_VALID ? intr : 0);
			hash = hash_add(
				hash, intr & INTR_VALID && intr & INTR_CODE ? vmread(F_EXIT_ERROR_CODE) : 0);
			hash = hash_add(hash, idt & INTR_VALID ? idt : 0);
			hash = hash_add(hash,
					idt & INTR_VALID && idt & INTR_CODE ? vmread(F_IDT_ERROR_CODE) : 0);
			if (reason == REASON_EPT_VIOLATION || reason == REASON_EPT_MISCONFIG)
				hash = hash_add(hash, vmread(F_GUEST_PHYSICAL));
			if (reason == REASON_EPT_VIOLATION && vmread(F_QUALIFICATION) & BIT(7))
				hash = hash_add(hash, vmread(F_GUEST_LINEAR));
			if (reason == REASON_VMCALL)
				hash = hash_add(hash, vmread(F_EXIT_LENGTH));
		}
	}
	hash = hash_add(hash, vmread(F_ENTRY_INTR_INFO));
	for (i = 0; i < FIELDS; i++) {
		u32 f = all_fields[i];

		if (!exists[i] || !is_guest(f) || f == F_GUEST_TIMER)
			continue;
		if (f >= F_GUEST_PDPTE0 && f <= F_GUEST_PDPTE3 && !pae)
			continue;
		hash = hash_add(hash, vmread(f));
	}
	hash = hash_add(hash, cr0_read());
	hash = hash_add(hash, cr4_read());
	hash = hash_add(hash, msr_read(MSR_EFER));
	hash = hash_add(hash, dr7_read());
	hash = hash_add(hash, msr_read(MSR_FS_BASE));
	hash = hash_add(hash, msr_read(MSR_SYSENTER_ESP));
	hash = hash_add(hash, msr_read(MSR_STAR));
	hash = hash_add(hash, msr_read(MSR_LSTAR));
	hash = hash_add(hash, msr_read(MSR_KERNEL_GS_BASE));
	hash = hash_add(hash, msr_read(MSR_PAT));
	for (i = 0; i < 16; i++)
		if (i != 4)
			hash = hash_add(hash, ((u64 *)&vm->regs)[i]);
	return hash;
}

static u64 run_case(u64 number, u64 seed0, bool detail)
{
	u64 start = random_next(&seed0) ^ number * 0xd1342543de82ef95ul;
	u64 seed = random_next(&start);
	u64 r = random_next(&seed);
	enum vm_mode mode = r % VM_MODES;
	struct template *t;
	struct mutation m[4];
	u64 hash;
	u32 i, n, reason;

	if (!vm_mode_possible(mode))
		mode = VM_64;
	t = &templates[mode][(r >> 8 & 1) && caps_proc2(PROC2_EPT)];
	if (!t->made) {
		print("FAIL template\n");
		return 0;
	}
	vm_current(&t->vm);
	if (r >> 9 & 1) {
		vmclear(t->vm.vmcs);
		t->vm.launched = false;
		this_cpu()->vm = NULL;
		vm_current(&t->vm);
	}
	for (i = 0; i < FIELDS; i++)
		if (t->changed[i] || all_fields[i] == F_ENTRY_INTR_INFO ||
		    (exists[i] && is_guest(all_fields[i])))
			vmwrite(all_fields[i], t->values[i]);
	memset(t->changed, 0, sizeof(t->changed));
	fuzz_fill_lists(msr_list, &seed);
	n = fuzz_mutate(t, m, &seed);
	for (i = 0; i < n; i++)
		vmwrite(m[i].field, m[i].value);
	memset(&t->vm.regs, 0, sizeof(t->vm.regs));
	msr_write(MSR_STAR, 0);
	msr_write(MSR_LSTAR, 0);
	msr_write(MSR_KERNEL_GS_BASE, 0);
	if (would_sleep())
		vmwrite(F_GUEST_ACTIVITY, ACTIVE);
	reason = vm_run(&t->vm);
	hash = hash_state(&t->vm, reason);
	if (detail) {
		print("RESULT case=%lu %s%s ", number, vm_mode_names[mode], t->ept ? "+ept" : "");
		if (reason & VM_FAIL)
			print("vmfail=%u", reason & ~VM_FAIL);
		else
			print("exit=%x qual=%lx intr=%lx", reason, vmread(F_QUALIFICATION),
			      !(reason & REASON_FAILED_ENTRY) && vmread(F_EXIT_INTR_INFO) & INTR_VALID
				      ? vmread(F_EXIT_INTR_INFO)
				      : 0);
		print(" hash=%lx changed", hash);
		for (i = 0; i < n; i++)
			print(" %x:=%lx", m[i].field, m[i].value);
		print("\n");
		if (option_flag("fields"))
			for (i = 0; i < FIELDS; i++)
				if (exists[i] && is_guest(all_fields[i]))
					print("RESULT case=%lu field %x %lx\n", number, all_fields[i],
					      vmread(all_fields[i]));
	}
	/* whatever the exit loaded: L1's own again */
	cr0_write((cr0_read() | CR0_WP) & ~(CR0_TS | CR0_AM));
	cr4_write(caps.cr4_fixed0 | CR4_PAE | CR4_VMXE);
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE | EFER_SCE);
	msr_write(MSR_PAT, 0x0007040600070406);
	return hash;
}

TEST_VMX(fuzz)
{
	u64 seed = option_number("seed", 1);
	u64 from = option_number("cases", 0);
	u64 to = option_range_end("cases", 1999);
	bool detail = option_flag("detail");
	u64 hash = 0, start = from, number;
	enum vm_mode mode;

	msr_list = page_alloc();
	spare = addr_of(page_alloc_contig(64));
	msr_write(MSR_PAT, 0x0007040600070406);
	cr4_write(caps.cr4_fixed0 | CR4_PAE | CR4_VMXE);
	for (mode = VM_64; mode < VM_MODES; mode++) {
		if (!vm_mode_possible(mode))
			continue;
		make(&templates[mode][0], mode, false);
		if (caps_proc2(PROC2_EPT))
			make(&templates[mode][1], mode, true);
	}
	for (number = from; number <= to; number++) {
		hash = hash_add(hash, run_case(number, seed, detail));
		if (number % 50 == 49 || number == to) {
			result("seed=%lu cases=%lu-%lu hash=%lx", seed, start, number, hash);
			start = number + 1;
			hash = 0;
		}
	}
}
