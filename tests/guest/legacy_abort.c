/* SPDX-License-Identifier: MIT */
/*
 * Guest test "legacy", the host's PDPTEs: a VM exit to a 32-bit PAE host loads
 * them from memory; one with a reserved bit is a VMX abort, and so is an exit
 * from IA-32e mode; on CPUs of their own, and the last tests. SDM: "Checking
 * and Loading Host Page-Directory-Pointer-Table Entries", "VMX Aborts".
 */
#include "tests/guest/legacy.h"

#define HIGH 0xc0000000u /* what PDPTE 3 maps */

/* A copy of PAE tables' PDPTEs, at `offset` of a new page. */
static u64 *copy_pdptes(u64 cr3, u32 offset)
{
	u8 *page = page_alloc();

	memcpy(page + offset, ptr_of(cr3), 32);
	return (u64 *)(void *)(page + offset);
}

/* Another page directory for HIGH, in which it is `page`. */
static u64 other_directory(u32 *page)
{
	u64 *directory = page_alloc(), *table = page_alloc();

	table[0] = addr_of(page) | PTE_P | PTE_W | PTE_A | PTE_D;
	directory[0] = addr_of(table) | PTE_P | PTE_W | PTE_A;
	return addr_of(directory);
}

static u64 prepare(u64 host_cr3, enum vm_mode mode, u64 flags)
{
	u64 vmcs = legacy_vmcs(mode, flags, l_vmcall, host_cr3, legacy_cr4(true));

	legacy_reset();
	legacy_words[0] = vmx_region();
	legacy_words[1] = vmcs;
	legacy_add(VMXON, addr_of(legacy_words), 0);
	legacy_add(VMPTRLD, addr_of(legacy_words + 1), 0);
	return vmcs;
}

/* What a VM exit loads: the PDPTEs of HOST_CR3 as they are in memory then; what
 * they may have. */
TEST(host_pdptes)
{
	static const struct {
		const char *name;
		u64 bits, absent;
		u32 offset, low;
	} list[] = {
		{ "plain", 0, 0, 0, 0 },
		{ "ignored_bits", PTE_PWT | PTE_PCD | GENMASK(11, 9), 0, 0, 0 },
		{ "absent_reserved", 0, ~1ull, 0, 0 },
		{ "cr3_low_bits", 0, 0, 0, 0x1f },
		{ "at_20", 0, 0, 0x20, 0 },
		{ "at_fe0", 0, 0, 0xfe0, 0x18 },
	};
	u32 i, ept;

	for (ept = 0; ept < 2; ept++) {
		for (i = 0; i < ARRAY_SIZE(list); i++) {
			u64 cr3 = paging_create_pae(), *host = copy_pdptes(cr3, list[i].offset);
			u32 *first = page_alloc(), *second = page_alloc();
			char name[32];

			if (ept && !caps_proc2(PROC2_EPT))
				continue;
			first[0] = 0x11;
			second[0] = 0x22;
			((u64 *)ptr_of(cr3))[3] = other_directory(first) | PTE_P;
			host[3] = other_directory(second) | PTE_P | list[i].bits;
			host[2] = list[i].absent ? list[i].absent : host[2];
			prepare(addr_of(host) | list[i].low, VM_32, ept ? VM_EPT : 0);
			legacy_add(LOAD, HIGH, 0);
			legacy_add(VMLAUNCH, 0, 0);
			legacy_add(LOAD, HIGH, 0);
			legacy_add(VMREAD_MEMORY, F_HOST_CS, HIGH + 4);
			legacy_add(LOAD, 0x80000000, 0);
			/* the registers stay as they are until the next exit, or MOV to CR3 */
			legacy_add(STORE, addr_of(host + 3), (other_directory(first) | PTE_P));
			legacy_add(LOAD, HIGH, 0);
			legacy_add(VMREAD_MEMORY, F_HOST_CS, HIGH + 8);
			legacy_add(VMRESUME, 0, 0);
			legacy_add(LOAD, HIGH, 0);
			legacy_add(VMREAD_MEMORY, F_HOST_CS, HIGH + 12);
			legacy_add(CR3, cr3, 0);
			legacy_add(VMXOFF, 0, 0);
			legacy_execute(cr3, legacy_cr4(true), SEL_CODE32, SEL_DATA, 0);
			format(name, sizeof(name), "%s ept=%u", list[i].name, ept);
			legacy_report(name);
			result("%s first=%x,%x,%x second=%x,%x,%x", name, first[1], first[2], first[3],
			       second[1], second[2], second[3]);
		}
	}
}

