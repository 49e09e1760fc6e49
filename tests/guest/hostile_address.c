/* SPDX-License-Identifier: MIT */
/*
 * Guest test "hostile", the addresses in a VMCS: each is aimed at memory that is not there (under Socle, at
 * L0's window too), at ROM, at the last page of RAM and beyond the processor's width, and used. What is not
 * there reads as ones and drops what is written, whoever uses it, the processor included.
 * SDM: "VM-Execution Control Fields", "APIC Virtualization and Virtual Interrupts", "Checks on VMX Controls".
 */
#include "tests/guest/hostile.h"

#define ABSENT 0x90000000ul
#define ROM 0xf0000ul
#define MMIO 0xe0000000ul
#define NOTIFICATION 0x62
#define PATTERN 0x5a

GUEST_CODE(d_vmcall, 64, "vmcall");
GUEST_CODE(d_in_low, 64, "in $0x80, %al; vmcall");
GUEST_CODE(d_in_high, 64, "mov $0x8080, %edx; in (%dx), %al; vmcall");
GUEST_CODE(d_rdmsr, 64, "mov $0x174, %ecx; rdmsr; vmcall");
GUEST_CODE(d_cr8, 64, "mov %cr8, %rax; mov %rbx, %cr8; mov %cr8, %rcx; vmcall");
GUEST_CODE(d_tpr_msr, 64, "mov $0x808, %ecx; mov $0x50, %eax; xor %edx, %edx; wrmsr; rdmsr; vmcall");
GUEST_CODE(d_read, 64, "mov (%rbx), %eax; vmcall");
GUEST_CODE(d_write, 64, "movb $1, (%rbx); vmcall");
GUEST_CODE(d_vmread, 64, "mov $0x681e, %eax; vmread %rax, %rcx; vmcall");
GUEST_CODE(d_vmwrite, 64, "mov $0x681e, %eax; vmwrite %rax, %rax; vmcall");
GUEST_CODE(d_vmfunc, 64, "xor %eax, %eax; xor %ecx, %ecx; vmfunc; vmcall");
GUEST_CODE(d_pae, 32, "vmcall");

static struct vm vm;
static u64 ram_page; /* the last of the RAM below the first hole */

static void find_ram_end(u64 base, u64 size, u32 type)
{
	(void)size;
	(void)type;
	if (base >= 64 * MIB && (!ram_page || base - PAGE_SIZE < ram_page))
		ram_page = (base - PAGE_SIZE) & ~0xffful;
}

static u64 beyond(void)
{
	return BIT(cpuid(0x80000008, 0).eax & 0xff);
}

/* One use of the address that a field holds: `at`, whose page is RAM if `ram`. */
static const char *field_name, *place_name; /* no place: nothing is printed */

static u32 run(void)
{
	u32 reason = vm_run(&vm);

	if (!place_name)
		return VM_FAIL;
	result("%s %s exit=%x qual=%lx rax=%lx rcx=%lx handler=%u", field_name, place_name, reason,
	       reason & VM_FAIL || reason == REASON_EPT_MISCONFIG ? 0 : vmread(F_QUALIFICATION), vm.regs.rax,
	       vm.regs.rcx, vm_vector(&vm));
	return reason;
}

static void use_io_bitmap_a(u64 at, bool ram)
{
	(void)ram;
	vm_create(&vm, VM_64, 0, d_in_low);
	vm_use_io_bitmaps(&vm);
	vmwrite(F_IO_BITMAP_A, at);
	run();
}

static void use_io_bitmap_b(u64 at, bool ram)
{
	(void)ram;
	vm_create(&vm, VM_64, 0, d_in_high);
	vm_use_io_bitmaps(&vm);
	vmwrite(F_IO_BITMAP_B, at);
	run();
}

static void use_msr_bitmap(u64 at, bool ram)
{
	(void)ram;
	vm_create(&vm, VM_64, 0, d_rdmsr);
	vm_use_msr_bitmap(&vm);
	vmwrite(F_MSR_BITMAP, at);
	run();
}

/* A store list that is not there holds MSR numbers of ones: a VMX abort, from which no processor comes back.
 */
