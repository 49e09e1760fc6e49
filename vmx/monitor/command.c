/* SPDX-License-Identifier: MIT */
/*
 * Finds a line's command, and those that move the machine: stop, go, step, cpu, reset.
 */
#include "vmx/monitor/command.h"

#include "kernel/hw/cpu.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/output.h"
#include "vmx/monitor/step.h"

enum when { STOPPED, ANY };

static const struct command {
	const char *name, *brief, *arguments;
	enum when when;
	bool (*function)(struct vcpu *vcpu, const struct words *words);
	const char *text;
} commands[] = {
#define M(name, brief, arguments, when, function, text) { name, brief, arguments, when, function, text },
#include "vmx/monitor/commands.def"
#undef M
};

static bool is_called(const char *name, const char *word)
{
	size_t length = strlen(name);

	return length && (name[length - 1] == '/' ? !strncmp(name, word, length) : !strcmp(name, word));
}

static const struct command *find(const char *word)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		if (is_called(commands[i].name, word) || is_called(commands[i].brief, word))
			return &commands[i];
	return NULL;
}

/* A breakpoint may come first; or L1's INIT, and then another CPU takes the turn and prompts. */
static bool stop(struct vcpu *vcpu)
{
	if (control_stop(vcpu)) {
		step_note_stop(vcpu);
		return true;
	}
	if (!control_waits_for_sipi(vcpu))
		output("error: the machine has just stopped at something else");
	return false;
}

/* The machine stands still behind it. */
static bool stays(const struct command *command)
{
	return command->function == command_cpu || command->function == command_step;
}

/* It decides which CPU runs, and when. */
static bool moves(const struct command *command)
{
	return stays(command) || command->function == command_go || command->function == command_stop;
}

static void run(struct vcpu *vcpu, const struct command *command, const struct words *words)
{
	bool stopped = control_is_stopped(), done;

	if (command->when == STOPPED && !stopped && !stop(vcpu))
		return;
	done = command->function(vcpu, words);
	if (!done)
		output("error: %s %s", command->name, command->arguments);
	if (command->when == STOPPED && !stopped && !(done && stays(command)))
		if (!control_go_behind(vcpu))
			output("socle: stopped by an NMI");
}

static void execute(struct vcpu *vcpu, struct line *line, bool may_move)
{
	const struct command *command;
	struct words words;

	if (!line_take(line, &words)) {
		output("error: the line was too long, or not all of it arrived");
		return;
	}
	if (!words.count)
		return;
	command = find(words.word[0]);
	if (!command)
		output("error: no command %s; try help", words.word[0]);
	else if (!may_move && moves(command))
		output("error: %s is the debugger's own to do", command->name);
	else
		run(vcpu, command, &words);
}

void command_execute_for(struct vcpu *vcpu, struct line *line)
{
	execute(vcpu, line, false);
}

void command_execute(struct vcpu *vcpu, struct line *line)
{
	bool stood = control_is_stopped(), stands;

	execute(vcpu, line, true);
	stands = control_is_stopped();
	/* Another CPU's turn, or about to be: it prompts. One that goes alone does so when it stops. */
	if (stands ? control_turn() == vcpu->cpu->id && control_has_stopped(vcpu->cpu->id) &&
			     !control_goes_alone() && !control_is_going()
		   : !stood)
		output_prompt(stands, "");
}

bool command_help(struct vcpu *vcpu, const struct words *words)
{
	(void)vcpu;
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		output("%-5s %-2s %-22s %s", commands[i].name, commands[i].brief, commands[i].arguments,
		       commands[i].text);
	output("Addresses, MSRs, ports are hexadecimal, counts are decimal. Ctrl-U empties the line,");
	output("Tab completes its last word, the arrows up and down bring earlier lines.");
	return words->count == 1;
}

bool command_stop(struct vcpu *vcpu, const struct words *words)
{
	if (!control_is_stopped() && !stop(vcpu))
		return true;
	for (u32 i = 0; i < percpu_count(); i++)
		if (!control_has_stopped(i))
			output("cpu %u: has not stopped; it waits for a SIPI, or sleeps deeper than C2", i);
	return words->count == 1;
}

bool command_go(struct vcpu *vcpu, const struct words *words)
{
	if (words->count != 1)
		return false;
	if (control_is_stopped()) {
		step_begin(vcpu, 0, 0);
		/* First: from then on this CPU is in L0 no longer than it must, for a SIPI may come. */
		output_prompt(false, "");
		control_go();
	}
	return true;
}

#define STEPS_MAX 1000000u

/* This CPU's, of whatever runs on it; the others stand still. */
bool command_step(struct vcpu *vcpu, const struct words *words)
{
	u64 count = 1;

	if (words->count > 2 || (words->count == 2 && !line_decimal(words->word[1], STEPS_MAX, &count)) ||
	    !count)
		return false;
	step_begin(vcpu, (u32)count, 0);
	control_go_alone(vcpu);
	return true;
}

/* The CPU that is given the turn prints its prompt by itself. */
bool command_cpu(struct vcpu *vcpu, const struct words *words)
{
	u64 id = vcpu->cpu->id;

	if (words->count != 2 || !line_decimal(words->word[1], percpu_count() - 1, &id))
		return false;
	if (!control_has_stopped((u32)id))
		output("error: cpu %llu has not stopped", LL(id));
	else
		control_give_turn((u32)id);
	return true;
}

/* The chipset's reset register, then the keyboard controller's line. */
bool command_reset(struct vcpu *vcpu, const struct words *words)
{
	(void)vcpu;
	if (words->count != 1)
		return false;
	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
	outb(0x64, 0xfe);
	output("error: neither port CF9 nor port 64 has reset the machine");
	return true;
}
