/* SPDX-License-Identifier: MIT */
/*
 * VM entries of the storm: what is changed in a VMCS before one, and what L1 does about the exit that comes.
 */
#include "tests/guest/storm.h"

u32 vm_enter(struct vm *vm, u64 launched);

/* One allowed bit of a control word is turned over. */
static void turn(struct storm_cpu *c, struct storm_vm *v, u32 field, u64 cap, u64 never)
{
	u64 may = (cap >> 32) & ~(u64)(u32)cap & ~never, bit = BIT(storm_choose(c, 32));

	if (storm_chance(c, 40))
		may = ~0u & ~never; /* one that fails the entry, sometimes */
	if (bit & may)
		storm_vm_write(v, field, vmread(field) ^ bit);
}

static void turn_controls(struct storm_cpu *c, struct storm_vm *v)
{
	u32 times = 1 + (u32)storm_choose(c, 4);

	while (times--)
		switch (storm_choose(c, 7)) {
		case 0: turn(c, v, F_PIN, caps.pin, storm_vm_is_timed(c) ? PIN_TIMER : 0); break;
		case 1:
		case 2: turn(c, v, F_PROC, caps.proc, PROC_SECONDARY | PROC_TERTIARY); break;
		case 3:
		case 4: turn(c, v, F_PROC2, caps.proc2, PROC2_EPT | PROC2_ENCLS); break;
		case 5: turn(c, v, F_EXIT, caps.exit, EXIT_LOAD_EFER); break;
		case 6: turn(c, v, F_ENTRY, caps.entry, 0); break;
		}
}

/* A TPR threshold, which another CPU, or L2 by a plain store, undercuts. */
static void tpr(struct storm_cpu *c, struct storm_vm *v)
{
	storm_vm_write(v, F_PROC, vmread(F_PROC) | (PROC_TPR_SHADOW & caps.proc >> 32));
	storm_vm_write(v, F_TPR_THRESHOLD, storm_chance(c, 2) ? 8 : storm_choose(c, 17));
	*(volatile u8 *)ptr_of(v->page[PAGE_VAPIC] + 0x80) = 0xf0;
}

static void inject(struct storm_cpu *c, struct storm_vm *v)
{
	static const u32 list[] = {
		INTR_EXTERNAL | STORM_IRQ,
		INTR_NMI | 2,
		INTR_HARD | VEC_UD,
		INTR_HARD | INTR_CODE | VEC_GP,
		INTR_HARD | INTR_CODE | VEC_PF,
		INTR_HARD | INTR_CODE | VEC_DF,
		INTR_SOFT | 0x42,
		INTR_SOFT_EXC | 3,
		INTR_PRIV | 1,
		INTR_OTHER,
		INTR_HARD | VEC_DB,
	};
	u64 info = INTR_VALID | list[storm_choose(c, ARRAY_SIZE(list))];

	if (storm_chance(c, 10))
		info = storm_wild(c);
	storm_vm_write(v, F_ENTRY_INTR_INFO, info);
	storm_vm_write(v, F_ENTRY_ERROR_CODE, storm_choose(c, 32));
	storm_vm_write(v, F_ENTRY_LENGTH, storm_chance(c, 8) ? storm_choose(c, 17) : 1);
}

static void activity(struct storm_cpu *c, struct storm_vm *v)
{
	u64 state = storm_choose(c, storm_vm_is_timed(c) ? 3 : 4);

	/* without the timer an L2 that does nothing has to be woken by others */
	storm_vm_write(v, F_GUEST_ACTIVITY, storm_chance(c, 20) ? storm_choose(c, 9) + 4 : state);
	if (state == WAIT_FOR_SIPI)
		storm_vm_write(v, F_GUEST_INTERRUPTIBILITY, 0);
}

static void pending(struct storm_cpu *c, struct storm_vm *v)
{
	static const u64 list[] = { 0, BIT(14), BIT(12) | BIT(0), BIT(0), BIT(16), ~0ul };

	storm_vm_write(v, F_GUEST_INTERRUPTIBILITY, storm_choose(c, 17));
	storm_vm_write(v, F_GUEST_PENDING_DEBUG, list[storm_choose(c, ARRAY_SIZE(list))]);
	if (storm_chance(c, 2))
		storm_vm_write(v, F_GUEST_RFLAGS, RFLAGS_FIXED | (storm_choose(c, 4) << 8));
}

