/* SPDX-License-Identifier: MIT */
/*
 * Machines made of data (tests/machines): what a boot loader would say of each, and its ACPI tables, go
 * through the real code from the first tag to the vCPUs and L1's image in memory. There is room for each of
 * its CPUs, L1 keeps the rest, and where a machine is too much the message is right.
 */
#include "tests/unit/cmocka_all.h"

#include "boot/boot_info.h"
#include "boot/l1.h"
#include "boot/microcode_file.h"
#include "boot/roster.h"
#include "boot/window.h"
#include "kernel/cmdline.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/host_map.h"
#include "mm/page_alloc.h"
#include "tests/fake/fake.h"
#include "tests/unit/bytes.h"
#include "vmx/create.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/vmx_cpu.h"
#include "vmx/l1/vm.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/nested/nested.h"
#include "vmx/nested/vmcs12/caps12.h"

#define INFO 0x8000000u /* the loader's things lie in RAM of all the machines */
#define IMAGE 0x9000000u
#define MODULES 0xa000000u

static const struct memmap_range
#define RANGE(from, to, type) { from, to + 1 - from, MEMMAP_##type },
	laptop_2012[] = {
#include "tests/machines/laptop_2012.def"
	},
	desktop_2020[] = {
#include "tests/machines/desktop_2020.def"
	},
	hybrid_2022[] = {
#include "tests/machines/hybrid_2022.def"
	},
	server_two_sockets[] = {
#include "tests/machines/server_two_sockets.def"
	},
	server_8_tib[] = {
#include "tests/machines/server_8_tib.def"
	};
#undef RANGE

struct made {
	const struct memmap_range *ranges;
	u32 range_count;
	u32 cpus;
	u32 (*apic_id)(u32 cpu);
	u64 tables;		    /* where the XSDT and the MADT are */
	bool efi, pages_1g, unlike; /* unlike: one CPU has no pages of 1 GiB in EPT */
	u32 physical_bits, modules;
	const char *options;
	u32 sockets; /* with an SRAT: domain d has memory from d * each on, and APIC IDs from 128 d on */
	u64 each;
	bool microcode; /* a module of that name, which has none */
	u32 efi_pages;	/* so many descriptors more, each of a page: loader's data at the end of memory */
};
#define RANGES(name) name, ARRAY_SIZE(name)

static u32 in_a_row(u32 cpu)
{
	return cpu;
}

/* Six cores with two threads on even places, then eight without at every second. */
static u32 hybrid(u32 cpu)
{
	return cpu < 12 ? cpu / 2 * 8 + cpu % 2 : 48 + (cpu - 12) * 2;
}

/* 64 of each socket's 128 places. */
static u32 by_socket(u32 cpu)
{
	return cpu / 64 * 128 + cpu % 64;
}

static struct boot_info info;
static struct acpi_cpus named;
static struct census answered;
static struct roster roster;
static struct srat srat;
static struct l1_start start;
static u64 at;

static u64 tag_open(u32 type, u32 size)
{
	u64 body = at + 8;

	put(at, type, 4);
	put(at + 4, size + 8, 4);
	at += ALIGN_UP(size + 8u, 8);
	return body;
}

static void make_linux(void)
{
	put(IMAGE + 0x1f1, 3, 1);
	put(IMAGE + 0x1f4, 0x100, 4);
	put(IMAGE + 0x1fe, 0xaa55, 2);
	put(IMAGE + 0x201, 0x6a, 1);
	memcpy(fake_memory + IMAGE + 0x202, "HdrS", 4);
	put(IMAGE + 0x206, 0x20f, 2);
	put(IMAGE + 0x211, 1, 1);
	put(IMAGE + 0x22c, 0x7fffffff, 4);
	put(IMAGE + 0x230, 0x200000, 4);
	put(IMAGE + 0x234, 1, 1);
	put(IMAGE + 0x238, 2047, 4);
	put(IMAGE + 0x258, 0x1000000, 8);
	put(IMAGE + 0x260, 0x4000000, 4);
}

