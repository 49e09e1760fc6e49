/* SPDX-License-Identifier: MIT */
/*
 * L1's memory, for L0, by physical address: where it is RAM of L1's. The
 * firmware's ROM is read as it is. What is neither reads as ones, and writes to
 * it are dropped. By linear address, and L2's: guest_linear.c.
 */
#include "vmx/guest/guest_mem.h"

#include "kernel/hw/phys.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "mm/memmap.h"

#define ROM_LOW 0xc0000ull
#define ROM_LOW_END 0x100000ull
#define ROM_HIGH_SIZE (16ull << 20)
#define PAGE_OFFSET(x) ((x) & (PAGE_SIZE - 1))

/* The range of L1's memory around `gpa` becomes the one that is looked at first. */
static bool look_up_ram(struct vcpu *vcpu, gpa_t gpa, size_t length)
{
	const struct memmap_range *range;

	if (!memmap_is_ram(gpa.v, length))
		return false;
	range = memmap_range_of(gpa.v);
	if (range && range->type == MEMMAP_USABLE) {
		vcpu->l1.ram_base = range->base;
		vcpu->l1.ram_size = range->size;
		vcpu->l1.ram_pages = range->size - MIN(range->size, PAGE_SIZE - 1);
		vcpu->l1.ram_at = phys_to_ptr(gpa_to_hpa(GPA(range->base)));
	}
	return true;
}

bool guest_mem_is_ram(struct vcpu *vcpu, gpa_t gpa, size_t length)
{
	if (guest_mem_is_usual_ram(vcpu, gpa, length) || look_up_ram(vcpu, gpa, length))
		return true;
	if (memmap_in_window(gpa.v, length))
		vcpu->counters.window_accesses++;
	return false;
}

/*
 * The firmware's ROM: its copy below 1 MiB, and the flash that chipsets decode
 * in the last 16 MiB below 4 GiB.  A guest's structures may lie there as in
 * RAM, and a read has no side effect, as one of a device might.
 */
bool guest_mem_is_rom(gpa_t gpa, size_t length)
{
	if (gpa.v >= ROM_LOW && gpa.v < ROM_LOW_END)
		return length <= ROM_LOW_END - gpa.v;
	return gpa.v >= SIZE_4G - ROM_HIGH_SIZE && gpa.v < SIZE_4G && length <= SIZE_4G - gpa.v;
}

/* One piece within a page. */
static bool read_piece(struct vcpu *vcpu, u64 gpa, void *to, size_t length)
{
	if (!guest_mem_is_ram(vcpu, GPA(gpa), length) && !guest_mem_is_rom(GPA(gpa), length)) {
		memset(to, 0xff, length);
		return false;
	}
	memcpy(to, phys_to_ptr(gpa_to_hpa(GPA(gpa))), length);
	return true;
}

static bool write_piece(struct vcpu *vcpu, u64 gpa, const void *from, size_t length)
{
	if (!guest_mem_is_ram(vcpu, GPA(gpa), length))
		return false;
	memcpy(phys_to_ptr(gpa_to_hpa(GPA(gpa))), from, length);
	return true;
}

bool guest_mem_read(struct vcpu *vcpu, gpa_t gpa, void *to, size_t length)
{
	size_t first = MIN(length, (size_t)(PAGE_SIZE - PAGE_OFFSET(gpa.v)));
	bool ok = read_piece(vcpu, gpa.v, to, first);

	ASSERT(length <= PAGE_SIZE);
	if (length > first)
		ok &= read_piece(vcpu, gpa.v + first, (u8 *)to + first, length - first);
	return ok;
}

bool guest_mem_write(struct vcpu *vcpu, gpa_t gpa, const void *from, size_t length)
{
	size_t first = MIN(length, (size_t)(PAGE_SIZE - PAGE_OFFSET(gpa.v)));
	bool ok = write_piece(vcpu, gpa.v, from, first);

	ASSERT(length <= PAGE_SIZE);
	if (length > first)
		ok &= write_piece(vcpu, gpa.v + first, (const u8 *)from + first, length - first);
	return ok;
}

u32 guest_mem_word(struct vcpu *vcpu, gpa_t gpa)
{
	const void *usual;
	u32 word;

	if (guest_mem_usual_place(vcpu, gpa, &usual))
		return READ_ONCE(*(const u32 *)usual);
	guest_mem_read(vcpu, gpa, &word, sizeof(word));
	return word;
}

bool guest_mem_bit(struct vcpu *vcpu, gpa_t bitmap, u32 bit)
{
	gpa_t at = GPA(bitmap.v + bit / 8);
	u8 byte = 0xff;

	if (likely(guest_mem_is_usual_ram(vcpu, at, sizeof(byte))))
		byte = READ_ONCE(*(const u8 *)phys_to_ptr(gpa_to_hpa(at)));
	else
		guest_mem_read(vcpu, at, &byte, sizeof(byte));
	return byte >> bit % 8 & 1;
}

void *guest_mem_page(struct vcpu *vcpu, gpa_t gpa)
{
	if (PAGE_OFFSET(gpa.v) || !guest_mem_is_ram(vcpu, gpa, PAGE_SIZE))
		return NULL;
	return phys_to_ptr(gpa_to_hpa(gpa));
}
