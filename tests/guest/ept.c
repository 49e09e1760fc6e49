/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ept": what EPT does to an access, kind of access by permission by level by page size, with and
 * without accessed and dirty flags; misconfigurations bit by bit; event delivery, PDPTE loads; logging,
 * mode-based execute; memory that is not there. Each line is one row of the matrix.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(ept_read, 64, "mov (%rdi), %rax; vmcall");
GUEST_CODE(ept_write, 64, "movl $0x90c1010f, (%rdi); vmcall"); /* VMCALL and NOP */
GUEST_CODE(ept_fetch, 64, "jmp *%rdi");
GUEST_CODE(ept_rmw, 64, "lock addl $0, (%rdi); vmcall");
GUEST_CODE(ept_ud, 64, "ud2");
GUEST_CODE(ept_int, 64, "int $0x40");
GUEST_CODE(ept_nop, 64, "nop; vmcall");
GUEST_CODE(ept_user, 64, "push $0x2b; push %rsp; pushf; push $0x33; push %rdi; iretq");
GUEST_CODE(ept_pae_cr3, 32, "mov %ebx, %cr3; vmcall");

#define HIGH 0x8000000000ul	   /* behind the first PML4 entry */
#define TARGET_OFFSET 0x40201000ul /* entry 1 of each table */
#define VMCALL_NOP 0x90c1010fu

enum kind { READ, WRITE, FETCH, RMW, WALK, WALK_UPDATE, KINDS };
static const char *const kind_names[] = { "read", "write", "fetch", "rmw", "walk", "walk_update" };

/* One L2 with a page at TEST_VA whose guest-physical address is `target`, or whose page table is there. */
struct target {
	struct vm vm;
	u64 target, page, table; /* guest-physical address; the pages in L1's memory */
	u64 large; /* 2 MiB of L1's for large pages, the page and the table within it at their offset */
	u64 eptp;
};

static u32 physical_bits(void)
{
	return cpuid(0x80000008, 0).eax & 0xff;
}

static void create_target(struct target *t, bool ad)
{
	u64 cr3 = paging_create64();
	u64 base = physical_bits() > 39 ? HIGH : 0;

	vm_create(&t->vm, VM_64, VM_EPT, ept_read);
	vmwrite(F_GUEST_CR3, cr3);
	t->target = base + TARGET_OFFSET;
	t->page = addr_of(page_alloc());
	t->table = addr_of(page_alloc());
	*paging_entry(cr3, TEST_VA, 1) = 0;
	t->eptp = t->vm.ept | EPTP_FLAGS | (ad ? EPTP_AD : 0);
	vmwrite(F_EPTP, t->eptp);
	t->vm.regs.rdi = TEST_VA;
}

/* TEST_VA leads to the target, or is translated by a table there. */
static void aim(struct target *t, enum kind kind)
{
	u64 cr3 = vmread(F_GUEST_CR3);
	u64 *pde = paging_entry(cr3, TEST_VA, 2);
	u64 flags = PTE_P | PTE_W | PTE_U | PTE_A;
	u64 table = addr_of(page_alloc());

	*(u32 *)ptr_of(t->page) = VMCALL_NOP;
	if (kind < WALK) {
		*(u64 *)ptr_of(table) = t->target | flags | PTE_D;
		*pde = table | flags;
	} else {
		*(u64 *)ptr_of(t->page) =
			addr_of(ptr_of(t->table)) | (kind == WALK ? flags | PTE_D : flags & ~PTE_A);
		*pde = t->target | flags;
	}
}

static const void *code_of(enum kind kind)
{
	return kind == WRITE ? ept_write : kind == FETCH ? ept_fetch : kind == RMW ? ept_rmw : ept_read;
}

/*
 * Entry `level` of the way to the target has `flags`, the others `others`. A leaf above level 1 where `large`
 * says so. The restricted entry comes last: ept_entry() would put a table behind one that is not present.
 */
