/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants": what an L1 needs to emulate an instruction of L2's: the address of its operand,
 * and a walk of L2's page tables with the rights of supervisor mode. SDM: "Paging", "Access Rights".
 */
#include "tests/guest/invariants.h"

enum { FAULT_PRESENT = 1, FAULT_RESERVED = 8, TABLES = 8 };

void paging_of_l2(struct paging *p)
{
	u32 i;

	p->cr0 = vmread(F_GUEST_CR0);
	p->cr3 = vmread(F_GUEST_CR3);
	p->cr4 = vmread(F_GUEST_CR4);
	p->efer = vmread(F_GUEST_EFER);
	for (i = 0; i < 4; i++) {
		const u64 *table = ptr_of(p->cr3 & 0xffffffe0);
		bool ept = vmread(F_PROC) & PROC_SECONDARY && vmread(F_PROC2) & PROC2_EPT;

		p->pdpte[i] = ept ? vmread(F_GUEST_PDPTE0 + 2 * i) : table[i];
	}
}

static u32 fault_code(const struct paging *p, u32 access, u32 more)
{
	bool wide = p->cr4 & CR4_PAE;

	if (!(wide && p->efer & EFER_NXE) && !(p->cr4 & CR4_SMEP))
		access &= ~(u32)WALK_FETCH;
	return access | more;
}

static bool denied(const struct paging *p, u64 rights, u64 xd, u32 access)
{
	bool user = rights & PTE_U;

	if (access & WALK_FETCH)
		return xd || (user && p->cr4 & CR4_SMEP);
	if (user && p->cr4 & CR4_SMAP)
		return true;
	return access & WALK_WRITE && !(rights & PTE_W) && p->cr0 & CR0_WP;
}

u32 l2_walk(const struct paging *p, u64 linear, u32 access, u64 *pa)
{
	bool wide = p->cr4 & CR4_PAE, long_mode = p->efer & EFER_LMA;
	u64 entry = wide && !long_mode ? p->pdpte[linear >> 30 & 3] : p->cr3, rights = PTE_W | PTE_U, xd = 0;
	u32 level = long_mode ? 4 : 2, shift;

	*pa = linear;
	if (!(p->cr0 & CR0_PG))
		return WALK_OK;
	if (wide && !long_mode && !(entry & PTE_P))
		return fault_code(p, access, 0);
	for (;; level--) {
		const void *table = ptr_of(entry & (wide ? PTE_ADDR : 0xfffff000));

		shift = 12 + (wide ? 9 : 10) * (level - 1);
		entry = wide ? ((const u64 *)table)[linear >> shift & 511]
			     : ((const u32 *)table)[linear >> shift & 1023];
		if (!(entry & PTE_P))
			return fault_code(p, access, 0);
		if (entry & PTE_XD && !(p->efer & EFER_NXE))
			return fault_code(p, access, FAULT_PRESENT | FAULT_RESERVED);
		rights &= entry;
		xd |= entry & PTE_XD;
		if (level == 1 || (level == 2 && entry & PTE_PS && (wide || p->cr4 & CR4_PSE)))
			break;
	}
	if (denied(p, rights, xd, access))
		return fault_code(p, access, FAULT_PRESENT);
	*pa = (entry & PTE_ADDR & ~(BIT(shift) - 1)) | (linear & (BIT(shift) - 1));
	return WALK_OK;
}

u64 exit_operand(const struct vm *vm, u32 reason)
{
	const u64 *gpr = &vm->regs.rax;
	u64 info = vmread(F_INSTRUCTION_INFO), at;

	if (reason == REASON_IO)
		return vmread(F_GUEST_LINEAR);
	if (reason == REASON_TASK_SWITCH) {
		u64 low = *(u64 *)ptr_of(vmread(F_GUEST_GDTR_BASE) + (vmread(F_QUALIFICATION) & 0xfff8));

		return (low >> 16 & 0xffffff) | low >> 56 << 24;
	}
	at = vmread(F_QUALIFICATION);
	if (!(info & BIT(22)))
		at += gpr[info >> 18 & 15] << (info & 3);
	if (!(info & BIT(27)))
		at += gpr[info >> 23 & 15];
	if ((info >> 7 & 7) == 1)
		at = (u32)at;
	return at + vmread(F_GUEST_ES_BASE + 2 * (info >> 15 & 7));
}

u32 *identity32(void)
{
	u32 *root = page_alloc(), *tables = page_alloc_contig(TABLES), i;

	for (i = 0; i < TABLES * 1024; i++)
		tables[i] = i << 12 | (u32)(PTE_P | PTE_W | PTE_A | PTE_D);
	for (i = 0; i < TABLES; i++)
		root[i] = (u32)(addr_of(tables + 1024 * i) | PTE_P | PTE_W | PTE_A);
	return root;
}

u64 *identity_wide(void)
{
	u64 *directory = page_alloc(), *tables = page_alloc_contig(2 * TABLES), i;

	for (i = 0; i < 2 * TABLES * 512; i++)
		tables[i] = i << 12 | PTE_P | PTE_W | PTE_A | PTE_D;
	for (i = 0; i < 2 * TABLES; i++)
		directory[i] = addr_of(tables + 512 * i) | PTE_P | PTE_W | PTE_A;
	return directory;
}

u64 *pte_wide(u64 *directory, u64 linear)
{
	return (u64 *)ptr_of(directory[linear >> 21 & 511] & PTE_ADDR) + (linear >> 12 & 511);
}
