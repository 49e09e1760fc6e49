# SPDX-License-Identifier: MIT
"""Mutants of what explain= says, and how often."""
from mutant import Mutant

EXPLAIN, WORDS = "vmx/nested/explain/explain.c", "vmx/nested/explain/words.c"
EPT02, LOOK, TRIPLE = "vmx/nested/ept/ept02.c", "vmx/nested/exit/look.c", "vmx/nested/exit/triple_fault.c"

MUTANTS = [
    Mutant("told-again-and-again", EXPLAIN,
           [("\tif (options.explain == EXPLAIN_FIRST || rule", "\tif (rule")], "explain: a_rule_is_told_once"),
    Mutant("all-told-once", EXPLAIN,
           [("\tif (options.explain == EXPLAIN_FIRST || rule", "\tif (true || rule")],
           "explain: all_are_told"),
    Mutant("off-is-on", EXPLAIN, [("options.explain == EXPLAIN_OFF ? ~0ull : 0", "0")], "explain: nothing_is_told"),
    Mutant("told-without-a-pause", "kernel/pace.c",
           [("\tif (now < *next && *next - now <= interval)\n\t\treturn false;\n", "")],
           "explain: two_come_a_tenth_of_a_second_apart"),
    Mutant("pause-while-it-is-told", EXPLAIN, [("\tpace_rest(&explain->next);\n", "")], "explain: the_pause_begins_at_the_end"),
    Mutant("untold-not-counted", EXPLAIN,
           [("REFUSED_ABORT)) {\n\t\texplain->untold++;", "REFUSED_ABORT)) {")], "explain: a_rule_is_told_once"),
    Mutant("field-not-traced", "vmx/nested/insn/insn_field.c",
           [("\tvcpu_trace(vcpu, 0)->subject = encoding;\n\t*row =", "\t*row =")], "explain: the_writer_is_named"),
    Mutant("wrong-bits-turned-round", WORDS,
           [("add_bits(text, kind, wrong & want, '1');", "add_bits(text, kind, wrong & want, '0');")],
           "explain: a_rule_is_told_once"),
    Mutant("ve-told-as-an-exit", EPT02,
           [("\t\tstruct ept12_fault fault = ept12_fault(&root->role, result, l2gpa, access, walk);\n",
             "\t\tstruct ept12_fault fault = ept12_fault(&root->role, result, l2gpa, access, walk);\n"
             "\t\tept12_explain(vcpu, &root->role, result, l2gpa, access, walk);\n")], "caps: violations_become_ve"),
    Mutant("look-sets-flags", "vmx/nested/ept/ept12.c",
           [("walk_once(vcpu, &role, l2gpa.v, 0, &walk) != EPT12_OK)",
             "ept12_walk(vcpu, &role, l2gpa.v, 0, &walk) != EPT12_OK)")],
           "triple_fault: l2s_is_explained"),
    Mutant("look-without-ept12", LOOK, [("if (vcpu->guest->look && !vcpu->guest->look(vcpu, address, &gpa))", "if (false)")],
           "triple_fault: l2s_is_explained"),
    Mutant("look-at-devices", LOOK, [("\treturn page;", "\treturn true;")], "triple_fault: each_flaw_is_found"),
    Mutant("look-beyond-the-page", LOOK, [("part = MIN(length, PAGE_SIZE - address % PAGE_SIZE);", "part = length;")],
           "triple_fault: pages_are_looked_at_one_by_one"),
    Mutant("callers-without-end", TRIPLE, [("for (; found < FRAMES; found++) {", "for (;; found++) {")],
           "triple_fault: a_chain_of_frames_ends"),
    Mutant("callers-in-a-circle", TRIPLE, [("if (next <= frame) {", "if (next == frame) {")], "triple_fault: code_and_callers"),
    Mutant("gate-cut-by-the-limit", "vmx/nested/exit/gate.c", [("vector * size + size - 1 >", "vector * size >")],
           "triple_fault: each_flaw_is_found"),
    Mutant("triple-fault-without-a-word", "vmx/exit.c", [("\ttriple_fault_report(vcpu);\n", "")],
           "triple_fault: l1s_is_reported"),
    Mutant("piece-cut", "vmx/nested/explain/rules.c", [("pieces[byte - FIRST_PIECE]", "pieces[byte - FIRST_PIECE] + 1")],
           "explain: texts_are_those_of_the_tables"),
]
