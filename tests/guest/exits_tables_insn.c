/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": each instruction that reads or loads GDTR, IDTR, LDTR or TR, in each way, once L1 has
 * left its tables alone for long (exits_tables.c). SDM: "Loading Host Segment and Descriptor-Table
 * Registers".
 */
#include "tests/guest/exits_tables.h"

#define BOTH(name, text)                                                                                     \
	GUEST_CODE(k_##name, 64, text "; " EXEC_END);                                                        \
	GUEST_CODE(k_##name##_32, 32, text "; " EXEC_END)
BOTH(sgdt, "sgdt %ss:16(%esi)");
BOTH(sidt, "sidt %ss:16(%esi)");
BOTH(lgdt, "lgdt %ss:(%esi)");
BOTH(lidt, "lidt %ss:32(%esi)");
BOTH(sldt, "sldt %edx");
BOTH(sldt_mem, "sldt %ss:16(%esi)");
BOTH(str, "str %edx");
BOTH(str_mem, "str %ss:16(%esi)");
BOTH(lldt, "lldt %bx");
BOTH(lldt_mem, "lldt %ss:48(%esi)");
BOTH(ltr, "ltr %cx");
BOTH(lldt_null, "xor %ebx, %ebx; lldt %bx");
BOTH(ltr_null, "xor %ecx, %ecx; ltr %cx");
BOTH(ltr_busy, "mov $0x48, %ecx; ltr %cx");
BOTH(lldt_beyond, "mov $0xfff8, %ebx; lldt %bx");
BOTH(lgdt_unmapped, "lgdt (%ebp)");
BOTH(sidt_unmapped, "sidt (%ebp)");
BOTH(lgdt_locked, ".byte 0xf0; lgdt %ss:(%esi)");
BOTH(mov_ss_lgdt, "mov %ss, %eax; mov %eax, %ss; lgdt %ss:(%esi); nop");
BOTH(watched_ss_lidt, "mov %ss:(%edi), %ss; lidt %ss:32(%esi); nop");
BOTH(watched_ss_str, "mov %ss:(%edi), %ss; str %edx; nop");
GUEST_CODE(k_lgdt_high, 64, "lgdt (%r8); " EXEC_END);

#define ROW(name)                                                                                            \
	{                                                                                                    \
#name, k_##name, k_##name##_32                                                               \
	}
static const struct {
	const char *name;
	const u8 *code64, *code32;
} rows[] = {
	ROW(sgdt),
	ROW(sidt),
	ROW(lgdt),
	ROW(lidt),
	ROW(sldt),
	ROW(sldt_mem),
	ROW(str),
	ROW(str_mem),
	ROW(lldt),
	ROW(lldt_mem),
	ROW(ltr),
	ROW(lldt_null),
	ROW(ltr_null),
	ROW(ltr_busy),
	ROW(lldt_beyond),
	ROW(lgdt_unmapped),
	ROW(sidt_unmapped),
	ROW(lgdt_locked),
	ROW(mov_ss_lgdt),
	ROW(watched_ss_lidt),
	ROW(watched_ss_str),
	{ "lgdt_high", k_lgdt_high, NULL },
};

enum way { RING_0, RESUMED, TRAPPED, RING_0_32, TRAPPED_32, RING_3, RING_3_UMIP, RING_3_32, WAYS };
static const char *const way_names[WAYS] = { "0", "0_rf", "0_tf", "0_32", "0_32_tf", "3", "3_umip", "3_32" };

static struct PACKED operand {
	struct table_register gdt; /* 10 bytes each */
	u8 fill0[6];
	u8 stored[16];
	struct table_register idt;
	u8 fill1[6];
	u16 ldt, ss;
} operand ALIGNED(64);

static bool has_umip(void)
{
	return cpuid(7, 0).ecx & BIT(2);
}

static void set_up(struct exec *e, const u8 *code, enum way way)
{
	exec_init(e, addr_of(code));
	if (way >= RING_3)
		exec_user(e);
	if (way == RING_0_32 || way == TRAPPED_32)
		e->cs = SEL_CODE32;
	if (way == RING_3_32)
		e->cs = SEL_USER32;
	if (way == RESUMED)
		e->rflags |= RFLAGS_RF;
	if (way == TRAPPED || way == TRAPPED_32)
		e->rflags |= RFLAGS_TF;
	memset(&operand, 0, sizeof(operand));
	operand.gdt = (struct table_register){ SEL_COUNT * 8 - 1, host_a.gdt };
	operand.idt = (struct table_register){ 0xffe, host_a.idt };
	operand.ldt = SEL_LDT;
	operand.ss = way >= RING_3 ? SEL_USER_DATA : SEL_DATA;
	memset(operand.stored, 0x5a, sizeof(operand.stored));
	e->regs.rsi = addr_of(&operand);
	e->regs.rdi = addr_of(&operand.ss);
	e->regs.rbx = SEL_LDT;
	e->regs.rcx = SEL_TSS2;
	e->regs.rdx = 0x5a5a5a5a;
	e->regs.rbp = 0xfff00000; /* unmapped below */
	e->regs.r8 = BIT(62);
}

static void one(u32 row, enum way way, bool watch)
{
	const u8 *code = way == RING_0_32 || way == TRAPPED_32 || way == RING_3_32 ? rows[row].code32
										   : rows[row].code64;
	struct exec e;
	struct seen s;
	char buf[48];

	if (!code)
		return;
	set_up(&e, code, way);
	tables_add_descriptors(this_cpu()->gdt, host_b.tss);
	dr6_write(0xffff0ff0);
	if (watch) {
		dr0_write(addr_of(&operand.ss));
		dr7_write(0x400 | 1 | 0x70000);
	}
	/* A breakpoint at the instruction itself, which RF says has been dealt with. */
	if (way == RESUMED && !watch) {
		dr0_write(e.rip);
		dr7_write(0x400 | 1);
	}
	exec_run(&e);
	dr7_write(0x400);
	s = tables_look();
	result("%s %s %s +%lx flags=%lx dr6=%lx rdx=%lx stored=%lx,%lx", rows[row].name, way_names[way],
	       fault_name(&e.out, buf), e.out.frame.rip - addr_of(code), e.out.frame.rflags, dr6_read(),
	       e.out.frame.regs.rdx, *(u64 *)(void *)operand.stored, *(u64 *)(void *)(operand.stored + 8));
	result("%s %s gdt=%x idt=%x ldt=%x tr=%x", rows[row].name, way_names[way], s.gdt.limit, s.idt.limit,
	       s.ldt, s.tr);
	run_rounds(&vm_a, CALM);
	CHECK(tables_unseen_are(&host_a));
	if (row & 1) {
		CHECK(tables_seen_are(&host_a));
		run_rounds(&vm_a, CALM);
	}
}

TEST_VMX(own_tables)
{
	u64 cr4 = cr4_read();

	tables_prepare();
	*paging_entry(cr3_read(), addr_of(&operand), 1) |= PTE_U;
	*paging_entry(cr3_read(), 0xfff00000, 1) = 0;
	cr3_write(cr3_read());
	for (u32 row = 0; row < ARRAY_SIZE(rows); row++) {
		bool watch = !memcmp(rows[row].name, "watched", 7);

		let_user_run(rows[row].code64);
		if (rows[row].code32)
			let_user_run(rows[row].code32);
		for (enum way way = 0; way < WAYS; way++) {
			if (way == RING_3_UMIP && !has_umip())
				continue;
			cr4_write(way == RING_3_UMIP ? cr4 | CR4_UMIP : cr4);
			vmwrite(F_HOST_CR4, cr4_read());
			run_rounds(&vm_a, CALM);
			one(row, way, watch);
		}
	}
	cr4_write(cr4);
	vmwrite(F_HOST_CR4, cr4);
	tables_clean_up();
}
