# SPDX-License-Identifier: MIT
"""What is not done at each entry and exit, left out where it must be done."""
from mutant import Mutant

BITMAPS, MERGE, ENTRY = "vmx/nested/entry/bitmaps.c", "vmx/nested/entry/merge.c", "vmx/nested/entry/entry.c"

MUTANTS = [
    Mutant("msr-word-of-l1-alone", BITMAPS, [("\treturn l1 | l0[word];\n", "\treturn l0 ? l1 : 0;\n")],
           "merge: opened_words_have_l0s_bits"),
    Mutant("msr-words-read-once", BITMAPS,
           [("\t\tslot->msr_bitmap02[slot->msr_opened[i]] = merged_word(", "\t\tif (!page)\n\t\t\tslot->msr_bitmap02["
             "slot->msr_opened[i]] = merged_word(")], "merge: bitmaps_follow_l1s_pages"),
    Mutant("msr-words-open-without-bitmaps", BITMAPS, [("\t\tclose_words(slot);\n\t\treturn;\n", "\t\treturn;\n")],
           "merge: bitmaps_follow_l1s_pages"),
    Mutant("msr-words-without-bound", BITMAPS, [("\tif (slot->msr_opened_count == MSR_OPENED_MAX)\n", "\tif (0)\n")],
           "merge: opened_words_have_l0s_bits"),
    Mutant("msr-word-open-over-the-tpr", BITMAPS, [("\ttpr_prepare(slot);\n", "")],
           "merge: a_virtual_apic_page_that_is_no_memory"),
    Mutant("tsc-offset-with-the-controls-only", MERGE,
           [("(dirty & (GROUP_TSC | GROUP_CTL))", "(dirty & GROUP_CTL)")], "merge: single_fields_reach_vmcs02"),
    Mutant("tsc-offset-without-the-controls", MERGE,
           [("(dirty & (GROUP_TSC | GROUP_CTL))", "(dirty & GROUP_TSC)")], "merge: single_fields_reach_vmcs02"),
    Mutant("eoi-bitmaps-once", MERGE, [("\tif (dirty & GROUP_EOI)\n", "\tif (!slot->entered)\n")],
           "merge: single_fields_reach_vmcs02"),
    Mutant("intercepts-once", MERGE, [("\tif (dirty & GROUP_CUT)\n", "\tif (!slot->entered)\n")],
           "merge: single_fields_reach_vmcs02"),
    Mutant("control-words-without-host-state", ENTRY,
           [("\tif ((stale & (GROUP_WORD | GROUP_HST)) ||", "\tif ((stale & GROUP_HST) ||")],
           "entry: control_words_are_checked_against_the_state"),
    Mutant("control-words-without-guest-state", ENTRY,
           [("\tif (stale & (GROUP_WORD | GROUP_SEG |", "\tif (stale & (GROUP_SEG |")],
           "entry: control_words_are_checked_against_the_state"),
]
