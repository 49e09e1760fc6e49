/* SPDX-License-Identifier: MIT */
/*
 * Guest test "shadowing": what L2 does to VMCSs and EPT pointers without an exit: VMREAD and VMWRITE under
 * VMCS shadowing, EPTP switching by VMFUNC. SDM: "VMREAD", "VMWRITE", "EPTP Switching".
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(shadow_read, 64, "vmread %rdx, %rax; pushf; pop %rcx; vmcall");
GUEST_CODE(shadow_write, 64, "vmwrite %rax, %rdx; pushf; pop %rcx; vmcall");
GUEST_CODE(shadow_read_memory, 64, "vmread %rdx, (%rbx); pushf; pop %rcx; vmcall");
GUEST_CODE(shadow_write_memory, 64, "vmwrite (%rbx), %rdx; pushf; pop %rcx; vmcall");
GUEST_CODE(shadow_read32, 32, "vmread %edx, %eax; pushf; pop %ecx; vmcall");
GUEST_CODE(shadow_write32, 32, "vmwrite %eax, %edx; pushf; pop %ecx; vmcall");
GUEST_CODE(switch_eptp, 64, "vmfunc; pushf; mov (%rbx), %rbx; pop %rdx; vmcall");

#define PERMITTED_GAP 0x4ffe /* no field */

struct shadowing {
	struct vm vm;
	u64 shadow;
	u8 *bitmap[2]; /* VMREAD, VMWRITE */
	u64 *data;
};

static void permit(struct shadowing *s, u64 field)
{
	s->bitmap[0][(field & 0x7fff) / 8] &= (u8)~BIT(field % 8);
	s->bitmap[1][(field & 0x7fff) / 8] &= (u8)~BIT(field % 8);
}

static void create(struct shadowing *s, enum vm_mode mode, const void *code)
{
	static const u64 fields[] = { F_GUEST_RIP, F_TSC_OFFSET,  F_TSC_OFFSET + 1, F_EXIT_REASON,
				      F_GUEST_ES,  PERMITTED_GAP, F_GUEST_RIP + 1,  F_GUEST_ES_RIGHTS };
	u32 i;

	s->shadow = vmx_region();
	*(u32 *)ptr_of(s->shadow) |= BIT(31);
	CHECK(vmclear(s->shadow) == VMX_OK && vmptrld(s->shadow) == VMX_OK);
	vmwrite(F_GUEST_RIP, 0x1122334455667788);
	vmwrite(F_TSC_OFFSET, 0x99aabbccddeeff00);
	vmwrite(F_GUEST_ES, 0x4321);
	vmwrite(F_GUEST_CR3, 0x5000);
	vmwrite(F_GUEST_ES_RIGHTS, 0x93);
	CHECK(vmclear(s->shadow) == VMX_OK);
	for (i = 0; i < 2; i++) {
		s->bitmap[i] = page_alloc();
		memset(s->bitmap[i], 0xff, PAGE_SIZE);
	}
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		permit(s, fields[i]);
	s->data = page_alloc();
	vm_create(&s->vm, mode, 0, code);
	vmwrite(F_VMREAD_BITMAP, addr_of(s->bitmap[0]));
	vmwrite(F_VMWRITE_BITMAP, addr_of(s->bitmap[1]));
	vmset(F_PROC, PROC_SECONDARY);
	vmset(F_PROC2, PROC2_SHADOW);
	vmwrite(F_VMCS_LINK, s->shadow);
	s->vm.regs.rbx = addr_of(s->data);
}

static void run(struct shadowing *s, const char *what, const void *code, u64 field, u64 value)
{
	u32 reason;

	vm_set_code(&s->vm, code);
	s->vm.regs.rdx = field;
	s->vm.regs.rax = value;
	s->vm.regs.rcx = 0;
	s->data[0] = value;
	reason = vm_run(&s->vm);
	print("RESULT %s %s field=%lx exit=%u", test_name(), what, field, reason);
	if (reason == REASON_VMCALL) {
		u64 flags = s->vm.regs.rcx & RFLAGS_STATUS;

		print(" flags=%lx rax=%lx data=%lx", flags, s->vm.regs.rax, s->data[0]);
		if (flags == RFLAGS_ZF)
			print(" error=%u", vmx_error());
	} else {
		/* SDM: undefined for all exits but those of certain instructions. */
		if (reason == REASON_VMREAD || reason == REASON_VMWRITE)
			print(" info=%lx", vmread(F_INSTRUCTION_INFO));
		print(" qualification=%lx", vmread(F_QUALIFICATION));
	}
	print("\n");
}