/* A pointer in the VMCS to any place; those for VM exits of L1 stay. */
static void pointer(struct storm_cpu *c, struct storm_vm *v)
{
	static const u32 list[] = { F_IO_BITMAP_A, F_IO_BITMAP_B,     F_MSR_BITMAP,	 F_ENTRY_MSR_LOAD,
				    F_PML_ADDRESS, F_VIRTUAL_APIC,    F_APIC_ACCESS,	 F_POSTED_DESCRIPTOR,
				    F_EPTP_LIST,   F_VMREAD_BITMAP,   F_VMWRITE_BITMAP,	 F_VE_ADDRESS,
				    F_VMCS_LINK,   F_GUEST_GDTR_BASE, F_GUEST_IDTR_BASE, F_GUEST_TR_BASE,
				    F_GUEST_CR3,   F_GUEST_RSP };
	u64 at = storm_chance(c, 8) ? v->page[storm_choose(c, PAGE_COUNT)] : storm_target(c);
	u32 field = list[storm_choose(c, ARRAY_SIZE(list))];

	/* the emulator stops at code in that page */
	if (field == F_APIC_ACCESS && at - c->data < STORM_DATA * PAGE_SIZE)
		return;
	storm_vm_write(v, field,
		       storm_chance(c, 20) ? storm_wild(c)
					   : at + (storm_chance(c, 20) ? storm_choose(c, PAGE_SIZE) : 0));
}

static void translation(struct storm_cpu *c, struct storm_vm *v)
{
	const struct storm_vm *other = &c->vms[storm_choose(c, STORM_VMS)];
	u64 flags = storm_chance(c, 8) ? storm_choose(c, 0x100) : EPTP_FLAGS;

	if (storm_chance(c, 2))
		flags ^= EPTP_AD;
	storm_vm_write(v, F_EPTP, (storm_chance(c, 6) ? storm_target(c) : other->ept) | flags);
	if (storm_chance(c, 2))
		storm_vm_write(v, F_VPID,
			       storm_chance(c, 4) ? storm_choose(c, 0x10000) : storm_choose(c, 300));
}

static void lists(struct storm_cpu *c, struct storm_vm *v)
{
	storm_vm_write(v, F_ENTRY_MSR_LOAD_COUNT,
		       storm_chance(c, 20) ? storm_wild(c) & 0xfff : storm_choose(c, 9));
	storm_vm_write(v, F_EXIT_MSR_STORE_COUNT, storm_choose(c, 4));
	storm_vm_write(v, F_EXIT_MSR_LOAD_COUNT, storm_choose(c, 4));
}

static void masks(struct storm_cpu *c, struct storm_vm *v)
{
	static const u32 list[] = { F_CR0_MASK,		F_CR0_SHADOW,	     F_CR4_MASK,   F_CR4_SHADOW,
				    F_EXCEPTION_BITMAP, F_PFEC_MASK,	     F_PFEC_MATCH, F_CR3_TARGET_COUNT,
				    F_CR3_TARGET0,	F_PLE_GAP,	     F_PLE_WINDOW, F_VMFUNC_CONTROLS,
				    F_TSC_OFFSET,	F_TSC_MULTIPLIER,    F_XSS_BITMAP, F_GUEST_PML_INDEX,
				    F_EOI_EXIT0,	F_GUEST_INTR_STATUS, F_EPTP_INDEX };
	u32 times = 1 + (u32)storm_choose(c, 3);

	while (times--)
		storm_vm_write(v, list[storm_choose(c, ARRAY_SIZE(list))],
			       storm_chance(c, 2) ? storm_choose(c, 5) : storm_wild(c));
}

/* Any field of L2's state or of the controls that do not decide how L1 comes back. */
static void any_field(struct storm_cpu *c, struct storm_vm *v)
{
	u16 field = storm_fields[storm_choose(c, storm_field_count)];

	if ((field >> 10 & 3) != 2)
		return;
	/* an activity state that nobody ends is activity()'s */
	if (field == F_GUEST_ACTIVITY || field == F_GUEST_TIMER)
		return;
	storm_vm_write(v, field,
		       storm_chance(c, 2) ? vmread(field) ^ BIT(storm_choose(c, 64)) : storm_wild(c));
}

/* A host state that no processor takes; right_host() makes it good before another try. */
static void bad_host(struct storm_cpu *c, struct storm_vm *v)
{
	static const struct {
		u32 field;
		u64 value;
	} list[] = {
		{ F_HOST_CS, 0 },
		{ F_HOST_TR, 0 },
		{ F_HOST_SS, 3 },
		{ F_HOST_RIP, BIT(63) },
		{ F_HOST_CR3, ~0ul },
		{ F_HOST_CR0, 0 },
		{ F_HOST_CR4, 0 },
		{ F_HOST_GDTR_BASE, BIT(62) },
		{ F_HOST_GS_BASE, BIT(61) },
		{ F_HOST_DS, 4 },
	};
	u32 n = (u32)storm_choose(c, ARRAY_SIZE(list));

	storm_vm_write(v, list[n].field, list[n].value);
}

