/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": GDTR, IDTR, LDTR and TR of L1 itself between exits of its L2's, each instruction that
 * reads or loads one in each way, and VMCSs with different host values in turn. A hypervisor below may have
 * found out that L1 leaves them alone, and must notice when it no longer does: so L2 runs often before each
 * change, and what says which tables there are is mostly an instruction that it cannot see (LSL, INT, a stack
 * of the TSS). SDM: "Loading Host Segment and Descriptor-Table Registers".
 */
#include "tests/guest/exits.h"

GUEST_CODE(k_vmcall, 64, "vmcall; hlt");

enum {
	LONGEST = 1100, /* exits after which the longest waiting is over */
	CALM = 12,
	SEL_LDT = SEL_FREE,
	SEL_TSS2 = SEL_FREE + 16,
	STACK_MARK = 0x5151,
};

struct host {
	u64 gdt, idt, tss, tr;
};

static struct vm vm_a, vm_b, vm_c;
static struct host host_a, host_b;
static u64 *top_a, *top_b; /* of the stacks for ring 0, where a trap of ring 3 pushes SS */

static void run(struct vm *vm, u32 rounds)
{
	while (rounds--)
		CHECK(vm_run(vm) == REASON_VMCALL);
}

static u64 tss_descriptor(u64 base, u64 limit)
{
	return limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
}

/* An LDT of 37H bytes and a second TSS in this GDT. */
static void add_descriptors(u64 *gdt, u64 tss)
{
	gdt[SEL_LDT / 8] = 0x37 | (tss & 0xffffff) << 16 | 0x82ull << 40 | (tss >> 24 & 0xff) << 56;
	gdt[SEL_LDT / 8 + 1] = 0;
	gdt[SEL_TSS2 / 8] = tss_descriptor(tss, 0x67);
	gdt[SEL_TSS2 / 8 + 1] = 0;
}

static void write_host(struct vm *vm, const struct host *host)
{
	vm_current(vm);
	vmwrite(F_HOST_GDTR_BASE, host->gdt);
	vmwrite(F_HOST_IDTR_BASE, host->idt);
	vmwrite(F_HOST_TR_BASE, host->tss);
	vmwrite(F_HOST_TR, host->tr);
}

/*
 * Two of each: the second GDT has another limit of the first TSS, the second IDT leads INT F0H to the handler
 * of F1H, the second TSS has another stack.
 */
static void prepare(void)
{
	struct cpu *cpu = this_cpu();
	u64 *gdt = page_alloc(), *idt = page_alloc(), *tss = page_alloc();

	vm_create(&vm_a, VM_64, 0, k_vmcall);
	host_a = (struct host){ addr_of(cpu->gdt), vmread(F_HOST_IDTR_BASE), addr_of(&cpu->tss), SEL_TSS };
	host_b = (struct host){ addr_of(gdt), addr_of(idt), addr_of(tss), SEL_TSS2 };
	memcpy(tss, &cpu->tss, sizeof(cpu->tss));
	top_a = (u64 *)ptr_of(cpu->tss.rsp[0]) - 1;
	top_b = (u64 *)page_alloc() + PAGE_SIZE / 8 - 1;
	*(u64 *)(void *)((u8 *)tss + 4) = addr_of(top_b + 1);
	add_descriptors(cpu->gdt, addr_of(tss));
	memcpy(gdt, cpu->gdt, sizeof(cpu->gdt));
	gdt[SEL_TSS / 8]++;
	memcpy(idt, ptr_of(host_a.idt), PAGE_SIZE);
	memcpy(&idt[0xf0 * 2], &idt[0xf1 * 2], 16);
	((u8 *)&idt[0xf0 * 2])[5] |= 0x60;
	run(&vm_a, LONGEST);
}

static void clean_up(void)
{
	struct cpu *cpu = this_cpu();

	run(&vm_a, 1);
	memset(&cpu->gdt[SEL_LDT / 8], 0, 32);
	CHECK(cpu->gdt_register.base == addr_of(cpu->gdt));
}

