/* SPDX-License-Identifier: MIT */
/*
 * When something is said, and how a paragraph begins and ends; what it says of a field and a rule is
 * paragraph.c's. A rule is told once per vCPU (explain=first) or always, but no two paragraphs of a CPU come
 * within 100 ms, and none waits for another CPU that is writing: what is not told is counted, and told when
 * it comes again.
 */
#include "vmx/nested/explain/explain.h"

#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/pace.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"
#include "vmx/hw/exits.h"
#include "vmx/nested/explain/paragraph.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/vmcs12.h"

struct paragraph {
	struct text text;
	enum rule rule;
	char buffer[EXPLAIN_TEXT_MAX];
};

COLD void explain_init(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(vcpu->nested.explain.told); i++)
		vcpu->nested.explain.told[i] = options.explain == EXPLAIN_OFF ? ~0ull : 0;
	vcpu->nested.failure.rule = RULE_COUNT;
	vcpu->nested.explain.held.vmcs = NO_VMCS;
}

/* False: nothing is to be said now. */
static COLD bool begin(struct vcpu *vcpu, struct paragraph *p, enum rule rule)
{
	struct explain *explain = &vcpu->nested.explain;

	/* An abort is told at once, for it may be the last thing that happens on this CPU. */
	if (!explain_is_open(vcpu, rule) ||
	    (!pace_allows(&explain->next) && rule_rows[rule].outcome != REFUSED_ABORT)) {
		explain->untold++;
		return false;
	}
	p->rule = rule;
	p->text = (struct text){ p->buffer, sizeof(p->buffer), 0 };
	text_add(&p->text, "cpu %u: ", vcpu->cpu->id);
	return true;
}

static COLD void end(struct vcpu *vcpu, struct paragraph *p)
{
	struct explain *explain = &vcpu->nested.explain;

	if (explain->untold)
		text_add(&p->text, "  more   %u refusals before this one were only counted\n",
			 explain->untold);
	if (!log_try_text(p->text.buffer, p->text.used)) {
		explain->untold++;
		return;
	}
	pace_rest(&explain->next);
	explain->untold = 0;
	if (options.explain == EXPLAIN_FIRST || rule_rows[p->rule].outcome == REFUSED_ABORT)
		explain->told[p->rule / 64] |= BIT(p->rule % 64);
}

/* L1's instruction that exited last; vmcs02 may be current. 0: not known. */
static u64 rip_of_l1(struct vcpu *vcpu)
{
	u64 rip = 0;

	regcache_knows(&vcpu->vmcs01.cache, REG_RIP, &rip);
	return rip;
}

static void add_vmcs(struct text *text, const struct nested_vmcs *slot)
{
	if (slot)
		text_add(text, "  vmcs   0x%llx\n", (unsigned long long)slot->gpa);
}

/* Where L1 last wrote the field, if that is among the last exits. */
static void add_writer(struct vcpu *vcpu, struct text *text, unsigned int field)
{
	for (u32 back = 1; back < TRACE_COUNT; back++) {
		const struct trace_event *entry = vcpu_trace(vcpu, back);

		if (entry->level != 1 || entry->reason != EXIT_VMWRITE ||
		    (entry->subject & ~1ull) != vmcs12_fields[field].encoding)
			continue;
		text_add(text, "  write  VMWRITE of the field at 0x%llx, %u exits ago\n",
			 (unsigned long long)entry->rip, back);
		return;
	}
}

/* ---- VMX instructions ---- */

COLD void explain_note(struct vcpu *vcpu, enum rule rule, u64 value)
{
	vcpu->nested.failure =
		(struct check_failure){ .rule = (u16)rule, .field = RULE_NO_FIELD, .value = value };
}

static void add_outcome(struct text *text, unsigned int outcome)
{
	switch (outcome) {
	case REFUSED_INVALID: text_add(text, "VMfailInvalid (CF is 1)"); break;
	case REFUSED_UD: text_add(text, "#UD"); break;
	case REFUSED_GP: text_add(text, "#GP(0)"); break;
	case REFUSED_FAULT: text_add(text, "an exception"); break;
	default: text_add(text, "VM-instruction error %u", outcome);
	}
}

/* The field that an encoding names, or might have named. */
static void add_encoding(struct text *text, u64 encoding)
{
	int row = encoding >> 15 ? -1 : vmcs12_find((u32)encoding & ~1u);

	text_add(text, "  field  encoding %llx%s%s\n", (unsigned long long)encoding, row < 0 ? "" : ": ",
		 row < 0 ? "" : vmcs12_fields[row].name);
}

