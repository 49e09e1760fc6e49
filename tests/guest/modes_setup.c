/* SPDX-License-Identifier: MIT */
/*
 * Code of L1's outside long mode: what modes_run() (modes_run.S) is given, and how it ended. For the guest
 * tests "modes" and "storm".
 */
#include "tests/guest/modes.h"

extern u8 real_begin[], real_stubs[], real_end[];

enum { REAL_CODE = 0x11000, LOW_IVT = 0x14000 };

static void prepare_tables(void)
{
	u32 v;

	memcpy(ptr_of(REAL_CODE), real_begin, real_end - real_begin);
	for (v = 0; v < 256; v++) {
		u64 at = addr_of(modes_stubs) + v * 16;
		u64 rights = v == VEC_EXEC_DONE ? 0xee00ul : 0x8e00ul;

		modes_idt[v] = (at & 0xffff) | SEL_CODE32 << 16 | rights << 32 | (at >> 16) << 48;
		((u32 *)ptr_of(LOW_IVT))[v] =
			(u32)(REAL_CODE >> 4) << 16 | (u32)(real_stubs - real_begin + 8 * v);
	}
	gdt_set(SEL_CODE16, 0x00009b000000fffful | (u64)REAL_CODE << 16);
	gdt_set(SEL_DATA16, 0x000093000000fffful);
}

void modes_init(struct modes *m, const void *code)
{
	static u32 tss[26] ALIGNED(128);

	memset(m, 0, sizeof(*m));
	prepare_tables();
	m->cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_WP;
	m->cr4 = (u32)(caps.cr4_fixed0 | CR4_VMXE | CR4_PSE);
	m->cr3 = (u32)paging_create32();
	m->eip = (u32)addr_of(code);
	m->cs = SEL_CODE32;
	m->gs = m->fs = m->es = m->ds = SEL_DATA;
	m->eflags = RFLAGS_FIXED;
	m->ss = SEL_USER_DATA;
	m->esp = (u32)addr_of(page_alloc()) + 2048;
	m->tr = SEL_TSS;
	memset(tss, 0, sizeof(tss));
	tss[7] = m->cr3;
	tss[1] = (u32)addr_of(page_alloc()) + 2048;
	tss[2] = SEL_DATA;
	tss[25] = 104 << 16;
	this_cpu()->gdt[SEL_TSS / 8] =
		0x67 | (addr_of(tss) & 0xffffff) << 16 | 0x89ul << 40 | (addr_of(tss) >> 24) << 56;
}

/* TR is long mode's again afterwards. */
void modes_go(struct modes *m)
{
	u64 tss = addr_of(&this_cpu()->tss);

	modes_run(m);
	this_cpu()->gdt[SEL_TSS / 8] = (sizeof(this_cpu()->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ul << 40 |
				       (tss >> 24 & 0xff) << 56;
	this_cpu()->gdt[SEL_TSS / 8 + 1] = tss >> 32;
	tr_load(SEL_TSS);
}

const char *modes_outcome(const struct modes *m, char buf[48])
{
	struct fault f = { .vector = m->vector, .error = m->error, .cr2 = m->cr2 };
	u64 flags = m->eflags & RFLAGS_STATUS;

	if (m->vector != VEC_EXEC_DONE)
		return fault_name(&f, buf);
	if (flags == 0 || flags == RFLAGS_CF || flags == RFLAGS_ZF)
		return flags == 0 ? "ok" : flags == RFLAGS_CF ? "invalid" : "valid";
	format(buf, 48, "flags(%lx)", flags);
	return buf;
}
