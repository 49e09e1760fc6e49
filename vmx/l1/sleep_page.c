/* SPDX-License-Identifier: MIT */
/*
 * The pages, and a store to one of them.  Between the violation and the look
 * at the instruction L1 may have changed either: what L0 then stores is what
 * it has decided about, at the place of the violation.  See vmx/l1/sleep_page.h.
 * SDM: "EPT Violations".
 */
#include "vmx/l1/sleep_page.h"

#include "drivers/acpi_sleep.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/guest/store_decode.h"
#include "vmx/guest/vcpu.h"
#include "vmx/guest/watch.h"

#define REGISTERS_MAX 5u
#define PAGE_OF(address) ALIGN_DOWN(address, PAGE_SIZE)

#define SLP_EN BIT(5)
#define SLP_TYP(byte) (((byte) >> 2) & 7)
#define PM1_CNT_SLEEP_BYTE 1 /* SLP_TYP and SLP_EN are bits 13:10 */
#define SLEEP_CONTROL_BYTE 0

/* Constant after the start, but for `warned`: any CPU, atomic. */
static struct sleep_place {
	u64 first, last; /* bytes of the register */
	u64 deciding;	 /* the byte that has SLP_TYP and SLP_EN */
	u8 allowed;
	u8 warned;
} places[REGISTERS_MAX];
static u32 place_count;

static void add(const struct sleep_register *reg, u8 allowed, u8 deciding)
{
	if (reg->space != SLEEP_MEMORY)
		return;
	if (reg->address + reg->width + PAGE_SIZE < reg->address)
		return;
	if (reg->address + reg->width > SIZE_4G)
		log_warn("the sleep register at %llx is out of Socle's reach: what is written to its page is "
			 "lost",
			 (unsigned long long)reg->address);
	places[place_count++] = (struct sleep_place){
		.first = reg->address,
		.last = reg->address + MAX(reg->width, deciding + 1u) - 1,
		.deciding = reg->address + deciding,
		.allowed = allowed,
	};
}

void sleep_add_pages(const struct acpi_sleep *sleep)
{
	add(&sleep->pm1a, sleep->pm1a_allowed, PM1_CNT_SLEEP_BYTE);
	add(&sleep->pm1b, sleep->pm1b_allowed, PM1_CNT_SLEEP_BYTE);
	add(&sleep->pm1a_old, sleep->pm1a_allowed, PM1_CNT_SLEEP_BYTE);
	add(&sleep->pm1b_old, sleep->pm1b_allowed, PM1_CNT_SLEEP_BYTE);
	/*
	 * Hardware-reduced ACPI has one register. It takes the SLP_TYP that other machines write to
	 * PM1a_CNT.
	 */
	add(&sleep->control, sleep->pm1a_allowed, SLEEP_CONTROL_BYTE);
}

bool sleep_page_is(u64 gpa)
{
	for (u32 i = 0; i < place_count; i++)
		if (PAGE_OF(gpa) >= PAGE_OF(places[i].first) && PAGE_OF(gpa) <= PAGE_OF(places[i].last))
			return true;
	return false;
}

u64 sleep_page_next(u64 gpa)
{
	u64 next = ~0ull;

	for (u32 i = 0; i < place_count; i++)
		for (u64 page = PAGE_OF(places[i].first); page <= places[i].last; page += PAGE_SIZE)
			if (page >= PAGE_OF(gpa) && page < next)
				next = page;
	return next;
}

/* ---- the store ---- */

static bool passes(struct vcpu *vcpu, struct sleep_place *place, u64 at, u32 width, u64 value)
{
	u8 byte;

	if (place->deciding - at >= width)
		return true;
	byte = (u8)(value >> (8 * (place->deciding - at)));
	if (!(byte & SLP_EN) || (place->allowed & BIT(SLP_TYP(byte))))
		return true;
	if (!__atomic_exchange_n(&place->warned, 1, __ATOMIC_RELAXED))
		log_warn("CPU %u: L%u would sleep by the register at %llx (SLP_TYP %u): refused, for the "
			 "machine "
			 "would wake up without Socle",
			 vcpu->cpu->id, vcpu->guest->level, (unsigned long long)place->first,
			 (u32)SLP_TYP(byte));
	return false;
}

/* The address need not be aligned, for the guest's store need not be. */
struct PACKED anywhere16 {
	volatile u16 value;
};
struct PACKED anywhere32 {
	volatile u32 value;
};
struct PACKED anywhere64 {
	volatile u64 value;
};

