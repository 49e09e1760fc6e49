/* SPDX-License-Identifier: MIT */
/*
 * A sorted array of ranges that never overlap: adding one cuts what is there at its edges and raises the
 * types within. Everything is computed with exclusive ends; a range that would wrap is cut.
 */
#include "mm/memmap.h"

#include "kernel/bits.h"
#include "kernel/panic.h"
#include "kernel/string.h"

static struct memmap_range ranges[MEMMAP_MAX];
static size_t range_count;
static struct memmap_range windows[MEMMAP_WINDOWS_MAX];
static size_t window_count;

static u64 end_of(const struct memmap_range *r)
{
	return r->base + r->size;
}

void memmap_init(void)
{
	range_count = 0;
	window_count = 0;
}

static bool insert(size_t at, u64 base, u64 end, u32 type)
{
	if (range_count == MEMMAP_MAX)
		return false;
	memmove(&ranges[at + 1], &ranges[at], (range_count - at) * sizeof(ranges[0]));
	ranges[at] = (struct memmap_range){ base, end - base, type };
	range_count++;
	return true;
}

/* Makes `at` a border between ranges, if one lies across it. */
static bool cut(u64 at)
{
	for (size_t i = 0; i < range_count; i++)
		if (ranges[i].base < at && at < end_of(&ranges[i])) {
			if (!insert(i + 1, at, end_of(&ranges[i]), ranges[i].type))
				return false;
			ranges[i].size = at - ranges[i].base;
			return true;
		}
	return true;
}

static void merge(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < range_count; i++) {
		if (kept && ranges[kept - 1].type == ranges[i].type &&
		    end_of(&ranges[kept - 1]) == ranges[i].base)
			ranges[kept - 1].size += ranges[i].size;
		else
			ranges[kept++] = ranges[i];
	}
	range_count = kept;
}

static u32 stricter(u32 a, u32 b)
{
	/* Of the kinds of RAM, NVS is stricter than ACPI, ACPI than usable; RESERVED beats them all, BAD
	 * beats that. */
	static const u8 rank[] = { [MEMMAP_USABLE] = 0,
				   [MEMMAP_ACPI] = 1,
				   [MEMMAP_NVS] = 2,
				   [MEMMAP_RESERVED] = 3,
				   [MEMMAP_BAD] = 4 };

	return rank[a] >= rank[b] ? a : b;
}

static u32 known_type(u32 type)
{
	return type < MEMMAP_USABLE || type > MEMMAP_BAD ? MEMMAP_RESERVED : type;
}

static bool put(u64 base, u64 size, u32 type, bool override)
{
	u64 end, at;
	size_t i;

	if (base >= BIT(52) || !size)
		return true; /* nothing that a processor could address */
	end = size > BIT(52) - base ? BIT(52) : base + size;
	type = known_type(type);
	if (!cut(base) || !cut(end))
		return false;
	for (at = base, i = 0; at < end; i++) {
		while (i < range_count && end_of(&ranges[i]) <= at)
			i++;
		if (i < range_count && ranges[i].base == at) {
			ranges[i].type = override ? type : stricter(ranges[i].type, type);
		} else {
			u64 gap_end = i < range_count ? MIN(end, ranges[i].base) : end;

			if (!insert(i, at, gap_end, type))
				return false;
		}
		at = end_of(&ranges[i]);
	}
	merge();
	return true;
}

bool memmap_add(u64 base, u64 size, u32 type)
{
	return put(base, size, type, false);
}

bool memmap_disagrees(u64 base, u64 size, u32 type)
{
	u64 end = size > UINT64_MAX - base ? UINT64_MAX : base + size;

	type = known_type(type);
	for (size_t i = 0; i < range_count && size; i++)
		if (ranges[i].type != type && ranges[i].base < end && base < end_of(&ranges[i]))
			return true;
	return false;
}

bool memmap_override(u64 base, u64 size, u32 type)
{
	return put(base, size, type, true);
}

static void merge_windows(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < window_count; i++) {
		if (kept && end_of(&windows[kept - 1]) == windows[i].base)
			windows[kept - 1].size += windows[i].size;
		else
			windows[kept++] = windows[i];
	}
	window_count = kept;
}

bool memmap_add_window(u64 base, u64 size)
{
	size_t at = 0;

	if (window_count == MEMMAP_WINDOWS_MAX)
		return false;
	while (at < window_count && windows[at].base < base)
		at++;
	memmove(&windows[at + 1], &windows[at], (window_count - at) * sizeof(windows[0]));
	windows[at] = (struct memmap_range){ base, size, MEMMAP_RESERVED };
	window_count++;
	merge_windows();
	return memmap_override(base, size, MEMMAP_RESERVED);
}

