/* SPDX-License-Identifier: MIT */
/*
 * vmcs02 against a second description of it: thousands of entries with generated controls and guest
 * state, two VMCSs in turn, and for each field what the SDM and docs/design.md ask of it, from L1's VMCS and
 * L1's own state before the entry. What an entry need not write, it does not. merge_test.c has the single
 * cases. SDM: "VM Entries", "Guest/Host Masks and Read Shadows for CR0 and CR4", "Loading Guest State".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/l1/vm.h"
#include "vmx/nested/vmcs12/known02.h"

enum {
	ENTRIES = 2500,
	P_MSR12 = M_SPARE + 0x30000,
	P_IO12 = M_SPARE + 0x32000,
	P_APIC12 = M_SPARE + 0x40000
};

/* Controls whose bits in vmcs02 are L1's own. */
#define PIN_OWN (PIN_EXTERNAL_INTERRUPT | PIN_PREEMPTION_TIMER)
#define PROC_OWN                                                                                             \
	(PROC_INTERRUPT_WINDOW | PROC_TSC_OFFSETTING | PROC_HLT_EXITING | PROC_INVLPG_EXITING |              \
	 PROC_MWAIT_EXITING | PROC_RDPMC_EXITING | PROC_RDTSC_EXITING | PROC_CR8_STORE_EXITING |             \
	 PROC_TPR_SHADOW | PROC_NMI_WINDOW | PROC_MOV_DR_EXITING | PROC_UNCONDITIONAL_IO | PROC_MTF |        \
	 PROC_MONITOR_EXITING | PROC_PAUSE_EXITING)
#define PROC2_OWN                                                                                            \
	(PROC2_DESC_TABLE_EXITING | PROC2_RDTSCP | PROC2_WBINVD_EXITING | PROC2_UNRESTRICTED_GUEST |         \
	 PROC2_PAUSE_LOOP_EXITING | PROC2_RDRAND_EXITING | PROC2_INVPCID | PROC2_VMFUNC |                    \
	 PROC2_RDSEED_EXITING | PROC2_XSAVES | PROC2_TSC_SCALING | PROC2_VIRTUAL_INTERRUPT)
/* Of IA32_EFER, what an entry without "load IA32_EFER" leaves alone. */
#define EFER_KEPT (EFER_SCE | EFER_NXE)

static struct fake_random rng = { 11 };

static u64 rnd(void)
{
	return fake_random(&rng);
}

/* One of a few, as often as not the first. */
static u64 pick(const u64 *values, size_t count)
{
	return rnd() % 2 ? values[0] : values[rnd() % count];
}
#define PICK(...) pick((const u64[]){ __VA_ARGS__ }, ARRAY_SIZE(((const u64[]){ __VA_ARGS__ })))

static u64 some_of(u64 bits)
{
	return bits & rnd() & rnd();
}

/* ---- L1 chooses ---- */

/* Those that go through as they stand, and that no rule looks at. */
static void choose_free_fields(void)
{
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];

		if (f->flow == FLOW_IN && row != V12_cr3_target_count && !fake_is_removed(f->encoding))
			assert_int_equal(l1_vmwrite(f->encoding, vmcs12_mask_width(f->encoding, rnd())), 0);
	}
	W(cr3_target_count, rnd() % 5);
}

