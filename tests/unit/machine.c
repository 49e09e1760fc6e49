/* SPDX-License-Identifier: MIT */
/*
 * See machine.h.
 */
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot/l1.h"
#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/x86.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "vmx/gdb/gdb.h"
#include "vmx/monitor/live.h"
#include "vmx/monitor/monitor.h"
#include "vmx/monitor/step.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/exits.h"
#include "vmx/l1/vm.h"
#include "vmx/hw/vmx_cpu.h"

struct vcpu *machine_vcpu;
void (*machine_before_start)(void);
void (*machine_more_memory)(void);
u32 machine_injected, machine_injected_error_code;
u32 machine_refusals, machine_refusal;

static const struct machine_exit *next_exit;
static bool exited;
static jmp_buf back;

u64 l1_read64(u64 gpa)
{
	u64 value;

	memcpy(&value, fake_memory + gpa, sizeof(value));
	return value;
}

void l1_write64(u64 gpa, u64 value)
{
	memcpy(fake_memory + gpa, &value, sizeof(value));
}

void l1_write32(u64 gpa, u32 value)
{
	memcpy(fake_memory + gpa, &value, sizeof(value));
}

u64 machine_field(u32 field)
{
	return fake_get(fake_current_vmcs(), field);
}

/* Of these two, the guest's WRMSR exits, and so L0 knows of it. */
static void note_known(struct vmcs *vmcs, u32 field, u64 value)
{
	if (field == VMCS_guest_pat)
		vmcs->pat = value;
	if (field == VMCS_guest_debugctl)
		vmcs->debugctl = value;
}

void machine_set_field(u32 field, u64 value)
{
	fake_set(fake_current_vmcs(), field, value);
	if (machine_vcpu && machine_vcpu->vmcs && machine_vcpu->vmcs->region.v == fake_current_vmcs())
		note_known(machine_vcpu->vmcs, field, value);
}

u64 machine_field01(u32 field)
{
	return fake_get(machine_vcpu->vmcs01.region.v, field);
}

bool machine_in_l2(void)
{
	return machine_vcpu->nested.in_l2;
}

/* What the processor leaves in the VMCS when the guest exits. */
static void put_exit(const struct machine_exit *e)
{
	u64 blocked = machine_field(VMCS_guest_interruptibility) & INTERRUPTIBILITY_MOV_SS;

	/* An instruction's own exit: the guest was active, and nothing was pending but behind MOV SS. */
	if (exit_facts(e->reason & 0xffff) & FACT_INSN) {
		machine_set_field(VMCS_guest_activity_state, ACTIVITY_ACTIVE);
		if (!blocked)
			machine_set_field(VMCS_guest_pending_debug, 0);
	}
	machine_set_field(VMCS_exit_reason, e->reason);
	machine_set_field(VMCS_exit_qualification, e->qualification);
	machine_set_field(VMCS_exit_instruction_length, e->length ? e->length : 3);
	machine_set_field(VMCS_exit_instruction_info, e->info);
	machine_set_field(VMCS_exit_intr_info, e->intr_info);
	machine_set_field(VMCS_exit_intr_error_code, e->intr_error_code);
	machine_set_field(VMCS_idt_vectoring_info, e->vectoring_info);
	machine_set_field(VMCS_idt_vectoring_error_code, e->vectoring_error_code);
	machine_set_field(VMCS_guest_physical_address, e->guest_physical);
	machine_set_field(VMCS_guest_linear_address, e->guest_linear);
}

static enum enter_result step(struct vcpu *vcpu)
{
	/* Nothing of L0's is in the buffers behind the flush. */
	if (vcpu->vmcs->flushes)
		assert_true(fake_verws && fake_work == fake_work_at_verw);
	if (exited && machine_refusals) {
		machine_refusals--;
		machine_set_field(VMCS_vm_instruction_error, machine_refusal);
		return ENTER_FAIL_VALID;
	}
	if (exited)
		longjmp(back, 1);
	exited = true;
	machine_injected = (u32)machine_field(VMCS_entry_intr_info);
	machine_injected_error_code = (u32)machine_field(VMCS_entry_exception_error_code);
	if (!(machine_injected & INTR_INFO_VALID))
		machine_injected = 0;
	if (!(next_exit->reason & EXIT_REASON_ENTRY_FAILURE))
		machine_set_field(VMCS_entry_intr_info, machine_injected & ~(u32)INTR_INFO_VALID);
	put_exit(next_exit);
	return ENTER_EXITED;
}

void machine_exit(const struct machine_exit *exit)
{
	next_exit = exit;
	exited = false;
	fake_enter = step;
	if (!setjmp(back))
		vcpu_run(machine_vcpu);
}

u32 machine_pending(void)
{
	u32 info = (u32)machine_field(VMCS_entry_intr_info);

	return info & INTR_INFO_VALID ? info : 0;
}

