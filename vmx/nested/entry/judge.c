/* SPDX-License-Identifier: MIT */
/*
 * All rules that are broken, for whoever wants to know. The checks that each entry makes are here once more,
 * compiled to go on behind a broken one, under names of their own.
 */
#define CHECK_STOP(failed) (void)(failed)
#define check_event_injection judge_event_injection
#define check_guest_hot judge_guest_hot
#define check_injection judge_injection
#define check_nmi judge_nmi
#define check_non_register judge_non_register
#define check_rip_rflags judge_rip_rflags
#define check_tpr_threshold judge_tpr_threshold

/* A second copy is meant. NOLINTBEGIN(bugprone-suspicious-include) */
#include "vmx/nested/entry/check_event.c"
#include "vmx/nested/entry/check_guest_hot.c"
/* NOLINTEND(bugprone-suspicious-include) */

const struct check_failures *check_all(const struct vmcs12 *v12, const struct check_env *env)
{
	struct check_failure *failure = check_collect();

	check_controls(v12, env, failure);
	check_host(v12, env, failure);
	check_guest(v12, env, failure);
	check_event_injection(v12, env, failure);
	check_guest_hot(v12, env, failure);
	return check_collected();
}