static void map_target_with(struct target *t, u32 level, u64 flags, bool large, u64 others)
{
	u32 leaf = large ? level : 1;
	u64 span = 1ull << (12 + 9 * (leaf - 1));
	u64 *e;
	u32 at;

	for (at = 4; at > leaf; at--)
		*ept_entry(t->vm.ept, t->target, (int)at) = addr_of(page_alloc()) | others;
	*ept_entry(t->vm.ept, t->target, (int)leaf) =
		(t->page & ~(span - 1)) | others | EPT_WB | (leaf > 1 ? EPT_PS : 0);
	e = ept_entry(t->vm.ept, t->target, (int)level);
	*e = (*e & ~others) | flags;
}

static void map_target(struct target *t, u32 level, u64 flags, bool large)
{
	map_target_with(t, level, flags, large, EPT_RWX);
}

static u32 attempt(struct target *t, enum kind kind)
{
	u32 reason;

	vm_set_code(&t->vm, code_of(kind));
	invept(1, t->eptp);
	reason = vm_run(&t->vm);
	return reason;
}

/* "-" for success, else the reason and the qualification. */
static void print_outcome(const struct target *t, u32 reason)
{
	if (reason == REASON_VMCALL) {
		print(" -");
		return;
	}
	print(" %u", reason);
	if (reason == REASON_EPT_VIOLATION)
		print(":%lx", vmread(F_QUALIFICATION) & ~(caps.ept_vpid & EPT_CAP_ADVANCED ? 0 : 0xe00ul));
	if (reason == REASON_EPT_VIOLATION || reason == REASON_EPT_MISCONFIG)
		CHECK((vmread(F_GUEST_PHYSICAL) & ~0xffful) == (t->target & ~0xffful));
}

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

