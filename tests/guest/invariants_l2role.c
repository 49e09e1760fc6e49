/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants", the fourth: L2 switches what shapes its page walks (CR4.PSE, SMEP, SMAP, CR0.WP,
 * EFER.NXE) with paging on, and its next access to memory must come out by the new rules: an access of its
 * own, or an instruction whose operand L1 reaches for it. The bit is L2's own, or L1's by guest/host mask (L1
 * then emulates the write), or L2's while L1 keeps the others at values that L2 does not see.
 * SDM: "Paging", "Guest/Host Masks and Read Shadows for CR0 and CR4".
 */
#include "tests/guest/invariants.h"

#define OWNED4 (CR4_PSE | CR4_SMEP | CR4_SMAP)

enum owner { BY_L2, BY_L1, BESIDE_L1, OWNERS };
static const char *const owner_names[OWNERS] = { "l2", "l1", "beside" };

enum access { LOAD, STORE, FETCH, OUTS, INS, VMPTRLD, VMREAD, TASK, ACCESSES };
static const struct {
	u8 code[8], length;
	u16 at;
	u32 walk; /* as l2_walk() has it */
} accesses[ACCESSES] = {
	[LOAD] = { { 0x8b, 0x2e }, 2, AT_DATA, 0 },	      /* mov (%esi), %ebp */
	[STORE] = { { 0x89, 0x06 }, 2, AT_DATA, WALK_WRITE }, /* mov %eax, (%esi) */
	[FETCH] = { { 0xff, 0xd6 }, 2, AT_CODE, WALK_FETCH }, /* call *%esi, to: mov $mark, %ebp; ret */
	[OUTS] = { { 0x6f }, 1, AT_DATA, 0 },
	[INS] = { { 0x6d }, 1, AT_DATA, WALK_WRITE },
	[VMPTRLD] = { { 0x0f, 0xc7, 0x36 }, 3, AT_DATA, 0 },
	[VMREAD] = { { 0x0f, 0x78, 0x06 }, 3, AT_DATA, WALK_WRITE },
	[TASK] = { { 0xea, 0, 0, 0, 0, SEL_FREE }, 7, AT_TSS, 0 },
};

enum reg { IN_CR0, IN_CR4, IN_EFER };
static const struct bit {
	const char *name;
	enum reg reg;
	u64 mask;
	u32 page;
	bool wide_only, pae_reloads;
} bits[] = {
	{ "pse", IN_CR4, CR4_PSE, LARGE, false, true },
	{ "wp", IN_CR0, CR0_WP, READ_ONLY, false, false },
	{ "smep", IN_CR4, CR4_SMEP, USER, false, true },
	{ "smap", IN_CR4, CR4_SMAP, USER, false, false },
	{ "nxe", IN_EFER, EFER_NXE, NO_EXECUTE, true, false },
	{ "am", IN_CR0, CR0_AM, READ_ONLY, false, false }, /* for what stands beside it */
};
static const u8 writes[][3] = {
	[IN_CR0] = { 0x0f, 0x22, 0xc0 }, [IN_CR4] = { 0x0f, 0x22, 0xe0 }, [IN_EFER] = { 0x0f, 0x30, 0x90 }
};
static const u8 prelude[] = { 0x89, 0x2b };					   /* mov %ebp, (%ebx) */
static const u8 tail[] = { 0x0f, 0x20, 0xe0, 0x0f, 0x20, 0xc2, 0x0f, 0x01, 0xc1 }; /* CR4, CR0; VMCALL */

/* One write of a bit and one access: the state that must hold afterwards, and what L2 saw and reached. */
struct round {
	struct vm *vm;
	const struct world *w;
	const struct bit *bit;
	enum owner owner;
	enum access access;
	bool ept, on;
	struct paging real;
	u64 mask0, mask4, shadow0, shadow4;
	u32 at, reached;
	u64 hash;
};

enum { FAULT = 0x100 }; /* reached: a mark, or FAULT + vector << 16 + error code */

static bool is_pae(const struct round *r)
{
	return r->vm->mode == VM_PAE;
}

/* CR4.SMAP is not among the bits that load PDPTEs; the emulated processor loads them (tests/deviations.md).
 */
static bool is_smap(const struct round *r)
{
	return r->bit->mask == CR4_SMAP;
}

