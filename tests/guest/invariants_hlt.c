/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants", the third: GUEST_CR3 of entries into HLT that execute nothing and of L2's own HLT,
 * by each way to wake up; and loops of exits around which Socle prints what its register caches did
 * (tests/system/test_counters.py). SDM: "Activity State", "Special Features of VM Entry".
 */
#include "tests/guest/invariants.h"

GUEST_CODE(h_vmcall, 64, "vmcall");
GUEST_CODE(h_own, 64, "mov %rax, %cr3; movl $1, (%rbx); hlt; vmcall");
GUEST_CODE(h_own32, 32, "mov %eax, %cr3; movl $1, (%ebx); hlt; vmcall");
enum way { BY_INTERRUPT, BY_NMI, BY_TIMER, BY_EVENT, BY_WINDOW, BY_NMI_WINDOW, WAYS };
static const char *const way_names[] = { "interrupt", "nmi", "timer", "event", "window", "nmi_window" };

static volatile u32 asleep; /* set by L2 before it halts */
static u32 target, message;

/* On the other CPU: wakes L2 up once it has halted. */
static void waker(void *arg)
{
	u64 end = rdtsc() + 50000000;

	(void)arg;
	while (!asleep && rdtsc() < end)
		cpu_pause();
	delay(5000);
	apic_ipi(target, message | ICR_ASSERT);
}

static void wake_later(u32 icr)
{
	target = this_cpu()->apic_id;
	message = icr;
	asleep = 0;
	smp_call(1, waker, NULL);
}

static bool possible(enum way way, bool own)
{
	switch (way) {
	case BY_NMI: return caps_pin(PIN_NMI | PIN_VNMI);
	case BY_TIMER: return caps_pin(PIN_TIMER);
	case BY_EVENT: return !own;
	case BY_NMI_WINDOW: return caps_pin(PIN_NMI | PIN_VNMI) && caps_proc(PROC_NMI_WINDOW);
	default: return true;
	}
}

static void set_way(struct vm *vm, enum way way, bool own)
{
	switch (way) {
	case BY_INTERRUPT:
		vmset(F_PIN, PIN_EXTINT);
		if (own) {
			wake_later(IRQ);
			break;
		}
		apic_self(IRQ);
		delay(100);
		break;
	case BY_NMI:
		if (own) {
			wake_later(ICR_NMI);
		} else {
			nmi_block_and_hold();
			vm_current(vm);
		}
		vmset(F_PIN, PIN_NMI | PIN_VNMI);
		break;
	case BY_TIMER:
		vmset(F_PIN, PIN_TIMER);
		vmwrite(F_GUEST_TIMER, 20000 >> (caps.misc & 31));
		break;
	case BY_EVENT:
		vmset(F_GUEST_RFLAGS, RFLAGS_IF);
		vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_EXTERNAL | 0x50);
		break;
	case BY_WINDOW:
		vmset(F_PROC, PROC_INTR_WINDOW);
		vmset(F_GUEST_RFLAGS, RFLAGS_IF);
		if (own) /* closed for the first instruction */
			vmset(F_GUEST_INTERRUPTIBILITY, BLOCK_STI);
		break;
	default:
		vmset(F_PIN, PIN_NMI | PIN_VNMI);
		vmset(F_PROC, PROC_NMI_WINDOW);
		if (own)
			vmset(F_GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
		break;
	}
}

static u64 new_tables(enum vm_mode mode)
{
	return mode == VM_64 ? paging_create64() : mode == VM_PAE ? paging_create_pae() : paging_create32();
}

/* L2 has run with another CR3; now L1 writes one and the activity state HLT. */
static void enter_halted(struct vm *vm, u64 cr3, u64 flags)
{
	u32 i;

	vm_set_code(vm, h_vmcall);
	CHECK(vm_run(vm) == REASON_VMCALL);
	vmwrite(F_GUEST_CR3, cr3);
	vmwrite(F_GUEST_ACTIVITY, HLT);
	for (i = 0; i < 4 && vm->mode == VM_PAE && flags & VM_EPT; i++)
		vmwrite(F_GUEST_PDPTE0 + 2 * i, ((u64 *)ptr_of(cr3))[i]);
}

