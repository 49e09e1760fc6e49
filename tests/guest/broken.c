/* SPDX-License-Identifier: MIT */
/*
 * The exercise of docs/debugging.md: a hypervisor that makes one mistake after the other, of those that
 * people make. Each is a test, and prints what it sees of it itself; what Socle says about it is on the same
 * line. Those that end the machine, or that never end, run by themselves: abort, triple, hostrip, loop,
 * exitloop, hang, mailbox, giveup.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(code_vmcall, 64, "vmcall; hlt");
GUEST_CODE(code_loop, 64, "1: pause; jmp 1b");
GUEST_CODE(code_cpuid_loop, 64, "1: cpuid; jmp 1b");
/* Waits for L1's word at RDI. */
GUEST_CODE(code_wait, 64, "cli; 1: pause; cmpq $0, (%rdi); je 1b; vmcall");

/* Socle explains one thing in a tenth of a second: so long, by port 80H. */
static void wait(void)
{
	for (u64 i = 0; i < 120000; i++)
		(void)io_in8(0x80);
}

static void run(struct vm *vm, const char *mistake)
{
	u32 reason;

	wait();
	reason = vm_run(vm);
	vm_report(vm, reason, mistake);
}

/* A guest that would run. */
static void good(struct vm *vm, u64 flags)
{
	vm_create(vm, VM_64, flags, code_vmcall);
}

TEST_VMX(controls)
{
	struct vm vm;

	good(&vm, 0);
	vmwrite(F_PIN, 0);
	run(&vm, "pin controls are 0");
}

TEST_VMX(event)
{
	struct vm vm;

	good(&vm, 0);
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | 14);
	run(&vm, "a page fault without error code");
}

TEST_VMX(host_cs)
{
	struct vm vm;

	good(&vm, 0);
	vmwrite(F_HOST_CS, 0);
	run(&vm, "host CS is null");
}

TEST_VMX(guest_cs)
{
	struct vm vm;

	good(&vm, 0);
	vmwrite(F_GUEST_CS_RIGHTS, 0xc09b | BIT(13));
	run(&vm, "CS has D and L");
}

TEST_VMX(rflags)
{
	struct vm vm;

	good(&vm, 0);
	vmwrite(F_GUEST_RFLAGS, 0);
	run(&vm, "RFLAGS is 0");
}

TEST_VMX(ept_pointer)
{
	struct vm vm;

	good(&vm, VM_EPT);
	vmwrite(F_EPTP, vm.ept | 3 << 3 | 7);
	run(&vm, "memory type 7");
}

TEST_VMX(ept_entry)
{
	u64 page = (u64)code_vmcall & ~0xfffull;
	struct vm vm;

	good(&vm, VM_EPT);
	*ept_entry(vm.ept, page, 1) = page;
	run(&vm, "an EPT entry is not present");
	*ept_entry(vm.ept, page, 1) = page | EPT_W;
	run(&vm, "an EPT entry is writable and not readable");
}

/* A handler that enters the guest again, whatever it exited for. */
TEST_VMX(ept_again)
{
	u64 page = (u64)code_vmcall & ~0xfffull;
	u32 reason = 0;
	struct vm vm;

	good(&vm, VM_EPT);
	*ept_entry(vm.ept, page, 1) = page;
	wait();
	for (unsigned int i = 0; i < 1200; i++)
		reason = vm_run(&vm);
	vm_report(&vm, reason, "1200 entries without a look at the exit reason");
}

TEST_VMX(launch_twice)
{
	struct vm vm;

	good(&vm, 0);
	run(&vm, "no mistake");
	vm.launched = false;
	run(&vm, "VMLAUNCH again");
}

TEST_VMX(field)
{
	struct vm vm;

	good(&vm, 0);
	wait();
	result("a field that there is not: %u", vmwrite_checked(0x4ffe, 0));
}

TEST_VMX(no_vmcs)
{
	struct vm vm;

	good(&vm, 0);
	vmclear(vm.vmcs);
	run(&vm, "no current VMCS");
}

TEST_VMX(guest_triple)
{
	struct vm vm;

	good(&vm, 0);
	vmwrite(F_GUEST_IDTR_BASE, 0x7000000000);
	vmwrite(F_GUEST_RIP, 0x700000000000);
	run(&vm, "a guest without IDT");
}

TEST_VMX(abort)
{
	static u64 list[2] ALIGNED(16) = { 0x7fffffff, 0 };
	struct vm vm;

	NEED(option_flag("abort"));
	good(&vm, 0);
	vmwrite(F_EXIT_MSR_LOAD, (u64)list);
	vmwrite(F_EXIT_MSR_LOAD_COUNT, 1);
	run(&vm, "an MSR that there is not in the VM-exit MSR-load list");
}

TEST(triple)
{
	struct table_register idtr = { .limit = 0 };

	NEED(option_flag("triple"));
	idt_load(&idtr);
	asm volatile("ud2");
}

TEST_VMX(host_rip)
{
	struct vm vm;

	NEED(option_flag("hostrip"));
	good(&vm, 0);
	vmwrite(F_HOST_RIP, 0);
	vmwrite(F_HOST_IDTR_BASE, 0x500000000000);
	vm_run(&vm);
}

TEST_VMX(guest_loop)
{
	struct vm vm;

	NEED(option_flag("loop"));
	vm_create(&vm, VM_64, 0, code_loop);
	run(&vm, "a guest that loops");
}

TEST_VMX(exit_loop)
{
	struct vm vm;

	NEED(option_flag("exitloop"));
	vm_create(&vm, VM_64, 0, code_cpuid_loop);
	for (;;)
		vm_run(&vm);
}

TEST_VMX(hang)
{
	NEED(option_flag("hang"));
	for (;;)
		cpu_cli();
}

/* L2 waits for a word in a page of its own, which L1 has written; it waits for ever. */
TEST_VMX(mailbox)
{
	u64 *mailbox = page_alloc(), *next = page_alloc();
	struct vm vm;

	NEED(option_flag("mailbox"));
	vm_create(&vm, VM_64, VM_EPT, code_wait);
	/* The mistake: the page beside it. */
	ept_map(vm.ept, addr_of(mailbox), addr_of(next), 1, EPT_RWX | EPT_WB);
	*mailbox = 0x6c6c6568;
	vm.regs.rdi = addr_of(mailbox);
	info("L2 waits for its mail");
	run(&vm, "a page that EPT maps elsewhere");
}

/* A handler that does not expect the exit, and stops. */
TEST_VMX(give_up)
{
	u64 page = (u64)code_vmcall & ~0xfffull;
	struct vm vm;

	NEED(option_flag("giveup"));
	good(&vm, VM_EPT);
	*ept_entry(vm.ept, page, 1) = page;
	run(&vm, "an EPT entry is not present, and L1 stops");
	cpu_cli();
	for (;;)
		cpu_hlt();
}