static u64 *word_of(struct paging *p, enum reg reg)
{
	return reg == IN_CR0 ? &p->cr0 : reg == IN_CR4 ? &p->cr4 : &p->efer;
}

static u64 seen0(const struct round *r)
{
	return (r->real.cr0 & ~r->mask0) | (r->shadow0 & r->mask0);
}

static u64 seen4(const struct round *r)
{
	return (r->real.cr4 & ~r->mask4) | (r->shadow4 & r->mask4);
}

/* The code of L2: the change of its PDPTE, the write, the access, and what it reads of the registers then. */
static u64 assemble(struct round *r)
{
	u8 *at = r->w->code;

	memcpy(at, prelude, sizeof(prelude));
	at += sizeof(prelude);
	memcpy(at, writes[r->bit->reg], 3);
	at += 3;
	memcpy(at, accesses[r->access].code, accesses[r->access].length);
	at += accesses[r->access].length;
	memcpy(at, tail, sizeof(tail));
	return addr_of(at);
}

/* The state before the write; `owned` are the bits that L2 sees at other values than they have. */
static void prepare(struct round *r, const struct paging *before)
{
	u64 owned4 = OWNED4 & caps.cr4_fixed1 & ~(r->bit->reg == IN_CR4 ? r->bit->mask : 0);
	u64 owned0 = CR0_WP & ~(r->bit->reg == IN_CR0 ? r->bit->mask : 0);

	r->real = *before;
	if (r->owner == BESIDE_L1) {
		r->real.cr0 = r->on ? r->real.cr0 | owned0 : r->real.cr0 & ~owned0;
		r->real.cr4 = r->on ? r->real.cr4 | owned4 : r->real.cr4 & ~owned4;
	} else {
		owned0 = owned4 = 0;
	}
	if (r->on)
		*word_of(&r->real, r->bit->reg) &= ~r->bit->mask;
	else
		*word_of(&r->real, r->bit->reg) |= r->bit->mask;
	r->mask0 = r->owner == BY_L1 ? CR0_WP | CR0_AM : owned0;
	r->mask4 = r->owner == BY_L1 ? OWNED4 : owned4;
	r->shadow0 = r->real.cr0 ^ owned0;
	r->shadow4 = r->real.cr4 ^ owned4;
	r->at = WINDOW + r->bit->page * 4096 + accesses[r->access].at;
	if (r->vm->mode == VM_32 && r->bit->page == LARGE)
		r->at += 4 * MIB;
	r->w->pdpt[3] = r->w->pdpte_a;
}

static u32 through(const struct paging *p, u64 linear, u32 access)
{
	u64 pa;
	u32 code = l2_walk(p, linear, access, &pa);

	return code == WALK_OK ? window_mark(pa) : FAULT + (VEC_PF << 16) + code;
}

/* L1 owns the bit: it does what the processor would. */
static void emulate_write(struct round *r, u32 reason)
{
	u64 value = r->vm->regs.rax, qualification = vmread(F_QUALIFICATION);
	u32 i;

	if (reason == 32) {
		vmwrite(F_GUEST_EFER, (value & ~EFER_LMA) | (vmread(F_GUEST_EFER) & EFER_LMA));
	} else if (qualification == 0) {
		vmwrite(F_GUEST_CR0, value);
		vmwrite(F_CR0_SHADOW, value);
	} else {
		CHECK(qualification == 4);
		vmwrite(F_GUEST_CR4, value);
		vmwrite(F_CR4_SHADOW, value);
	}
	for (i = 0; is_pae(r) && r->ept && r->bit->pae_reloads && i < 4; i++)
		vmwrite(F_GUEST_PDPTE0 + 2 * i, r->w->pdpt[i]);
	vm_skip(r->vm);
}

/* L1 reaches the operand of an instruction for L2. */
static void emulate_access(struct round *r, u32 reason)
{
	u64 linear = exit_operand(r->vm, reason);
	struct paging p;

	paging_of_l2(&p);
	r->reached = through(&p, linear, accesses[r->access].walk);
	r->hash = hash_add(r->hash, reason);
	r->hash = hash_add(r->hash, vmread(F_QUALIFICATION));
	if (reason != REASON_TASK_SWITCH && (reason != REASON_IO || caps.basic & BIT(54)))
		r->hash = hash_add(r->hash, vmread(F_INSTRUCTION_INFO));
	CHECK(linear == r->at);
}

