/* SPDX-License-Identifier: MIT */
/*
 * Guest test "hostile": what L1's operations can cost L0, at their worst. Time is instructions on the
 * emulator: the processor's own time is a small part of each bound, and the bound is L0's (docs/security.md,
 * "Cost"). Whoever finds a dearer operation gives it a test here.
 */
#include "tests/guest/hostile_cost.h"

u64 cost_worst;

void took(u64 start)
{
	u64 ticks = rdtsc() - start;

	if (ticks > cost_worst)
		cost_worst = ticks;
}

void bounded(const char *what, u64 bound)
{
	/* nobody but L0 has promised it: another platform's number is told, and not judged */
	bool kept = !under_socle() || cost_worst <= bound;

	info("%s: %lu ticks of %lu", what, cost_worst, bound);
	result("%s %s", what, kept ? "bounded" : "too dear");
	CHECK(kept);
	cost_worst = 0;
}

static u64 saved[VARIABLE], saved_def;

void mtrrs_save(void)
{
	u32 i;

	for (i = 0; i < VARIABLE; i++)
		saved[i] = msr_read(MSR_PHYSBASE0 + i);
	saved_def = msr_read(MSR_MTRR_DEF_TYPE);
}

void mtrrs_restore(void)
{
	u32 i;

	for (i = 0; i < VARIABLE; i++)
		msr_write(MSR_PHYSBASE0 + i, saved[i]);
	msr_write(MSR_MTRR_DEF_TYPE, saved_def);
}

/* ---- MSR lists ---- */

static u64 read_msr(u64 msr, u64 a, u64 b)
{
	(void)a;
	(void)b;
	return msr_read((u32)msr);
}

static bool msr_exists(u32 msr, u64 *value)
{
	struct fault f;

	*value = guard_call(&f, read_msr, msr, 0, 0);
	return f.vector == NO_FAULT;
}

GUEST_CODE(c_vmcall, 64, "vmcall; jmp c_vmcall");

/* An entry of L2 and its exit, with what came since `start`. */
void time_entry(struct vm *vm, u64 start)
{
	vm_set_code(vm, c_vmcall);
	CHECK(vm_run(vm) == REASON_VMCALL);
	took(start);
}

struct list_entry {
	u32 msr, reserved;
	u64 value;
};

static void fill_list(struct list_entry *list, u32 count, u32 msr, u64 a, u64 b)
{
	u32 i;

	for (i = 0; i < count; i++)
		list[i] = (struct list_entry){ msr, 0, i & 1 ? b : a };
}

static u64 run_time(struct vm *vm)
{
	u64 start;

	vm_set_code(vm, c_vmcall);
	start = rdtsc();
	vm_run(vm);
	return rdtsc() - start;
}

static void cost_of_list(struct vm *vm, u32 count_field, u32 count, const char *what)
{
	u64 without = run_time(vm), with;

	vmwrite(count_field, count);
	with = run_time(vm);
	vmwrite(count_field, 0);
	cost_worst = with > without ? with - without : 0;
	info("%s: %lu each", what, cost_worst / count);
	bounded(what, ENTRY_MAX * count);
}

