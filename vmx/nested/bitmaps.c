/* SPDX-License-Identifier: MIT */
/*
 * The MSR and I/O bitmaps of vmcs02: L1's pages, snapshot and merged with
 * L0's, never used by hardware themselves.  A merged page is made anew when
 * L1's page differs from the snapshot that it was made from.
 * SDM: "MSR-Bitmap Address", "I/O-Bitmap Addresses".
 */
#include "kernel/string.h"
#include "vmx/guest_mem.h"
#include "vmx/nested/internal.h"
#include "vmx/vm.h"

#define WORDS (PAGE_SIZE / sizeof(u64))

/* Reads L1's page once; words that are the same as last time cost a compare. Absent memory reads as ones: all intercepted. */
static void merge_page(struct vcpu *vcpu, u64 gpa, const u64 *l0, u64 *merged)
{
	const u64 *l1 = guest_mem_page(vcpu, GPA(ALIGN_DOWN(gpa, PAGE_SIZE)));

	if (!l1) {
		memset(merged, 0xff, PAGE_SIZE);
		return;
	}
	for (size_t i = 0; i < WORDS; i += 4) {
		merged[i] = READ_ONCE(l1[i]) | l0[i];
		merged[i + 1] = READ_ONCE(l1[i + 1]) | l0[i + 1];
		merged[i + 2] = READ_ONCE(l1[i + 2]) | l0[i + 2];
		merged[i + 3] = READ_ONCE(l1[i + 3]) | l0[i + 3];
	}
}

void bitmaps_merge_msr(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;

	if (v12_has_proc(v12, PROC_MSR_BITMAPS)) {
		merge_page(vcpu, v12->msr_bitmap, vcpu->vm->msr_bitmap01, (u64 *)slot->msr_bitmap02);
		slot->merged_msr_bitmap = v12->msr_bitmap;
	} else if (!slot->entered || slot->merged_msr_bitmap != NO_VMCS) {
		memset(slot->msr_bitmap02, 0xff, PAGE_SIZE);
		slot->merged_msr_bitmap = NO_VMCS;
	}
}

void bitmaps_merge_io(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	static const u64 none[WORDS];
	const struct vmcs12 *v12 = &slot->v12;

	if (!v12_has_proc(v12, PROC_IO_BITMAPS))
		return;
	merge_page(vcpu, v12->io_bitmap_a, none, (u64 *)slot->io_bitmap02);
	merge_page(vcpu, v12->io_bitmap_b, none, (u64 *)(slot->io_bitmap02 + PAGE_SIZE));
}
