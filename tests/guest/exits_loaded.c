/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": fields with bits that an entry or an exit does not load, or loads otherwise: reserved
 * bits of CR0, ET, CD and NW; fixed bits of DR7. What is saved is what the register held, also where L2 ended
 * before its first instruction. SDM: "Loading Guest Control Registers, Debug Registers, and MSRs", and "...
 * Host ...".
 */
#include "tests/guest/exits.h"

GUEST_CODE(o_vmcall, 64, "vmcall");
GUEST_CODE(o_cr0, 64, "mov %cr0, %rax; smsw %ecx; vmcall");

#define CR0_RESERVED (GENMASK(28, 19) | BIT(17) | GENMASK(15, 6))

static const u64 flips[] = { 0,	     CR0_RESERVED, CR0_ET, CR0_RESERVED | CR0_ET, CR0_CD, CR0_CD | CR0_NW,
			     BIT(6), BIT(17),	   BIT(28) };

/* Bit 12 is left out: the emulator loads it (tests/deviations.md). */
static const u64 dr7s[] = { 0x400, 0, 0xc400, 0xc000, 0x3e000, 0xffffc000 };

enum how { BY_VMCALL, BY_TIMER, BY_NMI, BY_NMI_EXPECTED, BY_LIST, HOWS };
static const char *const how_names[] = { "vmcall", "timer", "nmi", "nmi_window", "list" };

static void enter_odd(enum how how, u64 flip, u64 dr7)
{
	struct msr_entry *list = page_alloc();
	struct vm vm;
	u32 reason;

	if (how == BY_NMI || how == BY_NMI_EXPECTED)
		nmi_block_and_hold();
	vm_create(&vm, VM_64, 0, o_vmcall);
	if (how == BY_TIMER)
		vmset(F_PIN, PIN_TIMER);
	if (how == BY_NMI || how == BY_NMI_EXPECTED)
		vmset(F_PIN, PIN_NMI | PIN_VNMI);
	if (how == BY_NMI_EXPECTED)
		vmset(F_PROC, PROC_NMI_WINDOW);
	if (caps_pin(PIN_TIMER))
		vmwrite(F_GUEST_TIMER, 0);
	if (how == BY_LIST) {
		list->reserved = 1;
		vmwrite(F_ENTRY_MSR_LOAD, addr_of(list));
		vmwrite(F_ENTRY_MSR_LOAD_COUNT, 1);
	}
	vmset(F_ENTRY, ENTRY_LOAD_DEBUG);
	vmset(F_EXIT, EXIT_SAVE_DEBUG);
	vmwrite(F_GUEST_CR0, vmread(F_GUEST_CR0) ^ flip);
	vmwrite(F_GUEST_DR7, dr7);
	reason = vm_run(&vm);
	result("%s flip=%lx dr7=%lx exit=%x cr0=%lx saved=%lx l1=%lx,%lx", how_names[how], flip, dr7, reason,
	       vmread(F_GUEST_CR0), vmread(F_GUEST_DR7), cr0_read(), dr7_read());
	if (reason == REASON_EXCEPTION || reason == REASON_NMI_WINDOW)
		nmi_unblock();
}

TEST_VMX(odd_fields_held)
{
	enum how how;
	u32 i;

	for (how = BY_VMCALL; how < HOWS; how++) {
		u64 mark = page_mark();

		if ((how == BY_TIMER && !caps_pin(PIN_TIMER)) ||
		    (how == BY_NMI_EXPECTED && !caps_proc(PROC_NMI_WINDOW)))
			continue;
		for (i = 0; i < ARRAY_SIZE(flips); i++)
			enter_odd(how, flips[i], 0x400);
		for (i = 0; i < ARRAY_SIZE(dr7s); i++)
			enter_odd(how, CR0_RESERVED | CR0_ET, dr7s[i]);
		page_release(mark);
	}
}

/* What L2 reads of GUEST_CR0, and L1 of HOST_CR0, after an exit and after an entry that failed. */
TEST_VMX(cr0_reserved)
{
	struct vm vm;
	u32 i, mask;

	for (i = 0; i < ARRAY_SIZE(flips); i++) {
		for (mask = 0; mask < 2; mask++) {
			u32 reason;

			vm_create(&vm, VM_64, 0, o_cr0);
			vmwrite(F_GUEST_CR0, vmread(F_GUEST_CR0) ^ flips[i]);
			if (mask) {
				vmwrite(F_CR0_MASK, CR0_TS | BIT(6) | BIT(20));
				vmwrite(F_CR0_SHADOW, CR0_TS | BIT(20));
			}
			reason = vm_run(&vm);
			result("guest flip=%lx mask=%u exit=%u cr0=%lx smsw=%lx", flips[i], mask, reason,
			       vm.regs.rax, vm.regs.rcx & 0xffffffff);
		}
		vm_create(&vm, VM_64, 0, o_vmcall);
		vmwrite(F_HOST_CR0, vmread(F_HOST_CR0) ^ flips[i]);
		result("host flip=%lx exit=%x cr0=%lx", flips[i], vm_run(&vm), cr0_read());
		vmwrite(F_GUEST_RFLAGS, 0);
		result("host flip=%lx exit=%x cr0=%lx", flips[i], vm_run(&vm), cr0_read());
	}
}

/*
 * SDM "Restrictions on VMX Operation": CR0.PE, PG and NE cannot be cleared; "unrestricted guest" lets L2
 * alone clear PE and PG. #GP is L1's exit here.
 */
GUEST_CODE(o_mov_cr0, 32, "mov %esi, %cr0; vmcall");

static void clear_of_cr0(enum vm_mode mode, u32 clear, bool unrestricted)
{
	struct vm vm;
	u32 reason;

	vm_create(&vm, mode, VM_EPT, o_mov_cr0);
	if (unrestricted)
		vmset(F_PROC2, PROC2_UNRESTRICTED);
	vmwrite(F_EXCEPTION_BITMAP, BIT(13));
	vm.regs.rsi = vmread(F_GUEST_CR0) & ~(u64)clear;
	reason = vm_run(&vm);
	result("mode=%u clear=%x unrestricted=%u exit=%u cr0=%lx", mode, clear, unrestricted, reason,
	       vmread(F_GUEST_CR0));
	/* the next entry looks at what L2 left */
	result("again=%x", vm_run(&vm));
}

TEST_VMX(cr0_fixed)
{
	static const u32 clears[] = { 0, CR0_PG, CR0_PG | CR0_PE, CR0_PE, CR0_NE, CR0_MP };
	static const enum vm_mode modes[] = { VM_32, VM_PAE };
	u32 i, m, unrestricted;

	NEED(caps_proc2(PROC2_EPT));
	for (m = 0; m < ARRAY_SIZE(modes); m++)
		for (i = 0; i < ARRAY_SIZE(clears); i++)
			for (unrestricted = 0; unrestricted <= !!caps_proc2(PROC2_UNRESTRICTED);
			     unrestricted++) {
				u64 mark = page_mark();

				clear_of_cr0(modes[m], clears[i], unrestricted);
				page_release(mark);
			}
}