static void add_sum(u64 pa, u32 size, u32 where)
{
	u8 sum = 0;

	put(pa + where, 0, 1);
	for (u32 i = 0; i < size; i++)
		sum = (u8)(sum + fake_memory[pa + i]);
	put(pa + where, (u8)-sum, 1);
}

#define SRAT_AT 0x8000

static u64 put_affinity(u64 entry, u32 id, u32 domain)
{
	bool wide = id >= 255;

	put(entry, wide ? 2 : 0, 1);
	put(entry + 1, wide ? 24 : 16, 1);
	put(entry + (wide ? 4 : 2), domain, 1);
	put(entry + (wide ? 8 : 3), id, wide ? 4 : 1);
	put(entry + (wide ? 12 : 4), 1, 4);
	return entry + (wide ? 24 : 16);
}

static void make_srat(const struct made *m)
{
	u64 srat_at = m->tables + SRAT_AT, entry = srat_at + 48;

	memcpy(fake_memory + srat_at, "SRAT", 4);
	put(srat_at + 8, 3, 1);
	for (u32 i = 0; i < m->cpus; i++)
		entry = put_affinity(entry, m->apic_id(i), m->apic_id(i) / 128);
	for (u32 domain = 0; domain < m->sockets; domain++, entry += 40) {
		put(entry, 1, 1);
		put(entry + 1, 40, 1);
		put(entry + 2, domain, 4);
		put(entry + 8, domain * m->each, 8);
		put(entry + 16, m->each, 8);
		put(entry + 28, 1, 4);
	}
	put(srat_at + 4, entry - srat_at, 4);
	put(m->tables + 4, 52, 4);
	put(m->tables + 44, srat_at, 8);
}

/* Identifiers below 255 as such firmware names them, the others as x2APIC's. */
static void make_tables(const struct made *m, u64 rsdp)
{
	u64 madt = m->tables + 0x100, entry = madt + 44;

	for (u32 i = 0; i < m->cpus; i++) {
		u32 id = m->apic_id(i), size = id < 255 ? 8 : 16;

		put(entry, id < 255 ? 0 : 9, 1);
		put(entry + 1, size, 1);
		put(entry + (id < 255 ? 3 : 4), id, id < 255 ? 1 : 4);
		put(entry + (id < 255 ? 4 : 8), 1, 4);
		entry += size;
	}
	memcpy(fake_memory + madt, "APIC", 4);
	put(madt + 4, entry - madt, 4);
	memcpy(fake_memory + m->tables, "XSDT", 4);
	put(m->tables + 4, 44, 4);
	put(m->tables + 36, madt, 8);
	if (m->sockets)
		make_srat(m);
	memcpy(fake_memory + rsdp, "RSD PTR ", 8);
	put(rsdp + 15, 2, 1);
	put(rsdp + 20, 36, 4);
	put(rsdp + 24, m->tables, 8);
	add_sum(rsdp, 20, 8);
	add_sum(rsdp, 36, 32);
}

static void add_efi_map(const struct made *m)
{
	const struct memmap_range *last = &m->ranges[m->range_count - 1];
	u64 body = tag_open(17, 8 + (m->range_count + m->efi_pages) * 48);

	put(body, 48, 4);
	put(body + 4, 1, 4);
	for (u32 i = 0; i < m->range_count; i++) {
		static const u32 types[] = { 0, 7, 0, 9, 10, 8 };
		u64 d = body + 8 + i * 48;

		put(d, types[m->ranges[i].type], 4);
		put(d + 8, m->ranges[i].base, 8);
		put(d + 24, m->ranges[i].size >> PAGE_SHIFT, 8);
		if (&m->ranges[i] == last)
			put(d + 24, (last->size >> PAGE_SHIFT) - m->efi_pages, 8);
	}
	for (u32 i = 0; i < m->efi_pages; i++) {
		u64 d = body + 8 + (m->range_count + i) * 48;

		put(d, 2 + i % 3, 4);
		put(d + 8, last->base + last->size - (i + 1) * PAGE_SIZE, 8);
		put(d + 24, 1, 8);
	}
	put(tag_open(12, 8), 0x7f00000, 8);
}

