/* SPDX-License-Identifier: MIT */
/*
 * See errors.h.
 */
#include "tools/vmcs_why/errors.h"

#include <stdio.h>

#include "vmx/nested/explain/paragraph.h"

enum kind { KIND_INSTRUCTION, KIND_ENTRY, KIND_SMM, KIND_NONE };

static const struct {
	unsigned int number;
	enum kind kind;
	const char *text;
} errors[] = {
#define ERROR(number, kind, text) { number, KIND_##kind, text },
#include "tools/vmcs_why/errors.def"
#undef ERROR
};

static void print_rules(unsigned int number)
{
	char buffer[400];

	for (unsigned int rule = 0; rule < RULE_COUNT; rule++) {
		struct text text = { buffer, sizeof(buffer), 0 };

		if (rule_rows[rule].field != RULE_NO_FIELD || rule_rows[rule].outcome != number)
			continue;
		paragraph_rule(&text, rule);
		fputs(buffer, stdout);
	}
}

bool error_print(u64 number)
{
	static const char *const remarks[] = {
		[KIND_ENTRY] = "  which rule it is, a dump of the VMCS tells\n",
		[KIND_SMM] = "  only an SMM monitor meets it; Socle never gives it\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		if (errors[i].number != number)
			continue;
		printf("VM-instruction error %u: %s\n", errors[i].number, errors[i].text);
		if (errors[i].kind == KIND_INSTRUCTION)
			print_rules(errors[i].number);
		else if (errors[i].kind != KIND_NONE)
			fputs(remarks[errors[i].kind], stdout);
		return true;
	}
	printf("VM-instruction error %llu: the SDM has none with this number\n", (unsigned long long)number);
	return false;
}

void failure_print(u64 exit_reason)
{
	static const char *const reasons[] = {
		[33 - 33] = "the guest state is not valid",
		[34 - 33] = "an entry of the VM-entry MSR-load list could not be loaded; the exit "
			    "qualification says which",
		[41 - 33] = "a machine check came during the entry",
	};
	u64 basic = (exit_reason & 0xffff) - 33;

	if (exit_reason >> 31 & 1)
		printf("exit reason %llu, and bit 31: the VM entry failed: %s\n",
		       (unsigned long long)(exit_reason & 0xffff),
		       basic < ARRAY_SIZE(reasons) && reasons[basic] ? reasons[basic] : "for another reason");
}
