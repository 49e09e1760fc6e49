/* SPDX-License-Identifier: MIT */
/*
 * The report of `check`.  See vmx/rehearsal.h.
 */
#include "vmx/rehearsal.h"

#include "drivers/console.h"
#include "drivers/dmar.h"
#include "drivers/smbios.h"
#include "drivers/vtd.h"
#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/percpu.h"
#include "kernel/report.h"
#include "kernel/string.h"
#include "vmx/create.h"
#include "vmx/guest/vcpu.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/hidden.h"
#include "vmx/l1/vm.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/vmcs12/caps12.h"

#define CPUID_BRAND 0x80000002u
#define BRAND_LEAVES 3u

static struct dmar dmar;

/* SDM volume 2, "CPUID": the brand string, and signature's parts. */
static void report_processor(void)
{
	u32 brand[BRAND_LEAVES * 4 + 1] = { 0 };
	u32 signature = cpuid(1, 0).eax, family = signature >> 8 & 15;
	u64 microcode = 0;

	if (cpuid(0x80000000, 0).eax >= CPUID_BRAND + BRAND_LEAVES - 1)
		for (u32 i = 0; i < BRAND_LEAVES; i++) {
			struct cpuid_regs r = cpuid(CPUID_BRAND + i, 0);

			memcpy(brand + 4 * i, &r, 4 * sizeof(u32));
		}
	wrmsr_safe(MSR_IA32_BIOS_SIGN_ID, 0);
	cpuid(1, 0);
	rdmsr_safe(MSR_IA32_BIOS_SIGN_ID, &microcode);
	log_report("processor: %s", *brand ? (const char *)brand : "without a name");
	log_report("family %x, model %x, stepping %x, microcode %x%s",
		   family == 15 ? family + (signature >> 20 & 255) : family,
		   (signature >> 4 & 15) | (signature >> 12 & 0xf0), signature & 15, (u32)(microcode >> 32),
		   cpuid(0, 0).eax >= 7 && (cpuid(7, 0).edx & CPUID_7_EDX_HYBRID) ? ", hybrid" : "");
}

static void report_firmware(const struct boot_info *info)
{
	const struct boot_framebuffer *fb = &info->framebuffer;
	struct smbios names = { 0 };

	if (info->efi_system_table || !info->efi)
		smbios_read(info->efi_system_table, &names);
	log_report("machine: %s%s%s, firmware %s %s", names.maker, *names.maker ? " " : "",
		   *names.product ? names.product : "without a name", names.firmware, names.date);
	log_report("firmware: %s, started by %s", info->efi ? "UEFI" : "BIOS", info->loader_name);
	if (fb->type == BOOT_FRAMEBUFFER_NONE)
		log_report("screen: %s", info->efi ? "none" : "text");
	else
		log_report("screen: %s %ux%u", fb->type == BOOT_FRAMEBUFFER_TEXT ? "text" : "pixels",
			   fb->width, fb->height);
	log_report("serial port: %s", console_serial_name());
}

static void report_memory(const struct boot_info *info)
{
	u64 usable = 0, low = 0, top = 0;

	for (u32 i = 0; i < info->range_count; i++) {
		const struct memmap_range *r = &info->ranges[i];

		if (r->type != MEMMAP_USABLE || r->base + r->size < r->base)
			continue;
		usable += r->size;
		top = MAX(top, r->base + r->size);
		if (r->base < SIZE_4G)
			low += MIN(r->base + r->size, SIZE_4G) - r->base;
	}
	log_report("memory: %llu MiB in %u ranges, %llu MiB of it below 4 GiB, up to %llx",
		   (unsigned long long)(usable >> 20), info->range_count, (unsigned long long)(low >> 20),
		   (unsigned long long)top);
}

/* A unit's registers are read below 4 GiB only: there are no other tables yet. */
static void report_unit(u64 base)
{
	u32 status;

	if (base >= SIZE_4G || !vtd_is_there(base)) {
		log_report("  unit at %llx: %s", (unsigned long long)base,
			   base >= SIZE_4G ? "not looked at" : "does not answer");
		return;
	}
	status = vtd_read32(base, VTD_GLOBAL_STATUS);
	log_report("  unit at %llx: version %x, capabilities %llx %llx%s%s", (unsigned long long)base,
		   vtd_read32(base, VTD_VERSION), (unsigned long long)vtd_read64(base, VTD_CAP),
		   (unsigned long long)vtd_read64(base, VTD_ECAP),
		   status & VTD_TRANSLATION ? ", translation is on" : "",
		   status & VTD_INTERRUPT_REMAPPING ? ", interrupt remapping is on" : "");
}

static void report_iommu(const struct boot_info *info)
{
	dmar_read(info->rsdp, info->rsdp_size, !info->efi, &dmar);
	if (!dmar.found) {
		log_report("VT-d: none (no DMAR table)");
		return;
	}
	log_report("VT-d: %u units, %u regions of the firmware's, flags %x%s", dmar.unit_count,
		   dmar.region_count, dmar.flags, dmar.damaged ? "; the table is damaged" : "");
	for (u32 i = 0; i < dmar.unit_count; i++)
		report_unit(dmar.units[i]);
}

void rehearsal_begin(const struct boot_info *info)
{
	log_report("check: a start without L1; this may be pasted into a report");
	report_processor();
	report_firmware(info);
	report_memory(info);
	report_iommu(info);
	caps_report();
}

void rehearsal_end(void)
{
	struct percpu *cpu = percpu_get(0);

	vcpu_create(cpu, &vm, NULL);
	hidden_report(cpu->vcpu);
	nested_report_hidden();
}

void rehearsal_verdict(bool good)
{
	log_report("check: Socle %s run on this machine", good ? "can" : "cannot");
}
