/* SPDX-License-Identifier: MIT */
/*
 * A VMCS, field by field: what stands there, what it means, where vmcs02 has something else, and which rules
 * vmcs12 breaks.
 */
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vmx/guest/vcpu.h"
#include "vmx/monitor/command.h"
#include "vmx/monitor/meaning.h"
#include "vmx/monitor/output.h"
#include "vmx/monitor/view.h"
#include "vmx/nested/entry/entry.h"
#include "vmx/nested/explain/paragraph.h"
#include "vmx/nested/vmcs12/vmcs12.h"

static bool contains(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (; *text; text++)
		if (!strncmp(text, part, length))
			return true;
	return false;
}

/* `word` is a group, an encoding, or part of a name. */
static bool is_wanted(const struct vmcs12_field *field, const char *word)
{
	static const char groups[][6] = { [VMCS_TYPE_CONTROL] = "ctl",
					  [VMCS_TYPE_READ_ONLY] = "exit",
					  [VMCS_TYPE_GUEST] = "guest",
					  [VMCS_TYPE_HOST] = "host" };
	u64 encoding;

	if (!word)
		return true;
	for (unsigned int i = 0; i < ARRAY_SIZE(groups); i++)
		if (!strcmp(word, groups[i]))
			return VMCS_FIELD_TYPE(field->encoding) == i;
	return (line_hex(word, 0xffff, &encoding) && encoding == field->encoding) ||
	       contains(field->name, word);
}

/* The rules that vmcs12 breaks, so that the next entry fails by the first of them. NULL: not asked. */
static const struct check_failures *broken;

/* Under the field, in the words of explain=; those of no field by themselves. */
static void show_broken(u32 field)
{
	char buffer[512];

	for (u32 i = 0; broken && i < broken->count; i++) {
		const struct check_failure *failure = &broken->failures[i];
		struct text text = { buffer, sizeof(buffer), 0 };

		if (failure->field != field)
			continue;
		text_add(&text, "  broken\n");
		paragraph_rule(&text, failure->rule);
		paragraph_wrong(&text, failure);
		output_text(buffer, text.used);
	}
}

/* Each field once, in the order of the checks. */
static bool is_listed(u32 failure)
{
	for (u32 i = 0; i < failure; i++)
		if (broken->failures[i].field == broken->failures[failure].field)
			return true;
	return false;
}

static void list_broken(void)
{
	for (u32 i = 0; broken && i < broken->count; i++) {
		u32 field = broken->failures[i].field;

		if (field < VMCS12_FIELD_COUNT && !is_listed(i))
			output("broken: %04x %s", vmcs12_fields[field].encoding, vmcs12_fields[field].name);
	}
	if (broken && broken->more)
		output("broken: %u rules more", broken->more);
	show_broken(RULE_NO_FIELD);
}

/* Of vmcs12, with what vmcs02 has there if that is something else. */
static void show_field(const struct view *view, unsigned int index)
{
	const struct vmcs12_field *field = &vmcs12_fields[index];
	u64 value, in_02;

	if (!view_read(view, field->encoding, &value))
		return;
	if (view->kind == VIEW_12 && view->has_02 && VMCS_FIELD_TYPE(field->encoding) != VMCS_TYPE_HOST &&
	    view_read_loaded(field->encoding, &in_02) && in_02 != value) {
		output("%04x %s %llx (02: %llx)", field->encoding, field->name, LL(value), LL(in_02));
		meaning_show(view, index, value);
		meaning_show_02(index, value, in_02);
	} else {
		output("%04x %s %llx", field->encoding, field->name, LL(value));
		meaning_show(view, index, value);
	}
}

bool command_vmcs(struct vcpu *vcpu, const struct words *words)
{
	const char *wanted = words->count > 2 ? words->word[2] : NULL;
	enum view_kind kind;
	struct view view;

	if (words->count < 2 || words->count > 3 || !view_kind_of(words->word[1], &kind))
		return false;
	if (!view_begin(&view, vcpu, kind))
		return true;
	output("cpu %u: vmcs%s, L1's region %llx, %s", vcpu->cpu->id, words->word[1],
	       LL(kind == VIEW_01 ? vcpu->nested.vmxon_pointer : vcpu->nested.current->gpa),
	       kind == VIEW_01	    ? view_who_runs(vcpu)
	       : view.v12->launched ? "launched"
				    : "clear");
	broken = NULL;
	/* While L2 runs it has been entered: there its guest state is what L1 left. */
	if (kind == VIEW_12 && vcpu->guest->level == 1) {
		struct check_env env = entry_env(vcpu, vcpu->nested.current);

		broken = check_all(&vcpu->nested.current->v12, &env);
	}
	list_broken();
	for (unsigned int i = 0; i < VMCS12_FIELD_COUNT; i++)
		if (is_wanted(&vmcs12_fields[i], wanted)) {
			show_field(&view, i);
			show_broken(i);
		}
	view_end(&view);
	return true;
}
