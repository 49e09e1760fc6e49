/* SPDX-License-Identifier: MIT */
/*
 * What an L1 of the storm does by itself: VMX instructions with operands of all kinds, VMX operation left and
 * entered, the window, registers and MSRs, and messages to the other CPUs at any time. A fault is an outcome.
 */
#include "tests/guest/storm.h"

volatile u32 storm_nmis, storm_inits, storm_sipis;

static u64 user_page;
static const char user_code[][6] = { "\x0f\x01\xc4\xcd\xf0", "\x0f\x01\xc2\xcd\xf0", "\x0f\x01\xc1\xcd\xf0",
				     "\x0f\x78\xc8\xcd\xf0", "\x0f\x79\xca\xcd\xf0", "\x0f\x01\xc3\xcd\xf0" };

void storm_ops_init(void)
{
	u32 i;

	user_page = addr_of(page_alloc());
	for (i = 0; i < ARRAY_SIZE(user_code); i++)
		memcpy(ptr_of(user_page + 16 * i), user_code[i], sizeof(user_code[i]));
	paging_map(user_page, user_page, PTE_P | PTE_W | PTE_U);
}

/* A pointer operand: a region of its own, of a guest, a place, or anything. */
static u64 region(struct storm_cpu *c)
{
	switch (storm_choose(c, 6)) {
	case 0: return storm_target(c);
	case 1: return storm_wild(c);
	case 2: return c->vms[storm_choose(c, STORM_VMS)].vm.vmcs;
	case 3: return c->vmxon_region;
	default: return c->regions + storm_choose(c, STORM_REGIONS) * PAGE_SIZE;
	}
}

/* VMCLEAR writes there: not to what this L1 lives by. */
static bool harmless(const struct storm_cpu *c, u64 at)
{
	u64 i;

	if (at & 0xfff || at - c->regions < STORM_REGIONS * PAGE_SIZE || at == c->vmxon_region)
		return true;
	for (i = 0; i < STORM_VMS; i++)
		if (at == c->vms[i].vm.vmcs)
			return true;
	for (i = 0; i < STORM_WINDOW; i++)
		if (at == storm_targets[i])
			return true;
	return at - c->data < STORM_DATA * PAGE_SIZE;
}

static void clear_region(struct storm_cpu *c)
{
	u64 at = region(c);

	if (!harmless(c, at))
		return;
	c->current = NULL;
	vmclear(at);
	for (at = 0; at < STORM_VMS; at++)
		c->vms[at].vm.launched &= !storm_chance(c, 2);
}

static void load_region(struct storm_cpu *c)
{
	u64 at = region(c), i;

	if (!harmless(c, at))
		return;
	c->current = NULL;
	/* a guest's own is made good when it is loaded the next time */
	for (i = 0; i < STORM_VMS; i++)
		if (at == c->vms[i].vm.vmcs)
			c->vms[i].fixed_epoch = ~0u;
	if (vmptrld(at) != VMX_OK)
		return;
	/* it is entered, but only with a host state that no processor takes */
	vmwrite_checked(F_HOST_TR, 0);
	vmwrite_checked(F_HOST_CS, 0);
	if (storm_chance(c, 2)) {
		VMX_INSTRUCTION("vmlaunch", "r"(0));
		VMX_INSTRUCTION("vmresume", "r"(0));
	}
	vmwrite_checked(storm_fields[storm_choose(c, storm_field_count)], storm_wild(c));
}

static void store_pointer(struct storm_cpu *c)
{
	u64 at = storm_chance(c, 2) ? storm_targets[storm_choose(c, STORM_WINDOW)] : c->data;

	asm volatile("vmptrst (%0)" : : "r"(at + storm_choose(c, 4090)) : "cc", "memory");
}

static void fields(struct storm_cpu *c)
{
	u64 at = storm_chance(c, 2) ? storm_targets[storm_choose(c, STORM_WINDOW)] + storm_choose(c, 4090)
				    : c->data;
	u64 field = storm_chance(c, 4) ? storm_wild(c) : storm_fields[storm_choose(c, storm_field_count)];

	if (storm_chance(c, 2))
		asm volatile("vmread %1, (%0)" : : "r"(at), "r"(field) : "cc", "memory");
	else if ((field >> 10 & 3) == 1 || field > 0xffff)
		asm volatile("vmwrite (%0), %1" : : "r"(at), "r"(field) : "cc", "memory");
	else
		vmread_checked(field, &at);
}

