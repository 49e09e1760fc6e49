/* SPDX-License-Identifier: MIT */
/*
 * Guest test "monitored": L1s and L2s that loop with interrupts off for a known number of instructions, so
 * that Socle's monitor has something to look at (tests/system/test_monitor.py); timers of L1's that the
 * monitor's own must not disturb; and an L1 that speaks and listens at the port that the monitor shares.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/trap.h"
#include "tests/guest/lib/vmx.h"

/* RCX rounds of two instructions. */
GUEST_CODE(code_count_down, 64, "cli; movabs $0x1122334455667788, %r8; 1: dec %rcx; jnz 1b; vmcall");

#define ROUNDS 40000000ull

/* Without an exit, for about two seconds of the emulator's time. */
TEST_VMX(l2_loops)
{
	struct vm vm;

	vm_create(&vm, VM_64, caps_proc2(PROC2_EPT) ? VM_EPT : 0, code_count_down);
	vm.regs.rcx = ROUNDS;
	info("l2_loops begins");
	CHECK(vm_run(&vm) == REASON_VMCALL);
	result("rcx=%lx r8=%lx", vm.regs.rcx, vm.regs.r8);
}

TEST(l1_loops)
{
	u64 rounds = ROUNDS, value = 0x8877665544332211;

	info("l1_loops begins");
	asm volatile("mov %2, %%r9; 1: dec %0; jnz 1b; mov %%r9, %1"
		     : "+r"(rounds), "=r"(value)
		     : "r"(value)
		     : "r9", "cc");
	result("rounds=%lx value=%lx", rounds, value);
}

/*
 * L1's timer is longer than any of L0's: L2 ends by it, its value then is 0, and the time that has passed is
 * L1's. Saved at another exit, the value has gone down by what has passed.
 */
TEST_VMX(l1_timer)
{
	u32 shift = caps.misc & 31, ticks = 30000000u >> shift;
	struct vm vm;
	u64 start, passed;

	NEED(caps_pin(PIN_TIMER) && caps_exit(EXIT_SAVE_TIMER));
	vm_create(&vm, VM_64, 0, code_count_down);
	vmset(F_PIN, PIN_TIMER);
	vmset(F_EXIT, EXIT_SAVE_TIMER);
	vmwrite(F_GUEST_TIMER, ticks);
	vm.regs.rcx = ROUNDS;
	start = rdtsc();
	CHECK(vm_run(&vm) == REASON_TIMER);
	passed = rdtsc() - start;
	CHECK(vmread(F_GUEST_TIMER) == 0);
	result("early=%d", passed + (1u << shift) < (u64)ticks << shift);
	vm.regs.rcx = ROUNDS / 8;
	vmwrite(F_GUEST_TIMER, ticks);
	CHECK(vm_run(&vm) == REASON_VMCALL);
	passed = ticks - vmread(F_GUEST_TIMER);
	result("saved=%d", passed > (ROUNDS / 5) >> shift && passed < (ROUNDS / 3) >> shift);
}

/* ---- several CPUs ---- */

static volatile u64 other_rounds;

static void count_down(void *rounds)
{
	u64 left = *(u64 *)rounds;

	asm volatile("cli; 1: dec %0; jnz 1b" : "+r"(left) : : "cc");
	other_rounds = *(u64 *)rounds - left;
}

/* L2 on this CPU, L1 on the other, both without an exit. */
TEST_VMX(both_loop)
{
	u64 rounds = ROUNDS;
	struct vm vm;

	NEED(smp_start() > 1);
	vm_create(&vm, VM_64, caps_proc2(PROC2_EPT) ? VM_EPT : 0, code_count_down);
	vm.regs.rcx = ROUNDS;
	info("both_loop begins");
	smp_call(1, count_down, &rounds);
	CHECK(vm_run(&vm) == REASON_VMCALL);
	CHECK(smp_wait(1, ~0ull >> 1));
	result("l2 rcx=%lx r8=%lx l1 rounds=%lx", vm.regs.rcx, vm.regs.r8, other_rounds);
}

/*
 * The other CPU is started anew again and again. Whoever stops the machine on its way makes it late, and then
 * it is started once more.
 */
