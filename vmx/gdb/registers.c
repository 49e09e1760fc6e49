/* SPDX-License-Identifier: MIT */
/*
 * Of a level that does not run there is what vmcs12 has: L2's guest state, or the host state that L1 will go
 * on with; general registers are nobody's then, for VMX does not switch them.
 * SDM: "Checks on Guest Registers", for what may be written.
 */
#include "vmx/gdb/registers.h"

#include "kernel/hw/cpu.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "vmx/gdb/fpu.h"
#include "vmx/hw/caps.h"
#include "vmx/monitor/view.h"
#include "vmx/nested/vmcs12/vmcs12.h"

enum source { GPR, CACHED, CR0, CR2, CR4, FPU, FPU_TAGS, HIGH };

static const struct row {
	char name[10];
	u8 bytes, source, number;
	u16 host;
	const char *type;
} rows[] = {
#define G(name, bytes, type, source, number, host) { #name, bytes, source, number, host, type },
#include "vmx/gdb/registers.def"
#undef G
};

enum {
#define G(name, bytes, type, source, number, host) G_##name,
#include "vmx/gdb/registers.def"
#undef G
};

#define CORE_COUNT 40u
#define VALUE_MAX 16u
static_assert(G_fs_base == CORE_COUNT, "org.gnu.gdb.i386.core");

/* A `g` packet has room for all of them. */
#define G(name, bytes, type, source, number, host) +2 * (bytes)
static_assert(0
#include "vmx/gdb/registers.def"
		      < PACKET_SIZE,
	      "registers");
#undef G

unsigned int registers_count(void)
{
	return ARRAY_SIZE(rows);
}

/* ---- reading ---- */

static bool read_running(struct vcpu *vcpu, const struct row *row, u64 *value)
{
	switch (row->source) {
	case GPR: *value = vcpu_gpr(vcpu, row->number); return true;
	case CACHED: *value = vcpu_reg(vcpu, (enum reg)row->number); return true;
	case CR0: *value = vcpu->guest->cr0(vcpu); return true;
	case CR2: *value = read_cr2(); return true;
	case CR4: *value = vcpu->guest->cr4(vcpu); return true;
	default: return false;
	}
}

static bool read_waiting(struct vcpu *vcpu, unsigned int level, u32 field, u64 *value)
{
	struct view view;
	bool there;

	if (!field || !vcpu->nested.current || !view_begin(&view, vcpu, VIEW_12))
		return false;
	there = view_read(&view, field, value);
	view_end(&view);
	return there && (level == 1 || vcpu->nested.current->entered);
}

static bool read_one(struct vcpu *vcpu, unsigned int level, const struct row *row, u64 *value)
{
	if (level == vcpu->guest->level)
		return read_running(vcpu, row, value);
	if (row->source == GPR || row->source == CR2 || row->source >= FPU)
		return false;
	if (level == 1)
		return read_waiting(vcpu, level, row->host, value);
	return read_waiting(vcpu, level, regcache_field((enum reg)row->number), value);
}

static void add_value(struct packet_output *output, bool known, const void *value, unsigned int bytes)
{
	if (known)
		packet_add_bytes(output, value, bytes);
	for (unsigned int i = 0; !known && i < bytes; i++)
		packet_add(output, "xx");
}

/* False: it is nobody's. */
static bool read_fpu(const struct row *row, u8 value[VALUE_MAX])
{
	switch (row->source) {
	case FPU: fpu_read(value, row->host, row->number); return true;
	case FPU_TAGS: fpu_read_tags(value); return true;
	default: return fpu_read_high(value, row->number);
	}
}

/* L0 uses none of these registers, so that the guest that runs has them still; a level that waits has none.
 */
static void add_fpu(struct vcpu *vcpu, unsigned int level, const struct row *row,
		    struct packet_output *output)
{
	u8 value[VALUE_MAX] = { 0 };
	bool known = level == vcpu->guest->level && read_fpu(row, value);

	add_value(output, known, value, row->bytes);
}

