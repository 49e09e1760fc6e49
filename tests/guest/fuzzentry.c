/* SPDX-License-Identifier: MIT */
/*
 * Guest test "fuzzentry": VM entries generated from (seed, case): a valid VMCS in some mode, one to four fields changed,
 * VMLAUNCH or VMRESUME, and a hash of all that L1 can see afterwards. The same seed on the bare processor and under Socle
 * must print the same lines. Options: seed=, cases=from-to, detail (a line for each case); drop-pin=, drop-proc=,
 * drop-proc2=, drop-exit=, drop-entry=, drop-cr4=: bits never to be set, for where two platforms advertise different ones.
 * L2 can reach only its own few pages and every exception exits, so that whatever state it is entered in, it comes back.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

/* Code of L2: nothing but VMCALLs; real mode and v86 have a copy. */
GUEST_CODE(f_code, 64, ".balign 4096; .rept 1365; vmcall; .endr; hlt; .balign 4096");

struct template {
	struct vm vm;
	bool ept;
	bool made;
	u64 values[256];	/* of writable fields, by index in all_fields */
	bool changed[256];	/* by the last case: to be written again */
};

static const u16 all_fields[] = {
#define FIELD(encoding, name) encoding,
#include "tests/guest/lib/fields.def"
#undef FIELD
};
enum { FIELDS = ARRAY_SIZE(all_fields) };

static struct template templates[VM_MODES][2];
static bool exists[FIELDS];
static struct msr_entry {
	u32 msr, reserved;
	u64 value;
} *msr_list;
static u64 spare;	/* pages behind the address fields */