static void invalidate(struct storm_cpu *c)
{
	u32 times = storm_chance(c, 8) ? 24 : 2;

	while (times--) {
		struct storm_vm *v = &c->vms[storm_choose(c, STORM_VMS)];
		struct inv_descriptor ept = { storm_chance(c, 6) ? storm_wild(c) : v->ept | EPTP_FLAGS, 0 };
		struct inv_descriptor vpid = { storm_choose(c, 300),
					       storm_chance(c, 3) ? storm_wild(c) : c->data };
		u64 type = storm_chance(c, 10) ? storm_wild(c) : 1 + storm_choose(c, 2);

		if (caps.ept_vpid & EPT_CAP_INVEPT)
			VMX_INSTRUCTION("invept %2, %3", "m"(ept), "r"(type));
		if (caps.ept_vpid & EPT_CAP_INVVPID)
			VMX_INSTRUCTION("invvpid %2, %3", "m"(vpid),
					"r"(storm_chance(c, 10) ? storm_wild(c) : storm_choose(c, 4)));
	}
}

void storm_vmxon(struct storm_cpu *c)
{
	cr0_write(cr0_read() | CR0_NE);
	cr4_write(cr4_read() | CR4_VMXE);
	c->current = NULL;
	if (storm_chance(c, 10))
		vmxon(storm_wild(c));
	*(volatile u32 *)ptr_of(c->vmxon_region) = (u32)caps.basic & 0x7fffffff;
	/* with this region it fails only in VMX operation */
	vmxon(c->vmxon_region);
	c->on = true;
}

static void leave(struct storm_cpu *c)
{
	c->current = NULL;
	/* what is held until then may reset this CPU now */
	c->on = false;
	vmxoff();
	cr4_write(cr4_read() & ~CR4_VMXE);
}

static void window(struct storm_cpu *c)
{
	volatile u64 *p = ptr_of(storm_targets[storm_choose(c, STORM_WINDOW)] + storm_choose(c, 511) * 8);
	u64 before = *p, after;

	*p = storm_wild(c);
	after = *p;
	/* Another CPU may see what L1 or an L2 is writing there at this moment, but nothing of Socle's. */
	if (storm_is_socles(before) || storm_is_socles(after))
		storm_failed(c, "the window shows a pointer of Socle's", before);
	if (storm_in_socle && storm_count == 1 && (before & after) != ~0ul)
		storm_failed(c, "absent memory is not all ones", before & after);
}

static void registers(struct storm_cpu *c)
{
	u64 cr0 = cr0_read(), cr4 = cr4_read();

	switch (storm_choose(c, 4)) {
	case 0:
		cr0_write(cr0 ^ (storm_chance(c, 2) ? CR0_CD | CR0_NW
						    : BIT(storm_choose(c, 64)) & ~CR0_PG & ~CR0_PE));
		break;
	case 1: cr4_write(cr4 ^ (BIT(storm_choose(c, 32)) & ~(CR4_SMAP | CR4_PAE | CR4_PSE))); break;
	case 2:
		cr4_write(cr4 | CR4_OSXSAVE);
		xsetbv((u32)storm_choose(c, 3), storm_wild(c) | 1);
		break;
	case 3: dr7_write(storm_wild(c)); break;
	}
	dr7_write(0x400);
	cr0_write(cr0);
	cr4_write(cr4);
}

static void msrs(struct storm_cpu *c)
{
	static const u32 list[] = {
		MSR_FEATURE_CONTROL, 0x1b, 0x9b,  0xe1, 0x122, 0x33, 0x79, 0x808, 0x4ff, 0x560, 0xd90,
		0x40000000,	     0x80, 0x17d1
	};
	u32 msr = storm_chance(c, 2) ? MSR_VMX_BASIC + (u32)storm_choose(c, 32)
				     : list[storm_choose(c, ARRAY_SIZE(list))];

	msr_read(msr);
	/* the APIC may be moved nowhere but over the window, where that is refused */
	if (msr != MSR_APIC_BASE)
		msr_write(msr, storm_wild(c));
	else if (storm_in_socle)
		msr_write(msr, storm_targets[storm_choose(c, STORM_WINDOW)] | 0x900);
}