/* Whatever L2 did, as L1 finds it in the shadow VMCS; it stays linked. */
static void report(struct shadowing *s, const char *what)
{
	CHECK(vmptrld(s->shadow) == VMX_OK);
	result("%s rip=%lx tsc=%lx reason=%lx es=%lx cr3=%lx rights=%lx", what, vmread(F_GUEST_RIP),
	       vmread(F_TSC_OFFSET), vmread(F_EXIT_REASON), vmread(F_GUEST_ES), vmread(F_GUEST_CR3),
	       vmread(F_GUEST_ES_RIGHTS));
	CHECK(vmclear(s->shadow) == VMX_OK);
	this_cpu()->vm = NULL;
	vm_current(&s->vm);
}

static const u64 tried[] = { F_GUEST_RIP,	    F_TSC_OFFSET,	  F_TSC_OFFSET + 1,
			     F_EXIT_REASON,	    F_GUEST_ES,		  PERMITTED_GAP,
			     F_GUEST_RIP + 1,	    F_GUEST_CR3,	  BIT(15) | F_GUEST_RIP,
			     BIT(32) | F_GUEST_RIP, BIT(63) | F_GUEST_ES, F_GUEST_ES_RIGHTS };

TEST_VMX(shadow_fields)
{
	struct shadowing s;
	u32 i, link;

	NEED(caps_proc2(PROC2_SHADOW));
	create(&s, VM_64, shadow_read);
	for (link = 0; link < 2; link++) {
		for (i = 0; i < ARRAY_SIZE(tried); i++) {
			run(&s, "read", shadow_read, tried[i], 0x5555);
			run(&s, "read_memory", shadow_read_memory, tried[i], 0x6666);
			if (tried[i] == F_EXIT_REASON && !(caps.misc & BIT(29)))
				continue;
			run(&s, "write", shadow_write, tried[i], 0xfedcba9876543210 + i);
			run(&s, "write_memory", shadow_write_memory, tried[i], 0x123456789abcdef0 + i);
			run(&s, "read_again", shadow_read, tried[i], 0x5555);
		}
		report(&s, link ? "unlinked" : "linked");
		vmwrite(F_VMCS_LINK, ~0ull);
	}
	vmunset(F_PROC2, PROC2_SHADOW);
	run(&s, "off", shadow_read, F_GUEST_RIP, 0);
}

TEST_VMX(shadow_modes)
{
	static const enum vm_mode modes[] = { VM_PAE, VM_32 };
	struct shadowing s;
	u32 i, m;

	NEED(caps_proc2(PROC2_SHADOW));
	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		create(&s, modes[m], shadow_read32);
		for (i = 0; i < ARRAY_SIZE(tried); i++) {
			run(&s, vm_mode_names[modes[m]], shadow_read32, tried[i], 0x5555);
			if (tried[i] == F_EXIT_REASON && !(caps.misc & BIT(29)))
				continue;
			run(&s, vm_mode_names[modes[m]], shadow_write32, tried[i], 0xfedcba9876543210 + i);
		}
		report(&s, vm_mode_names[modes[m]]);
	}
}

/* The operand's faults are L2's, and L1's by its exception bitmap; privilege before the link pointer. */
TEST_VMX(shadow_faults)
{
	struct shadowing s;
	u32 i;

	NEED(caps_proc2(PROC2_SHADOW));
	create(&s, VM_64, shadow_read);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF) | BIT(VEC_GP) | BIT(VEC_UD));
	for (i = 0; i < ARRAY_SIZE(tried); i++) {
		s.vm.regs.rbx = 0x7f0000000000;
		run(&s, "absent", shadow_read_memory, tried[i], 1);
		result("interruption=%lx,%lx", vmread(F_EXIT_INTR_INFO), vmread(F_EXIT_ERROR_CODE));
		/* a field that cannot be written comes first by the SDM: see deviations.md */
		if (tried[i] != PERMITTED_GAP && tried[i] != F_GUEST_RIP + 1 &&
		    (tried[i] != F_EXIT_REASON || caps.misc & BIT(29))) {
			run(&s, "absent", shadow_write_memory, tried[i], 1);
			result("interruption=%lx,%lx", vmread(F_EXIT_INTR_INFO), vmread(F_EXIT_ERROR_CODE));
		}
		s.vm.regs.rbx = 0x800000000000;
		run(&s, "canonical", shadow_read_memory, tried[i], 1);
		result("interruption=%lx,%lx", vmread(F_EXIT_INTR_INFO), vmread(F_EXIT_ERROR_CODE));
	}
	report(&s, "after");
}

