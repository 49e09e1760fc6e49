/* SPDX-License-Identifier: MIT */
/*
 * Processors and memory of each proximity domain.  See drivers/srat.h.  ACPI specification: "Processor Local
 * APIC/SAPIC Affinity Structure", "Memory Affinity Structure", "Processor Local x2APIC Affinity Structure".
 */
#include "drivers/srat.h"

#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define REVISION 8
#define ENTRIES 48u
#define LOCAL_APIC 0
#define LOCAL_APIC_SIZE 16u
#define MEMORY 1
#define MEMORY_SIZE 40u
#define LOCAL_X2APIC 2
#define LOCAL_X2APIC_SIZE 24u
#define TYPE_LAST 7 /* of ACPI 6.6: of other processors, and of devices */
#define ENABLED 1u

struct reader {
	struct srat *out;
	bool narrow;  /* revision 1: domains have eight bits */
	u32 unknown;  /* structures of unknown types */
	bool refused; /* and a line says why */
};

#define REFUSE(reader, fmt, ...)                                                                             \
	do {                                                                                                 \
		log_warn("acpi: SRAT: " fmt "; memory is taken without regard to it", __VA_ARGS__);          \
		(reader)->refused = true;                                                                    \
	} while (0)

/* The node of a domain, which may be a new one. SRAT_NO_NODE: there are too many. */
static u32 node_of_domain(struct reader *reader, u32 domain)
{
	struct srat *out = reader->out;

	for (u32 i = 0; i < out->node_count; i++)
		if (out->domain[i] == domain)
			return i + 1;
	if (out->node_count == SRAT_NODE_MAX) {
		REFUSE(reader, "more than %u domains", SRAT_NODE_MAX);
		return SRAT_NO_NODE;
	}
	out->domain[out->node_count++] = domain;
	return out->node_count;
}

u32 srat_node_of(const struct srat *srat, u32 apic_id)
{
	for (u32 i = 0; i < srat->cpu_count; i++)
		if (srat->cpus[i].apic_id == apic_id)
			return srat->cpus[i].node;
	return SRAT_NO_NODE;
}

static void take_cpu(struct reader *reader, u32 apic_id, u32 domain)
{
	u32 node = node_of_domain(reader, domain), before = srat_node_of(reader->out, apic_id);
	struct srat *out = reader->out;

	if (reader->refused || before == node)
		return;
	if (before != SRAT_NO_NODE)
		REFUSE(reader, "the processor with APIC ID %x is in two domains (%x, %x)", apic_id,
		       out->domain[before - 1], domain);
	else if (out->cpu_count == ACPI_CPU_MAX)
		REFUSE(reader, "more than %u processors", ACPI_CPU_MAX);
	else
		out->cpus[out->cpu_count++] = (struct srat_cpu){ apic_id, node };
}

static void take_memory(struct reader *reader, u64 base, u64 size, u32 domain)
{
	struct srat *out = reader->out;
	u32 node;

	if (!size)
		return;
	if (size > UINT64_MAX - base) {
		REFUSE(reader, "memory at %llx has no end", (unsigned long long)base);
		return;
	}
	node = node_of_domain(reader, domain);
	for (u32 i = 0; i < out->range_count && !reader->refused; i++)
		if (out->ranges[i].node != node && out->ranges[i].base < base + size &&
		    base < out->ranges[i].end)
			REFUSE(reader, "the memory at %llx is in two domains (%x, %x)",
			       (unsigned long long)MAX(base, out->ranges[i].base),
			       out->domain[out->ranges[i].node - 1], domain);
	if (!reader->refused && out->range_count == SRAT_RANGE_MAX)
		REFUSE(reader, "more than %u ranges of memory", SRAT_RANGE_MAX);
	if (!reader->refused)
		out->ranges[out->range_count++] = (struct srat_range){ base, base + size, node };
}

static void take_structure(struct reader *reader, const u8 *p, u32 size)
{
	static const u32 sizes[] = {
		[LOCAL_APIC] = LOCAL_APIC_SIZE, [MEMORY] = MEMORY_SIZE, [LOCAL_X2APIC] = LOCAL_X2APIC_SIZE
	};
	u32 mask = reader->narrow ? 0xff : ~0u;

	if (p[0] >= ARRAY_SIZE(sizes)) {
		reader->unknown += p[0] > TYPE_LAST;
		return;
	}
	if (size < sizes[p[0]]) {
		REFUSE(reader, "a structure of type %u has %u bytes", p[0], size);
		return;
	}
	if (p[0] == LOCAL_APIC && (acpi_get32(p + 4) & ENABLED))
		take_cpu(reader, p[3], (p[2] | (acpi_get32(p + 8) & ~0xffu)) & mask);
	if (p[0] == MEMORY && (acpi_get32(p + 28) & ENABLED))
		take_memory(reader, acpi_get64(p + 8), acpi_get64(p + 16), acpi_get32(p + 2) & mask);
	if (p[0] == LOCAL_X2APIC && (acpi_get32(p + 12) & ENABLED))
		take_cpu(reader, acpi_get32(p + 8), acpi_get32(p + 4));
}

void srat_read(const u8 *rsdp, u32 rsdp_size, bool bios, struct srat *out)
{
	struct reader reader = { .out = out };
	u32 length;
	const u8 *t = acpi_find_table(rsdp, rsdp_size, bios, "SRAT", &length);

	memset(out, 0, sizeof(*out));
	if (!t)
		return;
	reader.narrow = t[REVISION] < 2;
	for (u32 at = ENTRIES; at < length && !reader.refused;) {
		u32 size = length - at > 1 ? t[at + 1] : 0;

		if (size < 2 || size > length - at) {
			REFUSE(&reader, "a structure of %u bytes, where there are %u", size, length - at);
			break;
		}
		take_structure(&reader, t + at, size);
		at += size;
	}
	if (reader.unknown)
		log_warn("acpi: SRAT: %u structures are of unknown types", reader.unknown);
	if (reader.refused || out->node_count < 2)
		memset(out, 0, sizeof(*out));
}
