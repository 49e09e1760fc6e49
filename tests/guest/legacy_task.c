/* SPDX-License-Identifier: MIT */
/*
 * Guest test "legacy", task switches: a 32-bit L1 with PAE goes to a task with other PDPTEs. L0 makes the
 * switch, and whatever comes right behind it finds the new ones. SDM: "Task Switching", "PDPTE Registers".
 */
#include "tests/guest/legacy.h"

extern u8 legacy_task[], legacy_stack[];

struct PACKED tss32 {
	u32 link, stacks[6], cr3, eip, eflags, gpr[8], segment[6], ldt, map;
};

static u64 tss_descriptor(const struct tss32 *t)
{
	u64 at = addr_of(t);

	return 0x67 | (at & 0xffffff) << 16 | 0x89ul << 40 | (at >> 24) << 56;
}

/* PAE tables whose fourth GiB starts with `page`. */
static u64 tables_to(const u32 *page)
{
	u64 cr3 = paging_create_pae(), *pt = page_alloc();

	pt[0] = addr_of(page) | PTE_P | PTE_W | PTE_A | PTE_D;
	((u64 *)ptr_of(((u64 *)ptr_of(cr3))[3] & PTE_ADDR))[0] = addr_of(pt) | PTE_P | PTE_W | PTE_A;
	return cr3;
}

/* What comes right behind the switch. */
enum behind { NOTHING, INTERRUPT, T_FLAG, TRAP_FLAG, HELD_NMI, BEHINDS };
static const char *const names[BEHINDS] = { "nothing", "interrupt", "t_flag", "trap_flag", "nmi" };
enum { IRQ = 31 }; /* legacy_run.S has handlers for no more */

static void set(enum behind what, struct tss32 *new)
{
	switch (what) {
	case INTERRUPT:
		new->eflags |= RFLAGS_IF;
		apic_self(IRQ);
		delay(100);
		break;
	case T_FLAG: new->map |= 1; break;
	case TRAP_FLAG: new->eflags |= RFLAGS_TF; break;
	case HELD_NMI: /* IRET ends the blocking, by a task switch too */
		vmx_enable();
		nmi_block_and_hold();
		vmx_disable();
		break;
	default: break;
	}
}

static void clear(enum behind what)
{
	if (what == INTERRUPT)
		apic_eoi();
	if (what == HELD_NMI)
		nmi_unblock();
	if (what == T_FLAG || what == TRAP_FLAG)
		dr6_write(0xffff0ff0);
}

/*
 * To a CR3 with other PDPTEs, and back by MOV: the processor's walks and L0's see the ones that belong to it.
 */
static void switch_to(enum behind what, bool iret)
{
	struct tss32 *old = page_alloc(), *new = page_alloc();
	u32 *page_a = page_alloc(), *page_b = page_alloc(), i;
	u64 cr3_a = tables_to(page_a), cr3_b = tables_to(page_b);
	u64 tss_low = this_cpu()->gdt[SEL_TSS / 8];
	const struct step *s;

	page_a[1] = 0xaaaa1111;
	page_b[1] = 0xbbbb2222;
	new->cr3 = (u32)cr3_b;
	new->eip = (u32)addr_of(legacy_task);
	new->eflags = 2;
	new->gpr[4] = (u32)addr_of(legacy_stack);
	for (i = 0; i < 6; i++)
		new->segment[i] = i == 1 ? SEL_CODE32 : SEL_DATA;
	new->map = 0x680000;
	old->link = SEL_FREE + 8;
	gdt_set(SEL_FREE, tss_descriptor(old));
	gdt_set(SEL_FREE + 8, tss_descriptor(new) | (iret ? BIT(41) : 0)); /* busy */
	legacy_start(cr3_a, legacy_cr4(true));
	set(what, new);
	legacy_add(LOAD, WINDOW + 4, 0);
	legacy_add(iret ? TASK_IRET : TASK, SEL_FREE, SEL_FREE + 8);
	s = legacy_add(LOAD, WINDOW + 4, 0);
	legacy_touch(0);
	legacy_add(CR3, cr3_a, 0);
	legacy_touch(8);
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(cr3_a, legacy_cr4(true), SEL_CODE32, SEL_DATA, 0);
	this_cpu()->gdt[SEL_TSS / 8] = tss_low & ~BIT(41); /* not busy */
	tr_load(SEL_TSS);
	gdt_set(SEL_FREE, 0);
	gdt_set(SEL_FREE + 8, 0);
	clear(what);
	legacy_report(names[what]);
	result("%s iret=%u a=%x,%x b=%x,%x old_cr3=%u", names[what], iret, page_a[0], page_a[2], page_b[0],
	       page_b[2], old->cr3 == 0);
	CHECK(s->result == page_b[1]);
	CHECK(!page_a[0] && page_b[0] == SEL_CODE32 && page_a[2] == SEL_CODE32 && !page_b[2]);
}

TEST(task_loads_pdptes)
{
	enum behind what;

	for (what = NOTHING; what < HELD_NMI; what++) {
		switch_to(what, false);
		switch_to(what, true);
	}
	if (caps_pin(PIN_NMI | PIN_VNMI))
		switch_to(HELD_NMI, true);
}