static bool read_only(u32 field) { return (field >> 10 & 3) == 1; }
static bool is_host(u32 field) { return (field >> 10 & 3) == 3; }
static bool is_guest(u32 field) { return (field >> 10 & 3) == 2; }

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
	if (vm->mode == VM_64 || vm->mode == VM_COMPAT || vm->mode == VM_PAE || vm->mode == VM_32 || vm->mode == VM_V86) {
		root = addr_of(page_alloc());
		for (i = 0; i < n; i++) {
			if (vm->mode == VM_64 || vm->mode == VM_COMPAT)
				*paging_entry(root, pages[i], 1) = pages[i] | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
			else if (vm->mode == VM_PAE)
				map_pae(root, pages[i]);
			else
				map32(root, pages[i]);
		}
		vmwrite(F_GUEST_CR3, root);
		if (caps_proc2(PROC2_EPT))
			for (i = 0; i < 4; i++)
				vmwrite(F_GUEST_PDPTE0 + 2 * i, vm->mode == VM_PAE ? ((u64 *)ptr_of(root))[i] : 0);
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
		if (exists[i] && f >= F_IO_BITMAP_A && f <= F_TSC_MULTIPLIER && f != F_TSC_OFFSET && f != F_EPTP &&
		    f != F_VMFUNC_CONTROLS && f != F_XSS_BITMAP && f != F_ENCLS_BITMAP && f != F_TSC_MULTIPLIER &&
		    !(f >= F_EOI_EXIT0 && f <= F_EOI_EXIT3)) {
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

struct mutation {
	u32 field;
	u64 value;
};

static const u64 boundaries[] = {
	0, 1, 2, 8, 0xfff, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffff, 0x800000000000,
	0xffff7fffffffffff, 0xffff800000000000, 0x8000000000000000, 0xffffffffffffffff, 0xfffffffffffff000, 0x10000000000000,
};
static const u64 rights[] = {
	0x93, 0x9b, 0xf3, 0x9f, 0x9d, 0xfb, 0x97, 0x91, 0x99, 0x13, 0xc093, 0xc09b, 0xa09b, 0xe09b, 0x409b, 0x809b, 0x8b, 0x83,
	0x82, 0x89, 0x10000, 0x10093, 0x1c093, 0x193, 0xd3, 0xb3, 0xfb3, 0x20093, 0, 0xc0f3, 0xc0fb, 0xdf, 0xbf,
};

#define PICK(list) ((list)[random_next(seed) % ARRAY_SIZE(list)])

static u64 any_value(u64 old, u64 *seed)
{
	u64 r = random_next(seed);

	switch (r % 6) {
	case 0:
	case 1:
		return old ^ 1ul << (r >> 8 & 63);
	case 2:
		return old ^ 1ul << (r >> 8 & 31);
	case 3:
		return PICK(boundaries);
	case 4:
		return (old ^ 1ul << (r >> 8 & 31)) ^ 1ul << (r >> 16 & 31);
	default:
		return random_next(seed) >> (r >> 8 & 63);
	}
}

static u64 event_value(u64 *seed)
{
	static const u8 vectors[] = { 0, 1, 2, 3, 4, 6, 8, 10, 13, 14, 17, 18, 21, 32, 0x50, 0xff, 5, 7 };
	u64 r = random_next(seed);
	u64 type = r & 7;
	u64 vector = type == 2 && r & 0x30 ? 2 : PICK(vectors);
	u64 v = vector | type << 8 | ((r >> 6 & 15) ? INTR_VALID : 0);

	if (type == 3 && ((1ul << (vector & 63) & 0x227d00) != 0) != !(r >> 10 & 7))
		v |= INTR_CODE;
	if (!(r >> 13 & 31))
		v |= 1ul << (12 + (r >> 18) % 19);
	return v;
}

static u64 guest_value(u32 field, u64 old, u64 *seed)
{
	u64 r = random_next(seed);

	if (!(r & 7))
		return any_value(old, seed);
	if (field >= F_GUEST_ES_RIGHTS && field <= F_GUEST_TR_RIGHTS)
		return PICK(rights);
	if (field >= F_GUEST_ES && field <= F_GUEST_TR)
		return (r >> 8 & 3) ? old ^ (r >> 10 & 7) : r >> 16 & 0xffff;
	if (field >= F_GUEST_ES_LIMIT && field <= F_GUEST_TR_LIMIT)
		return ((const u64[]){ 0, 0x67, 0x66, 0xfff, 0xffff, 0xfffff, 0x100000, 0xffffffff, 0xfffff000, 0x2b })[r / 8 % 10];
	switch (field) {
	case F_GUEST_INTERRUPTIBILITY:
		return r >> 8 & ((r >> 16 & 7) ? 15 : 0x3f);
	case F_GUEST_ACTIVITY:
		return (r >> 8 & 7) ? r >> 12 & 1 : (r >> 12 & 1) + 4;
	case F_GUEST_CR0:
		return old ^ ((const u64[]){ CR0_PE, CR0_MP, CR0_EM, CR0_TS, CR0_NE, CR0_WP, CR0_AM, CR0_NW, CR0_CD, CR0_PG,
					     CR0_CD | CR0_NW, CR0_PE | CR0_PG, BIT(32), CR0_ET })[r / 8 % 14];
	case F_GUEST_CR4:
		return old ^ 1ul << (r >> 8) % 25;
	case F_GUEST_RFLAGS:
		return old ^ 1ul << (r >> 8) % 23;
	case F_GUEST_EFER:
		return old ^ ((const u64[]){ EFER_LMA, EFER_LME, EFER_LMA | EFER_LME, EFER_NXE, EFER_SCE, BIT(1), BIT(16) })[r / 8 % 7];
	case F_GUEST_PAT:
	case F_HOST_PAT:
		return old ^ (r >> 8 & 7) << 8 * (r >> 11 & 7);
	case F_GUEST_DR7:
		return old ^ 1ul << (r >> 8) % 34;
	case F_GUEST_DEBUGCTL:
		return 1ul << (r >> 8) % 16;
	case F_GUEST_PENDING_DEBUG:
		return 1ul << (r >> 8) % 17 | ((r >> 16 & 1) ? BIT(12) : 0) | ((r >> 17 & 1) ? BIT(14) : 0);
	case F_VMCS_LINK:
		return ((const u64[]){ ~0ul, 0, 0x1000, ~0ul ^ BIT(63), BIT(52), ~0xffful })[r / 8 % 6];
	default:
		return any_value(old, seed);
	}
}

static u64 control_value(u32 field, u64 old, u64 *seed)
{
	u64 r = random_next(seed);

	switch (field) {
	case F_PIN:
		return old ^ 1ul << (r >> 8) % 9;
	case F_PROC:
	case F_PROC2:
	case F_EXIT:
	case F_ENTRY:
		return old ^ 1ul << (r >> 8 & 31) ^ ((r >> 16 & 3) ? 0 : 1ul << (r >> 18 & 31));
	case F_ENTRY_INTR_INFO:
		return event_value(seed);
	case F_ENTRY_LENGTH:
		return r >> 8 & 31;
	case F_ENTRY_ERROR_CODE:
		return r >> 8 & ((r >> 4 & 3) ? 0xffff : ~0ul);
	case F_CR3_TARGET_COUNT:
		return r >> 8 & 7;
	case F_TPR_THRESHOLD:
		return r >> 8 & ((r >> 4 & 3) ? 15 : 0xff);
	case F_ENTRY_MSR_LOAD_COUNT:
	case F_EXIT_MSR_LOAD_COUNT:
	case F_EXIT_MSR_STORE_COUNT:
		return r >> 8 & 7;
	case F_EPTP:
		return old ^ 1ul << ((r >> 8 & 3) ? (r >> 10) % 12 : (r >> 10) % 64);
	default:
		return any_value(old, seed);
	}
}

/* Only what fails, or what L1 can live with until the next exit. */
static u64 host_value(u32 field, u64 old, u64 *seed)
{
	u64 r = random_next(seed);

	switch (field) {
	case F_HOST_CS:
		return ((const u64[]){ 0, old | 1, old | 3, old | 4, old })[r / 8 % 5];
	case F_HOST_TR:
		return ((const u64[]){ 0, old | 1, old | 4, old, 8 })[r / 8 % 5];
	case F_HOST_ES:
	case F_HOST_SS:
	case F_HOST_DS:
	case F_HOST_FS:
	case F_HOST_GS:
		return (r >> 8 & 1) ? old | 1ul << (r >> 9) % 3 : (r >> 12 & 0xff) << 3;
	case F_HOST_CR0:
		return old ^ ((const u64[]){ CR0_PE, CR0_NE, CR0_PG, CR0_WP, CR0_AM, CR0_TS, BIT(32), BIT(63), CR0_NW })[r / 8 % 9];
	case F_HOST_CR4:
		return old ^ ((const u64[]){ CR4_PAE, CR4_VMXE, CR4_TSD, CR4_DE, CR4_PGE, CR4_PCE, BIT(14), BIT(15), BIT(40),
					     CR4_PCIDE })[r / 8 % 10];
	case F_HOST_CR3:
		return old | ((const u64[]){ BIT(52), BIT(63), BIT(40), BIT(12 + 39) })[r / 8 % 4];
	case F_HOST_RIP:
		return old | ((const u64[]){ BIT(47), BIT(62), 0xffff000000000000 })[r / 8 % 3];
	case F_HOST_GS_BASE:
	case F_HOST_GDTR_BASE:
	case F_HOST_IDTR_BASE:
		return ((const u64[]){ BIT(47), BIT(63), 0x7fff800000000000 })[r / 8 % 3];
	case F_HOST_TR_BASE:
	case F_HOST_FS_BASE:
	case F_HOST_SYSENTER_ESP:
	case F_HOST_SYSENTER_EIP:
		return PICK(boundaries);
	case F_HOST_EFER:
		return old ^ ((const u64[]){ EFER_LMA, EFER_LME, EFER_LMA | EFER_LME, BIT(1), EFER_SCE, BIT(20) })[r / 8 % 6];
	case F_HOST_PAT:
		return guest_value(field, old, seed);
	case F_HOST_SYSENTER_CS:
		return r >> 16 & 0xffffffff;
	default:
		return old;
	}
}

static void fill_msr_lists(u64 *seed)
{
	static const u32 msrs[] = { MSR_STAR, MSR_LSTAR, MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_EIP, MSR_FS_BASE, 0x808,
				    MSR_VMX_BASIC, 0x12345, MSR_CSTAR, MSR_SFMASK, MSR_STAR, MSR_LSTAR };
	u32 i, k;

	for (i = 0; i < 3; i++) {
		for (k = 0; k < 8; k++) {
			struct msr_entry *e = &msr_list[i * 64 + k];
			u64 r = random_next(seed);

			/* no loads into L1 that it could not live with */
			e->msr = msrs[r % (i == 2 ? ARRAY_SIZE(msrs) : 4)];
			if (i < 2 && !(r >> 8 & 15))
				e->msr = MSR_SFMASK;
			e->reserved = i == 2 && !(r >> 12 & 15);
			e->value = (r >> 16 & 7) ? r >> 32 & 0x7ffffff : i == 2 ? PICK(boundaries) : 0;
		}
	}
}

/* Bits that one of the two platforms to be compared does not have. */
static u64 dropped(u32 field)
{
	switch (field) {
	case F_PIN:
		return option_number("drop-pin", 0);
	case F_PROC:
		return option_number("drop-proc", 0);
	case F_PROC2:
		return option_number("drop-proc2", 0);
	case F_EXIT:
		return option_number("drop-exit", 0);
	case F_ENTRY:
		return option_number("drop-entry", 0);
	case F_GUEST_CR4:
	case F_HOST_CR4:
		return option_number("drop-cr4", 0);
	case F_EPTP: /* shadow-stack pages are CET's */
		return option_number("drop-cr4", 0) & BIT(23) ? BIT(7) : 0;
	}
	return 0;
}

static u32 mutate(struct template *t, struct mutation *m, u64 *seed)
{
	u32 n = 1 + random_next(seed) % 4;
	u32 i;

	for (i = 0; i < n; i++) {
		u64 r = random_next(seed);
		u32 at;

		/* often one of those that decide most */
		if ((r & 7) == 0) {
			static const u16 hot[] = { F_ENTRY_INTR_INFO, F_GUEST_INTERRUPTIBILITY, F_GUEST_ACTIVITY, F_GUEST_RFLAGS,
						   F_GUEST_CR0, F_GUEST_CR4, F_GUEST_EFER, F_ENTRY, F_PROC2, F_GUEST_CS_RIGHTS,
						   F_GUEST_SS_RIGHTS, F_GUEST_PENDING_DEBUG, F_ENTRY_MSR_LOAD_COUNT,
						   F_GUEST_PDPTE2 };

			m[i].field = PICK(hot);
		} else {
			m[i].field = all_fields[(r >> 8) % FIELDS];
		}
		for (at = 0; all_fields[at] != m[i].field; at++)
			;
		if (!exists[at] || read_only(m[i].field) || m[i].field == F_GUEST_TIMER || m[i].field == F_HOST_RSP ||
		    m[i].field == F_HOST_PERF_GLOBAL) {
			m[i].field = F_ENTRY_INTR_INFO;
			m[i].value = event_value(seed);
			continue;
		}
		t->changed[at] = true;
		if (is_host(m[i].field))
			m[i].value = host_value(m[i].field, t->values[at], seed);
		else if (is_guest(m[i].field))
			m[i].value = guest_value(m[i].field, t->values[at], seed);
		else
			m[i].value = control_value(m[i].field, t->values[at], seed);
		m[i].value &= ~dropped(m[i].field);
		/* a list of rubbish at an exit would be a VMX abort */
		if (m[i].field == F_EXIT_MSR_LOAD || m[i].field == F_EXIT_MSR_STORE)
			m[i].value |= 8;
	}
	return n;
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
	bool pae = vmread(F_GUEST_CR4) & CR4_PAE && vmread(F_GUEST_CR0) & CR0_PG && !(vmread(F_ENTRY) & ENTRY_IA32E);

	if (!(reason & VM_FAIL)) {
		u64 intr = vmread(F_EXIT_INTR_INFO);
		u64 idt = vmread(F_IDT_INFO);

		hash = hash_add(hash, vmread(F_QUALIFICATION));
		if (!(reason & REASON_FAILED_ENTRY)) {
			hash = hash_add(hash, intr & INTR_VALID ? intr : 0);
			hash = hash_add(hash, intr & INTR_VALID && intr & INTR_CODE ? vmread(F_EXIT_ERROR_CODE) : 0);
			hash = hash_add(hash, idt & INTR_VALID ? idt : 0);
			hash = hash_add(hash, idt & INTR_VALID && idt & INTR_CODE ? vmread(F_IDT_ERROR_CODE) : 0);
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
	u64 seed = seed0 * 0x9e3779b97f4a7c15ul + number * 0xd1342543de82ef95ul;
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
		if (t->changed[i] || all_fields[i] == F_ENTRY_INTR_INFO || (exists[i] && is_guest(all_fields[i])))
			vmwrite(all_fields[i], t->values[i]);
	memset(t->changed, 0, sizeof(t->changed));
	fill_msr_lists(&seed);
	n = mutate(t, m, &seed);
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
			      !(reason & REASON_FAILED_ENTRY) && vmread(F_EXIT_INTR_INFO) & INTR_VALID ?
				      vmread(F_EXIT_INTR_INFO) : 0);
		print(" hash=%lx changed", hash);
		for (i = 0; i < n; i++)
			print(" %x:=%lx", m[i].field, m[i].value);
		print("\n");
		if (option_flag("fields"))
			for (i = 0; i < FIELDS; i++)
				if (exists[i] && is_guest(all_fields[i]))
					print("RESULT case=%lu field %x %lx\n", number, all_fields[i], vmread(all_fields[i]));
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
