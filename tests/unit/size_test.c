/* SPDX-License-Identifier: MIT */
/*
 * How much memory Socle takes: its own start runs on a fake machine of so many CPUs and MiB, and what it
 * takes is counted. The table in docs/performance.md must have these rows. `make size` runs the same binary
 * with SIZE_OF="CPUS MIB IMAGE" (IMAGE: the image's bytes in memory) and gets the rows of that machine alone.
 * The processor has VMCS shadowing and the machine has ACPI sleep registers, which L0 wants.
 */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "boot/window.h"
#include "kernel/cmdline.h"
#include "mm/host_map.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "tests/fake/fake.h"
#include "vmx/create.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/vmx_cpu.h"
#include "vmx/l1/ports.h"
#include "vmx/l1/vm.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define PAGE "docs/performance.md"
#define FAKE_IMAGE 0x30000ull /* of tests/fake */
#define STACKS 4	      /* of each CPU, with as many pages: boot/smp.c */
#define KIB(bytes) ((unsigned long long)(bytes) >> 10)

/* In bytes. */
struct sizes {
	u64 usable, window;
	u64 slot, slot_pages;	     /* a record, and what it points to */
	u64 vcpu, slots, ept, other; /* of one CPU; `ept` with its budget */
	u64 cpu;		     /* the sum, as page_alloc counts it */
};

static void must(enum status status)
{
	char text[300];

	if (status == STATUS_OK)
		return;
	status_format(status, text, sizeof(text));
	fail_msg("%s", text);
}

/* Memory as a PC has it: a gap below 4 GiB for devices. */
static u64 add_memory(struct boot_info *info, u64 mib)
{
	u64 bytes = mib * SIZE_1M, low = MIN(bytes, 3ull * SIZE_1G);

	info->ranges[info->range_count++] = (struct memmap_range){ 0, 0x9f000, MEMMAP_USABLE };
	info->ranges[info->range_count++] = (struct memmap_range){ SIZE_1M, low - SIZE_1M, MEMMAP_USABLE };
	if (bytes > low)
		info->ranges[info->range_count++] =
			(struct memmap_range){ SIZE_4G, bytes - low, MEMMAP_USABLE };
	return bytes;
}

/* kernel/main.c's way to the vCPUs. An image that is larger than the fake one needs so much more at first. */
static u64 start_machine(u32 cpus, u64 mib, u64 image)
{
	static const struct port_range sleep = { 0x404, 2, "PM1a control", NULL, NULL };
	static const struct host_image nothing;
	static struct boot_info info;
	static struct roster roster;
	static const struct srat srat;
	u64 usable;

	fake_reset();
	memset(&info, 0, sizeof(info));
	usable = add_memory(&info, mib);
	must(cmdline_parse(""));
	must(window_read_map(&info));
	must(window_take(image - FAKE_IMAGE));
	must(caps_init());
	host_map_build(&nothing, memmap_window(0)->base);
	roster = (struct roster){ .count = cpus, .usable = cpus };
	must(window_grow(&roster, &srat));
	fake_cpu.vmx = NULL;
	must(vmx_cpu_init());
	vm_probe_cpu(true);
	if (!ports_wanted()) /* else of the last machine, and this is the same one in that */
		ports_add(&sleep);
	must(vm_init());
	nested_caps_init();
	return usable;
}

static u64 pages_of_slot(const struct nested_vmcs *slot)
{
	return ((slot->page02 != NULL) + (slot->msr_bitmap02 != NULL) + (slot->io_page != NULL) +
		(slot->shadow.region.v != 0)) *
	       PAGE_SIZE;
}

static u64 bytes_of_ept(const struct ept02_cache *cache)
{
	return ALIGN_UP(sizeof(*cache), PAGE_SIZE) + 2 * cache->count * PAGE_SIZE +
	       ALIGN_UP(cache->count * sizeof(struct ept02_table), PAGE_SIZE);
}

static struct sizes measure(u32 cpus, u64 mib, u64 image)
{
	struct sizes s = { .usable = start_machine(cpus, mib, image) };
	u64 before = page_free_count();
	struct vcpu *vcpu;

