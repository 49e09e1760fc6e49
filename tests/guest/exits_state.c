/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits", part 3: what an exit saves of L2 and loads of L1, MSR lists, VMX abort, activity states, task
 * switches, INIT and SIPI. SDM: "VM Exits" (saving guest state, loading host state), "VM-Entry Failures".
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

static void go(struct vm *vm, const char *what) { vm_report(vm, vm_run(vm), what); }

GUEST_CODE(s_vmcall, 64, "vmcall; hlt");
GUEST_CODE(s_vmcall32, 32, "vmcall; hlt");
GUEST_CODE(s_hlt, 64, "hlt; vmcall");
GUEST_CODE(s_loop, 64, "1: pause; jmp 1b");

struct PACKED descriptor {
	u16 limit;
	u64 base;
};

/* What an exit loads beyond the fields: DR7, DEBUGCTL, RFLAGS, limits, LDTR; and what it loads from the fields. */
TEST_VMX(host_state)
{
	struct vm vm;
	struct descriptor gdtr, idtr;
	u16 ldt, tr;
	u64 flags;
	u32 limit;

	vm_create(&vm, VM_64, 0, s_vmcall);
	vmwrite(F_GUEST_DR7, 0x455);
	vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_STATUS | RFLAGS_DF | RFLAGS_AC);
	vmwrite(F_HOST_SYSENTER_CS, 0x1234);
	vmwrite(F_HOST_SYSENTER_ESP, 0xffff800000001000);
	vmwrite(F_HOST_SYSENTER_EIP, 0x7fffffff0000);
	vmwrite(F_HOST_FS_BASE, 0xffffffff12345678);
	dr7_write(0x400);
	if (caps_exit(EXIT_LOAD_PAT)) {
		vmset(F_EXIT, EXIT_LOAD_PAT);
		vmwrite(F_HOST_PAT, 0x0007040600070401);
	}
	go(&vm, "exit");
	flags = rflags_read();
	asm volatile("sgdt %0" : "=m"(gdtr));
	asm volatile("sidt %0" : "=m"(idtr));
	asm volatile("sldt %0" : "=r"(ldt));
	asm volatile("str %0" : "=r"(tr));
	asm volatile("lsl %1, %0" : "=r"(limit) : "r"((u32)SEL_DATA));
	result("dr7=%lx debugctl=%lx gdt_limit=%x idt_limit=%x ldt=%x tr=%x if_df=%lx", dr7_read(), msr_read(MSR_DEBUGCTL),
	       gdtr.limit, idtr.limit, ldt, tr, flags & (RFLAGS_IF | RFLAGS_DF | RFLAGS_AC));
	CHECK(gdtr.base == addr_of(this_cpu()->gdt) && gdtr.limit == 0xffff && idtr.limit == 0xffff);
	CHECK(dr7_read() == 0x400 && !ldt && tr == SEL_TSS);
	result("sysenter=%lx,%lx,%lx fs=%lx pat=%lx", msr_read(MSR_SYSENTER_CS), msr_read(MSR_SYSENTER_ESP),
	       msr_read(MSR_SYSENTER_EIP), msr_read(MSR_FS_BASE), caps_exit(EXIT_LOAD_PAT) ? msr_read(MSR_PAT) : 0);
	msr_write(MSR_PAT, 0x0007040600070406);
	msr_write(MSR_FS_BASE, 0);
	/* the guest's DR7 and DEBUGCTL are saved only with the control (which the processor may force) */
	result("saved dr7=%lx debugctl=%lx control=%u", vmread(F_GUEST_DR7), vmread(F_GUEST_DEBUGCTL),
	       !!(vmread(F_EXIT) & EXIT_SAVE_DEBUG));
	vmwrite(F_HOST_CR4, cr4_read() | CR4_TSD | CR4_PGE);
	vmwrite(F_HOST_CR0, cr0_read() ^ CR0_WP);
	go(&vm, "cr");
	result("cr0=%lx cr4=%lx", cr0_read(), cr4_read() & ~(u64)CR4_OSXSAVE);
	cr0_write(cr0_read() | CR0_WP);
}

