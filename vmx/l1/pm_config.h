/* SPDX-License-Identifier: MIT */
/*
 * The sleep registers stay where they were found: writes to the PCI
 * configuration that says where the chipset has them are dropped.  By CF8H
 * and CFCH; what goes by memory (MMCONFIG) is not seen here.
 */
#ifndef VMX_PM_CONFIG_H
#define VMX_PM_CONFIG_H

struct chipset_pm;

/* BSP, before vm_init(): if the function was found, its configuration ports go into the table of ports. */
void pm_config_add_ports(const struct chipset_pm *pm);

#endif
