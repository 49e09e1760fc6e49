/* SPDX-License-Identifier: MIT */
/*
 * Guest test "fuzzentry": which fields a case changes, and to what: boundary values, single bits, and what
 * each field's own format invites. What a case does depends on the seed alone, never on the platform.
 */
#include "tests/guest/fuzz.h"

static const u64 boundaries[] = {
	0,
	1,
	2,
	8,
	0xfff,
	0x1000,
	0x7fffffff,
	0x80000000,
	0xffffffff,
	0x100000000,
	0x7fffffffffff,
	0x800000000000,
	0xffff7fffffffffff,
	0xffff800000000000,
	0x8000000000000000,
	0xffffffffffffffff,
	0xfffffffffffff000,
	0x10000000000000,
};
static const u64 rights[] = {
	0x93,	 0x9b,	 0xf3,	 0x9f,	 0x9d,	 0xfb,	  0x97, 0x91,	0x99,	0x13,	 0xc093,
	0xc09b,	 0xa09b, 0xe09b, 0x409b, 0x809b, 0x8b,	  0x83, 0x82,	0x89,	0x10000, 0x10093,
	0x1c093, 0x193,	 0xd3,	 0xb3,	 0xfb3,	 0x20093, 0,	0xc0f3, 0xc0fb, 0xdf,	 0xbf,
};

#define PICK(list) ((list)[random_next(seed) % ARRAY_SIZE(list)])

static u64 any_value(u64 old, u64 *seed)
{
	u64 r = random_next(seed);

	switch (r % 6) {
	case 0:
	case 1: return old ^ 1ul << (r >> 8 & 63);
	case 2: return old ^ 1ul << (r >> 8 & 31);
	case 3: return PICK(boundaries);
	case 4: return (old ^ 1ul << (r >> 8 & 31)) ^ 1ul << (r >> 16 & 31);
	default: return random_next(seed) >> (r >> 8 & 63);
	}
}

static u64 event_value(u64 *seed)
{
	static const u8 vectors[] = { 0, 1, 2, 3, 4, 6, 8, 10, 13, 14, 17, 18, 21, 32, 0x50, 0xff, 5, 7 };
	u64 r = random_next(seed);
	u64 type = r & 7;
	u64 vector = type == 2 && r & 0x30 ? 2 : PICK(vectors);
	u64 v = vector | type << 8 | ((r >> 6 & 15) ? INTR_VALID : 0);

	if (type == 3 && ((1ul << (vector & 63) & 0x227d00) != 0) != !(r >> 10 & 7))
		v |= INTR_CODE;
	if (!(r >> 13 & 31))
		v |= 1ul << (12 + (r >> 18) % 19);
	return v;
}

static u64 guest_value(u32 field, u64 old, u64 *seed)
{
	u64 r = random_next(seed);

	if (!(r & 7))
		return any_value(old, seed);
	if (field >= F_GUEST_ES_RIGHTS && field <= F_GUEST_TR_RIGHTS)
		return PICK(rights);
	if (field >= F_GUEST_ES && field <= F_GUEST_TR)
		return (r >> 8 & 3) ? old ^ (r >> 10 & 7) : r >> 16 & 0xffff;
	if (field >= F_GUEST_ES_LIMIT && field <= F_GUEST_TR_LIMIT)
		return ((const u64[]){ 0, 0x67, 0x66, 0xfff, 0xffff, 0xfffff, 0x100000, 0xffffffff,
				       0xfffff000, 0x2b })[r / 8 % 10];
	switch (field) {
	case F_GUEST_INTERRUPTIBILITY: return r >> 8 & ((r >> 16 & 7) ? 15 : 0x3f);
	case F_GUEST_ACTIVITY: return (r >> 8 & 7) ? r >> 12 & 1 : (r >> 12 & 1) + 4;
	case F_GUEST_CR0:
		return old ^ ((const u64[]){ CR0_PE, CR0_MP, CR0_EM, CR0_TS, CR0_NE, CR0_WP, CR0_AM, CR0_NW,
					     CR0_CD, CR0_PG, CR0_CD | CR0_NW, CR0_PE | CR0_PG, BIT(32),
					     CR0_ET })[r / 8 % 14];
	case F_GUEST_CR4: return old ^ 1ul << (r >> 8) % 25;
	case F_GUEST_RFLAGS: return old ^ 1ul << (r >> 8) % 23;
	case F_GUEST_EFER:
		return old ^ ((const u64[]){ EFER_LMA, EFER_LME, EFER_LMA | EFER_LME, EFER_NXE, EFER_SCE,
					     BIT(1), BIT(16) })[r / 8 % 7];
	case F_GUEST_PAT:
	case F_HOST_PAT: return old ^ (r >> 8 & 7) << 8 * (r >> 11 & 7);
	case F_GUEST_DR7: return old ^ 1ul << (r >> 8) % 34;
	case F_GUEST_DEBUGCTL: return 1ul << (r >> 8) % 16;
	case F_GUEST_PENDING_DEBUG:
		return 1ul << (r >> 8) % 17 | ((r >> 16 & 1) ? BIT(12) : 0) | ((r >> 17 & 1) ? BIT(14) : 0);
	case F_VMCS_LINK:
		return ((const u64[]){ ~0ul, 0, 0x1000, ~0ul ^ BIT(63), BIT(52), ~0xffful })[r / 8 % 6];
	default: return any_value(old, seed);
	}
}

