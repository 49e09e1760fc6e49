/* SPDX-License-Identifier: MIT */
/*
 * Guest test "init": INIT and SIPI on the other CPUs, which are L1s: held in VMX root operation, released by
 * a VM entry or VMXOFF, in order with what else an entry brings; L2s on all of them at once; and VMX aborts,
 * after which a CPU is gone. SDM: "VM Entries" (event injection, activity state), "Other Causes of VM Exits",
 * "VMX Aborts".
 */
#include "tests/guest/exits.h"

enum { IRQ = 0x61, NOTHING = 0 };

GUEST_CODE(i_nops, 64, "nop; nop; nop; nop; vmcall");
GUEST_CODE(i_loop, 64, "1: pause; jmp 1b");
GUEST_CODE(i_cpuid, 64, "1: cpuid; jmp 1b");

/*
 * The other CPU runs the test and asks CPU 0 for what it cannot do itself. A request is an ICR value, `later`
 * ticks from when it is made; `then` follows it.
 */
static struct {
	volatile u32 icr;
	u32 then;
	u64 later;
} request;

static void ask(u32 icr, u64 later, u32 then)
{
	request.later = later;
	request.then = then;
	WRITE_ONCE(request.icr, icr);
}

static void serve(u32 cpu)
{
	u32 icr = READ_ONCE(request.icr);
	u32 then = request.then;

	if (!icr)
		return;
	delay(request.later);
	apic_ipi(cpus[cpu].apic_id, icr | ICR_ASSERT);
	if (then) {
		delay(20000);
		apic_ipi(cpus[cpu].apic_id, then | ICR_ASSERT);
	}
	request.icr = NOTHING;
}

/* In VMX root operation: an INIT comes, and nothing happens. */
static void hold_init(void)
{
	ask(ICR_INIT, 0, 0);
	while (request.icr)
		cpu_pause();
	delay(2000);
}

static void report(struct vm *vm, u32 reason, const char *what)
{
	u64 top = vmread(F_GUEST_RSP);

	vm_report(vm, reason, what);
	if (reason & (VM_FAIL | REASON_FAILED_ENTRY))
		return;
	result("%s at=%u/%lx pushed=%lu", what, vm_vector(vm), vm_vector(vm) < 256 ? 0 : vm_pc(vm),
	       vm->stack - top);
}

/* With an entry that injects: delivered first, then INIT. */
static void injections(void)
{
	static const struct {
		const char *name;
		u64 event, flags, block;
	} list[] = {
		{ "none", 0, 0, 0 },
		{ "extint", INTR_EXTERNAL | 0x50, RFLAGS_IF, 0 },
		{ "nmi", INTR_NMI | 2, 0, 0 },
		{ "hard", INTR_HARD | VEC_UD, 0, 0 },
		{ "hard_code", INTR_HARD | INTR_CODE | VEC_GP, 0, 0 },
		{ "soft", INTR_SOFT | 0x50, 0, 0 },
		{ "int3", INTR_SOFT_EXC | 3, 0, 0 },
		{ "int1", INTR_PRIV | 1, 0, 0 },
		{ "mtf", INTR_OTHER, 0, 0 },
		{ "soft_sti", INTR_SOFT | 0x50, RFLAGS_IF, BLOCK_STI },
	};
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (list[i].event == INTR_OTHER && !caps_proc(PROC_MTF))
			continue;
		vm_create(&vm, VM_64, 0, i_nops);
		vmset(F_GUEST_RFLAGS, list[i].flags);
		vmwrite(F_GUEST_INTERRUPTIBILITY, list[i].block);
		vmwrite(F_ENTRY_LENGTH, 1);
		vmwrite(F_ENTRY_ERROR_CODE, 0x18);
		if (list[i].event)
			vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | list[i].event);
		hold_init();
		report(&vm, vm_run(&vm), list[i].name);
		/* once */
		report(&vm, vm_run(&vm), list[i].name);
	}
}