GUEST_CODE(s_load_segments, 64, "mov $0x10, %eax; mov %eax, %ds; mov $0x2b, %eax; mov %eax, %es; xor %eax, %eax; "
				"mov %eax, %fs; mov $3, %eax; mov %eax, %gs; mov $0x28, %eax; lldt %bx; "
				"lgdt (%rsi); lidt 16(%rsi); vmcall");
GUEST_CODE(s_load_segments32, 32, "mov $0x10, %eax; mov %eax, %ds; mov $0x2b, %eax; mov %eax, %es; xor %eax, %eax; "
				  "mov %eax, %fs; mov $3, %eax; mov %eax, %gs; mov $0x40, %eax; mov %eax, %ss; vmcall");
GUEST_CODE(s_load_real, 16, "mov $0x1234, %ax; mov %ax, %ds; mov $0xffff, %ax; mov %ax, %es; push %cs; pop %fs; vmcall");

static void report_segments(const char *what)
{
	static const char names[] = "ECSDFGLT";
	u32 i;

	print("RESULT %s %s", test_name(), what);
	for (i = 0; i < 8; i++)
		print(" %c=%lx,%lx,%lx,%lx", names[i], vmread(F_GUEST_ES + 2 * i),
		      i == 7 ? 0 : vmread(F_GUEST_ES_BASE + 2 * i), vmread(F_GUEST_ES_LIMIT + 2 * i),
		      vmread(F_GUEST_ES_RIGHTS + 2 * i));
	print(" gdt=%lx idt=%lx\n", vmread(F_GUEST_GDTR_LIMIT), vmread(F_GUEST_IDTR_LIMIT));
}

TEST_VMX(guest_segments)
{
	static struct descriptor tables[3] ALIGNED(16);
	u64 page = addr_of(page_alloc());
	struct vm vm;

	/* an LDT of 0x37 bytes behind selector 58 (and 60 for its upper half) */
	this_cpu()->gdt[SEL_FREE / 8] = 0x37 | (page & 0xffffff) << 16 | 0x82ull << 40 | (page >> 24) << 56;
	this_cpu()->gdt[SEL_FREE / 8 + 1] = 0;
	vm_create(&vm, VM_64, 0, s_load_segments);
	tables[0].limit = 0x77;
	tables[0].base = addr_of(this_cpu()->gdt);
	memcpy((u8 *)tables + 16, &tables[0], 10);
	((struct descriptor *)(void *)((u8 *)tables + 16))->limit = 0x123;
	vm.regs.rsi = addr_of(tables);
	vm.regs.rbx = SEL_FREE;
	go(&vm, "64");
	report_segments("64");
	vm_create(&vm, VM_PAE, 0, s_load_segments32);
	go(&vm, "pae");
	report_segments("pae");
	if (vm_mode_possible(VM_REAL)) {
		vm_create(&vm, VM_REAL, 0, s_load_real);
		go(&vm, "real");
		report_segments("real");
	}
	vm_create(&vm, VM_V86, 0, s_load_real);
	go(&vm, "v86");
	report_segments("v86");
	gdt_set(SEL_FREE, 0);
	this_cpu()->gdt[SEL_FREE / 8 + 1] = 0;
}

struct msr_entry {
	u32 msr, reserved;
	u64 value;
};

