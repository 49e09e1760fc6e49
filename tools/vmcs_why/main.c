/* SPDX-License-Identifier: MIT */
/*
 * vmcs-why [--caps FILE|--model NAME] [--json] [--show] [FILE...]: why a VM entry with this VMCS fails, from
 * a dump of it (standard input without a file). Says what is broken for certain, in the SDM's order, then
 * what could not be judged for want of a field, then what is no rule of VM entry but catches people. Exit
 * status 0: nothing is broken, 1: something is, 2: it could not be read. vmcs-why --error NUMBER: what a
 * VM-instruction error means.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/x86.h"
#include "tools/vmcs_why/errors.h"
#include "tools/vmcs_why/judge.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/vmx.h"
#include "vmx/nested/explain/paragraph.h"

#define INPUT_MAX (16u << 20)
#define LISTED 12 /* missing fields that are named */

static const char *const rule_names[RULE_COUNT] = {
#define RULE(id, section, field, set, text) #id,
#define REFUSAL(id, outcome, section, text) #id,
#include "vmx/nested/explain/rules.def"
#undef REFUSAL
#undef RULE
};

static const char *const outcomes[] = {
	[STAGE_CONTROLS] = "VM-instruction error 7, control fields",
	[STAGE_HOST] = "VM-instruction error 8, host-state fields",
	[STAGE_GUEST] = "exit reason 33, guest state",
};

static int fail(const char *what, const char *where)
{
	fprintf(stderr, "vmcs-why: %s: %s\n", where, what);
	return 2;
}

/* All of a file, or of standard input; NULL: it cannot be read. */
static char *read_all(const char *name, size_t *length)
{
	FILE *file = strcmp(name, "-") ? fopen(name, "r") : stdin;
	char *text = malloc(INPUT_MAX + 1);

	*length = file && text ? fread(text, 1, INPUT_MAX, file) : 0;
	if (!file || !text || ferror(file)) {
		free(text);
		text = NULL;
	}
	if (file && file != stdin)
		fclose(file);
	return text;
}

static void show_taken(const char *line, size_t length, const char *field, u64 value)
{
	printf("took %s = %llx from: %.*s\n", field, (unsigned long long)value, (int)length, line);
}

/* ---- warnings: no rules of VM entry ---- */

static bool all_known(const struct dump *dump, unsigned int a, unsigned int b)
{
	return dump->known[a] && dump->known[b];
}

static unsigned int warn(bool so, const char *text, bool json, unsigned int count)
{
	if (so)
		printf(json ? "%s\"%s\"" : "%swarning %s\n", json && count ? ", " : "", text);
	return count + so;
}

static unsigned int warnings(const struct dump *d, bool json)
{
	const struct vmcs12 *v = &d->v12;
	unsigned int n = 0;
	bool proc2 =
		all_known(d, V12_proc_controls, V12_proc2_controls) && (v->proc_controls & PROC_SECONDARY);

	n = warn(d->known[V12_pin_controls] && !(v->pin_controls & PIN_NMI_EXITING),
		 "NMI exiting is off: an NMI meets the guest's IDT", json, n);
	n = warn(d->known[V12_pin_controls] && !(v->pin_controls & PIN_EXTERNAL_INTERRUPT),
		 "external-interrupt exiting is off: the host's interrupts meet the guest's IDT", json, n);
	n = warn(proc2 && !(v->proc2_controls & PROC2_RDTSCP),
		 "RDTSCP is off: #UD in a guest whose CPUID has it", json, n);
	n = warn(proc2 && !(v->proc2_controls & PROC2_INVPCID),
		 "INVPCID is off: #UD in a guest whose CPUID has it", json, n);
	n = warn(proc2 && !(v->proc2_controls & PROC2_XSAVES),
		 "XSAVES is off: #UD in a guest whose CPUID has it", json, n);
	n = warn(all_known(d, V12_exit_controls, V12_entry_controls) &&
			 (v->entry_controls & ENTRY_LOAD_EFER) && !(v->exit_controls & EXIT_LOAD_EFER),
		 "the entry loads IA32_EFER and the exit does not: the host goes on with the guest's NXE and "
		 "SCE",
		 json, n);
	n = warn(d->known[V12_guest_cs_limit] && d->known[V12_guest_rip] && d->known[V12_guest_cs_ar] &&
			 !(v->guest_cs_ar & AR_L) && v->guest_rip > v->guest_cs_limit,
		 "RIP is beyond the limit of CS: #GP at the first instruction", json, n);
	n = warn(d->known[V12_host_tr_base] && d->known[V12_host_tr_selector] && v->host_tr_selector &&
			 !v->host_tr_base,
		 "the base of the host's TR is 0: an exit loads it from the VMCS, with a limit of 67H", json,
		 n);
	return n;
}

/* ---- output ---- */

static void missing_of(const struct dump *dump, const struct judgement *j, bool *missing)
{
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++)
		for (unsigned int segment = 0; segment < SEGMENTS; segment++)
			for (unsigned int f = 0; j->verdict[rule][segment] == OPEN && f < VMCS12_FIELD_COUNT;
			     f++)
				missing[f] |= !dump->known[f] && rule_looks_at(rule, segment, f);
}

