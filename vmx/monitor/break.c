/* SPDX-License-Identifier: MIT */
/*
 * Code breakpoints and watchpoints close their page (vmx/l1/closed.h), and nothing is ever written into a
 * guest's memory or debug registers. MSRs and ports are added to L0's own bitmaps, exceptions to its wish
 * (vmx/nested/wish.h), which each CPU follows as it goes on; exits are looked at as they come. SDM:
 * "MSR-Bitmap Address", "I/O-Bitmap Addresses", "EPT Violations".
 */
#include "vmx/monitor/break.h"

#include "kernel/msr.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/closed.h"
#include "vmx/l1/ports.h"
#include "vmx/l1/vm.h"
#include "vmx/monitor/lookup.h"
#include "vmx/nested/nested.h"

/* Written while the machine stands still. */
static struct breakpoint list[BREAKS_MAX];
static u32 wanting_exits; /* how many of them */

const struct breakpoint *break_get(unsigned int number)
{
	return number - 1 < BREAKS_MAX && list[number - 1].kind ? &list[number - 1] : NULL;
}

/* ---- pages ---- */

/* SDM "EPT Misconfigurations": what cannot be read cannot be written. */
static u32 bits_of(enum break_kind kind)
{
	switch (kind) {
	case BREAK_CODE: return EPT_EXEC;
	case BREAK_WRITE: return EPT_WRITE;
	case BREAK_READ:
	case BREAK_ACCESS: return EPT_READ | EPT_WRITE;
	default: return 0;
	}
}

static u32 bits_needed(u64 page)
{
	u32 bits = 0;

	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		if (bits_of(list[i].kind) && ALIGN_DOWN(list[i].place, PAGE_SIZE) == page)
			bits |= bits_of(list[i].kind);
	return bits;
}

/* Each CPU forgets what it holds of EPT01 and of its EPT02s before its next entry. */
static bool close_page(u64 page, u32 bits)
{
	if (closed_bits(page) == bits)
		return true;
	if (!passthru_close(GPA(page), bits))
		return false;
	for (u32 i = 0; i < percpu_count(); i++)
		if (percpu_get(i)->vcpu)
			__atomic_fetch_or(&percpu_get(i)->vcpu->request, REQUEST_EPT01_CHANGED,
					  __ATOMIC_RELEASE);
	return true;
}

void break_settle(void)
{
	u64 page;

	for (u32 row = 0; closed_page(row, &page); row++)
		close_page(page, bits_needed(page));
}

static u64 value_at(struct vcpu *vcpu, const struct breakpoint *b)
{
	u64 value = 0;

	guest_mem_read(vcpu, GPA(b->place), &value, b->length);
	return value;
}

/*
 * A page that is closed to everything would be no memory. What breakpoints that are gone had closed does not
 * count, though it stays closed until break_settle().
 */
static const char *cannot_close(u64 page, u32 bits)
{
	if ((bits & EPT_READ) && !(vmx_caps.ept_vpid & EPT_CAP_EXEC_ONLY))
		return "the processor has no pages that can be executed and not read";
	return (bits_needed(page) | bits) == EPT_RWX ? "code and reads cannot be watched in the same page"
						     : NULL;
}

static const char *add_page(struct vcpu *vcpu, struct breakpoint *b)
{
	u32 length = b->kind == BREAK_CODE ? 1 : b->length, bits;
	const char *wrong;
	gpa_t gpa;
	u64 page;

	if (!length || length > BREAK_LENGTH_MAX || b->address % PAGE_SIZE + length > PAGE_SIZE)
		return "1 to 8 bytes of one page can be watched";
	if (!lookup_linear(vcpu, b->level, b->address, &gpa))
		return "the address is not mapped there now";
	page = ALIGN_DOWN(gpa.v, PAGE_SIZE);
	wrong = cannot_close(page, bits_of(b->kind));
	if (wrong)
		return wrong;
	b->length = length;
	b->place = gpa.v;
	b->value = value_at(vcpu, b);
	bits = bits_needed(page) | bits_of(b->kind);
	/* Pages that nobody needs any more give way. */
	if (!close_page(page, bits)) {
		break_settle();
		if (!close_page(page, bits))
			return "no RAM of L1's, or too many pages have breakpoints";
	}
	return NULL;
}

/* ---- MSRs and ports ---- */

/* L2s open the words of their bitmaps anew, with L0's bits in them. */
static void close_bitmaps(void)
{
	for (u32 i = 0; i < percpu_count(); i++)
		if (percpu_get(i)->vcpu)
			nested_close_bitmaps(percpu_get(i)->vcpu);
}

/* What the processor makes of an L2's access is more than L0 could: the TSC's offset, its own APIC's page. */
static bool is_virtual(u32 msr)
{
	return msr == MSR_IA32_TSC || (msr >= MSR_IA32_X2APIC_FIRST && msr <= MSR_IA32_X2APIC_LAST);
}

static const char *add_msr(struct breakpoint *b)
{
	if (is_virtual(b->number))
		return "that MSR is not intercepted: the processor virtualizes it for L2s";
	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		if (list[i].kind == BREAK_MSR && list[i].number == b->number)
			return "that MSR has a breakpoint already";
	for (unsigned int write = 0; write < 2; write++)
		b->was_on[write] = vm_want_msr(b->number, write, true);
	close_bitmaps();
	return NULL;
}

static void remove_msr(const struct breakpoint *b)
{
	for (unsigned int write = 0; write < 2; write++)
		if (!b->was_on[write])
			vm_want_msr(b->number, write, false);
	close_bitmaps();
}