void storm_tweak(struct storm_cpu *c, struct storm_vm *v)
{
	static void (*const tweaks[])(struct storm_cpu *, struct storm_vm *) = {
		turn_controls, turn_controls, tpr,   inject, activity,	pending,
		pointer,       translation,   lists, masks,  any_field,
	};

	if (storm_chance(c, 60))
		bad_host(c, v);
	else
		tweaks[storm_choose(c, ARRAY_SIZE(tweaks))](c, v);
}

/* An L2 that found no memory: it gets some, anywhere. Not among the low pages or the image. */
static void repair(struct storm_cpu *c, struct storm_vm *v)
{
	u64 gpa = vmread(F_GUEST_PHYSICAL) & ~0xffful, at = storm_target(c) & PTE_ADDR;
	u64 table = gpa - STORM_ALIAS < 2 * MIB ? v->alias_table : v->block_table;

	if (table == v->block_table && gpa - c->data >= STORM_DATA * PAGE_SIZE)
		return;
	if (table == v->block_table && !storm_chance(c, 3))
		at = gpa;
	((u64 *)ptr_of(table))[gpa >> 12 & 511] = at | storm_permissions(at) | EPT_WB;
	v->tables_changed = true;
	if (storm_chance(c, 2))
		invept(1, v->ept | EPTP_FLAGS);
}

static void handle(struct storm_cpu *c, struct storm_vm *v, u32 reason)
{
	u64 seen = v->vm.regs.rcx << 32 | (u32)v->vm.regs.rax;

	/* Whatever L2 read, it was no pointer into Socle. */
	if (storm_is_socles(seen) || storm_is_socles(v->vm.regs.rax))
		storm_failed(c, "an L2 read a pointer of Socle's", seen);
	switch (reason) {
	case REASON_EXTINT:
		cpu_sti();
		cpu_pause();
		cpu_cli();
		break;
	case REASON_EXCEPTION:
		if ((vmread(F_EXIT_INTR_INFO) & 0x700) == INTR_NMI && storm_chance(c, 2))
			nmi_unblock();
		else
			storm_l2_program(c, v);
		break;
	case REASON_EPT_VIOLATION:
		repair(c, v);
		storm_l2_program(c, v);
		break;
	case REASON_TIMER: storm_vm_write(v, F_GUEST_TIMER, 100 + storm_choose(c, 2000)); break;
	case REASON_INIT:
	case REASON_SIPI: break;
	case REASON_TRIPLE:
	case REASON_TASK_SWITCH:
	case REASON_EPT_MISCONFIG:
		storm_vm_reset(v);
		storm_l2_program(c, v);
		break;
	default:
		if (storm_chance(c, 4) != (reason == REASON_VMCALL))
			storm_l2_program(c, v);
		else
			vmwrite_checked(F_GUEST_RIP, vmread(F_GUEST_RIP) + (vmread(F_EXIT_LENGTH) & 15));
	}
}

/* Entry that did not happen: tried the other way, or made right again. */
static void refused(struct storm_cpu *c, struct storm_vm *v, u32 how)
{
	u32 error = how == VMX_FAIL_VALID ? vmx_error() : 0;

	c->vmfails++;
	if (storm_chance(c, 4))
		storm_nothing_stepped(c);
	if (error == 4 || error == 5)
		v->vm.launched = error == 4;
	else if (++v->refused > 2 || storm_chance(c, 2))
		storm_vm_reset(v);
}

void storm_enter(struct storm_cpu *c)
{
	struct storm_vm *v =
		storm_chance(c, 3) || !c->current ? &c->vms[storm_choose(c, STORM_VMS)] : c->current;
	u32 times = 1 + (u32)storm_choose(c, 6), how, reason;

	if (!storm_vm_load(c, v))
		return;
	if (storm_chance(c, 3))
		storm_vm_reset(v);
	if (storm_chance(c, 2))
		storm_tweak(c, v);
	if (storm_chance(c, 25)) {
		tpr(c, v);
		storm_l2_lower(c, v);
	} else if (storm_chance(c, 2)) {
		storm_l2_program(c, v);
	}
	while (times-- && c->ops < c->quota) {
		if (storm_chance(c, 8))
			storm_tweak(c, v);
		c->ops++;
		how = vm_enter(&v->vm, v->vm.launched);
		c->entries++;
		if (how) {
			/* a host state that was wrong has been refused, and is never tried twice */
			if (v->host_wrong && !storm_vm_load(c, v))
				return;
			refused(c, v, how);
			continue;
		}
		c->exits++;
		reason = (u32)vmread(F_EXIT_REASON);
		if (reason & REASON_FAILED_ENTRY) {
			c->bad_entries++;
			storm_vm_reset(v);
			continue;
		}
		v->vm.launched = true;
		v->refused = 0;
		c->reasons[reason % ARRAY_SIZE(c->reasons)]++;
		handle(c, v, reason & 0xffff);
	}
}
