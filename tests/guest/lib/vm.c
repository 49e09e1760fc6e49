/* SPDX-License-Identifier: MIT */
/*
 * A guest with sane defaults in each operating mode: it sees L1's memory at the same addresses (identity
 * paging and EPT), has a stack, a TSS and an IDT of its own whose handlers are VMCALLs, and no exit that is
 * not forced.
 */
#include "tests/guest/lib/vmx.h"
#include "tests/guest/lib/test.h"

enum { LOW_IVT = 0x14000 };
u32 vm_enter(struct vm *vm, u64 launched);

const char *const vm_mode_names[VM_MODES] = { "64", "compat", "pae", "32", "protected", "real", "v86" };

static bool low(const struct vm *vm)
{
	return vm->mode == VM_REAL || vm->mode == VM_V86;
}
static bool long_mode(const struct vm *vm)
{
	return vm->mode == VM_64 || vm->mode == VM_COMPAT;
}

bool vm_mode_possible(enum vm_mode mode)
{
	return (mode != VM_REAL && mode != VM_PROTECTED) || caps_proc2(PROC2_EPT | PROC2_UNRESTRICTED);
}

void vm_current(struct vm *vm)
{
	struct cpu *cpu = this_cpu();

	if (cpu->vm == vm)
		return;
	if (vmptrld(vm->vmcs) != VMX_OK)
		test_fail("vm_current", 0, "vmptrld");
	cpu->vm = vm;
}

