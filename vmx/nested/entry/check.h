/* SPDX-License-Identifier: MIT */
/*
 * What the check_*.c files share: the few shapes that many rules have. How a rule is written down is
 * require.h's, what it says rules.def's; their order is those files'; what a failure means to L1 is
 * entry.c's.
 */
#ifndef VMX_NESTED_CHECK_H
#define VMX_NESTED_CHECK_H

#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/vmx.h"
#include "vmx/nested/entry/require.h"
#include "vmx/nested/vmcs12/vmcs12.h"

struct check_env {
	const struct vmx_caps *caps; /* caps12 */
	bool l1_long_mode;	     /* IA32_EFER.LMA of L1 at the entry */
	bool has_rtm, has_sgx;	     /* as L1's CPUID says */
	bool has_bus_lock_detect;    /* likewise */
	u64 perf_global_valid;	     /* bits of IA32_PERF_GLOBAL_CTRL that L1 has; 0: it has no such MSR */
	u64 vmcs_link_self;	     /* GPA of the current vmcs12 */
	void *context;		     /* for the callback */
	bool (*read)(void *context, u64 gpa, void *to, size_t length); /* L1's memory, once */
};
/* True: passed.  False: `failure` names the rule. Qualification only from check_guest. */
bool check_event_injection(const struct vmcs12 *v12, const struct check_env *env,
			   struct check_failure *failure); /* part of check_controls */
bool check_guest_hot(const struct vmcs12 *v12, const struct check_env *env,
		     struct check_failure *failure); /* part of check_guest: HOT fields */
bool check_controls(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);
bool check_host(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);
bool check_guest(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);

/*
 * All rules that a vmcs12 breaks, each as if what others ensure were so: judge.c. On the CPU whose turn it is
 * while the machine stands still; until the next call.
 */
#define CHECK_FAILURES_MAX 64u
struct check_failures {
	struct check_failure
		failures[CHECK_FAILURES_MAX]; /* in the order of the checks: the first is an entry's */
	u32 count, more;		      /* `more`: for which there was no room */
};
const struct check_failures *check_all(const struct vmcs12 *v12, const struct check_env *env);

/* check.c, for judge.c: checks that are given this failure go on behind each rule that is broken, and their
 * failures are collected from now on. */
struct check_failure *check_collect(void);
const struct check_failures *check_collected(void);

static inline bool is_ia32e(const struct vmcs12 *v12)
{
	return v12_has_entry(v12, ENTRY_IA32E_GUEST);
}

/* Bits of an address that are 0: those beyond the processor's physical-address width. */
static inline u64 beyond_width(const struct check_env *env)
{
	return ~0ull << env->caps->physical_bits;
}

/* Those, and the bits within a page. */
static inline u64 not_of_a_page(const struct check_env *env)
{
	return beyond_width(env) | (PAGE_SIZE - 1);
}

static inline bool canonical(u64 address, const struct check_env *env)
{
	return is_canonical(address, env->caps->linear_bits);
}

#define REQUIRE_CANONICAL(rule) REQUIRE(rule, canonical(RULE_VALUE(rule), env))

#define BITS_63_32 GENMASK(63, 32)

#define CHECK_EFER_RESERVED (~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))

/* IA32_S_CET: reserved bits, and no suppressed tracker that waits for ENDBRANCH. */
#define CET_RESERVED GENMASK(9, 6)
#define CET_SUPPRESS BIT(10)
#define CET_TRACKER BIT(11)

static inline bool is_valid_s_cet(u64 value)
{
	return !(value & CET_RESERVED) &&
	       (value & (CET_SUPPRESS | CET_TRACKER)) != (CET_SUPPRESS | CET_TRACKER);
}

/* For check_controls.c and check_guest.c: check_event.c, check_guest_hot.c, check_guest_segments.c. */
bool check_tpr_threshold(const struct vmcs12 *v12, const struct check_env *env,
			 struct check_failure *failure);
bool check_nmi(const struct vmcs12 *v12, struct check_failure *failure);
bool check_injection(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);
bool check_rip_rflags(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);
bool check_non_register(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);
bool check_segments(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);
bool check_tables(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure);

#endif
