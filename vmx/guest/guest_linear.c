/* SPDX-License-Identifier: MIT */
/*
 * Memory of the guest that runs now by linear address: through its own paging
 * (mm/guest_walk.c), and to L1's addresses as struct guest says. L1's usual
 * case has a walk of its own. What is at an address: guest_mem.c.
 * SDM: "Paging", "Exit Qualification for EPT Violations".
 */
#include "vmx/guest/guest_mem.h"

#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/hw/caps.h"
#include "vmx/guest/watch.h"

#define PAGE_OFFSET(x) ((x) & (PAGE_SIZE - 1))

enum outcome guest_translate(struct vcpu *vcpu, u64 address, u64 access, gpa_t *gpa)
{
	if (vcpu->guest->translate)
		return vcpu->guest->translate(vcpu, address, access, gpa);
	*gpa = GPA(address);
	return OUTCOME_NONE;
}

/* For walks, which stop where there is no translation: guest_translate() has said why, but not at which
 * address. */
static bool to_l1(struct vcpu *vcpu, u64 address, u64 access, gpa_t *gpa)
{
	return guest_translate(vcpu, address, access, gpa) == OUTCOME_NONE;
}

static bool walk_read(void *opaque, u64 address, void *to, size_t length)
{
	struct vcpu *vcpu = opaque;
	gpa_t gpa;

	if (!to_l1(vcpu, address, EPTV_READ | EPTV_LINEAR_VALID, &gpa))
		return false;
	guest_mem_read(vcpu, gpa, to, length);
	return true;
}

static enum walk_update walk_update(void *opaque, u64 address, u64 old, u64 value, size_t length)
{
	struct vcpu *vcpu = opaque;
	gpa_t gpa;
	void *entry;
	bool swapped;

	if (!to_l1(vcpu, address, EPTV_READ | EPTV_WRITE | EPTV_LINEAR_VALID, &gpa))
		return WALK_UPDATE_STOPPED;
	if (!guest_mem_is_ram(vcpu, gpa, length))
		return WALK_UPDATE_DONE;
	entry = phys_to_ptr(gpa_to_hpa(gpa));
	if (length == 4) {
		u32 expected = (u32)old;

		swapped = __atomic_compare_exchange_n((u32 *)entry, &expected, (u32)value, false,
						      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	} else {
		swapped = __atomic_compare_exchange_n((u64 *)entry, &old, value, false, __ATOMIC_SEQ_CST,
						      __ATOMIC_SEQ_CST);
	}
	return swapped ? WALK_UPDATE_DONE : WALK_UPDATE_CHANGED;
}

struct guest_walk guest_walk_as_it_stands(struct vcpu *vcpu)
{
	struct guest_walk walk = {
		.role = guest_walk_role(vcpu_reg(vcpu, REG_CR0), vcpu_reg(vcpu, REG_CR4),
					vcpu_reg(vcpu, REG_EFER)),
		.cr3 = vcpu_reg(vcpu, REG_CR3),
		.physical_bits = vmx_caps.physical_bits,
		.has_1g = vmx_caps.has_guest_1g,
		.context = vcpu,
	};

	if (vcpu_is_pae_paging(vcpu))
		for (unsigned int i = 0; i < ARRAY_SIZE(walk.pdpte); i++)
			walk.pdpte[i] = vcpu_reg(vcpu, (enum reg)(REG_PDPTE0 + i));
	return walk;
}

static u32 access_of(struct vcpu *vcpu, bool write)
{
	u32 access = write ? WALK_WRITE : 0;

	if (vcpu_cpl(vcpu) == 3)
		return access | WALK_USER;
	return access | (vcpu_reg(vcpu, REG_RFLAGS) & RFLAGS_AC ? WALK_AC : 0);
}

/* What a walk has met: bits that all entries have, and bits that any has. */
struct met {
	u64 all, any;
};

/* One level: the entry of the table that `entry` leads to. False: not in L1's usual RAM. */
static ALWAYS_INLINE bool step_down(const struct vcpu *vcpu, u64 *entry, u64 va, unsigned int shift,
				    struct met *met)
{
	u64 at = (*entry & PTE_ADDR) + (va >> (shift - 3) & 0xff8);
	const void *place;