bool registers_add(struct vcpu *vcpu, unsigned int level, unsigned int number, struct packet_output *output)
{
	unsigned int row = number - ARRAY_SIZE(rows), bytes = sizeof(u64);
	u64 value = 0;
	bool known;

	if (number < ARRAY_SIZE(rows) && rows[number].source >= FPU) {
		add_fpu(vcpu, level, &rows[number], output);
		return true;
	}
	if (number < ARRAY_SIZE(rows)) {
		known = read_one(vcpu, level, &rows[number], &value);
		bytes = rows[number].bytes;
	} else if (row < VMCS12_FIELD_COUNT) {
		known = read_waiting(vcpu, 1, vmcs12_fields[row].encoding, &value);
	} else {
		return false;
	}
	add_value(output, known, &value, bytes);
	return true;
}

/* ---- writing ---- */

/* Bits that a person may change: those of results and of direction, interrupts, alignment, identification. */
#define RFLAGS_OPEN 0x240ed5ull

static void write_rflags(struct vcpu *vcpu, u64 value)
{
	u64 old = vcpu_reg(vcpu, REG_RFLAGS), rflags = (old & ~RFLAGS_OPEN) | (value & RFLAGS_OPEN);

	/* "The IF flag must be 1 if ... the interruption type is external interrupt";
	 * "Bit 0 (blocking by STI) must be 0 if the IF flag (bit 9) is 0 in the RFLAGS field" */
	if (vcpu->pending_valid)
		rflags = (rflags & ~RFLAGS_IF) | (old & RFLAGS_IF);
	if (!(rflags & RFLAGS_IF))
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
			     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & ~(u64)INTERRUPTIBILITY_STI);
	vcpu_set_reg(vcpu, REG_RFLAGS, rflags);
}

/* "Bits 63:32 must be 0 if the IA-32e mode guest VM-entry control is 0 or if the L bit in the CS is 0" */
static bool is_rip(struct vcpu *vcpu, u64 value)
{
	return vcpu_is_64bit(vcpu) ? is_canonical(value, vmx_caps.linear_bits) : !(value >> 32);
}

static bool write_fpu(const struct row *row, const u8 value[VALUE_MAX])
{
	switch (row->source) {
	case FPU: fpu_write(value, row->host, row->number); return true;
	case FPU_TAGS: fpu_write_tags(value); return true;
	default: return fpu_write_high(value, row->number);
	}
}

static bool write_one(struct vcpu *vcpu, unsigned int number, const u8 bytes[VALUE_MAX])
{
	const struct row *row = &rows[number];
	u64 value;

	/* The level that runs is the one whose VMCS is current, and so the one whose register cache is
	 * written. */
	ASSERT(vcpu->guest->level == 1 ? vcpu->vmcs == &vcpu->vmcs01 : vcpu->vmcs != &vcpu->vmcs01);
	if (row->source >= FPU)
		return write_fpu(row, bytes);
	memcpy(&value, bytes, sizeof(value));
	if (row->source == GPR) {
		vcpu_set_gpr(vcpu, row->number, value);
		return true;
	}
	if (number == G_eflags)
		write_rflags(vcpu, value);
	else if (number == G_rsp || (number == G_rip && is_rip(vcpu, value)) ||
		 ((number == G_fs_base || number == G_gs_base) && is_canonical(value, vmx_caps.linear_bits)))
		vcpu_set_reg(vcpu, (enum reg)row->number, value);
	else
		return false;
	return true;
}

/* *known: not all x's. What the register has less of bytes is zero. */
static bool take_value(const char **text, unsigned int bytes, u8 value[VALUE_MAX], bool *known)
{
	memset(value, 0, VALUE_MAX);
	*known = !packet_take_word(text, "xx");
	for (unsigned int i = *known ? 0 : 1; i < bytes; i++)
		if (*known ? !packet_take_byte(text, &value[i]) : !packet_take_word(text, "xx"))
			return false;
	return true;
}