/* The direct map has all that is below 4 GiB. */
static void store(u64 at, u32 width, u64 value)
{
	void *to;

	if (at + width > SIZE_4G)
		return;
	to = phys_to_ptr(gpa_to_hpa(GPA(at)));
	switch (width) {
	case 1: *(volatile u8 *)to = (u8)value; break;
	case 2: ((struct anywhere16 *)to)->value = (u16)value; break;
	case 4: ((struct anywhere32 *)to)->value = (u32)value; break;
	default: ((struct anywhere64 *)to)->value = value;
	}
}

static unsigned int code_bits(struct vcpu *vcpu)
{
	if (vcpu_is_64bit(vcpu))
		return 64;
	return vcpu_reg(vcpu, REG_CS_AR) & AR_DB ? 32 : 16;
}

/* Reads the bytes of the instruction. A page that cannot be fetched from gives none. */
static u32 fetch(struct vcpu *vcpu, u8 *bytes)
{
	u32 access = WALK_FETCH | (vcpu_cpl(vcpu) == 3 ? WALK_USER : 0), count = 0;
	u64 rip = vcpu_reg(vcpu, REG_RIP);

	if (!vcpu_is_64bit(vcpu))
		rip = (u32)(rip + vcpu_reg(vcpu, REG_SEG_BASE(SEG_CS)));
	while (count < STORE_BYTES_MAX) {
		u32 size = (u32)MIN((u64)STORE_BYTES_MAX - count, PAGE_SIZE - (rip + count) % PAGE_SIZE);

		if (guest_linear_access(vcpu, GVA(rip + count), bytes + count, NULL, size, access) !=
		    OUTCOME_NONE)
			break;
		count += size;
	}
	return count;
}

/* True if an instruction's own store caused the violation, not a page walk or the delivery of an event. */
static bool is_by_instruction(struct vcpu *vcpu)
{
	u64 own = EPTV_LINEAR_VALID | EPTV_TRANSLATED;

	return (vcpu_reg(vcpu, REG_EXIT_QUALIFICATION) & own) == own &&
	       !(vcpu_reg(vcpu, REG_IDT_VECTORING_INFO) & INTR_INFO_VALID);
}

static u64 value_of(struct vcpu *vcpu, const struct store *s)
{
	if (s->is_constant)
		return s->constant;
	return vcpu_gpr(vcpu, s->from) >> (s->high_byte ? 8 : 0);
}

/* The linear address that the operand names; `s` was decoded from the bytes at the guest's RIP. */
static u64 linear_of(struct vcpu *vcpu, const struct store *s)
{
	u64 at = (u64)s->displacement;

	if (s->base == STORE_NEXT_RIP)
		at += vcpu_reg(vcpu, REG_RIP) + s->length;
	else if (s->base != STORE_NO_REGISTER)
		at += vcpu_gpr(vcpu, s->base);
	if (s->index != STORE_NO_REGISTER)
		at += vcpu_gpr(vcpu, s->index) << s->scale;
	if (s->address_bits != 64)
		at &= BIT(s->address_bits) - 1;
	if (!vcpu_is_64bit(vcpu) || s->segment == SEG_FS || s->segment == SEG_GS)
		at += vcpu_reg(vcpu, REG_SEG_BASE(s->segment));
	return at;
}

/*
 * A store that runs over a page's end meets the violation in one of two pages, and only a part of it belongs
 * there: it has to begin where the violation is, and to end in that page.
 */
static bool is_in_one_page(struct vcpu *vcpu, const struct store *s, gpa_t gpa)
{
	return linear_of(vcpu, s) % PAGE_SIZE == gpa.v % PAGE_SIZE &&
	       gpa.v % PAGE_SIZE + s->width <= PAGE_SIZE;
}

bool sleep_page_store(struct vcpu *vcpu, gpa_t gpa)
{
	u8 bytes[STORE_BYTES_MAX];
	bool pass = true;
	struct store s;
	u64 value;

	if (!is_by_instruction(vcpu) || !store_decode(bytes, fetch(vcpu, bytes), code_bits(vcpu), &s) ||
	    !is_in_one_page(vcpu, &s, gpa))
		return false;
	value = value_of(vcpu, &s);
	for (u32 i = 0; i < place_count; i++)
		pass &= passes(vcpu, &places[i], gpa.v, s.width, value);
	if (pass)
		store(gpa.v, s.width, value);
	watch_memory(vcpu, vcpu_reg(vcpu, REG_GUEST_LINEAR_ADDRESS), s.width, true);
	/* The processor says nothing of it at this kind of exit. */
	regcache_know(&vcpu->vmcs->cache, REG_EXIT_INSTRUCTION_LENGTH, s.length);
	return true;
}
