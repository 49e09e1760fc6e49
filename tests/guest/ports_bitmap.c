/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ports", third part: L1's I/O bitmaps as the processor reads them: in both halves, many words,
 * changed between entries, by L2 itself and by another CPU, in pages that are no RAM. SDM: "I/O-Bitmap
 * Addresses".
 */
#include "tests/guest/ports.h"

GUEST_CODE(b_in, 64, "in %dx, %al; vmcall");
GUEST_CODE(b_in32, 64, "in %dx, %eax; vmcall");
GUEST_CODE(b_self, 64, "movb $0xff, (%rbx); in %dx, %al; vmcall");
GUEST_CODE(b_out_loop, 64, "1: out %ax, %dx; dec %rcx; jnz 1b; vmcall");

static void bitmap_set(u64 bitmap, u32 port, bool on)
{
	u8 *byte = (u8 *)ptr_of(bitmap) + port / 8;

	*byte = (u8)(on ? *byte | 1 << port % 8 : *byte & ~(1 << port % 8));
}

static u32 in_at(struct vm *vm, u32 port, const void *code)
{
	vm_set_code(vm, code);
	vm->regs.rdx = port;
	return vm_run(vm);
}

/* Ports at which nothing answers, in each half in more words than a shortcut would remember. */
static u32 quiet_port(u32 n)
{
	return (n & 1 ? 0xd000 : 0x5000) + (n / 2 * 61) % 0x1800;
}

TEST_VMX(bitmap_halves)
{
	u64 state = 1, hash = 0;
	struct vm vm;
	u32 round, n, wrong = 0;

	NEED(caps_proc(PROC_IO_BITMAPS));
	vm_create(&vm, VM_64, 0, b_in);
	vm_use_io_bitmaps(&vm);
	for (round = 0; round < 12; round++) {
		for (n = 0; n < 96; n++)
			bitmap_set(vm.io_bitmap, quiet_port(n), random_next(&state) & 1);
		for (n = 0; n < 96; n++) {
			u32 port = quiet_port(round & 1 ? 95 - n : n);
			u32 reason = in_at(&vm, port, n % 5 == 4 ? b_in32 : b_in);

			hash = hash_add(hash,
					(u64)reason << 32 | (u32)vmread(F_QUALIFICATION) << 1 | vm_pc(&vm));
			if (n % 5 != 4)
				wrong += (reason == REASON_IO) !=
					 !!(((u8 *)ptr_of(vm.io_bitmap))[port / 8] & 1 << port % 8);
		}
	}
	result("hash=%lx wrong=%u", hash, wrong);
	CHECK(!wrong);
	/* the same VMCS with other pages, and again without */
	vmwrite(F_IO_BITMAP_B, addr_of(page_alloc()));
	for (n = 0; n < 96; n++)
		hash = hash_add(hash, in_at(&vm, quiet_port(n), b_in));
	vmwrite(F_IO_BITMAP_A, vm.io_bitmap + PAGE_SIZE);
	vmwrite(F_IO_BITMAP_B, vm.io_bitmap);
	for (n = 0; n < 96; n++)
		hash = hash_add(hash, in_at(&vm, quiet_port(n), b_in));
	vmunset(F_PROC, PROC_IO_BITMAPS);
	for (n = 0; n < 96; n++)
		hash = hash_add(hash, in_at(&vm, quiet_port(n), b_in));
	vmset(F_PROC, PROC_IO_BITMAPS | PROC_IO);
	for (n = 0; n < 96; n++)
		hash = hash_add(hash, in_at(&vm, quiet_port(n), b_in));
	result("hash=%lx", hash);
	/* one after another in the same slot of Socle's: nothing of the first is in the second */
	vmclear(vm.vmcs);
	vm_create(&vm, VM_64, 0, b_in);
	vm_use_io_bitmaps(&vm);
	memset(ptr_of(vm.io_bitmap), 0xff, 2 * PAGE_SIZE);
	for (n = 0, wrong = 0; n < 96; n++)
		wrong += in_at(&vm, quiet_port(n), b_in) != REASON_IO;
	result("all_set wrong=%u", wrong);
	CHECK(!wrong);
}

