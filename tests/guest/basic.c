/* SPDX-License-Identifier: MIT */
/*
 * Guest test "basic": VMX on and off, a launch, a CPUID loop, field access, an EPT violation, event
 * injection, and the first VM-instruction errors. What works here is what any hypervisor needs first.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(code_cpuid_loop, 64, "1: cpuid; jmp 1b");
GUEST_CODE(code_vmcall, 64, "vmcall; hlt");
GUEST_CODE(code_vmcall16, 16, "vmcall; hlt");
GUEST_CODE(code_touch, 64, "movq $0x77, (%rbx); mov (%rbx), %rcx; vmcall");
GUEST_CODE(code_handler, 64, "nop; nop; vmcall; ud2");

TEST(capabilities)
{
	info("basic=%lx pin=%lx proc=%lx proc2=%lx exit=%lx entry=%lx", caps.basic, caps.pin, caps.proc,
	     caps.proc2, caps.exit, caps.entry);
	info("misc=%lx ept_vpid=%lx vmfunc=%lx cr0=%lx/%lx cr4=%lx/%lx enum=%lx feature=%lx width=%u",
	     caps.misc, caps.ept_vpid, caps.vmfunc, caps.cr0_fixed0, caps.cr0_fixed1, caps.cr4_fixed0,
	     caps.cr4_fixed1, msr_read(MSR_VMX_VMCS_ENUM), msr_read(MSR_FEATURE_CONTROL),
	     cpuid(0x80000008, 0).eax & 0xff);
	CHECK((caps.basic >> 32 & 0x1fff) <= 4096 && (caps.basic >> 32 & 0x1fff));
	CHECK((caps.basic >> 50 & 15) == 6);
	CHECK(!((u32)caps.pin & ~(caps.pin >> 32)));
	CHECK(!((u32)caps.proc & ~(caps.proc >> 32)));
	CHECK(!((u32)caps.exit & ~(caps.exit >> 32)));
	CHECK(!((u32)caps.entry & ~(caps.entry >> 32)));
	result("sane=1");
}

TEST(on_off)
{
	char name[48];
	int i;

	for (i = 0; i < 3; i++) {
		vmx_enable();
		result("round=%d vmxon_again=%s", i, vmx_result_name(vmxon(this_cpu()->vmxon_page), name));
		CHECK(vmptrst() == ~0ull);
		vmx_disable();
	}
}

TEST_VMX(errors)
{
	u64 region = vmx_region();
	u64 bad = addr_of(page_alloc());
	u64 v = 0;
	char name[48];

	*(u32 *)ptr_of(bad) = ((u32)caps.basic & 0x7fffffff) ^ 0x111;
	result("vmread_no_vmcs=%s", vmx_result_name(vmread_checked(F_GUEST_RIP, &v), name));
	result("vmwrite_no_vmcs=%s", vmx_result_name(vmwrite_checked(F_GUEST_RIP, 1), name));
	result("vmxon_in_root=%s", vmx_result_name(vmxon(region), name));
	CHECK(vmclear(region) == VMX_OK);
	CHECK(vmptrld(region) == VMX_OK);
	CHECK(vmptrst() == region);
	result("vmxon_in_root=%s", vmx_result_name(vmxon(region), name));
	result("vmclear_vmxon_pointer=%s", vmx_result_name(vmclear(this_cpu()->vmxon_page), name));
	result("vmclear_unaligned=%s", vmx_result_name(vmclear(region + 8), name));
	result("vmclear_wide=%s", vmx_result_name(vmclear(1ull << 52), name));
	result("vmptrld_vmxon_pointer=%s", vmx_result_name(vmptrld(this_cpu()->vmxon_page), name));
	result("vmptrld_unaligned=%s", vmx_result_name(vmptrld(region + 8), name));
	result("vmptrld_wide=%s", vmx_result_name(vmptrld(1ull << 52), name));
	result("vmptrld_revision=%s", vmx_result_name(vmptrld(bad), name));
	result("vmread_unsupported=%s", vmx_result_name(vmread_checked(0x4ffe, &v), name));
	result("vmwrite_unsupported=%s", vmx_result_name(vmwrite_checked(0x4ffe, 0), name));
	result("vmread_wide=%s", vmx_result_name(vmread_checked(0x10000681eull, &v), name));
	result("vmresume_clear=%s", vmx_result_name(VMX_INSTRUCTION("vmresume", "r"(0)), name));
	result("vmlaunch_controls=%s", vmx_result_name(VMX_INSTRUCTION("vmlaunch", "r"(0)), name));
	result("vmcall_root=%s", vmx_result_name(VMX_INSTRUCTION("vmcall", "r"(0)), name));
	if (caps.ept_vpid & EPT_CAP_INVEPT)
		result("invept_type=%s", vmx_result_name(invept(77, 0), name));
	CHECK(vmptrst() == region);
	CHECK(vmclear(region) == VMX_OK);
	CHECK(vmptrst() == ~0ull);
	result("vmresume_no_vmcs=%s", vmx_result_name(VMX_INSTRUCTION("vmresume", "r"(0)), name));
}

TEST_VMX(fields)
{
	struct vm vm;
	char name[48];
	static const u64 patterns[] = { ~0ull, 0x5555555555555555ull, 0xaaaaaaaaaaaaaaaaull, 0 };
	static const u64 fields[] = { F_GUEST_RIP,	 F_GUEST_ES,   F_GUEST_ES_LIMIT,
				      F_GUEST_ES_RIGHTS, F_TSC_OFFSET, F_HOST_CS,
				      F_HOST_CR3,	 F_CR0_MASK,   F_EXCEPTION_BITMAP,
				      F_GUEST_DEBUGCTL,	 F_VMCS_LINK,  F_GUEST_RFLAGS,
				      F_GUEST_ACTIVITY };
	u32 i, k;

	vm_create(&vm, VM_64, 0, code_vmcall);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		for (k = 0; k < ARRAY_SIZE(patterns); k++) {
			u64 v = 0x1234;

			vmwrite(fields[i], patterns[k]);
			CHECK(vmread_checked(fields[i], &v) == VMX_OK);
			result("field=%lx wrote=%lx read=%lx", fields[i], patterns[k], v);
		}
	}
	vmwrite(F_TSC_OFFSET, 0x1122334455667788ull);
	result("high_half=%lx", vmread(F_TSC_OFFSET + 1));
	vmwrite(F_TSC_OFFSET + 1, 0xabcdef01);
	result("full=%lx", vmread(F_TSC_OFFSET));
	if (!(caps.misc & BIT(29)))
		result("write_read_only=%s", vmx_result_name(vmwrite_checked(F_EXIT_REASON, 0), name));
}

TEST_VMX(launch)
{
	struct vm vm;
	u32 reason;
	enum vm_mode mode;

	for (mode = VM_64; mode < VM_MODES; mode++) {
		if (!vm_mode_possible(mode)) {
			info("mode %s is not possible", vm_mode_names[mode]);
			continue;
		}
		vm_create(&vm, mode, 0, mode >= VM_REAL ? code_vmcall16 : code_vmcall);
		reason = vm_run(&vm);
		vm_report(&vm, reason, vm_mode_names[mode]);
		CHECK(reason == REASON_VMCALL && vm_pc(&vm) == 0 && vmread(F_EXIT_LENGTH) == 3);
		CHECK(vm_run(&vm) == REASON_VMCALL);
		vm.launched = false;
		CHECK(vm_run(&vm) == (VM_FAIL | 4));
		vmclear(vm.vmcs);
		this_cpu()->vm = NULL;
		vm.launched = true;
		CHECK(vm_run(&vm) == (VM_FAIL | 5));
		vm.launched = false;
		CHECK(vm_run(&vm) == REASON_VMCALL);
	}
}

TEST_VMX(cpuid_loop)
{
	struct vm vm;
	u32 i;

	vm_create(&vm, VM_64, 0, code_cpuid_loop);
	for (i = 0; i < 1000; i++) {
		u32 reason;

		vm.regs.rax = i;
		vm.regs.r15 = i * 0x100000001ull;
		reason = vm_run(&vm);
		if (reason != REASON_CPUID || vm.regs.rax != i || vm.regs.r15 != i * 0x100000001ull ||
		    vm_pc(&vm) != 0) {
			vm_report(&vm, reason, "unexpected");
			CHECK(false);
			return;
		}
		vm_skip(&vm);
	}
	result("rounds=%u", i);
}

TEST_VMX(two_guests)
{
	struct vm a, b;
	u32 i;

	vm_create(&a, VM_64, 0, code_cpuid_loop);
	vm_create(&b, VM_64, 0, code_cpuid_loop);
	for (i = 0; i < 100; i++) {
		CHECK(vm_run(&a) == REASON_CPUID);
		vm_skip(&a);
		CHECK(vm_run(&b) == REASON_CPUID);
		vm_skip(&b);
		vmwrite(F_GUEST_FS_BASE, i);
		vm_current(&a);
		vmwrite(F_GUEST_FS_BASE, 1000 + i);
		vm_current(&b);
		CHECK(vmread(F_GUEST_FS_BASE) == i);
	}
	result("rounds=%u", i);
}

TEST_VMX(ept_violation)
{
	struct vm vm;
	u64 page = addr_of(page_alloc());
	u32 reason;

	NEED(caps_proc2(PROC2_EPT));
	vm_create(&vm, VM_64, VM_EPT, code_touch);
	ept_map(vm.ept, page, page, 1, 0);
	vm.regs.rbx = page + 0x10;
	reason = vm_run(&vm);
	info("gpa=%lx", vmread(F_GUEST_PHYSICAL));
	result("exit=%u qual=%lx offset=%lx pc=%lx", reason, vmread(F_QUALIFICATION),
	       vmread(F_GUEST_PHYSICAL) - page, vm_pc(&vm));
	CHECK(reason == REASON_EPT_VIOLATION && (vmread(F_QUALIFICATION) & 0x3f) == 2);
	ept_map(vm.ept, page, page, 1, EPT_R | EPT_WB);
	reason = vm_run(&vm);
	result("exit=%u qual=%lx", reason, vmread(F_QUALIFICATION));
	ept_map(vm.ept, page, page, 1, EPT_RWX | EPT_WB);
	reason = vm_run(&vm);
	result("exit=%u rcx=%lx memory=%lx", reason, vm.regs.rcx, *(u64 *)ptr_of(page + 0x10));
	CHECK(reason == REASON_VMCALL && vm.regs.rcx == 0x77);
	/* taken away again, with INVEPT; then another page behind it */
	ept_map(vm.ept, page, page + 0, 1, 0);
	CHECK(invept(1, vm.ept | EPTP_FLAGS) == VMX_OK);
	vm_set_code(&vm, code_touch);
	CHECK(vm_run(&vm) == REASON_EPT_VIOLATION);
	{
		u64 other = addr_of(page_alloc());

		ept_map(vm.ept, page, other, 1, EPT_RWX | EPT_WB);
		CHECK(vm_run(&vm) == REASON_VMCALL);
		CHECK(*(u64 *)ptr_of(other + 0x10) == 0x77);
	}
}