/* Entries with link pointers that are none. */
TEST_VMX(shadow_links)
{
	struct shadowing s;
	u64 ordinary = vmx_region();
	u32 i;

	NEED(caps_proc2(PROC2_SHADOW));
	create(&s, VM_64, shadow_read);
	for (i = 0; i < 7; i++) {
		u64 link = i == 0   ? s.shadow
			   : i == 1 ? ordinary
			   : i == 2 ? s.shadow + 8
			   : i == 3 ? BIT(52)
			   : i == 4 ? s.vm.vmcs
			   : i == 5 ? 0
				    : ~0ull;
		u32 on;

		for (on = 0; on < 2; on++) {
			u32 reason;

			if (on)
				vmset(F_PROC2, PROC2_SHADOW);
			else
				vmunset(F_PROC2, PROC2_SHADOW);
			vmwrite(F_VMCS_LINK, link);
			vm_set_code(&s.vm, shadow_read);
			s.vm.regs.rdx = F_GUEST_RIP;
			reason = vm_run(&s.vm);
			result("link=%u on=%u exit=%x qualification=%lx", i, on, reason,
			       reason & REASON_FAILED_ENTRY ? vmread(F_QUALIFICATION) : 0);
		}
	}
}

TEST_VMX(eptp_switching)
{
	static const struct {
		u64 rax, rcx;
	} calls[] = {
		{ 0, 0 },   { 0, 1 },	{ 0, 0 },     { 0, 2 },		  { 0, 3 },	  { 0, 4 },
		{ 0, 511 }, { 0, 512 }, { 0, ~0ull }, { 0, BIT(32) | 1 }, { BIT(32), 0 }, { 1, 0 },
		{ 2, 1 },   { 63, 1 },	{ 64, 1 },    { ~0ull, 0 },
	};
	struct vm vm;
	u64 *list = page_alloc();
	u64 *here = page_alloc(), *there = page_alloc();
	u64 other = ept_create();
	u32 i, reason;

	NEED(caps_proc2(PROC2_EPT | PROC2_VMFUNC) && (caps.vmfunc & 1));
	vm_create(&vm, VM_64, VM_EPT, switch_eptp);
	*here = 0x1111;
	*there = 0x2222;
	ept_map(other, addr_of(here), addr_of(there), 1, EPT_RWX | EPT_WB);
	list[0] = vm.ept | EPTP_FLAGS;
	list[1] = other | EPTP_FLAGS;
	list[2] = other | 5;
	list[3] = 0;
	list[4] = list[1] | BIT(11);
	list[511] = list[1];
	vmset(F_PROC2, PROC2_VMFUNC);
	vmwrite(F_VMFUNC_CONTROLS, 1);
	vmwrite(F_EPTP_LIST, addr_of(list));
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		u64 eptp;

		/* There where the processor has #VE, whatever the control is. */
		if (caps_proc2(PROC2_VE))
			vmwrite(F_EPTP_INDEX, 0x77);
		vm_set_code(&vm, switch_eptp);
		vm.regs.rax = calls[i].rax;
		vm.regs.rcx = calls[i].rcx;
		vm.regs.rbx = addr_of(here);
		vm.regs.rdx = 0;
		reason = vm_run(&vm);
		eptp = vmread(F_EPTP);
		result("rax=%lx rcx=%lx exit=%u flags=%lx eptp=%s read=%lx", calls[i].rax, calls[i].rcx,
		       reason, vm.regs.rdx & RFLAGS_STATUS,
		       eptp == list[0]	 ? "first"
		       : eptp == list[1] ? "second"
					 : "?",
		       reason == REASON_VMCALL ? vm.regs.rbx : 0);
		if (caps_proc2(PROC2_VE))
			result("index=%lx", vmread(F_EPTP_INDEX));
		if (reason == REASON_VMFUNC)
			vm_report(&vm, reason, "refused");
	}
	vmwrite(F_VMFUNC_CONTROLS, 0);
	vm_set_code(&vm, switch_eptp);
	vm.regs.rax = vm.regs.rcx = 0;
	vm.regs.rbx = addr_of(here);
	vm_report(&vm, vm_run(&vm), "no_function");
	vmunset(F_PROC2, PROC2_VMFUNC);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_UD));
	vm_set_code(&vm, switch_eptp);
	vm_report(&vm, vm_run(&vm), "no_control");
}

GUEST_CODE(touch_read, 64, "mov (%rbx), %rax; vmcall");
GUEST_CODE(touch_write, 64, "mov %rax, (%rbx); vmcall");
GUEST_CODE(touch_push, 64, "mov %rbx, %rsp; ud2; vmcall");
GUEST_CODE(touch16, 16, "mov (%bx), %ax; vmcall");

struct PACKED ve_info {
	u32 reason, busy;
	u64 qualification, linear, physical;
	u16 eptp_index;
};

#define SUPPRESS_VE BIT(63)

static void report_ve(struct vm *vm, u32 reason, const struct ve_info *ve, const char *what)
{
	print("RESULT %s %s exit=%u", test_name(), what, reason);
	if (reason == REASON_VMCALL)
		print(" handler=%u", vm_vector(vm));
	else if (reason == REASON_EXCEPTION)
		print(" interruption=%lx", vmread(F_EXIT_INTR_INFO));
	else if (reason == REASON_EPT_VIOLATION)
		print(" qualification=%lx vectoring=%lx", vmread(F_QUALIFICATION), vmread(F_IDT_INFO));
	print(" info=%x,%x,%lx,%lx,%lx,%x\n", ve->reason, ve->busy, ve->qualification, ve->linear,
	      ve->physical, ve->eptp_index);
}

