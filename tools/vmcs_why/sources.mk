# SPDX-License-Identifier: MIT
#
# What vmcs-why is made of: itself, the hypervisor's own checks, and the words for what they find.
WHY_SOURCES := $(addprefix tools/vmcs_why/,caps.c dump.c errors.c forms.c judge.c main.c text.c) $(addprefix vmx/nested/,$(addprefix entry/, \
	check_controls.c check_event.c check_host.c check_guest.c check_guest_hot.c check_guest_segments.c) $(addprefix explain/,rules.c words.c paragraph.c)) \
	kernel/print.c
