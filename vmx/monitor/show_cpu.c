/* SPDX-License-Identifier: MIT */
/*
 * The state of CPUs: registers, L1's last failed entry. VMCSs are show_vmcs.c's.
 */
#include "kernel/hw/cpu.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vmx/hw/exits.h"
#include "vmx/monitor/command.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/output.h"
#include "vmx/monitor/view.h"
#include "vmx/nested/explain/paragraph.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* What another CPU's cache holds, if it does: it stands still. */
static u64 cached(const struct vcpu *vcpu, enum reg reg)
{
	u64 value = 0;

	regcache_knows(&vcpu->vmcs->cache, reg, &value);
	return value;
}

bool command_cpus(struct vcpu *vcpu, const struct words *words)
{
	(void)vcpu;
	for (u32 i = 0; i < percpu_count(); i++) {
		const struct vcpu *each = percpu_get(i)->vcpu;

		if (!control_has_stopped(i))
			output("cpu %u: apic-id %x runs, or waits for a SIPI", i, percpu_get(i)->apic_id);
		else
			output("cpu %u: apic-id %x %s rip %llx last-exit %s%s", i, percpu_get(i)->apic_id,
			       view_who_runs(each), LL(cached(each, REG_RIP)),
			       exit_reason_name(each->exit_reason & 0xffff),
			       i == control_turn() ? " (this)" : "");
	}
	return words->count == 1;
}

/* ---- regs ---- */

static void show_general(struct vcpu *vcpu)
{
	static const char names[GPR_COUNT][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
						  "r8",	 "r9",	"r10", "r11", "r12", "r13", "r14", "r15" };

	for (unsigned int i = 0; i < GPR_COUNT; i += 4)
		output("%s %llx %s %llx %s %llx %s %llx", names[i], LL(vcpu_gpr(vcpu, i)), names[i + 1],
		       LL(vcpu_gpr(vcpu, i + 1)), names[i + 2], LL(vcpu_gpr(vcpu, i + 2)), names[i + 3],
		       LL(vcpu_gpr(vcpu, i + 3)));
}

#define FIELD(name) LL(view_field(view, VMCS_guest_##name))
#define HOST(name) LL(view_field(view, VMCS_host_##name))

static void show_guest_state(const struct view *view)
{
	static const char segments[SEG_COUNT][5] = { "es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr" };

	output("rip %llx rsp %llx rflags %llx", FIELD(rip), FIELD(rsp), FIELD(rflags));
	output("cr0 %llx cr3 %llx cr4 %llx efer %llx dr7 %llx", FIELD(cr0), FIELD(cr3), FIELD(cr4),
	       FIELD(efer), FIELD(dr7));
	output("activity %llx interruptibility %llx pending-debug %llx", FIELD(activity_state),
	       FIELD(interruptibility), FIELD(pending_debug));
	for (u32 i = 0; i < SEG_COUNT; i++)
		output("%s %llx base %llx limit %llx ar %llx", segments[i],
		       LL(view_field(view, VMCS_guest_es_selector + 2 * i)),
		       LL(view_field(view, VMCS_guest_es_base + 2 * i)),
		       LL(view_field(view, VMCS_guest_es_limit + 2 * i)),
		       LL(view_field(view, VMCS_guest_es_ar + 2 * i)));
	output("gdtr base %llx limit %llx idtr base %llx limit %llx", FIELD(gdtr_base), FIELD(gdtr_limit),
	       FIELD(idtr_base), FIELD(idtr_limit));
}

/* L1 while L2 runs: as L2's next exit will load it. */
static void show_host_state(const struct view *view)
{
	output("rip %llx rsp %llx (the host state of vmcs12)", HOST(rip), HOST(rsp));
	output("cr0 %llx cr3 %llx cr4 %llx efer %llx", HOST(cr0), HOST(cr3), HOST(cr4), HOST(efer));
	output("cs %llx ss %llx ds %llx es %llx fs %llx gs %llx tr %llx", HOST(cs_selector),
	       HOST(ss_selector), HOST(ds_selector), HOST(es_selector), HOST(fs_selector), HOST(gs_selector),
	       HOST(tr_selector));
	output("fs-base %llx gs-base %llx tr-base %llx gdtr-base %llx idtr-base %llx", HOST(fs_base),
	       HOST(gs_base), HOST(tr_base), HOST(gdtr_base), HOST(idtr_base));
}

bool command_regs(struct vcpu *vcpu, const struct words *words)
{
	bool in_l2 = vcpu->guest->level == 2, l2 = in_l2;
	struct view view;

	if (words->count > 2)
		return false;
	if (words->count == 2) {
		l2 = !strcmp(words->word[1], "l2");
		if (!l2 && strcmp(words->word[1], "l1"))
			return false;
	}
	if (!view_begin(&view, vcpu, l2 == in_l2 ? (l2 ? VIEW_02 : VIEW_01) : VIEW_12))
		return true;
	output("cpu %u: %s, which %s", vcpu->cpu->id, l2 ? "L2" : "L1",
	       l2 == in_l2 ? "runs" : "does not run");
	if (l2 || !in_l2)
		show_guest_state(&view);
	else
		show_host_state(&view);
	view_end(&view);
	if (l2 == in_l2)
		show_general(vcpu);
	return true;
}

bool command_why(struct vcpu *vcpu, const struct words *words)
{
	const struct check_failure *failure = &vcpu->nested.failure;
	const struct nested_vmcs *slot = vcpu->nested.current;
	char buffer[768];
	struct text text = { buffer, sizeof(buffer), 0 };

	if (failure->rule >= RULE_COUNT) {
		output("cpu %u: no VM entry and no VMX instruction of L1's has failed", vcpu->cpu->id);
	} else {
		if (failure->field != RULE_NO_FIELD)
			paragraph_field(&text, failure->field, failure->value, &caps12);
		else
			text_add(&text, "  about  %llx\n", LL(failure->value));
		paragraph_rule(&text, failure->rule);
		if (failure->field != RULE_NO_FIELD)
			paragraph_wrong(&text, failure);
		output("cpu %u: the last that failed", vcpu->cpu->id);
		output_text(buffer, text.used);
	}
	if (slot)
		output("vm-instruction error of the current VMCS: %llu", LL(slot->v12.vm_instruction_error));
	return words->count == 1;
}
