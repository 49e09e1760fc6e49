/* SPDX-License-Identifier: MIT */
/*
 * A hostile L1 on the fake processor: VMX instructions in any order on any VMCS, fields and memory changed at
 * will, exits of every kind, EPT12s of arbitrary contents. Nothing of that may end in an assertion, and what
 * hardware is given stays L0's: host state, pages, mandatory controls. Input: one step after the other, 10
 * bytes each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/x86.h"
#include "mm/memmap.h"
#include "tests/unit/machine.h"
#include "vmx/hw/entry.h"
#include "vmx/l1/vm.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct PACKED move {
	u8 what, which;
	u64 value;
};

static const u32 reasons[] = {
	EXIT_EXCEPTION_NMI,
	EXIT_EXTERNAL_INTERRUPT,
	EXIT_CPUID,
	EXIT_HLT,
	EXIT_RDMSR,
	EXIT_WRMSR,
	EXIT_IO,
	EXIT_CR_ACCESS,
	EXIT_EPT_VIOLATION,
	EXIT_VMCALL,
	EXIT_VMREAD,
	EXIT_VMWRITE,
	EXIT_INVEPT,
	EXIT_INVVPID,
	EXIT_PREEMPTION_TIMER,
	EXIT_MTF,
	EXIT_NMI_WINDOW,
	EXIT_INTERRUPT_WINDOW,
	EXIT_TASK_SWITCH,
	EXIT_XSETBV,
	EXIT_VMXOFF,
	EXIT_INIT,
	EXIT_VMFUNC,
	EXIT_INVD,
	EXIT_VMLAUNCH,
	EXIT_VMPTRST,
	EXIT_TRIPLE_FAULT,
	EXIT_GETSEC,
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Whatever L1 did, this is what hardware would run with. */
static void check_hardware_state(void)
{
	if (machine_in_l2()) {
		u64 eptp = machine_field(VMCS_ept_pointer);

		require(machine_field(VMCS_host_rip) == machine_field01(VMCS_host_rip));
		require(machine_field(VMCS_host_cr3) == machine_field01(VMCS_host_cr3));
		require(machine_field(VMCS_host_rsp) == machine_field01(VMCS_host_rsp));
		require(machine_field(VMCS_pin_controls) & PIN_NMI_EXITING);
		require(machine_field(VMCS_proc2_controls) & PROC2_EPT);
		require(machine_field(VMCS_proc_controls) & PROC_MSR_BITMAPS);
		require(memmap_in_window(machine_field(VMCS_msr_bitmap), PAGE_SIZE));
		require(memmap_in_window(eptp & PTE_ADDR, PAGE_SIZE));
		require(!machine_field(VMCS_exit_msr_store_count) &&
			!machine_field(VMCS_exit_msr_load_count) &&
			!machine_field(VMCS_entry_msr_load_count));
	} else {
		u64 eptp = machine_field(VMCS_ept_pointer);

		/* while L1 is stepped over absent memory: tables of this CPU's own */
		require(eptp == vm.ept01_pointer ||
			(machine_vcpu->looks & LOOK_ABSENT && memmap_in_window(eptp & PTE_ADDR, PAGE_SIZE)));
	}
	require(!machine_vcpu->vmcs->cache.dirty);
}

/* Exits that the controls of the guest that runs allow, and qualifications that they can have. */
static void guest_exits(const struct move *s)
{
	struct machine_exit e = { .reason = reasons[s->which % ARRAY_SIZE(reasons)] };

	e.qualification = (u32)s->value;
	e.info = (u32)(s->value >> 16);
	e.info &= ~(7u << 15); /* ES */
	e.guest_physical = s->value & 0x7ffffff000;
	switch (e.reason) {
	case EXIT_EXCEPTION_NMI:
		e.intr_info = INTR_INFO_VALID |
			      (s->value & 1 ? INTR_TYPE_NMI << 8 | VEC_NMI
					    : INTR_TYPE_HARD_EXCEPTION << 8 | (s->value >> 8 & 31));
		break;
	case EXIT_EXTERNAL_INTERRUPT:
		e.intr_info = INTR_INFO_VALID | (s->value & 0xff);
		if (!machine_in_l2())
			return;
		break;
	case EXIT_CR_ACCESS:
		e.qualification &= 0xffff0f3f;
		if (!(e.qualification & 0x30) && (e.qualification & 0xf) != 3 && (e.qualification & 0xf) != 4)
			e.qualification &= ~0xfull;
		if ((e.qualification & 0x30) == 0x10)
			e.qualification = (e.qualification & ~0xfull) | 3;
		if (!machine_in_l2() && (e.qualification & 0xf) == 3)
			return;
		break;
	case EXIT_EPT_VIOLATION:
		e.qualification = (s->value & 7) | (s->value & 8 ? EPTV_LINEAR_VALID | EPTV_TRANSLATED : 0);
		if (!(e.qualification & 7))
			e.qualification |= EPTV_READ;
		break;
	case EXIT_HLT:
	case EXIT_IO:
	case EXIT_PREEMPTION_TIMER:
	case EXIT_INTERRUPT_WINDOW:
	case EXIT_TRIPLE_FAULT:
		if (!machine_in_l2())
			return;
		break;
	}
	if (s->value & BIT(40))
		e.vectoring_info = INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | (s->value >> 48 & 31);
	machine_exit(&e);
}