/* Runs L2 to its end; false: an exit that nobody expects. */
static bool run(struct round *r, u64 tail_at)
{
	struct vm *vm = r->vm;

	for (;;) {
		u32 reason = vm_run(vm), vector;

		switch (reason) {
		case REASON_CR:
		case REASON_WRMSR: emulate_write(r, reason); continue;
		case REASON_IO:
		case REASON_TASK_SWITCH:
		case 21: /* VMPTRLD, VMREAD */
		case 23: emulate_access(r, reason); break;
		case REASON_VMCALL:
			vector = vm_vector(vm);
			if (vector == 256)
				return true;
			r->reached = FAULT + (vector << 16) +
				     (vector == VEC_PF || vector == VEC_GP ? (u32)vm_stack(vm, 0) : 0);
			if (vector == VEC_PF)
				CHECK(cr2_read() == r->at);
			break;
		default: vm_report(vm, reason, r->bit->name); return false;
		}
		vmwrite(F_GUEST_RIP, tail_at);
		vmwrite(F_GUEST_RSP, vm->stack);
	}
}

/* Which page a store has reached, if any; as it was again. */
static void find_store(struct round *r)
{
	u32 i;

	for (i = 0; i < 3; i++) {
		u32 *page = r->w->pages[i] + 1024 * r->bit->page, mark = page[AT_TSS / 4];

		if (page[AT_DATA / 4] != mark)
			r->reached = mark;
		page[AT_DATA / 4] = mark;
	}
}

/* What must come out, by the SDM. */
static u32 expected(const struct round *r)
{
	struct paging p = r->real;

	if (r->access == TASK && r->vm->mode == VM_64)
		return FAULT + (VEC_UD << 16);
	if ((r->access == VMPTRLD || r->access == VMREAD) && r->vm->mode == VM_COMPAT)
		return FAULT + (VEC_UD << 16);
	if (r->access == TASK && r->vm->mode == VM_COMPAT)
		return FAULT + (VEC_GP << 16) + SEL_FREE;
	if (!r->ept && r->access >= OUTS)
		p.pdpte[3] = r->w->pdpt[3]; /* each VM entry loads them, and L1 looks there */
	return through(&p, r->at, accesses[r->access].walk);
}

static void enter(struct round *r)
{
	u32 i;

	vmwrite(F_GUEST_CR0, r->real.cr0);
	vmwrite(F_GUEST_CR4, r->real.cr4);
	vmwrite(F_GUEST_EFER, r->real.efer);
	vmwrite(F_CR0_MASK, r->mask0);
	vmwrite(F_CR4_MASK, r->mask4);
	vmwrite(F_CR0_SHADOW, r->shadow0);
	vmwrite(F_CR4_SHADOW, r->shadow4);
	for (i = 0; is_pae(r) && r->ept && i < 4; i++)
		vmwrite(F_GUEST_PDPTE0 + 2 * i, r->w->pdpt[i]);
	for (i = 0; i < 4; i++)
		r->real.pdpte[i] = r->w->pdpt[i];
	if (r->vm->mode == VM_COMPAT) { /* L2's handlers are 64-bit code */
		vmwrite(F_GUEST_CS, SEL_CODE32);
		vmwrite(F_GUEST_CS_RIGHTS, 0xc09b);
	}
	vmwrite(F_GUEST_RIP, addr_of(r->w->code));
	vmwrite(F_GUEST_RSP, r->vm->stack);
	r->vm->regs = (struct gprs){ .rsp = addr_of(r->w->code),
				     .rax = r->bit->reg == IN_CR0   ? seen0(r)
					    : r->bit->reg == IN_CR4 ? seen4(r)
								    : r->real.efer,
				     .rcx = MSR_EFER,
				     .rbx = is_pae(r) ? addr_of(&r->w->pdpt[3]) : addr_of(&r->w->scratch),
				     .rbp = (u32)(is_smap(r) ? r->w->pdpte_a : r->w->pdpte_b),
				     .rsi = r->at,
				     .rdi = r->at };
	r->vm->regs.rax ^= r->bit->mask;
	gdt_set(SEL_FREE, 0x67 | (u64)(r->at & 0xffffff) << 16 | 0x89ul << 40 | (u64)(r->at >> 24) << 56);
}

