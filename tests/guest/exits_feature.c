/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": what follows from bits of CR0 and CR4 that entries and exits load: #NM by CR0.TS and
 * EM, XGETBV and CPUID's OSXSAVE by CR4.OSXSAVE, in L2 by the guest's fields and in L1 by the host's. SDM:
 * "Loading Guest Control Registers", "Loading Host Control Registers"; volume 2, "CPUID".
 */
#include "tests/guest/exits.h"

GUEST_CODE(f_fpu, 64, "fnop; vmcall");
GUEST_CODE(f_fpu_l1, 64, "fnop; " EXEC_END);
GUEST_CODE(f_wait, 64, "fwait; vmcall");
GUEST_CODE(f_xgetbv, 64, "xor %ecx, %ecx; xgetbv; vmcall");
GUEST_CODE(f_xgetbv_l1, 64, "xor %ecx, %ecx; xgetbv; " EXEC_END);
GUEST_CODE(f_vmcall, 64, "vmcall");

static void run_l1(const char *what, const u8 *code)
{
	struct exec e;
	char buf[48];

	exec_init(&e, addr_of(code));
	exec_run(&e);
	result("%s l1=%s", what, e.out.vector == VEC_EXEC_DONE ? "done" : fault_name(&e.out, buf));
}

TEST_VMX(no_device)
{
	static const u8 *const codes[] = { f_fpu, f_wait };
	static const u64 bits[] = { 0, CR0_TS, CR0_EM, CR0_TS | CR0_MP, CR0_MP, CR0_EM | CR0_TS };
	u64 own = cr0_read();
	struct vm vm;
	u32 i, k, how;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		for (k = 0; k < ARRAY_SIZE(codes); k++) {
			/* L2's own exception, L1's exit, and a read shadow that says otherwise */
			for (how = 0; how < 3; how++) {
				u32 reason;

				vm_create(&vm, VM_64, 0, codes[k]);
				vmwrite(F_GUEST_CR0,
					(vmread(F_GUEST_CR0) & ~(CR0_TS | CR0_EM | CR0_MP)) | bits[i]);
				vmwrite(F_EXCEPTION_BITMAP, how == 1 ? BIT(VEC_NM) : 0);
				vmwrite(F_CR0_MASK, how == 2 ? CR0_TS | CR0_EM | CR0_MP : 0);
				vmwrite(F_CR0_SHADOW, ~bits[i]);
				reason = vm_run(&vm);
				result("bits=%lx code=%u how=%u exit=%u handler=%u intr=%lx", bits[i], k, how,
				       reason, reason == REASON_VMCALL ? vm_vector(&vm) : 0,
				       reason == REASON_EXCEPTION ? vmread(F_EXIT_INTR_INFO) : 0);
			}
		}
		vm_create(&vm, VM_64, 0, f_vmcall);
		vmwrite(F_HOST_CR0, (own & ~(CR0_TS | CR0_EM | CR0_MP)) | bits[i]);
		CHECK(vm_run(&vm) == REASON_VMCALL);
		run_l1("fpu", f_fpu_l1);
		cr0_write(own);
	}
}

TEST_VMX(osxsave)
{
	u64 own = cr4_read();
	u32 guest, host;
	struct vm vm;

	NEED(caps.cr4_fixed1 & CR4_OSXSAVE);
	for (guest = 0; guest < 2; guest++) {
		for (host = 0; host < 2; host++) {
			u32 reason;

			vm_create(&vm, VM_64, 0, f_xgetbv);
			vmwrite(F_GUEST_CR4,
				(vmread(F_GUEST_CR4) & ~CR4_OSXSAVE) | (guest ? CR4_OSXSAVE : 0));
			vmwrite(F_HOST_CR4, (own & ~CR4_OSXSAVE) | (host ? CR4_OSXSAVE : 0));
			reason = vm_run(&vm);
			result("guest=%u host=%u exit=%u handler=%u cpuid=%u cr4=%u", guest, host, reason,
			       vm_vector(&vm), cpuid(1, 0).ecx >> 27 & 1, (u32)(cr4_read() >> 18 & 1));
			CHECK((cpuid(1, 0).ecx >> 27 & 1) == host);
			run_l1("xgetbv", f_xgetbv_l1);
			/* CPUID in L2 is L1's to answer. */
			vm_set_code(&vm, (const u8 *)"\x0f\xa2\x0f\x01\xc1");
			result("guest=%u host=%u exit=%u", guest, host, vm_run(&vm));
		}
	}
	cr4_write(own);
}
