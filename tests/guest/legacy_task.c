/* SPDX-License-Identifier: MIT */
/*
 * Guest test "legacy", task switches: a 32-bit L1 with PAE goes to a task with other PDPTEs. L0 makes the
 * switch, and whatever comes right behind it finds the new ones. SDM: "Task Switching", "PDPTE Registers".
 */
#include "tests/guest/legacy.h"

extern u8 legacy_task[], legacy_stack[];

struct PACKED tss32 {
	u32 link, stacks[6], cr3, eip, eflags, gpr[8], segment[6], ldt;
	u16 trap, map;
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
	case T_FLAG: new->trap |= 1; break;
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
	new->map = 0x68;
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

/* ---- data breakpoints on what a task switch reads and writes ---- */

#define DR7_FIRST(enable, kind) (0x400u | (enable) | (kind) << 16 | 3u << 18) /* four bytes */
enum { LOCAL = 1, GLOBAL = 2, WRITES = 1, READS_WRITES = 3 };

static struct tss32 *watched_old, *watched_new;
static u8 *watched_stack;

/* Two tasks in the same page tables; the T flag, and a fault in the new one. */
static u64 make_tasks(bool t_flag, bool fault)
{
	u64 cr3 = paging_create_pae();
	u32 i;

	memset(watched_old, 0, sizeof(*watched_old));
	memset(watched_new, 0, sizeof(*watched_new));
	watched_new->cr3 = (u32)cr3;
	watched_new->eip = (u32)addr_of(legacy_task);
	watched_new->eflags = 2;
	watched_new->gpr[4] = (u32)addr_of(watched_stack) + 2048;
	for (i = 0; i < 6; i++)
		watched_new->segment[i] = i == 1 ? SEL_CODE32 : SEL_DATA;
	if (fault) { /* the handler finds CPL 3, and its stack here */
		watched_new->ldt = SEL_DATA;
		watched_new->stacks[0] = (u32)addr_of(legacy_stack);
		watched_new->stacks[1] = SEL_DATA;
	}
	watched_new->trap = t_flag;
	watched_new->map = 0x68;
	gdt_set(SEL_FREE, tss_descriptor(watched_old));
	gdt_set(SEL_FREE + 8, tss_descriptor(watched_new));
	return cr3;
}

/* Executes the steps with the breakpoint; what came of `s`, the one that switches. */
static void execute_watched(u64 cr3, const struct step *s, const void *at, u32 enable, u32 kind,
			    const char *what)
{
	u64 tss_low = this_cpu()->gdt[SEL_TSS / 8], dr6;

	dr0_write(addr_of(at));
	dr6_write(0xffff0ff2); /* B1 is nobody's */
	dr7_write(DR7_FIRST(enable, kind));
	legacy_execute(cr3, legacy_cr4(true), SEL_CODE32, SEL_DATA, 0);
	dr6 = dr6_read();
	result("%s enable=%u kind=%u vector=%u dr6=%lx dr7=%lx", what, enable, kind, s->vector, dr6 & 0xffff,
	       dr7_read());
	dr7_write(0x400);
	dr6_write(0xffff0ff0);
	this_cpu()->gdt[SEL_TSS / 8] = tss_low & ~BIT(41); /* not busy */
	tr_load(SEL_TSS);
	gdt_set(SEL_FREE, 0);
	gdt_set(SEL_FREE + 8, 0);
}

static void switch_watched(const char *what, const void *at, u32 enable, u32 kind, bool t_flag, bool fault)
{
	u64 cr3 = make_tasks(t_flag, fault);
	const struct step *s;

	legacy_start(cr3, legacy_cr4(true));
	s = legacy_add(TASK, SEL_FREE, SEL_FREE + 8);
	legacy_add(VMXOFF, 0, 0);
	execute_watched(cr3, s, at, enable, kind, what);
}

/* An exception through a task gate: its error code goes onto the new task's stack. */
static void gate_watched(const char *what, const void *at, u32 enable, u32 kind)
{
	u64 cr3 = make_tasks(false, false);
	const struct step *s;

	legacy_start(cr3, legacy_cr4(true));
	*(u32 *)(watched_stack + 2044) = 0x5555;
	legacy_idt[VEC_GP] = (u64)(SEL_FREE + 8) << 16 | 0x85ull << 40;
	legacy_add(LTR, SEL_FREE, 0);
	s = legacy_add(CR4, BIT(31), 0);
	legacy_add(VMXOFF, 0, 0);
	execute_watched(cr3, s, at, enable, kind, what);
	result("%s code=%x link=%x", what, *(u32 *)(watched_stack + 2044), watched_new->link);
}

/*
 * The fields of both tasks that the switch saves and loads, the descriptors that it marks, and neighbours
 * that it leaves alone. Breakpoints of the old task (L0) are met still, those of the new one are cleared by
 * then.
 */
TEST(task_watches)
{
	u32 enable;

	watched_old = page_alloc();
	watched_new = page_alloc();
	watched_stack = page_alloc();
	for (enable = LOCAL; enable <= GLOBAL; enable++) {
		switch_watched("old_eip", &watched_old->eip, enable, WRITES, false, false);
		switch_watched("old_edi", &watched_old->gpr[7], enable, READS_WRITES, false, false);
		switch_watched("old_gs", &watched_old->segment[5], enable, WRITES, false, false);
		switch_watched("old_esp0", &watched_old->stacks[0], enable, READS_WRITES, false, false);
		switch_watched("old_cr3", &watched_old->cr3, enable, READS_WRITES, false, false);
		switch_watched("old_ldt", &watched_old->ldt, enable, READS_WRITES, false, false);
		switch_watched("new_link", &watched_new->link, enable, READS_WRITES, false, false);
		switch_watched("new_ss2", &watched_new->stacks[5], enable, READS_WRITES, false, false);
		switch_watched("new_cr3", &watched_new->cr3, enable, READS_WRITES, false, false);
		switch_watched("new_eip", &watched_new->eip, enable, READS_WRITES, false, false);
		switch_watched("new_eip", &watched_new->eip, enable, WRITES, false, false);
		switch_watched("new_ldt", &watched_new->ldt, enable, READS_WRITES, false, false);
		switch_watched("new_trap", &watched_new->trap, enable, READS_WRITES, false, false);
		switch_watched("descriptor", &this_cpu()->gdt[SEL_FREE / 8 + 1], enable, READS_WRITES, false,
			       false);
	}
	gate_watched("error_code", watched_stack + 2044, GLOBAL, WRITES);
	gate_watched("error_code_local", watched_stack + 2044, LOCAL, WRITES);
	gate_watched("above_error_code", watched_stack + 2048, GLOBAL, READS_WRITES);
	gate_watched("gate_link", &watched_new->link, GLOBAL, WRITES);
	switch_watched("t_flag", &watched_new->eip, GLOBAL, READS_WRITES, true, false);
	switch_watched("t_flag_alone", &watched_new->link, GLOBAL, READS_WRITES, true, false);
	switch_watched("fault", &watched_new->eip, GLOBAL, READS_WRITES, false, true);
	switch_watched("fault_local", &watched_old->eip, LOCAL, READS_WRITES, false, true);
}
