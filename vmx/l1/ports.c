/* SPDX-License-Identifier: MIT */
/*
 * The table of ports, the two pages of L0's bitmaps that are derived from it,
 * and the access itself.  See vmx/l1/ports.h.
 */
#include "vmx/l1/ports.h"

#include "kernel/hw/cpu.h"
#include "kernel/panic.h"
#include "mm/page_alloc.h"
#include "vmx/guest/vcpu.h"

#define RANGES_MAX 16u

/* Constant after ports_init(), but for what ports_watch() changes of the last two. */
static struct port_range ranges[RANGES_MAX];
static bool emulated[RANGES_MAX]; /* or hidden: the machine is not asked */
static unsigned int range_count;
static u64 *bitmaps[2];	    /* NULL: no port is wanted */
static bool half_wanted[2]; /* atomic */

void ports_add(const struct port_range *range)
{
	ASSERT(!bitmaps[0] && range_count < RANGES_MAX);
	ASSERT(range->count && range->first + range->count <= (int)PORT_COUNT);
	emulated[range_count] = !range->handler;
	ranges[range_count++] = *range;
}

void ports_add_emulated(const struct port_range *range)
{
	ports_add(range);
	emulated[range_count - 1] = true;
}

void ports_init(void)
{
	if (!range_count)
		return;
	bitmaps[0] = page_alloc();
	bitmaps[1] = page_alloc();
	for (unsigned int i = 0; i < range_count; i++)
		for (u32 port = ranges[i].first; port < (u32)ranges[i].first + ranges[i].count; port++) {
			bitmaps[port / PORT_HALF][port % PORT_HALF / 64] |= BIT(port % 64);
			half_wanted[port / PORT_HALF] = true;
		}
}

static bool is_of_a_range(u16 port)
{
	for (unsigned int i = 0; i < range_count; i++)
		if ((u16)(port - ranges[i].first) < ranges[i].count)
			return true;
	return false;
}

void ports_watch(u16 port, bool on)
{
	u64 *word = &bitmaps[port / PORT_HALF][port % PORT_HALF / 64];

	ASSERT(ports_wanted());
	half_wanted[port / PORT_HALF] = true;
	if (on)
		*word |= BIT(port % 64);
	else if (!is_of_a_range(port))
		*word &= ~BIT(port % 64);
}

bool ports_wanted(void)
{
	return bitmaps[0];
}

bool ports_wanted_in(unsigned int half)
{
	return half_wanted[half];
}

const u64 *ports_bitmap(unsigned int half)
{
	return bitmaps[half];
}

bool ports_are_wanted(u16 port, unsigned int size)
{
	for (unsigned int i = 0; ports_wanted() && i < size; i++) {
		u16 at = (u16)(port + i);

		if (bitmaps[at / PORT_HALF][at % PORT_HALF / 64] & BIT(at % 64))
			return true;
	}
	return false;
}

bool port_access_byte(const struct port_access *access, u16 port, u8 *byte)
{
	u16 offset = (u16)(port - access->port);

	if (access->in || offset >= access->size)
		return false;
	*byte = (u8)(access->value >> (8 * offset));
	return true;
}

/* Which of the access's bytes lie on the range's ports: bit n for byte n. */
static u32 bytes_in(const struct port_range *range, const struct port_access *access)
{
	u32 bytes = 0;

	for (unsigned int i = 0; i < access->size; i++)
		if ((u16)(access->port + i - range->first) < range->count)
			bytes |= (u32)BIT(i);
	return bytes;
}

/* Calls each handler whose ports the access reaches. Bit n of the result: byte n is kept back. */
static u32 ask_handlers(struct vcpu *vcpu, struct port_access *access)
{
	u32 kept = 0;

	for (unsigned int i = 0; i < range_count; i++) {
		u32 bytes = bytes_in(&ranges[i], access);

		if (bytes && (!ranges[i].handler || !ranges[i].handler(vcpu, &ranges[i], access)))
			kept |= bytes;
	}
	return kept;
}

/* Which of the access's bytes are not the machine's to say. */
static u32 unasked_bytes(const struct port_access *access)
{
	u32 bytes = 0;

	for (unsigned int i = 0; i < range_count; i++)
		if (emulated[i])
			bytes |= bytes_in(&ranges[i], access);
	return bytes;
}

static u32 machine_in(u16 port, unsigned int size)
{
	switch (size) {
	case 1: return inb(port);
	case 2: return inw(port);
	default: return inl(port);
	}
}

static void machine_out(u16 port, unsigned int size, u32 value)
{
	switch (size) {
	case 1: outb(port, (u8)value); break;
	case 2: outw(port, (u16)value); break;
	default: outl(port, value);
	}
}

/*
 * The access may raise an SMI, and the firmware's handler takes its arguments from the general registers
 * and answers in them. So the general registers are the guest's while the access is made.
 */
static void out_whole(struct vcpu *vcpu, const struct port_access *access)
{
	if (access->string)
		machine_out(access->port, access->size, access->value);
	else
		cpu_out_registers(vcpu->gpr, access->port, access->size);
}

/* Reading a port may change the device behind it: only those are read that the guest has of the machine. */
static u32 in_beside(const struct port_access *access, u32 unasked)
{
	u32 value = 0;

	if (!unasked)
		return machine_in(access->port, access->size);
	for (unsigned int i = 0; i < access->size; i++)
		value |= (u32)(unasked & BIT(i) ? 0xff : inb((u16)(access->port + i))) << (8 * i);
	return value;
}

void ports_access(struct vcpu *vcpu, struct port_access *access)
{
	u32 kept;

	if (access->in) {
		access->value = in_beside(access, unasked_bytes(access));
		ask_handlers(vcpu, access);
		return;
	}
	kept = ask_handlers(vcpu, access);
	if (!kept) {
		out_whole(vcpu, access);
		return;
	}
	for (unsigned int i = 0; i < access->size; i++)
		if (!(kept & BIT(i)))
			outb((u16)(access->port + i), (u8)(access->value >> (8 * i)));
}