TEST_VMX(injection)
{
	static const u64 events[] = {
		INTR_EXTERNAL | 0x40,	    INTR_NMI | 2,     INTR_HARD | 6,	 INTR_HARD | INTR_CODE | 13,
		INTR_HARD | INTR_CODE | 14, INTR_SOFT | 0x50, INTR_SOFT_EXC | 3, INTR_PRIV | 1,
	};
	struct vm vm;
	u32 i, reason;
	enum vm_mode mode;

	for (mode = VM_64; mode < VM_MODES; mode++) {
		if (!vm_mode_possible(mode))
			continue;
		for (i = 0; i < ARRAY_SIZE(events); i++) {
			u64 event = events[i];

			if (mode == VM_REAL)
				event &= ~INTR_CODE;
			vm_create(&vm, mode, 0, mode >= VM_REAL ? code_vmcall16 : code_handler);
			vmwrite(F_GUEST_RFLAGS, vmread(F_GUEST_RFLAGS) | RFLAGS_IF);
			vmwrite(F_ENTRY_INTR_INFO, event | INTR_VALID);
			vmwrite(F_ENTRY_ERROR_CODE, 0x18);
			vmwrite(F_ENTRY_LENGTH, 1);
			reason = vm_run(&vm);
			print("RESULT %s mode=%s event=%lx ", test_name(), vm_mode_names[mode], event);
			print("exit=%u handler=%u block=%lx info=%lx stack=%lx,%lx,%lx\n", reason,
			      vm_vector(&vm), vmread(F_GUEST_INTERRUPTIBILITY), vmread(F_ENTRY_INTR_INFO),
			      vm_stack(&vm, 0), vm_stack(&vm, 1), vm_stack(&vm, 2));
			CHECK(reason == REASON_VMCALL && vm_vector(&vm) == (event & 0xff));
			CHECK(!(vmread(F_ENTRY_INTR_INFO) & INTR_VALID));
			if (mode == VM_64) {
				vm_iret(&vm);
				vm_report(&vm, vm_run(&vm), "after_iret");
			}
		}
	}
}

