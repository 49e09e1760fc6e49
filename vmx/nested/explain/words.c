/* SPDX-License-Identifier: MIT */
/*
 * See words.h; the names are words.def's.
 */
#include "vmx/nested/explain/words.h"

#include "kernel/print.h"
#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/controls.h"
#include "vmx/hw/vmx.h"
#include "vmx/nested/vmcs12/vmcs12.h"

enum kind {
	KIND_PIN = WORD_PIN,
	KIND_PROC = WORD_PROC,
	KIND_PROC2 = WORD_PROC2,
	KIND_EXIT = WORD_EXIT,
	KIND_ENTRY = WORD_ENTRY,
	KIND_CR0 = WORD_COUNT,
	KIND_CR4,
	KIND_EFER,
	KIND_RFLAGS,
	KIND_BLOCKING,
	KIND_PENDING,
	KIND_RIGHTS,
	KIND_VECTORS,
	KIND_PLAIN,
};

struct names {
#define NAME_OF(kind, bit) kind##_##bit
#define WORD(kind, bit, name) char NAME_OF(kind, bit)[sizeof(name)];
#include "vmx/nested/explain/words.def"
#undef WORD
};

static const struct names names = {
#define WORD(kind, bit, name) name,
#include "vmx/nested/explain/words.def"
#undef WORD
};

static const struct word {
	u16 name; /* where it begins in `names` */
	u8 kind, bit;
} words[] = {
#define WORD(kind_, bit_, name_) { offsetof(struct names, NAME_OF(kind_, bit_)), KIND_##kind_, bit_ },
#include "vmx/nested/explain/words.def"
#undef WORD
};

void text_add(struct text *text, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text->used += print_vformat(text->buffer + text->used, text->size - text->used, fmt, args);
	va_end(args);
}

static enum kind kind_of(unsigned int field)
{
	switch (field) {
	case V12_pin_controls: return KIND_PIN;
	case V12_proc_controls: return KIND_PROC;
	case V12_proc2_controls: return KIND_PROC2;
	case V12_exit_controls: return KIND_EXIT;
	case V12_entry_controls: return KIND_ENTRY;
	case V12_guest_cr0:
	case V12_cr0_guest_host_mask:
	case V12_cr0_read_shadow:
	case V12_host_cr0: return KIND_CR0;
	case V12_guest_cr4:
	case V12_cr4_guest_host_mask:
	case V12_cr4_read_shadow:
	case V12_host_cr4: return KIND_CR4;
	case V12_guest_efer:
	case V12_host_efer: return KIND_EFER;
	case V12_guest_rflags: return KIND_RFLAGS;
	case V12_guest_interruptibility: return KIND_BLOCKING;
	case V12_guest_pending_debug: return KIND_PENDING;
	case V12_guest_es_ar ... V12_guest_tr_ar: return KIND_RIGHTS;
	case V12_exception_bitmap: return KIND_VECTORS;
	default: return KIND_PLAIN;
	}
}

/* NULL: it has none. */
static const char *bit_name(enum kind kind, unsigned int bit)
{
	if (kind < KIND_CR0)
		return bit < 32 ? caps_control_name(kind, bit) : NULL;
	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].kind == kind && words[i].bit == bit)
			return (const char *)&names + words[i].name;
	return NULL;
}

static void add_names(struct text *text, enum kind kind, u64 value)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = value & BIT(bit) ? bit_name(kind, bit) : NULL;

		if (name)
			text_add(text, " %s", name);
	}
}

