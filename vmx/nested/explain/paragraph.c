/* SPDX-License-Identifier: MIT */
/*
 * See paragraph.h.
 */
#include "vmx/nested/explain/paragraph.h"

void paragraph_field(struct text *text, unsigned int field, u64 value, const struct vmx_caps *caps)
{
	text_add(text, "  field  %s (%04x) = %llx", vmcs12_fields[field].name, vmcs12_fields[field].encoding,
		 (unsigned long long)value);
	words_value(text, field, value, caps);
	text_add(text, "\n");
}

void paragraph_others(struct text *text, const struct check_failure *failure, const struct vmcs12 *v12)
{
	unsigned int other = rule_other(failure, 0);

	if (other == RULE_NO_FIELD)
		return;
	text_add(text, "  with   ");
	for (unsigned int n = 0; other != RULE_NO_FIELD; other = rule_other(failure, ++n))
		text_add(text, "%s%s = %llx", n ? ", " : "", vmcs12_fields[other].name,
			 (unsigned long long)vmcs12_value(v12, other));
	text_add(text, "\n");
}

void paragraph_rule(struct text *text, enum rule rule)
{
	char says[RULE_TEXT_MAX], title[RULE_TEXT_MAX];

	rule_expand(rule_rows[rule].text, says, sizeof(says));
	rule_expand(section_rows[rule_rows[rule].section].title, title, sizeof(title));
	text_add(text, "  rule   %s (%s)\n", says, title);
}

void paragraph_wrong(struct text *text, const struct check_failure *failure)
{
	if (!((failure->value ^ failure->want) & failure->mask))
		return;
	text_add(text, "  wrong  ");
	words_wrong(text, failure->field, failure->value, failure->mask, failure->want);
	text_add(text, "\n");
}
