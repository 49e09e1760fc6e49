/* SPDX-License-Identifier: MIT */
/*
 * The rules on the guest's segment registers and descriptor tables, for each
 * mode: virtual-8086, unrestricted, IA-32e, plain protected.
 * SDM: "VM Entries", "Checks on Guest Segment Registers", "Checks on Guest
 * Descriptor-Table Registers".
 */
#include "vmx/nested/entry/check.h"
#include "kernel/x86.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define AR_RESERVED (GENMASK(31, 17) | GENMASK(11, 8))
#define AR_V86 0xf3 /* present, DPL 3, read/write accessed data, expand-up */
#define TYPE_ACCESSED BIT(0)
#define TYPE_READABLE BIT(1)
#define TYPE_CODE BIT(3)
#define TYPE_DATA_RW 3
#define TYPE_DATA_RW_DOWN 7
#define TYPE_CONFORMING_FIRST 12

static_assert(V12_guest_tr_selector - V12_guest_es_selector == SEG_TR &&
		      V12_guest_tr_base - V12_guest_es_base == SEG_TR &&
		      V12_guest_tr_limit - V12_guest_es_limit == SEG_TR &&
		      V12_guest_tr_ar - V12_guest_es_ar == SEG_TR,
	      "the fields of the segments follow one another in the order of enum seg");

/* The four fields of a segment register. */
struct segment {
	enum seg number;
	u64 selector, base, limit, ar;
};

static u64 field_at(const struct vmcs12 *v12, unsigned int index)
{
	return (&v12->vpid)[index];
}

static struct segment segment_of(const struct vmcs12 *v12, enum seg number)
{
	return (struct segment){
		.number = number,
		.selector = field_at(v12, V12_guest_es_selector + number),
		.base = field_at(v12, V12_guest_es_base + number),
		.limit = field_at(v12, V12_guest_es_limit + number),
		.ar = field_at(v12, V12_guest_es_ar + number),
	};
}

static unsigned int type_of(const struct segment *s)
{
	return s->ar & AR_TYPE;
}

static unsigned int dpl_of(const struct segment *s)
{
	return (s->ar & AR_DPL) >> AR_DPL_SHIFT;
}

static bool is_usable(const struct segment *s)
{
	return !(s->ar & AR_UNUSABLE);
}

static bool check_v86(const struct segment *s, const struct vmcs12 *v12, struct check_failure *failure)
{
	/* In virtual-8086 mode a base is the selector times 16, a limit 0FFFFH, the access rights 0F3H. */
	REQUIRE_SEGMENT(v86_base, s->base == s->selector << 4);
	REQUIRE_SEGMENT(v86_limit, s->limit == 0xffff);
	REQUIRE_SEGMENT(v86_rights, s->ar == AR_V86);
	return true;
}

static bool check_base(const struct segment *s, const struct vmcs12 *v12, const struct check_env *env,
		       struct check_failure *failure)
{
	/* The bases of FS, GS and TR are canonical; that of LDTR is if it is usable. */
	if (s->number == SEG_FS || s->number == SEG_GS || s->number == SEG_TR ||
	    (s->number == SEG_LDTR && is_usable(s)))
		REQUIRE_SEGMENT(seg_base_canonical, canonical(s->base, env));
	/* That of CS has 32 bits; those of SS, DS and ES have if they are usable. */
	if (s->number == SEG_CS || (s->number < SEG_FS && is_usable(s)))
		REQUIRE_SEGMENT_OR_CLEAR(seg_base_32, !(s->base & BITS_63_32), BITS_63_32);
	return true;
}

/* What holds for all segments that are in use. */
static bool check_common(const struct segment *s, const struct vmcs12 *v12, struct check_failure *failure)
{
	/* P is 1; reserved bits are 0. */
	REQUIRE_SEGMENT_OR_SET(seg_present, s->ar & AR_P, AR_P);
	REQUIRE_SEGMENT_OR_CLEAR(seg_reserved, !(s->ar & AR_RESERVED), AR_RESERVED);
	/* Any of limit bits 11:0 being 0 rules out G; any of bits 31:20 being 1 asks for it. */
	REQUIRE_SEGMENT_OR_CLEAR(seg_g_clear, !(s->ar & AR_G) || (s->limit & 0xfff) == 0xfff, AR_G);
	REQUIRE_SEGMENT_OR_SET(seg_g_set, (s->ar & AR_G) || !(s->limit & GENMASK(31, 20)), AR_G);
	return true;
}

/* S tells code and data segments from system segments. */
static bool check_code_or_data(const struct segment *s, const struct vmcs12 *v12,
			       struct check_failure *failure)
{
	REQUIRE_SEGMENT_OR_SET(seg_s_code, s->ar & AR_S, AR_S);
	return check_common(s, v12, failure);
}

static bool check_system(const struct segment *s, const struct vmcs12 *v12, struct check_failure *failure)
{
	REQUIRE_SEGMENT_OR_CLEAR(seg_s_system, !(s->ar & AR_S), AR_S);
	return check_common(s, v12, failure);
}

