/* SPDX-License-Identifier: MIT */
/*
 * The sleep registers among the ports that L0 wants, and SMI_CMD, by which
 * the firmware is asked to sleep.  See vmx/l1/sleep.h.
 */
#include "vmx/l1/sleep.h"

#include "drivers/acpi_sleep.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "vmx/l1/ports.h"
#include "vmx/guest/vcpu.h"

#define SLP_EN BIT(5)
#define SLP_TYP(byte) (((byte) >> 2) & 7)
#define PM1_CNT_SLEEP_BYTE 1 /* SLP_TYP and SLP_EN are bits 13:10 */
#define SLEEP_CONTROL_BYTE 0

/* What the handler of a range must know.  Constant after the start, but for `warned`: any CPU, atomic. */
struct sleep_rule {
	u8 offset; /* of the byte that decides */
	u8 value;  /* registers: the allowed SLP_TYPs; SMI_CMD: the request that is refused */
	u8 *warned;
};

bool sleep_byte_passes(u8 byte, u8 allowed)
{
	return !(byte & SLP_EN) || (allowed & BIT(SLP_TYP(byte)));
}

void sleep_warn(struct vcpu *vcpu, u8 *warned, const char *name, const char *what, u32 value)
{
	if (__atomic_exchange_n(warned, 1, __ATOMIC_RELAXED))
		return;
	log_warn(
		"CPU %u: L%u would sleep by %s (%s %u): refused, for the machine would wake up without Socle",
		vcpu->cpu->id, vcpu->guest->level, name, what, value);
}

static bool register_handler(struct vcpu *vcpu, const struct port_range *range, struct port_access *access)
{
	const struct sleep_rule *rule = range->context;
	u8 byte;

	if (!port_access_byte(access, (u16)(range->first + rule->offset), &byte) ||
	    sleep_byte_passes(byte, rule->value))
		return true;
	sleep_warn(vcpu, rule->warned, range->name, "SLP_TYP", SLP_TYP(byte));
	return false;
}

static bool smi_handler(struct vcpu *vcpu, const struct port_range *range, struct port_access *access)
{
	const struct sleep_rule *rule = range->context;
	u8 byte;

	if (!port_access_byte(access, range->first, &byte) || byte != rule->value)
		return true;
	sleep_warn(vcpu, rule->warned, range->name, "S4BIOS_REQ", byte);
	return false;
}

static void add_register(const struct sleep_register *reg, const char *name, u8 allowed, u8 offset)
{
	static struct sleep_rule rules[5];
	static u8 warned[5];
	static unsigned int count;
	struct sleep_rule *rule = &rules[count];
	u64 ports = MAX(reg->width, offset + 1u);

	if (reg->space != SLEEP_IO || reg->address >= PORT_COUNT || ports > PORT_COUNT - reg->address)
		return;
	*rule = (struct sleep_rule){ offset, allowed, &warned[count++] };
	ports_add(&(const struct port_range){ (u16)reg->address, (u32)ports, name, register_handler, rule });
}

void sleep_add_ports(const struct acpi_sleep *sleep)
{
	static struct sleep_rule smi_rule;
	static u8 smi_warned;

	add_register(&sleep->pm1a, "PM1a_CNT", sleep->pm1a_allowed, PM1_CNT_SLEEP_BYTE);
	add_register(&sleep->pm1a_old, "PM1a_CNT (32-bit field)", sleep->pm1a_allowed, PM1_CNT_SLEEP_BYTE);
	add_register(&sleep->pm1b_old, "PM1b_CNT (32-bit field)", sleep->pm1b_allowed, PM1_CNT_SLEEP_BYTE);
	add_register(&sleep->pm1b, "PM1b_CNT", sleep->pm1b_allowed, PM1_CNT_SLEEP_BYTE);
	/*
	 * Hardware-reduced ACPI has one register. It takes the SLP_TYP that other machines write to
	 * PM1a_CNT.
	 */
	add_register(&sleep->control, "SLEEP_CONTROL_REG", sleep->pm1a_allowed, SLEEP_CONTROL_BYTE);
	if (!sleep->smi_port || sleep->smi_port >= PORT_COUNT || !sleep->s4bios_request)
		return;
	smi_rule = (struct sleep_rule){ 0, sleep->s4bios_request, &smi_warned };
	ports_add(&(const struct port_range){ (u16)sleep->smi_port, 1, "SMI_CMD", smi_handler, &smi_rule });
}