/* The delivery of what the entry injects exits: that exit first, INIT is held on. */
static void injection_cut(void)
{
	struct vm vm;
	u64 hole;

	vm_create(&vm, VM_64, VM_EPT, i_nops);
	hole = vmread(F_GUEST_IDTR_BASE);
	ept_map(vm.ept, hole, hole, 1, 0);
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | VEC_UD);
	hold_init();
	report(&vm, vm_run(&vm), "cut");
	ept_map(vm.ept, hole, hole, 1, EPT_RWX | EPT_WB);
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | VEC_UD);
	report(&vm, vm_run(&vm), "again");
	report(&vm, vm_run(&vm), "after");
	/* its delivery faults, and L1 wants that */
	vm_create(&vm, VM_64, 0, i_nops);
	vmwrite(F_GUEST_IDTR_LIMIT, 0);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | VEC_UD);
	hold_init();
	report(&vm, vm_run(&vm), "fault");
	report(&vm, vm_run(&vm), "fault_after");
	/* not delivered at all: a triple fault */
	vm_create(&vm, VM_64, 0, i_nops);
	vmwrite(F_GUEST_IDTR_LIMIT, 0);
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | INTR_CODE | VEC_DF);
	vmwrite(F_ENTRY_ERROR_CODE, 0);
	hold_init();
	result("triple exit=%u", vm_run(&vm));
	vm_create(&vm, VM_64, 0, i_nops);
	report(&vm, vm_run(&vm), "triple_after");
}

/* INIT against what else wants to happen directly after the entry. */
static void priorities(void)
{
	static const struct {
		const char *name;
		u64 pin, proc, exit, flags, pending, activity;
	} list[] = {
		{ "window", 0, PROC_INTR_WINDOW, 0, RFLAGS_IF, 0, ACTIVE },
		{ "nmi_window", PIN_NMI | PIN_VNMI, PROC_NMI_WINDOW, 0, 0, 0, ACTIVE },
		{ "timer", PIN_TIMER, 0, 0, 0, 0, ACTIVE },
		{ "mtf", 0, PROC_MTF, 0, 0, 0, ACTIVE },
		{ "debug", 0, 0, 0, 0, BIT(12) | BIT(0), ACTIVE },
		{ "single_step", 0, 0, 0, RFLAGS_TF, BIT(14), ACTIVE },
		{ "interrupt", PIN_EXTINT, 0, EXIT_ACK, RFLAGS_IF, 0, ACTIVE },
		{ "interrupt_delivered", 0, 0, 0, RFLAGS_IF, 0, ACTIVE },
		{ "hlt", 0, 0, 0, 0, 0, HLT },
		{ "shutdown", 0, 0, 0, 0, 0, SHUTDOWN },
	};
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		bool irq = list[i].exit || list[i].name[9] == '_';
		u32 before = this_cpu()->irq_count[IRQ];

		if (!caps_pin(list[i].pin) || !caps_proc(list[i].proc) ||
		    (list[i].activity && !(caps.misc & BIT(5 + list[i].activity))))
			continue;
		vm_create(&vm, VM_64, 0, i_nops);
		vmset(F_PIN, list[i].pin);
		vmset(F_PROC, list[i].proc);
		vmset(F_EXIT, list[i].exit);
		if (list[i].pin & PIN_TIMER)
			vmwrite(F_GUEST_TIMER, 0);
		vmset(F_GUEST_RFLAGS, list[i].flags);
		vmwrite(F_GUEST_PENDING_DEBUG, list[i].pending);
		vmwrite(F_GUEST_ACTIVITY, list[i].activity);
		if (irq)
			apic_self(IRQ);
		hold_init();
		if (list[i].activity) { /* which state is saved: see deviations.md */
			result("%s exit=%u", list[i].name, vm_run(&vm));
			continue;
		}
		report(&vm, vm_run(&vm), list[i].name);
		if (irq) {
			report(&vm, vm_run(&vm), list[i].name);
			apic_eoi();
			cpu_sti();
			delay(100);
			cpu_cli();
			result("%s l1_got=%u", list[i].name, this_cpu()->irq_count[IRQ] - before);
		}
	}
}