static void choose_controls(void)
{
	u64 pin = some_of(PIN_OWN | PIN_NMI_EXITING), proc = some_of(PROC_OWN | PROC_MSR_BITMAPS), proc2;
	u64 exit = EXIT_HOST_64 | some_of(EXIT_ACK_INTERRUPT | EXIT_LOAD_PAT | EXIT_SAVE_EFER);

	if (pin & PIN_NMI_EXITING)
		pin |= some_of(PIN_VIRTUAL_NMIS);
	if (!(pin & PIN_VIRTUAL_NMIS))
		proc &= ~PROC_NMI_WINDOW;
	proc |= some_of(PROC_IO_BITMAPS | PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING);
	proc2 = some_of(PROC2_OWN | PROC2_EPT | PROC2_VPID) | PROC2_EPT;
	if ((proc & PROC_TPR_SHADOW) && (pin & PIN_EXTERNAL_INTERRUPT))
		proc2 |= some_of(PROC2_VIRTUAL_INTERRUPT);
	if (!(rnd() % 4))
		proc2 &= ~(u64)(PROC2_EPT | PROC2_UNRESTRICTED_GUEST);
	W(pin_controls, caps12.pin.allowed0 | pin);
	W(proc_controls, caps12.proc.allowed0 | proc | (rnd() % 8 ? PROC_SECONDARY : 0));
	W(proc2_controls, proc2 & caps12.proc2.allowed1);
	W(exit_controls, caps12.exit.allowed0 | exit |
				 (pin & PIN_PREEMPTION_TIMER ? some_of(EXIT_SAVE_PREEMPTION_TIMER) : 0));
	W(entry_controls, caps12.entry.allowed0 |
				  some_of(ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER) |
				  (rnd() % 2 ? ENTRY_IA32E_GUEST : 0));
	choose_free_fields();
	W(vpid, 1 + rnd() % 3);
	W(exception_bitmap, (u32)rnd());
	W(pf_mask, rnd() % 4);
	W(pf_match, rnd() % 4);
	W(cr0_guest_host_mask, PICK(0, CR0_TS, rnd()));
	W(cr4_guest_host_mask, PICK(0, CR4_PGE, rnd()));
	W(tsc_offset, rnd());
	W(tsc_multiplier, rnd() | 1);
	W(xss_exit_bitmap, rnd());
	W(vm_function_controls, 0);
}

/* What an L1 changes at its entries, without the controls. */
static void choose_guest(void)
{
	static const u64 modes[] = { CR4_PAE, 0, CR4_PAE }; /* 64-bit, 32-bit, PAE */
	u64 entry = l2_v12()->entry_controls;		    /* a field that is not shadowed */
	unsigned int mode = entry & ENTRY_IA32E_GUEST ? 0 : 1 + (unsigned int)(rnd() % 2);
	u64 blocking = PICK(0, INTERRUPTIBILITY_STI, INTERRUPTIBILITY_MOV_SS, INTERRUPTIBILITY_NMI);
	u64 rflags = RFLAGS_FIXED1 | RFLAGS_IF | PICK(0, RFLAGS_TF), debugctl = PICK(0, 1, DEBUGCTL_BTF, 3);
	bool stepped = (rflags & RFLAGS_TF) && !(debugctl & DEBUGCTL_BTF);
	u64 activity = blocking == INTERRUPTIBILITY_STI || blocking == INTERRUPTIBILITY_MOV_SS
			       ? ACTIVITY_ACTIVE
			       : PICK(ACTIVITY_ACTIVE, ACTIVITY_HLT);

	W(guest_efer, mode ? EFER_NXE : EFER_LME | EFER_LMA | some_of(EFER_NXE));
	W(guest_cr0,
	  CR0_PE | CR0_PG | CR0_NE | CR0_ET | some_of(CR0_TS | CR0_WP | CR0_CD | CR0_NW | BIT(6) | BIT(28)));
	W(guest_cr4, modes[mode] | CR4_VMXE | some_of(CR4_PGE | CR4_DE));
	W(guest_cr3, M_SPARE + rnd() % 4 * 0x20);
	W(guest_cs_ar, mode ? 0xc09b : 0xa09b);
	W(guest_rsp, rnd());
	W(guest_rip, (u32)rnd());
	W(guest_rflags, rflags);
	W(guest_interruptibility, blocking);
	W(guest_activity_state, activity);
	W(guest_debugctl, debugctl);
	W(guest_pending_debug, activity == ACTIVITY_HLT || (blocking && blocking != INTERRUPTIBILITY_NMI)
				       ? (stepped ? PENDING_DEBUG_BS : 0)
				       : rnd() % 16);
	W(guest_dr7, (u32)rnd());
	W(guest_pat, PICK(PAT_RESET, 0x0606060606060606, 0x0000000000000006));
	W(cr0_read_shadow, PICK(0, rnd()));
	W(cr4_read_shadow, PICK(0, rnd()));
	for (u32 n = 0; n < 4; n++)
		assert_int_equal(l1_vmwrite(VMCS_guest_pdpte0 + 2 * n, (rnd() % 64) << 12 | 1), 0);
	W(preemption_timer_value, (u32)rnd());
	W(tpr_threshold, rnd() % 8);
	W(guest_intr_status, rnd() & 0xffff);
}

