/* SPDX-License-Identifier: MIT */
/*
 * The composition root: from the boot loader to the run loop on every CPU, in
 * the order in which the machine comes up.  What is wrong with the machine or
 * with what the loader brought arrives here as a status: one line, and halt.
 */
#include "boot/boot_info.h"
#include "boot/census.h"
#include "boot/dma_guard.h"
#include "boot/int15.h"
#include "boot/l1.h"
#include "boot/microcode_file.h"
#include "boot/roster.h"
#include "boot/screen_start.h"
#include "boot/window.h"
#include "drivers/acpi.h"
#include "drivers/acpi_sleep.h"
#include "drivers/apic.h"
#include "drivers/chipset.h"
#include "drivers/reset.h"
#include "drivers/console.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/pace.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "boot/smp.h"
#include "kernel/string.h"
#include "kernel/trap.h"
#include "kernel/version.h"
#include "kernel/x86.h"
#include "mm/host_map.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/exit_cpu.h"
#include "vmx/l1/pm_config.h"
#include "vmx/l1/sleep.h"
#include "vmx/l1/sleep_page.h"
#include "vmx/create.h"
#include "vmx/gdb/gdb.h"
#include "vmx/monitor/live.h"
#include "vmx/monitor/monitor.h"
#include "vmx/monitor/step.h"
#include "vmx/run.h"
#include "vmx/l1/vm.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/hw/vmx_cpu.h"
#include "vmx/rehearsal.h"

#define CPU_LINES_MAX 8
#define LINE_PIECE 90 /* a long command line is shown in lines of so much */

extern const u32 start_cr0; /* start.S */

void kernel_main(u32 magic, u32 info);
NORETURN void start_on_stack(u64 top, void (*function)(void));

static struct boot_info boot_info;
static struct acpi_cpus named;
static struct census answered;
static struct roster roster;
static struct srat srat;
static u64 started; /* TSC */

/* For good: a machine that reset itself would only come back here. */
static NORETURN void halt(void)
{
	log_error("halted");
	cpu_halt_forever();
}

static void must(enum status status)
{
	if (status == STATUS_OK)
		return;
	status_report(status);
	if (options.check)
		rehearsal_verdict(false);
	halt();
}

/*
 * An AP of L1's waits for its SIPI in the run loop; a parked one stays in VMX root operation, where INIT and
 * SIPI do not wake it. It may differ from the others: nothing of L1's runs on it. One that should be L1's and
 * cannot run beside the others is parked as well. What the vCPUs share is made when all have said what they
 * have.
 */
static void ap_main(struct percpu *cpu)
{
	enum status status;

	smp_setup_this(cpu);
	status = host_map_check_cpu();
	if (status == STATUS_OK) {
		microcode_start_ap(cpu->apic_id);
		status = caps_may_vmxon();
	}
	if (status == STATUS_OK)
		status = vmx_cpu_init();
	if (status == STATUS_OK && !cpu->parked)
		cpu->parked = !caps_join();
	if (status == STATUS_OK && !cpu->parked)
		vm_probe_cpu(false);
	smp_report(cpu, status);
	if (status != STATUS_OK || cpu->parked)
		cpu_halt_forever();
	smp_await_turn(cpu);
	vcpu_create(cpu, &vm, NULL);
	smp_end_turn();
	if (options.check)
		cpu_halt_forever();
	smp_barrier();
	vcpu_run(cpu->vcpu);
}

/* By the frequency that the processor names, in milliseconds; else in millions of ticks. */
static void log_time(char *text, size_t size)
{
	u64 ticks = rdtsc() - started, ratio = 0;
	u32 mhz = cpuid(CPUID_LEAF_MAX, 0).eax >= CPUID_LEAF_FREQUENCY
			  ? cpuid(CPUID_LEAF_FREQUENCY, 0).eax & 0xffff
			  : 0;

	if (!mhz && rdmsr_safe(MSR_PLATFORM_INFO, &ratio))
		mhz = (ratio >> 8 & 0xff) * 100;
	print_format(text, size, "%llu %s",
		     (unsigned long long)(mhz ? ticks / (mhz * 1000ull) : ticks / 1000000),
		     mhz ? "ms" : "million ticks");
}

