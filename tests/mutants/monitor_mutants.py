# SPDX-License-Identifier: MIT
"""Wrong Socles around the monitor: its port, its timer beside L1's, its lines."""
from mutant import Mutant

TIMER, PORTS, LINE = "vmx/nested/entry/timer.c", "vmx/l1/ports.c", "vmx/monitor/line.c"
WANTED, TIMER_H, FAST = "vmx/nested/exit/exit_wanted.c", "vmx/nested/entry/timer.h", "vmx/nested/entry/entry_fast.c"
MEMORY = "vmx/monitor/show_memory.c"

MUTANTS = [
    Mutant("monitor-timer-is-l1s", WANTED, [(" && !vcpu->nested.current->timer_beyond", "")],
           "monitor: a_long_timer_is_l1s_to_the_tick"),
    Mutant("monitor-timer-forgets-l1s", TIMER, [("\t\tslot->timer_beyond = l1 - ticks;\n", "")],
           "monitor: a_long_timer_is_l1s_to_the_tick"),
    Mutant("monitor-timer-not-shorter", TIMER, [("\t\tticks = MIN(ticks, l1);\n", "")], "monitor: a_short_timer_is_l1s"),
    Mutant("monitor-timer-never-less", TIMER, [("\t\tslot->timer_beyond -= ticks;\n", "")],
           "monitor: a_long_timer_is_l1s_to_the_tick"),
    Mutant("monitor-timer-saved-short", TIMER_H,
           [("vmcs_read(VMCS_preemption_timer_value) + slot->timer_beyond;",
             "vmcs_read(VMCS_preemption_timer_value) + 0 * slot->timer_beyond;")],
           "monitor: what_is_left_is_saved"),
    Mutant("monitor-timer-begins-at-each-entry", "vmx/nested/exit/leave.c",
           [("\tif (vcpu->wish.timer_ticks)\n", "\tif (0)\n")],
           "monitor: l0s_time_goes_on_over_l1s_exits"),
    Mutant("monitor-timer-of-l0-stands-still", TIMER,
           [("\tvcpu->nested.timer_rest = ticks;\n", "")], "monitor: l0s_time_goes_on_over_l1s_exits"),
    Mutant("monitor-port-is-read", PORTS, [("unasked & BIT(i) ? 0xff : inb", "inb")], "monitor: guests_do_not_have_the_port"),
    Mutant("monitor-port-is-written", PORTS,
           [("(!ranges[i].handler || !ranges[i].handler(", "(ranges[i].handler && !ranges[i].handler(")],
           "monitor: guests_do_not_have_the_port"),
    Mutant("monitor-spoilt-line-runs", LINE, [("bool taken = !line->spoilt,", "bool taken = true,")],
           "monitor: what_is_not_whole_is_refused"),
    Mutant("monitor-number-wraps", LINE, [(" || sum > (UINT64_MAX - digit) / base", "")], "monitor: numbers"),
    Mutant("monitor-first-broken-rule-alone", "vmx/nested/entry/check.c", [("\tif (failure != &in_hand)\n", "\tif (1)\n")],
           "monitor: broken_rules_are_marked"),
    Mutant("entry-goes-on-behind-a-rule", "vmx/nested/entry/check.c",
           [("\tif (failure != &in_hand)\n\t\treturn false;\n", "")], "monitor: broken_rules_are_marked"),
    Mutant("monitor-decodes-other-qualification", "vmx/monitor/meaning.c", [("value >> 4 & 3]", "value >> 5 & 3]")],
           "monitor: exits_are_decoded"),
    Mutant("monitor-02-has-what-12-has", "vmx/monitor/meaning.c", [("index, in_02 & ~value))", "index, in_02))")],
           "monitor: fields_are_decoded"),
    Mutant("monitor-writes-msrs-unasked", "vmx/monitor/show_rest.c",
           [("\tif (!options.monitor_write)\n\t\treturn", "\tif (0)\n\t\treturn")],
           "monitor: msrs_are_written_as_l1_would"),
    Mutant("monitor-writes-l2s-msrs", "vmx/monitor/show_rest.c", [("\tif (vcpu->guest->level != 1)\n", "\tif (0)\n")],
           "monitor: msrs_are_written_as_l1_would"),
    Mutant("monitor-rates-of-all-time", "vmx/monitor/show_exits.c",
           [("\t\tshow_all(vcpu);\n\tbegin_anew(vcpu);\n", "\t\tshow_all(vcpu);\n")],
           "monitor: exits_have_rates"),
    Mutant("monitor-stops-count-in-rates", "vmx/monitor/show_exits.c", [("rdtsc() - control_stood_still()", "rdtsc()")],
           "monitor: a_stop_is_no_time_of_the_rates"),
    Mutant("monitor-reads-what-is-no-ram", MEMORY, [("\treturn page;\n", "\treturn true;\n")],
           "monitor: commands_look_at_l1"),
]