TEST_VMX(exception_exit)
{
	struct vm vm;
	u32 reason;

	vm_create(&vm, VM_64, 0, code_handler + 5);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_UD));
	reason = vm_run(&vm);
	vm_report(&vm, reason, "ud2");
	CHECK(reason == REASON_EXCEPTION &&
	      (u32)vmread(F_EXIT_INTR_INFO) == (INTR_VALID | INTR_HARD | VEC_UD));
	vmwrite(F_EXCEPTION_BITMAP, 0);
	reason = vm_run(&vm);
	vm_report(&vm, reason, "ud2_not_intercepted");
	CHECK(reason == REASON_VMCALL && vm_vector(&vm) == VEC_UD);
	vm_create(&vm, VM_64, 0, code_handler + 5);
	vmwrite(F_GUEST_IDTR_LIMIT, 0);
	reason = vm_run(&vm);
	vm_report(&vm, reason, "triple");
	CHECK(reason == REASON_TRIPLE);
}

TEST_VMX(bad_guest)
{
	struct vm vm;
	u32 reason;

	vm_create(&vm, VM_64, 0, code_vmcall);
	vmwrite(F_GUEST_RFLAGS, 0);
	reason = vm_run(&vm);
	vm_report(&vm, reason, "rflags");
	CHECK(reason == (REASON_FAILED_ENTRY | REASON_BAD_STATE));
	vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED);
	vmwrite(F_VMCS_LINK, 0x1008);
	reason = vm_run(&vm);
	vm_report(&vm, reason, "link");
	CHECK(reason == (REASON_FAILED_ENTRY | REASON_BAD_STATE) && vmread(F_QUALIFICATION) == 4);
	vmwrite(F_VMCS_LINK, ~0ull);
	vmwrite(F_HOST_CS, 0);
	reason = vm_run(&vm);
	vm_report(&vm, reason, "host");
	CHECK(reason == (VM_FAIL | 8));
	vmwrite(F_HOST_CS, SEL_CODE64);
	vmwrite(F_CR3_TARGET_COUNT, 5);
	reason = vm_run(&vm);
	vm_report(&vm, reason, "controls");
	CHECK(reason == (VM_FAIL | 7));
	vmwrite(F_CR3_TARGET_COUNT, 0);
	reason = vm_run(&vm);
	CHECK(reason == REASON_VMCALL);
}