/* The three MSR lists: order, values, what may not be in them, how far a failing load came. */
TEST_VMX(msr_lists)
{
	struct msr_entry *load = page_alloc();
	struct msr_entry *store = page_alloc();
	struct msr_entry *back = page_alloc();
	struct vm vm;
	u32 i, max = 512 * ((caps.misc >> 25 & 7) + 1);
	static const struct {
		const char *name;
		struct msr_entry bad;
	} bads[] = {
		{ "fs_base", { MSR_FS_BASE, 0, 0 } }, { "gs_base", { MSR_GS_BASE, 0, 0 } },
		{ "reserved", { MSR_SYSENTER_CS, 1, 0 } }, { "unknown", { 0x12345, 0, 0 } },
		{ "canonical", { MSR_LSTAR, 0, 0x900000000000 } }, { "x2apic", { 0x808, 0, 0 } },
		{ "smbase", { 0x9e, 0, 0 } }, { "vmx_basic", { MSR_VMX_BASIC, 0, 0 } },
		{ "feature_control", { MSR_FEATURE_CONTROL, 0, 5 } }, { "efer_reserved", { MSR_EFER, 0, BIT(20) } },
		{ "microcode", { 0x79, 0, 0 } }, { "good", { MSR_STAR, 0, 0x77 } },
	};

	vm_create(&vm, VM_64, 0, s_vmcall);
	load[0] = (struct msr_entry){ MSR_KERNEL_GS_BASE, 0, 0x1111 };
	load[1] = (struct msr_entry){ MSR_STAR, 0, 0x2222 };
	load[2] = (struct msr_entry){ MSR_STAR, 0, 0x3333 };
	load[3] = (struct msr_entry){ MSR_LSTAR, 0, 0xffff800000004444 };
	store[0].msr = MSR_STAR;
	store[1].msr = MSR_KERNEL_GS_BASE;
	store[2].msr = MSR_SYSENTER_ESP;
	store[3].msr = MSR_FS_BASE;
	store[4].msr = MSR_TSC;
	back[0] = (struct msr_entry){ MSR_STAR, 0, 0x5555 };
	back[1] = (struct msr_entry){ MSR_KERNEL_GS_BASE, 0, 0x6666 };
	vmwrite(F_ENTRY_MSR_LOAD, addr_of(load));
	vmwrite(F_EXIT_MSR_STORE, addr_of(store));
	vmwrite(F_EXIT_MSR_LOAD, addr_of(back));
	vmwrite(F_ENTRY_MSR_LOAD_COUNT, 4);
	vmwrite(F_EXIT_MSR_STORE_COUNT, 5);
	vmwrite(F_EXIT_MSR_LOAD_COUNT, 2);
	vmwrite(F_GUEST_SYSENTER_ESP, 0x7777);
	vmwrite(F_GUEST_FS_BASE, 0x8888000);
	go(&vm, "lists");
	result("stored=%lx,%lx,%lx,%lx loaded=%lx,%lx,%lx", store[0].value, store[1].value, store[2].value, store[3].value,
	       msr_read(MSR_STAR), msr_read(MSR_KERNEL_GS_BASE), msr_read(MSR_LSTAR));
	CHECK(rdtsc() - store[4].value < 100000000);
	vmwrite(F_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(F_EXIT_MSR_LOAD_COUNT, 0);
	for (i = 0; i < ARRAY_SIZE(bads); i++) {
		u32 reason;

		load[2] = bads[i].bad;
		msr_write(MSR_STAR, 0);
		msr_write(MSR_LSTAR, 0);
		reason = vm_run(&vm);
		vm_report(&vm, reason, bads[i].name);
		result("%s star=%lx lstar=%lx", bads[i].name, msr_read(MSR_STAR), msr_read(MSR_LSTAR));
	}
	/* alignment and width of the addresses */
	load[2] = (struct msr_entry){ MSR_STAR, 0, 0x3333 };
	vmwrite(F_ENTRY_MSR_LOAD, addr_of(load) + 8);
	go(&vm, "unaligned");
	vmwrite(F_ENTRY_MSR_LOAD, BIT(52));
	go(&vm, "wide");
	vmwrite(F_ENTRY_MSR_LOAD, (1ull << (cpuid(0x80000008, 0).eax & 0xff)) - 16);
	go(&vm, "over_the_end");
	vmwrite(F_ENTRY_MSR_LOAD_COUNT, 0);
	go(&vm, "count_0_any_address");
	vmwrite(F_EXIT_MSR_STORE, addr_of(store) + 4);
	vmwrite(F_EXIT_MSR_STORE_COUNT, 1);
	go(&vm, "store_unaligned");
	vmwrite(F_EXIT_MSR_STORE_COUNT, 0);
	/* a list of the recommended greatest length */
	{
		struct msr_entry *list = page_alloc_contig((max * 16 + 4095) / 4096);

		for (i = 0; i < max; i++)
			list[i] = (struct msr_entry){ i & 1 ? MSR_STAR : MSR_LSTAR, 0, i };
		vmwrite(F_ENTRY_MSR_LOAD, addr_of(list));
		vmwrite(F_ENTRY_MSR_LOAD_COUNT, max);
		vmwrite(F_EXIT_MSR_STORE, addr_of(list));
		vmwrite(F_EXIT_MSR_STORE_COUNT, max);
		go(&vm, "longest");
		result("longest first=%lx last=%lx", list[0].value, list[max - 1].value);
		list[max - 1].reserved = 1;
		go(&vm, "longest_bad_last");
	}
	msr_write(MSR_STAR, 0);
	msr_write(MSR_LSTAR, 0);
	msr_write(MSR_KERNEL_GS_BASE, 0);
}

/* VMX abort on another CPU: a store or load list that fails leaves the indicator in the VMCS and the CPU in shutdown. */
static struct abort_case {
	struct vm vm;
	struct msr_entry *list;
	bool load;
	volatile bool came_back;
} abort_case;

static void abort_cpu(void *arg)
{
	struct abort_case *c = arg;

	vmx_enable();
	vm_create(&c->vm, VM_64, 0, s_vmcall);
	c->list[0] = (struct msr_entry){ 0x12345, 0, 0 };
	vmwrite(c->load ? F_EXIT_MSR_LOAD : F_EXIT_MSR_STORE, addr_of(c->list));
	vmwrite(c->load ? F_EXIT_MSR_LOAD_COUNT : F_EXIT_MSR_STORE_COUNT, 1);
	vm_run(&c->vm);
	c->came_back = true;
	vmx_disable();
}

/* Activity state wait-for-SIPI, and INIT, on another CPU. */
static volatile u32 remote_reason;
static volatile u64 remote_qualification, remote_activity, remote_rip;
static volatile bool remote_ready;

static void remote_run(u64 activity, const u8 *code)
{
	static struct vm vm;

	vmx_enable();
	vm_create(&vm, VM_64, 0, code);
	vmwrite(F_GUEST_ACTIVITY, activity);
	remote_ready = true;
	remote_reason = vm_run(&vm);
	remote_qualification = vmread(F_QUALIFICATION);
	remote_activity = vmread(F_GUEST_ACTIVITY);
	remote_rip = vm_pc(&vm);
	vmx_disable();
}

static void remote_active(void *arg)
{
	(void)arg;
	remote_run(ACTIVE, s_loop);
}

static void remote_hlt(void *arg)
{
	(void)arg;
	remote_run(HLT, s_loop);
}

static void remote_shutdown(void *arg)
{
	(void)arg;
	remote_run(SHUTDOWN, s_loop);
}

static void remote_wait(void *arg)
{
	(void)arg;
	remote_run(WAIT_FOR_SIPI, s_loop);
}

static void remote(const char *what, void (*fn)(void *), u32 icr, u32 icr2)
{
	u32 id = cpus[1].apic_id;

	remote_ready = false;
	remote_reason = 0xdead;
	smp_call(1, fn, NULL);
	while (!remote_ready)
		cpu_pause();
	delay(50000);
	if (remote_reason == 0xdead && icr) {
		apic_ipi(id, icr | ICR_ASSERT);
		delay(20000);
	}
	if (remote_reason == 0xdead && icr2)
		apic_ipi(id, icr2 | ICR_ASSERT);
	if (!smp_wait(1, 2000000)) {
		result("%s no exit", what);
		return;
	}
	result("%s exit=%u qual=%lx activity=%lx rip=%s", what, remote_reason, remote_qualification, remote_activity,
	       remote_rip <= 2 ? "loop" : "other");
}

TEST(init_sipi)
{
	NEED(smp_start() > 1);
	remote("init", remote_active, ICR_INIT, 0);
	if (caps.misc & BIT(6))
		remote("init_in_hlt", remote_hlt, ICR_INIT, 0);
	if (caps.misc & BIT(7))
		remote("init_in_shutdown", remote_shutdown, ICR_INIT, 0);
	if (caps.misc & BIT(8)) {
		remote("sipi", remote_wait, ICR_SIPI | 0x9a, 0);
		remote("init_then_sipi", remote_wait, ICR_INIT, ICR_SIPI | 0x34);
		remote("nmi_then_sipi", remote_wait, ICR_NMI, ICR_SIPI | 0x56);
	}
}

/* Last of the two-CPU tests: the other CPU does not come back. */
TEST(vmx_abort)
{
	NEED(smp_start() > 1);
	abort_case.list = page_alloc();
	abort_case.load = option_flag("abort-load");
	smp_call(1, abort_cpu, &abort_case);
	smp_wait(1, 2000000);
	result("came_back=%u indicator=%u", abort_case.came_back, ((volatile u32 *)ptr_of(abort_case.vm.vmcs))[1]);
	CHECK(!abort_case.came_back);
	/* that CPU has VMX on and is gone for this run */
}

TEST_VMX(activity)
{
	static const struct {
		const char *name;
		u64 activity, event, flags;
	} list[] = {
		{ "hlt_extint", HLT, INTR_EXTERNAL | 0x50, RFLAGS_IF }, { "hlt_nmi", HLT, INTR_NMI | 2, 0 },
		{ "hlt_db", HLT, INTR_HARD | 1, 0 }, { "hlt_mc", HLT, INTR_HARD | 18, 0 }, { "hlt_ud", HLT, INTR_HARD | 6, 0 },
		{ "hlt_soft", HLT, INTR_SOFT | 0x50, 0 }, { "hlt_int3", HLT, INTR_SOFT_EXC | 3, 0 },
		{ "shutdown_nmi", SHUTDOWN, INTR_NMI | 2, 0 }, { "shutdown_extint", SHUTDOWN, INTR_EXTERNAL | 0x50, RFLAGS_IF },
		{ "shutdown_mc", SHUTDOWN, INTR_HARD | 18, 0 }, { "shutdown_db", SHUTDOWN, INTR_HARD | 1, 0 },
		{ "wait_nmi", WAIT_FOR_SIPI, INTR_NMI | 2, 0 }, { "invalid", 4, 0, 0 },
	};
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (list[i].activity && list[i].activity < 4 && !(caps.misc & BIT(5 + list[i].activity)))
			continue;
		vm_create(&vm, VM_64, 0, s_vmcall);
		vmwrite(F_GUEST_ACTIVITY, list[i].activity);
		vmset(F_GUEST_RFLAGS, list[i].flags);
		vmwrite(F_ENTRY_LENGTH, 1);
		if (list[i].event)
			vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | list[i].event);
		go(&vm, list[i].name);
	}
	vm_create(&vm, VM_64, 0, s_vmcall);
	vmwrite(F_GUEST_ACTIVITY, HLT);
	vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_STI);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	go(&vm, "hlt_sti");
	vm_create(&vm, VM_64, 0, s_vmcall);
	vmwrite(F_GUEST_ACTIVITY, HLT);
	vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
	go(&vm, "hlt_movss");
	vm_create(&vm, VM_64, 0, s_vmcall);
	vmwrite(F_GUEST_ACTIVITY, HLT);
	vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
	vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
	go(&vm, "hlt_user");
}