static void add_value(struct text *text, const struct check_failure *f)
{
	switch (f->rule) {
	case RULE_field_unknown:
	case RULE_field_read_only: add_encoding(text, f->value); break;
	case RULE_vmxon_revision:
	case RULE_vmptrld_revision:
		text_add(text, "  value  %llx, where L1's IA32_VMX_BASIC says %x\n",
			 (unsigned long long)f->value, VMCS12_REVISION);
		break;
	default:
		if (f->value)
			text_add(text, "  value  %llx\n", (unsigned long long)f->value);
	}
}

COLD void explain_refusal(struct vcpu *vcpu)
{
	const struct check_failure *f = &vcpu->nested.failure;
	struct paragraph p;

	/* A rule of VM entry has been explained when its check failed. */
	if (f->rule >= RULE_COUNT || f->field != RULE_NO_FIELD || f->rule == RULE_late_controls ||
	    !begin(vcpu, &p, f->rule))
		return;
	text_add(&p.text, "%s at 0x%llx refused: ", exit_reason_name(vcpu->exit_reason & 0xffff),
		 (unsigned long long)vcpu_reg(vcpu, REG_RIP));
	add_outcome(&p.text, rule_rows[f->rule].outcome);
	text_add(&p.text, "\n");
	add_value(&p.text, f);
	paragraph_rule(&p.text, f->rule);
	add_vmcs(&p.text, vcpu->nested.current);
	end(vcpu, &p);
}

/* ---- VM entry ---- */

static const char *entry_name(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	u32 reason = vcpu->exit_reason & 0xffff;
	bool launch = slot->launching;

	/* A late failure comes when vmcs02 has been tried, and may have exited. */
	if (reason == EXIT_VMLAUNCH || reason == EXIT_VMRESUME)
		launch = reason == EXIT_VMLAUNCH;

	return launch ? "VMLAUNCH" : "VMRESUME";
}

static void add_entry(struct vcpu *vcpu, struct text *text, const struct nested_vmcs *slot)
{
	text_add(text, "%s at 0x%llx ", entry_name(vcpu, slot), (unsigned long long)rip_of_l1(vcpu));
}

COLD void explain_entry(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	static const char *const stages[] = {
		[STAGE_CONTROLS] = "refused: VM-instruction error 7, control fields\n",
		[STAGE_HOST] = "refused: VM-instruction error 8, host-state fields\n",
	};
	const struct check_failure *f = &vcpu->nested.failure;
	unsigned int stage = section_rows[rule_rows[f->rule].section].stage;
	struct paragraph p;

	if (!begin(vcpu, &p, f->rule))
		return;
	add_entry(vcpu, &p.text, slot);
	if (stage < ARRAY_SIZE(stages))
		text_add(&p.text, "%s", stages[stage]);
	else
		text_add(&p.text, "failed: exit reason 33, qualification %u, guest state\n",
			 (u32)f->qualification);
	paragraph_field(&p.text, f->field, f->value, &caps12);
	paragraph_others(&p.text, f, &slot->v12);
	paragraph_rule(&p.text, f->rule);
	paragraph_wrong(&p.text, f);
	add_vmcs(&p.text, slot);
	add_writer(vcpu, &p.text, f->field);
	end(vcpu, &p);
}

COLD void explain_late(struct vcpu *vcpu, const struct nested_vmcs *slot, enum rule rule, u32 reason,
		       u64 qualification)
{
	struct paragraph p;

	if (!begin(vcpu, &p, rule))
		return;
	add_entry(vcpu, &p.text, slot);
	if (reason)
		text_add(&p.text, "failed: exit reason %u, qualification %llu\n", reason,
			 (unsigned long long)qualification);
	else
		text_add(&p.text, "refused: VM-instruction error %llu\n", (unsigned long long)qualification);
	paragraph_rule(&p.text, rule);
	add_vmcs(&p.text, slot);
	end(vcpu, &p);
}

/* ---- MSR lists, VMX aborts ---- */

/* `want` is the entry's value, `mask` its place in L1's memory, `qualification` its number. */
static void add_list_entry(struct text *text, const struct check_failure *f)
{
	text_add(text, "  entry  %llu of the list, at 0x%llx: MSR %llx, value %llx\n",
		 (unsigned long long)f->qualification, (unsigned long long)f->mask,
		 (unsigned long long)f->value, (unsigned long long)f->want);
	paragraph_rule(text, f->rule);
}

