/* SPDX-License-Identifier: MIT */
/*
 * Memory as a guest has it, and the tables that lead there.  Nothing is set on the way, no accessed flag and
 * no counter; only RAM is read, for a device's registers may change by it.
 */
#include "kernel/hw/phys.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/vm.h"
#include "vmx/monitor/command.h"
#include "vmx/monitor/output.h"
#include "vmx/monitor/view.h"
#include "mm/addr.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define ADDRESS_MAX ((1ull << 52) - 1)
#define EPT_ADDRESS GENMASK(51, 12)
#define EPT_PRESENT(entry) ((entry)&7)
#define BYTES_MAX 512u

/* Within a page of L1's RAM. */
static bool read_l1(struct vcpu *vcpu, u64 gpa, void *to, size_t length)
{
	const u8 *page = guest_mem_page(vcpu, GPA(gpa & ~(u64)(PAGE_SIZE - 1)));

	if (page)
		memcpy(to, page + (gpa & (PAGE_SIZE - 1)), length);
	return page;
}

/* ---- EPT ---- */

struct ept_walk {
	struct vcpu *vcpu;
	u64 eptp;
	bool l1s;    /* the tables are in L1's memory, else in L0's */
	bool silent; /* entries are not shown */
};

/* False: not mapped, or a table that is not in RAM. */
static bool walk_ept(const struct ept_walk *walk, u64 address, u64 *to)
{
	unsigned int level = ((walk->eptp & EPTP_WALK) >> EPTP_WALK_SHIFT) + 1;
	u64 table = walk->eptp & EPT_ADDRESS;

	for (; level >= 1 && level <= 5; level--) {
		unsigned int shift = 12 + 9 * (level - 1);
		u64 at = table + ((address >> shift) & 511) * 8, entry;

		if (!walk->l1s)
			entry = READ_ONCE(*(u64 *)phys_to_ptr(HPA(at)));
		else if (!read_l1(walk->vcpu, at, &entry, sizeof(entry)))
			return false;
		if (!walk->silent)
			output("level %u at %llx: %llx%s", level, LL(at), LL(entry),
			       EPT_PRESENT(entry) ? "" : " not present");
		if (!EPT_PRESENT(entry))
			return false;
		table = entry & EPT_ADDRESS;
		if (level == 1 || (level < 4 && (entry & PTE_PS))) {
			*to = (table & ~((1ull << shift) - 1)) | (address & ((1ull << shift) - 1));
			return true;
		}
	}
	return false;
}

bool command_ept(struct vcpu *vcpu, const struct words *words)
{
	struct ept_walk walk = { .vcpu = vcpu, .eptp = vm.ept01_pointer };
	enum view_kind kind;
	struct view view;
	u64 address, to;

	if (words->count != 3 || !view_kind_of(words->word[1], &kind) ||
	    !line_hex(words->word[2], ADDRESS_MAX, &address))
		return false;
	if (kind != VIEW_01) {
		if (!view_begin(&view, vcpu, kind))
			return true;
		walk.eptp = view_field(&view, VMCS_ept_pointer);
		walk.l1s = kind == VIEW_12;
		view_end(&view);
		if (walk.l1s && !v12_has_proc2(view.v12, PROC2_EPT)) {
			output("error: vmcs12 has no EPT");
			return true;
		}
		/* What vmcs02 still names may have been given to another EPT02 since. */
		if (!walk.l1s && walk.eptp != vm.ept01_pointer && !ept02_is_in_use(vcpu, walk.eptp)) {
			output("error: the EPT02 that vmcs02 was entered with is gone");
			return true;
		}
	}
	output("ept%s, pointer %llx", words->word[1], LL(walk.eptp));
	if (walk_ept(&walk, address, &to))
		output("%llx is %llx", LL(address), LL(to));
	else
		output("%llx is not mapped", LL(address));
	return true;
}

/* ---- the guest that runs ---- */

/* An address physical to it, as L1's. */
static bool to_l1(struct vcpu *vcpu, u64 address, u64 *gpa)
{
	const struct nested_vmcs *slot = vcpu->nested.current;
	struct ept_walk walk = { .vcpu = vcpu, .l1s = true, .silent = true };

	*gpa = address;
	if (vcpu->guest->level == 1 || !v12_has_proc2(&slot->v12, PROC2_EPT))
		return true;
	walk.eptp = slot->v12.ept_pointer;
	return walk_ept(&walk, address, gpa);
}