static void add_event(struct text *text, u64 info)
{
	static const char *const types[8] = {
		"external interrupt", "reserved type 1",    "NMI",
		"hardware exception", "software interrupt", "privileged software exception",
		"software exception", "other event"
	};

	text_add(text, ": %svalid, %s, vector %u, %s error code", info & INTR_INFO_VALID ? "" : "not ",
		 types[(info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT], (u32)info & INTR_INFO_VECTOR,
		 info & INTR_INFO_ERROR_CODE ? "with" : "no");
}

static void add_control(struct text *text, enum kind kind, const struct vmx_caps *caps)
{
	const struct control_cap *const words_of[] = { &caps->pin, &caps->proc, &caps->proc2, &caps->exit,
						       &caps->entry };

	text_add(text, ": allowed-0 %x, allowed-1 %x", words_of[kind]->allowed0, words_of[kind]->allowed1);
}

static void add_activity(struct text *text, u64 state)
{
	static const char *const states[] = { "active", "HLT", "shutdown", "wait-for-SIPI" };

	text_add(text, ": %s", state < ARRAY_SIZE(states) ? states[state] : "unknown");
}

static void add_plain(struct text *text, unsigned int field, u64 value)
{
	switch (field) {
	case V12_entry_intr_info:
	case V12_exit_intr_info:
	case V12_idt_vectoring_info: add_event(text, value); break;
	case V12_guest_activity_state: add_activity(text, value); break;
	case V12_ept_pointer:
		text_add(text, ": memory type %u, walk of %u levels%s", (u32)value & EPTP_MEMTYPE,
			 (((u32)value & EPTP_WALK) >> EPTP_WALK_SHIFT) + 1, value & EPTP_AD ? ", A/D" : "");
		break;
	case V12_guest_es_selector ... V12_guest_tr_selector:
	case V12_host_es_selector ... V12_host_tr_selector:
		text_add(text, ": index %u, TI %u, RPL %u", (u32)value >> 3, !!(value & SELECTOR_TI),
			 (u32)(value & SELECTOR_RPL));
		break;
	default: break;
	}
}

void words_value(struct text *text, unsigned int field, u64 value, const struct vmx_caps *caps)
{
	enum kind kind = kind_of(field);

	if (kind < KIND_CR0)
		add_control(text, kind, caps);
	else if (kind == KIND_PLAIN)
		add_plain(text, field, value);
	else
		text_add(text, value ? ":" : ": none");
	if (kind == KIND_RIGHTS)
		text_add(text, " type %u, DPL %u,", (u32)value & AR_TYPE,
			 ((u32)value & AR_DPL) >> AR_DPL_SHIFT);
	if (kind >= KIND_CR0 && kind < KIND_PLAIN)
		add_names(text, kind, value);
	if (kind == KIND_RFLAGS && (value & RFLAGS_IOPL))
		text_add(text, " IOPL %u", (u32)(value & RFLAGS_IOPL) >> RFLAGS_IOPL_SHIFT);
}

bool words_controls(struct text *text, unsigned int field, u64 value)
{
	enum kind kind = kind_of(field);
	const char *separator = "";
	u64 unnamed = value;

	if (kind >= KIND_CR0)
		return false;
	for (unsigned int bit = 0; bit < 32; bit++) {
		const char *name = value & BIT(bit) ? bit_name(kind, bit) : NULL;

		if (!name)
			continue;
		text_add(text, "%s%s", separator, name);
		separator = ", ";
		unnamed &= ~BIT(bit);
	}
	if (unnamed)
		text_add(text, "%sand %llx", separator, (unsigned long long)unnamed);
	return true;
}

/* "bits 15 (CR3-load exiting), 16 and 31:20 must be WHAT" */
static void add_bits(struct text *text, enum kind kind, u64 bits, char what)
{
	const char *separator = bits & (bits - 1) ? "bits " : "bit ";

	for (unsigned int low = 0; low < 64; low++) {
		unsigned int high = low;
		const char *name = bit_name(kind, low);

		if (!(bits & BIT(low)))
			continue;
		while (!name && high < 63 && (bits & BIT(high + 1)) && !bit_name(kind, high + 1))
			high++;
		if (high > low)
			text_add(text, "%s%u:%u", separator, high, low);
		else
			text_add(text, name ? "%s%u (%s)" : "%s%u", separator, low, name);
		separator = ", ";
		low = high;
	}
	text_add(text, " must be %c", what);
}

void words_wrong(struct text *text, unsigned int field, u64 value, u64 mask, u64 want)
{
	u64 wrong = (value ^ want) & mask;
	enum kind kind = kind_of(field);

	if (wrong & want)
		add_bits(text, kind, wrong & want, '1');
	if ((wrong & want) && (wrong & ~want))
		text_add(text, "; ");
	if (wrong & ~want)
		add_bits(text, kind, wrong & ~want, '0');
}