/* Identity map of 4 GiB in 1 GiB pages; 64-bit mode. */
static void to_long_mode(void)
{
	u64 cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_WP, cr4 = CR4_PAE | CR4_VMXE;

	l1_write64(0x1000, 0x2000 | PTE_P | PTE_W | PTE_A);
	for (u64 i = 0; i < 4; i++)
		l1_write64(0x2000 + i * 8, i << 30 | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);
	machine_set_field(VMCS_guest_cr0, cr0);
	machine_set_field(VMCS_cr0_read_shadow, machine_vcpu->l1.cr0_shadow = cr0);
	machine_set_field(VMCS_guest_cr4, cr4);
	machine_set_field(VMCS_cr4_read_shadow, machine_vcpu->l1.cr4_shadow = cr4);
	machine_set_field(VMCS_guest_cr3, 0x1000);
	machine_set_field(VMCS_guest_efer, EFER_LME | EFER_LMA);
	machine_set_field(VMCS_entry_controls, machine_field(VMCS_entry_controls) | ENTRY_IA32E_GUEST);
	machine_set_field(VMCS_guest_cs_ar, 0xa09b);
	machine_set_field(VMCS_guest_rip, 0x200000);
}

void machine_init(const char *options_line)
{
	static const struct l1_start start = { .eip = 0x100000,
					       .code_selector = 0x10,
					       .data_selector = 0x18 };

	fake_reset();
	if (machine_before_start)
		machine_before_start();
	if (cmdline_parse(options_line) != STATUS_OK)
		abort();
	memmap_init();
	memmap_add(0, M_RAM_END, MEMMAP_USABLE);
	memmap_add_window(M_WINDOW, M_WINDOW_SIZE);
	if (machine_more_memory)
		machine_more_memory();
	page_alloc_init();
	page_alloc_add(M_WINDOW, M_WINDOW_SIZE, PAGE_ALLOC_ANY);
	if (caps_init() != STATUS_OK || vmx_cpu_init() != STATUS_OK)
		abort();
	vm_probe_cpu(true);
	monitor_open();
	gdb_open();
	live_open();
	step_init();
	if (vm_init() != STATUS_OK)
		abort();
	nested_caps_init();
	machine_vcpu = vcpu_create(&fake_cpu, &vm, &start);
	EXIT_NOW(.reason = EXIT_CPUID);
	to_long_mode();
}

/* ---- VMX instructions ---- */

static int outcome(bool was_l2)
{
	u32 injected = machine_pending();
	u64 rflags = machine_field(VMCS_guest_rflags);
	u64 error;

	if (machine_in_l2() != was_l2)
		return 0;
	if (injected)
		return L1_FAULT(injected & INTR_INFO_VECTOR);
	if (rflags & RFLAGS_CF)
		return L1_FAIL_INVALID;
	if (!(rflags & RFLAGS_ZF))
		return 0;
	l1_vmread(VMCS_vm_instruction_error, &error);
	return (int)error;
}

static int execute(const struct machine_exit *exit)
{
	bool was_l2 = machine_in_l2();

	machine_exit(exit);
	return outcome(was_l2);
}

int l1_memory_insn(u32 reason, u64 operand)
{
	l1_write64(M_OPERAND, operand);
	return execute(&(const struct machine_exit){
		.reason = reason, .qualification = M_OPERAND, .info = INFO_MEMORY });
}

int l1_vmptrst(u64 *value)
{
	int result = l1_memory_insn(EXIT_VMPTRST, 0x1234);

	*value = l1_read64(M_OPERAND);
	return result;
}

int l1_vmxoff(void)
{
	return execute(&(const struct machine_exit){ .reason = EXIT_VMXOFF });
}

int l1_invalidate(u32 reason, u64 type, u64 first, u64 second)
{
	l1_write64(M_OPERAND + 8, second);
	l1_write64(M_OPERAND, first);
	machine_vcpu->gpr[GPR_RCX] = type;
	return execute(&(const struct machine_exit){
		.reason = reason, .qualification = M_OPERAND, .info = INFO_MEMORY | GPR_RCX << 28 });
}

int l1_enter(u32 reason)
{
	return execute(&(const struct machine_exit){ .reason = reason });
}

/* Would the processor do it without an exit? */
static bool is_shadowed(u64 field, u32 bitmap_field)
{
	u64 bitmap;

	if (machine_in_l2() || !(machine_field(VMCS_proc2_controls) & PROC2_VMCS_SHADOWING) || field >> 15)
		return false;
	bitmap = machine_field(bitmap_field);
	return !(fake_memory[bitmap + field / 8] & (1u << (field % 8)));
}

int l1_vmread(u64 field, u64 *value)
{
	int result;

	if (is_shadowed(field, VMCS_vmread_bitmap)) {
		u64 link = machine_field(VMCS_vmcs_link_pointer);

		if (link == ~0ull)
			return L1_FAIL_INVALID;
		*value = fake_get(link, (u32)field & ~1u) >> (field & 1 ? 32 : 0);
		return 0;
	}
	/* not in RCX, which the trace takes for an exit of which it knows no better */
	machine_vcpu->gpr[GPR_RDX] = field;
	machine_vcpu->gpr[GPR_RBX] = 0x5a5a5a5a;
	result = execute(&(const struct machine_exit){ .reason = EXIT_VMREAD,
						       .info = INFO_REGISTERS(GPR_RBX, GPR_RDX) });
	*value = machine_vcpu->gpr[GPR_RBX];
	return result;
}