size_t memmap_count(void)
{
	return range_count;
}

const struct memmap_range *memmap_get(size_t index)
{
	ASSERT(index < range_count);
	return &ranges[index];
}

/* The last range whose base is not above pa; NULL if there is none. */
static const struct memmap_range *find(u64 pa)
{
	size_t low = 0, high = range_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ranges[middle].base <= pa)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &ranges[low - 1] : NULL;
}

static bool is_all_of(u64 pa, u64 len, u64 types)
{
	const struct memmap_range *r = find(pa);
	u64 end = pa + len;

	if (!r || end < pa)
		return false;
	for (; pa < end; pa = end_of(r), r++)
		if (r == &ranges[range_count] || r->base > pa || end_of(r) <= pa || !(types & BIT(r->type)))
			return false;
	return true;
}

bool memmap_is_ram(u64 pa, u64 len)
{
	return is_all_of(pa, len, BIT(MEMMAP_USABLE) | BIT(MEMMAP_ACPI) | BIT(MEMMAP_NVS));
}

bool memmap_is_usable(u64 pa, u64 len)
{
	return is_all_of(pa, len, BIT(MEMMAP_USABLE));
}

const struct memmap_range *memmap_range_of(u64 pa)
{
	const struct memmap_range *r = find(pa);

	return r && pa < end_of(r) ? r : NULL;
}

u32 memmap_type_at(u64 pa, u64 *end)
{
	const struct memmap_range *r = find(pa), *next = r ? r + 1 : ranges;

	if (r && pa < end_of(r)) {
		*end = end_of(r);
		return r->type;
	}
	*end = next < ranges + range_count ? next->base : UINT64_MAX;
	return 0;
}

u64 memmap_usable_from(u64 from, u64 to)
{
	u64 at = from;

	for (size_t i = 0; i < range_count; i++)
		if (ranges[i].type == MEMMAP_USABLE && ranges[i].base <= at && end_of(&ranges[i]) > at)
			at = end_of(&ranges[i]);
	return MIN(at, to) - from;
}

const struct memmap_range *memmap_window(size_t index)
{
	return index < window_count ? &windows[index] : NULL;
}

const struct memmap_range *memmap_window_from(u64 pa)
{
	for (size_t i = 0; i < window_count; i++)
		if (pa < end_of(&windows[i]))
			return &windows[i];
	return NULL;
}

bool memmap_in_window(u64 pa, u64 len)
{
	const struct memmap_range *window = memmap_window_from(pa);

	return window && len && pa + (len - 1) >= window->base;
}

u64 memmap_ram_end(void)
{
	u64 end = window_count ? end_of(&windows[window_count - 1]) : 0;

	for (size_t i = 0; i < range_count; i++)
		if (ranges[i].type != MEMMAP_RESERVED && ranges[i].type != MEMMAP_BAD)
			end = MAX(end, end_of(&ranges[i]));
	return end;
}

/* The range to avoid that overlaps [base, base + size), or NULL. */
static const struct memmap_range *overlap(u64 base, u64 size, struct memmap_avoid avoid)
{
	for (size_t i = 0; i < avoid.count; i++) {
		const struct memmap_range *r = &avoid.ranges[i];

		if (r->size && r->base < base + size && base < end_of(r))
			return r;
	}
	return NULL;
}

u64 memmap_find_low(u64 size, u64 align, u64 min, u64 max, struct memmap_avoid avoid)
{
	for (size_t i = 0; i < range_count; i++) {
		u64 base = ALIGN_UP(MAX(ranges[i].base, min), align);
		u64 end = MIN(end_of(&ranges[i]), max);

		while (ranges[i].type == MEMMAP_USABLE && base < end && size <= end - base) {
			const struct memmap_range *hit = overlap(base, size, avoid);

			if (!hit)
				return base;
			base = ALIGN_UP(end_of(hit), align);
		}
	}
	return 0;
}

u64 memmap_find_high(u64 size, u64 align, u64 min, u64 max, struct memmap_avoid avoid)
{
	for (size_t i = range_count; i-- > 0;) {
		u64 start = MAX(ranges[i].base, min), end = MIN(end_of(&ranges[i]), max);

		while (ranges[i].type == MEMMAP_USABLE && start < end && size <= end - start) {
			u64 base = ALIGN_DOWN(end - size, align);
			const struct memmap_range *hit;

			if (base < start)
				break;
			hit = overlap(base, size, avoid);
			if (!hit)
				return base;
			end = hit->base; /* may be below start: the loop's condition sees it */
		}
	}
	return 0;
}
