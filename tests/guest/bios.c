/* SPDX-License-Identifier: MIT */
/*
 * Guest test "bios": an L1 that goes to real mode and asks the BIOS for the memory map (INT 15h: E820, E801,
 * 88h), as boot loaders and old kernels do. What is no RAM in the boot loader's map (under Socle: L0's
 * window, too) must be no RAM here. The maps of the two platforms differ by L0's memory, so entries are INFO
 * lines; rules are RESULT lines. ACPI specification: "INT 15H, E820H - Query System Address Map".
 */
#include "tests/guest/lib/test.h"

enum { REAL = 0x6000, REGISTERS = 0x6800, BUFFER = 0x6900 };
enum { SMAP = 0x534d4150, RAM = 1, ACPI_RECLAIMABLE = 3, CARRY = 1, ENTRIES_MAX = 64 };

struct bios_registers {
	u32 eax, ebx, ecx, edx, edi, eflags, ds;
};

struct PACKED range {
	u64 base, size;
	u32 type;
};

extern u8 bios_real[], bios_real_end[];
void bios_enter(void);

static struct range map[ENTRIES_MAX];
static u32 count;
static bool overlaps;
static u64 lowest_hole; /* from 1 MiB on */

static struct bios_registers int15(u32 eax, u32 ebx, u32 ecx, u32 edx)
{
	struct bios_registers r = { eax, ebx, ecx, edx, BUFFER, 0, 0 };

	memcpy(ptr_of(REAL), bios_real, (size_t)(bios_real_end - bios_real));
	memcpy(ptr_of(REGISTERS), &r, sizeof(r));
	memset(ptr_of(BUFFER), 0xcc, 64);
	bios_enter();
	memcpy(&r, ptr_of(REGISTERS), sizeof(r));
	return r;
}

static void read_map(void)
{
	struct bios_registers r = { 0 };

	for (count = 0; count < ENTRIES_MAX; count++) {
		r = int15(0xe820, r.ebx, sizeof(struct range), SMAP);
		if (r.eflags & CARRY)
			break;
		CHECK(r.eax == SMAP && r.ecx == sizeof(struct range) && r.ds == 0);
		memcpy(&map[count], ptr_of(BUFFER), sizeof(map[count]));
		/* nothing behind the entry is written */
		CHECK(*(u32 *)ptr_of(BUFFER + sizeof(struct range)) == 0xcccccccc);
		info("%lx+%lx type %u", map[count].base, map[count].size, map[count].type);
		if (!r.ebx) {
			count++;
			return;
		}
	}
	CHECK(count && count < ENTRIES_MAX);
}

static void compare_hole(u64 base, u64 size, u32 type)
{
	u32 i;

	info("hole %lx+%lx type %u", base, size, type);
	for (i = 0; i < count; i++)
		if (map[i].type == RAM && map[i].base < base + size && base < map[i].base + map[i].size)
			overlaps = true;
}

TEST(e820)
{
	struct bios_registers r;
	u64 ram = 0;
	u32 i;

	read_map();
	memory_holes(compare_hole);
	for (i = 0; i < count; i++)
		if (map[i].type == RAM)
			ram += map[i].size;
	info("ram %lx in %u entries", ram, count);
	result("entries %s, a hole of the loader's map is RAM: %s", count ? "some" : "none",
	       overlaps ? "yes" : "no");
	CHECK(!overlaps);
	r = int15(0xe820, 0, sizeof(struct range), SMAP + 1);
	result("wrong signature: carry %u", r.eflags & CARRY);
	/* more room than an entry needs: the entry, and how long it is */
	r = int15(0xe820, 0, 24, SMAP);
	result("24 bytes: carry %u length %u", r.eflags & CARRY, r.ecx);
	CHECK(!memcmp(ptr_of(BUFFER), &map[0], sizeof(map[0])));
}

static void find_lowest(u64 base, u64 size, u32 type)
{
	(void)size;
	if (type != ACPI_RECLAIMABLE && base >= MIB && base < lowest_hole)
		lowest_hole = base;
}

/* What the older calls count ends where the first hole begins; BIOSes count the ACPI tables as memory there.
 */
TEST(older_calls)
{
	struct bios_registers r;

	lowest_hole = 4 * GIB;
	memory_holes(find_lowest);
	r = int15(0xe801, 0, 0, 0);
	info("E801 ax %x bx %x cx %x dx %x", r.eax & 0xffff, r.ebx & 0xffff, r.ecx & 0xffff, r.edx & 0xffff);
	CHECK(!(r.eflags & CARRY));
	CHECK((r.eax & 0xffff) == (r.ecx & 0xffff) && (r.ebx & 0xffff) == (r.edx & 0xffff));
	CHECK((r.eax & 0xffff) <= 15 * 1024 && MIB + (r.eax & 0xffff) * 1024ull <= lowest_hole);
	CHECK(16 * MIB + (r.ebx & 0xffff) * 65536ull <= lowest_hole);
	result("E801 carry %u", r.eflags & CARRY);
	r = int15(0x8800, 0, 0, 0);
	info("88h ax %x", r.eax & 0xffff);
	CHECK(!(r.eflags & CARRY) && MIB + (r.eax & 0xffff) * 1024ull <= lowest_hole);
	result("88h carry %u", r.eflags & CARRY);
}

/* All else is the BIOS's own, reached through the stub. */
TEST(other_functions)
{
	struct bios_registers r = int15(0xc000, 0, 0, 0);

	result("C0h carry %u", r.eflags & CARRY);
	r = int15(0xff00, 0, 0, 0);
	result("unknown function: carry %u ah %x", r.eflags & CARRY, r.eax >> 8 & 0xff);
}
