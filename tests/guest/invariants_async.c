/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants", the first, with what comes from outside: another CPU sends interrupts, NMIs and
 * INITs while L2 changes its PDPTEs in memory and loads them again and again. Wherever the exit falls, the
 * VMCS must show the PDPTEs of the last load.
 */
#include "tests/guest/invariants.h"

enum { MESSAGES = 25 };

/*
 * EBX changes the table's address in the fourth PDPTE (at ESI) from one mark's to the other's, EDI is the
 * mark that must be there after the load. Not every load flushes the TLB: INVLPG.
 */
#define ENDLESS(name, load)                                                                                  \
	GUEST_CODE(name, 32,                                                                                 \
		   "1: xor %ebx, (%esi); " load                                                              \
		   "; xor $0x11113333, %edi; invlpg 0xc0000000; movl 0xc0000000, %ecx; cmp %edi, %ecx; "     \
		   "je 1b; vmcall")

ENDLESS(a_cr3, "mov %cr3, %eax; mov %eax, %cr3");
ENDLESS(a_cd, "mov %cr0, %eax; xor $0x40000000, %eax; mov %eax, %cr0");
ENDLESS(a_pge, "mov %cr4, %eax; xor $0x80, %eax; mov %eax, %cr4");
ENDLESS(a_pse, "mov %cr4, %eax; xor $0x10, %eax; mov %eax, %cr4");
ENDLESS(a_smep, "mov %cr4, %eax; xor $0x100000, %eax; mov %eax, %cr4");

static const struct {
	const char *name;
	const u8 *code;
} loops[] = { { "cr3", a_cr3 }, { "cd", a_cd }, { "pge", a_pge }, { "pse", a_pse }, { "smep", a_smep } };

static u32 target, message;
static volatile u32 sent, seen;

static void sender(void *arg)
{
	u32 i;

	(void)arg;
	for (i = 0; i < MESSAGES; i++) {
		u64 end = rdtsc() + 50000000;

		while (seen < sent && rdtsc() < end)
			cpu_pause();
		delay(3000 + i * 41);
		sent = i + 1;
		apic_ipi(target, message | ICR_ASSERT);
	}
}

static u32 irqs_and_nmis(void)
{
	return this_cpu()->irq_count[IRQ] + this_cpu()->nmi_count;
}

/* True: the instruction that loads, MOV to a control register, lies between the change and `pc`. */
static bool since_load(const u8 *code, u64 pc)
{
	u64 load = 2;

	while (code[load] != 0x0f || code[load + 1] != 0x22)
		load++;
	return pc < 2 || pc > load;
}

/* The exit that the message makes; L1 may have had it itself while L2 did not run. */
static bool is_message(u32 reason)
{
	switch (message) {
	case ICR_INIT: return reason == REASON_INIT;
	case ICR_NMI:
		return reason == REASON_EXCEPTION &&
		       (u32)vmread(F_EXIT_INTR_INFO) == (INTR_VALID | INTR_NMI | 2);
	default: return reason == REASON_EXTINT;
	}
}

static void one(u32 i, const char *name, u32 what)
{
	u32 before = irqs_and_nmis(), exits = 0, wrong = 0, strange = 0;
	struct pae_tables t;
	struct vm vm;

	pae_make(&t);
	pae_guest(&vm, &t, VM_EPT, loops[i].code);
	vmset(F_PIN, PIN_EXTINT | PIN_NMI | (caps_pin(PIN_VNMI) ? PIN_VNMI : 0));
	vmset(F_EXIT, EXIT_ACK);
	vm.regs.rbx = addr_of(t.pd_a) ^ addr_of(t.pd_b);
	vm.regs.rsi = addr_of(&t.pdpt[3]);
	vm.regs.rdi = MARK_A;
	target = this_cpu()->apic_id;
	message = what;
	sent = seen = 0;
	smp_call(1, sender, NULL);
	while (seen < MESSAGES && !strange) {
		u32 reason = vm_run(&vm);
		bool loaded = since_load(loops[i].code, vm_pc(&vm));

		wrong += (vmread(F_GUEST_PDPTE3) == t.pdpt[3]) != loaded;
		if (!is_message(reason)) {
			vm_report(&vm, reason, "unexpected");
			strange++;
			break;
		}
		exits++;
		if (what == IRQ)
			apic_eoi();
		if (what == ICR_NMI)
			nmi_unblock();
		seen = exits + irqs_and_nmis() - before;
	}
	seen = MESSAGES;
	CHECK(smp_wait(1, 50000000));
	result("%s %s wrong=%u strange=%u", loops[i].name, name, wrong, strange);
	info("%s %s exits=%u", loops[i].name, name, exits);
	CHECK(!wrong && !strange);
}

TEST_VMX(pdpte_update_async)
{
	u32 i;

	NEED(caps_proc2(PROC2_EPT) && smp_start() > 1);
	for (i = 0; i < ARRAY_SIZE(loops); i++) {
		u64 mark = page_mark();

		if (loops[i].code == a_smep && !(cpuid(0, 0).eax >= 7 && cpuid(7, 0).ebx & BIT(7)))
			continue;
		one(i, "interrupt", IRQ);
		one(i, "nmi", ICR_NMI);
		one(i, "init", ICR_INIT);
		page_release(mark);
	}
}
