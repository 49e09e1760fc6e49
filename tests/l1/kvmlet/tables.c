/* SPDX-License-Identifier: MIT */
/* What a Linux guest finds its processors and its IOAPIC by: a minimal MP table, and ACPI tables that say the
 * same. */
#include "kvmlet.h"

#include <string.h>

#define MP_FLOATING 0xf0000
#define MP_TABLE 0xf0010
#define RSDP 0xe0000
#define RSDT 0xe0040
#define MADT 0xe0080
#define LAPIC_BASE 0xfee00000
#define IOAPIC_BASE 0xfec00000
#define ISA_IRQS 16

static void put32(uint8_t *p, uint32_t value)
{
	memcpy(p, &value, sizeof(value));
}

static uint8_t checksum(const uint8_t *p, size_t size)
{
	uint8_t sum = 0;

	while (size--)
		sum += *p++;
	return (uint8_t)-sum;
}

/* MultiProcessor Specification 1.4, chapter 4 */
static void write_mp_table(struct vm *vm)
{
	uint8_t *floating = vm->mem + MP_FLOATING, *table = vm->mem + MP_TABLE, *p = table + 44;
	uint8_t cpus = (uint8_t)vm->vcpu_count, count = 0, i;

	memset(floating, 0, 1024);
	for (i = 0; i < cpus; i++, p += 20, count++) {
		p[1] = i;
		p[2] = 0x14;
		p[3] = i ? 1 : 3; /* enabled; the first one boots */
		put32(p + 4, 0x600);
		put32(p + 8, 0x201);
	}
	p[0] = 1; /* bus 0 */
	memcpy(p + 2, "ISA   ", 6);
	p += 8;
	count++;
	p[0] = 2; /* the IOAPIC has the number after the processors' */
	p[1] = cpus;
	p[2] = 0x11;
	p[3] = 1;
	put32(p + 4, IOAPIC_BASE);
	p += 8;
	count++;
	for (i = 0; i < ISA_IRQS; i++, p += 8, count++) {
		p[0] = 3;
		p[5] = i;
		p[6] = cpus;
		p[7] = i; /* KVM's default routing */
	}
	memcpy(table, "PCMP", 4);
	table[4] = (uint8_t)(p - table);
	table[5] = (uint8_t)((p - table) >> 8);
	table[6] = 4;
	memcpy(table + 8, "KVMLET  kvmlet      ", 20);
	table[34] = count;
	put32(table + 36, LAPIC_BASE);
	table[7] = checksum(table, (size_t)(p - table));
	memcpy(floating, "_MP_", 4);
	put32(floating + 4, MP_TABLE);
	floating[8] = 1;
	floating[9] = 4;
	floating[10] = checksum(floating, 16);
}

static void finish_acpi(uint8_t *table, const char *signature, size_t size)
{
	memcpy(table, signature, 4);
	put32(table + 4, (uint32_t)size);
	table[8] = 1;
	memcpy(table + 10, "KVMLETKVMLET  ", 14);
	table[9] = checksum(table, size);
}

/* ACPI, "ACPI Software Programming Model": RSDP, RSDT, MADT and nothing else */
static void write_acpi(struct vm *vm)
{
	uint8_t *rsdp = vm->mem + RSDP, *rsdt = vm->mem + RSDT, *madt = vm->mem + MADT, *p = madt + 44;
	uint8_t cpus = (uint8_t)vm->vcpu_count, i;

	memset(rsdp, 0, 0x200);
	put32(madt + 36, LAPIC_BASE);
	put32(madt + 40, 1);
	for (i = 0; i < cpus; i++, p += 8) {
		p[1] = 8;
		p[2] = p[3] = i;
		p[4] = 1;
	}
	p[0] = 1;
	p[1] = 12;
	p[2] = cpus;
	put32(p + 4, IOAPIC_BASE);
	p += 12;
	finish_acpi(madt, "APIC", (size_t)(p - madt));
	put32(rsdt + 36, MADT);
	finish_acpi(rsdt, "RSDT", 40);
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "KVMLET", 6);
	put32(rsdp + 16, RSDT);
	rsdp[8] = checksum(rsdp, 20);
}

void tables_write(struct vm *vm)
{
	write_mp_table(vm);
	write_acpi(vm);
}
