/* SPDX-License-Identifier: MIT */
/*
 * The rules as data: rules.def as a table, and one broken rule as a value. Who breaks a rule names its row;
 * what is said about it is explain.c's and paragraph.c's.
 */
#ifndef VMX_NESTED_EXPLAIN_RULES_H
#define VMX_NESTED_EXPLAIN_RULES_H

#include "vmx/nested/vmcs12/vmcs12.h"

/* What L1 sees of a refusal that is no VM-instruction error (those are 1 to 28). */
enum refused {
	REFUSED_INVALID, /* VMfailInvalid: CF is 1 */
	REFUSED_UD = 100,
	REFUSED_GP,
	REFUSED_FAULT, /* the exception that the access itself has */
	REFUSED_ENTRY, /* exit reason 33 */
	REFUSED_LIST,  /* exit reason 34, or part of a VMX abort */
	REFUSED_ABORT,
	REFUSED_EXIT, /* an exit like others, which a hypervisor may expect */
};

enum rule {
#define RULE(id, section, field, set, text) RULE_##id,
#define REFUSAL(id, outcome, section, text) RULE_##id,
#include "vmx/nested/explain/rules.def"
#undef REFUSAL
#undef RULE
	RULE_COUNT,
};

/* The field of each rule of VM entry, for the macros of require.h. */
enum rule_field {
#define RULE(id, section, field, set, text) RULE_FIELD_##id = V12_##field,
#define REFUSAL(id, outcome, section, text)
#include "vmx/nested/explain/rules.def"
#undef REFUSAL
#undef RULE
};

enum section {
#define TITLE(id, stage, qualification, title) SECTION_##id,
#include "vmx/nested/explain/sections.def"
#undef TITLE
	SECTION_COUNT,
};
/* Fields that decide besides a rule's own. */
enum rule_set {
#define SET(id, ...) SET_##id,
#include "vmx/nested/explain/sets.def"
#undef SET
	SET_COUNT,
};

enum stage { STAGE_CONTROLS, STAGE_HOST, STAGE_GUEST, STAGE_OTHER };

#define RULE_NO_FIELD 0xff
#define RULE_OTHERS 5

/* A row: small, for there are hundreds. */
struct rule_row {
	u16 text;   /* rule_expand() */
	u8 section; /* enum section */
	u8 field;   /* enum vmcs12_index, or RULE_NO_FIELD */
	u8 set;	    /* enum rule_set: the other fields that decide */
	u8 outcome; /* of a REFUSAL: enum refused or enum vmx_error */
};

struct section_row {
	u16 title; /* rule_expand() */
	u8 stage, qualification;
};

/* Constant. */
extern const struct rule_row rule_rows[RULE_COUNT];
extern const struct section_row section_rows[SECTION_COUNT];

/* The text of a row or a section, written into `to` as far as it fits, with its final zero. */
#define RULE_TEXT_MAX 160
void rule_expand(u16 place, char *to, size_t size);

/* A rule that is broken. `rule` is RULE_COUNT where none is. */
struct check_failure {
	u16 rule;
	u16 field; /* enum vmcs12_index: the row's, of the segment that is meant; or RULE_NO_FIELD */
	u64 value; /* of the field; of a REFUSAL what it is about: an address, an encoding, an entry's number
		    */
	u64 mask, want;	   /* these bits of the value should be so; 0: not a matter of bits */
	u64 qualification; /* of exit reason 33 */
};

/*
 * The access of L2's by which L1 was given its last EPT violation or misconfiguration of those that it may
 * want: held.c.
 */
struct explain_held {
	u64 rip, l2gpa, access; /* L2's; EPTV_* */
	u64 eptp, vmcs;		/* L1's then: the one has passed the checks, the other was current */
	u64 reflections;	/* L1's exits with that one; 0: nothing is held */
	u32 times;		/* the same one in a row, and no other exit of L1's in between */
	u16 looks;		/* of L0's timer since */
	bool misconfigured;
};

/* What a vCPU has told already: explain.c. All members: this CPU only. */
struct explain {
	u64 told[(RULE_COUNT + 63) /
		 64]; /* by rule: nothing more is said. With explain=off all, with explain=all none */
	u64 next;     /* pace_allows() */
	u32 untold;   /* refusals that were only counted since the last paragraph */
	struct explain_held held;
};

/* One of `others` as a field: guest_es_* of a segment's rule is that of the segment itself. RULE_NO_FIELD: no
 * more. */
unsigned int rule_other(const struct check_failure *failure, unsigned int n);

#endif
