/* SPDX-License-Identifier: MIT */
/*
 * The list of closed pages, and who decides about an access to one. See vmx/l1/closed.h.
 */
#include "vmx/l1/closed.h"

#include "kernel/x86.h"

/* Written while the machine stands still. A row without bits is free. */
static struct {
	u64 page;
	u32 bits;
} pages[CLOSED_MAX];
u32 closed_count;
static closed_asked asked; /* constant after the start */

u32 closed_bits_of(u64 gpa)
{
	for (u32 i = 0; i < closed_count; i++)
		if (pages[i].page == ALIGN_DOWN(gpa, PAGE_SIZE))
			return pages[i].bits;
	return 0;
}

/* The page's row, else one that is free, else the first behind the end. */
static u32 row_for(u64 page)
{
	u32 row;

	for (row = 0; row < closed_count; row++)
		if (pages[row].page == page)
			return row;
	for (row = 0; row < closed_count; row++)
		if (!pages[row].bits)
			return row;
	return row;
}

bool closed_note(u64 page, u32 bits)
{
	u32 row = row_for(page);

	if (row == CLOSED_MAX)
		return !bits;
	pages[row].page = page;
	pages[row].bits = bits;
	closed_count = MAX(closed_count, row + 1);
	while (closed_count && !pages[closed_count - 1].bits)
		closed_count--;
	return true;
}

bool closed_page(u32 row, u64 *page)
{
	if (row >= closed_count)
		return false;
	*page = pages[row].page;
	return true;
}

void closed_ask(closed_asked function)
{
	asked = function;
}

bool closed_may_pass(struct vcpu *vcpu, gpa_t gpa, u32 access)
{
	return !asked || asked(vcpu, gpa, access);
}