static void log_start(void)
{
	u64 usable = 0, own = 0;
	const struct memmap_range *window;
	char time[40];

	for (size_t i = 0; i < memmap_count(); i++)
		if (memmap_get(i)->type == MEMMAP_USABLE)
			usable += memmap_get(i)->size;
	for (u32 i = 0; (window = memmap_window(i)); i++) {
		log_info("memory: window %llx-%llx", (unsigned long long)window->base,
			 (unsigned long long)(window->base + window->size - 1));
		own += window->size;
	}
	log_time(time, sizeof(time));
	log_info("start: %s, %u CPUs; %llu MiB for L1, %llu KiB for Socle (%llu KiB free)", time,
		 percpu_count(), (unsigned long long)(usable >> 20), (unsigned long long)(own >> 10),
		 (unsigned long long)page_free_count() * 4);
}

/* A line each; where they would fill the screen, one for all. */
static void log_cpus(void)
{
	if (percpu_count() > CPU_LINES_MAX)
		log_info("cpu 0-%u: in VMX operation", percpu_count() - 1);
	for (u32 i = 0; percpu_count() <= CPU_LINES_MAX && i < percpu_count(); i++)
		if (percpu_get(i)->vmx && !percpu_get(i)->parked)
			log_info("cpu %u: in VMX operation, APIC ID %x", i, percpu_get(i)->apic_id);
}

static void log_roster(void)
{
	if (options.find_cpus)
		log_info("processors: %u named by ACPI, %u answered; %u are L1's, %u are held", named.count,
			 answered.count + 1, roster.usable, roster.count - roster.usable);
	else if (!named.count)
		log_warn("no ACPI table names the processors: Socle runs on this one, and others that L1 "
			 "starts run outside it");
}

/* A command line, whole; what is no printable character becomes a `?`, for a line of the log stays one. */
static void log_command_line(const char *what, const char *line)
{
	char piece[LINE_PIECE + 1];
	size_t length;

	do {
		length = strnlen(line, LINE_PIECE);
		memcpy(piece, line, length);
		piece[length] = '\0';
		for (char *c = piece; *c; c++)
			*c = *c < ' ' || *c > '~' ? '?' : *c;
		log_info("%s'%s'", what, piece);
		what = "  ...";
		line += length;
	} while (*line);
}

static void log_banner(void)
{
	char id[VERSION_BUILD_ID_SIZE];

	version_build_id(id);
	log_info("Socle %s, a microhypervisor for VMX in VMX; build id %s", version_text, id);
	log_command_line("options ", boot_info.cmdline);
}

static void log_l1(const struct l1_start *start)
{
	log_info("L1: %s, entry %x", start->kind, start->eip);
	log_command_line("L1's command line ", boot_info.modules[0].cmdline);
}

/* As the firmware left its tables; then L1 gets them without what is refused. What is intercepted is
 * vm_init()'s to derive. */
static void find_sleep(void)
{
	struct acpi_sleep sleep;
	struct chipset_pm pm;

	reset_find(boot_info.rsdp, boot_info.rsdp_size, !boot_info.efi);
	acpi_find_sleep(boot_info.rsdp, boot_info.rsdp_size, !boot_info.efi, &sleep);
	chipset_find_pm(&sleep, &pm);
	sleep_add_pages(&sleep);
	sleep_add_ports(&sleep);
	pm_config_add_ports(&pm);
	acpi_hide_sleep(boot_info.rsdp, boot_info.rsdp_size, !boot_info.efi);
}

/* The other CPUs are halted: they never come to the barrier. */
static NORETURN void end_rehearsal(void)
{
	log_start();
	rehearsal_end();
	rehearsal_verdict(true);
	halt();
}

