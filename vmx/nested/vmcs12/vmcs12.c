/* SPDX-License-Identifier: MIT */
/*
 * The fields of a VMCS as L1 sees them: from an encoding to its row in O(1),
 * which fields this processor has, how wide they are, and the guest state
 * that stays in vmcs02 until somebody asks for it.  What a field means is
 * check_*.c's and merge.c's.
 * SDM: "Field Encoding in VMCS", "Access to Fields".
 */
#include "vmx/nested/vmcs12/vmcs12.h"

#include "kernel/string.h"
#include "vmx/guest/vcpu.h"

const struct vmcs12_field vmcs12_fields[VMCS12_FIELD_COUNT] = {
#define F(encoding, name, flow, shadow, group)                                                               \
	{ encoding, GROUP_##group, FLOW_##flow, SHADOW_##shadow, #name },
#include "vmx/hw/vmcs_fields.def"
#undef F
};

/* A row's place in vmcs12 is its place in the table. */
#define F(encoding, name, flow, shadow, group)                                                               \
	static_assert(offsetof(struct vmcs12, name) ==                                                       \
			      offsetof(struct vmcs12, vpid) + V12_##name * sizeof(u64),                      \
		      #name);
#include "vmx/hw/vmcs_fields.def"
#undef F

u8 vmcs12_row_after[VMCS12_ENCODINGS];
static_assert(VMCS12_FIELD_COUNT < 255, "a row fits a byte");

#define F(encoding, name, flow, shadow, group) static_assert(!((encoding) & ~VMCS12_ENCODING_BITS), #name);
#include "vmx/hw/vmcs_fields.def"
#undef F

/* An encoding that stands in the table twice does not compile. */
enum {
#define F(encoding, name, flow, shadow, group) ROW_OF_##encoding,
#include "vmx/hw/vmcs_fields.def"
#undef F
};

#define AR_FIRST VMCS_guest_es_ar
#define AR_LAST VMCS_guest_tr_ar

/* Constant after vmcs12_init(), but the mask: every CPU finds the same one in nested_init(). */
static bool row_exists[VMCS12_FIELD_COUNT];
static u8 rare_rows[VMCS12_FIELD_COUNT];
static unsigned int rare_count;
static u8 entry_rows[VMCS12_FIELD_COUNT];
static unsigned int entry_row_count;
static u32 access_rights_mask = 0xffffffffu;

/*
 * SDM "Saving Guest State". True for the fields that every exit saves and that nested_reflect() leaves in
 * vmcs02. Fields whose saving depends on a VM-exit control it saves itself.
 */
static bool is_saved_rarely(unsigned int row)
{
	return vmcs12_fields[row].flow == FLOW_COPY && (vmcs12_fields[row].group & (GROUP_SEG | GROUP_RARE));
}

/*
 * Every processor has these, and no entry or exit outside of SMM looks at them. A hypervisor below Socle may
 * lack them all the same (KVM does): L1 has them in software alone.
 */
static bool is_always_there(unsigned int row)
{
	return row == V12_executive_vmcs_pointer || row == V12_guest_smbase;
}

u64 vmcs12_row_mask[VMCS12_FIELD_COUNT];

static void make_row_masks(void)
{
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++)
		WRITE_ONCE(vmcs12_row_mask[row], vmcs12_mask_width(vmcs12_fields[row].encoding, ~0ull));
}

void vmcs12_init(void)
{
	make_row_masks();
	rare_count = entry_row_count = 0;
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		row_exists[row] = vmcs_field_exists(vmcs12_fields[row].encoding) || is_always_there(row);
		vmcs12_row_after[vmcs12_fields[row].encoding / 2] = row_exists[row] ? (u8)(row + 1) : 0;
		if (row_exists[row] && is_saved_rarely(row))
			rare_rows[rare_count++] = (u8)row;
		if (vmcs_field_exists(vmcs12_fields[row].encoding) &&
		    (vmcs12_fields[row].flow == FLOW_COPY || vmcs12_fields[row].flow == FLOW_IN))
			entry_rows[entry_row_count++] = (u8)row;
	}
}

const u8 *vmcs12_entry_rows(unsigned int *count)
{
	*count = entry_row_count;
	return entry_rows;
}

void vmcs12_set_access_rights_mask(u32 mask)
{
	WRITE_ONCE(access_rights_mask, mask);
	make_row_masks();
}

u64 vmcs12_enum(void)
{
	u64 highest = 0;

	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++)
		if (row_exists[row])
			highest = MAX(highest, (u64)VMCS_FIELD_INDEX(vmcs12_fields[row].encoding));
	return highest << 1;
}

u64 vmcs12_mask_width(u32 encoding, u64 value)
{
	static const u64 width_mask[] = {
		[VMCS_WIDTH_16] = 0xffff,
		[VMCS_WIDTH_64] = ~0ull,
		[VMCS_WIDTH_32] = 0xffffffff,
		[VMCS_WIDTH_NATURAL] = ~0ull,
	};

	value &= width_mask[VMCS_FIELD_WIDTH(encoding)];
	/* Some processors have no room for the reserved bits of access rights: they read back as 0. */
	if (encoding >= AR_FIRST && encoding <= AR_LAST)
		value &= access_rights_mask;
	return value;
}

/*
 * L1 may have written anything into the page while the region was not active. Each value is cut to the
 * width of its field.
 */
void vmcs12_normalize(struct vmcs12 *v12)
{
	v12->launched = v12->launched != 0;
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		u64 *value = vmcs12_slot(v12, row);

		*value = vmcs12_mask_width(vmcs12_fields[row].encoding, *value);
	}
}

const u8 vmcs12_place_row[VMCS12_SHADOWED_COUNT] = {
#define ROW_NO(name)
#define ROW_RO(name) V12_##name,
#define ROW_RW(name) V12_##name,
#define F(encoding, name, flow, shadow, group) ROW_##shadow(name)
#include "vmx/hw/vmcs_fields.def"
#undef F
};

const u8 vmcs12_row_reg[VMCS12_FIELD_COUNT] = {
#define R(name, field) [V12_##field] = REG_##name + 1,
#include "vmx/hw/regcache.def"
#undef R
};

void nested_sync_rare(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs *back = vcpu->vmcs;

	if (!slot->rare_in_02)
		return;
	vcpu_load_vmcs(vcpu, &slot->vmcs02);
	for (unsigned int i = 0; i < rare_count; i++) {
		unsigned int row = rare_rows[i];
		u64 *value = vmcs12_slot(&slot->v12, row);

		*value = vmcs12_row_reg[row] ? vcpu_reg(vcpu, (enum reg)(vmcs12_row_reg[row] - 1))
					     : vmcs_read(vmcs12_fields[row].encoding);
	}
	slot->rare_in_02 = false;
	vcpu_load_vmcs(vcpu, back);
}