/* SDM "Virtualization Exceptions": which violations are converted, what is recorded, and when an exit
 * remains. */
TEST_VMX(virtualization_exceptions)
{
	static const void *const codes[] = { touch_read, touch_write };
	struct ve_info *ve = page_alloc();
	u64 *page = page_alloc_contig(2);
	struct vm vm;
	u32 level, flags, how, i;
	u64 *entry;

	NEED(caps_proc2(PROC2_EPT | PROC2_VE));
	vm_create(&vm, VM_64, VM_EPT, touch_read);
	vmset(F_PROC2, PROC2_VE);
	vmwrite(F_VE_ADDRESS, addr_of(ve));
	for (level = 1; level <= 2; level++) {
		ept_map(vm.ept, addr_of(page), addr_of(page), 1, EPT_RWX | EPT_WB);
		entry = ept_entry(vm.ept, addr_of(page), (int)level);
		for (flags = 0; flags < 4; flags++) {
			u64 was = *entry;

			for (how = 0; how < 4; how++) {
				char what[64];

				memset(ve, 0, sizeof(*ve));
				*entry = (flags & 1 ? was & ~EPT_W : was & ~(EPT_RWX)) |
					 (flags & 2 ? SUPPRESS_VE : 0);
				ve->busy = how & 2 ? 1 : 0;
				invept(2, 0);
				vm_set_code(&vm, codes[how & 1]);
				vm.regs.rbx = addr_of(page) + 0x123;
				format(what, sizeof(what), "level=%u flags=%u how=%u", level, flags, how);
				report_ve(&vm, vm_run(&vm), ve, what);
				*entry = was;
			}
		}
	}
	entry = ept_entry(vm.ept, addr_of(page), 1);
	*entry = 0;
	invept(2, 0);
	/* L1's exception bitmap wants it. */
	memset(ve, 0, sizeof(*ve));
	vmwrite(F_EXCEPTION_BITMAP, BIT(20));
	vm_set_code(&vm, touch_write);
	vm.regs.rbx = addr_of(page) + 8;
	report_ve(&vm, vm_run(&vm), ve, "bitmap");
	vmwrite(F_EXCEPTION_BITMAP, 0);
	/* While an event is delivered. */
	memset(ve, 0, sizeof(*ve));
	vm_set_code(&vm, touch_push);
	vm.regs.rbx = addr_of(page) + 0x800;
	report_ve(&vm, vm_run(&vm), ve, "delivery");
	/* An information area that is not there. */
	vmwrite(F_GUEST_RSP, vm.stack);
	for (i = 0; i < 2; i++) {
		memset(ve, 0, sizeof(*ve));
		vmwrite(F_VE_ADDRESS, i ? addr_of(ve) + 8 : BIT(52));
		vm_set_code(&vm, touch_read);
		vm.regs.rbx = addr_of(page);
		report_ve(&vm, vm_run(&vm), ve, "address");
	}
	vmwrite(F_VE_ADDRESS, addr_of(ve));
	/* After a switch by VMFUNC the index is that of the list. */
	if (caps_proc2(PROC2_VMFUNC) && (caps.vmfunc & 1)) {
		u64 *list = page_alloc();

		list[7] = vm.ept | EPTP_FLAGS;
		vmset(F_PROC2, PROC2_VMFUNC);
		vmwrite(F_VMFUNC_CONTROLS, 1);
		vmwrite(F_EPTP_LIST, addr_of(list));
		memset(ve, 0, sizeof(*ve));
		vm_set_code(&vm, switch_eptp);
		vm.regs.rax = 0;
		vm.regs.rcx = 7;
		vm.regs.rbx = addr_of(page) + 0x40;
		report_ve(&vm, vm_run(&vm), ve, "after_vmfunc");
		result("index=%lx", vmread(F_EPTP_INDEX));
	}
}

/* Without CR0.PE there is none. */
TEST_VMX(virtualization_exceptions_real)
{
	struct ve_info *ve = page_alloc();
	struct vm vm;

	NEED(caps_proc2(PROC2_EPT | PROC2_VE) && vm_mode_possible(VM_REAL));
	vm_create(&vm, VM_REAL, 0, touch16);
	vmset(F_PROC2, PROC2_VE);
	vmwrite(F_VE_ADDRESS, addr_of(ve));
	vm.regs.rbx = 0x8000;
	*ept_entry(vm.ept, 0x8000, 1) = 0;
	report_ve(&vm, vm_run(&vm), ve, "real");
}