static void use_exit_msr_store_addr(u64 at, bool ram)
{
	u64 *list = ptr_of(at);

	vm_create(&vm, VM_64, 0, d_vmcall);
	if (ram)
		list[0] = MSR_STAR;
	else if (at < beyond())
		return;
	vmwrite(F_EXIT_MSR_STORE, at);
	vmwrite(F_EXIT_MSR_STORE_COUNT, 1);
	run();
	if (ram)
		result("stored %x", list[1] == msr_read(MSR_STAR));
}

static void use_exit_msr_load_addr(u64 at, bool ram)
{
	u64 *list = ptr_of(at), before = msr_read(MSR_STAR);

	vm_create(&vm, VM_64, 0, d_vmcall);
	if (ram) {
		list[0] = MSR_STAR;
		list[1] = 0x1234;
	} else if (at < beyond()) {
		return;
	}
	vmwrite(F_EXIT_MSR_LOAD, at);
	vmwrite(F_EXIT_MSR_LOAD_COUNT, 1);
	run();
	if (ram)
		result("loaded %lx", msr_read(MSR_STAR));
	msr_write(MSR_STAR, before);
}

static void use_entry_msr_load_addr(u64 at, bool ram)
{
	u64 *list = ptr_of(at), before = msr_read(MSR_STAR);

	vm_create(&vm, VM_64, 0, d_vmcall);
	if (ram) {
		list[0] = MSR_STAR;
		list[1] = 0x4321;
	}
	vmwrite(F_ENTRY_MSR_LOAD, at);
	vmwrite(F_ENTRY_MSR_LOAD_COUNT, 1);
	run();
	if (ram)
		result("loaded %lx", msr_read(MSR_STAR));
	msr_write(MSR_STAR, before);
}

static void use_pml_address(u64 at, bool ram)
{
	volatile u64 *log = ptr_of(at);
	u32 reason;

	(void)ram;
	if (!caps_proc2(PROC2_PML) || !(caps.ept_vpid & EPT_CAP_AD))
		return;
	vm_create(&vm, VM_64, VM_EPT, d_write);
	vmset(F_PROC2, PROC2_PML);
	vmwrite(F_EPTP, vm.ept | EPTP_FLAGS | EPTP_AD);
	vmwrite(F_PML_ADDRESS, at);
	vmwrite(F_GUEST_PML_INDEX, 511);
	vm.regs.rbx = addr_of(page_alloc());
	reason = run();
	if (reason == REASON_VMCALL)
		result("index=%lx logged=%x ones=%x", vmread(F_GUEST_PML_INDEX), log[511] == vm.regs.rbx,
		       log[511] == ~0ul);
}

/* The processor reads and writes the page: L2's TPR, with every threshold and by the MSR. */
static void use_virtual_apic_addr(u64 at, bool ram)
{
	u32 k;

	for (k = 0; k < 2; k++) {
		vm_create(&vm, VM_64, 0, d_cr8);
		vmset(F_PROC, PROC_TPR_SHADOW);
		vmwrite(F_VIRTUAL_APIC, at);
		vmwrite(F_TPR_THRESHOLD, k && !ram ? 8 : 0);
		vm.regs.rbx = 5;
		run();
		/* what one L2 wrote is not there for the next entry either */
		vm_set_code(&vm, d_cr8);
		run();
	}
	if (!caps_proc2(PROC2_X2APIC) || !caps_proc(PROC_MSR_BITMAPS))
		return;
	vm_create(&vm, VM_64, 0, d_tpr_msr);
	vm_use_msr_bitmap(&vm);
	vmset(F_PROC, PROC_TPR_SHADOW | PROC_SECONDARY);
	vmset(F_PROC2, PROC2_X2APIC);
	vmwrite(F_VIRTUAL_APIC, at);
	vmwrite(F_TPR_THRESHOLD, 0);
	run();
}