/* A page that a hypervisor below us could have borrowed: tests/system/test_cpus.py has marked it. */
TEST(low_page)
{
	const u32 *words = ptr_of(0x1000);

	info("%x %x", words[0x40], words[0x60]);
}

/* At 8000H of low memory, in real mode, by every processor that a SIPI of ours starts. */
struct everybody {
	u32 ebx, ecx, edx; /* CPUID leaf 40000000H here */
	volatile u32 same, came;
};
enum { EVERYBODY_PAGE = 0x8000, EVERYBODY_AT = 0x8f00, ALL_OTHERS = 3 << 18 };
GUEST_CODE(code_everybody, 16,
	   "cli; mov %cs, %ax; mov %ax, %ds; mov $0x40000000, %eax; xor %ecx, %ecx; cpuid;"
	   "cmp %ebx, 0xf00; jne 1f; cmp %ecx, 0xf04; jne 1f; cmp %edx, 0xf08; jne 1f; lock incl 0xf0c;"
	   "1: lock incl 0xf10; 2: hlt; jmp 2b");

/* Whoever answers an INIT and a SIPI to all runs where we run: bare or under the same hypervisor. */
TEST(everybody)
{
	struct everybody *all = ptr_of(EVERYBODY_AT);
	struct cpuid here = cpuid(0x40000000, 0);
	bool socle = here.ebx == 0x6c636f53 && here.ecx == 0x636f5365 && here.edx == 0x2020656c;
	u32 i;

	memcpy(ptr_of(EVERYBODY_PAGE), code_everybody, 64);
	*all = (struct everybody){ here.ebx, here.ecx, here.edx, 0, 0 };
	apic_ipi(0, ICR_INIT | ICR_ASSERT | ALL_OTHERS);
	delay(20000);
	for (i = 0; i < CPU_MAX;
	     i++) { /* the emulator stops at the first one that exits: see deviations.md */
		apic_ipi(0, ICR_SIPI | ICR_ASSERT | ALL_OTHERS | EVERYBODY_PAGE >> 12);
		delay(50000);
	}
	/* without a hypervisor the leaf means nothing */
	result("came=%u strangers=%u", all->came, socle ? all->came - all->same : 0);
	CHECK(!socle || all->came == all->same);
}

TEST(smp)
{
	u32 n = smp_start();
	u32 i;

	info("cpus=%u", n);
	for (i = 1; i < n; i++) {
		smp_call(i, (void (*)(void *))(void *)vmx_enable, NULL);
		CHECK(smp_wait(i, 10000000));
		CHECK(cpus[i].vmx_on);
		smp_call(i, (void (*)(void *))(void *)vmx_disable, NULL);
		CHECK(smp_wait(i, 10000000));
	}
}
