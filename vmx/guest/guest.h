/* SPDX-License-Identifier: MIT */
/*
 * What differs between L1 and the L2s that it runs, as data: who emulates an
 * instruction of the guest that runs now need not ask which one it is.  There
 * are two of these, l1_guest (vmx/l1/guest1.c) and l2_guest
 * (vmx/nested/entry/guest2.c); the switch from one guest to the other sets
 * vcpu->guest, with the VMCS.
 */
#ifndef VMX_GUEST_H
#define VMX_GUEST_H

#include "mm/addr.h"
#include "vmx/guest/outcome.h"

struct vcpu;

/* All members: constant.  The functions: this CPU's guest, whose VMCS is current. */
struct guest {
	/* 1 or 2, for who says it to a person (monitor, gdb, trace, log), and nobody else:
	 * tests/lint/rooms.py. */
	unsigned int level;
	/* guest_translate() (guest_mem.h); NULL: the guest's physical addresses are L1's. */
	enum outcome (*translate)(struct vcpu *vcpu, u64 address, u64 access, gpa_t *gpa);
	/* The same as it stands: nothing is set on the way, nobody gets an exit. False: nothing is there. */
	bool (*look)(struct vcpu *vcpu, u64 address, gpa_t *gpa);
	/* Primary controls that the guest's own hypervisor has set in its VMCS; NULL: it has none. */
	u32 (*proc_of_owner)(struct vcpu *vcpu);
	/*
	 * True if the exit by a port came only because L0 had not merged that word of the I/O bitmap yet.
	 * It is merged now, and the guest repeats the access.
	 */
	bool (*open_ports)(struct vcpu *vcpu, u16 port, unsigned int size); /* NULL: there is none */
	/* CR0 and CR4 as the guest has them; both writers take all bits, checked. */
	u64 (*cr0)(struct vcpu *vcpu);
	u64 (*cr4)(struct vcpu *vcpu);
	void (*set_cr0)(struct vcpu *vcpu, u64 value);
	void (*set_cr4)(struct vcpu *vcpu, u64 value);
	/*
	 * cr0_owned, cr4_owned: bits that keep their values whatever the guest writes. cr0_fixed: bits of
	 * CR0 that the guest must write as 1.
	 */
	u64 (*cr0_owned)(struct vcpu *vcpu);
	u64 (*cr4_owned)(struct vcpu *vcpu);
	u64 (*cr0_fixed)(struct vcpu *vcpu);
	/* The current VMCS's exception bitmap, after L0's own wish has changed; NULL: vmcs01's is all there
	 * is. */
	void (*write_exceptions)(struct vcpu *vcpu);
	/* VMFUNC that exits; NULL: the guest has none. */
	enum outcome (*vmfunc)(struct vcpu *vcpu);
	/* VMREAD and VMWRITE reach the VMCS that the link pointer of the guest's own VMCS names. */
	bool accesses_shadow_vmcs;
	/* The current VMCS may hold the active EPT02's pointer (nested.ept). */
	bool uses_ept02;
};

#endif
