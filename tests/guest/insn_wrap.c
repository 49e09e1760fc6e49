/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": instructions that a hypervisor carries out at the end of 64 KiB of 16-bit code, of L1's
 * and of L2's. What comes next is at 10000H, where the segment goes on, or its limit faults; never at 0.
 * SDM: volume 3, "Limit Checking"; "Segment Wraparound" in the chapter on compatibility.
 */
#include "tests/guest/insn.h"

#define LAST 0xfffeu /* an instruction of two bytes ends with its 64 KiB */

/* The code lies in `code`, whatever the offset: the segment's base is moved. */
static u64 base_for(u64 offset)
{
	return addr_of(code) + 16 - offset;
}

static u64 descriptor(u64 base, u32 limit, u64 rights)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (rights & 0xff) << 40 |
	       (u64)(limit >> 16 & 0xf) << 48 | (rights >> 12 & 0xf) << 52 | (base >> 24 & 0xff) << 56;
}

static void put(const char *two_bytes)
{
	memset(code, 0x90, 64);
	memcpy(code + 16, two_bytes, 2);
	code[18] = 0xcd;
	code[19] = VEC_EXEC_DONE;
}

/* A 64-bit L1's 16-bit code: CPUID, which exits on each VT-x processor, and INVD; a NOP to compare. */
TEST(wrap_l1)
{
	static const char *const names[] = { "nop", "cpuid", "invd" };
	static const char *const codes[] = { "\x90\x90", "\x0f\xa2", "\x0f\x08" };
	static const struct {
		u32 offset, limit;
		u64 rights;
	} segments[] = { { LAST, 0xffff, 0x9b }, { LAST, 0xfffff, 0x9b }, { 0x1fffe, 0xfffff, 0x809b } };
	u32 i, k;

	insn_prepare();
	for (k = 0; k < ARRAY_SIZE(segments); k++) {
		for (i = 0; i < ARRAY_SIZE(codes); i++) {
			struct exec e;
			char buf[48];

			put(codes[i]);
			gdt_set(SEL_CODE16, descriptor(base_for(segments[k].offset), segments[k].limit,
						       segments[k].rights));
			exec_init(&e, segments[k].offset);
			e.cs = SEL_CODE16;
			exec_run(&e);
			result("%s at=%x limit=%x %s rip=%lx", names[i], segments[k].offset,
			       segments[k].limit,
			       e.out.vector == VEC_EXEC_DONE ? "done" : fault_name(&e.out, buf),
			       e.out.frame.rip);
			CHECK(e.out.frame.rip >> 16);
		}
	}
}

/* L2's: RDMSR and WRMSR of registers that L0 keeps, which L1 does not ask for. */
TEST_VMX(wrap_l2)
{
	static const char *const names[] = { "nop", "rdmsr", "wrmsr" };
	static const char *const codes[] = { "\x90\x90", "\x0f\x32", "\x0f\x30" };
	static const struct {
		enum vm_mode mode;
		u32 offset, limit;
		u64 rights; /* 0: as the mode has them */
	} segments[] = {
		{ VM_REAL, LAST, 0xffff, 0 },
		{ VM_V86, LAST, 0xffff, 0 },
		{ VM_PROTECTED, LAST, 0xffff, 0x9b },
		{ VM_PROTECTED, LAST, 0xffffffff, 0x809b },
		{ VM_32, 0x1fffe, 0xffffffff, 0x809b },
		{ VM_COMPAT, 0x1fffe, 0xffffffff, 0x809b },
		{ VM_32, 0xfffffffe, 0xffffffff, 0xc09b },
	};
	struct vm vm;
	u32 i, k;

	NEED(caps_proc(PROC_MSR_BITMAPS));
	insn_prepare();
	for (k = 0; k < ARRAY_SIZE(segments); k++) {
		if (!vm_mode_possible(segments[k].mode))
			continue;
		for (i = 0; i < (segments[k].mode == VM_V86 ? 1 : ARRAY_SIZE(codes)); i++) {
			u64 base = base_for(segments[k].offset) & 0xffffffff;
			u32 reason;

			vm_create(&vm, segments[k].mode, 0, code);
			vm_use_msr_bitmap(&vm);
			put(codes[i]);
			if (!segments[k].rights) {
				base = LOW_CODE + 0x800 - LAST;
				base &= ~15ul;
				memcpy(ptr_of(base + LAST), codes[i], 2);
				vmwrite(F_GUEST_CS, base >> 4);
			}
			memcpy(ptr_of((u32)(base + segments[k].offset + 2)), "\x0f\x01\xc1", 3);
			vmwrite(F_GUEST_CS_BASE, base);
			vmwrite(F_GUEST_CS_LIMIT, segments[k].limit);
			if (segments[k].rights)
				vmwrite(F_GUEST_CS_RIGHTS, segments[k].rights);
			vmwrite(F_GUEST_RIP, segments[k].offset);
			vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
			vm.regs.rcx = i == 1 ? MSR_FEATURE_CONTROL : MSR_APIC_BASE;
			vm.regs.rax = (u32)msr_read(MSR_APIC_BASE);
			vm.regs.rdx = msr_read(MSR_APIC_BASE) >> 32;
			reason = vm_run(&vm);
			result("%s %s at=%x limit=%x exit=%u rip=%lx", vm_mode_names[segments[k].mode],
			       names[i], segments[k].offset, segments[k].limit, reason,
			       vmread(F_GUEST_RIP) & 0xffffffff);
		}
	}
}