static void set_controls(struct vm *vm, u64 flags)
{
	u64 proc = 0;
	u64 proc2 = 0;
	u64 entry = long_mode(vm) ? ENTRY_IA32E : 0;

	if (vm->mode == VM_REAL || vm->mode == VM_PROTECTED) {
		flags |= VM_EPT;
		proc2 |= PROC2_UNRESTRICTED;
	}
	if (flags & VM_EPT) {
		proc2 |= PROC2_EPT;
		vm->ept = ept_create();
		vmwrite(F_EPTP, vm->ept | EPTP_FLAGS);
	}
	if (flags & VM_VPID) {
		proc2 |= PROC2_VPID;
		vmwrite(F_VPID, 1);
	}
	if (proc2)
		proc |= PROC_SECONDARY;
	vmwrite(F_PIN, caps_adjust(caps.pin, 0));
	vmwrite(F_PROC, caps_adjust(caps.proc, proc));
	if (caps_proc(PROC_SECONDARY))
		vmwrite(F_PROC2, caps_adjust(caps.proc2, proc2));
	vmwrite(F_EXIT, caps_adjust(caps.exit, EXIT_HOST64 | EXIT_SAVE_EFER | EXIT_LOAD_EFER));
	vmwrite(F_ENTRY, caps_adjust(caps.entry, entry | ENTRY_LOAD_EFER));
	vmwrite(F_EXCEPTION_BITMAP, 0);
	vmwrite(F_PFEC_MASK, 0);
	vmwrite(F_PFEC_MATCH, 0);
	vmwrite(F_CR3_TARGET_COUNT, 0);
	vmwrite(F_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(F_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(F_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(F_ENTRY_INTR_INFO, 0);
	vmwrite(F_CR0_MASK, 0);
	vmwrite(F_CR0_SHADOW, 0);
	vmwrite(F_CR4_MASK, 0);
	vmwrite(F_CR4_SHADOW, 0);
	vmwrite(F_TSC_OFFSET, 0);
}

static void set_host(void)
{
	struct cpu *cpu = this_cpu();
	struct table_register idtr;

	idt_read(&idtr);
	vmwrite(F_HOST_CS, SEL_CODE64);
	vmwrite(F_HOST_SS, SEL_DATA);
	vmwrite(F_HOST_DS, SEL_DATA);
	vmwrite(F_HOST_ES, SEL_DATA);
	vmwrite(F_HOST_FS, SEL_DATA);
	vmwrite(F_HOST_GS, SEL_DATA);
	vmwrite(F_HOST_TR, SEL_TSS);
	vmwrite(F_HOST_FS_BASE, 0);
	vmwrite(F_HOST_GS_BASE, addr_of(cpu));
	vmwrite(F_HOST_TR_BASE, addr_of(&cpu->tss));
	vmwrite(F_HOST_GDTR_BASE, cpu->gdt_register.base);
	vmwrite(F_HOST_IDTR_BASE, idtr.base);
	vmwrite(F_HOST_SYSENTER_CS, 0);
	vmwrite(F_HOST_SYSENTER_ESP, 0);
	vmwrite(F_HOST_SYSENTER_EIP, 0);
	vmwrite(F_HOST_CR0, cr0_read());
	vmwrite(F_HOST_CR3, cr3_read());
	vmwrite(F_HOST_CR4, cr4_read());
	if (caps_exit(EXIT_LOAD_EFER))
		vmwrite(F_HOST_EFER, msr_read(MSR_EFER));
	if (caps_exit(EXIT_LOAD_PAT))
		vmwrite(F_HOST_PAT, msr_read(MSR_PAT));
	vmwrite(F_HOST_RIP, addr_of(vm_exit_stub));
}

/* index: 0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS, 6 LDTR, 7 TR */
static void set_segment(u32 index, u16 selector, u64 base, u32 limit, u32 rights)
{
	vmwrite(F_GUEST_ES + 2 * index, selector);
	vmwrite(F_GUEST_ES_BASE + 2 * index, base);
	vmwrite(F_GUEST_ES_LIMIT + 2 * index, limit);
	vmwrite(F_GUEST_ES_RIGHTS + 2 * index, rights);
}

static void set_segments(struct vm *vm)
{
	bool v86 = vm->mode == VM_V86;
	u32 i;

	for (i = 0; i < 6; i++) {
		u16 selector = i == 1 ? LOW_CODE >> 4 : i == 2 ? LOW_STACK >> 4 : 0;

		if (low(vm))
			set_segment(i, selector, (u64)selector << 4, 0xffff,
				    v86	     ? 0xf3
				    : i == 1 ? 0x9b
					     : 0x93);
		else if (i != 1)
			set_segment(i, SEL_DATA, 0, 0xffffffff, 0xc093);
		else if (vm->mode == VM_64)
			set_segment(i, SEL_CODE64, 0, 0xffffffff, 0xa09b);
		else
			set_segment(i, SEL_CODE32, 0, 0xffffffff, 0xc09b);
	}
	set_segment(6, 0, 0, 0, 0x10000);
}

static void make_handlers(struct vm *vm)
{
	u8 *stubs = low(vm) && vm->mode == VM_REAL ? ptr_of(LOW_STUBS) : page_alloc();
	u8 *idt = vm->mode == VM_REAL ? ptr_of(LOW_IVT) : page_alloc();
	u32 v;

	for (v = 0; v < 256; v++) {
		bool code = v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21;
		u8 *s = stubs + v * 16;
		u64 at = addr_of(s);

		memcpy(s, "\x0f\x01\xc1", 3);
		s += 3;
		if (vm->mode == VM_REAL) {
			*s = 0xcf;
			((u32 *)idt)[v] = (u32)LOW_STUBS >> 4 << 16 | v * 16;
		} else if (long_mode(vm)) {
			if (code) {
				memcpy(s, "\x48\x83\xc4\x08", 4);
				s += 4;
			}
			memcpy(s, "\x48\xcf", 2);
			((u64 *)idt)[v * 2] =
				(at & 0xffff) | SEL_CODE64 << 16 | 0xee00ull << 32 | (at >> 16) << 48;
		} else {
			if (code) {
				memcpy(s, "\x83\xc4\x04", 3);
				s += 3;
			}
			*s = 0xcf;
			((u64 *)idt)[v] =
				(at & 0xffff) | SEL_CODE32 << 16 | 0xee00ull << 32 | (at >> 16) << 48;
		}
	}
	vm->stubs = addr_of(stubs);
	vmwrite(F_GUEST_IDTR_BASE, addr_of(idt));
	vmwrite(F_GUEST_IDTR_LIMIT, vm->mode == VM_REAL ? 0x3ff : long_mode(vm) ? 0xfff : 0x7ff);
}

static void set_system(struct vm *vm)
{
	u8 *tss = page_alloc();
	u64 kernel_stack = addr_of(page_alloc()) + PAGE_SIZE - 16;
	bool paging = vm->mode != VM_REAL && vm->mode != VM_PROTECTED;
	u64 cr0 = CR0_NE | CR0_ET | CR0_WP | (paging ? CR0_PG : 0) | (vm->mode == VM_REAL ? 0 : CR0_PE);
	u64 fixed = caps.cr0_fixed0 & ~(paging ? 0 : CR0_PG) & ~(vm->mode == VM_REAL ? CR0_PE : 0);
	u64 cr4 = caps.cr4_fixed0 | CR4_VMXE;
	u64 cr3 = 0;

	if (long_mode(vm)) {
		cr4 |= CR4_PAE;
		cr3 = cr3_read();
	} else if (vm->mode == VM_PAE) {
		cr4 |= CR4_PAE;
		cr3 = paging_create_pae();
	} else if (paging) {
		cr4 |= CR4_PSE;
		cr3 = paging_create32();
	}
	vmwrite(F_GUEST_CR0, cr0 | fixed);
	vmwrite(F_GUEST_CR3, cr3);
	vmwrite(F_GUEST_CR4, cr4);
	if (caps_proc2(PROC2_EPT)) {
		u32 i;

		for (i = 0; i < 4; i++)
			vmwrite(F_GUEST_PDPTE0 + 2 * i, vm->mode == VM_PAE ? ((u64 *)ptr_of(cr3))[i] : 0);
	}
	if (caps_entry(ENTRY_LOAD_EFER))
		vmwrite(F_GUEST_EFER, long_mode(vm) ? EFER_LME | EFER_LMA | EFER_NXE : 0);
	if (caps_entry(ENTRY_LOAD_PAT))
		vmwrite(F_GUEST_PAT, msr_read(MSR_PAT));
	memcpy(tss + 4, &kernel_stack, 8);
	if (!long_mode(vm))
		tss[8] = SEL_DATA;
	tss[0x66] = 0x68;
	set_segment(7, SEL_TSS, addr_of(tss), 0x67, 0x8b);
	vmwrite(F_GUEST_GDTR_BASE, addr_of(this_cpu()->gdt));
	vmwrite(F_GUEST_GDTR_LIMIT, sizeof(this_cpu()->gdt) - 1);
	vmwrite(F_GUEST_DR7, 0x400);
	vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED | (vm->mode == VM_V86 ? RFLAGS_VM | RFLAGS_IOPL : 0));
	vmwrite(F_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(F_GUEST_ACTIVITY, ACTIVE);
	vmwrite(F_GUEST_PENDING_DEBUG, 0);
	vmwrite(F_GUEST_DEBUGCTL, 0);
	vmwrite(F_GUEST_SYSENTER_CS, 0);
	vmwrite(F_GUEST_SYSENTER_ESP, 0);
	vmwrite(F_GUEST_SYSENTER_EIP, 0);
	vmwrite(F_VMCS_LINK, ~0ull);
}

void vm_create(struct vm *vm, enum vm_mode mode, u64 flags, const void *code)
{
	memset(vm, 0, sizeof(*vm));
	vm->mode = mode;
	vm->vmcs = vmx_region();
	if (vmclear(vm->vmcs) != VMX_OK)
		test_fail("vm_create", 0, "vmclear");
	this_cpu()->vm = NULL;
	vm_current(vm);
	set_controls(vm, flags);
	set_host();
	set_segments(vm);
	set_system(vm);
	make_handlers(vm);
	vm->stack = low(vm) ? 0xff0 : addr_of(page_alloc()) + 2048;
	vmwrite(F_GUEST_RSP, vm->stack);
	vm_set_code(vm, code);
}

void vm_set_code(struct vm *vm, const void *code)
{
	vm->regs.rsp = addr_of(code);
	if (low(vm)) {
		memcpy(ptr_of(LOW_CODE), code, PAGE_SIZE);
		vmwrite(F_GUEST_RIP, 0);
	} else {
		vmwrite(F_GUEST_RIP, addr_of(code));
	}
}

u64 vm_pc(struct vm *vm)
{
	u64 rip = vmread(F_GUEST_RIP);

	return low(vm) ? rip : rip - vm->regs.rsp;
}

u32 vm_run(struct vm *vm)
{
	u32 how, reason;

	vm_current(vm);
	how = vm_enter(vm, vm->launched);
	if (how == VMX_FAIL_INVALID)
		return VM_FAIL;
	if (how == VMX_FAIL_VALID)
		return VM_FAIL | vmx_error();
	reason = (u32)vmread(F_EXIT_REASON);
	if (!(reason & REASON_FAILED_ENTRY))
		vm->launched = true;
	return reason;
}

void vm_skip(struct vm *vm)
{
	(void)vm;
	vmwrite(F_GUEST_RIP, vmread(F_GUEST_RIP) + vmread(F_EXIT_LENGTH));
	vmwrite(F_GUEST_INTERRUPTIBILITY, vmread(F_GUEST_INTERRUPTIBILITY) & ~(BLOCK_STI | BLOCK_MOV_SS));
}

void vm_use_msr_bitmap(struct vm *vm)
{
	vm->msr_bitmap = addr_of(page_alloc());
	vmwrite(F_MSR_BITMAP, vm->msr_bitmap);
	vmset(F_PROC, PROC_MSR_BITMAPS);
}

void vm_use_io_bitmaps(struct vm *vm)
{
	vm->io_bitmap = addr_of(page_alloc_contig(2));
	vmwrite(F_IO_BITMAP_A, vm->io_bitmap);
	vmwrite(F_IO_BITMAP_B, vm->io_bitmap + PAGE_SIZE);
	vmset(F_PROC, PROC_IO_BITMAPS);
}

u32 vm_vector(struct vm *vm)
{
	u64 at = vmread(F_GUEST_CS_BASE) + vmread(F_GUEST_RIP) - vm->stubs;

	return at < PAGE_SIZE && !(at & 15) ? (u32)(at >> 4) : 256;
}

void vm_iret(struct vm *vm)
{
	vm_skip(vm);
}

u64 vm_stack(struct vm *vm, u32 slot)
{
	u64 at = vmread(F_GUEST_SS_BASE) + vmread(F_GUEST_RSP);

	if (long_mode(vm))
		return ((u64 *)ptr_of(at))[slot];
	if (vm->mode == VM_REAL)
		return ((u16 *)ptr_of(at))[slot];
	return ((u32 *)ptr_of(at))[slot];
}

static bool has_length(u32 reason, u64 intr, u64 idt)
{
	u64 type = intr & 0x700;

	switch (reason) {
	case REASON_EXCEPTION: return type == INTR_SOFT_EXC || type == INTR_PRIV;
	case REASON_TASK_SWITCH: return !(idt & INTR_VALID) || (idt & 0x700) >= INTR_SOFT;
	case REASON_EPT_VIOLATION:
	case REASON_EPT_MISCONFIG: return idt & INTR_VALID && (idt & 0x700) >= INTR_SOFT;
	case REASON_CPUID ... REASON_RDTSC:
	case REASON_VMCALL ... REASON_WRMSR:
	case REASON_MWAIT:
	case REASON_MONITOR:
	case REASON_PAUSE:
	case REASON_GDTR_IDTR:
	case REASON_LDTR_TR:
	case REASON_INVEPT:
	case REASON_RDTSCP:
	case REASON_INVVPID:
	case REASON_WBINVD:
	case REASON_XSETBV:
	case REASON_RDRAND ... REASON_RDSEED:
	case REASON_XSAVES:
	case REASON_XRSTORS:
	case REASON_UMWAIT:
	case REASON_TPAUSE: return true;
	}
	return false;
}

static bool has_instruction_info(u32 reason, u64 qualification)
{
	switch (reason) {
	case REASON_VMCLEAR:
	case 21:
	case 22:
	case 23:
	case 25:
	case 27:
	case REASON_GDTR_IDTR:
	case REASON_LDTR_TR:
	case REASON_INVEPT:
	case REASON_INVVPID:
	case REASON_RDRAND:
	case REASON_INVPCID:
	case REASON_RDSEED:
	case REASON_XSAVES:
	case REASON_XRSTORS:
	case REASON_UMWAIT:
	case REASON_TPAUSE: return true;
	case REASON_IO: return qualification & BIT(4) && caps.basic & BIT(54);
	}
	return false;
}

void vm_report(struct vm *vm, u32 reason, const char *what)
{
	u64 qualification, intr, idt, v;

	if (reason & VM_FAIL) {
		result("%s vmfail=%u", what, reason & ~VM_FAIL);
		return;
	}
	qualification = vmread(F_QUALIFICATION);
	intr = vmread(F_EXIT_INTR_INFO);
	idt = vmread(F_IDT_INFO);
	print("RESULT %s %s exit=%u", test_name(), what, reason & 0xffff);
	if (reason & REASON_FAILED_ENTRY) {
		print(" failed qual=%lx\n", qualification);
		return;
	}
	if (reason >> 16)
		print(" flags=%x", reason >> 16);
	if (qualification)
		print(" qual=%lx", qualification);
	if (has_length(reason, intr, idt))
		print(" len=%lu", vmread(F_EXIT_LENGTH));
	if (has_instruction_info(reason, qualification))
		print(" info=%lx", vmread(F_INSTRUCTION_INFO));
	if (intr & INTR_VALID) {
		print(" intr=%lx", intr);
		if (intr & INTR_CODE)
			print(" code=%lx", vmread(F_EXIT_ERROR_CODE));
	}
	if (idt & INTR_VALID) {
		print(" idt=%lx", idt);
		if (idt & INTR_CODE)
			print(" idtcode=%lx", vmread(F_IDT_ERROR_CODE));
	}
	if (reason == REASON_EPT_VIOLATION || reason == REASON_EPT_MISCONFIG)
		print(" gpa=%lx", vmread(F_GUEST_PHYSICAL));
	if (reason == REASON_EPT_VIOLATION && qualification & BIT(7))
		print(" gla=%lx", vmread(F_GUEST_LINEAR));
	if (reason == REASON_VMCALL && vm_vector(vm) < 256)
		print(" handler=%u", vm_vector(vm));
	else
		print(" pc=%lx", vm_pc(vm));
	v = vmread(F_GUEST_INTERRUPTIBILITY);
	if (v)
		print(" block=%lx", v);
	v = vmread(F_GUEST_ACTIVITY);
	if (v)
		print(" activity=%lx", v);
	v = vmread(F_GUEST_PENDING_DEBUG);
	if (v)
		print(" pending=%lx", v);
	print("\n");
}
