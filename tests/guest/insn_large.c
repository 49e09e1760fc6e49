/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": operands in pages of 1 GiB and 2 MiB, and across the border from a large page to a small
 * one and back, beside what a plain MOV there does. SDM: volume 3, "4-Level Paging", "Page-Fault Exceptions".
 */
#include "tests/guest/insn.h"

#define GIB_VA (TEST_VA + 4 * GIB) /* a 1 GiB page: physical address 0; a 4 KiB page before it */
#define MIB_VA (TEST_VA + 8 * GIB) /* a 2 MiB page, and a 4 KiB page on each side of it */
#define MIB_SIZE (2 * MIB)

static u64 large, small; /* the 2 MiB page; the 4 KiB page that is next to it, and to the 1 GiB page */

static const struct large_case {
	const char *name;
	u64 va, set[2], clear[2]; /* in the entries of the large page and of the small ones */
} cases[] = {
	{ "1g", GIB_VA, { 0 }, { 0 } },
	{ "1g_ro", GIB_VA, { 0 }, { PTE_W } },
	{ "1g_absent", GIB_VA, { 0 }, { PTE_P } },
	{ "1g_pat", GIB_VA, { BIT(12) }, { 0 } },
	{ "1g_bit13", GIB_VA, { BIT(13) }, { 0 } },
	{ "1g_bit29", GIB_VA, { BIT(29) }, { 0 } },
	{ "1g_bit51", GIB_VA, { BIT(51) }, { 0 } },
	{ "1g_bit52_xd", GIB_VA, { BIT(52) | PTE_XD }, { 0 } },
	{ "to_1g", GIB_VA - 4, { 0 }, { 0 } },
	{ "to_1g_by_1", GIB_VA - 1, { 0 }, { 0 } },
	{ "to_1g_ro", GIB_VA - 4, { 0 }, { PTE_W } },
	{ "to_1g_bit13", GIB_VA - 4, { BIT(13) }, { 0 } },
	{ "to_1g_first_ro", GIB_VA - 4, { 0 }, { 0, PTE_W } },
	{ "2m", MIB_VA, { 0 }, { 0 } },
	{ "2m_ro", MIB_VA + 0x100000, { 0 }, { PTE_W } },
	{ "2m_bit13", MIB_VA, { BIT(13) }, { 0 } },
	{ "2m_bit20", MIB_VA, { BIT(20) }, { 0 } },
	{ "2m_pat", MIB_VA, { BIT(12) }, { 0 } },
	{ "to_2m", MIB_VA - 4, { 0 }, { 0 } },
	{ "to_2m_absent", MIB_VA - 7, { 0 }, { PTE_P } },
	{ "from_2m", MIB_VA + MIB_SIZE - 4, { 0 }, { 0 } },
	{ "from_2m_last", MIB_VA + MIB_SIZE - 8, { 0 }, { 0, PTE_P } },
	{ "from_2m_absent", MIB_VA + MIB_SIZE - 4, { 0 }, { 0, PTE_P } },
	{ "from_2m_ro", MIB_VA + MIB_SIZE - 1, { 0 }, { 0, PTE_W } },
	{ "from_2m_bit51", MIB_VA + MIB_SIZE - 4, { 0, BIT(51) }, { 0 } },
};

static u64 *entry_of(const struct large_case *c, u32 which)
{
	bool gib = c->va < MIB_VA - GIB;

	if (!which)
		return paging_entry(cr3_read(), gib ? GIB_VA : MIB_VA, gib ? 3 : 2);
	return paging_entry(cr3_read(),
			    gib		     ? GIB_VA - 1
			    : c->va < MIB_VA ? MIB_VA - 1
					     : MIB_VA + MIB_SIZE,
			    1);
}

/* Where the operand's bytes are. */
static u8 *byte_at(u64 va)
{
	if (va >= GIB_VA && va < GIB_VA + GIB)
		return ptr_of(va - GIB_VA);
	if (va >= MIB_VA && va < MIB_VA + MIB_SIZE)
		return ptr_of(large + va - MIB_VA);
	return ptr_of(small + va % PAGE_SIZE);
}

