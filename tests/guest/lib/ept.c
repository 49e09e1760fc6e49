/* SPDX-License-Identifier: MIT */
/*
 * EPT tables as the tests' L1 makes them. Tables have all permissions; leaves have what the caller says.
 */
#include "tests/guest/lib/vmx.h"

u64 ept_create(void)
{
	u64 root = addr_of(page_alloc());
	u64 gpa;

	for (gpa = 0; gpa < 4 * GIB; gpa += 2 * MIB)
		ept_map(root, gpa, gpa, 2, EPT_RWX | EPT_WB);
	return root;
}

u64 *ept_entry(u64 root, u64 gpa, int level)
{
	u64 *table = ptr_of(root & PTE_ADDR);
	int at;

	for (at = 4;; at--) {
		u64 *e = &table[gpa >> (12 + 9 * (at - 1)) & 511];

		if (at == level)
			return e;
		if (!(*e & EPT_RWX)) {
			*e = addr_of(page_alloc()) | EPT_RWX;
		} else if (*e & EPT_PS) {
			u64 *split = page_alloc();
			u64 step = 1ull << (12 + 9 * (at - 2));
			u64 flags = (*e & ~PTE_ADDR) & ~(at == 2 ? EPT_PS : 0);
			int i;

			for (i = 0; i < 512; i++)
				split[i] = ((*e & PTE_ADDR) + i * step) | flags;
			*e = addr_of(split) | EPT_RWX;
		}
		table = ptr_of(*e & PTE_ADDR);
	}
}

void ept_map(u64 root, u64 gpa, u64 hpa, int level, u64 flags)
{
	*ept_entry(root, gpa, level) = hpa | flags | (level > 1 ? EPT_PS : 0);
}
