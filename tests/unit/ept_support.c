/* SPDX-License-Identifier: MIT */
/* See ept_support.h. */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "tests/unit/ept_support.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/ept/ept.h"

void processor_with_mode_based_execute(void)
{
	fake_msr_set(MSR_IA32_VMX_EPT_VPID_CAP, fake_msr_get(MSR_IA32_VMX_EPT_VPID_CAP) | EPT_CAP_ADVANCED);
}

void ept_make(u64 links, u64 leaf)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_write64(P_PML4, P_PDPT | links);
	l1_write64(P_PDPT, EPT_LEAF | WB | leaf);
	l1_write64(P_PDPT + 8, P_PD | links);
	l1_write64(P_PD, P_PT | links);
}

void ept_fill_table(u64 table, u64 frames, u64 bits)
{
	for (u64 i = 0; i < 512; i++)
		l1_write64(table + i * 8, (frames + i * PAGE_SIZE) | bits);
}

void ept_run(u64 flags, u64 proc2)
{
	W(ept_pointer, P_PML4 | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB | flags);
	W(proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST | proc2);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

void ept_resume(void)
{
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
}

void ept_touch(u64 gpa, u64 access)
{
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = access | TRANSLATED, .guest_physical = gpa);
	assert_true(machine_in_l2());
}

struct ept02_found ept02_look(u64 gpa)
{
	struct ept02_found found = { .permissions = EPT_PERMISSIONS, .flags = EPT_ACCESSED };

	found.entry = machine_field(VMCS_ept_pointer);
	for (found.level = 4;; found.level--) {
		found.entry = l1_read64((found.entry & EPT_ADDRESS) + ept_index(gpa, found.level) * 8);
		found.permissions &= found.entry;
		found.flags &= found.entry;
		if (!(found.entry & EPT_PERMISSIONS) || ept_is_leaf(found.entry, found.level))
			return found;
	}
}

u64 ept02_leaf(u64 gpa)
{
	struct ept02_found found = ept02_look(gpa);

	return found.entry & EPT_RWX ? found.entry : 0;
}

u64 ept02_allowed(u64 gpa)
{
	u64 known = v12_has_proc2(l2_v12(), PROC2_MODE_BASED_EXECUTE) ? EPT_PERMISSIONS : EPT_RWX;

	return ept02_look(gpa).permissions & known;
}