static void choose_event(void)
{
	static const struct {
		u32 info, error;
	} events[] = {
		{ 0, 0 },
		{ INTR_TYPE_HARD_EXCEPTION << 8 | VEC_UD, 0 }, /* not valid */
		{ INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | VEC_DB, 0 },
		{ INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | INTR_INFO_ERROR_CODE | VEC_PF, 0x1234 },
		{ INTR_INFO_VALID | INTR_TYPE_EXTERNAL << 8 | 0x41, 0 },
		{ INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI, 0 },
		{ INTR_INFO_VALID | INTR_TYPE_SOFT_INTERRUPT << 8 | 0x80, 0 },
	};
	size_t n = rnd() % ARRAY_SIZE(events);

	W(entry_intr_info, events[n].info);
	W(entry_exception_error_code, events[n].error);
	W(entry_instruction_length, 1 + rnd() % 15);
}

static void choose_pages(void)
{
	l1_write32(P_APIC12 + 0x80, 0xf0); /* VTPR, above all thresholds */
	for (u32 n = 0; n < 8; n++) {
		l1_write64(P_MSR12 + (rnd() & 0xff8), rnd());
		l1_write64(P_IO12 + (rnd() & 0x1ff8), rnd());
	}
}

/* ---- what vmcs02 is to be ---- */

/* L1's own, before the entry. */
static struct {
	u64 efer, debugctl, dr7, pat, cache_bits;
} l1;

static void look_at_l1(void)
{
	l1.efer = machine_field01(VMCS_guest_efer);
	l1.debugctl = machine_field01(VMCS_guest_debugctl);
	l1.dr7 = machine_field01(VMCS_guest_dr7);
	l1.pat = machine_field01(VMCS_guest_pat);
	l1.cache_bits = read_cr0() & (CR0_CD | CR0_NW);
}

static void is(const char *what, u64 found, u64 wanted)
{
	if (found != wanted)
		fail_msg("%s is %llx instead of %llx", what, (unsigned long long)found,
			 (unsigned long long)wanted);
}
#define IS(field, wanted) is(#field, machine_field(VMCS_##field), wanted)

static u64 forced(u64 wanted, struct control_cap cap)
{
	return (wanted & cap.allowed1) | cap.allowed0;
}

static size_t writes02(u32 field)
{
	return fake_writes_of(machine_vcpu->nested.current->vmcs02.region.v, field);
}

/* A field is L1's if its control is 1; else nobody looks at it, and nobody writes it. */
static void governed(u32 field, bool on, u64 wanted)
{
	if (on && machine_field(field) != wanted)
		fail_msg("field %x is %llx instead of %llx", field, (unsigned long long)machine_field(field),
			 (unsigned long long)wanted);
	if (!on && writes02(field))
		fail_msg("field %x is written for nothing", field);
}

/* What goes through as it stands. */
static void check_rows(const struct vmcs12 *v12)
{
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];

		if ((f->flow == FLOW_COPY || f->flow == FLOW_IN) && row != V12_guest_interruptibility &&
		    !fake_is_removed(f->encoding))
			is(f->name, machine_field(f->encoding), (&v12->vpid)[row]);
	}
}

