/* SPDX-License-Identifier: MIT */
/*
 * The monitor's commands: the table commands.def, and who executes a line.
 */
#ifndef VMX_MONITOR_COMMAND_H
#define VMX_MONITOR_COMMAND_H

#include "vmx/guest/vcpu.h"
#include "vmx/monitor/line.h"

/* A command's function: on its CPU, which is stopped if the table says so. False: the words make no sense. */
#define M(name, brief, arguments, when, function, text)                                                      \
	bool function(struct vcpu *vcpu, const struct words *words);
#include "vmx/monitor/commands.def"
#undef M

/*
 * Executes a complete line on this CPU, between an exit and an entry, and prints the prompt. What needs a
 * stopped machine stops it for that time.
 */
void command_execute(struct vcpu *vcpu, struct line *line);

/* The same for another one who commands, and without the prompt: what moves the machine is refused. */
void command_execute_for(struct vcpu *vcpu, struct line *line);

#endif
