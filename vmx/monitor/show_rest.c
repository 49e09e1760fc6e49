/* SPDX-License-Identifier: MIT */
/*
 * MSRs and ports.
 */
#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/string.h"
#include "vmx/l1/exit_msr.h"
#include "vmx/monitor/command.h"
#include "vmx/monitor/output.h"

/*
 * A write is L1's WRMSR, and goes the way of those that exit. Two kinds are refused: Socle tells the time by
 * the TSC, and a write to the local APIC is a command that nobody at L1 expects. NULL: done.
 */
static const char *write_msr(struct vcpu *vcpu, u32 number, u64 value)
{
	if (!options.monitor_write)
		return "say monitor-write=on on Socle's command line";
	if (vcpu->guest->level != 1)
		return "L2 runs, and what its WRMSR does is L1's to say";
	if (number == MSR_IA32_TSC || number == MSR_IA32_TSC_ADJUST ||
	    (number >= MSR_IA32_X2APIC_FIRST && number <= MSR_IA32_X2APIC_LAST))
		return "the TSC and the local APIC are not written";
	return msr_write(vcpu, number, value) ? NULL : "a WRMSR of L1's with this value is #GP";
}

bool command_msr(struct vcpu *vcpu, const struct words *words)
{
	const char *fault = NULL;
	u64 number, value;

	if (words->count < 2 || words->count > 3 || !line_hex(words->word[1], UINT32_MAX, &number))
		return false;
	if (words->count == 3) {
		if (!line_hex(words->word[2], UINT64_MAX, &value))
			return false;
		fault = write_msr(vcpu, (u32)number, value);
	}
	if (fault)
		output("error: msr %llx: %s", LL(number), fault);
	else if (msr_read(vcpu, (u32)number, &value))
		output("msr %llx: %llx", LL(number), LL(value));
	else
		output("msr %llx: #GP", LL(number));
	return true;
}

/* PORT, PORT.b, PORT.w, PORT.l */
static bool parse_port(char *word, u16 *port, unsigned int *size)
{
	size_t length = strlen(word);
	u64 number;

	*size = 1;
	if (length > 2 && word[length - 2] == '.') {
		*size = word[length - 1] == 'b'	  ? 1
			: word[length - 1] == 'w' ? 2
			: word[length - 1] == 'l' ? 4
						  : 0;
		word[length - 2] = '\0';
	}
	if (!*size || !line_hex(word, 0x10000 - *size, &number))
		return false;
	*port = (u16)number;
	return true;
}

static u32 port_in(u16 port, unsigned int size)
{
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void port_out(u16 port, unsigned int size, u32 value)
{
	if (size == 1)
		outb(port, (u8)value);
	else if (size == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}

bool command_io(struct vcpu *vcpu, const struct words *words)
{
	unsigned int size;
	u64 value;
	u16 port;

	(void)vcpu;
	if (words->count < 2 || words->count > 3 || !parse_port(words->word[1], &port, &size))
		return false;
	if (words->count == 2) {
		output("io %x: %x", port, port_in(port, size));
		return true;
	}
	if (!line_hex(words->word[2], UINT32_MAX >> (32 - 8 * size), &value))
		return false;
	if (options.monitor_write)
		port_out(port, size, (u32)value);
	else
		output("error: say monitor-write=on on Socle's command line");
	return true;
}

bool command_dump(struct vcpu *vcpu, const struct words *words)
{
	const struct words alone = { { words->word[0] }, 1 };

	return words->count == 1 && command_regs(vcpu, &alone) && command_why(vcpu, &alone) &&
	       command_trace(vcpu, &alone);
}