TEST(l1_restarts_a_cpu)
{
	u64 rounds = ROUNDS, few = 100;
	u32 times, tries;

	NEED(smp_start() > 1);
	info("l1_restarts_a_cpu begins");
	asm volatile("1: dec %0; jnz 1b" : "+r"(rounds) : : "cc");
	for (times = 0; times < 3; times++) {
		for (tries = 0; !smp_revive(1, true) && tries < 1000; tries++)
			;
		other_rounds = 0;
		smp_call(1, count_down, &few);
		CHECK(smp_wait(1, ~0ull >> 1));
		result("other rounds=%lu", other_rounds);
	}
}

/*
 * INIT, SIPI, SIPI, as an operating system sends them: to the other CPU, while that may stand still. The
 * monitor knows by `sent` how far it is.
 */
static volatile u32 sent;
static volatile bool in_vmx, leave_vmx;

static void send_three(u32 to, u32 shorthand)
{
	apic_ipi(to, ICR_INIT | ICR_ASSERT | shorthand);
	sent = 1;
	delay(1000);
	apic_ipi(to, ICR_SIPI | ICR_ASSERT | shorthand | SMP_PAGE);
	sent = 2;
	delay(1000);
	apic_ipi(to, ICR_SIPI | ICR_ASSERT | shorthand | SMP_PAGE);
	sent = 3;
}

/* Not by time, which a machine that stands still has as well. */
static bool comes_up(u32 cpu)
{
	for (u32 i = 0; i < 1000000 && !smp_has_started(cpu); i++)
		cpu_pause();
	return smp_has_started(cpu);
}

/* Ends with an OUT, at which the monitor stops the machine. */
static void await_monitor(const char *name)
{
	u64 rounds = ROUNDS / 4;

	info("%s begins", name);
	asm volatile("1: dec %0; jnz 1b" : "+r"(rounds) : : "cc");
	io_out8(0x80, 0);
}

static void start_the_other(const char *name, u32 shorthand)
{
	smp_prepare(1);
	await_monitor(name);
	sent = 0;
	send_three(cpus[1].apic_id, shorthand);
	result("started=%u", comes_up(1));
}

TEST(l1_starts_a_cpu)
{
	NEED(smp_start() > 1);
	start_the_other("l1_starts_a_cpu", 0);
}

TEST(l1_starts_all_others)
{
	NEED(smp_start() > 1);
	start_the_other("l1_starts_all_others", ICR_OTHERS);
}

static void to_x2apic(void *unused)
{
	(void)unused;
	msr_write(MSR_APIC_BASE, msr_read(MSR_APIC_BASE) | BIT(10));
	apic_enable();
}

/* The last one, for there is no way back. */
TEST(l1_starts_a_cpu_x2apic)
{
	NEED(smp_start() > 1);
	smp_call(1, to_x2apic, NULL);
	CHECK(smp_wait(1, ~0ull >> 1));
	to_x2apic(NULL);
	start_the_other("l1_starts_a_cpu_x2apic", 0);
	start_the_other("once more", ICR_OTHERS);
}

/* ICR's low word, whose store is the first instruction: SIPIs that come without any delay. */
void send_now(volatile u32 *icr, u32 value);
asm(".text; send_now: movl %esi, (%rdi); ret");

static void be_in_vmx(void *unused)
{
	(void)unused;
	vmx_enable();
	in_vmx = true;
	while (!leave_vmx)
		cpu_pause();
	asm volatile("leave_now: vmxoff");
	for (;;)
		cpu_pause();
}

/* In VMX root operation the INIT waits for VMXOFF, and SIPIs are lost. */
TEST(l1_starts_a_cpu_in_vmx)
{
	NEED(smp_start() > 1);
	in_vmx = leave_vmx = false;
	smp_call(1, be_in_vmx, NULL);
	while (!in_vmx)
		cpu_pause();
	start_the_other("l1_starts_a_cpu_in_vmx", 0);
	await_monitor("its end");
	apic_write(0x310, cpus[1].apic_id << 24);
	leave_vmx = true;
	delay(100000);
	send_now((volatile u32 *)0xfee00300, ICR_SIPI | ICR_ASSERT | SMP_PAGE);
	result("started=%u", comes_up(1));
}