TEST_VMX(cost_lists)
{
	static const struct {
		u32 msr;
		u64 flip;
	} kinds[] = {
		{ MSR_PHYSBASE0 + 1, 0xff000 },
		{ MSR_MTRR_DEF_TYPE, 6 },
		{ 0x1d9, 0 },
		{ 0x277, 1 },
		{ 0x176, 0x1000 },
		{ 0xc0000080, 0 },
		{ 0x1a0, 0 },
		{ 0x1b, 0 },
		{ 0xc0000082, 0x1000 },
		{ 0xc0000102, 0x1000 },
		{ 0xda0, 0 },
		{ 0x3a, 0 },
		{ 0x480, 0 },
		{ 0x48b, 0 },
		{ 0xcf, 0 },
		{ 0x26f, 0 },
		{ 0x3b, 0 },
		{ 0x38f, 0 },
		{ 0x17a, 0 },
		{ 0x33, 0 },
	};
	u32 count = 512 * (u32)((caps.misc >> 25 & 7) + 1), i;
	struct list_entry *list = page_alloc_contig(count * sizeof(*list) / PAGE_SIZE);
	char name[48];
	struct vm vm;

	mtrrs_save();
	vm_create(&vm, VM_64, 0, c_vmcall);
	run_time(&vm);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		u32 msr = kinds[i].msr;
		u64 value;

		if (!msr_exists(msr, &value))
			continue;
		fill_list(list, count, msr, value ^ kinds[i].flip, value);
		vmwrite(F_ENTRY_MSR_LOAD, addr_of(list));
		vmwrite(F_EXIT_MSR_LOAD, addr_of(list));
		format(name, sizeof(name), "entry list of %x", msr);
		cost_of_list(&vm, F_ENTRY_MSR_LOAD_COUNT, count, name);
		/* a refused entry of this one would be a VMX abort */
		if (msr != 0x3a && msr >> 4 != 0x48 && msr != 0xcf && msr != 0x17a) {
			format(name, sizeof(name), "exit list of %x", msr);
			cost_of_list(&vm, F_EXIT_MSR_LOAD_COUNT, count, name);
		}
		vmwrite(F_EXIT_MSR_STORE, addr_of(list));
		format(name, sizeof(name), "store list of %x", msr);
		cost_of_list(&vm, F_EXIT_MSR_STORE_COUNT, count, name);
	}
	mtrrs_restore();
}

/* ---- VMCSs ---- */

enum { REGIONS = 80 };

TEST_VMX(cost_regions)
{
	static struct vm vms[REGIONS];
	u64 start;
	u32 i;

	for (i = 0; i < REGIONS; i++) {
		vm_create(&vms[i], VM_64, 0, c_vmcall);
		start = rdtsc();
		CHECK(vm_run(&vms[i]) == REASON_VMCALL);
		took(start);
	}
	for (i = 0; i < REGIONS; i++) {
		start = rdtsc();
		vmptrld(vms[i].vmcs);
		took(start);
		start = rdtsc();
		vmread(F_GUEST_CS_BASE);
		took(start);
	}
	for (i = 0; i < REGIONS / 16; i++) {
		start = rdtsc();
		vmclear(vms[i].vmcs);
		took(start);
	}
	for (i = REGIONS / 16; i < REGIONS; i++) {
		vm_current(&vms[i]);
		time_entry(&vms[i], rdtsc());
	}
	bounded("VMCSs in turn", OPERATION_MAX);
	start = rdtsc();
	vmx_disable();
	took(start);
	bounded("VMXOFF with all VMCSs active", OPERATION_MAX);
	vmx_enable();
}

/* Fields by chance: whatever the entry comes to. */
TEST_VMX(cost_entries)
{
	static const u16 fields[] = {
#define FIELD(encoding, name) encoding,
#include "tests/guest/lib/fields.def"
#undef FIELD
	};
	u64 seed = 23, empty = addr_of(page_alloc()), start;
	u32 round, i;

	for (round = 0; round < 150; round++) {
		u64 mark = page_mark();
		struct vm vm;

		vm_create(&vm, VM_64, caps_proc2(PROC2_EPT) ? VM_EPT : 0, c_vmcall);
		for (i = 0; i < ARRAY_SIZE(fields); i++) {
			u64 r = random_next(&seed), v;

			if ((fields[i] >> 10 & 3) == 3 || (r & 31) > (round & 31) ||
			    fields[i] == F_GUEST_ACTIVITY || fields[i] == F_EXIT_MSR_LOAD_COUNT ||
			    fields[i] == F_EXIT_MSR_STORE_COUNT || fields[i] == F_ENTRY_MSR_LOAD_COUNT)
				continue;
			v = random_next(&seed) >> (r >> 8 & 63);
			if (vmread_checked(fields[i], &(u64){ 0 }) == VMX_OK)
				vmwrite_checked(fields[i], v);
		}
		if (round & 1 && caps_proc2(PROC2_EPT))
			vmwrite(F_EPTP, empty | EPTP_FLAGS);
		vmwrite(F_GUEST_CR3, empty);
		vmwrite(F_PROC, vmread(F_PROC) | PROC_HLT);
		vmwrite(F_EXCEPTION_BITMAP, ~0u);
		start = rdtsc();
		vm_run(&vm);
		took(start);
		page_release(mark);
	}
	bounded("entries by chance", OPERATION_MAX);
}

