/* SPDX-License-Identifier: MIT */
/*
 * The local APIC, for one purpose: INIT and SIPI to the other processors,
 * to one or to all, while L0 starts.  Afterwards it is L1's alone, until the machine stops.  xAPIC or x2APIC,
 * as found. SDM: "Advanced Programmable Interrupt Controller", "MP Initialization".
 */
#ifndef DRIVERS_APIC_H
#define DRIVERS_APIC_H

#include "kernel/types.h"

/* Of the CPU that calls. */
u32 apic_id(void);

/* The firmware may have switched it off: then nothing can be sent. */
bool apic_is_enabled(void);

/* Can this processor be sent anything?  Identifiers above 254 are x2APIC mode's alone. */
bool apic_reaches(u32 apic_id);

/* INIT, assert; waits until it is sent. */
void apic_send_init(u32 apic_id);
/* The same to every processor but this one, whoever knows of it. */
void apic_send_init_others(void);

/* Start-up IPI: real mode at page `page` (physical address page << 12), below 1 MiB. */
void apic_send_sipi(u32 apic_id, u8 page);
void apic_send_sipi_others(u8 page);

/* At least so long on any machine with its port 80H on a bus, where an input takes about a microsecond. */
void apic_delay(u32 microseconds);

/* For a machine that stops: an NMI, if the APIC is where L0 can reach it (L1 may have moved it or switched it
 * off). */
void apic_send_nmi(u32 apic_id);

#endif