static u64 control_value(u32 field, u64 old, u64 *seed)
{
	u64 r = random_next(seed);

	switch (field) {
	case F_PIN: return old ^ 1ul << (r >> 8) % 9;
	case F_PROC:
	case F_PROC2:
	case F_EXIT:
	case F_ENTRY: return old ^ 1ul << (r >> 8 & 31) ^ ((r >> 16 & 3) ? 0 : 1ul << (r >> 18 & 31));
	case F_ENTRY_INTR_INFO: return event_value(seed);
	case F_ENTRY_LENGTH: return r >> 8 & 31;
	case F_ENTRY_ERROR_CODE: return r >> 8 & ((r >> 4 & 3) ? 0xffff : ~0ul);
	case F_CR3_TARGET_COUNT: return r >> 8 & 7;
	case F_TPR_THRESHOLD: return r >> 8 & ((r >> 4 & 3) ? 15 : 0xff);
	case F_ENTRY_MSR_LOAD_COUNT:
	case F_EXIT_MSR_LOAD_COUNT:
	case F_EXIT_MSR_STORE_COUNT: return r >> 8 & 7;
	case F_EPTP: return old ^ 1ul << ((r >> 8 & 3) ? (r >> 10) % 12 : (r >> 10) % 64);
	default: return any_value(old, seed);
	}
}

/* Only what fails, or what L1 can live with until the next exit. */
static u64 host_value(u32 field, u64 old, u64 *seed)
{
	u64 r = random_next(seed);

	switch (field) {
	case F_HOST_CS: return ((const u64[]){ 0, old | 1, old | 3, old | 4, old })[r / 8 % 5];
	case F_HOST_TR: return ((const u64[]){ 0, old | 1, old | 4, old, 8 })[r / 8 % 5];
	case F_HOST_ES:
	case F_HOST_SS:
	case F_HOST_DS:
	case F_HOST_FS:
	case F_HOST_GS: return (r >> 8 & 1) ? old | 1ul << (r >> 9) % 3 : (r >> 12 & 0xff) << 3;
	case F_HOST_CR0:
		return old ^ ((const u64[]){ CR0_PE, CR0_NE, CR0_PG, CR0_WP, CR0_AM, CR0_TS, BIT(32), BIT(63),
					     CR0_NW })[r / 8 % 9];
	case F_HOST_CR4:
		return old ^ ((const u64[]){ CR4_PAE, CR4_VMXE, CR4_TSD, CR4_DE, CR4_PGE, CR4_PCE, BIT(14),
					     BIT(15), BIT(40), CR4_PCIDE })[r / 8 % 10];
	case F_HOST_CR3: return old | ((const u64[]){ BIT(52), BIT(63), BIT(40), BIT(12 + 39) })[r / 8 % 4];
	case F_HOST_RIP: return old | ((const u64[]){ BIT(47), BIT(62), 0xffff000000000000 })[r / 8 % 3];
	case F_HOST_GS_BASE:
	case F_HOST_GDTR_BASE:
	case F_HOST_IDTR_BASE: return ((const u64[]){ BIT(47), BIT(63), 0x7fff800000000000 })[r / 8 % 3];
	case F_HOST_TR_BASE:
	case F_HOST_FS_BASE:
	case F_HOST_SYSENTER_ESP:
	case F_HOST_SYSENTER_EIP: return PICK(boundaries);
	case F_HOST_EFER:
		return old ^ ((const u64[]){ EFER_LMA, EFER_LME, EFER_LMA | EFER_LME, BIT(1), EFER_SCE,
					     BIT(20) })[r / 8 % 6];
	case F_HOST_PAT: return guest_value(field, old, seed);
	case F_HOST_SYSENTER_CS: return r >> 16 & 0xffffffff;
	default: return old;
	}
}

