/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits", part 5: what another CPU sends while L2 runs or halts here: interrupts and NMIs,
 * exiting or not, many in a row, none lost and none doubled. SDM: "VM Exits", "Interrupts and NMIs".
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum { IRQ = 0x61, MANY = 50 };

GUEST_CODE(m_loop, 64, "1: pause; jmp 1b");
GUEST_CODE(m_hlt, 64, "1: hlt; jmp 1b");
GUEST_CODE(m_sti_hlt, 64, "1: sti; hlt; jmp 1b");
GUEST_CODE(m_exits, 64, "1: cpuid; pause; jmp 1b");

static u32 target, icr, count;
static volatile u32 sent;
static volatile bool go_on;

/* SDM "MP Initialization Protocol": a CPU that runs, halts or waits starts anew; its SIPIs come soon after
 * its INIT. */
enum { SOON = 500 };

static void halt_here(void *arg)
{
	(void)arg;
	cpu_cli();
	for (;;)
		asm volatile("hlt");
}

TEST(restart)
{
	u32 round, good = 0, last = smp_start() - 1;

	NEED(last);
	for (round = 0; round < 6; round++) {
		if (round & 1)
			smp_call(last, halt_here, NULL);
		delay(2000 + round * 111);
		cpus[last].mailbox = NULL;
		good += smp_restart(option_number("soon", SOON));
	}
	result("rounds=%u good=%u", round, good);
}

/* On the other CPU: `count` messages, each after the last one has been seen. */
static void sender(void *arg)
{
	u32 i;

	(void)arg;
	for (i = 0; i < count; i++) {
		u64 end = rdtsc() + 2000000;

		while (!go_on && rdtsc() < end)
			cpu_pause();
		go_on = false;
		delay(1000 + i * 37);
		apic_ipi(target, icr | ICR_ASSERT);
		sent = i + 1;
	}
}

static void start_sender(u32 what, u32 how_many)
{
	target = this_cpu()->apic_id;
	icr = what;
	count = how_many;
	sent = 0;
	go_on = false;
	smp_call(1, sender, NULL);
}

static void one(const char *name, const u8 *code, u32 what, u64 pin, u64 exit, u64 flags)
{
	struct vm vm;
	u32 reason, rounds = 0;
	u32 nmis = this_cpu()->nmi_count, irqs = this_cpu()->irq_count[IRQ];

	vm_create(&vm, VM_64, 0, code);
	vmset(F_PIN, pin);
	vmset(F_EXIT, exit);
	vmset(F_GUEST_RFLAGS, flags);
	start_sender(what, 1);
	go_on = true;
	do {
		reason = vm_run(&vm);
		if (reason == REASON_CPUID)
			vm_skip(&vm);
	} while (reason == REASON_CPUID && rounds++ < 100000);
	result("%s exit=%u intr=%lx handler=%u", name, reason,
	       vmread(F_EXIT_INTR_INFO) & INTR_VALID ? vmread(F_EXIT_INTR_INFO) : 0, vm_vector(&vm));
	if (exit & EXIT_ACK || vm_vector(&vm) == IRQ)
		apic_eoi();
	CHECK(smp_wait(1, 5000000));
	cpu_sti();
	delay(200);
	cpu_cli();
	/* an NMI that exited has blocked NMIs for L1: an IRET as its handler would do */
	asm volatile("mov %%rsp, %%rax; push %0; push %%rax; pushfq; push %1; lea 1f(%%rip), %%rax; push "
		     "%%rax; iretq; 1:"
		     :
		     : "r"((u64)SEL_DATA), "r"((u64)SEL_CODE64)
		     : "rax", "memory");
	result("%s l1 nmis=%u irqs=%u", name, this_cpu()->nmi_count - nmis,
	       this_cpu()->irq_count[IRQ] - irqs);
}

TEST_VMX(messages)
{
	NEED(smp_start() > 1);
	one("irq", m_loop, IRQ, PIN_EXTINT, 0, 0);
	one("irq_ack", m_loop, IRQ, PIN_EXTINT, EXIT_ACK, RFLAGS_IF);
	one("irq_delivered", m_loop, IRQ, 0, 0, RFLAGS_IF);
	one("irq_hlt", m_hlt, IRQ, PIN_EXTINT, EXIT_ACK, 0);
	one("irq_hlt_delivered", m_sti_hlt, IRQ, 0, 0, 0);
	one("irq_exits", m_exits, IRQ, PIN_EXTINT, EXIT_ACK, RFLAGS_IF);
	one("nmi", m_loop, ICR_NMI, PIN_NMI, 0, 0);
	one("nmi_delivered", m_loop, ICR_NMI, 0, 0, 0);
	one("nmi_hlt", m_hlt, ICR_NMI, PIN_NMI, 0, 0);
	one("nmi_hlt_delivered", m_hlt, ICR_NMI, 0, 0, 0);
	if (caps_pin(PIN_VNMI))
		one("nmi_virtual", m_loop, ICR_NMI, PIN_NMI | PIN_VNMI, 0, 0);
}

/* NMIs to L1 itself, in the middle of VMX instructions and entries; each arrives once. */
TEST_VMX(nmis_to_l1)
{
	struct vm vm;
	u32 before = this_cpu()->nmi_count, turns = 0;

	NEED(smp_start() > 1);
	vm_create(&vm, VM_64, 0, m_exits);
	vmset(F_PIN, 0);
	start_sender(ICR_NMI, MANY);
	go_on = true;
	while (sent < MANY && turns < 1000000) {
		u32 now = this_cpu()->nmi_count;

		vmwrite(F_GUEST_FS_BASE, turns);
		CHECK(vmread(F_GUEST_FS_BASE) == turns);
		vm_current(&vm);
		turns++;
		if (now - before >= sent)
			go_on = true;
	}
	delay(20000);
	CHECK(smp_wait(1, 5000000));
	result("sent=%u got=%u", sent, this_cpu()->nmi_count - before);
	CHECK(this_cpu()->nmi_count - before == MANY);
}

/* NMIs while L2s run with NMI exiting: each is an exit of L2's or L1's own, none is lost. */
TEST_VMX(nmis_while_running)
{
	struct vm vm;
	u32 before = this_cpu()->nmi_count, exits = 0, turns = 0;

	NEED(smp_start() > 1);
	vm_create(&vm, VM_64, 0, m_exits);
	vmset(F_PIN, PIN_NMI);
	start_sender(ICR_NMI, MANY);
	go_on = true;
	while (turns++ < 1000000) {
		u32 reason = vm_run(&vm);

		if (reason == REASON_CPUID) {
			vm_skip(&vm);
		} else if (reason == REASON_EXCEPTION &&
			   (u32)vmread(F_EXIT_INTR_INFO) == (INTR_VALID | INTR_NMI | 2)) {
			exits++;
			asm volatile("mov %%rsp, %%rax; push %0; push %%rax; pushfq; push %1; lea 1f(%%rip), "
				     "%%rax; push %%rax; "
				     "iretq; 1:"
				     :
				     : "r"((u64)SEL_DATA), "r"((u64)SEL_CODE64)
				     : "rax", "memory");
		} else {
			vm_report(&vm, reason, "unexpected");
			test_failed();
			break;
		}
		if (this_cpu()->nmi_count - before + exits >= sent)
			go_on = true;
		if (sent == MANY && this_cpu()->nmi_count - before + exits >= MANY)
			break;
	}
	CHECK(smp_wait(1, 5000000));
	result("sent=%u got=%u", sent, this_cpu()->nmi_count - before + exits);
	info("exits=%u", exits);
}