static void add_module(u64 base, u64 size)
{
	u64 body = tag_open(3, 9);

	put(body, base, 4);
	put(body + 4, base + size, 4);
}

static void make_loader(const struct made *m)
{
	u64 body;

	at = INFO + 8;
	memcpy(fake_memory + tag_open(1, (u32)strlen(m->options) + 1), m->options, strlen(m->options) + 1);
	add_module(IMAGE, 4 * 512 + 0x1000);
	for (u32 i = 0; i < m->modules; i++)
		add_module(MODULES + i * 0x2000, 0x1001);
	if (m->microcode) {
		body = tag_open(3, 8 + sizeof("microcode"));
		put(body, MODULES, 4);
		put(body + 4, MODULES + 0x1000, 4);
		memcpy(fake_memory + body + 8, "microcode", sizeof("microcode"));
	}
	body = tag_open(6, 8 + 24 * m->range_count);
	put(body, 24, 4);
	for (u32 i = 0; i < m->range_count; i++) {
		put(body + 8 + i * 24, m->ranges[i].base, 8);
		put(body + 16 + i * 24, m->ranges[i].size, 8);
		put(body + 24 + i * 24, m->ranges[i].type, 4);
	}
	make_tables(m, tag_open(15, 36));
	if (m->efi)
		add_efi_map(m);
	tag_open(0, 0);
	put(INFO, at - INFO, 4);
}

static void make(const struct made *m)
{
	fake_reset();
	memset(&answered, 0, sizeof(answered));
	fake_msr_set(MSR_IA32_APIC_BASE, 0xfee00000 | APIC_BASE_ENABLE | APIC_BASE_BSP | BIT(10));
	fake_cpuid_set(CPUID_LEAF_ADDRESS_SIZE, 0, 0x3000 | m->physical_bits, 0, 0, 0);
	fake_cpuid_set(CPUID_LEAF_EXT_FEATURES, 0, 0, 0, 0x121, m->pages_1g ? 0x2c100800 : 0x28100800);
	make_linux();
	make_loader(m);
}

/* main()'s way to the first window and to the roster. */
static enum status find_all(void)
{
	static const struct host_image nothing;
	enum status status = multiboot2_parse(0x36d76289, INFO, &info);

	if (status == STATUS_OK)
		status = cmdline_parse(info.cmdline);
	if (status == STATUS_OK)
		status = l1_check(&info);
	if (status == STATUS_OK)
		status = microcode_start(&info);
	if (status == STATUS_OK)
		status = caps_init();
	if (status != STATUS_OK)
		return status;
	assert_true(host_map_build(&nothing, memmap_window(0)->base) < SIZE_4G);
	acpi_find_cpus(info.rsdp, info.rsdp_size, !info.efi, &named);
	status = roster_make(&named, &answered, named.apic_id[0], options.cpus, &roster);
	if (status != STATUS_OK)
		return status;
	srat_read(info.rsdp, info.rsdp_size, !info.efi, &srat);
	roster_place(&roster, &srat);
	return STATUS_OK;
}

static enum status boot(const struct made *m)
{
	enum status status;

	make(m);
	status = find_all();
	if (status == STATUS_OK)
		status = window_grow(&roster, &srat);
	return status;
}

static u64 socles_bytes(void)
{
	u64 bytes = 0;

	for (size_t i = 0; memmap_window(i); i++)
		bytes += memmap_window(i)->size;
	return bytes;
}

/* What one CPU takes, all of them can have; and not much is left. */
static void assert_room(u32 cpus)
{
	u64 before = page_free_count(), each;

	for (u32 i = 0; i < 4; i++)
		host_map_stack(STACK_BASE + i * 5 * PAGE_SIZE, 4);
	vcpu_create(&fake_cpu, &vm, NULL);
	each = before - page_free_count();
	if (each * (cpus - 1) > page_free_count())
		fail_msg("%u CPUs, %llu pages each, and %llu are left for the others", cpus,
			 (unsigned long long)each, (unsigned long long)page_free_count());
	assert_true(page_free_count() - each * (cpus - 1) < 2048 + cpus * 512 + 8 * memmap_count());
}