static bool check_cs(const struct segment *s, const struct vmcs12 *v12, struct check_failure *failure)
{
	unsigned int ss_dpl = (v12->guest_ss_ar & AR_DPL) >> AR_DPL_SHIFT;
	unsigned int type = type_of(s);
	bool is_code = (type & (TYPE_CODE | TYPE_ACCESSED)) == (TYPE_CODE | TYPE_ACCESSED);

	/* CS is accessed code; for an unrestricted guest it may be writable data, with DPL 0. */
	REQUIRE_SEGMENT(cs_type,
			is_code || (type == TYPE_DATA_RW && v12_has_proc2(v12, PROC2_UNRESTRICTED_GUEST)));
	if (type == TYPE_DATA_RW)
		REQUIRE_SEGMENT_OR_CLEAR(cs_data_dpl, dpl_of(s) == 0, AR_DPL);
	/* The DPL of non-conforming code equals that of SS; that of conforming code is not above it. */
	else if (type < TYPE_CONFORMING_FIRST)
		REQUIRE_SEGMENT(cs_dpl, dpl_of(s) == ss_dpl);
	else
		REQUIRE_SEGMENT(cs_conforming_dpl, dpl_of(s) <= ss_dpl);
	if (!check_code_or_data(s, v12, failure))
		return false;
	/* In IA-32e mode not both D and L. */
	if (v12_has_entry(v12, ENTRY_IA32E_GUEST))
		REQUIRE_SEGMENT_OR_CLEAR(cs_d_and_l, !(s->ar & AR_DB) || !(s->ar & AR_L), AR_DB);
	return true;
}

static bool check_ss(const struct segment *s, const struct vmcs12 *v12, struct check_failure *failure)
{
	if (!v12_has_proc2(v12, PROC2_UNRESTRICTED_GUEST)) {
		/* A restricted guest: the RPL of SS equals that of CS and its own DPL. */
		REQUIRE_SEGMENT(ss_rpl,
				(s->selector & SELECTOR_RPL) == (v12->guest_cs_selector & SELECTOR_RPL));
		REQUIRE_SEGMENT(ss_dpl_rpl, dpl_of(s) == (s->selector & SELECTOR_RPL));
	}
	/* In real mode, and if CS is data, the DPL of SS is 0. */
	if (!(v12->guest_cr0 & CR0_PE) || (v12->guest_cs_ar & AR_TYPE) == TYPE_DATA_RW)
		REQUIRE_SEGMENT_OR_CLEAR(ss_dpl_0, dpl_of(s) == 0, AR_DPL);
	if (!is_usable(s))
		return true;
	/* SS is accessed writable data. */
	REQUIRE_SEGMENT(ss_type, type_of(s) == TYPE_DATA_RW || type_of(s) == TYPE_DATA_RW_DOWN);
	return check_code_or_data(s, v12, failure);
}

static bool check_data(const struct segment *s, const struct vmcs12 *v12, struct check_failure *failure)
{
	if (!is_usable(s))
		return true;
	/* DS, ES, FS and GS are accessed, and readable if they are code. */
	REQUIRE_SEGMENT_OR_SET(data_accessed, type_of(s) & TYPE_ACCESSED, TYPE_ACCESSED);
	REQUIRE_SEGMENT_OR_SET(data_readable, !(type_of(s) & TYPE_CODE) || (type_of(s) & TYPE_READABLE),
			       TYPE_READABLE);
	/* A restricted guest: the DPL of data and of non-conforming code is not below the selector's RPL. */
	if (!v12_has_proc2(v12, PROC2_UNRESTRICTED_GUEST) && type_of(s) < TYPE_CONFORMING_FIRST)
		REQUIRE_SEGMENT(data_dpl, dpl_of(s) >= (s->selector & SELECTOR_RPL));
	return check_code_or_data(s, v12, failure);
}

static bool check_ldtr(const struct segment *s, const struct vmcs12 *v12, struct check_failure *failure)
{
	if (!is_usable(s))
		return true;
	/* LDTR, if usable: in the GDT, and an LDT. */
	REQUIRE_SEGMENT_OR_CLEAR(ldtr_ti, !(s->selector & SELECTOR_TI), SELECTOR_TI);
	REQUIRE_SEGMENT(ldtr_type, type_of(s) == SEG_TYPE_LDT);
	return check_system(s, v12, failure);
}

static bool check_tr(const struct segment *s, const struct vmcs12 *v12, struct check_failure *failure)
{
	bool ia32e = v12_has_entry(v12, ENTRY_IA32E_GUEST);

	/* TR: in the GDT, usable, a busy TSS: in IA-32e mode no 16-bit one. */
	REQUIRE_SEGMENT_OR_CLEAR(tr_ti, !(s->selector & SELECTOR_TI), SELECTOR_TI);
	REQUIRE_SEGMENT_OR_CLEAR(tr_usable, is_usable(s), AR_UNUSABLE);
	REQUIRE_SEGMENT(tr_type, type_of(s) == SEG_TYPE_TSS_BUSY || type_of(s) == SEG_TYPE_TSS16_BUSY);
	if (ia32e)
		REQUIRE_SEGMENT(tr_type_64, type_of(s) != SEG_TYPE_TSS16_BUSY);
	return check_system(s, v12, failure);
}

bool check_segments(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	bool v86 = v12->guest_rflags & RFLAGS_VM;

	for (enum seg number = SEG_ES; number < SEG_COUNT; number++) {
		struct segment s = segment_of(v12, number);
		bool ok;

		if (!check_base(&s, v12, env, failure))
			return false;
		if (number == SEG_LDTR)
			ok = check_ldtr(&s, v12, failure);
		else if (number == SEG_TR)
			ok = check_tr(&s, v12, failure);
		else if (v86)
			ok = check_v86(&s, v12, failure);
		else if (number == SEG_CS)
			ok = check_cs(&s, v12, failure);
		else if (number == SEG_SS)
			ok = check_ss(&s, v12, failure);
		else
			ok = check_data(&s, v12, failure);
		if (!ok)
			return false;
	}
	return true;
}

bool check_tables(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	/* The bases of GDTR and IDTR are canonical, their limits have 16 bits. */
	REQUIRE_CANONICAL(guest_gdtr);
	REQUIRE_CANONICAL(guest_idtr);
	REQUIRE_CLEAR(guest_gdtr_limit, ~0xffffull);
	REQUIRE_CLEAR(guest_idtr_limit, ~0xffffull);
	return true;
}
