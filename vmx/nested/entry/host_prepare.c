/* SPDX-License-Identifier: MIT */
/*
 * What an exit will load for L1, as far as it can be worked out when the VM entry has checked it: L1 changes
 * none of it without a VMWRITE, which makes the entry check again (GROUP_HST, GROUP_WORD).
 * SDM: "Loading Host State".
 */
#include "vmx/nested/entry/host_prepare.h"

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/exit_cr.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* Access rights.  SDM: "Loading Host Segment and Descriptor-Table Registers". */
#define HOST_AR_CODE (SEG_TYPE_CODE_RX_ACCESSED | AR_S | AR_P | AR_G)
#define HOST_AR_DATA (SEG_TYPE_DATA_RW_ACCESSED | AR_S | AR_P | AR_DB | AR_G)

/* A null selector makes a data segment unusable; FS and GS keep their base even then. */
static u32 data_rights(u64 selector)
{
	return selector ? HOST_AR_DATA : AR_UNUSABLE;
}

void host_state_prepare(struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;

	slot->host.cs_ar = HOST_AR_CODE | (v12_has_exit(v12, EXIT_HOST_64) ? AR_L : AR_DB);
	slot->host.ss_ar = data_rights(v12->host_ss_selector);
	slot->host.ds_ar = data_rights(v12->host_ds_selector);
	slot->host.es_ar = data_rights(v12->host_es_selector);
	slot->host.fs_ar = data_rights(v12->host_fs_selector);
	slot->host.gs_ar = data_rights(v12->host_gs_selector);
	slot->host.cr0 = cr_loaded_cr0(v12->host_cr0) & ~(u64)(CR0_CD | CR0_NW);
	slot->host.cr4 = v12->host_cr4 | vmx_caps.cr4_fixed0;
}

/*
 * What is not among the four is the same after each exit. Another VMCS with equal ones, as one processor's
 * VMCSs mostly have, shares their number.
 */
void host_tables_name(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	u64 number = vcpu->nested.tables.number;

	if (!number || vcpu->nested.tables.tr_selector != v12->host_tr_selector ||
	    vcpu->nested.tables.tr_base != v12->host_tr_base ||
	    vcpu->nested.tables.gdtr_base != v12->host_gdtr_base ||
	    vcpu->nested.tables.idtr_base != v12->host_idtr_base) {
		vcpu->nested.tables.tr_selector = v12->host_tr_selector;
		vcpu->nested.tables.tr_base = v12->host_tr_base;
		vcpu->nested.tables.gdtr_base = v12->host_gdtr_base;
		vcpu->nested.tables.idtr_base = v12->host_idtr_base;
		vcpu->nested.tables.number = ++number;
	}
	slot->host_tables = number;
}