/* L2 writes into the bitmap without an exit, and its next access is one. */
TEST_VMX(bitmap_self)
{
	static const u16 ports[] = { 0, 0x5003, 0x7fff };
	u32 i;

	NEED(caps_proc(PROC_IO_BITMAPS));
	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		struct vm vm;
		u32 reason;

		vm_create(&vm, VM_64, 0, b_self);
		vm_use_io_bitmaps(&vm);
		vm.regs.rbx = vm.io_bitmap + ports[i] / 8;
		vm.regs.rdx = ports[i];
		reason = vm_run(&vm);
		result("port=%x exit=%u qual=%lx", ports[i], reason, vmread(F_QUALIFICATION));
		CHECK(reason == REASON_IO);
	}
}

/* Pages that are no RAM: the local APIC's, one at which nothing is, the firmware's ROM, the last below the
 * window. */
TEST_VMX(bitmap_places)
{
	static const u64 places[] = { 0xfee00000, 0xd0000000, 0xf0000 };
	u32 i, half, n;

	NEED(caps_proc(PROC_IO_BITMAPS));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		for (half = 0; half < 2; half++) {
			u64 hash = 0, mark = page_mark();
			u32 exits = 0;
			struct vm vm;

			vm_create(&vm, VM_64, 0, b_in);
			vm_use_io_bitmaps(&vm);
			vmwrite(half ? F_IO_BITMAP_B : F_IO_BITMAP_A, places[i]);
			for (n = 0; n < 64; n++) {
				u32 reason = in_at(&vm, quiet_port(n), n & 2 ? b_in32 : b_in);

				hash = hash_add(hash, reason);
				exits += reason == REASON_IO;
			}
			/* what the APIC answers there is the processor's own affair */
			result("%lx half=%u exits=%u hash=%lx", places[i], half,
			       places[i] == places[0] ? 0 : exits, places[i] == places[0] ? 0 : hash);
			page_release(mark);
		}
	}
}

static volatile bool toggling;
static u64 toggled;
static u16 toggled_port;

static void toggle(void *arg)
{
	bool on = false;

	(void)arg;
	while (toggling) {
		on = !on;
		bitmap_set(toggled, toggled_port, on);
		cpu_pause();
	}
}

/* Another CPU sets and clears the bit during L2's OUTs: each exits or is made, none is lost. */
TEST_VMX(bitmap_toggled)
{
	enum { OUTS = 3000 };
	u16 pm1 = pm1_port();
	struct vm vm;
	u32 i, exits = 0;

	NEED(smp_start() > 1 && pm1 && caps_proc(PROC_IO_BITMAPS));
	io_out16(pm1, 1);
	for (i = 0; i < 2; i++) {
		vm_create(&vm, VM_64, 0, b_out_loop);
		vm_use_io_bitmaps(&vm);
		toggled = vm.io_bitmap;
		toggled_port = i ? pm1 + 1 : pm1;
		toggling = true;
		smp_call(1, toggle, NULL);
		vm.regs.rax = 0x1001;
		vm.regs.rcx = OUTS;
		vm.regs.rdx = pm1;
		for (exits = 0; exits <= OUTS; exits++) {
			u32 reason = vm_run(&vm);

			if (reason != REASON_IO) {
				CHECK(reason == REASON_VMCALL);
				break;
			}
			vm_skip(&vm);
		}
		toggling = false;
		CHECK(smp_wait(1, 5000000));
		result("%u done=%lx", i, vm.regs.rcx);
		info("exits=%u of %u", exits, OUTS);
		/* How many of them exit is the other CPU's chance; what did not exit has been written. */
		CHECK(exits <= OUTS && io_in16(pm1) == (exits < OUTS ? 0x1001 : 1));
		io_out16(pm1, 1);
	}
}
