/* SPDX-License-Identifier: MIT */
/*
 * VMCS regions. Which VMCS is current is decided in vcpu_load_vmcs().
 * SDM: "Virtual Machine Control Structures".
 */
#include "vmx/hw/vmcs.h"

#include "kernel/cmdline.h"
#include "kernel/hw/phys.h"
#include "kernel/hw/vmx.h"
#include "kernel/panic.h"
#include "vmx/hw/caps.h"

void vmcs_init(struct vmcs *vmcs, void *page, struct regcache_counters *counters)
{
	*(u32 *)page = (u32)(vmx_caps.basic & GENMASK(30, 0));
	*vmcs = (struct vmcs){ .region = ptr_to_phys(page),
			       .traced = options.trace_size,
			       .cache.counters = counters,
			       .pat = ~0ull,
			       .debugctl = ~0ull };
	vmcs_clear(vmcs);
}

void vmcs_clear(struct vmcs *vmcs)
{
	ASSERT(regcache_is_clean(&vmcs->cache));
	if (hw_vmclear(vmcs->region.v) != HW_VMX_OK)
		panic("VMCLEAR of %llx failed", (unsigned long long)vmcs->region.v);
	vmcs->launched = false;
	regcache_reset(&vmcs->cache);
}

void vmcs_load_failed(const struct vmcs *vmcs)
{
	panic("VMPTRLD of %llx failed", (unsigned long long)vmcs->region.v);
}
