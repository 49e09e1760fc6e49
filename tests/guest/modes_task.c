/* SPDX-License-Identifier: MIT */
/*
 * Guest test "modes": task switches of L1 itself, with 16- and 32-bit TSSs: by CALL, JMP, IRET, INT and
 * exceptions, into ring 0, ring 3 and virtual-8086 mode; what they save, load and mark; and their faults,
 * before and in the new task. SDM: volume 3, "Task Management".
 */
#include "tests/guest/modes.h"

/* Selectors; SEL_TSS is the task that begins. */
enum { SEL_NEW = 0x58, SEL_GATE = 0x60, SEL_LDT = 0x68, SEL_ODD = 0x70, SEL_RESCUE = 0x80 };

struct PACKED tss32 {
	u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi,
		es, cs, ss, ds, fs, gs, ldt;
	u16 trap, io;
};

struct PACKED tss16 {
	u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds,
		ldt;
};

GUEST_CODE(t_call, 32, "lcall $0x58, $0; int $0xf0");
GUEST_CODE(t_jmp, 32, "ljmp $0x58, $0; int $0xf0");
GUEST_CODE(t_call_gate, 32, "lcall $0x60, $0; int $0xf0");
GUEST_CODE(t_jmp_gate, 32, "ljmp $0x60, $0; int $0xf0");
GUEST_CODE(t_int, 32, "int $0x42; int $0xf0");
GUEST_CODE(t_ud, 32, "ud2; int $0xf0");
GUEST_CODE(t_gp, 32, "mov $0x1238, %eax; mov %eax, %ds; int $0xf0");
GUEST_CODE(t_iret, 32, "pushf; orl $0x4000, (%esp); popf; iret; int $0xf0");
GUEST_CODE(t_into_popf, 32, "pushf; orl $0x100, (%esp); popf; lcall $0x58, $0; nop; int $0xf0");
GUEST_CODE(t_new, 32, "mov %cr0, %eax; int $0xf0");
GUEST_CODE(t_new_user, 32, "mov $0x77, %eax; int $0xf0");
GUEST_CODE(t_return, 32, "mov $0x1234, %edi; iret; mov $0x55, %esi; jmp t_return");
GUEST_CODE(t_v86, 16, "mov $0x99, %ax; int $0xf0");

struct task {
	struct modes m;
	struct tss32 *old, *new32;
	struct tss16 *new16;
	u8 *page; /* the new TSS's */
	bool is16;
};

static u64 tss_descriptor(u64 base, u32 limit, u32 rights)
{
	return limit | (base & 0xffffff) << 16 | (u64)rights << 40 | (base >> 24) << 56;
}

/* The code at `entry` is reached by its low 16 bits in a 16-bit TSS: it is copied below 64 KiB of SEL_ODD's
 * base. */
