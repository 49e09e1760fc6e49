/* SPDX-License-Identifier: MIT */
/*
 * CF8H and CFCH-CFFH.  A look at CF8H and the write to CFCH behind it are one
 * step: another CPU of L1's could name another register in between, and so
 * both are done here, under a lock.  See vmx/l1/pm_config.h.
 * PCI local bus specification: "Configuration Mechanism #1".
 */
#include "vmx/l1/pm_config.h"

#include "drivers/chipset.h"
#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "vmx/l1/ports.h"
#include "vmx/guest/vcpu.h"

#define CONFIG_FUNCTION(address) ((address) >> 8 & 0xffff)
#define CONFIG_REGISTER(address) ((address)&0xfc)
#define PORTS 4u

static struct {
	struct chipset_pm pm; /* constant after the start */
	u32 lock;	      /* any CPU, atomic */
	u8 warned;	      /* any CPU, atomic */
} config;

static void lock(void)
{
	while (__atomic_exchange_n(&config.lock, 1, __ATOMIC_ACQUIRE))
		cpu_pause();
}

static void unlock(void)
{
	__atomic_store_n(&config.lock, 0, __ATOMIC_RELEASE);
}

/* "a full DWORD reference": all else at these ports is something else's, CF9H the reset register's. */
static bool address_handler(struct vcpu *vcpu UNUSED, const struct port_range *range UNUSED,
			    struct port_access *access)
{
	if (access->in || access->port != PCI_CONFIG_ADDRESS || access->size != PORTS)
		return true;
	lock();
	outl(PCI_CONFIG_ADDRESS, access->value);
	unlock();
	return false;
}

static bool is_guarded(u32 address)
{
	u32 at = CONFIG_REGISTER(address);

	return (address & PCI_CONFIG_ENABLE) && CONFIG_FUNCTION(address) == config.pm.function &&
	       (at == config.pm.base || at == config.pm.enable);
}

/* A write of the value that is there already changes nothing, and passes. */
static bool changes(const struct port_access *access)
{
	u32 now = inl(PCI_CONFIG_DATA);

	for (u16 i = 0; i < PORTS; i++) {
		u8 byte;

		if (port_access_byte(access, (u16)(PCI_CONFIG_DATA + i), &byte) &&
		    byte != (u8)(now >> (8 * i)))
			return true;
	}
	return false;
}

/*
 * Makes the access with its own width. One that reaches ports on both sides is made byte by byte, for the
 * bytes that belong here.
 */
static void write_data(const struct port_access *access)
{
	if (access->port >= PCI_CONFIG_DATA &&
	    access->port + access->size <= (int)(PCI_CONFIG_DATA + PORTS)) {
		if (access->size == 4)
			outl(access->port, access->value);
		else if (access->size == 2)
			outw(access->port, (u16)access->value);
		else
			outb(access->port, (u8)access->value);
		return;
	}
	for (u16 port = PCI_CONFIG_DATA; port < PCI_CONFIG_DATA + PORTS; port++) {
		u8 byte;

		if (port_access_byte(access, port, &byte))
			outb(port, byte);
	}
}

static bool data_handler(struct vcpu *vcpu, const struct port_range *range UNUSED, struct port_access *access)
{
	bool refused = false;
	u32 address;

	if (access->in)
		return true;
	lock();
	address = inl(PCI_CONFIG_ADDRESS);
	if (!is_guarded(address))
		write_data(access);
	else
		refused = changes(access);
	unlock();
	if (refused && !__atomic_exchange_n(&config.warned, 1, __ATOMIC_RELAXED))
		log_warn("CPU %u: L%u would move the chipset's sleep registers (PCI configuration %x): "
			 "refused, for "
			 "Socle would not see what is written there",
			 vcpu->cpu->id, vcpu->guest->level, address);
	return false;
}

void pm_config_add_ports(const struct chipset_pm *pm)
{
	static const struct port_range ranges[] = {
		{ PCI_CONFIG_ADDRESS, PORTS, "PCI configuration address", address_handler, NULL },
		{ PCI_CONFIG_DATA, PORTS, "PCI configuration data", data_handler, NULL },
	};

	if (!pm->found)
		return;
	config.pm = *pm;
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		ports_add(&ranges[i]);
}