	if (!guest_mem_usual_place(vcpu, GPA(at), &place))
		return false;
	*entry = READ_ONCE(*(const u64 *)place);
	met->all &= *entry;
	met->any |= *entry;
	return true;
}

/*
 * L1's usual case: 64-bit mode, four levels, a supervisor's page, within one page, and no flag to be set.
 * Whatever is different, a fault too, is for the full walk to see: this one only says yes or nothing. What
 * the entries are worth is asked at the end: until then an entry that is none has only led to other RAM of
 * L1's. `nx`: PTE_NX is no reserved bit, or 0.
 */
static ALWAYS_INLINE bool walk_quickly(struct vcpu *vcpu, u64 cr3, u64 va, bool write, struct met *met,
				       gpa_t *gpa)
{
	u64 entry = cr3, offset = GENMASK(11, 0);

	if (!step_down(vcpu, &entry, va, 39, met) || unlikely(entry & PTE_PS) ||
	    !step_down(vcpu, &entry, va, 30, met))
		return false;
	if (unlikely(entry & PTE_PS)) {
		offset = GENMASK(29, 0);
		if (!vmx_caps.has_guest_1g)
			return false;
	} else {
		if (!step_down(vcpu, &entry, va, 21, met))
			return false;
		if (entry & PTE_PS)
			offset = GENMASK(20, 0);
		else if (!step_down(vcpu, &entry, va, 12, met))
			return false;
	}
	*gpa = GPA((entry & PTE_ADDR & ~offset) | (va & offset));
	/* PAT of a large page is bit 12. */
	return !(entry & offset & GENMASK(29, 13)) && (!write || ((met->all & PTE_W) && (entry & PTE_D)));
}

static inline bool met_the_usual(const struct met *met, u64 reserved)
{
	return likely((met->all & (PTE_P | PTE_A | PTE_U)) == (PTE_P | PTE_A) && !(met->any & reserved));
}

static bool translate_quickly(struct vcpu *vcpu, u64 va, size_t length, u32 access, gpa_t *gpa)
{
	u64 efer = vcpu_reg_hot(vcpu, REG_EFER);
	struct met met = { .all = ~0ull };

	if (vcpu->guest->translate || (access & (WALK_USER | WALK_FETCH)) || !(efer & EFER_LMA) ||
	    (vcpu_reg_hot(vcpu, REG_CR4) & CR4_LA57) || PAGE_OFFSET(va) + length > PAGE_SIZE)
		return false;
	return walk_quickly(vcpu, vcpu_reg_hot(vcpu, REG_CR3), va, access & WALK_WRITE, &met, gpa) &&
	       met_the_usual(&met, vmx_caps.reserved_address | (efer & EFER_NXE ? 0 : PTE_NX));
}

/*
 * Where `length` bytes for a plain read are. L1 has no 5-level paging (exit_cr.c), and in VMX operation no
 * way out of paging.
 */
static ALWAYS_INLINE bool find_plainly(struct vcpu *vcpu, u64 va, size_t length, const void **place)
{
	struct met met = { .all = ~0ull };
	gpa_t gpa;

	if (unlikely(PAGE_OFFSET(va) > PAGE_SIZE - length) || unlikely(!is_canonical(va, 48)) ||
	    unlikely(vcpu_reg_past(vcpu, REG_DR7) & DR7_ENABLES) ||
	    !walk_quickly(vcpu, vcpu_reg_past(vcpu, REG_CR3), va, false, &met, &gpa) ||
	    !met_the_usual(&met, vmx_caps.reserved_address) || !guest_mem_usual_place(vcpu, gpa, place))
		return false;
	return likely(!(met.any & PTE_NX)) || (vcpu_reg_hot(vcpu, REG_EFER) & EFER_NXE);
}

struct plain_word guest_read_word_plainly(struct vcpu *vcpu, u64 va)
{
	const void *from;