static void start(struct task *t, const void *code, const void *entry, bool is16)
{
	u64 stack = addr_of(page_alloc()) + 0x800;

	memset(t, 0, sizeof(*t));
	modes_init(&t->m, code);
	t->is16 = is16;
	t->old = ptr_of(this_cpu()->gdt[SEL_TSS / 8] >> 16 & 0xffffff);
	t->page = page_alloc_contig(2);
	t->new32 = (void *)t->page;
	t->new16 = (void *)t->page;
	memcpy(ptr_of(LOW_CODE), entry, 64);
	if (is16) {
		*t->new16 = (struct tss16){ .ip = 0,
					    .flags = 2,
					    .ax = 0x1111,
					    .cx = 0x2222,
					    .dx = 0x3333,
					    .bx = 0x4444,
					    .sp = (u16)(stack & 0xffff),
					    .bp = 0x5555,
					    .si = 0x6666,
					    .di = 0x7777,
					    .es = SEL_DATA,
					    .cs = SEL_CODE16,
					    .ss = SEL_DATA,
					    .ds = SEL_DATA };
		/* ESP's upper half becomes ones: the stack segment's base makes up for that */
		gdt_set(SEL_DATA16, 0x00cf93000000fffful |
					    (((stack & 0xffff0000) + 0x10000) & 0xffffff) << 16 |
					    (((stack & 0xffff0000) + 0x10000) >> 24) << 56);
		t->new16->ss = SEL_DATA16;
	} else {
		*t->new32 = (struct tss32){ .esp0 = (u32)stack + 0x400,
					    .ss0 = SEL_DATA,
					    .cr3 = t->m.cr3,
					    .eip = 0,
					    .eflags = 2 | RFLAGS_DF,
					    .eax = 0x11111111,
					    .ecx = 0x22222222,
					    .edx = 0x33333333,
					    .ebx = 0x44444444,
					    .esp = (u32)stack,
					    .ebp = 0x55555555,
					    .esi = 0x66666666,
					    .edi = 0x77777777,
					    .es = SEL_DATA,
					    .cs = SEL_CODE16,
					    .ss = SEL_DATA,
					    .ds = SEL_DATA,
					    .fs = SEL_DATA,
					    .io = 104 };
	}
	/* SEL_CODE16: 32-bit code at LOW_CODE */
	gdt_set(SEL_CODE16, 0x00409b000000fffful | (u64)LOW_CODE << 16);
	gdt_set(SEL_NEW, tss_descriptor(addr_of(t->page), is16 ? 0x2b : 0x67, is16 ? 0x81 : 0x89));
	gdt_set(SEL_GATE, (u64)SEL_NEW << 16 | 0xe5ul << 40);
	gdt_set(SEL_LDT, tss_descriptor(addr_of(t->page) + PAGE_SIZE, 0x1f, 0x82));
	t->m.eax = 0xa0a0a0a0;
	t->m.ecx = 0xc0c0c0c0;
	t->m.edx = 0xd0d0d0d0;
	t->m.ebx = 0xb0b0b0b0;
	t->m.esi = 0x51515151;
	t->m.edi = 0xd1d1d1d1;
	t->m.ebp = 0xb9b9b9b9;
}

static void idt_gate(u32 vector)
{
	modes_idt[vector] = (u64)SEL_NEW << 16 | 0xe5ul << 40;
}

/*
 * #TS, #NP, #SS, #GP and #DF lead to tasks of their own: the new task may have no stack to take them. The
 * error code is found on the stack of that task, the vector by its TSS.
 */
static const u32 rescued[] = { VEC_TS, VEC_NP, VEC_SS, VEC_GP, VEC_DF };

static void rescue(struct task *t)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rescued); i++) {
		struct tss32 *tss = page_alloc();

		*tss = (struct tss32){ .cr3 = t->m.cr3,
				       .eip = (u32)addr_of(t_new),
				       .eflags = 2,
				       .esp = (u32)addr_of(page_alloc()) + 0x800,
				       .es = SEL_DATA,
				       .cs = SEL_CODE32,
				       .ss = SEL_DATA,
				       .ds = SEL_DATA,
				       .io = 104 };
		gdt_set(SEL_RESCUE + 8 * i, tss_descriptor(addr_of(tss), 0x67, 0x89));
		modes_idt[rescued[i]] = (u64)(SEL_RESCUE + 8 * i) << 16 | 0xe5ul << 40;
	}
}

static void report_rescued(struct task *t, const char *what)
{
	const struct modes *m = &t->m;
	const struct tss32 *tss;

	if (m->vector != VEC_EXEC_DONE || m->tr_out < SEL_RESCUE)
		return;
	tss = ptr_of(this_cpu()->gdt[m->tr_out / 8] >> 16 & 0xffffff);
	result("%s rescued %u(%x) link=%x", what, rescued[(m->tr_out - SEL_RESCUE) / 8],
	       *(u32 *)ptr_of(m->esp), tss->link);
	if (t->is16)
		result("%s task ip=%x flags=%x ax=%x es=%x cs=%x ss=%x ds=%x ldt=%x", what, t->new16->ip,
		       t->new16->flags, t->new16->ax, t->new16->es, t->new16->cs, t->new16->ss, t->new16->ds,
		       t->new16->ldt);
	else
		result("%s task ip=%x flags=%x ax=%x es=%x cs=%x ss=%x ds=%x fs=%x ldt=%x", what,
		       t->new32->eip, t->new32->eflags, t->new32->eax, t->new32->es, t->new32->cs,
		       t->new32->ss, t->new32->ds, t->new32->fs, t->new32->ldt);
}

