/* SPDX-License-Identifier: MIT */
/*
 * The L2 of the guest test "ept", its page and its tables.
 */
#include "tests/guest/ept.h"

GUEST_CODE(ept_read, 64, "mov (%rdi), %rax; vmcall");
GUEST_CODE(ept_write, 64, "movl $0x90c1010f, (%rdi); vmcall"); /* VMCALL and NOP */
GUEST_CODE(ept_fetch, 64, "jmp *%rdi");
GUEST_CODE(ept_rmw, 64, "lock addl $0, (%rdi); vmcall");

const char *const kind_names[] = { "read", "write", "fetch", "rmw", "walk", "walk_update" };

u32 physical_bits(void)
{
	return cpuid(0x80000008, 0).eax & 0xff;
}

void create_target(struct target *t, bool ad)
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
void aim(struct target *t, enum kind kind)
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
void map_target_with(struct target *t, u32 level, u64 flags, bool large, u64 others)
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

void map_target(struct target *t, u32 level, u64 flags, bool large)
{
	map_target_with(t, level, flags, large, EPT_RWX);
}

u32 attempt(struct target *t, enum kind kind)
{
	u32 reason;

	vm_set_code(&t->vm, code_of(kind));
	invept(1, t->eptp);
	reason = vm_run(&t->vm);
	return reason;
}

/* "-" for success, else the reason and the qualification. */
void print_outcome(const struct target *t, u32 reason)
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

/* The page lies within 2 MiB and 1 GiB of L1's memory at the offset that the large page gives it. */
void create_large(struct target *t, bool ad, u32 level)
{
	u64 span = 1ull << (12 + 9 * (level - 1));
	u64 where;

	create_target(t, ad);
	where = t->page & (span - 1);
	t->target = (t->target & ~(span - 1)) + where;
}
