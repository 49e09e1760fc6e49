/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits", part 3: what an exit saves of L2 and loads of L1, MSR lists, VMX abort, activity
 * states, task switches, INIT and SIPI. SDM: "VM Exits" (saving guest state, loading host state), "VM-Entry
 * Failures".
 */
#include "tests/guest/exits.h"

GUEST_CODE(s_vmcall, 64, "vmcall; hlt");

struct PACKED descriptor {
	u16 limit;
	u64 base;
};

/* What an exit loads beyond the fields: DR7, DEBUGCTL, RFLAGS, limits, LDTR; and what it loads from the
 * fields. */
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
	result("dr7=%lx debugctl=%lx gdt_limit=%x idt_limit=%x ldt=%x tr=%x if_df=%lx", dr7_read(),
	       msr_read(MSR_DEBUGCTL), gdtr.limit, idtr.limit, ldt, tr,
	       flags & (RFLAGS_IF | RFLAGS_DF | RFLAGS_AC));
	CHECK(gdtr.base == addr_of(this_cpu()->gdt) && gdtr.limit == 0xffff && idtr.limit == 0xffff);
	CHECK(dr7_read() == 0x400 && !ldt && tr == SEL_TSS);
	result("sysenter=%lx,%lx,%lx fs=%lx pat=%lx", msr_read(MSR_SYSENTER_CS), msr_read(MSR_SYSENTER_ESP),
	       msr_read(MSR_SYSENTER_EIP), msr_read(MSR_FS_BASE),
	       caps_exit(EXIT_LOAD_PAT) ? msr_read(MSR_PAT) : 0);
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

GUEST_CODE(s_load_segments, 64,
	   "mov $0x10, %eax; mov %eax, %ds; mov $0x2b, %eax; mov %eax, %es; xor %eax, %eax; "
	   "mov %eax, %fs; mov $3, %eax; mov %eax, %gs; mov $0x28, %eax; lldt %bx; "
	   "lgdt (%rsi); lidt 16(%rsi); vmcall");
GUEST_CODE(s_load_segments32, 32,
	   "mov $0x10, %eax; mov %eax, %ds; mov $0x2b, %eax; mov %eax, %es; xor %eax, %eax; "
	   "mov %eax, %fs; mov $3, %eax; mov %eax, %gs; mov $0x40, %eax; mov %eax, %ss; vmcall");
GUEST_CODE(s_load_real, 16,
	   "mov $0x1234, %ax; mov %ax, %ds; mov $0xffff, %ax; mov %ax, %es; push %cs; pop %fs; vmcall");

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
		{ "fs_base", { MSR_FS_BASE, 0, 0 } },
		{ "gs_base", { MSR_GS_BASE, 0, 0 } },
		{ "reserved", { MSR_SYSENTER_CS, 1, 0 } },
		{ "unknown", { 0x12345, 0, 0 } },
		{ "canonical", { MSR_LSTAR, 0, 0x900000000000 } },
		{ "x2apic", { 0x808, 0, 0 } },
		{ "smbase", { 0x9e, 0, 0 } },
		{ "vmx_basic", { MSR_VMX_BASIC, 0, 0 } },
		{ "feature_control", { MSR_FEATURE_CONTROL, 0, 5 } },
		{ "efer_reserved", { MSR_EFER, 0, BIT(20) } },
		{ "microcode", { 0x79, 0, 0 } },
		{ "good", { MSR_STAR, 0, 0x77 } },
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
	result("stored=%lx,%lx,%lx,%lx loaded=%lx,%lx,%lx", store[0].value, store[1].value, store[2].value,
	       store[3].value, msr_read(MSR_STAR), msr_read(MSR_KERNEL_GS_BASE), msr_read(MSR_LSTAR));
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
		/* and at the exit */
		list[max - 1].reserved = 0;
		for (i = 0; i < max; i++)
			list[i].value = 0x10000 + i;
		vmwrite(F_ENTRY_MSR_LOAD_COUNT, 0);
		vmwrite(F_EXIT_MSR_STORE_COUNT, 0);
		vmwrite(F_EXIT_MSR_LOAD, addr_of(list));
		vmwrite(F_EXIT_MSR_LOAD_COUNT, max);
		go(&vm, "longest_at_exit");
		result("longest at exit lstar=%lx star=%lx", msr_read(MSR_LSTAR), msr_read(MSR_STAR));
		CHECK(msr_read(MSR_STAR) == 0x10000 + max - 1);
	}
	msr_write(MSR_STAR, 0);
	msr_write(MSR_LSTAR, 0);
	msr_write(MSR_KERNEL_GS_BASE, 0);
}

/* A failed entry (33) loads host state and the exit MSR list, but stores nothing and leaves VMCS guest fields
 * alone. */
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
	result("stored=%lx loaded=%lx entry_info=%lx exit_info=%lx idt=%lx rip=%s", store[0].value,
	       msr_read(MSR_STAR), vmread(F_ENTRY_INTR_INFO), vmread(F_EXIT_INTR_INFO) & INTR_VALID,
	       vmread(F_IDT_INFO) & INTR_VALID, vm_pc(&vm) ? "moved" : "same");
	vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED);
	vmwrite(F_ENTRY_INTR_INFO, 0);
	CHECK(vm_run(&vm) == REASON_VMCALL); /* still to be launched */
	result("stored=%lx", store[0].value);
	msr_write(MSR_STAR, 0);
}