/* Registers of the task that ran last and what stands in the first one's TSS: as hashes, or in full with
 * `verbose`. */
static void print_state(struct task *t, const char *what)
{
	const struct modes *m = &t->m;
	const u32 now[] = { m->eax, m->ecx, m->edx, m->ebx, m->ebp, m->esi,
			    m->edi, m->ds,  m->es,  m->fs,  m->gs,  m->ss };
	const u32 old[] = { t->old->eip ? t->old->eip - (u32)addr_of(t_call) : 0,
			    t->old->eflags,
			    t->old->eax,
			    t->old->ecx,
			    t->old->edx,
			    t->old->ebx,
			    t->old->esi,
			    t->old->edi,
			    t->old->es,
			    t->old->cs,
			    t->old->ds,
			    t->old->gs,
			    *(u16 *)(void *)t->page };
	u64 hash_now = 0, hash_old = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(now); i++)
		hash_now = hash_add(hash_now, now[i]);
	for (i = 0; i < ARRAY_SIZE(old); i++)
		hash_old = hash_add(hash_old, old[i]);
	result("%s%s registers=%lx old=%lx", what, t->is16 ? "16" : "32", hash_now, hash_old);
	if (!option_flag("verbose"))
		return;
	for (i = 0; i < ARRAY_SIZE(now); i++)
		print("%s%x", i ? "," : "INFO now ", now[i]);
	for (i = 0; i < ARRAY_SIZE(old); i++)
		print("%s%x", i ? "," : " old ", old[i]);
	print("\n");
}

static void go(struct task *t, const char *what)
{
	struct modes *m = &t->m;
	char buf[48];
	u64 gdt_new;

	modes_go(m);
	gdt_new = this_cpu()->gdt[SEL_NEW / 8];
	result("%s%s %s eip=%x cs=%x flags=%x tr=%x ts=%u cr3=%s old=%x new=%lx", what, t->is16 ? "16" : "32",
	       m->vector == VEC_EXEC_DONE ? "done" : modes_outcome(m, buf), m->cs == SEL_CODE16 ? m->eip : 0,
	       m->cs, m->eflags, m->tr_out, !!(m->cr0_out & CR0_TS),
	       m->cr3_out == t->m.cr3 ? "same" : "other", m->tss_rights & 0xff, gdt_new >> 40 & 0xff);
	print_state(t, what);
}

/* Every way into another task. */
TEST(tasks)
{
	static const struct {
		const char *name;
		const u8 *code, *entry;
		u32 gate; /* vector with a task gate */
	} list[] = {
		{ "call", t_call, t_new, 0 },		{ "jmp", t_jmp, t_new, 0 },
		{ "call_gate", t_call_gate, t_new, 0 }, { "jmp_gate", t_jmp_gate, t_new, 0 },
		{ "int", t_int, t_new, 0x42 },		{ "ud", t_ud, t_new, VEC_UD },
		{ "gp", t_gp, t_new, VEC_GP },		{ "iret", t_iret, t_new, 0 },
		{ "call_return", t_call, t_return, 0 }, { "int_return", t_int, t_return, 0x42 },
		{ "traced", t_into_popf, t_new, 0 },
	};
	struct task t;
	u32 i, is16;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		for (is16 = 0; is16 < 2; is16++) {
			start(&t, list[i].code, list[i].entry, is16);
			if (list[i].gate)
				idt_gate(list[i].gate);
			if (list[i].code == t_iret) {
				t.old->link = SEL_NEW;
				gdt_set(SEL_NEW, this_cpu()->gdt[SEL_NEW / 8] | 2ul << 40);
			}
			go(&t, list[i].name);
			if (list[i].gate == VEC_GP) {
				/* the error code, under the frame of INT F0h */
				u32 esp = t.is16 ? (t.new16->sp - (u32)4) & 0xffff : t.new32->esp - 4;
				u64 at = t.is16 ? (addr_of(ptr_of(this_cpu()->gdt[SEL_DATA16 / 8] >> 16 &
								  0xffffff)) -
						   0x10000) +
							  esp
						: esp;

				result("gp%s pushed=%x", is16 ? "16" : "32",
				       is16 ? *(u16 *)ptr_of(at + 2) : *(u32 *)ptr_of(at));
			}
		}
	}
}

