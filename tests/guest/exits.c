/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": what leads from L2 to L1, one directed test each. Here is what its parts share.
 */
#include "tests/guest/exits.h"

void go(struct vm *vm, const char *what)
{
	vm_report(vm, vm_run(vm), what);
}

GUEST_CODE(e_int_13, 64, "int $13; vmcall"); /* no error code on the stack */

/* What the handler of L2 found on its stack, after a VMCALL exit from there. */
void report_stack(struct vm *vm, const char *what)
{
	u64 code = addr_of(ptr_of(vm->regs.rsp));
	u32 v = vm_vector(vm);
	bool error = v == 8 || (v >= 10 && v <= 14) || v == 17;

	if (v > 255 || (vm->regs.rsp == addr_of(e_int_13) && v == 13))
		return;
	result("%s handler=%u code=%lx rip=%lx flags=%lx", what, v, error ? vm_stack(vm, 0) : 0,
	       vm_stack(vm, error) - (vm->mode == VM_REAL || vm->mode == VM_V86 ? 0 : code),
	       vm_stack(vm, error + 2));
}
