/* SPDX-License-Identifier: MIT */
/*
 * Operands of VMX instructions: arbitrary instruction information, registers and segments. What is accepted
 * is an address that the processor would have accepted.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/x86.h"
#include "tests/unit/machine.h"
#include "vmx/guest/vmx_operand.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct PACKED input {
	u32 info;
	u64 displacement;
	u64 gpr[16];
	u64 base;
	u32 limit, ar;
	u8 mode, length, write;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct vmx_operand operand;
	struct input in;
	size_t length;

	if (size < sizeof(in))
		return 0;
	if (!machine_vcpu)
		machine_init("");
	memcpy(&in, data, sizeof(in));
	regcache_flush(&machine_vcpu->vmcs->cache);
	regcache_reset(&machine_vcpu->vmcs->cache);
	in.info &= ~(7u << 15);
	in.info |= (in.mode % 6u) << 15; /* there are six segments */
	machine_set_field(VMCS_exit_instruction_info, in.info);
	machine_set_field(VMCS_exit_qualification, in.displacement);
	for (unsigned int i = 0; i < 16; i++)
		machine_vcpu->gpr[i] = in.gpr[i];
	for (u32 s = 0; s < 6; s++) {
		machine_set_field(VMCS_guest_es_base + 2 * s, in.base);
		machine_set_field(VMCS_guest_es_limit + 2 * s, in.limit);
		machine_set_field(VMCS_guest_es_ar + 2 * s, in.ar & ~(u32)AR_L);
	}
	machine_set_field(VMCS_guest_efer, in.mode & 64 ? EFER_LMA | EFER_LME : 0);
	machine_set_field(VMCS_guest_cs_ar, in.mode & 64 ? 0xa09b : 0xc09b);
	length = 1 + in.length % 16;
	if (vmx_operand_decode(machine_vcpu, length, in.write & 1, &operand) != OUTCOME_NONE) {
		if (machine_vcpu->outcome.fault.vector != VEC_GP &&
		    machine_vcpu->outcome.fault.vector != VEC_SS)
			abort();
		return 0;
	}
	if (operand.is_register)
		return 0;
	if (in.mode & 64 ? !is_canonical(operand.linear, 48) : operand.linear >> 32)
		abort();
	return 0;
}
