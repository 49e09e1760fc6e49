/* SPDX-License-Identifier: MIT */
/*
 * What all vCPUs share, made once: EPT01, the MSR bitmap of L1, the control
 * words. SDM: "VM-Execution Control Fields", "MSR-Bitmap Address".
 */
#include "vmx/l1/vm.h"

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/hw/vmx.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/ports.h"
#include "vmx/hw/tlb.h"
#include "vmx/guest/vcpu.h"
#include "vmx/l1/exit_cpu.h"

struct vm vm;
struct l0_controls l0_controls;

struct msr_range {
	u32 first, last;
	bool read, write, if_there;
};

static const struct msr_range msr_intercepts[] = {
#define MSR_INTERCEPTED(first, last, read, write) { first, last, read, write, false },
#define MSR_HIDDEN(first, last) { first, last, true, true, false },
#define MSR_HIDDEN_IF_THERE(first, last) { first, last, true, true, true },
#include "vmx/l1/msrs.def"
#undef MSR_INTERCEPTED
#undef MSR_HIDDEN
#undef MSR_HIDDEN_IF_THERE
};

/* SDM "MSR-Bitmap Address": reads of low and high MSRs, then writes of low and high ones, 1 KiB each. */
static bool set_wish(u8 *bitmap, u32 msr, bool write, bool on)
{
	u32 bit = msr & MSR_LOW_LAST;
	u8 *byte = &bitmap[(msr >= MSR_HIGH_FIRST ? 0x400u : 0) + (write ? 0x800u : 0) + bit / 8];
	u8 mask = (u8)(1u << (bit % 8));
	bool was = *byte & mask;

	*byte = (u8)(on ? *byte | mask : *byte & ~mask);
	return was;
}

bool vm_want_msr(u32 msr, bool write, bool on)
{
	if (msr > MSR_LOW_LAST && (msr < MSR_HIGH_FIRST || msr > MSR_HIGH_LAST))
		return true;
	set_wish(vm.msr_bitmap_ibrs, msr, write, on || (write && msr == MSR_IA32_SPEC_CTRL));
	return set_wish(vm.msr_bitmap01, msr, write, on);
}

void vm_write_msr_bitmap(bool ibrs_exits)
{
	vmcs_write(VMCS_msr_bitmap, ptr_to_phys(ibrs_exits ? vm.msr_bitmap_ibrs : vm.msr_bitmap01).v);
}

/*
 * An MSR that any CPU has is intercepted on all. On a CPU without it L1 gets the #GP that it would get
 * there.
 */
static void add_to_msr_bitmap(bool first)
{
	if (first) {
		vm.msr_bitmap01 = page_alloc();
		vm.msr_bitmap_ibrs = page_alloc();
		vm_want_msr(MSR_IA32_SPEC_CTRL, true, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(msr_intercepts); i++) {
		const struct msr_range *range = &msr_intercepts[i];

		for (u32 msr = range->first; msr <= range->last; msr++) {
			u64 value;

			if (range->if_there && !rdmsr_safe(msr, &value))
				continue;
			if (range->read)
				vm_want_msr(msr, false, true);
			if (range->write)
				vm_want_msr(msr, true, true);
		}
	}
}

/* What vmcs01 has for L0's own sake, by the table of controls. */
#define L0_SETS(word) CONTROLS_WITH(word, L0_BOTH | L0_VMCS01, L1_ANY)

static void make_controls(struct l0_controls *c)
{
	c->pin = caps_control(vmx_caps.pin, L0_SETS(WORD_PIN));
	c->proc = L0_SETS(WORD_PROC);
	if (ports_wanted())
		c->proc |= PROC_IO_BITMAPS;
	if (options.intercept & (INTERCEPT_CR | INTERCEPT_CR3))
		c->proc |= PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING;
	c->proc = caps_control(vmx_caps.proc, c->proc);
	c->proc2 = caps_control(vmx_caps.proc2, L0_SETS(WORD_PROC2));
	c->exit = caps_control(vmx_caps.exit, L0_SETS(WORD_EXIT));
	c->entry = caps_control(vmx_caps.entry, L0_SETS(WORD_ENTRY));
}

/* vmcs_field_exists() is asked before the first vCPU's VMCS is there: a VMCS for the question alone. */
void vm_probe_cpu(bool first)
{
	static struct regcache_counters counters;
	struct vmcs vmcs;

	vmcs_init(&vmcs, page_alloc(), &counters);
	vmcs_load(&vmcs);
	vmcs_probe_fields(first);
	regcache_check_fields();
	vmcs_clear(&vmcs);
	add_to_msr_bitmap(first);
}

enum status vm_init(void)
{
	static struct mtrr mtrr;
	enum status status;

	mtrr_read_hardware(&mtrr);
	status = passthru_init(&mtrr);
	if (status != STATUS_OK)
		return status;
	ports_init();
	make_controls(&l0_controls);
	cpuid_init();
	return STATUS_OK;
}
