/* SPDX-License-Identifier: MIT */
/*
 * Bits have the names that explain= gives them (vmx/nested/explain/words.h); what an exit says of itself is
 * this file's.
 * SDM: "Exit Qualification", "Basic VM-Exit Information".
 */
#include "vmx/monitor/meaning.h"

#include "kernel/string.h"
#include "vmx/hw/exits.h"
#include "vmx/monitor/output.h"
#include "vmx/nested/explain/words.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define COLUMNS 140u
#define TEXT_SIZE 800u /* the names of all secondary controls have some 600 characters */

/* What does not fit into a line goes on in another one, behind a comma. */
static void say(const char *title, const char *text)
{
	size_t length = strlen(text);

	while (length) {
		size_t part = length;

		if (part > COLUMNS)
			for (part = COLUMNS; part > 1 && text[part - 1] != ','; part--)
				;
		output("  %s%.*s", title, (int)part, text);
		text += part;
		length -= part;
		if (length && *text == ' ') {
			text++;
			length--;
		}
	}
}

/* ---- exit qualifications ---- */

static void add_ept_access(struct text *text, u64 bits)
{
	static const char names[][24] = { "read",
					  "write",
					  "fetch",
					  "readable",
					  "writable",
					  "executable",
					  "user-executable",
					  "linear address",
					  "translated address",
					  "user",
					  "read-write page",
					  "no-execute page",
					  "NMI unblocking" };
	const char *separator = "";

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (bits & BIT(i)) {
			text_add(text, "%s%s", separator, names[i]);
			separator = ", ";
		}
}

static void add_port_access(struct text *text, u64 bits)
{
	text_add(text, "%s port %llx, bytes %llu%s%s", bits & BIT(3) ? "IN" : "OUT", LL(bits >> 16 & 0xffff),
		 LL(bits & 7) + 1, bits & BIT(4) ? ", string" : "", bits & BIT(5) ? ", REP" : "");
}

static void add_qualification(struct text *text, u32 reason, u64 value)
{
	static const char cr_accesses[4][9] = { "MOV to", "MOV from", "CLTS", "LMSW" };
	static const char switches[4][5] = { "CALL", "IRET", "JMP", "gate" };

	switch (reason & 0xffff) {
	case EXIT_TASK_SWITCH:
		text_add(text, "selector %llx, by %s", LL(value & 0xffff), switches[value >> 30 & 3]);
		break;
	case EXIT_CR_ACCESS:
		text_add(text, "%s CR%llu, register %llu", cr_accesses[value >> 4 & 3], LL(value & 15),
			 LL(value >> 8 & 15));
		break;
	case EXIT_DR_ACCESS:
		text_add(text, "MOV %s DR%llu, register %llu", value & BIT(4) ? "from" : "to", LL(value & 7),
			 LL(value >> 8 & 15));
		break;
	case EXIT_IO: add_port_access(text, value); break;
	case EXIT_APIC_ACCESS:
		text_add(text, "offset %llx, type %llu", LL(value & 0xfff), LL(value >> 12 & 15));
		break;
	case EXIT_EPT_VIOLATION: add_ept_access(text, value); break;
	default: break;
	}
}

/* ---- fields ---- */

static void add_meaning(struct text *text, const struct view *view, unsigned int index, u64 value)
{
	if (index == V12_exit_reason)
		text_add(text, "%s%s", exit_reason_name((u32)value & 0xffff),
			 value & EXIT_REASON_ENTRY_FAILURE ? ", VM entry failed" : "");
	else if (index == V12_exit_qualification)
		add_qualification(text, (u32)view_field(view, VMCS_exit_reason), value);
	else if (!words_controls(text, index, value))
		words_value(text, index, value, &caps12);
}

/* Without what stands between a name and its value in a paragraph. */
static const char *behind_colon(const char *words)
{
	return words[0] == ':' ? words + (words[1] == ' ' ? 2 : 1) : words;
}

/* Of zero there is something to say where it is a state; selectors say what they are. */
static bool says_something(unsigned int index, u64 value)
{
	return (value || index == V12_guest_activity_state || index == V12_exit_qualification) &&
	       VMCS_FIELD_WIDTH(vmcs12_fields[index].encoding) != VMCS_WIDTH_16;
}

void meaning_show(const struct view *view, unsigned int index, u64 value)
{
	char buffer[TEXT_SIZE] = "";
	struct text text = { buffer, sizeof(buffer), 0 };

	if (!says_something(index, value))
		return;
	add_meaning(&text, view, index, value);
	say("means  ", behind_colon(buffer));
}

/* Of controls those that it has more, and less; of other fields what the value means. */
void meaning_show_02(unsigned int index, u64 value, u64 in_02)
{
	char buffer[TEXT_SIZE] = "";
	struct text text = { buffer, sizeof(buffer), 0 };

	if (!says_something(index, in_02))
		return;
	if (!words_controls(&text, index, in_02 & ~value)) {
		words_value(&text, index, in_02, &caps12);
		say("02     ", behind_colon(buffer));
		return;
	}
	say("02 has ", buffer);
	text.used = 0;
	buffer[0] = '\0';
	words_controls(&text, index, value & ~in_02);
	say("02 not ", buffer);
}