GUEST_CODE(s_call_tss, 32, "lcall $0x58, $0; vmcall");
GUEST_CODE(s_jmp_tss, 32, "ljmp $0x58, $0; vmcall");
GUEST_CODE(s_call_gate, 32, "lcall $0x60, $0; vmcall");
GUEST_CODE(s_iret_nt, 32, "pushf; orl $0x4000, (%esp); popf; iret; vmcall");
GUEST_CODE(s_int_gate, 32, "int $0x42; vmcall");
GUEST_CODE(s_ud_gate, 32, "ud2; vmcall");

/* Task switches exit with source and selector, before anything changed. */
TEST_VMX(task_switch)
{
	static const struct {
		const char *name;
		const u8 *code;
		u32 gate;	/* vector with a task gate, or 0 */
		u64 event;
	} list[] = {
		{ "call", s_call_tss, 0, 0 }, { "jmp", s_jmp_tss, 0, 0 }, { "call_gate", s_call_gate, 0, 0 },
		{ "iret", s_iret_nt, 0, 0 }, { "int", s_int_gate, 0x42, 0 }, { "ud", s_ud_gate, 6, 0 },
		{ "inj_extint", s_vmcall32, 0x50, INTR_EXTERNAL | 0x50 }, { "inj_nmi", s_vmcall32, 2, INTR_NMI | 2 },
		{ "inj_hard", s_vmcall32, 13, INTR_HARD | INTR_CODE | 13 }, { "inj_soft", s_vmcall32, 0x50, INTR_SOFT | 0x50 },
		{ "inj_int3", s_vmcall32, 3, INTR_SOFT_EXC | 3 }, { "inj_int1", s_vmcall32, 1, INTR_PRIV | 1 },
	};
	u64 tss = addr_of(page_alloc());
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		u32 reason;

		gdt_set(SEL_FREE, 0x67 | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24) << 56);
		this_cpu()->gdt[SEL_FREE / 8 + 1] = (u64)SEL_FREE << 16 | 0x85ull << 40; /* task gate at 60 */
		vm_create(&vm, VM_32, 0, list[i].code);
		*(u16 *)ptr_of(vmread(F_GUEST_TR_BASE)) = SEL_FREE; /* back link, for IRET */
		if (list[i].code == s_iret_nt)
			this_cpu()->gdt[SEL_FREE / 8] |= 2ull << 40; /* busy */
		if (list[i].gate)
			((u64 *)ptr_of(vmread(F_GUEST_IDTR_BASE)))[list[i].gate] = (u64)SEL_FREE << 16 | 0xe5ull << 40;
		if (list[i].event) {
			vmset(F_GUEST_RFLAGS, RFLAGS_IF);
			vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | list[i].event);
			vmwrite(F_ENTRY_ERROR_CODE, 0x18);
			vmwrite(F_ENTRY_LENGTH, 1);
		}
		reason = vm_run(&vm);
		vm_report(&vm, reason, list[i].name);
		result("%s tr=%lx nt=%u", list[i].name, vmread(F_GUEST_TR), !!(vmread(F_GUEST_RFLAGS) & RFLAGS_NT));
	}
	gdt_set(SEL_FREE, 0);
	this_cpu()->gdt[SEL_FREE / 8 + 1] = 0;
}

