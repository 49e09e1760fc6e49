/* SPDX-License-Identifier: MIT */
/*
 * A remapping unit's registers.  Intel Virtualization Technology for Directed I/O: "Register Descriptions".
 */
#ifndef DRIVERS_VTD_H
#define DRIVERS_VTD_H

#include "kernel/bits.h"
#include "kernel/types.h"

#define VTD_VERSION 0x00
#define VTD_CAP 0x08
#define VTD_ECAP 0x10
#define VTD_GLOBAL_COMMAND 0x18
#define VTD_GLOBAL_STATUS 0x1c
#define VTD_ROOT_TABLE 0x20
#define VTD_CONTEXT_COMMAND 0x28
#define VTD_FAULT_STATUS 0x34
#define VTD_FAULT_CONTROL 0x38
#define VTD_PROTECTED_ENABLE 0x64

#define VTD_CAP_RWBF BIT(4) /* a write-buffer flush is needed */
#define VTD_CAP_PLMR BIT(5) /* protected low memory */
#define VTD_CAP_PHMR BIT(6) /* protected high memory */
#define VTD_CAP_CACHING BIT(7)
#define VTD_CAP_SAGAW GENMASK(12, 8)
#define VTD_CAP_SAGAW_4 BIT(10) /* four levels */
#define VTD_CAP_SAGAW_3 BIT(9)
#define VTD_CAP_MGAW GENMASK(21, 16)
#define VTD_CAP_SLLPS_2M BIT(34)
#define VTD_CAP_SLLPS_1G BIT(35)
#define VTD_CAP_FRO GENMASK(33, 24) /* of the fault records, in 16 bytes */

#define VTD_ECAP_COHERENT BIT(0) /* tables are read through the caches */
#define VTD_ECAP_INTERRUPT_REMAPPING BIT(3)
#define VTD_ECAP_DEVICE_TLB BIT(2)
#define VTD_ECAP_IRO GENMASK(17, 8) /* of the IOTLB registers, in 16 bytes */

#define VTD_TRANSLATION BIT(31)
#define VTD_ROOT_POINTER BIT(30)
#define VTD_WRITE_BUFFER BIT(27)
#define VTD_QUEUED_INVALIDATION BIT(26)
#define VTD_INTERRUPT_REMAPPING BIT(25)

/* The registers' page is mapped: below 4 GiB, or by host_map_device(). */
u32 vtd_read32(u64 base, u32 at);
u64 vtd_read64(u64 base, u32 at);
void vtd_write32(u64 base, u32 at, u32 value);
void vtd_write64(u64 base, u32 at, u64 value);

/* A page of all ones: there is no unit. */
bool vtd_is_there(u64 base);

#endif
