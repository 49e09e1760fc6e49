/* SPDX-License-Identifier: MIT */
/*
 * Guest test "hostile": two CPUs at once where EPT01 changes. While one steps over absent memory, or changes
 * its MTRRs, the other finds what it would find alone: ones there, its own values in its memory.
 * SDM: "Information That May Be Cached", "MTRR Considerations in MP Systems".
 */
#include "tests/guest/hostile.h"

enum { MSR_MTRRCAP = 0xfe, MSR_PHYSBASE0 = 0x200 };

GUEST_CODE(t_write, 64, "mov %rax, (%rbx); mov (%rbx), %rcx; vmcall");

static u64 stop;

struct stepper {
	u64 at;	      /* absent */
	u64 vm_flags; /* of the L2 that steps; STEP_L1: none, L1 does */
	u64 wrong, turns;
};
#define STEP_L1 ~0ul

/* What is written is dropped, what is read is ones, whatever the other CPU writes there. */
static u64 write_absent(u64 at, u64 value)
{
	volatile u64 *p = ptr_of(at);
	u64 wrong = *p != ~0ul;

	*p = value;
	wrong += *p != ~0ul;
	return wrong;
}

static u64 l2_writes_absent(struct vm *vm, u64 at, u64 value)
{
	vm_set_code(vm, t_write);
	vm->regs.rax = value;
	vm->regs.rbx = at;
	return vm_run(vm) != REASON_VMCALL || vm->regs.rcx != ~0ul;
}

static void step(void *arg)
{
	struct stepper *s = arg;
	struct vm vm;

	if (s->vm_flags != STEP_L1) {
		vmx_enable();
		vm_create(&vm, VM_64, s->vm_flags, t_write);
		if (vm.ept)
			ept_map(vm.ept, s->at & ~(PAGE_SIZE - 1), s->at & ~(PAGE_SIZE - 1), 1,
				EPT_RWX | EPT_WB);
	}
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		s->wrong += s->vm_flags == STEP_L1 ? write_absent(s->at, s->turns << 8 | 1)
						   : l2_writes_absent(&vm, s->at, s->turns << 8 | 2);
		WRITE_ONCE(s->turns, s->turns + 1);
	}
	if (s->vm_flags != STEP_L1)
		vmx_disable();
}

/* The same page, and the same bytes of it. */
static void two_at(struct stepper *other, u64 rounds)
{
	u64 wrong = 0, i;

	stop = 0;
	smp_call(1, step, other);
	for (i = 0; i < rounds || READ_ONCE(other->turns) < rounds / 8; i++)
		wrong += write_absent(other->at, i << 8);
	/* and alone: what this CPU had found then is not kept */
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	CHECK(smp_wait(1, 100000000));
	for (i = 0; i < 4; i++)
		wrong += write_absent(other->at, i << 8 | 3);
	result("wrong=%lu other=%lu", wrong, other->wrong);
	CHECK(!wrong && !other->wrong);
}

TEST(absent_by_two)
{
	static struct stepper other;

	NEED(smp_start() > 1 && hostile_absent_is_ones());
	other = (struct stepper){ hostile_absent() + 0x7008, STEP_L1, 0, 0 };
	two_at(&other, option_number("steps", 800));
}

TEST(absent_by_l1_and_l2)
{
	static struct stepper other;
	u32 i;

	NEED(smp_start() > 1 && hostile_absent_is_ones());
	for (i = 0; i < 2; i++) {
		other = (struct stepper){ hostile_absent() + 0x8010, i ? VM_EPT : 0, 0, 0 };
		two_at(&other, option_number("steps", 800) / 2);
	}
}

/* ---- memory types ---- */

enum { PAGES = 1024 }; /* the types change below them, in 4 MiB */

struct typist {
	u64 base, saved[2];
	u64 turns;
};

static void change_types(void *arg)
{
	static const u8 types[] = { 0, 4, 5, 6 };
	struct typist *t = arg;
	u64 seed = 5;

	t->saved[0] = msr_read(MSR_PHYSBASE0 + 2);
	t->saved[1] = msr_read(MSR_PHYSBASE0 + 3);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		u64 r = random_next(&seed);

		msr_write(MSR_PHYSBASE0 + 2, (t->base + (r >> 8 & 0x3ff000)) | types[r & 3]);
		msr_write(MSR_PHYSBASE0 + 3, (0xfffffff000 & ~(r >> 24 & 0x1ff000)) | (r & 0x70 ? 0x800 : 0));
		WRITE_ONCE(t->turns, t->turns + 1);
	}
	msr_write(MSR_PHYSBASE0 + 2, t->saved[0]);
	msr_write(MSR_PHYSBASE0 + 3, t->saved[1]);
}

/* Memory, absent memory, and instructions that reach from the one into the other, by turns. */
static u64 touch_all(u64 *memory, u64 absent, u64 round)
{
	u64 wrong = 0, seed = round, from, to, count, i;

	for (i = 0; i < 8; i++) {
		u64 at = random_next(&seed) % PAGES * (PAGE_SIZE / 8);

		wrong += READ_ONCE(memory[at]) != at * 0x10001;
		WRITE_ONCE(memory[at + 1], round);
		wrong += READ_ONCE(memory[at + 1]) != round;
	}
	wrong += write_absent(absent + (round & 7) * PAGE_SIZE - 4, round);
	from = absent + 0x100;
	to = addr_of(&memory[random_next(&seed) % PAGES * (PAGE_SIZE / 8) + 2]);
	count = 2;
	asm volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	wrong += *(u64 *)ptr_of(to - 8) != ~0ul;
	return wrong;
}

TEST(mtrrs_by_two)
{
	u64 *memory = page_alloc_contig(PAGES), wrong = 0, i, rounds = option_number("types", 250);
	static struct typist other;

	NEED(smp_start() > 1 && (msr_read(MSR_MTRRCAP) & 0xff) > 1 && hostile_absent_is_ones());
	for (i = 0; i < PAGES * (PAGE_SIZE / 8); i += PAGE_SIZE / 8)
		memory[i] = i * 0x10001;
	other.base = addr_of(memory) & ~(4 * MIB - 1);
	other.turns = 0;
	stop = 0;
	smp_call(1, change_types, &other);
	for (i = 0; i < rounds || READ_ONCE(other.turns) < rounds; i++)
		wrong += touch_all(memory, hostile_absent() + 0x10000, i + 1);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	CHECK(smp_wait(1, 100000000));
	info("changes=%lu", other.turns);
	result("wrong=%lu", wrong);
	CHECK(!wrong);
}