/* A TPR threshold above the virtual TPR exits before the INIT does. */
static void threshold(void)
{
	u64 page = addr_of(page_alloc());
	struct vm vm;

	if (!caps_proc(PROC_TPR_SHADOW) || !caps_proc2(PROC2_APIC_ACCESS))
		return;
	vm_create(&vm, VM_64, 0, i_nops);
	vmset(F_PROC, PROC_TPR_SHADOW | PROC_SECONDARY);
	vmset(F_PROC2, PROC2_APIC_ACCESS);
	vmwrite(F_APIC_ACCESS, addr_of(page_alloc()));
	vmwrite(F_VIRTUAL_APIC, page);
	vmwrite(F_TPR_THRESHOLD, 3);
	hold_init();
	report(&vm, vm_run(&vm), "threshold");
	vmwrite(F_TPR_THRESHOLD, 0);
	report(&vm, vm_run(&vm), "threshold_after");
}

/* Entries that fail release nothing; VMfail neither. Two INITs are one. */
static void held_on(void)
{
	struct vm vm;

	vm_create(&vm, VM_64, 0, i_nops);
	vmwrite(F_CR3_TARGET_COUNT, 5);
	hold_init();
	hold_init();
	report(&vm, vm_run(&vm), "vmfail");
	vmwrite(F_CR3_TARGET_COUNT, 0);
	vmwrite(F_GUEST_RFLAGS, 0);
	report(&vm, vm_run(&vm), "bad_state");
	vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED);
	report(&vm, vm_run(&vm), "good");
	report(&vm, vm_run(&vm), "once");
	/* wait-for-SIPI goes on blocking it: a SIPI ends that, and the next entry is ended by the INIT */
	if (!(caps.misc & BIT(8)))
		return;
	vm_create(&vm, VM_64, 0, i_nops);
	vmwrite(F_GUEST_ACTIVITY, WAIT_FOR_SIPI);
	hold_init();
	ask(ICR_SIPI | 0x9a, 300000, 0);
	result("wait_for_sipi exit=%u vector=%lx", vm_run(&vm), vmread(F_QUALIFICATION));
	vmwrite(F_GUEST_ACTIVITY, ACTIVE);
	vmwrite(F_GUEST_INTERRUPTIBILITY, 0); /* see deviations.md */
	report(&vm, vm_run(&vm), "wait_after");
}

static void all_held(void *arg)
{
	(void)arg;
	vmx_enable();
	injections();
	if (caps_proc2(PROC2_EPT))
		injection_cut();
	priorities();
	threshold();
	held_on();
	vmx_disable();
}

static void only_held_on(void *arg)
{
	(void)arg;
	vmx_enable();
	held_on();
	vmx_disable();
}

static bool run_on(u32 cpu, void (*fn)(void *), u64 ticks)
{
	u64 end = rdtsc() + ticks;

	request.icr = NOTHING;
	smp_call(cpu, fn, NULL);
	while (cpus[cpu].mailbox && rdtsc() < end)
		serve(cpu);
	return !cpus[cpu].mailbox;
}

TEST(held)
{
	u32 n = smp_start(), cpu;

	NEED(n > 1);
	for (cpu = 1; cpu < n; cpu++)
		CHECK(run_on(cpu, all_held, 2000000000));
}

static volatile u32 alive, behind;

static void until_vmxoff(void *arg)
{
	(void)arg;
	vmx_enable();
	hold_init();
	alive = 1;
	vmxoff();
	behind = 1;
	for (;;)
		cpu_pause();
}

/* VMXOFF lets a held INIT through: the CPU waits for a SIPI, and starts anew by one. SIPIs before it are
 * lost. */
TEST(vmxoff)
{
	u32 n = smp_start(), cpu;

	NEED(n > 1);
	for (cpu = 1; cpu < n; cpu++) {
		alive = behind = 0;
		CHECK(!run_on(cpu, until_vmxoff, 400000));
		result("cpu=%u alive=%u behind=%u", cpu, alive, behind);
		CHECK(alive && !behind);
		result("cpu=%u restarted=%u", cpu, smp_revive(cpu, false));
		CHECK(run_on(cpu, only_held_on, 200000000));
	}
}

