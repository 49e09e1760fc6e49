# SPDX-License-Identifier: MIT
"""Mutants of vmcs-why: how it reads dumps, and what it calls broken."""
from mutant import Mutant

FORMS, DUMP, JUDGE, CAPS, TEXT = ("tools/vmcs_why/%s.c" % name for name in ("forms", "dump", "judge", "caps", "text"))

MUTANTS = [
    Mutant("why-list-not-taken", FORMS, [("if (used && field)", "if (used && !field)")], host="test_vmcs_why: test_haxms_form"),
    Mutant("why-braces-are-guests", FORMS, [('r->part == PART_HOST ? "host" : "guest"', '"guest"')],
           host="test_vmcs_why: test_virtualbox_form"),
    Mutant("why-decimal-is-hexadecimal", FORMS, [("value * 10 +", "value * 16 +")], host="test_vmcs_why: test_virtualbox_form"),
    Mutant("why-part-never-ends", FORMS, [("if (length == 1 && at[0] == '}')", "if (length == 1 && at[0] == '{')")],
           host="test_vmcs_why: test_bochs_saved_state"),
    Mutant("why-svi-lost", DUMP, [("first << 8 | second", "second")], host="test_vmcs_why: test_linux_more"),
    Mutant("why-blanks-end-a-name", DUMP, [("return i >= 2 && (i == length || at[i] != '=');", "return i >= 2;")],
           host="test_vmcs_why: test_virtualbox_form"),
    Mutant("why-missing-is-broken", JUDGE, [("\t\t\t\t*verdict = OPEN;", "\t\t\t\t*verdict = BROKEN;")],
           host="test_vmcs_why: test_public_cases_in_linux_form"),
    Mutant("why-model-without-secondary", CAPS, [("\t\tcaps->proc2 = control(models[i].proc2);\n", "")],
           host="test_vmcs_why: test_models"),
    Mutant("why-nothing-is-an-encoding", DUMP, [("return *key && reader_number(", "return reader_number(")],
           host="test_vmcs_why: test_forms_that_people_paste"),
    Mutant("why-words-that-are-numbers", TEXT, [("if (!sign && words != 2 && ", "if (false && ")],
           host="test_vmcs_why: test_forms_that_people_paste"),
    Mutant("why-cut-numbers-count", TEXT, [("\treturn digits != 2 &&", "\treturn false && digits != 2 &&")],
           host="test_vmcs_why: test_lines_that_are_cut"),
    Mutant("why-minus-is-lost", TEXT, [("value = -value;", "value = ~value;")], host="test_vmcs_why: test_negative_numbers"),
    Mutant("why-model-without-width", CAPS, [("\t\tcaps->physical_bits = (unsigned int)models[i].width;\n", "")],
           host="test_vmcs_why: test_models"),
    Mutant("why-rule-of-another-segment", JUDGE, [("found->verdict[id][segment] = BROKEN;", "found->verdict[id][0] = BROKEN;")],
           host="test_vmcs_why: test_each_rule_alone"),
]