/* What vmx_caps is when an AP has said what it has; Socle's memory was taken before. */
static void join_one_without_1g(void)
{
	u64 all = fake_msr_get(MSR_IA32_VMX_EPT_VPID_CAP);

	assert_true(vmx_caps.has_ept_1g);
	fake_msr_set(MSR_IA32_VMX_EPT_VPID_CAP, all & ~EPT_CAP_1G);
	assert_true(caps_join());
	assert_false(vmx_caps.has_ept_1g);
}

static void assert_starts(const struct made *m)
{
	enum status status = boot(m);
	u64 usable = 0;

	if (status != STATUS_OK) {
		char text[300];

		status_format(status, text, sizeof(text));
		fail_msg("%s", text);
	}
	assert_int_equal(named.count, m->cpus);
	assert_int_equal(roster.usable, m->cpus);
	for (u32 i = 0; i < m->cpus; i++)
		assert_int_equal(roster.apic_id[i], m->apic_id(i));
	fake_cpu.vmx = NULL;
	assert_int_equal(vmx_cpu_init(), STATUS_OK);
	vm_probe_cpu(true);
	if (m->unlike)
		join_one_without_1g();
	assert_int_equal(vm_init(), STATUS_OK);
	nested_caps_init();
	assert_room(m->cpus);
	for (size_t i = 0; i < memmap_count(); i++)
		if (memmap_get(i)->type == MEMMAP_USABLE)
			usable += memmap_get(i)->size;
	assert_true(socles_bytes() <= (usable + socles_bytes()) / 8 + 2 * SIZE_2M || usable < SIZE_1G);
	assert_int_equal(l1_load(&info, &start), STATUS_OK);
	assert_string_equal(start.kind, "Linux");
	assert_true(start.eip && start.esi);
}

static const struct made laptop = {
	RANGES(laptop_2012), 4, in_a_row, 0xbafc0000, false, false, false, 36, 1, "", 0, 0, false, 0
};
static const struct made desktop = {
	RANGES(desktop_2020), 16, in_a_row, 0x8bd53000, true, true, false, 39, 2, "", 0, 0, false, 0
};
static const struct made hybrid_laptop = {
	RANGES(hybrid_2022), 20, hybrid, 0x5d573000, true, true, false, 39, 1, "", 0, 0, false, 0
};
static const struct made two_sockets = {
	RANGES(server_two_sockets), 128, by_socket, 0x7767a000, true, true, false, 46, 1, "", 0, 0, false, 0
};
static const struct made eight_sockets = {
	RANGES(server_8_tib), 512, by_socket, 0x27ffff01000, true, true, false, 46, 200, "", 0, 0, false, 0
};

static void a_laptop_of_2012(void **state UNUSED)
{
	assert_starts(&laptop);
}

static void a_desktop_of_2020(void **state UNUSED)
{
	assert_starts(&desktop);
}

static void a_hybrid_laptop_of_2022(void **state UNUSED)
{
	assert_starts(&hybrid_laptop);
}

static void a_server_with_two_sockets(void **state UNUSED)
{
	struct made m = two_sockets;

	assert_starts(&m);
	assert_true(memmap_window(0)->size <= 4 * SIZE_2M); /* what must be low */
	assert_true(memmap_window(1)->base > SIZE_4G);
	/* pages of 4 KiB and 2 MiB alone */
	m.pages_1g = false;
	assert_starts(&m);
}

static void assert_on_node(const void *p, const struct made *m, u32 socket)
{
	assert_int_equal(ptr_to_phys(p).v / m->each, socket);
}