/* On the BSP's own stack, in the window. */
static void main_in_window(void)
{
	struct percpu *cpu = percpu_get(0);
	struct l1_start start;

	must(vmx_cpu_init());
	vm_probe_cpu(true);
	find_sleep();
	must(smp_start(answered.count, ap_main));
	/* Not before it is known what all CPUs have, nor after the ports are settled. */
	monitor_open();
	gdb_open();
	live_open();
	step_init();
	must(vm_init());
	nested_caps_init();
	log_info("level %u: on %s", cpuid_level(), cpuid_level() ? "another Socle" : "the processor");
	smp_take_turns();
	log_cpus();
	if (options.check)
		end_rehearsal();
	if (!boot_info.efi)
		must(int15_install());
	must(l1_load(&boot_info, &start));
	start.cr0 = start_cr0 & (u32)(CR0_CD | CR0_NW);
	vcpu_create(cpu, &vm, &start);
	log_start();
	log_l1(&start);
	console_to_l1();
	smp_barrier();
	vcpu_run(cpu->vcpu);
}

static void print_option(const char *text)
{
	log_report("%s", text);
}

static bool is_memory(u64 pa, u64 size)
{
	return boot_info_has_ram(&boot_info, pa, size);
}

static enum status read_loader(u32 magic, u32 info)
{
	enum status parsed = multiboot2_parse(magic, info, &boot_info);
	enum status options_status = cmdline_parse(boot_info.cmdline);
	bool screen_fits = !options.console.screen || screen_start(&boot_info);

	console_open(&options.console, boot_info.rsdp, boot_info.rsdp_size, !boot_info.efi, is_memory);
	if (!screen_fits)
		log_warn("the screen that the boot loader names is in memory of another kind, and is not "
			 "used");
	if (console_note())
		log_warn("%s", console_note());
	return parsed != STATUS_OK ? parsed : options_status;
}

/* All memory is mapped, for ACPI's tables may lie anywhere; and Socle's own has room for each CPU afterwards.
 */
static enum status find_cpus(void)
{
	enum status status = STATUS_OK;

	acpi_review(boot_info.rsdp, boot_info.rsdp_size, !boot_info.efi);
	acpi_find_cpus(boot_info.rsdp, boot_info.rsdp_size, !boot_info.efi, &named);
	acpi_report_cpus(&named);
	if (options.find_cpus)
		status = census_take(&answered);
	if (status == STATUS_OK)
		status = roster_make(&named, &answered, apic_id(), options.cpus, &roster);
	if (status != STATUS_OK)
		return status;
	log_roster();
	srat_read(boot_info.rsdp, boot_info.rsdp_size, !boot_info.efi, &srat);
	roster_place(&roster, &srat);
	return status;
}

void kernel_main(u32 magic, u32 info)
{
	started = rdtsc();
	trap_init();
	trap_load();
	must(read_loader(magic, info));
	log_banner();
	if (cmdline_note())
		log_warn("%s", cmdline_note());
	if (options.help) {
		cmdline_help(print_option);
		halt();
	}
	if (options.check)
		rehearsal_begin(&boot_info);
	if ((!options.check && !options.dma_test) || boot_info.module_count)
		must(l1_check(&boot_info));
	must(microcode_start(&boot_info));
	pace_init();
	if (!options.dma_test)
		must(caps_init());
	window_relocate();
	screen_start_mapped();
	if (options.dma_test) {
		must(dma_guard_start(&boot_info, caps_memory_bits()));
		dma_guard_test();
		halt();
	}
	must(find_cpus());
	must(window_grow(&roster, &srat));
	must(dma_guard_start(&boot_info, caps_memory_bits()));
	smp_create_cpus(&roster);
	if (percpu_count() > 1)
		must(caps_check_smp());
	smp_setup_this(percpu_get(0));
	start_on_stack(smp_stack_top(percpu_get(0)), main_in_window);
}