int l1_vmwrite(u64 field, u64 value)
{
	if (is_shadowed(field, VMCS_vmwrite_bitmap)) {
		u64 link = machine_field(VMCS_vmcs_link_pointer);

		if (link == ~0ull)
			return L1_FAIL_INVALID;
		fake_set(link, (u32)field, value);
		return 0;
	}
	machine_vcpu->gpr[GPR_RDX] = field;
	machine_vcpu->gpr[GPR_RBX] = value;
	return execute(&(const struct machine_exit){ .reason = EXIT_VMWRITE,
						     .info = INFO_REGISTERS(GPR_RBX, GPR_RDX) });
}

static void must(int result)
{
	if (result) {
		fprintf(stderr, "L1's VMX instruction failed: %d; log:\n%s\n", result, fake_log());
		abort();
	}
}

void l1_start_vmx(void)
{
	l1_write32(M_VMXON, VMCS12_REVISION);
	must(l1_memory_insn(EXIT_VMXON, M_VMXON));
}

void l1_load_vmcs(unsigned int n)
{
	l1_write32(M_VMCS(n), VMCS12_REVISION);
	must(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(n)));
	must(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(n)));
}

#define W(field, value) must(l1_vmwrite(VMCS_##field, value))

static void write_segments(void)
{
	for (u32 n = 0; n < 6; n++) {
		must(l1_vmwrite(VMCS_guest_es_selector + 2 * n, n == SEG_CS ? 8 : 0x10));
		must(l1_vmwrite(VMCS_guest_es_limit + 2 * n, 0xffffffff));
		must(l1_vmwrite(VMCS_guest_es_ar + 2 * n, n == SEG_CS ? 0xa09b : 0xc093));
	}
	W(guest_ldtr_ar, AR_UNUSABLE);
	W(guest_tr_selector, 0x18);
	W(guest_tr_limit, 0x67);
	W(guest_tr_ar, 0x8b);
	W(guest_gdtr_limit, 0xffff);
	W(guest_idtr_limit, 0xffff);
}

void l1_write_valid_vmcs(void)
{
	W(pin_controls, caps12.pin.allowed0);
	W(proc_controls, caps12.proc.allowed0 | PROC_SECONDARY | PROC_HLT_EXITING);
	W(proc2_controls, 0);
	W(exit_controls, caps12.exit.allowed0 | EXIT_HOST_64 | EXIT_SAVE_EFER | EXIT_LOAD_EFER);
	W(entry_controls, caps12.entry.allowed0 | ENTRY_IA32E_GUEST | ENTRY_LOAD_EFER);
	W(vmcs_link_pointer, ~0ull);
	W(host_cr0, CR0_PE | CR0_PG | CR0_NE | CR0_WP | CR0_ET);
	W(host_cr3, 0x1000);
	W(host_cr4, CR4_PAE | CR4_VMXE);
	W(host_efer, EFER_LME | EFER_LMA);
	W(host_cs_selector, 0x10);
	W(host_ss_selector, 0x18);
	W(host_ds_selector, 0x18);
	W(host_es_selector, 0x18);
	W(host_tr_selector, 0x20);
	W(host_rip, 0x300000);
	W(host_rsp, 0x310000);
	W(guest_cr0, CR0_PE | CR0_PG | CR0_NE | CR0_WP | CR0_ET);
	W(guest_cr3, 0x1000);
	W(guest_cr4, CR4_PAE | CR4_VMXE);
	W(guest_efer, EFER_LME | EFER_LMA);
	W(guest_rflags, RFLAGS_FIXED1);
	W(guest_rip, 0x400000);
	W(guest_rsp, 0x410000);
	W(guest_dr7, DR7_RESET);
	write_segments();
}

void l1_run_l2(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	must(l1_enter(EXIT_VMLAUNCH));
	if (!machine_in_l2())
		must(-100);
}

static int run_in_child(const struct machine_test *test)
{
	const struct CMUnitTest one[] = { { "body", test->body, NULL, NULL, NULL } };

	machine_before_start = test->before_start;
	machine_init(test->options);
	cmocka_set_message_output(CM_OUTPUT_SUBUNIT);
	return cmocka_run_group_tests(one, NULL, NULL);
}

void machine_test_run(void **state)
{
	const struct machine_test *test = *state;
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		exit(run_in_child(test));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

struct vcpu *machine_exit_in_hand(u32 reason, u64 qualification)
{
	struct vcpu *vcpu = machine_vcpu;

	assert_true(vcpu->nested.in_l2);
	regcache_flush(&vcpu->vmcs->cache);
	regcache_reset(&vcpu->vmcs->cache);
	vcpu->exit_reason = reason;
	machine_set_field(VMCS_exit_qualification, qualification);
	return vcpu;
}