COLD void explain_list(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	const struct check_failure *f = &vcpu->nested.failure;
	struct paragraph p;

	if (!begin(vcpu, &p, f->rule))
		return;
	add_entry(vcpu, &p.text, slot);
	text_add(&p.text, "failed: exit reason 34, qualification %llu, VM-entry MSR-load list\n",
		 (unsigned long long)f->qualification);
	add_list_entry(&p.text, f);
	add_vmcs(&p.text, slot);
	end(vcpu, &p);
}

COLD void explain_abort(struct vcpu *vcpu, const struct nested_vmcs *slot, enum rule rule)
{
	const struct check_failure *f = &vcpu->nested.failure;
	struct paragraph p;

	if (!begin(vcpu, &p, rule))
		return;
	text_add(&p.text,
		 "VMX abort at an exit of L2: L1's processor is shut down, only INIT or a reset wakes it\n");
	paragraph_rule(&p.text, rule);
	if (rule == RULE_abort_store || rule == RULE_abort_load)
		add_list_entry(&p.text, f);
	text_add(&p.text, "  exit   reason %u (%s), of L2 at 0x%llx\n", (u32)slot->v12.exit_reason & 0xffff,
		 exit_reason_name((u32)slot->v12.exit_reason & 0xffff),
		 (unsigned long long)slot->v12.guest_rip);
	add_vmcs(&p.text, slot);
	end(vcpu, &p);
}

/* ---- L2 ---- */

static void add_access(struct text *text, const struct explain_walk *walk)
{
	text_add(text, "  access%s%s%s of L2's physical %llx", walk->held->access & EPTV_READ ? " read" : "",
		 walk->held->access & EPTV_WRITE ? " write" : "",
		 walk->held->access & EPTV_FETCH ? " fetch" : "", (unsigned long long)walk->held->l2gpa);
	if (walk->held->access & EPTV_LINEAR_VALID)
		text_add(text, ", %slinear %llx",
			 walk->held->access & EPTV_TRANSLATED ? "" : "a page table for ",
			 (unsigned long long)walk->linear);
	text_add(text, "\n");
}

COLD void explain_ept(struct vcpu *vcpu, enum rule rule, const struct explain_walk *walk)
{
	/* A hypervisor that maps on demand, or has MMIO behind such entries, works by these exits. */
	static const char *const ends[] = {
		[EXPLAIN_NOW] = ", which may want it",
		[EXPLAIN_AGAIN] = ", the same 1000 times in a row",
		[EXPLAIN_LEFT] = ", which has not entered L2 again",
	};
	bool misconfigured = rule >= RULE_ept_write_only;
	struct paragraph p;

	if (!begin(vcpu, &p, rule))
		return;
	text_add(&p.text, "L2 at 0x%llx: EPT %s, exit reason %u to L1%s\n",
		 (unsigned long long)walk->held->rip, misconfigured ? "misconfiguration" : "violation",
		 misconfigured ? EXIT_EPT_MISCONFIG : EXIT_EPT_VIOLATION, ends[walk->when]);
	add_access(&p.text, walk);
	text_add(&p.text, "  walk   EPT pointer %llx", (unsigned long long)walk->held->eptp);
	for (unsigned int level = walk->top; rule != RULE_ept_beyond && level >= walk->last; level--)
		text_add(&p.text, "; level %u: %llx", level, (unsigned long long)walk->entries[level]);
	text_add(&p.text, "\n");
	paragraph_rule(&p.text, rule);
	add_vmcs(&p.text, vcpu->nested.current);
	end(vcpu, &p);
}

COLD void explain_l2_triple(struct vcpu *vcpu, void (*describe)(struct vcpu *vcpu, struct text *text))
{
	struct paragraph p;

	if (!begin(vcpu, &p, RULE_l2_triple))
		return;
	text_add(&p.text, "L2 at 0x%llx: triple fault, exit reason 2 to L1\n",
		 (unsigned long long)vcpu_reg(vcpu, REG_RIP));
	paragraph_rule(&p.text, RULE_l2_triple);
	add_vmcs(&p.text, vcpu->nested.current);
	describe(vcpu, &p.text);
	end(vcpu, &p);
}