bool registers_take(struct vcpu *vcpu, unsigned int level, unsigned int number, const char **text)
{
	u8 value[VALUE_MAX];
	bool known;

	if (level != vcpu->guest->level || number >= ARRAY_SIZE(rows) ||
	    !take_value(text, rows[number].bytes, value, &known))
		return false;
	return !known || write_one(vcpu, number, value);
}

static bool read_bytes(struct vcpu *vcpu, const struct row *row, u8 bytes[VALUE_MAX])
{
	u64 value = 0;
	bool known;

	memset(bytes, 0, VALUE_MAX);
	if (row->source >= FPU)
		return read_fpu(row, bytes);
	known = read_running(vcpu, row, &value);
	memcpy(bytes, &value, sizeof(value));
	return known;
}

bool registers_take_all(struct vcpu *vcpu, unsigned int level, const char **text)
{
	u8 value[VALUE_MAX], old[VALUE_MAX];
	bool known;

	if (level != vcpu->guest->level)
		return false;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!take_value(text, rows[i].bytes, value, &known))
			return false;
		if (known && read_bytes(vcpu, &rows[i], old) && memcmp(value, old, rows[i].bytes))
			write_one(vcpu, i, value);
	}
	return true;
}

/* ---- target.xml ---- */

struct window {
	struct packet_output *output;
	u64 skip, left;
	bool more;
};

static void add_text(struct window *window, const char *text)
{
	for (; *text; text++) {
		if (window->skip) {
			window->skip--;
		} else if (window->left) {
			packet_add(window->output, (const char[]){ *text, '\0' });
			window->left--;
		} else {
			window->more = true;
		}
	}
}

/* As gdb has them itself. */
static const char vector_types[] =
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
	"<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
	"<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
	"<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
	"<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
	"<field name=\"uint128\" type=\"uint128\"/></union>";

static void begin_feature(struct window *window, const char *name)
{
	add_text(window, "<feature name=\"");
	add_text(window, name);
	add_text(window, "\">");
}

static void add_register(struct window *window, const char *prefix, const char *name, unsigned int bytes,
			 const char *type, const char *group)
{
	char text[200];

	print_format(text, sizeof(text), "<reg name=\"%s%s\" bitsize=\"%u\" type=\"%s\"%s/>", prefix, name,
		     8 * bytes, type, group);
	add_text(window, text);
}

static void add_rows(struct window *window, unsigned int first, unsigned int last, const char *group)
{
	for (unsigned int i = first; i < last; i++)
		add_register(window, "", rows[i].name, rows[i].bytes, rows[i].type,
			     i >= G_fctrl && i <= G_fop ? " group=\"float\"" : group);
	add_text(window, "</feature>");
}

void registers_describe(struct packet_output *output, u64 offset, u64 length)
{
	struct window window = { output, offset, MIN(length, (u64)PACKET_SIZE - 16), false };
	u32 mark = output->length;

	packet_add(output, "l");
	add_text(&window, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
			  "<architecture>i386:x86-64</architecture>");
	begin_feature(&window, "org.gnu.gdb.i386.core");
	add_rows(&window, 0, CORE_COUNT, "");
	begin_feature(&window, "org.gnu.gdb.i386.segments");
	add_rows(&window, CORE_COUNT, G_cr0, "");
	begin_feature(&window, "socle.system");
	add_rows(&window, G_cr0, G_xmm0, " group=\"system\"");
	begin_feature(&window, "org.gnu.gdb.i386.sse");
	add_text(&window, vector_types);
	add_rows(&window, G_xmm0, G_ymm0h, " group=\"vector\"");
	begin_feature(&window, "org.gnu.gdb.i386.avx");
	add_rows(&window, G_ymm0h, ARRAY_SIZE(rows), " group=\"vector\"");
	begin_feature(&window, "socle.vmcs12");
	for (unsigned int i = 0; i < VMCS12_FIELD_COUNT; i++)
		add_register(&window, "v12_", vmcs12_fields[i].name, sizeof(u64), "int64",
			     " save-restore=\"no\" group=\"vmcs12\"");
	add_text(&window, "</feature></target>");
	if (window.more)
		output->text[mark] = 'm';
}