/* The page lies within 2 MiB and 1 GiB of L1's memory at the offset that the large page gives it. */
static void create_large(struct target *t, bool ad, u32 level)
{
	u64 span = 1ull << (12 + 9 * (level - 1));
	u64 where;

	create_target(t, ad);
	where = t->page & (span - 1);
	t->target = (t->target & ~(span - 1)) + where;
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

/* L0's window, mapped by L1 in every size: nothing is there. On the bare processor there is no such thing. */
static u64 hole_base, hole_end;

static void note_hole(u64 base, u64 size, u32 type)
{
	/* Socle's window is the reserved range right below the end of RAM; firmware's is not that large. */
	if (type != 1 && size >= 8 * MIB && base + size <= 2 * GIB && size > hole_end - hole_base) {
		hole_base = base;
		hole_end = base + size;
	}
}

TEST_VMX(absent)
{
	static const u32 levels[] = { 1, 2, 3 };
	u32 i;

	NEED(caps_proc2(PROC2_EPT));
	hole_base = hole_end = 0;
	memory_holes(note_hole);
	if ((u32)caps.basic != 0x534f4301 || !hole_base) {
		info("no window here");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		u64 span = 1ull << (12 + 9 * (levels[i] - 1));
		u64 at, step = levels[i] == 1 ? PAGE_SIZE : 64 * PAGE_SIZE;
		struct target t;
		u64 cr3, tried = 0, wrong = 0;

		if (levels[i] == 3 && !(caps.ept_vpid & EPT_CAP_1G))
			continue;
		create_target(&t, false);
		cr3 = vmread(F_GUEST_CR3);
		for (at = hole_base - 4 * PAGE_SIZE; at < hole_end + 4 * PAGE_SIZE;
		     at += at < hole_base ? PAGE_SIZE : step) {
			bool inside = at >= hole_base && at < hole_end;
			u64 old = inside ? ~0ull : *(volatile u64 *)ptr_of(at);
			u64 value;

			/* The hole at its own address behind HIGH or, for 1 GiB pages, in place. */
			*ept_entry(t.vm.ept, at, levels[i] == 3 ? 3 : (int)levels[i]) =
				(at & ~(span - 1)) | EPT_RWX | EPT_WB | (levels[i] > 1 ? EPT_PS : 0);
			*paging_entry(cr3, TEST_VA, 1) = at | PTE_P | PTE_W | PTE_A | PTE_D;
			t.vm.regs.rdi = TEST_VA;
			tried++;
			if (attempt(&t, READ) != REASON_VMCALL || t.vm.regs.rax != old)
				wrong++;
			if (attempt(&t, WRITE) != REASON_VMCALL)
				wrong++;
			if (attempt(&t, READ) != REASON_VMCALL)
				wrong++;
			value = t.vm.regs.rax;
			if (inside ? value != old : (u32)value != VMCALL_NOP)
				wrong++;
			if (!inside)
				*(volatile u64 *)ptr_of(at) = old;
		}
		info("level=%u tried=%lu wrong=%lu", levels[i], tried, wrong);
		CHECK(!wrong);
	}
}

GUEST_CODE(ept_copy, 64, "mov %rdi, %rsi; add $2048, %rsi; mov $512, %ecx; cld; rep movsb; vmcall");

/* Each way of touching what is not there, by an L2 with EPT and one without; by L1 itself; under L1's monitor
 * trap flag. */
static u32 touch_absent(struct vm *vm, const void *code, u64 va)
{
	vm_set_code(vm, code);
	vm->regs.rdi = va;
	return vm_run(vm);
}

TEST_VMX(absent_ways)
{
	u64 page, *own;
	u32 ept, i;

	NEED(caps_proc2(PROC2_EPT));
	hole_base = hole_end = 0;
	memory_holes(note_hole);
	if ((u32)caps.basic != 0x534f4301 || !hole_base) {
		info("no window here");
		return;
	}
	page = hole_base + 16 * PAGE_SIZE;
	own = ptr_of(page);
	for (i = 0; i < 64; i++) {
		CHECK(READ_ONCE(own[i * 8]) == ~0ull);
		WRITE_ONCE(own[i * 8], i);
		CHECK(READ_ONCE(own[i * 8]) == ~0ull);
	}
	memcpy(own, own + 100, 64);
	memset(own + 256, 0x55, 4096);
	CHECK(READ_ONCE(own[0]) == ~0ull && READ_ONCE(own[511]) == ~0ull && READ_ONCE(own[600]) == ~0ull);
	for (ept = 0; ept < 2; ept++) {
		u64 cr3 = paging_create64();
		struct vm vm;
		u64 pc;

		vm_create(&vm, VM_64, ept ? VM_EPT | VM_VPID : VM_VPID, ept_read);
		vmwrite(F_GUEST_CR3, cr3);
		for (i = 0; i < 3; i++)
			*paging_entry(cr3, TEST_VA + i * PAGE_SIZE, 1) =
				(page + i * PAGE_SIZE) | PTE_P | PTE_W | PTE_A | PTE_D;
		for (i = 0; i < 3; i++) {
			u64 va = TEST_VA + (i == 1 ? 0xffc : i * 8);

			CHECK(touch_absent(&vm, ept_read, va) == REASON_VMCALL && vm.regs.rax == ~0ull);
			CHECK(touch_absent(&vm, ept_write, va) == REASON_VMCALL);
			CHECK(touch_absent(&vm, ept_rmw, va) == REASON_VMCALL);
			CHECK(touch_absent(&vm, ept_copy, va) == REASON_VMCALL && vm.regs.rcx == 0);
			CHECK(touch_absent(&vm, ept_read, va) == REASON_VMCALL && vm.regs.rax == ~0ull);
		}
		/* Ones are no instruction: FF FF is #UD. */
		vmwrite(F_EXCEPTION_BITMAP, BIT(6));
		CHECK(touch_absent(&vm, ept_fetch, TEST_VA) == REASON_EXCEPTION &&
		      (vmread(F_EXIT_INTR_INFO) & 0xff) == 6);
		vmwrite(F_EXCEPTION_BITMAP, 0);
		/* L1 steps over the same instruction: one exit, behind it. */
		if (!caps_proc(PROC_MTF))
			continue;
		vmset(F_PROC, PROC_MTF);
		CHECK(touch_absent(&vm, ept_write, TEST_VA) == REASON_MTF);
		pc = vm_pc(&vm);
		CHECK(pc == 6);
		vmunset(F_PROC, PROC_MTF);
		CHECK(vm_run(&vm) == REASON_VMCALL);
		CHECK(touch_absent(&vm, ept_read, TEST_VA) == REASON_VMCALL && vm.regs.rax == ~0ull);
		info("ept=%u done", ept);
	}
}
