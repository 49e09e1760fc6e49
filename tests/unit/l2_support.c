/* SPDX-License-Identifier: MIT */
/* Helpers of the tests of L2's entries and exits: l2_support.h. */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/l1/vm.h"

struct vmcs12 *l2_v12(void)
{
	return &machine_vcpu->nested.current->v12;
}

void l2_set_proc(u64 bits)
{
	l2_v12()->proc_controls = caps12.proc.allowed0 | PROC_SECONDARY | bits;
}

void l2_put_msr(u64 list, unsigned int n, u32 msr, u32 reserved, u64 value)
{
	l1_write64(list + n * 16, (u64)reserved << 32 | msr);
	l1_write64(list + n * 16 + 8, value);
}

void l2_prepare_lists(u64 entry, u64 store, u64 load)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(entry_msr_load_addr, P_ENTRY);
	W(entry_msr_load_count, entry);
	W(exit_msr_store_addr, P_STORE);
	W(exit_msr_store_count, store);
	W(exit_msr_load_addr, P_LOAD);
	W(exit_msr_load_count, load);
}

void l2_assert_aborted(u32 indicator)
{
	u32 found;

	assert_false(machine_in_l2());
	memcpy(&found, fake_memory + M_VMCS(0) + 4, sizeof(found));
	assert_int_equal(found, indicator);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_SHUTDOWN);
	assert_int_equal(fake_current_vmcs(), machine_vcpu->vmcs01.region.v);
}

/* PAE with EPT12: L2 reloads its PDPTEs by MOV to CR3, then anything reflects; L1 sees the new ones. */
void l2_run_pae(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	/* EPT12: identity, 1 GiB pages. */
	l1_write64(P_EPT, (P_EPT + 0x1000) | EPT_RWX);
	for (u64 i = 0; i < 4; i++)
		l1_write64(P_EPT + 0x1000 + i * 8,
			   i << 30 | EPT_RWX | EPT_LEAF | MEMTYPE_WB << EPT_MEMTYPE_SHIFT);
	W(ept_pointer, P_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	W(proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST);
	W(entry_controls, caps12.entry.allowed0 | ENTRY_LOAD_EFER);
	W(guest_efer, 0);
	W(guest_cs_ar, 0xc09b);
	W(guest_cr3, M_SPARE);
	W(guest_pdpte0, 0x1001);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

void l2_prepare_msr_bitmap(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(proc_controls, R(proc_controls) | PROC_MSR_BITMAPS);
	W(msr_bitmap, P_MSR);
}

bool l2_uses_msr_of_word(u64 l1_bitmap, u32 word)
{
	u64 rip = machine_field(VMCS_guest_rip), bits = ~0ull;

	guest_mem_read(machine_vcpu, GPA(l1_bitmap + word * 8), &bits, sizeof(bits));
	bits |= ((const u64 *)vm.msr_bitmap01)[word];
	if (bits == ~0ull)
		return false;
	machine_vcpu->gpr[GPR_RCX] =
		word % 128 * 64 + (word & 128 ? 0xc0000000 : 0) + (u32)__builtin_ctzll(~bits);
	EXIT_NOW(.reason = word & 256 ? EXIT_WRMSR : EXIT_RDMSR, .length = 2);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_rip), rip);
	return true;
}

struct vmcs12 *l2_v12_to_write(void)
{
	machine_vcpu->nested.current->to_push = PLACES_ALL;
	return l2_v12();
}