/* ---- L1's own instructions ---- */

static u64 set_cr0(u64 v, u64 a, u64 b)
{
	(void)a;
	(void)b;
	cr0_write(v);
	return 0;
}

static u64 set_cr4(u64 v, u64 a, u64 b)
{
	(void)a;
	(void)b;
	cr4_write(v);
	return 0;
}

static u64 set_xcr(u64 v, u64 index, u64 b)
{
	(void)b;
	xsetbv((u32)index, v);
	return 0;
}

TEST(cost_instructions)
{
	u64 cr0 = cr0_read(), cr4 = cr4_read(), seed = 31, start;
	struct fault f;
	u32 i;

	for (i = 0; i < 256; i++) {
		start = rdtsc();
		cpuid(i & 0x80 ? 0x80000000 | (i & 0x1f) : i & 0x3f, i & 7);
		took(start);
	}
	bounded("CPUID", OPERATION_MAX);
	for (i = 0; i < 64; i++) {
		start = rdtsc();
		guard_call(&f, set_cr0, cr0 ^ BIT(i), 0, 0);
		took(start);
		cr0_write(cr0);
		start = rdtsc();
		guard_call(&f, set_cr4, cr4 ^ BIT(i), 0, 0);
		took(start);
		cr4_write(cr4);
	}
	bounded("MOV to CR0 and CR4", OPERATION_MAX);
	cr4_write(cr4 | CR4_OSXSAVE);
	for (i = 0; i < 256; i++) {
		u64 r = random_next(&seed);

		start = rdtsc();
		guard_call(&f, set_xcr, random_next(&seed) >> (r & 63) | 1, r & 0x1000 ? 0 : r >> 20 & 3, 0);
		took(start);
	}
	guard_call(&f, set_xcr, 1, 0, 0);
	cr4_write(cr4);
	bounded("XSETBV", OPERATION_MAX);
	start = rdtsc();
	asm volatile("wbinvd; invd" : : : "memory");
	took(start);
	bounded("WBINVD and INVD", OPERATION_MAX);
}

/* Socle's own call, from a program of L1's: no such instruction outside VMX operation, and none that prints.
 */
TEST(cost_user_call)
{
	u8 *page = page_alloc();
	struct exec e;
	u32 number;
	u64 start;

	memcpy(page, "\x0f\x01\xc1\xcd\xf0", 5);
	paging_map(addr_of(page), addr_of(page), PTE_P | PTE_W | PTE_U);
	for (number = 0; number < 6; number++) {
		exec_init(&e, addr_of(page));
		exec_user(&e);
		e.regs.rax = 0x50434c53;
		e.regs.rbx = number;
		start = rdtsc();
		exec_run(&e);
		took(start);
		CHECK(e.out.vector == VEC_UD);
	}
	bounded("VMCALL from ring 3", OPERATION_MAX);
}

static u64 debug_call(u64 number, u64 index, u64 unused)
{
	u64 result_of_call = 0x50434c53;

	(void)unused;
	asm volatile("vmcall"
		     : "+a"(result_of_call)
		     : "b"(number), "c"(index)
		     : "rdx", "rsi", "rdi", "memory");
	return result_of_call;
}

/* From ring 0, what does not print: a register's counters, nested ones, a checksum, a resource in use. */
TEST(cost_kernel_call)
{
	static const u8 numbers[] = { 2, 3, 5, 6 };
	struct fault f;
	u64 start;
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		for (k = 0; k < 64; k++) {
			start = rdtsc();
			guard_call(&f, debug_call, numbers[i], k, 0);
			took(start);
		}
	bounded("VMCALL from ring 0", OPERATION_MAX);
}