static void check_controls02(const struct vmcs12 *v12, u64 proc2)
{
	u64 cr3 = PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING;
	bool forced_cr = vcpu_intercepts_cr(machine_vcpu);

	IS(pin_controls,
	   forced((v12->pin_controls & PIN_OWN) | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS, vmx_caps.pin));
	IS(proc_controls, forced((v12->proc_controls & (PROC_OWN | PROC_IO_BITMAPS)) | PROC_SECONDARY |
					 PROC_MSR_BITMAPS | (forced_cr ? cr3 : v12->proc_controls & cr3),
				 vmx_caps.proc));
	IS(proc2_controls,
	   forced((proc2 & PROC2_OWN) | PROC2_EPT | (options.vpid ? PROC2_VPID : 0), vmx_caps.proc2));
	IS(exit_controls,
	   forced((v12->exit_controls & EXIT_ACK_INTERRUPT) | EXIT_HOST_64 | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT |
			  EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER |
			  (v12->pin_controls & PIN_PREEMPTION_TIMER ? EXIT_SAVE_PREEMPTION_TIMER : 0),
		  vmx_caps.exit));
	IS(entry_controls, forced((v12->entry_controls & ENTRY_IA32E_GUEST) | ENTRY_LOAD_DEBUG |
					  ENTRY_LOAD_PAT | ENTRY_LOAD_EFER,
				  vmx_caps.entry));
	IS(exception_bitmap, v12->exception_bitmap);
	IS(pf_mask, v12->pf_mask);
	IS(pf_match, v12->pf_match);
	governed(VMCS_tsc_offset, v12->proc_controls & PROC_TSC_OFFSETTING, v12->tsc_offset);
	governed(VMCS_tsc_multiplier, proc2 & PROC2_TSC_SCALING, v12->tsc_multiplier);
	governed(VMCS_xss_exit_bitmap, proc2 & PROC2_XSAVES, v12->xss_exit_bitmap);
	governed(VMCS_vm_function_controls, proc2 & PROC2_VMFUNC, 0);
	governed(VMCS_preemption_timer_value, v12->pin_controls & PIN_PREEMPTION_TIMER,
		 v12->preemption_timer_value);
	if (v12->proc_controls & PROC_TPR_SHADOW)
		IS(tpr_threshold, v12->tpr_threshold);
	governed(VMCS_guest_intr_status, proc2 & PROC2_VIRTUAL_INTERRUPT, v12->guest_intr_status);
	if (!(v12->proc_controls & PROC_IO_BITMAPS))
		assert_int_equal(writes02(VMCS_io_bitmap_a) + writes02(VMCS_io_bitmap_b), 0);
	if (options.vpid)
		assert_true(machine_field(VMCS_vpid) == known02_vpid(machine_vcpu->nested.current) &&
			    machine_field(VMCS_vpid) > VPID_L1 && machine_field(VMCS_vpid) < 0x8000);
	else
		assert_int_equal(writes02(VMCS_vpid), 0);
	IS(vmcs_link_pointer, ~0ull);
	IS(entry_msr_load_count, 0);
	IS(exit_msr_load_count, 0);
	IS(exit_msr_store_count, 0);
}

static void check_cr(const struct vmcs12 *v12)
{
	bool all = vcpu_intercepts_cr(machine_vcpu);
	u64 mask0 = v12->cr0_guest_host_mask, mask4 = v12->cr4_guest_host_mask;
	u64 defined = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	u64 own0 = (v12->guest_cr0 & defined) | CR0_ET | l1.cache_bits;

	IS(cr0_guest_host_mask, all ? ~0ull : mask0);
	if (all)
		IS(cr4_guest_host_mask, ~0ull);
	else
		is("CR4's mask", machine_field(VMCS_cr4_guest_host_mask) & (mask4 | CR4_PGE | CR4_CET),
		   mask4 | (vmx_caps.cr4_fixed1 & CR4_CET) | (mask4 & CR4_PGE));
	IS(cr0_read_shadow, (v12->cr0_read_shadow & mask0) | (own0 & ~mask0));
	IS(cr4_read_shadow, (v12->cr4_read_shadow & mask4) | (v12->guest_cr4 & ~mask4));
	IS(guest_cr3, v12->guest_cr3);
	IS(guest_cr4, v12->guest_cr4);
	IS(guest_cr0, own0);
}

static void check_state(const struct vmcs12 *v12, u64 proc2)
{
	u64 entry = v12->entry_controls, lma = entry & ENTRY_IA32E_GUEST ? EFER_LMA | EFER_LME : 0;
	bool checks_bs = v12->guest_activity_state == ACTIVITY_HLT ||
			 (v12->guest_interruptibility & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS));
	u64 debugctl = l1.debugctl, pae = CR4_PAE;

	if ((v12->guest_rflags & RFLAGS_TF) && checks_bs)
		debugctl = (debugctl & ~(u64)DEBUGCTL_BTF) | (v12->guest_debugctl & DEBUGCTL_BTF);
	IS(guest_debugctl, entry & ENTRY_LOAD_DEBUG ? v12->guest_debugctl : debugctl);
	IS(guest_dr7, entry & ENTRY_LOAD_DEBUG ? (v12->guest_dr7 & ~0xd000ull) | 0x400 : l1.dr7);
	IS(guest_pat, entry & ENTRY_LOAD_PAT ? v12->guest_pat : l1.pat);
	IS(guest_efer, entry & ENTRY_LOAD_EFER ? v12->guest_efer : (l1.efer & EFER_KEPT) | lma);
	IS(guest_rsp, v12->guest_rsp);
	IS(guest_rip, v12->guest_rip);
	IS(guest_rflags, v12->guest_rflags);
	IS(guest_cs_ar, v12->guest_cs_ar);
	IS(guest_ss_ar, v12->guest_ss_ar);
	IS(guest_activity_state, v12->guest_activity_state);
	IS(guest_pending_debug, v12->guest_pending_debug);
	if ((proc2 & PROC2_EPT) && !lma && (v12->guest_cr4 & pae))
		for (u32 n = 0; n < 4; n++)
			is("a PDPTE", machine_field(VMCS_guest_pdpte0 + 2 * n), (&v12->guest_pdpte0)[n]);
}