/* Only compared. In L0's window nothing can match: L2 finds what is there, nothing. */
static void use_apic_access_addr(u64 at, bool ram)
{
	u32 ept, reason;

	(void)ram;
	if (!caps_proc2(PROC2_APIC_ACCESS))
		return;
	for (ept = 0; ept <= caps_proc2(PROC2_EPT); ept++) {
		vm_create(&vm, VM_64, ept ? VM_EPT : 0, d_read);
		vmset(F_PROC, PROC_SECONDARY);
		vmset(F_PROC2, PROC2_APIC_ACCESS);
		vmwrite(F_APIC_ACCESS, at);
		vm.regs.rbx = at < beyond() ? at : 0;
		if (ept && at < beyond())
			ept_map(vm.ept, at, at, 1, EPT_RWX | EPT_WB);
		if (hostile_has_window() && at - hostile_absent() < 4 * MIB) {
			reason = vm_run(&vm);
			CHECK(reason == REASON_VMCALL && (u32)vm.regs.rax == ~0u);
		} else if (at != hostile_absent() + 0x6000) {
			run();
		}
	}
}

/* A notification that is pending at the entry: the processor takes the descriptor's requests. */
static void use_posted_intr_desc_addr(u64 at, bool ram)
{
	u32 *descriptor = ptr_of(at);
	u8 *apic = page_alloc();

	if (!caps_pin(PIN_POSTED) || !caps_proc2(PROC2_VINTR) || !caps_proc(PROC_TPR_SHADOW))
		return;
	vm_create(&vm, VM_64, 0, d_vmcall);
	if (ram) {
		memset(descriptor, 0, 64);
		descriptor[0x45 / 32] = 1u << 0x45 % 32;
		descriptor[8] = 1;
	}
	vmset(F_PIN, PIN_EXTINT | PIN_POSTED);
	vmset(F_EXIT, EXIT_ACK);
	vmset(F_PROC, PROC_SECONDARY | PROC_TPR_SHADOW);
	vmset(F_PROC2, PROC2_VINTR);
	vmwrite(F_VIRTUAL_APIC, addr_of(apic));
	vmwrite(F_TPR_THRESHOLD, 0);
	vmwrite(F_GUEST_INTR_STATUS, 0);
	vmwrite(F_POSTED_VECTOR, NOTIFICATION);
	vmwrite(F_POSTED_DESCRIPTOR, at);
	if (at < beyond()) {
		apic_self(NOTIFICATION);
		delay(100);
	}
	if (run() == REASON_VMCALL)
		result("status=%lx irr=%x,%x", vmread(F_GUEST_INTR_STATUS), *(u32 *)(void *)(apic + 0x210),
		       *(u32 *)(void *)(apic + 0x220));
	if (ram)
		result("posted=%x on=%x", descriptor[0x45 / 32], descriptor[8]);
}

static void use_ept_pointer(u64 at, bool ram)
{
	if (!caps_proc2(PROC2_EPT))
		return;
	vm_create(&vm, VM_64, VM_EPT, d_vmcall);
	if (ram)
		memcpy(ptr_of(at), ptr_of(vm.ept), PAGE_SIZE);
	vmwrite(F_EPTP, at | EPTP_FLAGS);
	invept(2, 0);
	run();
}

static void use_eptp_list_addr(u64 at, bool ram)
{
	if (!caps_proc2(PROC2_VMFUNC | PROC2_EPT) || !(caps.vmfunc & 1))
		return;
	vm_create(&vm, VM_64, VM_EPT, d_vmfunc);
	if (ram)
		*(u64 *)ptr_of(at) = vm.ept | EPTP_FLAGS;
	vmset(F_PROC2, PROC2_VMFUNC);
	vmwrite(F_VMFUNC_CONTROLS, 1);
	vmwrite(F_EPTP_LIST, at);
	run();
}

static void use_shadow_bitmap(u64 field, u64 at, const u8 *code)
{
	u64 shadow = vmx_region(), good = addr_of(page_alloc());

	if (!caps_proc2(PROC2_SHADOW))
		return;
	/* the page may be a VMCS that is still active: the processor would write its header back */
	vmclear(shadow);
	*(u32 *)ptr_of(shadow) |= 1u << 31;
	vmclear(shadow);
	vm_create(&vm, VM_64, 0, code);
	vmset(F_PROC, PROC_SECONDARY);
	vmset(F_PROC2, PROC2_SHADOW);
	vmwrite(F_VMREAD_BITMAP, good);
	vmwrite(F_VMWRITE_BITMAP, good);
	vmwrite(field, at);
	vmwrite(F_VMCS_LINK, shadow);
	run();
}