	if (!find_plainly(vcpu, va, sizeof(u64), &from))
		return (struct plain_word){ 0, false };
	return (struct plain_word){ READ_ONCE(*(const u64 *)from), true };
}

bool guest_read_pair_plainly(struct vcpu *vcpu, u64 va, u64 to[2])
{
	const void *from;

	if (!find_plainly(vcpu, va, 2 * sizeof(to[0]), &from))
		return false;
	to[0] = READ_ONCE(((const u64 *)from)[0]);
	to[1] = READ_ONCE(((const u64 *)from)[1]);
	return true;
}

/* Up to two pages: both are translated before anything is touched. */
struct span {
	gpa_t gpa[2];
	size_t length[2];
};

/* SDM "Exit Qualification for EPT Violations": one that an access by linear address met names it. */
static enum outcome stopped_at(struct vcpu *vcpu, u64 linear)
{
	vcpu->outcome.record.guest_linear = linear;
	return OUTCOME_REFLECT;
}

static enum outcome translate(struct vcpu *vcpu, u64 va, size_t length, u32 access, struct span *span)
{
	u64 ept_access = EPTV_LINEAR_VALID | EPTV_TRANSLATED | (access & WALK_WRITE ? EPTV_WRITE : EPTV_READ);
	struct guest_walk walk = guest_walk_as_it_stands(vcpu);
	bool wide = vcpu_is_64bit(vcpu);

	walk.read = walk_read;
	walk.update = walk_update;
	if (vcpu_reg(vcpu, REG_CR4) & CR4_PKE)
		walk.pkru = rdpkru();
	span->length[0] = MIN(length, (size_t)(PAGE_SIZE - PAGE_OFFSET(va)));
	span->length[1] = length - span->length[0];
	for (unsigned int i = 0; i < 2 && span->length[i]; i++) {
		u64 linear = i ? va + span->length[0] : va;
		struct walk_page page;

		if (!wide)
			linear = (u32)linear;
		switch (guest_walk(&walk, linear, access, &page)) {
		case WALK_OK: break;
		case WALK_FAULT: return outcome_pf(vcpu, linear, page.pfec);
		case WALK_STOPPED: return stopped_at(vcpu, linear);
		}
		if (!to_l1(vcpu, page.gpa, ept_access, &span->gpa[i]))
			return stopped_at(vcpu, linear);
	}
	return OUTCOME_NONE;
}

static inline void move(struct vcpu *vcpu, gpa_t gpa, void *to, const void *from, size_t length)
{
	if (to)
		guest_mem_read(vcpu, gpa, to, length);
	else if (from)
		guest_mem_write(vcpu, gpa, from, length);
}

static enum outcome move_span(struct vcpu *vcpu, u64 va, u8 *to, const u8 *from, size_t length, u32 access)
{
	struct span span;
	enum outcome outcome = translate(vcpu, va, length, access, &span);

	if (outcome != OUTCOME_NONE)
		return outcome;
	move(vcpu, span.gpa[0], to, from, span.length[0]);
	if (span.length[1])
		move(vcpu, span.gpa[1], to ? to + span.length[0] : NULL, from ? from + span.length[0] : NULL,
		     span.length[1]);
	return OUTCOME_NONE;
}

enum outcome guest_linear_access(struct vcpu *vcpu, gva_t va, void *to, const void *from, size_t length,
				 u32 access)
{
	gpa_t gpa;

	if (likely(translate_quickly(vcpu, va.v, length, access, &gpa))) {
		move(vcpu, gpa, to, from, length);
	} else {
		enum outcome outcome = move_span(vcpu, va.v, to, from, length, access);

		if (outcome != OUTCOME_NONE)
			return outcome;
	}
	/* A look at an instruction is no access of data. */
	if (watch_is_on(vcpu) && (to || from) && !(access & WALK_FETCH))
		watch_memory_enabled(vcpu, va.v, length, from);
	return OUTCOME_NONE;
}

enum outcome guest_linear_read(struct vcpu *vcpu, gva_t va, void *to, size_t length)
{
	return guest_linear_access(vcpu, va, to, NULL, length, access_of(vcpu, false));
}

enum outcome guest_linear_write(struct vcpu *vcpu, gva_t va, const void *from, size_t length)
{
	return guest_linear_access(vcpu, va, NULL, from, length, access_of(vcpu, true));
}

enum outcome guest_linear_probe(struct vcpu *vcpu, gva_t va, size_t length, bool write)
{
	return guest_linear_access(vcpu, va, NULL, NULL, length, access_of(vcpu, write));
}