static void print_broken(const struct dump *dump, const struct check_failure *f, const struct vmx_caps *caps)
{
	char buffer[2000];
	struct text text = { buffer, sizeof(buffer), 0 };

	text_add(&text, "broken: %s\n", outcomes[section_rows[rule_rows[f->rule].section].stage]);
	paragraph_field(&text, f->field, f->value, caps);
	paragraph_others(&text, f, &dump->v12);
	paragraph_rule(&text, f->rule);
	paragraph_wrong(&text, f);
	fputs(buffer, stdout);
}

static void print_text(const struct dump *dump, const struct judgement *j, const struct vmx_caps *caps)
{
	bool missing[VMCS12_FIELD_COUNT] = { false };
	const char *separator = "";
	unsigned int listed = 0;

	if (dump->known[V12_vm_instruction_error] && dump->v12.vm_instruction_error)
		error_print(dump->v12.vm_instruction_error);
	if (dump->known[V12_exit_reason])
		failure_print(dump->v12.exit_reason);
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++)
		for (unsigned int segment = 0; segment < SEGMENTS; segment++)
			if (j->verdict[rule][segment] == BROKEN)
				print_broken(dump, &j->failure[rule][segment], caps);
	printf("%u of %u fields known; %u rules are broken, %u could not be judged", dump->count,
	       (unsigned int)VMCS12_FIELD_COUNT, j->broken, j->open);
	missing_of(dump, j, missing);
	printf("%s", j->open ? ", for want of memory or of these fields: " : "");
	for (unsigned int f = 0; f < VMCS12_FIELD_COUNT; f++)
		if (missing[f] && listed++ < LISTED) {
			printf("%s%s", separator, vmcs12_fields[f].name);
			separator = ", ";
		}
	if (listed > LISTED)
		printf(" and %u more (--json says which rules)", listed - LISTED);
	printf("\n");
	warnings(dump, false);
}

static void print_json(const struct dump *dump, const struct judgement *j)
{
	static const char *const lists[] = { [BROKEN] = "broken", [OPEN] = "open" };
	bool first = true;

	printf("{\"fields\": %u", dump->count);
	for (unsigned int which = BROKEN; which >= OPEN; which--) {
		printf(", \"%s\": [", lists[which]);
		first = true;
		for (unsigned int rule = 0; rule < RULE_COUNT; rule++)
			for (unsigned int segment = 0; segment < SEGMENTS; segment++) {
				unsigned int field = rule_rows[rule].field + segment;

				if (j->verdict[rule][segment] != which)
					continue;
				printf("%s{\"rule\": \"%s\", \"field\": \"%s\", \"value\": \"%llx\"}",
				       first ? "" : ", ", rule_names[rule], vmcs12_fields[field].name,
				       (unsigned long long)vmcs12_value(&dump->v12, field));
				first = false;
			}
		printf("]");
	}
	printf(", \"warnings\": [");
	warnings(dump, true);
	printf("]}\n");
}

static const char usage[] =
	"usage: vmcs-why [--caps FILE|--model NAME] [--json] [--show] [FILE...] | --error NUMBER";

static int say_error(const char *number)
{
	if (!isdigit((unsigned char)number[0]))
		return fail("no number", number);
	return error_print(strtoull(number, NULL, 10)) ? 0 : 2;
}

int main(int argc, char **argv)
{
	static struct judgement j;
	static struct dump dump;
	struct vmx_caps caps;
	bool json = false, any = false;
	char *text, names[200];
	size_t length;
	int files = 0;

	if (argc == 3 && !strcmp(argv[1], "--error"))
		return say_error(argv[2]);
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return puts(usage) < 0;
	caps_any(&caps);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			json = true;
		} else if (!strcmp(argv[i], "--show")) {
			dump.took = show_taken;
		} else if (!strcmp(argv[i], "--caps") && i + 1 < argc) {
			text = read_all(argv[++i], &length);
			if (!text || !caps_parse(&caps, text, length))
				return fail("no capability MSR in it (lines such as 482 = fff9fffe0401e172)",
					    argv[i]);
			free(text);
		} else if (!strcmp(argv[i], "--model") && i + 1 < argc) {
			if (!caps_model(&caps, argv[++i], names, sizeof(names)))
				return fail(names, "--model: say one of");
		} else if (argv[i][0] == '-' && argv[i][1]) {
			return fail(usage, argv[i]);
		} else {
			argv[++files] = argv[i];
		}
	}
	if (!files) {
		static char input[] = "-";

		argv[files = 1] = input;
	}
	for (int i = 1; i <= files; i++) {
		text = read_all(argv[i], &length);
		if (!text)
			return fail("cannot be read", argv[i]);
		any |= dump_parse(&dump, text, length);
		free(text);
	}
	if (!any)
		return fail("no field of a VMCS in it (name=value, encoding=value, or a dump with its lines "
			    "'*** Guest State ***' and the like)",
			    strcmp(argv[1], "-") ? argv[1] : "standard input");
	judge(&dump, &caps, &j);
	if (json)
		print_json(&dump, &j);
	else
		print_text(&dump, &j, &caps);
	return j.broken ? 1 : 0;
}
