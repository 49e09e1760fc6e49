/* SPDX-License-Identifier: MIT */
/*
 * See drivers/microcode.h. An update is a header of 48 bytes, data, and perhaps a table of further processors
 * that it is for.
 */
#include "drivers/microcode.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/string.h"

#define HEADER_VERSION 1u
#define LOADER_VERSION 1u
#define DATA_SIZE_DEFAULT 2000u /* where the header has 0 */
#define TABLE_HEADER_SIZE 20u
#define PLATFORM_SHIFT 50

struct header {
	u32 version, revision, date, signature, checksum, loader, platforms, data_size, total_size,
		reserved[3];
};
static_assert(sizeof(struct header) == 48, "SDM: Microcode Update Format");

/* An entry of the table. */
struct also {
	u32 signature, platforms, checksum;
};

static u32 sum(const u8 *p, u32 size)
{
	u32 total = 0, word;

	for (u32 at = 0; at < size; at += sizeof(word)) {
		memcpy(&word, p + at, sizeof(word));
		total += word;
	}
	return total;
}

/* The header of a whole and undamaged update in `size` bytes, with its sizes filled in. */
static bool header_read(const u8 *p, u64 size, struct header *h)
{
	if (size < sizeof(*h))
		return false;
	memcpy(h, p, sizeof(*h));
	if (!h->data_size) {
		h->data_size = DATA_SIZE_DEFAULT;
		h->total_size = sizeof(*h) + DATA_SIZE_DEFAULT;
	}
	if (h->version != HEADER_VERSION || h->loader != LOADER_VERSION || h->total_size > size ||
	    (h->total_size & 3) || (h->data_size & 3))
		return false;
	return h->total_size >= sizeof(*h) && h->data_size <= h->total_size - sizeof(*h) &&
	       !sum(p, h->total_size);
}

static bool is_for(u32 signature, u32 platforms, const struct microcode_cpu *cpu)
{
	return signature == cpu->signature && ((platforms & cpu->platform) || !platforms);
}

static bool fits(const u8 *p, const struct header *h, const struct microcode_cpu *cpu)
{
	u32 at = (u32)sizeof(*h) + h->data_size, count;

	if (is_for(h->signature, h->platforms, cpu))
		return true;
	if (h->total_size - at < TABLE_HEADER_SIZE)
		return false;
	memcpy(&count, p + at, sizeof(count));
	at += TABLE_HEADER_SIZE;
	if (count > (h->total_size - at) / sizeof(struct also) ||
	    sum(p + at - TABLE_HEADER_SIZE, TABLE_HEADER_SIZE + count * (u32)sizeof(struct also)))
		return false;
	for (; count; count--, at += sizeof(struct also)) {
		struct also also;

		memcpy(&also, p + at, sizeof(also));
		if (is_for(also.signature, also.platforms, cpu))
			return true;
	}
	return false;
}

const u8 *microcode_pick(const u8 *file, u64 size, const struct microcode_cpu *cpu, u32 *update_size)
{
	u32 newest = cpu->revision;
	const u8 *found = NULL;
	struct header h;

	for (; header_read(file, size, &h); file += h.total_size, size -= h.total_size) {
		/* signed: revisions of firmware that is not released are negative */
		if ((i32)h.revision <= (i32)newest || !fits(file, &h, cpu))
			continue;
		found = file;
		newest = h.revision;
		*update_size = h.total_size;
	}
	return found;
}

void microcode_this_cpu(struct microcode_cpu *out)
{
	u64 value = 0;

	/* SDM "Determining the Signature": CPUID fills the MSR. */
	*out = (struct microcode_cpu){ 0 };
	wrmsr_safe(MSR_IA32_BIOS_SIGN_ID, 0);
	out->signature = cpuid(1, 0).eax;
	if (rdmsr_safe(MSR_IA32_BIOS_SIGN_ID, &value))
		out->revision = (u32)(value >> 32);
	value = 0;
	rdmsr_safe(MSR_IA32_PLATFORM_ID, &value);
	out->platform = 1u << (value >> PLATFORM_SHIFT & 7);
}

bool microcode_load(const u8 *update, u32 update_size, struct microcode_cpu *now)
{
	u32 size, before;

	microcode_this_cpu(now);
	if (!update || microcode_pick(update, update_size, now, &size) != update)
		return true;
	before = now->revision;
	wbinvd();
	wrmsr_safe(MSR_IA32_BIOS_UPDT_TRIG, (u64)update + sizeof(struct header));
	microcode_this_cpu(now);
	return now->revision != before;
}
