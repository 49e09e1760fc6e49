/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": GDTR, IDTR, LDTR and TR of L1 itself between exits of its L2's: VMCSs with different
 * host values in turn, and changes at random (exits_tables_insn.c has each instruction). A hypervisor below
 * may have found out that L1 leaves them alone, and must notice when it no longer does: so L2 runs often
 * before each change, and what says which tables there are is mostly an instruction that it cannot see (LSL,
 * INT, a stack of the TSS). SDM: "Loading Host Segment and Descriptor-Table Registers".
 */
#include "tests/guest/exits_tables.h"

GUEST_CODE(k_vmcall, 64, "vmcall; hlt");
GUEST_CODE(k_int, 64, "int $0xf0");

enum {
	LONGEST = 1100, /* exits after which the longest waiting is over */
	STACK_MARK = 0x5151,
};

struct vm vm_a;
struct host host_a, host_b;
static struct vm vm_b, vm_c;
static u64 *top_a, *top_b; /* of the stacks for ring 0, where a trap of ring 3 pushes SS */

void run_rounds(struct vm *vm, u32 rounds)
{
	while (rounds--)
		CHECK(vm_run(vm) == REASON_VMCALL);
}

static u64 tss_descriptor(u64 base, u64 limit)
{
	return limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
}

void tables_add_descriptors(u64 *gdt, u64 tss)
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

void let_user_run(const u8 *code)
{
	struct exec e;

	exec_init(&e, 0);
	*paging_entry(cr3_read(), addr_of(code), 1) |= PTE_U;
	*paging_entry(cr3_read(), e.regs.rsp - 8, 1) |= PTE_U;
	cr3_write(cr3_read());
}

/*
 * Two of each: the second GDT has another limit of the first TSS, the second IDT leads INT F0H to the handler
 * of F1H, the second TSS has another stack.
 */
void tables_prepare(void)
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
	tables_add_descriptors(cpu->gdt, addr_of(tss));
	memcpy(gdt, cpu->gdt, sizeof(cpu->gdt));
	gdt[SEL_TSS / 8]++;
	memcpy(idt, ptr_of(host_a.idt), PAGE_SIZE);
	memcpy(&idt[0xf0 * 2], &idt[0xf1 * 2], 16);
	((u8 *)&idt[0xf0 * 2])[5] |= 0x60;
	let_user_run(k_int);
	run_rounds(&vm_a, LONGEST);
}

void tables_clean_up(void)
{
	struct cpu *cpu = this_cpu();

	run_rounds(&vm_a, 1);
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

static u32 vector_of_int(void)
{
	struct exec e;

	exec_init(&e, addr_of(k_int));
	*top_a = *top_b = STACK_MARK;
	exec_user(&e);
	exec_run(&e);
	return e.out.vector;
}

bool tables_unseen_are(const struct host *host)
{
	bool b = host->idt == host_b.idt, tss_b = host->tss == host_b.tss;
	u32 gdt_limit = sizeof(this_cpu()->tss) - 1 + (host->gdt == host_b.gdt);

	return limit_of_tss() == gdt_limit && vector_of_int() == (b ? 0xf1 : 0xf0) &&
	       *(tss_b ? top_b : top_a) == SEL_USER_DATA && *(tss_b ? top_a : top_b) == STACK_MARK;
}

/* ---- and by those that may ---- */

struct seen tables_look(void)
{
	struct seen s;

	gdt_read(&s.gdt);
	idt_read(&s.idt);
	asm volatile("sldt %0" : "=m"(s.ldt));
	asm volatile("str %0" : "=m"(s.tr));
	return s;
}

bool tables_seen_are(const struct host *host)
{
	struct seen s = tables_look();

	return s.gdt.base == host->gdt && s.gdt.limit == 0xffff && s.idt.base == host->idt &&
	       s.idt.limit == 0xffff && !s.ldt && s.tr == host->tr;
}

/* ---- two sets of tables ---- */

TEST_VMX(two_tables)
{
	tables_prepare();
	vm_create(&vm_b, VM_64, 0, k_vmcall);
	write_host(&vm_b, &host_b);
	vm_create(&vm_c, VM_64, VM_EPT, k_vmcall);
	for (u32 n = 0; n < 48; n++) {
		struct vm *const vms[] = { &vm_a, &vm_c, &vm_b };

		run_rounds(vms[n % 3], 1 + n % 5);
		CHECK(tables_unseen_are(n % 3 == 2 ? &host_b : &host_a));
	}
	run_rounds(&vm_b, CALM);
	CHECK(tables_seen_are(&host_b));
	run_rounds(&vm_a, CALM);
	CHECK(tables_seen_are(&host_a));
	/* One field at a time of one VMCS, there and back. */
	run_rounds(&vm_a, CALM);
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
		run_rounds(&vm_a, 1 + n % 3);
		CHECK(tables_unseen_are(&mixed));
		if (n >= 8)
			CHECK(tables_seen_are(&mixed));
		run_rounds(&vm_a, CALM);
		CHECK(tables_unseen_are(&mixed));
	}
	tables_clean_up();
}

/* ---- at random ---- */

static void change_something(u64 random)
{
	struct seen s = tables_look();

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
		tables_add_descriptors(ptr_of(host_a.gdt), host_b.tss);
		tables_add_descriptors(ptr_of(host_b.gdt), host_b.tss);
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

	tables_prepare();
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
		run_rounds(vms[which], 1 + (random >> 48) % CALM);
		wrong += !tables_unseen_are(hosts[which]);
		if (!(random >> 56 & 3))
			wrong += !tables_seen_are(hosts[which]);
	}
	result("changes=%u wrong=%u", changes, wrong);
	CHECK(!wrong);
	tables_clean_up();
}
