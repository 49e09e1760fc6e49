/* SPDX-License-Identifier: MIT */
/*
 * The VMCSs of the storm's guests while it goes on: loaded with a host state that comes back whatever others
 * wrote into their regions, changed field by field, and made right again.
 */
#include "tests/guest/storm.h"

static u32 kind_of(u16 field)
{
	return field >> 10 & 3; /* 0 control, 1 read-only, 2 guest, 3 host */
}

bool storm_vm_is_timed(const struct storm_cpu *c)
{
	return !c->id; /* nobody can wake the boot CPU by an INIT */
}

static void write_field(struct storm_vm *v, u32 i)
{
	vmwrite_checked(storm_fields[i], v->fields[i]);
}

static void right_host(struct storm_vm *v)
{
	u32 i;

	for (i = 0; i < storm_field_count; i++)
		if (kind_of(storm_fields[i]) == 3)
			write_field(v, i);
	/* what the exit does with L1's MSRs: a bad list is a VMX abort, and L1's mode is part of the host's
	 * state */
	vmwrite_checked(F_EXIT_MSR_LOAD, v->page[PAGE_EXIT_LIST]);
	vmwrite_checked(F_EXIT_MSR_STORE, v->page[PAGE_EXIT_LIST]);
	vmwrite_checked(F_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite_checked(F_EXIT_MSR_STORE_COUNT, 0);
	v->host_wrong = false;
}

bool storm_vm_load(struct storm_cpu *c, struct storm_vm *v)
{
	u32 epoch;

	if (c->current != v || storm_chance(c, 4)) {
		c->current = NULL;
		if (vmptrld(v->vm.vmcs) != VMX_OK) {
			/* somebody wrote over the revision */
			*(volatile u32 *)ptr_of(v->vm.vmcs) = (u32)caps.basic & 0x7fffffff;
			vmclear(v->vm.vmcs);
			return false;
		}
		c->current = v;
		/* What VMPTRLD has read of another CPU's rubbish was written before this is read. */
		epoch = v->epoch;
		if (epoch != v->fixed_epoch) {
			storm_vm_rebuild(v);
			v->fixed_epoch = epoch;
		}
	}
	if (v->host_wrong)
		right_host(v);
	return true;
}

void storm_vm_rebuild(struct storm_vm *v)
{
	u32 i;

	for (i = 0; i < storm_field_count; i++)
		if (kind_of(storm_fields[i]) != 1)
			write_field(v, i);
	right_host(v);
	memset(v->touched, 0, sizeof(v->touched));
	v->refused = 0;
}

static u32 index_of(u32 field)
{
	u32 i;

	for (i = 0; i < storm_field_count && storm_fields[i] != field; i++)
		;
	return i;
}

void storm_vm_write(struct storm_vm *v, u32 field, u64 value)
{
	u32 i = index_of(field);

	if (i < storm_field_count)
		v->touched[i / 64] |= BIT(i % 64);
	v->host_wrong |= kind_of((u16)field) == 3;
	vmwrite_checked(field, value);
}

/* What was touched, and the state that a guest changes by running. */
void storm_vm_reset(struct storm_vm *v)
{
	static const u16 lived[] = { F_GUEST_RIP,
				     F_GUEST_RSP,
				     F_GUEST_RFLAGS,
				     F_GUEST_CR0,
				     F_GUEST_CR3,
				     F_GUEST_CR4,
				     F_GUEST_INTERRUPTIBILITY,
				     F_GUEST_ACTIVITY,
				     F_GUEST_PENDING_DEBUG,
				     F_ENTRY_INTR_INFO,
				     F_GUEST_CS,
				     F_GUEST_SS,
				     F_GUEST_CS_RIGHTS,
				     F_GUEST_SS_RIGHTS,
				     F_GUEST_DR7,
				     F_GUEST_EFER,
				     F_GUEST_IDTR_BASE,
				     F_GUEST_GDTR_BASE,
				     F_GUEST_CS_BASE,
				     F_GUEST_TR_RIGHTS };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(lived); i++) {
		u32 n = index_of(lived[i]);

		v->touched[n / 64] |= BIT(n % 64);
	}
	for (i = 0; i < storm_field_count; i++)
		if (v->touched[i / 64] & BIT(i % 64))
			write_field(v, i);
	memset(v->touched, 0, sizeof(v->touched));
	v->refused = 0;
	if (v->tables_changed)
		storm_tables_restore(v);
}