static void calls(struct storm_cpu *c)
{
	u64 a = storm_choose(c, 9), b = storm_wild(c), n = storm_choose(c, 4);

	if (n == 0)
		asm volatile("vmcall" : "+a"(b), "+b"(a) : : "rcx", "rdx", "memory", "cc");
	else if (n == 1)
		asm volatile("vmfunc" : : "a"(a), "c"(b) : "memory");
	else if (n == 2)
		asm volatile(".byte 0x0f, 0x37" : "+a"(a), "+b"(b) : : "rcx", "rdx", "memory"); /* GETSEC */
	else
		cpuid((u32)b, (u32)a);
}

/* VMX instructions from ring 3; they lie in a page of their own. */
static void user(struct storm_cpu *c)
{
	struct exec e;

	exec_init(&e, user_page + 16 * storm_choose(c, ARRAY_SIZE(user_code)));
	exec_user(&e);
	exec_run(&e);
}

static void message(struct storm_cpu *c)
{
	u32 to = (u32)storm_choose(c, storm_count), times = storm_chance(c, 8) ? 6 : 1;

	switch (storm_choose(c, 8)) {
	case 0:
		if (!to)
			break;
		__atomic_fetch_add(&storm_inits, 1, __ATOMIC_RELAXED);
		apic_ipi(cpus[to].apic_id, ICR_INIT | ICR_ASSERT);
		break;
	case 1:
	case 2:
		if (!to)
			break;
		__atomic_fetch_add(&storm_sipis, 1, __ATOMIC_RELAXED);
		apic_ipi(cpus[to].apic_id, ICR_SIPI | ICR_ASSERT | STORM_VECTOR);
		break;
	case 3: apic_ipi(cpus[to].apic_id, ICR_ASSERT | STORM_IRQ); break;
	default:
		while (times--) {
			__atomic_fetch_add(&storm_nmis, 1, __ATOMIC_RELAXED);
			apic_ipi(cpus[to].apic_id, ICR_NMI | ICR_ASSERT);
		}
	}
}

static void open_for_events(struct storm_cpu *c)
{
	cpu_sti();
	cpu_pause();
	cpu_cli();
	if (storm_chance(c, 2))
		apic_eoi();
	if (storm_chance(c, 2))
		nmi_unblock();
}

static const struct {
	void (*fn)(struct storm_cpu *);
	u32 weight;
} ops[] = {
	{ storm_enter, 45 },
	{ storm_meddle, 30 },
	{ message, 8 },
	{ clear_region, 4 },
	{ load_region, 4 },
	{ store_pointer, 1 },
	{ fields, 4 },
	{ invalidate, 4 },
	{ leave, 2 },
	{ window, 3 },
	{ registers, 2 },
	{ msrs, 2 },
	{ calls, 2 },
	{ user, 1 },
	{ open_for_events, 2 },
	{ storm_vmxon, 1 },
	{ storm_nothing_stepped, 1 },
	{ storm_machine_op, 3 }, /* the last one: only on request */
};

static u64 run(u64 cpu, u64 unused1, u64 unused2)
{
	struct storm_cpu *c = (struct storm_cpu *)cpu;
	u32 total = 0, count = ARRAY_SIZE(ops) - !storm_machine, i, n;

	(void)unused1;
	(void)unused2;
	if (!c->on && !storm_chance(c, 6)) {
		storm_vmxon(c);
		return 0;
	}
	for (i = 0; i < count; i++)
		total += ops[i].weight;
	n = (u32)storm_choose(c, total);
	for (i = 0; n >= ops[i].weight; i++)
		n -= ops[i].weight;
	ops[i].fn(c);
	return 0;
}

void storm_op(struct storm_cpu *c)
{
	struct fault f;

	guard_call(&f, run, addr_of(c), 0, 0);
	cpu_cli();
	c->ops++;
	if (f.vector == NO_FAULT)
		return;
	c->faults++;
	/* registers() may have been cut short */
	dr7_write(0x400);
	cr0_write((cr0_read() | CR0_NE | CR0_WP) & ~(CR0_CD | CR0_NW | CR0_TS | CR0_EM | CR0_AM));
	if (f.vector == VEC_UD) {
		c->on = false;
		c->current = NULL;
	}
}