static void use_vmread_bitmap(u64 at, bool ram)
{
	(void)ram;
	use_shadow_bitmap(F_VMREAD_BITMAP, at, d_vmread);
}

static void use_vmwrite_bitmap(u64 at, bool ram)
{
	(void)ram;
	use_shadow_bitmap(F_VMWRITE_BITMAP, at, d_vmwrite);
}

static void use_ve_info_addr(u64 at, bool ram)
{
	u64 page = addr_of(page_alloc());

	if (!caps_proc2(PROC2_VE | PROC2_EPT))
		return;
	vm_create(&vm, VM_64, VM_EPT, d_read);
	if (ram)
		memset(ptr_of(at), 0, 64);
	vmset(F_PROC2, PROC2_VE);
	vmwrite(F_VE_ADDRESS, at);
	ept_map(vm.ept, page, page, 1, 0);
	vm.regs.rbx = page;
	run();
	if (ram)
		result("reason=%x busy=%x", *(u32 *)ptr_of(at), *(u32 *)ptr_of(at + 4));
}

static void use_vmcs_link_pointer(u64 at, bool ram)
{
	vm_create(&vm, VM_64, 0, d_vmcall);
	if (ram) {
		memcpy(ptr_of(at), ptr_of(vmx_region()), 4);
		vmclear(at);
	}
	vmwrite(F_VMCS_LINK, at);
	run();
}

/* Guest-physical addresses, translated at each use; without EPT they are L1's own. */
static void use_guest_cr3(u64 at, bool ram)
{
	u32 ept;

	for (ept = 0; ept <= caps_proc2(PROC2_EPT); ept++) {
		vm_create(&vm, VM_64, ept ? VM_EPT : 0, d_vmcall);
		if (ram)
			memcpy(ptr_of(at), ptr_of(cr3_read() & PTE_ADDR), PAGE_SIZE);
		if (ept && at < beyond())
			ept_map(vm.ept, at, at, 1, EPT_RWX | EPT_WB);
		vmwrite(F_EXCEPTION_BITMAP, ~0u);
		vmwrite(F_GUEST_CR3, at);
		if (run() == REASON_EXCEPTION)
			result("intr=%lx code=%lx", vmread(F_EXIT_INTR_INFO), vmread(F_EXIT_ERROR_CODE));
	}
}

static void use_guest_pdpte(u64 field, u32 index, u64 at, bool ram)
{
	u64 *pdptes;

	if (!caps_proc2(PROC2_EPT))
		return;
	vm_create(&vm, VM_PAE, VM_EPT, d_pae);
	pdptes = ptr_of(vmread(F_GUEST_CR3));
	if (ram)
		memcpy(ptr_of(at), ptr_of(pdptes[0] & PTE_ADDR), PAGE_SIZE);
	if (at < beyond())
		ept_map(vm.ept, at, at, 1, EPT_RWX | EPT_WB);
	vmwrite(F_EXCEPTION_BITMAP, ~0u);
	vmwrite(field, at | 1);
	/* the code is at the same place of each GiB's directory, if that is a copy of the first */
	vmset(F_GUEST_RIP, (u64)index << 30);
	if (run() == REASON_EXCEPTION)
		result("intr=%lx code=%lx", vmread(F_EXIT_INTR_INFO), vmread(F_EXIT_ERROR_CODE));
}