static void set_up(const struct large_case *c)
{
	bool gib = c->va < MIB_VA - GIB;
	u64 *e;

	e = entry_of(c, 1);
	*e = ((small | PTE_P | PTE_W) & ~c->clear[1]) | c->set[1];
	e = entry_of(c, 0);
	*e = (((gib ? 0 : large) | PTE_P | PTE_W | PTE_PS) & ~c->clear[0]) | c->set[0];
	cr3_write(cr3_read());
}

enum what { MOV_READ = OPS, MOV_WRITE };

TEST_VMX(large_pages)
{
	static const u32 list[] = { MOV_READ, MOV_WRITE, VMPTRST, VMPTRLD, VMREAD, VMWRITE, VMCLEAR, INVEPT };
	static const char *const movs[] = { "load", "store" };
	u64 region = vmx_region(), pool = addr_of(page_alloc_contig(1024));
	u32 i, k, b;
	char buf[64];

	insn_prepare();
	large = (pool + MIB_SIZE - 1) & ~(MIB_SIZE - 1);
	small = addr_of(page_alloc());
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct large_case *c = &cases[i];
		/* within the page, where nobody else's data are */
		u64 va = c->va == GIB_VA ? GIB_VA + large + 0x12345 : c->va;

		print("RESULT %s %s", test_name(), c->name);
		for (k = 0; k < ARRAY_SIZE(list); k++) {
			u8 saved[16], now[16], want[8];
			u64 value =
				list[k] == VMCLEAR || list[k] == VMPTRLD ? region + 8 : 0x1122334455667788;
			struct exec e;
			u64 before[2];

			set_up(c);
			for (b = 0; b < 16; b++) {
				saved[b] = *byte_at(va + b);
				*byte_at(va + b) = b < 8 && list[k] != INVEPT ? (u8)(value >> 8 * b) : 0;
			}
			vmwrite(F_GUEST_RIP, 0xabcdef9876543210);
			insn_set(&e, &insn_settings[0]);
			e.regs.rbx = va;
			e.regs.rax = 0x8877665544332211;
			e.regs.rdx = list[k] == INVEPT ? 2 : F_GUEST_RIP;
			before[0] = *entry_of(c, 0);
			before[1] = *entry_of(c, 1);
			if (list[k] >= OPS) {
				memcpy(code, list[k] == MOV_READ ? "\x48\x8b\x03\xcd" : "\x48\x89\x03\xcd",
				       4);
				code[4] = VEC_EXEC_DONE;
				exec_run(&e);
			} else {
				insn_run(&e, &insn_settings[0], (enum op)list[k], &at_rbx);
			}
			for (b = 0; b < 16; b++) {
				now[b] = *byte_at(va + b);
				*byte_at(va + b) = saved[b];
			}
			print(" %s=%s", list[k] >= OPS ? movs[list[k] - OPS] : insn_ops[list[k]].name,
			      e.out.vector == VEC_EXEC_DONE && list[k] >= OPS ? "ok" : insn_outcome(&e, buf));
			/* accessed and dirty flags */
			print("/%lx%lx", (*entry_of(c, 0) & ~before[0]) >> 5,
			      (*entry_of(c, 1) & ~before[1]) >> 5);
			switch (list[k]) {
			case MOV_READ: memcpy(now, &e.out.frame.regs.rax, 8); break;
			case MOV_WRITE: memcpy(want, &e.regs.rax, 8); break;
			case VMPTRST: memcpy(want, &region, 8); break;
			case VMREAD: memcpy(want, "\x10\x32\x54\x76\x98\xef\xcd\xab", 8); break;
			case VMWRITE: *(u64 *)(void *)now = vmread(F_GUEST_RIP); break;
			}
			if (list[k] != MOV_WRITE && list[k] != VMPTRST && list[k] != VMREAD)
				memcpy(want, &value, 8);
			if (e.out.vector == VEC_EXEC_DONE && list[k] != INVEPT)
				CHECK(!memcmp(now, want, 8));
		}
		print("\n");
	}
	*entry_of(&cases[0], 0) = 0;
	cr3_write(cr3_read());
}
