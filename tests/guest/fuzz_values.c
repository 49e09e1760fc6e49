/* SPDX-License-Identifier: MIT */
/*
 * Guest test "fuzzentry": the values that a field is changed to: boundary values, single bits, and what its
 * own format invites; and the MSR lists.
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

u64 fuzz_any_value(u64 old, u64 *seed)
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

u64 fuzz_event_value(u64 *seed)
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
		return fuzz_any_value(old, seed);
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
	case F_GUEST_DR7: /* not bit 12: tests/deviations.md */
		return old ^ 1ul << ((r >> 8) % 34 == 12 ? 13 : (r >> 8) % 34);
	case F_GUEST_DEBUGCTL: return 1ul << (r >> 8) % 16;
	case F_GUEST_PENDING_DEBUG:
		return 1ul << (r >> 8) % 17 | ((r >> 16 & 1) ? BIT(12) : 0) | ((r >> 17 & 1) ? BIT(14) : 0);
	case F_VMCS_LINK:
		return ((const u64[]){ ~0ul, 0, 0x1000, ~0ul ^ BIT(63), BIT(52), ~0xffful })[r / 8 % 6];
	default: return fuzz_any_value(old, seed);
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
	case F_ENTRY_INTR_INFO: return fuzz_event_value(seed);
	case F_ENTRY_LENGTH: return r >> 8 & 31;
	case F_ENTRY_ERROR_CODE: return r >> 8 & ((r >> 4 & 3) ? 0xffff : ~0ul);
	case F_CR3_TARGET_COUNT: return r >> 8 & 7;
	case F_TPR_THRESHOLD: return r >> 8 & ((r >> 4 & 3) ? 15 : 0xff);
	case F_ENTRY_MSR_LOAD_COUNT:
	case F_EXIT_MSR_LOAD_COUNT:
	case F_EXIT_MSR_STORE_COUNT: return r >> 8 & 7;
	case F_EPTP: return old ^ 1ul << ((r >> 8 & 3) ? (r >> 10) % 12 : (r >> 10) % 64);
	default: return fuzz_any_value(old, seed);
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
	case F_HOST_CR3:
		return old |
		       ((const u64[]){ BIT(52), BIT(63), BIT(40), BIT(12 + 39), BIT(3), BIT(4) })[r / 8 % 6];
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

/* What L1 can live with in its own state, and can be read at every exit. */
static const u32 harmless[] = { MSR_STAR,	 MSR_LSTAR, MSR_KERNEL_GS_BASE,
				MSR_SYSENTER_CS, MSR_CSTAR, MSR_SFMASK };
/* What an entry may load, must not, or does not know. */
static const u32 loaded[] = {
	MSR_STAR,	  MSR_LSTAR,   MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_EIP,
	MSR_FS_BASE,	  0x808,       MSR_VMX_BASIC,	   0x12345,	    MSR_CSTAR,
	MSR_SFMASK,	  MSR_GS_BASE, MSR_EFER,	   MSR_PAT,	    MSR_DEBUGCTL,
	MSR_SYSENTER_ESP, 0x9b,	       MSR_STAR,	   MSR_LSTAR,	    0xc0000102
};

static u64 loaded_value(u32 msr, u64 *seed)
{
	u64 r = random_next(seed);

	switch (msr) {
	case MSR_EFER:
		return (EFER_NXE | EFER_LME | EFER_LMA) ^
		       ((const u64[]){ 0, EFER_SCE, EFER_NXE, EFER_LME, EFER_LMA, EFER_LME | EFER_LMA,
				       BIT(1) })[r % 7];
	case MSR_PAT: return 0x0007040600070406 ^ (r & 7) << 8 * (r >> 3 & 7);
	case MSR_DEBUGCTL: return r & 3 ? 0 : 1ul << (r >> 2 & 31);
	}
	return (r & 7) ? r >> 16 & 0x7ffffff : PICK(boundaries);
}

void fuzz_fill_lists(struct msr_entry *lists, u64 *seed)
{
	u32 i, k;

	for (i = 0; i < FUZZ_LISTS; i++) {
		for (k = 0; k < 8; k++) {
			struct msr_entry *e = &FUZZ_LIST(lists, i)[k];
			u64 r = random_next(seed);

			if (i == FUZZ_ENTRY_LOAD) {
				e->msr = loaded[(r & 1) ? r >> 1 & 3 : (r >> 1) % ARRAY_SIZE(loaded)];
				e->reserved = !(r >> 12 & 31);
				e->value = loaded_value(e->msr, seed);
			} else {
				e->msr = harmless[r % ARRAY_SIZE(harmless)];
				e->reserved = 0;
				e->value = r >> 32 & 0x7ffffff;
			}
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

/* Fields by which the processor, or L2's own paging, comes to memory. */
static bool names_memory(u32 field)
{
	switch (field) {
	case F_IO_BITMAP_A ... F_PML_ADDRESS:
	case F_VIRTUAL_APIC:
	case F_POSTED_DESCRIPTOR:
	case F_EPTP:
	case F_EPTP_LIST ... F_VE_ADDRESS:
	case F_VMCS_LINK:
	case F_GUEST_CR3:
	case F_GUEST_PDPTE0 ... F_GUEST_PDPTE3: return true;
	}
	return false;
}

/*
 * Only the pages of the templates hold the same on every platform; what else there is of RAM and devices may
 * not be looked at. Bits 63:32 stay: nothing is there. Whatever would write to a table of EPT (a page walk
 * that takes it for one of its own sets accessed flags) would change a translation without INVEPT: the SDM
 * leaves open which one the next case gets.
 */
u64 fuzz_keep_address(u64 v, bool ept)
{
	u64 end = fuzz_pool + MIB;

	if (v >> 32)
		return v;
	if (v < fuzz_pool || v >= end)
		v = fuzz_pool | (v & (MIB - 1));
	while (!ept && fuzz_is_ept_table(v))
		v = fuzz_pool | ((v + PAGE_SIZE) & (MIB - 1));
	return v;
}

u64 fuzz_value(u32 field, u64 old, u64 *seed)
{
	u64 v = is_host(field)	  ? host_value(field, old, seed)
		: is_guest(field) ? guest_value(field, old, seed)
				  : control_value(field, old, seed);

	v &= ~dropped(field);
	/* The SDM leaves open what an access to paging structures in the APIC-access page does. */
	if (field == F_APIC_ACCESS)
		v = (v & ~GENMASK(31, 12)) | (old & GENMASK(31, 12));
	if (names_memory(field) && !(field == F_VMCS_LINK && v == ~0ul))
		v = fuzz_keep_address(v, field == F_EPTP);
	/* a list of rubbish at an exit would be a VMX abort */
	if (field == F_EXIT_MSR_LOAD || field == F_EXIT_MSR_STORE)
		v |= 8;
	return v;
}