static void halt_once(enum vm_mode mode, u64 flags, enum way way, bool own)
{
	u64 cr3;
	u32 reason;
	struct vm vm;

	vm_create(&vm, mode, flags, mode == VM_64 ? h_own : h_own32);
	cr3 = new_tables(mode);
	vm.regs.rax = cr3;
	vm.regs.rbx = (u64)&asleep;
	if (!own)
		enter_halted(&vm, cr3, flags);
	set_way(&vm, way, own);
	reason = vm_run(&vm);
	/* tests/deviations.md: the emulator wakes up for an NMI first, and then exits */
	if (way == BY_NMI)
		info("%s activity=%lx", way_names[way], vmread(F_GUEST_ACTIVITY));
	result("%s ept=%lu %s own=%u exit=%u cr3=%s activity=%lx", vm_mode_names[mode], flags, way_names[way],
	       own, reason, vmread(F_GUEST_CR3) == cr3 ? "new" : "old",
	       way == BY_NMI ? 0 : vmread(F_GUEST_ACTIVITY));
	CHECK(vmread(F_GUEST_CR3) == cr3);
	if (way <= BY_NMI && own)
		CHECK(smp_wait(1, 5000000));
	if (way == BY_NMI)
		nmi_unblock();
	cpu_sti();
	delay(50);
	cpu_cli();
}

/* 3. An entry into HLT that executes nothing, and L2's own: the next exit shows the CR3 that L2 has. */
TEST_VMX(cr3_in_hlt)
{
	static const enum vm_mode modes[] = { VM_64, VM_PAE, VM_32 };
	enum way way;
	u32 m, ept, own;

	NEED(caps.misc & BIT(6) && smp_start() > 1);
	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		for (ept = 0; ept < (caps_proc2(PROC2_EPT) ? 2 : 1); ept++) {
			for (way = 0; way < WAYS; way++) {
				for (own = 0; own < 2; own++) {
					u64 mark = page_mark();

					if (possible(way, own))
						halt_once(modes[m], ept ? VM_EPT : 0, way, own);
					page_release(mark);
				}
			}
		}
	}
}

enum { LOOPS = 500 };
GUEST_CODE(h_rdmsr, 64, "mov $500, %edi; 1: mov $0x3a, %ecx; rdmsr; dec %edi; jnz 1b; vmcall");
GUEST_CODE(h_cpuid, 64, "1: cpuid; jmp 1b");

/* Socle prints its counters; nothing happens on the processor. */
static void print_counters(void)
{
	u32 eax = 0x50434c53;

	if (under_socle())
		asm volatile("vmcall" : "+a"(eax) : "b"(7) : "ecx", "edx", "memory", "cc");
}

static void cpuids_of_l2(struct vm *vms, u32 count)
{
	u32 i;

	for (i = 0; i < LOOPS; i++) {
		struct vm *vm = &vms[i % count];

		CHECK(vm_run(vm) == REASON_CPUID);
		vm_skip(vm);
	}
}

/*
 * Loops of exits that L0 handles for L1, that it handles for L2, and that it reflects, of one L2 and of two
 * in turn.
 */
TEST_VMX(register_counters)
{
	struct vm vm[2];
	u32 i;

	print_counters();
	for (i = 0; i < LOOPS; i++)
		cpuid(0, 0);
	print_counters();
	result("l1_cpuid=%u", LOOPS);
	vm_create(&vm[0], VM_64, 0, h_rdmsr);
	vm_use_msr_bitmap(&vm[0]);
	print_counters();
	CHECK(vm_run(&vm[0]) == REASON_VMCALL);
	print_counters();
	result("l2_rdmsr=%u", LOOPS);
	for (i = 0; i < 2; i++) {
		vm_create(&vm[i], VM_64, 0, h_cpuid);
		cpuids_of_l2(&vm[i], 1);
	}
	print_counters();
	cpuids_of_l2(&vm[1], 1);
	print_counters();
	result("l2_cpuid=%u", LOOPS);
	cpuids_of_l2(vm, 2);
	print_counters();
	result("l2_cpuid_in_turn=%u", LOOPS);
}