/* A failed entry (33) loads host state and the exit MSR list, but stores nothing and leaves VMCS guest fields alone. */
TEST_VMX(failed_entry)
{
	struct msr_entry *store = page_alloc();
	struct msr_entry *back = page_alloc();
	struct vm vm;

	vm_create(&vm, VM_64, 0, s_vmcall);
	store[0] = (struct msr_entry){ MSR_STAR, 0, 0xaaaa };
	back[0] = (struct msr_entry){ MSR_STAR, 0, 0xbbbb };
	vmwrite(F_EXIT_MSR_STORE, addr_of(store));
	vmwrite(F_EXIT_MSR_LOAD, addr_of(back));
	vmwrite(F_EXIT_MSR_STORE_COUNT, 1);
	vmwrite(F_EXIT_MSR_LOAD_COUNT, 1);
	vmwrite(F_GUEST_RFLAGS, 0);
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | 6);
	msr_write(MSR_STAR, 0);
	go(&vm, "failed");
	result("stored=%lx loaded=%lx entry_info=%lx exit_info=%lx idt=%lx rip=%s", store[0].value, msr_read(MSR_STAR),
	       vmread(F_ENTRY_INTR_INFO), vmread(F_EXIT_INTR_INFO) & INTR_VALID, vmread(F_IDT_INFO) & INTR_VALID,
	       vm_pc(&vm) ? "moved" : "same");
	vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED);
	vmwrite(F_ENTRY_INTR_INFO, 0);
	CHECK(vm_run(&vm) == REASON_VMCALL); /* still to be launched */
	result("stored=%lx", store[0].value);
	msr_write(MSR_STAR, 0);
}
