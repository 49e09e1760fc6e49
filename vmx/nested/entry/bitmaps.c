/* SPDX-License-Identifier: MIT */
/*
 * The MSR bitmap of vmcs02: a copy of L1's page, merged with L0's; L1's own
 * is never used by hardware.  L1 may write its page at any time while it
 * runs, so that each entry copies it.  I/O bitmaps are io_bitmaps.c's.
 * SDM: "MSR-Bitmap Address".
 */
#include "kernel/string.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/internal.h"
#include "vmx/l1/vm.h"

#define WORDS (PAGE_SIZE / sizeof(u64))

/* Words of L0's MSR bitmap that have a bit set: few. Constant after bitmaps_init(). */
static u16 l0_words[WORDS];
static unsigned int l0_word_count;

void bitmaps_init(const void *msr_bitmap01)
{
	const u64 *words = msr_bitmap01;

	l0_word_count = 0;
	for (unsigned int i = 0; i < WORDS; i++)
		if (words[i])
			l0_words[l0_word_count++] = (u16)i;
}

/* Reads L1's page once. ROM is one too; absent memory reads as ones: all intercepted. */
static void copy_page(struct vcpu *vcpu, u64 gpa, void *merged)
{
	const void *l1 = guest_mem_page(vcpu, GPA(ALIGN_DOWN(gpa, PAGE_SIZE)));

	if (l1)
		memcpy(merged, l1, PAGE_SIZE);
	else
		guest_mem_read(vcpu, GPA(ALIGN_DOWN(gpa, PAGE_SIZE)), merged, PAGE_SIZE);
}

static void merge_msr_page(struct vcpu *vcpu, u64 gpa, u64 *merged)
{
	const u64 *l0 = vcpu->vm->msr_bitmap01;

	copy_page(vcpu, gpa, merged);
	for (unsigned int i = 0; i < l0_word_count; i++)
		merged[l0_words[i]] |= l0[l0_words[i]];
}

void bitmaps_merge_msr(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;

	if (v12_has_proc(v12, PROC_MSR_BITMAPS)) {
		merge_msr_page(vcpu, v12->msr_bitmap, (u64 *)slot->msr_bitmap02);
		slot->merged_msr_bitmap = v12->msr_bitmap;
	} else if (!slot->entered || slot->merged_msr_bitmap != NO_VMCS) {
		memset(slot->msr_bitmap02, 0xff, PAGE_SIZE);
		slot->merged_msr_bitmap = NO_VMCS;
	}
}
