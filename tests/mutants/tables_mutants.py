# SPDX-License-Identifier: MIT
"""L1's descriptor tables in vmcs01, known where they are not, written where they need not be, or watched in vain."""
from mutant import Mutant

TABLES, PREPARE = "vmx/nested/exit/host_tables.c", "vmx/nested/entry/host_prepare.c"
CACHE = "vmx/hw/regcache.c"
FORGET = "\tregcache_forget_tables(&vcpu->vmcs01.cache);\n"


def without(field, last=False):
    """host_tables_name() without a look at this field."""
    end = ") {\n" if last else " ||\n"
    return [("vcpu->nested.tables.%s != v12->host_%s%s" % (field, field, end), "0" + end)]


MUTANTS = [
    Mutant("breakpoint-met-again-after-an-exit", "vmx/guest/event.c", [("\tif (watch_is_on(vcpu))\n", "\tif (0)\n")],
           "host_tables: its_breakpoint_is_not_met_again", "exits: bitmaps_and_breakpoints"),
    Mutant("breakpoint-met-again-at-a-table", TABLES, [("\tevent_execute_again(vcpu);\n", "")],
           "host_tables: its_breakpoint_is_not_met_again", "exits: own_tables"),
    Mutant("breakpoint-met-again-at-an-msr", "vmx/nested/exit/exit.c", [("\t\tevent_execute_again(vcpu);\n", "")],
           None, "exits: bitmaps_and_breakpoints"),
    Mutant("breakpoint-met-again-at-a-port", "vmx/l1/exit_io.c", [("\t\tevent_execute_again(vcpu);\n", "")],
           None, "exits: bitmaps_and_breakpoints"),
    Mutant("tables-known-after-l1s-instruction", TABLES, [(FORGET, "")],
           "host_tables: l1s_instructions_end_it", "exits: own_tables"),
    Mutant("tables-known-after-l0s-write", CACHE, [("\tif (cache->dirty & TABLE_REGS)\n", "\tif (0)\n")],
           "host_tables: writes_of_l0s_are_seen"),
    Mutant("tables-known-unwatched", TABLES, [("\tif (vcpu->nested.tables.watched)\n", "\tif (1)\n")],
           "host_tables: l1s_instructions_end_it", "exits: own_tables"),
    Mutant("tables-of-another-tr-selector", PREPARE, without("tr_selector"),
           "host_tables: each_host_field_is_seen", "exits: two_tables"),
    Mutant("tables-of-another-tss", PREPARE, without("tr_base"),
           "host_tables: each_host_field_is_seen", "exits: two_tables"),
    Mutant("tables-of-another-gdt", PREPARE, without("gdtr_base"),
           "host_tables: each_host_field_is_seen", "exits: two_tables"),
    Mutant("tables-of-another-idt", PREPARE, without("idtr_base", last=True),
           "host_tables: each_host_field_is_seen", "exits: two_tables"),
    Mutant("tables-named-once-for-all", PREPARE, [("\tslot->host_tables = number;\n", "\tslot->host_tables = 1;\n")],
           "host_tables: vmcss_take_turns", "exits: two_tables"),
    Mutant("tables-named-with-the-first-entry-only", "vmx/nested/entry/entry.c",
           [("\thost_tables_name(vcpu, slot);\n", "\tif (!slot->entered)\n\t\thost_tables_name(vcpu, slot);\n")],
           "host_tables: each_host_field_is_seen", "exits: two_tables"),
    Mutant("tables-never-known", TABLES,
           [("\t\tregcache_know_tables(&vcpu->vmcs01.cache, slot->host_tables);\n",
             "\t\tregcache_know_tables(&vcpu->vmcs01.cache, 0);\n")], "round_trip: the_page_has_each_access"),
    Mutant("tables-watched-for-ever", TABLES, [("\tset_control(vcpu, false);\n", "")],
           "host_tables: l1s_instructions_end_it"),
    Mutant("tables-watched-at-once-again", TABLES, [("\tif (likely(vcpu->nested.tables.left)) {\n", "\tif (0) {\n")],
           "host_tables: l1s_instructions_end_it"),
    Mutant("tables-watched-as-soon-as-at-first", TABLES, [("wait = MIN(wait * 2, WAIT_LAST);", "wait = WAIT_FIRST;")],
           "host_tables: it_is_tried_again_later_and_later"),
    Mutant("tables-watched-never-again", TABLES, [("wait = MIN(wait * 2, WAIT_LAST);", "wait = wait * 2;")],
           "host_tables: it_is_tried_again_later_and_later"),
    Mutant("tables-watched-later-though-it-paid", TABLES,
           [("\tif (!wait || vcpu->nested.counters.reflections - vcpu->nested.tables.since >= PAYS)\n", "\tif (!wait)\n")],
           "host_tables: it_is_tried_again_later_and_later"),
    Mutant("tables-watched-by-any-processor", TABLES,
           [("\tif (!(vmx_caps.proc2.allowed1 & PROC2_DESC_TABLE_EXITING))\n", "\tif (0)\n")],
           "host_tables: a_processor_without_it_writes_always"),
]