#define PDPTE(n)                                                                                             \
	static void use_guest_pdpte##n(u64 at, bool ram)                                                     \
	{                                                                                                    \
		use_guest_pdpte(F_GUEST_PDPTE##n, n, at, ram);                                               \
	}
PDPTE(0)
PDPTE(1)
PDPTE(2)
PDPTE(3)

/* L1 itself would not come back from tables that are not there. */
static void use_host_cr3(u64 at, bool ram)
{
	vm_create(&vm, VM_64, 0, d_vmcall);
	if (ram)
		memcpy(ptr_of(at), ptr_of(cr3_read() & PTE_ADDR), PAGE_SIZE);
	else if (at < beyond())
		return;
	vmwrite(F_HOST_CR3, at);
	run();
	cr3_write(vmread(F_GUEST_CR3));
}

/* Each row of Socle's table of addresses whose field is used: tests/lint/addresses.py compares the two. */
static const struct {
	const char *name;
	void (*use)(u64 at, bool ram);
} fields[] = {
#define ADDRESS(name)                                                                                        \
	{                                                                                                    \
#name, use_##name                                                                            \
	}
	ADDRESS(io_bitmap_a),	     ADDRESS(io_bitmap_b),
	ADDRESS(msr_bitmap),	     ADDRESS(exit_msr_store_addr),
	ADDRESS(exit_msr_load_addr), ADDRESS(entry_msr_load_addr),
	ADDRESS(pml_address),	     ADDRESS(virtual_apic_addr),
	ADDRESS(apic_access_addr),   ADDRESS(posted_intr_desc_addr),
	ADDRESS(ept_pointer),	     ADDRESS(eptp_list_addr),
	ADDRESS(vmread_bitmap),	     ADDRESS(vmwrite_bitmap),
	ADDRESS(ve_info_addr),	     ADDRESS(vmcs_link_pointer),
	ADDRESS(guest_pdpte0),	     ADDRESS(guest_pdpte1),
	ADDRESS(guest_pdpte2),	     ADDRESS(guest_pdpte3),
	ADDRESS(guest_cr3),	     ADDRESS(host_cr3),
};

static void aim(const char *place, u64 at, bool ram)
{
	u32 i;

	place_name = place;
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		u64 mark = page_mark();

		field_name = fields[i].name;
		if (ram)
			memset(ptr_of(at), PATTERN, PAGE_SIZE);
		memset(&vm, 0, sizeof(vm));
		fields[i].use(at, ram);
		page_release(mark);
	}
}

TEST_VMX(addresses_absent)
{
	aim("absent", ABSENT, false);
	aim("window", hostile_absent() + 0x6000, false);
}

TEST_VMX(addresses_rom)
{
	aim("rom", ROM, false);
}

TEST_VMX(addresses_ram_end)
{
	ram_page = 0;
	memory_holes(find_ram_end);
	NEED(ram_page);
	info("last page of RAM: %lx", ram_page);
	aim("ram_end", ram_page, true);
}

TEST_VMX(addresses_beyond)
{
	aim("beyond", beyond(), false);
}

/* Devices that are used as memory: nobody promises what L2 sees; L1 goes on. */
TEST_VMX(addresses_mmio)
{
	aim(NULL, MMIO, false);
	result("alive=1");
}

/* The local APIC's page over L0's window: by WRMSR, by an MSR list, by L2. */
GUEST_CODE(d_apic_base, 64, "wrmsr; vmcall");

static u64 write_msr(u64 msr, u64 value, u64 unused)
{
	(void)unused;
	msr_write((u32)msr, value);
	return 0;
}

TEST_VMX(apic_base_over_the_window)
{
	u64 old = msr_read(MSR_APIC_BASE), value = (hostile_absent() + 0x3000) | (old & 0xfff), *list;
	struct fault fault;

	if (!hostile_has_window()) {
		info("no window here");
		return;
	}
	guard_call(&fault, write_msr, MSR_APIC_BASE, value, 0);
	CHECK(fault.vector == VEC_GP && msr_read(MSR_APIC_BASE) == old);
	vm_create(&vm, VM_64, 0, d_apic_base);
	vm_use_msr_bitmap(&vm);
	vm.regs.rcx = MSR_APIC_BASE;
	vm.regs.rax = (u32)value;
	vm.regs.rdx = value >> 32;
	CHECK(vm_run(&vm) == REASON_VMCALL && vm_vector(&vm) == VEC_GP && msr_read(MSR_APIC_BASE) == old);
	vm_create(&vm, VM_64, 0, d_vmcall);
	list = page_alloc();
	list[0] = MSR_APIC_BASE;
	list[1] = value;
	vmwrite(F_ENTRY_MSR_LOAD, addr_of(list));
	vmwrite(F_ENTRY_MSR_LOAD_COUNT, 1);
	CHECK(vm_run(&vm) == (REASON_FAILED_ENTRY | REASON_BAD_MSR) && vmread(F_QUALIFICATION) == 1);
	CHECK(msr_read(MSR_APIC_BASE) == old);
}
