/* SPDX-License-Identifier: MIT */
/*
 * The I/O bitmaps of vmcs02, a page for each half of the ports.  Where L1 has
 * none: L0's, or none.  Where L1 has: its own page in a half in which L0
 * wants no port, so that what L2 or a device writes there counts at once, as
 * on the processor.  In the other half a page of L0's that starts as all
 * ones: looking at L1's page and then using it would be no check, for another
 * CPU, or L2, may clear L0's bit behind the look.  An exit that nobody wants
 * opens its words (L1's bits and L0's), and each entry reads those again.
 * SDM: "I/O-Bitmap Addresses".
 */
#include "vmx/nested/entry/io_bitmaps.h"

#include "kernel/string.h"
#include "mm/page_alloc.h"
#include "vmx/guest/guest_mem.h"
#include "mm/addr.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/l1/ports.h"

#define WORD_PORTS 64u
#define WORDS (PAGE_SIZE / sizeof(u64))

/*
 * For a bitmap of L1's that is not in RAM, where L0 wants no port: every access exits, and software reads
 * L1's bits.
 */
static u64 page_of_ones[WORDS] ALIGNED(PAGE_SIZE);

void io_bitmaps_init_slot(struct nested_vmcs *slot)
{
	memset(page_of_ones, 0xff, sizeof(page_of_ones));
	if (!ports_wanted())
		return;
	slot->io_page = page_alloc();
	memset(slot->io_page, 0xff, PAGE_SIZE);
}

/* "Unconditional I/O exiting" alone has every port already; bitmaps would overrule it. */
u32 io_bitmaps_control(const struct vmcs12 *v12)
{
	if (!ports_wanted() || v12_has_proc(v12, PROC_IO_BITMAPS) || v12_has_proc(v12, PROC_UNCONDITIONAL_IO))
		return 0;
	return (u32)PROC_IO_BITMAPS;
}

static u64 l1_page(const struct vmcs12 *v12, unsigned int half)
{
	return half ? v12->io_bitmap_b : v12->io_bitmap_a;
}

/* L1's own page, if vmcs02 may name it; NULL: vmcs02 names a page of L0's. */
static const void *own_page(struct vcpu *vcpu, const struct vmcs12 *v12, unsigned int half)
{
	return ports_wanted_in(half) ? NULL : guest_mem_page(vcpu, GPA(l1_page(v12, half)));
}

static u64 address_for(struct vcpu *vcpu, struct nested_vmcs *slot, unsigned int half)
{
	const void *own;

	if (!v12_has_proc(&slot->v12, PROC_IO_BITMAPS))
		return page_phys(ports_bitmap(half)).v;
	if (ports_wanted_in(half))
		return page_phys(slot->io_page).v;
	own = own_page(vcpu, &slot->v12, half);
	return page_phys(own ? own : page_of_ones).v;
}

void io_bitmaps_write(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (!v12_has_proc(&slot->v12, PROC_IO_BITMAPS) && !ports_wanted())
		return;
	vmcs_write(VMCS_io_bitmap_a, address_for(vcpu, slot, 0));
	vmcs_write(VMCS_io_bitmap_b, address_for(vcpu, slot, 1));
}

/*
 * One page serves both halves where L0 wants ports in both: it has the bits of both, and an exit that only
 * the other half's bit has caused is L0's to carry out.
 */
static u64 merged_word(struct vcpu *vcpu, const struct vmcs12 *v12, unsigned int word)
{
	u64 bits = 0;

	for (unsigned int half = 0; half < 2; half++) {
		u64 l1 = ~0ull;

		if (!ports_wanted_in(half))
			continue;
		guest_mem_read(vcpu, GPA(l1_page(v12, half) + word * sizeof(l1)), &l1, sizeof(l1));
		bits |= l1 | ports_bitmap(half)[word];
	}
	return bits;
}

void io_bitmaps_read_again(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (!v12_has_proc(&slot->v12, PROC_IO_BITMAPS))
		return;
	for (unsigned int i = 0; i < slot->io_opened_count; i++)
		slot->io_page[slot->io_opened[i]] = merged_word(vcpu, &slot->v12, slot->io_opened[i]);
}

static bool is_opened(const struct nested_vmcs *slot, unsigned int word)
{
	for (unsigned int i = 0; i < slot->io_opened_count; i++)
		if (slot->io_opened[i] == word)
			return true;
	return false;
}

static void open_word(struct vcpu *vcpu, struct nested_vmcs *slot, unsigned int word)
{
	if (!is_opened(slot, word))
		slot->io_opened[slot->io_opened_count++] = (u16)word;
	slot->io_page[word] = merged_word(vcpu, &slot->v12, word);
}

bool io_bitmaps_are_l1s(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	u64 qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
	u16 first = (u16)(qualification >> 16), last = (u16)(first + (qualification & 7));

	if (!v12_has_proc(v12, PROC_IO_BITMAPS))
		return !ports_wanted();
	return own_page(vcpu, v12, first / PORT_HALF) && own_page(vcpu, v12, last / PORT_HALF);
}

/*
 * Whichever vmcs12 is in the slot: the words that it opens from now on are read again at each of its entries.
 */
void io_bitmaps_close(struct nested_vmcs *slot)
{
	for (unsigned int i = 0; i < slot->io_opened_count; i++)
		slot->io_page[slot->io_opened[i]] = ~0ull;
	slot->io_opened_count = 0;
}

bool io_bitmaps_open(struct vcpu *vcpu, u16 port, unsigned int size)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	bool open = true;

	if (!v12_has_proc(&slot->v12, PROC_IO_BITMAPS) || port + size > PORT_COUNT)
		return false;
	/*
	 * One access opens up to two words. There must be room for both, or the second would close the first.
	 */
	if (slot->io_opened_count + 2 > IO_OPENED_MAX)
		io_bitmaps_close(slot);
	for (u32 at = port; at < port + size; at++) {
		unsigned int half = at / PORT_HALF, word = at % PORT_HALF / WORD_PORTS;

		if (!ports_wanted_in(half)) {
			open &= own_page(vcpu, &slot->v12, half) != NULL;
			continue;
		}
		open_word(vcpu, slot, word);
		open &= !(slot->io_page[word] & BIT(at % WORD_PORTS));
	}
	return open;
}