/* The ways into a VMX abort of a 32-bit host, each on a CPU that does not come
 * back. */
enum way { AT_EXIT, AT_FAILED_ENTRY, FROM_LONG_MODE };
static const struct {
	const char *name;
	enum way way;
	u64 bits; /* of a PDPTE */
	u32 which, indicator;
} aborts[] = {
	{ "exit_bit_1", AT_EXIT, BIT(1), 3, 2 },
	{ "failed_entry_bit_52", AT_FAILED_ENTRY, BIT(52), 1, 2 },
	{ "from_long_mode", FROM_LONG_MODE, 0, 0, 6 },
};

/* An unpaged L2 enters IA-32e mode by itself; CR3 is right already. */
GUEST_CODE(l_to_long_mode, 32,
	   "mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr; mov %cr4, "
	   "%eax; or $0x20, %eax; mov %eax, %cr4; "
	   "mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; vmcall");

static volatile bool came_back;
static u64 abort_vmcs;
static u32 abort_kind;

static void abort_now(void *arg)
{
	u64 cr3 = paging_create_pae(), *host = copy_pdptes(cr3, 0);
	bool from_long = aborts[abort_kind].way == FROM_LONG_MODE;

	(void)arg;
	host[aborts[abort_kind].which] |= aborts[abort_kind].bits;
	abort_vmcs = prepare(addr_of(host), from_long ? VM_PROTECTED : VM_32, 0);
	if (aborts[abort_kind].way == AT_FAILED_ENTRY)
		legacy_add(VMWRITE, F_GUEST_RFLAGS, 0);
	if (from_long) {
		legacy_add(VMWRITE, F_GUEST_RIP, addr_of(l_to_long_mode));
		legacy_add(VMWRITE, F_GUEST_CR3, paging_create64());
		legacy_add(VMWRITE, F_MSR_BITMAP, addr_of(page_alloc()));
		legacy_add(VMWRITE, F_PROC, caps_adjust(caps.proc, PROC_SECONDARY | PROC_MSR_BITMAPS));
	}
	legacy_add(VMLAUNCH, 0, 0);
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(cr3, legacy_cr4(true), SEL_CODE32, SEL_DATA, 0);
	came_back = true;
}

TEST(host_pdptes_abort)
{
	u32 n = smp_start(), kind;

	NEED(n > 1);
	for (kind = 0; kind < ARRAY_SIZE(aborts) && kind + 1 < n; kind++) {
		u32 cpu = n - 1 - kind;
		volatile u32 *indicator;

		if (aborts[kind].way == FROM_LONG_MODE && !vm_mode_possible(VM_PROTECTED))
			continue;
		abort_kind = kind;
		came_back = false;
		smp_call(cpu, abort_now, NULL);
		smp_wait(cpu, 2000000);
		if (aborts[kind].way == AT_EXIT) /* see deviations.md */
			apic_ipi(cpus[cpu].apic_id, ICR_NMI | ICR_ASSERT);
		smp_wait(cpu, 20000);
		indicator = (u32 *)ptr_of(abort_vmcs) + 1;
		if (aborts[kind].way == FROM_LONG_MODE && !under_socle()) { /* again */
			info("%s indicator=%u came_back=%u", aborts[kind].name, *indicator, came_back);
			continue;
		}
		CHECK(!came_back && *indicator == aborts[kind].indicator);
		if (aborts[kind].way != FROM_LONG_MODE)
			result("%s indicator=%u", aborts[kind].name, *indicator);
	}
}