static struct {
	volatile u32 reason, exits;
	volatile bool running;
} guests[CPU_MAX];

static void run_until_init(void *arg)
{
	u32 id = this_cpu()->id;
	static struct vm vms[CPU_MAX];

	(void)arg;
	vmx_enable();
	vm_create(&vms[id], VM_64, 0, id & 1 ? i_loop : i_cpuid);
	guests[id].exits = 0;
	guests[id].running = true;
	for (;;) {
		u32 reason = vm_run(&vms[id]);

		guests[id].exits++;
		if (reason == REASON_CPUID) {
			vm_skip(&vms[id]);
			continue;
		}
		guests[id].reason = reason;
		break;
	}
	vmx_disable();
}

/* INIT to all others at once, whose L2s run or whose L1s are at work: each is one exit. */
TEST(all_at_once)
{
	u32 n = smp_start(), cpu, round;

	NEED(n > 1);
	for (round = 0; round < 5; round++) {
		for (cpu = 1; cpu < n; cpu++) {
			guests[cpu].running = false;
			guests[cpu].reason = 0xdead;
			smp_call(cpu, run_until_init, NULL);
			/* their pages come from one pool */
			while (!guests[cpu].running)
				cpu_pause();
		}
		delay(3000 + round * 777);
		apic_ipi(0, ICR_INIT | ICR_ASSERT | 3 << 18);
		for (cpu = 1; cpu < n; cpu++) {
			CHECK(smp_wait(cpu, 4000000));
			result("round=%u cpu=%u exit=%u", round, cpu, guests[cpu].reason);
			CHECK(guests[cpu].reason == REASON_INIT);
		}
	}
}

/*
 * VMX aborts, each on a CPU of its own, the last ones first: the indicator stands in the VMCS, the CPU does
 * not come back, and no INIT or SIPI wakes it.
 */
enum { ABORT_STORE, ABORT_LOAD, ABORTS };
static struct vm abort_vms[ABORTS];
static volatile bool abort_came_back;
static u32 abort_kind;

static void abort_now(void *arg)
{
	struct vm *vm = &abort_vms[abort_kind];
	struct msr_entry *list = page_alloc();

	(void)arg;
	vmx_enable();
	vm_create(vm, VM_64, 0, i_nops);
	list[0] = (struct msr_entry){ MSR_SYSENTER_CS, 0, 0 };
	list[1] = (struct msr_entry){ 0x12345, 0, 0 };
	vmwrite(abort_kind == ABORT_LOAD ? F_EXIT_MSR_LOAD : F_EXIT_MSR_STORE, addr_of(list));
	vmwrite(abort_kind == ABORT_LOAD ? F_EXIT_MSR_LOAD_COUNT : F_EXIT_MSR_STORE_COUNT, 2);
	vm_run(vm);
	abort_came_back = true;
}

TEST(aborts)
{
	static const char *const names[] = { "store", "load" };
	u32 n = smp_start(), kind;

	NEED(n > 1);
	for (kind = 0; kind < ARRAY_SIZE(names) && kind + 1 < n; kind++) {
		u32 cpu = n - 1 - kind;

		abort_kind = kind;
		abort_came_back = false;
		smp_call(cpu, abort_now, NULL);
		CHECK(!smp_wait(cpu, 400000));
		/* the emulator lets an INIT through after a failed load: see deviations.md */
		if (kind == ABORT_STORE) {
			apic_ipi(cpus[cpu].apic_id, ICR_NMI | ICR_ASSERT);
			delay(20000);
			result("%s restarted=%u", names[kind], smp_revive(cpu, true));
		}
		result("%s indicator=%u came_back=%u", names[kind],
		       ((volatile u32 *)ptr_of(abort_vms[kind].vmcs))[1], abort_came_back);
		CHECK(!abort_came_back);
	}
}