static void change(struct task *t, u32 which)
{
	u64 *gdt = this_cpu()->gdt;
	bool is16 = t->is16;

	switch (which) {
	case 0: gdt[SEL_NEW / 8] &= ~(0x80ul << 40); break;	/* TSS not present */
	case 1: gdt[SEL_NEW / 8] |= 2ul << 40; break;		/* busy */
	case 2: gdt[SEL_NEW / 8] -= 1; break;			/* limit too small */
	case 3: gdt[SEL_NEW / 8] = 0x00cf93000000fffful; break; /* no TSS */
	case 4: *(is16 ? &t->new16->ldt : (u16 *)&t->new32->ldt) = SEL_LDT; break;
	case 5: *(is16 ? &t->new16->ldt : (u16 *)&t->new32->ldt) = SEL_DATA; break;
	case 6: *(is16 ? &t->new16->ldt : (u16 *)&t->new32->ldt) = SEL_LDT | 4; break;
	case 7: *(is16 ? &t->new16->ss : (u16 *)&t->new32->ss) = 0; break;
	case 8: *(is16 ? &t->new16->ss : (u16 *)&t->new32->ss) = SEL_ODD; break; /* not present */
	case 9: *(is16 ? &t->new16->ss : (u16 *)&t->new32->ss) = SEL_USER_DATA; break;
	case 10: *(is16 ? &t->new16->cs : (u16 *)&t->new32->cs) = SEL_DATA; break;
	case 11: *(is16 ? &t->new16->cs : (u16 *)&t->new32->cs) = 0; break;
	case 12: *(is16 ? &t->new16->ds : (u16 *)&t->new32->ds) = SEL_ODD; break;
	case 13: *(is16 ? &t->new16->ds : (u16 *)&t->new32->ds) = 0x200; break; /* beyond the GDT */
	case 14: *(is16 ? &t->new16->es : (u16 *)&t->new32->es) = 0; break;
	case 15: *(is16 ? &t->new16->es : (u16 *)&t->new32->es) = SEL_USER_DATA; break;
	case 16: *(is16 ? &t->new16->ds : (u16 *)&t->new32->ds) = SEL_TSS; break;
	case 17:
		gdt[SEL_CODE16 / 8] &= ~0xfffful;
		gdt[SEL_CODE16 / 8] |= 0xff;
		if (is16)
			t->new16->ip = 0x100;
		else
			t->new32->eip = 0x100;
		break;
	case 18: *(is16 ? &t->new16->cs : (u16 *)&t->new32->cs) = SEL_CODE16 | 3; break;
	case 19: gdt[SEL_CODE16 / 8] &= ~(0x80ul << 40); break; /* CS not present */
	case 20:
		gdt[SEL_ODD / 8] = 0x00cf92000000fffful; /* not accessed yet */
		*(is16 ? &t->new16->ds : (u16 *)&t->new32->ds) = SEL_ODD;
		break;
	case 21: gdt[SEL_GATE / 8] &= ~(0x80ul << 40); break;
	case 22: gdt[SEL_GATE / 8] = (u64)SEL_DATA << 16 | 0xe5ul << 40; break;
	}
}

enum { CHANGES = 23 };