static void one(struct round *r, const struct paging *before)
{
	u64 tail_at = assemble(r);
	bool reloads;

	prepare(r, before);
	enter(r);
	r->reached = 0;
	if (!run(r, tail_at))
		return;
	if (r->access == STORE)
		find_store(r);
	else if (r->access <= FETCH && !r->reached)
		r->reached = (u32)r->vm->regs.rbp;
	/* as it must be now */
	*word_of(&r->real, r->bit->reg) ^= r->bit->mask;
	if (r->owner == BY_L1) {
		r->shadow0 = r->real.cr0;
		r->shadow4 = r->real.cr4;
	}
	reloads = is_pae(r) && (r->bit->pae_reloads || (!r->ept && r->owner == BY_L1));
	if (reloads)
		r->real.pdpte[3] = r->w->pdpt[3];
	CHECK(r->reached == expected(r));
	CHECK(vmread(F_GUEST_CR0) == r->real.cr0 && vmread(F_GUEST_CR4) == r->real.cr4 &&
	      vmread(F_GUEST_EFER) == r->real.efer);
	CHECK(r->vm->regs.rax == seen4(r) && r->vm->regs.rdx == seen0(r));
	CHECK(!is_pae(r) || !r->ept || vmread(F_GUEST_PDPTE3) == r->real.pdpte[3]);
}

static void say(u32 reached)
{
	if (reached == MARK_A || reached == MARK_B)
		print(" %s", reached == MARK_A ? "A" : "B");
	else
		print(" %u:%x", reached >> 16, (reached & 0xffff) - FAULT);
}

static void all_accesses(struct round *r, const struct paging *before)
{
	u32 reached[2][ACCESSES], i;

	r->hash = 0;
	for (i = 0; i < 2; i++) {
		for (r->access = 0; r->access < ACCESSES; r->access++) {
			r->on = !i;
			one(r, before);
			reached[i][r->access] = r->reached;
		}
	}
	print("RESULT %s %s ept=%u by=%s %s:", test_name(), vm_mode_names[r->vm->mode], r->ept,
	      owner_names[r->owner], r->bit->name);
	for (i = 0; i < 2 * ACCESSES; i++) {
		print("%s", i == ACCESSES ? " |" : "");
		say(reached[i / ACCESSES][i % ACCESSES]);
	}
	print(" hash=%lx\n", r->hash);
}

static void in_mode(const struct world *w, enum vm_mode mode, bool ept, enum owner owner)
{
	struct paging before;
	struct vm vm;
	u32 i;

	vm_create(&vm, mode, ept ? VM_EPT : 0, w->code);
	vm_use_msr_bitmap(&vm);
	if (owner == BY_L1)
		((u8 *)ptr_of(vm.msr_bitmap))[0xc00 + (u8)MSR_EFER / 8] |= 1 << MSR_EFER % 8;
	vmset(F_PROC, PROC_IO);
	vmwrite(F_GUEST_CR3, mode == VM_32 ? w->cr3_32 : mode == VM_PAE ? w->cr3_pae : w->cr3_64);
	before = (struct paging){ .cr0 = vmread(F_GUEST_CR0),
				  .cr3 = vmread(F_GUEST_CR3),
				  .cr4 = vmread(F_GUEST_CR4) & ~CR4_PSE,
				  .efer = vmread(F_GUEST_EFER) };
	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		struct round r = { .vm = &vm, .w = w, .bit = &bits[i], .owner = owner, .ept = ept };

		if (bits[i].reg == IN_CR4 && !(caps.cr4_fixed1 & bits[i].mask))
			continue;
		if (bits[i].wide_only && mode == VM_32)
			continue;
		all_accesses(&r, &before);
	}
}

TEST_VMX(l2_role)
{
	static const enum vm_mode modes[] = { VM_32, VM_PAE, VM_64, VM_COMPAT };
	struct world w;
	enum owner owner;
	u32 i, ept;

	NEED(caps_entry(ENTRY_LOAD_EFER) && caps_exit(EXIT_SAVE_EFER));
	window_make(&w);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		for (ept = 0; ept <= caps_proc2(PROC2_EPT); ept++) {
			for (owner = 0; owner < OWNERS; owner++) {
				u64 mark = page_mark();

				in_mode(&w, modes[i], ept, owner);
				page_release(mark);
			}
		}
	}
	gdt_set(SEL_FREE, 0);
}