static void out_80(void *unused)
{
	(void)unused;
	io_out8(0x80, 0);
}

/* As fast as an operating system does, again and again: whoever stops the machine meanwhile, each is a start.
 */
TEST(l1_restarts_for_long)
{
	u32 good = 0;

	NEED(smp_start() > 1);
	info("l1_restarts_for_long begins");
	for (u32 i = 0; i < option_number("rounds", 3000); i++) {
		smp_prepare(1);
		apic_ipi(cpus[1].apic_id, ICR_INIT | ICR_ASSERT);
		apic_ipi(cpus[1].apic_id, ICR_SIPI | ICR_ASSERT | SMP_PAGE);
		delay(option_number("soon", 20000));
		apic_ipi(cpus[1].apic_id, ICR_SIPI | ICR_ASSERT | SMP_PAGE);
		good += comes_up(1);
		/* at which the monitor may stop the machine, on that CPU */
		smp_call(1, out_80, NULL);
		delay(i * 37 % 4000);
	}
	result("good=%u", good);
}

/* With nmi=monitor it stops the machine, and L1 does not see it. */
TEST(l1_has_an_nmi)
{
	u32 before = this_cpu()->nmi_count;

	apic_enable();
	info("l1_has_an_nmi begins");
	apic_ipi(this_cpu()->apic_id, ICR_NMI);
	delay(1000000);
	result("nmis=%u", this_cpu()->nmi_count - before);
}

/* ---- the port ---- */

enum { COM1 = 0x3f8, IRQ = 0x64, IO_APIC = 0xfec00000, HEARD_MAX = 100 };

static struct {
	char text[HEARD_MAX + 1];
	volatile u32 count, interrupts, nothing; /* interrupts that told of nothing */
} heard;

static bool is_over(void)
{
	return heard.count == HEARD_MAX || (heard.count && heard.text[heard.count - 1] == '.');
}

static void hear(void)
{
	while (!is_over() && (io_in8(COM1 + 5) & 1))
		heard.text[heard.count++] = (char)io_in8(COM1);
}

/* Lines that Socle's must not cut, with a pause between the halves. */
TEST(l1_talks)
{
	info("l1_talks begins");
	for (u32 i = 0; i < 40; i++) {
		result("line %u of those that nobody cuts, whatever the monitor says meanwhile", i);
		delay(300000);
	}
}

/* What is typed, until a full stop. */
TEST(l1_polls)
{
	memset(&heard, 0, sizeof(heard));
	info("l1_polls begins");
	while (!is_over())
		hear();
	result("heard '%s'", heard.text);
}

static bool receive(struct trap_frame *frame)
{
	u32 before = heard.count;

	(void)frame;
	heard.interrupts++;
	while (!(io_in8(COM1 + 2) & 1))
		hear();
	heard.nothing += heard.count == before;
	apic_eoi();
	return true;
}

static void route_com1(u32 low)
{
	volatile u32 *select = (volatile u32 *)IO_APIC, *window = select + 4;

	*select = 0x10 + 2 * 4 + 1;
	*window = this_cpu()->apic_id << 24;
	*select = 0x10 + 2 * 4;
	*window = low;
}

/* The same by the UART's interrupt, in HLT between them: one that is lost would be missed for ever. */
TEST(l1_is_interrupted)
{
	memset(&heard, 0, sizeof(heard));
	apic_enable();
	trap_hook(IRQ, receive);
	route_com1(IRQ);
	io_out8(COM1 + 4, 0x0b);
	io_out8(COM1 + 1, 1);
	info("l1_is_interrupted begins");
	while (!is_over())
		asm volatile("sti; hlt; cli" : : : "memory");
	io_out8(COM1 + 1, 0);
	route_com1(BIT(16));
	trap_hook(IRQ, NULL);
	info("%u interrupts, %u of them for nothing", heard.interrupts, heard.nothing);
	result("heard '%s'", heard.text);
}