static void check_injected(const struct vmcs12 *v12)
{
	u32 info = (u32)v12->entry_intr_info;
	bool nmi = (info & (INTR_INFO_VALID | INTR_INFO_TYPE)) == (INTR_INFO_VALID | INTR_TYPE_NMI << 8);
	bool blocks = (v12->pin_controls & PIN_NMI_EXITING) && !(v12->pin_controls & PIN_VIRTUAL_NMIS);

	is("the event", machine_pending(), info & INTR_INFO_VALID ? info : 0);
	if (info & INTR_INFO_VALID)
		is("its type", machine_vcpu->pending.type, (info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT);
	if ((info & INTR_INFO_VALID) && (info & INTR_INFO_ERROR_CODE))
		IS(entry_exception_error_code, v12->entry_exception_error_code);
	if ((info & INTR_INFO_VALID) && (info & INTR_INFO_TYPE) == INTR_TYPE_SOFT_INTERRUPT << 8)
		IS(entry_instruction_length, v12->entry_instruction_length);
	IS(guest_interruptibility, v12->guest_interruptibility & ~(nmi ? (u64)INTERRUPTIBILITY_NMI : 0));
	is("NMI blocking till the exit", machine_vcpu->nested.current->nmi_blocked,
	   blocks && (nmi || (v12->guest_interruptibility & INTERRUPTIBILITY_NMI)));
}

static void check_pages(const struct vmcs12 *v12)
{
	const u64 *merged = (const u64 *)(fake_memory + machine_field(VMCS_msr_bitmap));
	const u64 *own = (const u64 *)(fake_memory + P_MSR12), *l0 = machine_vcpu->vm->msr_bitmap01;

	for (u32 n = 0; n < PAGE_SIZE / 8; n++)
		if (merged[n] != ~0ull)
			is("the MSR bitmap", merged[n],
			   v12->proc_controls & PROC_MSR_BITMAPS ? own[n] | l0[n] : ~0ull);
	if (!(v12->proc_controls & PROC_IO_BITMAPS))
		return;
	for (u32 half = 0; half < 2; half++) {
		merged = (const u64 *)(fake_memory +
				       machine_field(half ? VMCS_io_bitmap_b : VMCS_io_bitmap_a));
		own = (const u64 *)(fake_memory + P_IO12 + half * PAGE_SIZE);
		for (u32 n = 0; n < PAGE_SIZE / 8; n++)
			is("the I/O bitmap", merged[n] & own[n], own[n]);
	}
}

/* What is written only if it changes, while L1 does not touch the controls: each costs each entry. */
static const u32 kept[] = { VMCS_pin_controls,
			    VMCS_proc_controls,
			    VMCS_proc2_controls,
			    VMCS_exit_controls,
			    VMCS_entry_controls,
			    VMCS_exception_bitmap,
			    VMCS_cr0_read_shadow,
			    VMCS_cr4_read_shadow,
			    VMCS_tpr_threshold,
			    VMCS_cr0_guest_host_mask,
			    VMCS_cr4_guest_host_mask,
			    VMCS_ept_pointer,
			    VMCS_vpid,
			    VMCS_vmcs_link_pointer,
			    VMCS_host_rsp };

static void check_writes(const u64 *before)
{
	u64 vmcs02 = machine_vcpu->nested.current->vmcs02.region.v;

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (before[i] == fake_get(vmcs02, kept[i]) && fake_writes_of(vmcs02, kept[i]))
			fail_msg("field %x is written again", kept[i]);
}

static void remember(u64 *before)
{
	u64 vmcs02 = machine_vcpu->nested.current->vmcs02.region.v;

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		before[i] = fake_get(vmcs02, kept[i]);
}

/* A VMCS that was cleared may hold anything: what Socle counts on it has written. */
static void scramble(void)
{
	static const u32 fields[] = { VMCS_vm_function_controls,
				      VMCS_exit_msr_store_count,
				      VMCS_exit_msr_load_count,
				      VMCS_entry_msr_load_count,
				      VMCS_entry_intr_info,
				      VMCS_tpr_threshold,
				      VMCS_cr0_read_shadow,
				      VMCS_cr4_read_shadow,
				      VMCS_entry_controls,
				      VMCS_ept_pointer,
				      VMCS_vpid,
				      VMCS_guest_intr_status,
				      VMCS_proc_controls,
				      VMCS_vmcs_link_pointer };
	struct nested_vmcs *slot = machine_vcpu->nested.current;

	if (!slot->entered)
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			fake_set(slot->vmcs02.region.v, fields[i], 0x8001);
}

static const struct vmcs12 *enter(bool controls)
{
	u64 before[ARRAY_SIZE(kept)];
	struct nested_vmcs *slot = machine_vcpu->nested.current;
	bool again = slot->entered && !controls;

	/* an exit has cleared it */
	machine_set_field(VMCS_guest_debugctl, PICK(0, 1, 3));
	scramble();
	look_at_l1();
	remember(before);
	fake_log_clear();
	l1_enter(slot->v12.launched ? EXIT_VMRESUME : EXIT_VMLAUNCH);
	if (!machine_in_l2())
		return NULL;
	if (again)
		check_writes(before);
	return &slot->v12;
}

static void entries_are_merged_as_described(void **state UNUSED)
{
	unsigned int entered = 0, opened = 0;
	bool touched[2] = { true, true }; /* the controls, since the last entry */

	l1_start_vmx();
	for (unsigned int n = 0; n < 2; n++) {
		l1_load_vmcs(n);
		l1_write_valid_vmcs();
		W(ept_pointer, P_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
		W(vpid, 5 + n);
		W(msr_bitmap, P_MSR12);
		W(io_bitmap_a, P_IO12);
		W(io_bitmap_b, P_IO12 + 0x1000);
		W(virtual_apic_addr, P_APIC12);
	}
	for (unsigned int n = 0; n < ENTRIES; n++) {
		unsigned int which = n / 5 % 2;
		bool controls = n < 10 || !(rnd() % 4);
		const struct vmcs12 *v12;
		u64 proc2;

		if (n % 5 == 0) {
			if (!(rnd() % 8)) {
				assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(which)), 0);
				touched[which] = true;
			}
			assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(which)), 0);
		}
		touched[which] |= controls;
		if (controls)
			choose_controls();
		/* the control that changes in every other entry */
		if (!controls && !(rnd() % 4))
			W(proc_controls, l2_v12()->proc_controls ^ PROC_INTERRUPT_WINDOW);
		if (controls || rnd() % 8)
			choose_guest();
		choose_event();
		choose_pages();
		v12 = enter(touched[which]);
		touched[which] = !v12;
		if (!v12)
			continue;
		entered++;
		proc2 = v12->proc_controls & PROC_SECONDARY ? v12->proc2_controls : 0;
		check_rows(v12);
		check_controls02(v12, proc2);
		check_cr(v12);
		check_state(v12, proc2);
		check_injected(v12);
		check_pages(v12);
		if ((v12->proc_controls & PROC_MSR_BITMAPS) &&
		    l2_uses_msr_of_word(P_MSR12, (u32)(rnd() % 512)))
			opened++;
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_false(machine_in_l2());
	}
	if (entered < ENTRIES / 3 || opened < ENTRIES / 20)
		fail_msg("only %u entries, %u opened words", entered, opened);
}

static void without_pause_loops(void)
{
	fake_remove_field(VMCS_ple_gap);
	fake_remove_field(VMCS_ple_window);
	fake_msr_set(MSR_IA32_VMX_PROCBASED_CTLS2,
		     fake_msr_get(MSR_IA32_VMX_PROCBASED_CTLS2) & ~((u64)PROC2_PAUSE_LOOP_EXITING << 32));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(entries_are_merged_as_described),
		MACHINE_TEST(entries_are_merged_as_described, "intercept=cr"),
		MACHINE_TEST(entries_are_merged_as_described, "vpid=off"),
		MACHINE_TEST_BEFORE(entries_are_merged_as_described, "shadow-vmcs=on", without_pause_loops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