struct table_reader {
	struct vcpu *vcpu;
	bool silent;
};

static bool read_entry(void *opaque, u64 address, void *to, size_t length)
{
	const struct table_reader *reader = opaque;
	u64 gpa, entry = 0;

	if (!to_l1(reader->vcpu, address, &gpa) || !read_l1(reader->vcpu, gpa, to, length)) {
		if (!reader->silent)
			output("table entry at %llx: no RAM of L1's, or not mapped by EPT12", LL(address));
		return false;
	}
	memcpy(&entry, to, length);
	if (!reader->silent)
		output("entry at %llx: %llx", LL(address), LL(entry));
	return true;
}

/* A supervisor's read that SMAP does not stop. */
static enum walk_result walk_linear(struct table_reader *reader, u64 address, struct walk_page *page)
{
	struct guest_walk walk = guest_walk_as_it_stands(reader->vcpu);

	walk.context = reader;
	walk.read = read_entry;
	return guest_walk(&walk, address, WALK_AC, page);
}

bool command_walk(struct vcpu *vcpu, const struct words *words)
{
	struct table_reader reader = { vcpu, false };
	struct walk_page page;
	u64 address, gpa;

	if (words->count != 2 || !line_hex(words->word[1], UINT64_MAX, &address))
		return false;
	output("%s, cr3 %llx", vcpu->guest->level == 2 ? "L2" : "L1", LL(vcpu_reg(vcpu, REG_CR3)));
	switch (walk_linear(&reader, address, &page)) {
	case WALK_OK:
		output("%llx is gpa %llx, page of %llx", LL(address), LL(page.gpa), LL(page.size));
		if (vcpu->guest->level == 2 && to_l1(vcpu, page.gpa, &gpa))
			output("which is L1's %llx", LL(gpa));
		break;
	case WALK_FAULT: output("%llx is not mapped: #PF, error code %x", LL(address), page.pfec); break;
	default: output("%llx: the walk ends there", LL(address));
	}
	return true;
}

static bool peek(struct vcpu *vcpu, bool linear, u64 address, u8 *byte)
{
	struct table_reader reader = { vcpu, true };
	struct walk_page page = { .gpa = address };
	u64 gpa;

	if (linear && walk_linear(&reader, address, &page) != WALK_OK)
		return false;
	return to_l1(vcpu, page.gpa, &gpa) && read_l1(vcpu, gpa, byte, 1);
}

/* NU behind the slash. */
static bool parse_format(const char *word, u64 *count, unsigned int *unit)
{
	static const char units[] = "bwlq";
	char digits[LINE_SIZE];
	size_t length = strlen(word);
	const char *found = length > 1 ? strchr(units, word[length - 1]) : NULL;

	if (!found)
		return false;
	*unit = 1u << (found - units);
	memcpy(digits, word, length - 1);
	digits[length - 1] = '\0';
	return line_decimal(digits, BYTES_MAX / *unit, count) && *count;
}

/* Up to 16 bytes; false: the rest is not to be shown. */
static bool show_memory(struct vcpu *vcpu, bool linear, u64 address, unsigned int unit, unsigned int count)
{
	static const char formats[][9] = {
		[1] = " %02llx", [2] = " %04llx", [4] = " %08llx", [8] = " %016llx"
	};
	char text[80] = "";
	size_t used = 0;
	bool there = true;

	for (unsigned int i = 0; there && i < count; i++) {
		u64 value = 0;

		for (unsigned int b = 0; there && b < unit; b++)
			there = peek(vcpu, linear, address + i * unit + b, (u8 *)&value + b);
		if (there)
			used += print_format(text + used, sizeof(text) - used, formats[unit], LL(value));
	}
	output("%llx:%s%s", LL(address), text, there ? "" : " no RAM, or not mapped");
	return there;
}

bool command_x(struct vcpu *vcpu, const struct words *words)
{
	bool linear;
	unsigned int unit;
	u64 count, address;

	if (words->count != 2 || !parse_format(words->word[0] + 2, &count, &unit))
		return false;
	linear = strncmp(words->word[1], "gpa:", 4);
	if (!line_hex(words->word[1] + (linear ? 0 : 4), linear ? UINT64_MAX : ADDRESS_MAX, &address))
		return false;
	for (unsigned int per_line = 16 / unit; count; count -= MIN(count, (u64)per_line), address += 16)
		if (!show_memory(vcpu, linear, address, unit, (unsigned int)MIN(count, (u64)per_line)))
			break;
	return true;
}
