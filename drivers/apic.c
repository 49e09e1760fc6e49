/* SPDX-License-Identifier: MIT */
/*
 * Interrupt commands of the local APIC in both modes; see drivers/apic.h.
 */
#include "drivers/apic.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/msr.h"
#include "mm/addr.h"

#define APIC_REG_ID 0x20
#define APIC_REG_ICR_LOW 0x300
#define APIC_REG_ICR_HIGH 0x310
#define X2APIC_MSR_ID 0x802
#define X2APIC_MSR_ICR 0x830
#define DELAY_PORT 0x80
#define XAPIC_ID_LAST 254u /* 255 is everybody */

#define ICR_INIT 0x500u
#define ICR_STARTUP 0x600u
#define ICR_NMI 0x400u
#define ICR_ASSERT BIT(14)
#define ICR_PENDING BIT(12)
#define ICR_OTHERS 0xc0000u /* destination shorthand: all excluding self */
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ADDRESS GENMASK(51, 12)

static bool is_x2apic(void)
{
	return rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_X2APIC;
}

/* Below 4 GiB the direct map has it; the MTRRs make it uncached. */
static volatile u32 *reg(u32 offset)
{
	u8 *base = phys_to_ptr(HPA(rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_ADDRESS));

	return (volatile u32 *)(void *)(base + offset);
}

u32 apic_id(void)
{
	return is_x2apic() ? (u32)rdmsr(X2APIC_MSR_ID) : *reg(APIC_REG_ID) >> 24;
}

bool apic_is_enabled(void)
{
	return rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_ENABLE;
}

bool apic_reaches(u32 to)
{
	return to <= XAPIC_ID_LAST || is_x2apic();
}

static void send(u32 to, u32 command)
{
	if (is_x2apic()) {
		wrmsr(X2APIC_MSR_ICR, (u64)to << 32 | command);
		return;
	}
	*reg(APIC_REG_ICR_HIGH) = to << 24;
	*reg(APIC_REG_ICR_LOW) = command;
	while (*reg(APIC_REG_ICR_LOW) & ICR_PENDING)
		cpu_pause();
}

void apic_send_init(u32 to)
{
	send(to, ICR_INIT | (u32)ICR_ASSERT);
}

void apic_send_init_others(void)
{
	send(0, ICR_INIT | (u32)ICR_ASSERT | ICR_OTHERS);
}

void apic_send_sipi(u32 to, u8 page)
{
	send(to, ICR_STARTUP | (u32)ICR_ASSERT | page);
}

void apic_send_sipi_others(u8 page)
{
	send(0, ICR_STARTUP | (u32)ICR_ASSERT | ICR_OTHERS | page);
}

void apic_delay(u32 microseconds)
{
	while (microseconds--)
		(void)inb(DELAY_PORT);
}

void apic_send_nmi(u32 to)
{
	u64 base = rdmsr(MSR_IA32_APIC_BASE);

	if ((base & APIC_BASE_ENABLE) && !((base & APIC_BASE_ADDRESS) >> 32))
		send(to, ICR_NMI | (u32)ICR_ASSERT);
}