/* What a vCPU of each socket works with lies in that socket's memory. */
static void assert_near(const struct made *m)
{
	assert_starts(m);
	assert_int_equal(srat.node_count, m->sockets);
	/* the first and the last: the fake processor has so many VMCSs */
	for (u32 socket = 0; socket < m->sockets; socket += m->sockets - 1) {
		struct vcpu *vcpu;

		fake_cpu.node = roster.node[socket * 64];
		assert_int_equal(roster.node[socket * 64 + 63], fake_cpu.node);
		vcpu = vcpu_create(&fake_cpu, &vm, NULL);
		assert_on_node(vcpu, m, socket);
		assert_on_node(vcpu->nested.slots, m, socket);
		assert_on_node(vcpu->nested.slots[0].page02, m, socket);
		assert_on_node(vcpu->nested.ept->pages, m, socket);
		assert_on_node(vcpu->nested.vpid, m, socket);
		assert_on_node(phys_to_ptr(vcpu->vmcs01.region), m, socket);
	}
	fake_cpu.node = 0;
}

static void a_cpus_memory_is_near_it(void **state UNUSED)
{
	struct made m = two_sockets;

	m.sockets = 2;
	m.each = 0x2080000000;
	assert_near(&m);
	m = eight_sockets;
	m.sockets = 8;
	m.each = 0x18000000000;
	assert_near(&m);
	/* each socket's memory is another's */
	m.each = 0x17000000000;
	assert_starts(&m);
}

static void a_server_with_8_tib(void **state UNUSED)
{
	struct made m = eight_sockets;

	assert_starts(&m);
	m.cpus = 2; /* with no room of others' that could be used */
	m.unlike = true;
	assert_starts(&m);
	m = eight_sockets;
	m.unlike = m.pages_1g = false;
	assert_starts(&m);
}

/* Socle's own tables are made by what the first CPU has: another one without that cannot run on them. */
static void a_cpu_whose_paging_has_less(void **state UNUSED)
{
	char text[200];

	make(&two_sockets);
	assert_int_equal(find_all(), STATUS_OK);
	assert_int_equal(host_map_check_cpu(), STATUS_OK);
	fake_cpuid_set(CPUID_LEAF_EXT_FEATURES, 0, 0, 0, 0x121, 0x28100800);
	assert_int_equal(host_map_check_cpu(), STATUS_CPU_PAGING);
	status_what(STATUS_CPU_PAGING, text, sizeof(text));
	assert_string_equal(text, "it has no pages of 1 GiB, unlike the first one");
	fake_cpuid_set(CPUID_LEAF_EXT_FEATURES, 0, 0, 0, 0x121, 0x2c100800);
	fake_cpuid_set(CPUID_LEAF_ADDRESS_SIZE, 0, 0x3000 | 39, 0, 0, 0); /* 256 GiB end above 2 to the 38 */
	assert_int_equal(host_map_check_cpu(), STATUS_OK);
	fake_cpuid_set(CPUID_LEAF_ADDRESS_SIZE, 0, 0x3000 | 38, 0, 0, 0);
	assert_int_equal(host_map_check_cpu(), STATUS_CPU_PAGING);
	make(&laptop);
	assert_int_equal(find_all(), STATUS_OK);
	assert_int_equal(host_map_check_cpu(), STATUS_OK);
}

/* A thousand ranges, as firmware that reports each bad page leaves them. */
static void a_thousand_ranges(void **state UNUSED)
{
	static struct memmap_range ranges[1024];
	struct made m = {
		ranges, 1000, 16, in_a_row, 0x5d573000, true, true, false, 39, 1, "", 0, 0, false, 0
	};

	memcpy(ranges, hybrid_2022, sizeof(hybrid_2022));
	for (u32 i = ARRAY_SIZE(hybrid_2022); i < 1000; i++)
		ranges[i] = (struct memmap_range){ (10ull << 32) + i * 0x1001000ull, PAGE_SIZE, MEMMAP_BAD };
	ranges[ARRAY_SIZE(hybrid_2022) - 1] = (struct memmap_range){ SIZE_4G, 1ull << 37, MEMMAP_USABLE };
	assert_starts(&m);
	m.range_count = 1024;
	for (u32 i = 1000; i < 1024; i++)
		ranges[i] = ranges[999];
	assert_starts(&m);
}