/* ---- what is there, seen by instructions that no control makes exit ---- */

static u32 limit_of_tss(void)
{
	u32 limit;

	asm volatile("lsl %1, %0" : "=r"(limit) : "r"((u32)SEL_TSS));
	return limit;
}

GUEST_CODE(k_int, 64, "int $0xf0");

static u32 vector_of_int(void)
{
	struct exec e;

	exec_init(&e, addr_of(k_int));
	*top_a = *top_b = STACK_MARK;
	exec_user(&e);
	exec_run(&e);
	return e.out.vector;
}

static bool unseen_is(const struct host *host)
{
	bool b = host->idt == host_b.idt, tss_b = host->tss == host_b.tss;
	u32 gdt_limit = sizeof(this_cpu()->tss) - 1 + (host->gdt == host_b.gdt);

	return limit_of_tss() == gdt_limit && vector_of_int() == (b ? 0xf1 : 0xf0) &&
	       *(tss_b ? top_b : top_a) == SEL_USER_DATA && *(tss_b ? top_a : top_b) == STACK_MARK;
}

/* ---- and by those that may ---- */

struct seen {
	struct table_register gdt, idt;
	u16 ldt, tr;
};

static struct seen look(void)
{
	struct seen s;

	gdt_read(&s.gdt);
	idt_read(&s.idt);
	asm volatile("sldt %0" : "=m"(s.ldt));
	asm volatile("str %0" : "=m"(s.tr));
	return s;
}

static bool seen_is(const struct host *host)
{
	struct seen s = look();

	return s.gdt.base == host->gdt && s.gdt.limit == 0xffff && s.idt.base == host->idt &&
	       s.idt.limit == 0xffff && !s.ldt && s.tr == host->tr;
}

static void let_user_run(const u8 *code)
{
	struct exec e;

	exec_init(&e, 0);
	*paging_entry(cr3_read(), addr_of(code), 1) |= PTE_U;
	*paging_entry(cr3_read(), e.regs.rsp - 8, 1) |= PTE_U;
	cr3_write(cr3_read());
}

/* ---- each instruction, once L1 has left its tables alone for long ---- */

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
	add_descriptors(this_cpu()->gdt, host_b.tss);
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
	s = look();
	result("%s %s %s +%lx flags=%lx dr6=%lx rdx=%lx stored=%lx,%lx", rows[row].name, way_names[way],
	       fault_name(&e.out, buf), e.out.frame.rip - addr_of(code), e.out.frame.rflags, dr6_read(),
	       e.out.frame.regs.rdx, *(u64 *)(void *)operand.stored, *(u64 *)(void *)(operand.stored + 8));
	result("%s %s gdt=%x idt=%x ldt=%x tr=%x", rows[row].name, way_names[way], s.gdt.limit, s.idt.limit,
	       s.ldt, s.tr);
	run(&vm_a, CALM);
	CHECK(unseen_is(&host_a));
	if (row & 1) {
		CHECK(seen_is(&host_a));
		run(&vm_a, CALM);
	}
}

TEST_VMX(own_tables)
{
	u64 cr4 = cr4_read();

	prepare();
	let_user_run(k_vmcall);
	let_user_run(k_int);
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
			run(&vm_a, CALM);
			one(row, way, watch);
		}
	}
	cr4_write(cr4);
	vmwrite(F_HOST_CR4, cr4);
	clean_up();
}

/* ---- two sets of tables ---- */