void fuzz_fill_lists(struct msr_entry *lists, u64 *seed)
{
	static const u32 msrs[] = { MSR_STAR,	     MSR_LSTAR,	       MSR_KERNEL_GS_BASE,
				    MSR_SYSENTER_CS, MSR_SYSENTER_EIP, MSR_FS_BASE,
				    0x808,	     MSR_VMX_BASIC,    0x12345,
				    MSR_CSTAR,	     MSR_SFMASK,       MSR_STAR,
				    MSR_LSTAR };
	u32 i, k;

	for (i = 0; i < 3; i++) {
		for (k = 0; k < 8; k++) {
			struct msr_entry *e = &lists[i * 64 + k];
			u64 r = random_next(seed);

			/* no loads into L1 that it could not live with */
			e->msr = msrs[r % (i == 2 ? ARRAY_SIZE(msrs) : 4)];
			if (i < 2 && !(r >> 8 & 15))
				e->msr = MSR_SFMASK;
			e->reserved = i == 2 && !(r >> 12 & 15);
			e->value = (r >> 16 & 7) ? r >> 32 & 0x7ffffff : i == 2 ? PICK(boundaries) : 0;
		}
	}
}

/* Bits that one of the two platforms to be compared does not have. */
static u64 dropped(u32 field)
{
	switch (field) {
	case F_PIN: return option_number("drop-pin", 0);
	case F_PROC: return option_number("drop-proc", 0);
	case F_PROC2: return option_number("drop-proc2", 0);
	case F_EXIT: return option_number("drop-exit", 0);
	case F_ENTRY: return option_number("drop-entry", 0);
	case F_GUEST_CR4:
	case F_HOST_CR4: return option_number("drop-cr4", 0);
	case F_EPTP: /* shadow-stack pages are CET's */
		return option_number("drop-cr4", 0) & BIT(23) ? BIT(7) : 0;
	}
	return 0;
}

u32 fuzz_mutate(struct template *t, struct mutation m[4], u64 *seed)
{
	u32 n = 1 + random_next(seed) % 4;
	u32 i;

	for (i = 0; i < n; i++) {
		u64 r = random_next(seed);
		u32 at;

		/* often one of those that decide most */
		if ((r & 7) == 0) {
			static const u16 hot[] = { F_ENTRY_INTR_INFO,
						   F_GUEST_INTERRUPTIBILITY,
						   F_GUEST_ACTIVITY,
						   F_GUEST_RFLAGS,
						   F_GUEST_CR0,
						   F_GUEST_CR4,
						   F_GUEST_EFER,
						   F_ENTRY,
						   F_PROC2,
						   F_GUEST_CS_RIGHTS,
						   F_GUEST_SS_RIGHTS,
						   F_GUEST_PENDING_DEBUG,
						   F_ENTRY_MSR_LOAD_COUNT,
						   F_GUEST_PDPTE2 };

			m[i].field = PICK(hot);
		} else {
			m[i].field = all_fields[(r >> 8) % FIELDS];
		}
		for (at = 0; all_fields[at] != m[i].field; at++)
			;
		if (!exists[at] || read_only(m[i].field) || m[i].field == F_GUEST_TIMER ||
		    m[i].field == F_HOST_RSP || m[i].field == F_HOST_PERF_GLOBAL) {
			m[i].field = F_ENTRY_INTR_INFO;
			m[i].value = event_value(seed);
			continue;
		}
		t->changed[at] = true;
		if (is_host(m[i].field))
			m[i].value = host_value(m[i].field, t->values[at], seed);
		else if (is_guest(m[i].field))
			m[i].value = guest_value(m[i].field, t->values[at], seed);
		else
			m[i].value = control_value(m[i].field, t->values[at], seed);
		m[i].value &= ~dropped(m[i].field);
		/* a list of rubbish at an exit would be a VMX abort */
		if (m[i].field == F_EXIT_MSR_LOAD || m[i].field == F_EXIT_MSR_STORE)
			m[i].value |= 8;
	}
	return n;
}