/* What can be wrong with the new task; the fault is the old task's or the new one's. */
TEST(task_faults)
{
	struct task t;
	u32 which, is16, gate;

	for (which = 0; which < CHANGES; which++) {
		for (is16 = 0; is16 < 2; is16++) {
			for (gate = which >= 21; gate < 2; gate++) {
				char name[48];
				u64 mark = page_mark();

				start(&t, gate ? t_call_gate : t_jmp, t_new, is16);
				gdt_set(SEL_ODD, 0x00cf13000000fffful); /* data, not present */
				change(&t, which);
				rescue(&t);
				format(name, sizeof(name), "change=%u gate=%u ", which, gate);
				go(&t, name);
				report_rescued(&t, name);
				result("%s odd=%lx", name, this_cpu()->gdt[SEL_ODD / 8] >> 40 & 0xff);
				page_release(mark);
			}
		}
	}
}

/* Exceptions whose task cannot be begun: with a second one of their class they make a double fault. */
static void exception_tasks(void)
{
	static const struct {
		const char *name;
		const u8 *code;
		u32 vector;
		bool bad_stack;
	} list[] = { { "ud_bad_ds", t_ud, VEC_UD, false },
		     { "gp_bad_ds", t_gp, VEC_GP, false },
		     { "int_bad_ds", t_int, 0x42, false },
		     { "gp_bad_stack", t_gp, VEC_GP, true } };
	struct task t;
	u32 i;

	start(&t, t_ud, t_new, false);
	idt_gate(VEC_UD);
	gdt_set(SEL_NEW, 0x00cf93000000fffful);
	go(&t, "gate_to_data");
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		start(&t, list[i].code, t_new, false);
		rescue(&t);
		idt_gate(list[i].vector);
		if (list[i].bad_stack) { /* the error code does not fit */
			gdt_set(SEL_DATA16, 0x00409300000000fful | 0x10000ul << 16);
			t.new32->ss = SEL_DATA16;
			t.new32->esp = 2;
		} else {
			t.new32->ds = SEL_ODD;
			gdt_set(SEL_ODD, 0x00cf13000000fffful);
		}
		go(&t, list[i].name);
		report_rescued(&t, list[i].name);
	}
}

/* Other CR3, the T bit, ring 3, virtual-8086 mode, an LDT in use, a TSS on a page that is not there; IRET's
 * own faults. */
TEST(task_kinds)
{
	struct task t;
	u32 other;

	start(&t, t_call, t_new, false);
	other = (u32)paging_create32();
	t.new32->cr3 = other;
	go(&t, "cr3");
	result("cr3 loaded=%u", t.m.cr3_out == other);
	start(&t, t_call, t_new, false);
	t.new32->trap = 1;
	go(&t, "trap_bit");
	start(&t, t_call, t_new_user, false);
	t.new32->cs = SEL_USER32;
	t.new32->eip = (u32)addr_of(t_new_user);
	t.new32->ss = t.new32->ds = t.new32->es = SEL_USER_DATA;
	t.new32->fs = 0;
	go(&t, "ring3");
	start(&t, t_call, t_v86, false);
	t.new32->eflags = 2 | RFLAGS_VM | RFLAGS_IOPL;
	t.new32->cs = LOW_CODE >> 4;
	t.new32->ss = LOW_STACK >> 4;
	t.new32->esp = 0xff0;
	t.new32->ds = 0x1234;
	go(&t, "v86");
	start(&t, t_call, t_new, false);
	t.new32->ldt = SEL_LDT;
	t.new32->ds = 0x0c; /* its entry 1 */
	((u64 *)(void *)(t.page + PAGE_SIZE))[1] = 0x00cf93000000fffful;
	go(&t, "ldt");
	start(&t, t_call, t_new, false);
	((u32 *)ptr_of(t.m.cr3))[0xd0000000 >> 22] = 0;
	gdt_set(SEL_NEW, tss_descriptor(0xd0000000, 0x67, 0x89));
	go(&t, "tss_absent");
	start(&t, t_iret, t_new, false);
	t.old->link = SEL_NEW; /* not busy */
	go(&t, "iret_not_busy");
	start(&t, t_iret, t_new, false);
	t.old->link = SEL_DATA;
	go(&t, "iret_no_tss");
	start(&t, t_iret, t_new, false);
	t.old->link = 0;
	go(&t, "iret_null");
	exception_tasks();
}