TEST_VMX(two_tables)
{
	prepare();
	let_user_run(k_int);
	vm_create(&vm_b, VM_64, 0, k_vmcall);
	write_host(&vm_b, &host_b);
	vm_create(&vm_c, VM_64, VM_EPT, k_vmcall);
	for (u32 n = 0; n < 48; n++) {
		struct vm *const vms[] = { &vm_a, &vm_c, &vm_b };

		run(vms[n % 3], 1 + n % 5);
		CHECK(unseen_is(n % 3 == 2 ? &host_b : &host_a));
	}
	run(&vm_b, CALM);
	CHECK(seen_is(&host_b));
	run(&vm_a, CALM);
	CHECK(seen_is(&host_a));
	/* One field at a time of one VMCS, there and back. */
	run(&vm_a, CALM);
	for (u32 n = 0; n < 16; n++) {
		struct host mixed = host_a;
		u32 field = n / 2 % 4;

		if (!(n & 1)) {
			mixed.gdt = field == 0 ? host_b.gdt : mixed.gdt;
			mixed.idt = field == 1 ? host_b.idt : mixed.idt;
			mixed.tss = field == 2 ? host_b.tss : mixed.tss;
			mixed.tr = field == 3 ? host_b.tr : mixed.tr;
		}
		write_host(&vm_a, &mixed);
		run(&vm_a, 1 + n % 3);
		CHECK(unseen_is(&mixed));
		if (n >= 8)
			CHECK(seen_is(&mixed));
		run(&vm_a, CALM);
		CHECK(unseen_is(&mixed));
	}
	clean_up();
}

/* ---- at random ---- */

static void change_something(u64 random)
{
	struct seen s = look();

	switch (random % 6) {
	case 0:
		s.gdt.limit = SEL_COUNT * 8 - 1;
		gdt_load(&s.gdt);
		break;
	case 1:
		s.idt.limit = 0xffe;
		idt_load(&s.idt);
		break;
	case 2: asm volatile("lldt %w0" : : "r"(SEL_LDT)); break;
	case 3:
		/* both GDTs have it */
		add_descriptors(ptr_of(host_a.gdt), host_b.tss);
		add_descriptors(ptr_of(host_b.gdt), host_b.tss);
		tr_load(SEL_TSS2);
		break;
	case 4:
		s.gdt.base = host_b.gdt;
		gdt_load(&s.gdt);
		break;
	default:
		s.idt.base = host_b.idt;
		idt_load(&s.idt);
		break;
	}
}

static void forget(struct vm *vm)
{
	CHECK(vmclear(vm->vmcs) == VMX_OK);
	this_cpu()->vm = NULL;
	vm->launched = false;
}

/* VMCSs that are used anew, VMX operation too, an entry that fails late, one that fails early. */
static void disturb(struct vm *vm, u64 random)
{
	vm_current(vm);
	switch (random % 4) {
	case 0: forget(vm); break;
	case 1:
		vmwrite(F_GUEST_RFLAGS, 0);
		CHECK(vm_run(vm) == (REASON_FAILED_ENTRY | REASON_BAD_STATE));
		vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED);
		break;
	case 2:
		vmwrite(F_HOST_CS, 0);
		CHECK(vm_run(vm) == (VM_FAIL | 8));
		vmwrite(F_HOST_CS, SEL_CODE64);
		break;
	default:
		forget(&vm_a);
		forget(&vm_b);
		forget(&vm_c);
		vmx_disable();
		vmx_enable();
		break;
	}
}

TEST_VMX(tables_at_random)
{
	struct vm *const vms[] = { &vm_a, &vm_b, &vm_c };
	const struct host *hosts[] = { &host_a, &host_b, &host_a };
	u64 state = option_number("seed", 1);
	u32 wrong = 0, changes = 0;

	prepare();
	let_user_run(k_int);
	vm_create(&vm_b, VM_64, 0, k_vmcall);
	write_host(&vm_b, &host_b);
	vm_create(&vm_c, VM_64, VM_EPT, k_vmcall);
	for (u32 n = 0; n < 300; n++) {
		u64 random = random_next(&state);
		u32 which = (u32)(random >> 8) % 3;

		if (random & 1) {
			change_something(random >> 16);
			changes++;
		}
		if (!(random >> 32 & 7))
			disturb(vms[which], random >> 40);
		run(vms[which], 1 + (random >> 48) % CALM);
		wrong += !unseen_is(hosts[which]);
		if (!(random >> 56 & 3))
			wrong += !seen_is(hosts[which]);
	}
	result("changes=%u wrong=%u", changes, wrong);
	CHECK(!wrong);
	clean_up();
}