static void apply(const struct move *s)
{
	static const u32 memory_insns[] = { EXIT_VMXON, EXIT_VMCLEAR, EXIT_VMPTRLD };
	u32 encoding = vmcs12_fields[s->which % VMCS12_FIELD_COUNT].encoding;
	u64 value;

	switch (s->what % 12) {
	case 0:
		if (!machine_in_l2())
			l1_memory_insn(memory_insns[s->which % 3], M_VMXON + (s->value & 7) * 0x1000);
		break;
	case 1:
	case 2:
		if (!machine_in_l2())
			l1_vmwrite(encoding, s->value);
		break;
	case 3:
		if (!machine_in_l2() && l1_vmread(encoding, &value) == 0)
			l1_vmwrite(encoding, value ^ BIT(s->value & 63));
		break;
	case 4:
	case 5:
		if (!machine_in_l2())
			l1_enter(s->which & 1 ? EXIT_VMRESUME : EXIT_VMLAUNCH);
		break;
	case 6:
		if (!machine_in_l2())
			l1_invalidate(s->which & 1 ? EXIT_INVEPT : EXIT_INVVPID, s->which >> 1 & 3, s->value,
				      s->value >> 8);
		break;
	case 7: /* a VMCS region, or tables of EPT12, in memory */
		l1_write64(M_VMCS(s->which & 3) + (s->value >> 52 << 3) % 0xff8, s->value & GENMASK(51, 0));
		break;
	case 8:
		l1_write64(M_SPARE + (s->which & 0xff) * 8 + (s->value & 7) * 0x1000,
			   (s->value >> 8 & 0x7ffffff) | M_SPARE);
		break;
	case 9: machine_vcpu->gpr[s->which & 15] = s->value; break;
	default: guest_exits(s); break;
	}
}

static void start(void)
{
	const char *options_line = getenv("FUZZ_OPTIONS");

	machine_init(options_line ? options_line : "intercept=cr");
	l1_run_l2();
	machine_exit(&(const struct machine_exit){ .reason = EXIT_CPUID });
	for (u64 i = 0; i < 4; i++) {
		l1_write64(M_SPARE + i * 8, (M_SPARE + 0x1000) | EPT_RWX);
		l1_write64(M_SPARE + 0x1000 + i * 8,
			   i << 30 | EPT_RWX | EPT_LEAF | MEMTYPE_WB << EPT_MEMTYPE_SHIFT);
	}
	l1_vmwrite(VMCS_ept_pointer, M_SPARE | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	l1_vmwrite(VMCS_vpid, 5);
	l1_vmwrite(VMCS_proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_VPID);
}

/* A triple fault or a VMX abort is the end of L1's machine, not of Socle's. */
static bool ended(void)
{
	return machine_vcpu->nested.aborted || strstr(fake_log(), "triple fault of L1");
}

static void run(const u8 *data, size_t size)
{
	for (size_t at = 0; at + sizeof(struct move) <= size && !ended(); at += sizeof(struct move)) {
		struct move s;

		memcpy(&s, data + at, sizeof(s));
		apply(&s);
		if (!ended())
			check_hardware_state();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static bool started;

	if (!started) {
		start();
		fake_snapshot();
		started = true;
	}
	fake_restore();
	if (fake_panics(run(data, size)) && !ended()) {
		fprintf(stderr, "%s\n", fake_log());
		abort();
	}
	return 0;
}
