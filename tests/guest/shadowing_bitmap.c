/* SPDX-License-Identifier: MIT */
/*
 * Guest test "shadowing": the VMREAD and VMWRITE bitmaps bit by bit: each encoding has its own, of bits 14:0
 * of the operand, and nothing else counts. SDM: "VMREAD", "VMWRITE", "VMCS-Shadowing Bitmap Addresses".
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(bit_read, 64, "vmread %rdx, %rax; pushf; pop %rcx; vmcall");
GUEST_CODE(bit_write, 64, "vmwrite %rax, %rdx; pushf; pop %rcx; vmcall");

TEST_VMX(shadow_bits)
{
	static const u32 list[] = {
		0,	1,	7,	8,	F_VPID, F_GUEST_ES,  F_TSC_OFFSET, F_TSC_OFFSET + 1,
		0x3fff, 0x4000, 0x4001, F_PROC, 0x5fff, F_GUEST_RIP, 0x7ff8,	   0x7fff
	};
	static const u8 *const codes[] = { bit_read, bit_write };
	u8 *bitmaps = page_alloc_contig(4); /* behind each one a page of zeros, which is nobody's */
	u64 shadow = vmx_region();
	struct vm vm;
	u32 i, write, mode;

	NEED(caps_proc2(PROC2_SHADOW));
	*(u32 *)ptr_of(shadow) |= BIT(31);
	CHECK(vmclear(shadow) == VMX_OK);
	vm_create(&vm, VM_64, 0, bit_read);
	vmwrite(F_VMREAD_BITMAP, addr_of(bitmaps));
	vmwrite(F_VMWRITE_BITMAP, addr_of(bitmaps) + 2 * PAGE_SIZE);
	vmset(F_PROC, PROC_SECONDARY);
	vmset(F_PROC2, PROC2_SHADOW);
	vmwrite(F_VMCS_LINK, shadow);
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		for (write = 0; write < 2; write++) {
			print("RESULT %s %x %s", test_name(), list[i], write ? "write" : "read");
			/* its bit alone is set; alone is clear; in the other bitmap; clear, with bits above
			 * bit 14 */
			for (mode = 0; mode < 5; mode++) {
				u32 reason, other = mode == 2 ? !write : write;

				memset(bitmaps, mode == 0 ? 0 : 0xff, PAGE_SIZE);
				memset(bitmaps + 2 * PAGE_SIZE, mode == 0 ? 0 : 0xff, PAGE_SIZE);
				bitmaps[other * 2 * PAGE_SIZE + list[i] / 8] ^= (u8)BIT(list[i] % 8);
				vm_set_code(&vm, codes[write]);
				vm.regs.rdx = list[i] | (mode == 3   ? BIT(15)
							 : mode == 4 ? BIT(16 + i * 3 % 48)
								     : 0);
				vm.regs.rax = 0x5a5a0000 + i;
				vm.regs.rcx = 0;
				reason = vm_run(&vm);
				print(" %u", reason);
				if (reason == REASON_VMCALL)
					print("(%lx,%lx)", vm.regs.rcx & RFLAGS_STATUS, vm.regs.rax);
				CHECK((reason == REASON_VMCALL) == (mode == 1));
			}
			print("\n");
		}
	}
}