static void assert_refused(const struct made *m, enum status expected, const char *word)
{
	char text[400];
	enum status status = boot(m);

	status_format(status, text, sizeof(text));
	if (status != expected || !strstr(text, word))
		fail_msg("status %d: %s", status, text);
}

/* 64 KiB of the firmware's map and more go to L1 whole; beyond what Socle has room for, it says so. */
static void a_firmwares_map_of_64_kib(void **state UNUSED)
{
	struct made m = desktop;
	u32 size;

	m.efi_pages = 65536 / 48;
	assert_starts(&m);
	assert_true(info.efi_map_size > 65536);
	memcpy(&size, fake_memory + start.esi + 0x1d4, 4);
	assert_true(size >= info.efi_map_size);
	m.efi_pages = 131072 / 48;
	assert_refused(&m, STATUS_BOOT_INFO, "the firmware's memory map has");
	assert_refused(&m, STATUS_BOOT_INFO, "allowed are 131072");
}

static void microcode_that_is_none(void **state UNUSED)
{
	struct made m = laptop;

	assert_int_equal(boot(&m), STATUS_OK);
	assert_null(strstr(fake_log(), "microcode"));
	m.microcode = true;
	assert_int_equal(boot(&m), STATUS_OK);
	assert_non_null(strstr(fake_log(), "microcode: nothing newer and whole for this processor"));
}

/* A line each, and Socle goes on with what it has. */
static void tables_in_trouble_are_told(void **state UNUSED)
{
	make(&laptop);
	assert_int_equal(find_all(), STATUS_OK);
	assert_null(named.trouble);
	put(laptop.tables + 0x100 + 44 + 2 * 8 + 1, 1, 1); /* the third entry's length */
	acpi_find_cpus(info.rsdp, info.rsdp_size, !info.efi, &named);
	assert_int_equal(named.count, 2);
	assert_non_null(strstr(named.trouble, "damaged"));
	put(laptop.tables + 36, 0x23f600000, 8); /* behind all memory */
	acpi_find_cpus(info.rsdp, info.rsdp_size, false, &named);
	assert_int_equal(named.count, 0);
	assert_non_null(strstr(named.trouble, "MADT"));
	acpi_find_cpus(NULL, 0, false, &named);
	assert_non_null(strstr(named.trouble, "RSDP"));
}

static void what_is_too_much_is_said(void **state UNUSED)
{
	struct made m = eight_sockets;

	m.cpus = 513;
	assert_refused(&m, STATUS_MANY_CPUS, "513 processors, and Socle can hold 512");
	m = eight_sockets;
	m.modules = 256;
	assert_refused(&m, STATUS_L1_MODULES, "at most 255");
	m = laptop;
	m.options = "cpus=5";
	assert_refused(&m, STATUS_TOO_MANY_CPUS, "cpus=5 asks for more than the 4");
	m.options = "reserve=1M";
	assert_refused(&m, STATUS_RESERVE_SMALL, "KiB are needed");
	m.options = "ept02=3G";
	assert_refused(&m, STATUS_NO_WINDOW, "for 4 CPUs in 80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_laptop_of_2012),
		cmocka_unit_test(a_desktop_of_2020),
		cmocka_unit_test(a_hybrid_laptop_of_2022),
		cmocka_unit_test(a_server_with_two_sockets),
		cmocka_unit_test(a_cpus_memory_is_near_it),
		cmocka_unit_test(a_server_with_8_tib),
		cmocka_unit_test(a_cpu_whose_paging_has_less),
		cmocka_unit_test(microcode_that_is_none),
		cmocka_unit_test(a_firmwares_map_of_64_kib),
		cmocka_unit_test(a_thousand_ranges),
		cmocka_unit_test(tables_in_trouble_are_told),
		cmocka_unit_test(what_is_too_much_is_said),
	};

	fake_memory_size = 16ull << 40;
	return cmocka_run_group_tests_name("machines", tests, NULL, NULL);
}