	for (size_t i = 0; memmap_window(i); i++)
		s.window += memmap_window(i)->size;
	for (u32 i = 0; i < STACKS; i++)
		host_map_stack(STACK_BASE + i * (STACKS + 1) * PAGE_SIZE, STACKS);
	vcpu = vcpu_create(&fake_cpu, &vm, NULL);
	s.cpu = (before - page_free_count()) * PAGE_SIZE;
	s.slot = sizeof(struct nested_vmcs);
	s.slot_pages = pages_of_slot(&vcpu->nested.slots[0]);
	s.vcpu = ALIGN_UP(sizeof(*vcpu), PAGE_SIZE);
	s.slots = ALIGN_UP(NESTED_VMCS_COUNT * s.slot, PAGE_SIZE) + NESTED_VMCS_COUNT * s.slot_pages;
	s.ept = bytes_of_ept(vcpu->nested.ept);
	s.other = s.cpu - s.vcpu - s.slots - s.ept;
	return s;
}

/* The rows of the tables, one a call; NULL: no more. */
static const char *slot_row(const struct sizes *s, unsigned int n)
{
	static char row[160];

	switch (n) {
	case 0:
		snprintf(row, sizeof(row),
			 "| a slot (a vmcs12 that is active): record; pages | %llu B; %llu KiB |",
			 (unsigned long long)s->slot, KIB(s->slot_pages));
		return row;
	case 1:
		snprintf(row, sizeof(row), "| all %u slots of a CPU | %llu KiB |", NESTED_VMCS_COUNT,
			 KIB(s->slots));
		return row;
	case 2: snprintf(row, sizeof(row), "| a vCPU's record | %llu KiB |", KIB(s->vcpu)); return row;
	case 3:
		snprintf(row, sizeof(row),
			 "| stacks, vmcs01, VPIDs, stand-ins and the rest of a CPU | %llu KiB |",
			 KIB(s->other));
		return row;
	default: return NULL;
	}
}

static const char *machine_row(const struct sizes *s, u32 cpus, u64 mib)
{
	static char row[160];

	snprintf(row, sizeof(row), "| %u | %llu | %llu KiB | %llu KiB | %llu MiB | %llu.%llu %% |", cpus,
		 (unsigned long long)mib, KIB(s->ept), KIB(s->cpu), KIB(s->window) >> 10,
		 (unsigned long long)(s->window * 100 / s->usable),
		 (unsigned long long)(s->window * 1000 / s->usable % 10));
	return row;
}

static void assert_in_page(const char *row)
{
	static const char *const places[] = { PAGE, "../../" PAGE };
	static char text[1 << 17];
	FILE *file = NULL;

	for (size_t i = 0; !file && i < ARRAY_SIZE(places); i++)
		file = fopen(places[i], "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	if (!strstr(text, row))
		fail_msg(PAGE " lacks the row\n%s", row);
}

/* The machines of the page's table; their images are taken as 1 MiB, within which Socle's must stay. */
static void the_page_has_what_is_measured(void **state)
{
	const u64 *machine = *state;
	struct sizes s = measure((u32)machine[0], machine[1], SIZE_1M);

	for (unsigned int n = 0; slot_row(&s, n); n++)
		assert_in_page(slot_row(&s, n));
	assert_in_page(machine_row(&s, (u32)machine[0], machine[1]));
}

/* SDM "Software Use of the VMCS": a region each; no slot has more than one page of an I/O bitmap. */
static void nothing_of_a_cpu_is_unaccounted(void **state UNUSED)
{
	struct sizes s = measure(1, 512, SIZE_1M);

	assert_int_equal(s.slot_pages, 4 * PAGE_SIZE);
	assert_in_range(s.other, STACKS * STACKS * PAGE_SIZE, 256 * 1024);
	assert_true(s.window >= s.cpu && s.window <= s.usable / 8);
}

static int print_size(const char *of)
{
	unsigned int cpus;
	unsigned long long mib, image;
	struct sizes s;

	if (sscanf(of, "%u %llu %llu", &cpus, &mib, &image) != 3 || image < FAKE_IMAGE)
		return 1;
	s = measure(cpus, mib, image);
	for (unsigned int n = 0; slot_row(&s, n); n++)
		puts(slot_row(&s, n));
	puts("| CPUs | MiB | EPT02s of a CPU | all of a CPU | window | of memory |");
	puts(machine_row(&s, cpus, mib));
	return 0;
}

int main(void)
{
	static u64 machines[][2] = { { 1, 512 }, { 4, 512 }, { 4, 4096 }, { 16, 32768 }, { 128, 524288 } };
#define MACHINE(n) cmocka_unit_test_prestate(the_page_has_what_is_measured, machines[n])
	const struct CMUnitTest tests[] = { MACHINE(0), MACHINE(1),
					    MACHINE(2), MACHINE(3),
					    MACHINE(4), cmocka_unit_test(nothing_of_a_cpu_is_unaccounted) };

	fake_memory_size = 16ull << 40;
	if (getenv("SIZE_OF"))
		return print_size(getenv("SIZE_OF"));
	return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
