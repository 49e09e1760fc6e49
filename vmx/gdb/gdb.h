/* SPDX-License-Identifier: MIT */
/*
 * gdb's remote stub: the remote serial protocol on a port of its own, while L1 and L2 run or stand still.
 * With gdb=off none of this runs.
 */
#ifndef VMX_GDB_GDB_H
#define VMX_GDB_GDB_H

/* What gdb= says: opens the port and hides it from guests. BSP, once, behind monitor_open(), before
 * vm_init(). */
void gdb_open(void);

#endif
