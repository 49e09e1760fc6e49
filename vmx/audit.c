/* SPDX-License-Identifier: MIT */
/*
 * The image's checksum in pieces, so that one call is short, and the table of
 * bounded resources. Asked by the debug call (counters.c); nothing here changes
 * anything.
 */
#include "vmx/audit.h"

#include "kernel/bits.h"
#include "vmx/guest/vcpu.h"
#include "vmx/l1/vm.h"
#include "vmx/nested/nested.h"

/* From the linker script: pages, code and constant data one behind the other. */
extern const char image_text[], image_rodata_end[];

u32 audit_piece_count(void)
{
	return (u32)(((u64)image_rodata_end - (u64)image_text + PAGE_SIZE - 1) / PAGE_SIZE);
}

/* FNV-1a over words of eight bytes, with the high bits folded in. */
u64 audit_piece_checksum(u32 piece)
{
	const u64 *word = (const u64 *)(const void *)(image_text + (u64)piece * PAGE_SIZE);
	u64 hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < PAGE_SIZE / sizeof(*word); i++) {
		hash = (hash ^ word[i]) * 0x100000001b3ull;
		hash ^= hash >> 29;
	}
	return hash;
}

u64 audit_resource(struct vcpu *vcpu, u32 index)
{
	struct nested_resources nested = nested_resources(vcpu);
	const u64 table[] = {
		nested.active_vmcs,
		nested.ept02_roots,
		nested.ept02_tables,
		nested.vpids,
		nested.steps,
		vcpu->l1.ept01_step.count,
		vcpu->guest->level == 2 || vcpu->nested.init_pending || vcpu->pending_valid,
		passthru_tables_used(),
	};

	return index < ARRAY_SIZE(table) ? table[index] : ~0ull;
}
