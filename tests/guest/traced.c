/* SPDX-License-Identifier: MIT */
/*
 * Guest test "traced": L1s whose exits are known by number, so that Socle's exit trace has something to be
 * held against (tests/system/test_trace.py); the second one is docs/debugging.md's exercise, an L1 that costs
 * more than it should. With `trace` on the command line each test prints what Socle counted, and then what it
 * recorded.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(code_cpuids, 64, "1: push %rcx; xor %eax, %eax; cpuid; pop %rcx; dec %rcx; jnz 1b; vmcall");

#define ROUNDS 100

/* ---- what Socle recorded ---- */

enum { READ_TRACE_HEAD = 1, READ_TRACE = 2, TRACE_CONTROL = 3 };
enum { CALL_PRINT = 1, CALL_READ = 9 };
#define WORDS 8 /* of an event */

static u64 page[512] __attribute__((aligned(4096)));

/* Bytes in `page`. */
static u64 ask(u64 call, u64 what, u64 *position)
{
	u64 value = 0x50434c53, at = *position;

	asm volatile("vmcall"
		     : "+a"(value), "+b"(call), "+c"(what), "+S"(at)
		     : "D"(page)
		     : "rdx", "memory", "cc");
	*position = at;
	return value;
}

/* Recording ends first: each question is an exit. */
static void print_trace(void)
{
	u64 position = 0, length;

	if (!option_flag("trace") || !under_socle())
		return;
	ask(CALL_READ, TRACE_CONTROL, &position);
	ask(CALL_PRINT, 0, &position);
	length = ask(CALL_READ, READ_TRACE_HEAD, &position);
	((char *)page)[length] = 0;
	print("%s\n", (const char *)page);
	position = 0;
	while ((length = ask(CALL_READ, READ_TRACE, &position)))
		for (const u64 *w = page; w < page + length / sizeof(*w); w += WORDS)
			print("trace: 0 %lx %lx %lx %lx %lx %lx %lx %lx\n", w[0], w[1], w[2], w[3], w[4],
			      w[5], w[6], w[7]);
}

/* ---- L1s ---- */

static void make(struct vm *vm)
{
	vm_create(vm, VM_64, caps_proc2(PROC2_EPT) ? VM_EPT : 0, code_cpuids);
	vm->regs.rcx = ROUNDS;
}

static u32 run(struct vm *vm, void (*between)(void))
{
	u32 rounds = 0;

	while (vm_run(vm) == REASON_CPUID) {
		vm_skip(vm);
		rounds++;
		between();
	}
	return rounds;
}

static void nothing(void)
{
}

TEST_VMX(round_trips)
{
	struct vm vm;

	make(&vm);
	result("cpuids=%u", run(&vm, nothing));
	print_trace();
}

/* To be on the safe side. */
static __attribute__((noinline)) void forget_translations(void)
{
	invept(2, 0);
}

/* It is what it was. */
static __attribute__((noinline)) void write_host_state(void)
{
	static const u32 fields[] = { F_HOST_CR0, F_HOST_CR3, F_HOST_CR4, F_HOST_CS, F_HOST_SS, F_HOST_TR };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		vmwrite(fields[i], vmread(fields[i]));
}

static void be_careful(void)
{
	if (caps_proc2(PROC2_EPT))
		forget_translations();
	write_host_state();
}

/* Between two questions for what Socle has executed there is one of each to be told, and a hundred CPUIDs. */
TEST_VMX(counted)
{
	struct vm vm;
	u64 reads, writes;
	u32 rounds;

	make(&vm);
	reads = socle_hw_count(0);
	writes = socle_hw_count(1);
	rounds = run(&vm, nothing);
	reads = socle_hw_count(0) - reads;
	writes = socle_hw_count(1) - writes;
	if (option_flag("trace") && under_socle())
		info("counted vmreads=%lu vmwrites=%lu", reads, writes);
	result("cpuids=%u", rounds);
	print_trace();
}

TEST_VMX(careful)
{
	struct vm vm;

	make(&vm);
	result("cpuids=%u", run(&vm, be_careful));
	print_trace();
}