static const char *add_port(const struct breakpoint *b)
{
	if (b->number >= PORT_COUNT)
		return "there is no such port";
	ports_watch((u16)b->number, true);
	close_bitmaps();
	return NULL;
}

static void remove_port(const struct breakpoint *b)
{
	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		if (&list[i] != b && list[i].kind == BREAK_PORT && list[i].number == b->number)
			return;
	ports_watch((u16)b->number, false);
	close_bitmaps();
}

/* ---- exceptions ---- */

u32 break_exceptions(void)
{
	u32 vectors = 0;

	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		if (list[i].kind == BREAK_EXCEPTION)
			vectors |= BIT(list[i].number);
	return vectors;
}

/* Not an NMI, nor an interrupt. */
static bool is_exception(struct vcpu *vcpu, u32 vector)
{
	u32 info = (u32)vcpu_reg(vcpu, REG_EXIT_INTR_INFO);

	return (info & INTR_INFO_VECTOR) == vector &&
	       (info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT >= INTR_TYPE_HARD_EXCEPTION;
}

/* ---- the list ---- */

static const char *begin(struct vcpu *vcpu, struct breakpoint *b)
{
	switch (b->kind) {
	case BREAK_CODE:
	case BREAK_WRITE:
	case BREAK_READ:
	case BREAK_ACCESS: return add_page(vcpu, b);
	case BREAK_MSR: return add_msr(b);
	case BREAK_PORT: return add_port(b);
	default: return NULL;
	}
}

const char *break_add(struct vcpu *vcpu, const struct breakpoint *wanted, unsigned int *number)
{
	struct breakpoint b = *wanted;
	const char *wrong;

	for (*number = 1; break_get(*number); ++*number)
		;
	if (*number > BREAKS_MAX)
		return "there are too many breakpoints";
	wrong = begin(vcpu, &b);
	if (wrong)
		return wrong;
	list[*number - 1] = b;
	wanting_exits += !bits_of(b.kind);
	return NULL;
}

bool break_remove(unsigned int number)
{
	struct breakpoint *b = &list[number - 1];

	if (!break_get(number))
		return false;
	if (b->kind == BREAK_MSR)
		remove_msr(b);
	if (b->kind == BREAK_PORT)
		remove_port(b);
	wanting_exits -= !bits_of(b->kind);
	b->kind = BREAK_NONE;
	return true;
}

/* ---- what is met ---- */

unsigned int break_at(unsigned int level, u64 linear, gpa_t gpa)
{
	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		if (list[i].kind == BREAK_CODE && list[i].level == level && list[i].address == linear &&
		    ALIGN_DOWN(list[i].place, PAGE_SIZE) == ALIGN_DOWN(gpa.v, PAGE_SIZE))
			return i + 1;
	return 0;
}

bool break_wants_exits(void)
{
	return wanting_exits;
}

/* The access's ports: SDM "Exit Qualification for I/O Instructions". */
static bool touches_port(struct vcpu *vcpu, u32 port)
{
	u64 qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);

	return port - (u32)(qualification >> 16 & 0xffff) <= (qualification & 7);
}

static bool is_exit(struct vcpu *vcpu, const struct breakpoint *b)
{
	u32 reason = vcpu->exit_reason & 0xffff;

	if (b->level && b->level != vcpu->guest->level)
		return false;
	switch (b->kind) {
	case BREAK_EXIT: return reason == b->number;
	case BREAK_MSR:
		return (reason == EXIT_RDMSR || reason == EXIT_WRMSR) && (u32)vcpu->gpr[GPR_RCX] == b->number;
	case BREAK_PORT: return reason == EXIT_IO && touches_port(vcpu, b->number);
	case BREAK_EXCEPTION: return reason == EXIT_EXCEPTION_NMI && is_exception(vcpu, b->number);
	default: return false;
	}
}

unsigned int break_of_exit(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		if (is_exit(vcpu, &list[i]))
			return i + 1;
	return 0;
}

unsigned int break_of_entry(void)
{
	for (unsigned int i = 0; i < BREAKS_MAX; i++)
		if (list[i].kind == BREAK_ENTRY)
			return i + 1;
	return 0;
}

/* `access` begins at `gpa`, in the same page. */
static bool is_accessed(const struct breakpoint *b, u64 gpa, u32 access)
{
	return (b->kind == BREAK_ACCESS || (b->kind == BREAK_READ && (access & EPT_READ))) &&
	       ALIGN_DOWN(b->place, PAGE_SIZE) == ALIGN_DOWN(gpa, PAGE_SIZE) && gpa < b->place + b->length;
}

unsigned int break_of_access(struct vcpu *vcpu, gpa_t gpa, u32 access)
{
	u32 size = 0;

	for (unsigned int i = 0; i < BREAKS_MAX; i++) {
		if (!is_accessed(&list[i], gpa.v, access))
			continue;
		if (!size)
			size = lookup_operand_size(vcpu);
		if (gpa.v + size > list[i].place)
			return i + 1;
	}
	return 0;
}

unsigned int break_of_write(struct vcpu *vcpu)
{
	unsigned int first = 0;

	for (unsigned int i = 0; i < BREAKS_MAX; i++) {
		u64 value = list[i].kind == BREAK_WRITE ? value_at(vcpu, &list[i]) : list[i].value;

		if (value != list[i].value && !first)
			first = i + 1;
		list[i].value = value;
	}
	return first;
}
