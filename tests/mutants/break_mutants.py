# SPDX-License-Identifier: MIT
"""Wrong Socles around breakpoints and steps: pages that stay open, breakpoints met twice or never, steps that L1 sees."""
from mutant import Mutant

STEP, BREAK, TYPES = "vmx/monitor/step.c", "vmx/monitor/break.c", "vmx/l1/ept01_types.c"
EPT02, FILL, ABSENT02, OWN = "vmx/nested/ept/ept02.c", "vmx/nested/ept/ept02_fill.c", \
    "vmx/nested/ept/ept02_absent.c", "vmx/l1/ept01_step.c"
LEVEL1, WISH = "vmx/l1/exit_ept.c", "vmx/nested/wish.c"

MUTANTS = [
    # Who steps over a closed page has it open for all CPUs, in EPT01.
    Mutant("break-page-opened-in-ept01", LEVEL1,
           [("\t\t\tabsent_step_closed(vcpu, gpa);\n", "\t\t\tpassthru_close(gpa, 0), absent_step_closed(vcpu, gpa);\n")],
           "break: an_instruction_of_l1s"),
    Mutant("break-page-never-closed", TYPES, [(" & ~(u64)closed_bits(gpa)", "")], "break: an_instruction_of_l1s"),
    Mutant("break-page-stays-in-ept02s", BREAK, [("REQUEST_EPT01_CHANGED,", "0,")], "break: an_instruction_of_l2s"),
    Mutant("break-page-open-by-its-aliases", FILL, [(" && !closed_bits(under->hpa)", "")], "break: an_instruction_of_l2s"),
    Mutant("break-page-stays-open-in-ept02", ABSENT02,
           [("\tunder->rwx = EPT_RWX;\n\tremember(vcpu, l2gpa);\n", "\tunder->rwx = EPT_RWX;\n\t(void)vcpu, (void)l2gpa;\n")],
           "break: an_instruction_of_l2s"),
    Mutant("break-page-is-absent-memory", OWN, [("\tif (closed_bits(page))\n", "\tif (0)\n")], "break: an_instruction_of_l1s"),
    Mutant("break-asked-before-l1", EPT02,
           [("\tresult = ept12_walk(vcpu, &root->role, l2gpa,",
             "\tif (closed_bits(l2gpa))\n\t\treturn closed_may_pass(vcpu, GPA(l2gpa), EPT_EXEC), OUTCOME_RESUME;\n"
             "\tresult = ept12_walk(vcpu, &root->role, l2gpa,")], "break: what_is_l1s_stays_l1s"),
    Mutant("break-met-for-ever", STEP, [("\td->passing = true;\n", "")], "break: an_instruction_of_l1s"),
    Mutant("break-met-once", STEP, [("\t\td->passing = false;\n", "")], "break: an_instruction_of_l1s"),
    Mutant("break-passes-by-any-exit", STEP, [("(mtf || rip != d->passing_rip)", "true")], "break: passing_outlasts_exits"),
    Mutant("break-of-the-other-level", BREAK, [("list[i].level == level && ", "level && ")], "break: the_other_level_passes"),
    Mutant("break-watch-by-any-write", BREAK, [("value != list[i].value && !first", "list[i].kind == BREAK_WRITE && !first")],
           "break: a_watched_value"),
    Mutant("break-msr-taken-from-l0", BREAK, [("\t\tif (!b->was_on[write])\n", "")], "break: msrs"),
    Mutant("break-msr-not-in-open-words", BREAK,
           [("vm_want_msr(b->number, write, true);\n\tclose_bitmaps();", "vm_want_msr(b->number, write, true);")],
           "break: an_msr_of_l2s"),
    Mutant("step-flag-stays-for-l1", STEP, [("\tevent_set_step(vcpu, STEP_DEBUG, false);\n", "")],
           "break: steps_from_level_to_level"),
    Mutant("step-over-emulated", STEP, [("(!mtf && level == d->from_level && rip == d->from_rip)", "!mtf")],
           "break: steps_of_l1"),
    Mutant("step-never-at-a-loop", STEP, [("(!mtf && level ==", "((void)mtf, level ==")], "break: steps_of_l1"),
    Mutant("step-takes-l1s-flag", "vmx/nested/exit/exit_wanted.c",
           [("\treturn v12_has_proc(v12, PROC_MTF) ||", "\treturn (v12_has_proc(v12, PROC_MTF) && !vcpu->looks) ||")],
           "break: l1s_own_flag_is_exact"),
    Mutant("break-exception-not-in-vmcs02", "vmx/nested/entry/merge.c", [(" | vcpu->wish.exceptions", "")],
           "break: page_faults_of_l2"),
    Mutant("break-exception-for-ever", STEP, [("\tif (vcpu->wish.watched != break_exceptions())\n",
                                               "\tif (vcpu->wish.watched < break_exceptions())\n")],
           "break: page_faults_of_l2"),
    Mutant("break-takes-the-options-wish", WISH, [("wish->pf = merge_pf(watched, wish->pf_asked);", "wish->pf = watched;")],
           "break: wishes_are_joined"),
    Mutant("break-exceptions-of-no-option", WISH, [(" | (u32)(options.intercept >> 32)", "")], "break: wishes_are_joined"),
    Mutant("debug-exception-without-dr6", "vmx/exit.c",
           [("\t\tenter_debug_exception(vcpu);\n", "\t\t(void)enter_debug_exception;\n")],
           "break: debug_exceptions", "exits: trap_flag", "intercept=db"),
    Mutant("debug-exception-keeps-gd", "vmx/exit.c", [(" & ~(u64)DR7_GD", "")], "break: debug_exceptions"),
    Mutant("debug-exception-keeps-btf", "vmx/exit.c", [("~(u64)(DEBUGCTL_LBR | DEBUGCTL_BTF)", "~(u64)DEBUGCTL_LBR")],
           "break: debug_exceptions"),
    Mutant("break-stops-twice", "vmx/monitor/control.c", [("\tif (round & 1)\n\t\treturn false;\n", "")],
           "break: who_stops_a_stopped_machine"),
]
