/* SPDX-License-Identifier: MIT */
/*
 * The MSR bitmap of vmcs02: a page of the slot's that starts as all ones. L1's own is never used by hardware,
 * for another CPU, or L2, may clear L0's bits in it. An exit that neither L1 nor L0 wants *opens* its word
 * (L1's bits and L0's), L2 executes the instruction again, and each entry reads the opened words anew: what
 * L1 changes in its page counts from its next entry on.  I/O bitmaps are io_bitmaps.c's.
 * SDM: "MSR-Bitmap Address".
 */
#include "vmx/nested/entry/bitmaps.h"

#include "kernel/msr.h"
#include "kernel/string.h"
#include "mm/page_alloc.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/l1/vm.h"
#include "mm/addr.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define WORD_BITS 64u
/* Bits of the quarters: reads of low and of high MSRs, then writes. */
#define QUARTER_BITS 0x2000u

void bitmaps_init_slot(struct nested_vmcs *slot)
{
	slot->msr_bitmap02 = page_alloc();
	memset(slot->msr_bitmap02, 0xff, PAGE_SIZE);
}

/* L1's page, or NULL if it is not RAM of L1's. What is RAM never changes: found once, known for good. */
static const u64 *l1_page(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const u64 *page;

	if (likely(slot->msr_page_found == (slot->v12.msr_bitmap | 1)))
		return slot->msr_page;
	page = guest_mem_page(vcpu, GPA(slot->v12.msr_bitmap));
	slot->msr_page = page;
	slot->msr_page_found = page ? slot->v12.msr_bitmap | 1 : 0;
	return page;
}

/* L1's word and L0's. Absent memory reads as ones: all intercepted. */
static u64 merged_word(struct vcpu *vcpu, struct nested_vmcs *slot, const u64 *page, unsigned int word)
{
	const u64 *l0 = vcpu->vm->msr_bitmap01;
	u64 l1 = ~0ull;

	if (likely(page))
		l1 = READ_ONCE(page[word]);
	else
		guest_mem_read(vcpu, GPA(slot->v12.msr_bitmap + word * sizeof(l1)), &l1, sizeof(l1));
	return l1 | l0[word];
}

/* The same for all opened words, of a page that was found. */
static void merge_words(const u64 *l0, const u64 *l1, struct nested_vmcs *slot)
{
	const u16 *word = slot->msr_opened, *end = word + slot->msr_opened_count;
	u64 *merged = slot->msr_bitmap02;

	for (; word != end; word++)
		merged[*word] = READ_ONCE(l1[*word]) | l0[*word];
}

void bitmaps_close(struct nested_vmcs *slot)
{
	for (unsigned int i = 0; i < slot->msr_opened_count; i++)
		slot->msr_bitmap02[slot->msr_opened[i]] = ~0ull;
	slot->msr_opened_count = 0;
}

/* The page is not the one that was found last. */
static NOINLINE void find_page_and_merge(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const u64 *page;

	if (!v12_has_proc(&slot->v12, PROC_MSR_BITMAPS)) {
		bitmaps_close(slot);
		return;
	}
	page = l1_page(vcpu, slot);
	for (unsigned int i = 0; i < slot->msr_opened_count; i++)
		slot->msr_bitmap02[slot->msr_opened[i]] = merged_word(vcpu, slot, page, slot->msr_opened[i]);
}

void bitmaps_read_again(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (likely(v12_has_proc(&slot->v12, PROC_MSR_BITMAPS)) &&
	    likely(slot->msr_page_found == (slot->v12.msr_bitmap | 1)))
		merge_words(vcpu->vm->msr_bitmap01, slot->msr_page, slot);
	else
		find_page_and_merge(vcpu, slot);
}

static void note_opened(struct nested_vmcs *slot, unsigned int word)
{
	for (unsigned int i = 0; i < slot->msr_opened_count; i++)
		if (slot->msr_opened[i] == word)
			return;
	if (slot->msr_opened_count == MSR_OPENED_MAX)
		bitmaps_close(slot);
	slot->msr_opened[slot->msr_opened_count++] = (u16)word;
}

/* The bit of an MSR in the page, or -1: all accesses to it exit. */
static int bit_of(u32 msr, bool write)
{
	u32 bit = write ? 2 * QUARTER_BITS : 0;

	if (msr >= MSR_HIGH_FIRST && msr <= MSR_HIGH_LAST)
		return (int)(bit + QUARTER_BITS + (msr - MSR_HIGH_FIRST));
	return msr <= MSR_LOW_LAST ? (int)(bit + msr) : -1;
}

bool bitmaps_open_msr(struct vcpu *vcpu)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	int bit = bit_of((u32)vcpu->gpr[GPR_RCX], vcpu->exit_reason == EXIT_WRMSR);
	unsigned int word = (unsigned int)bit / WORD_BITS;

	if (bit < 0 || !v12_has_proc(&slot->v12, PROC_MSR_BITMAPS) ||
	    (((const u64 *)vcpu->vm->msr_bitmap01)[word] & BIT(bit % WORD_BITS)))
		return false;
	note_opened(slot, word);
	slot->msr_bitmap02[word] = merged_word(vcpu, slot, l1_page(vcpu, slot), word);
	tpr_prepare(slot);
	return !(slot->msr_bitmap02[word] & BIT(bit % WORD_BITS));
}
