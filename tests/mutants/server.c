/* SPDX-License-Identifier: MIT */
/*
 * Stands before cmocka in a test binary whose Socle holds all generated mutants (instrument.py): reads from
 * its input which mutant is wanted and which tests are to look at it, and runs them in a child. The binary is
 * started once, however many mutants there are. Linked with --wrap=_cmocka_run_group_tests. A binary has one
 * group of tests: at a second one it ends with status 2.
 *
 *   list                    a line "INDEX NAME" for each test, then "."
 *   reach INDEX             the numbers of the mutants that the test comes by, and "ms N" before them
 *   run NUMBER CPU MS INDEX...
 *                           "alive", "killed INDEX", or "timeout INDEX" after so many milliseconds of the
 *                           processor's time or of the clock's for all
 */
#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmx/mutant_switch.h"

enum { MUTANTS_MAX = 65536 };

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown);
int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown);

static struct shared {
	int index; /* of the test that runs */
	unsigned char reached[MUTANTS_MAX];
} * shared;
static volatile sig_atomic_t is_late;
static bool is_child; /* whose tests may start groups of their own (machine.c) */

static void on_alarm(int number)
{
	(void)number;
	is_late = 1;
}

static struct itimerval in_ms(long ms)
{
	return (struct itimerval){ .it_value = { ms / 1000, ms % 1000 * 1000 } };
}

/*
 * Runs the tests whose indices stand in `words` in a child; its wait status. The limit of processor time is
 * the child's own, by a signal that ends it, so that a busy machine makes no test late; the clock's is for
 * those that wait.
 */
static int run_in_child(const struct CMUnitTest *tests, size_t count, char *words, long cpu_ms, long ms)
{
	struct itimerval limit = in_ms(ms), cpu_limit = in_ms(cpu_ms);
	int status = 0;
	pid_t child;

	fflush(stdout);
	is_late = 0;
	child = fork();
	if (!child) {
		int null = open("/dev/null", O_RDWR);

		is_child = true;
		setpgid(0, 0);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		setitimer(ITIMER_PROF, &cpu_limit, NULL);
		for (char *word = strtok(words, " \n"); word; word = strtok(NULL, " \n")) {
			shared->index = atoi(word);
			if ((size_t)shared->index >= count ||
			    __real__cmocka_run_group_tests("mutant", &tests[shared->index], 1, NULL, NULL))
				_exit(1);
		}
		_exit(0);
	}
	setpgid(child, child);
	setitimer(ITIMER_REAL, &limit, NULL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		if (is_late)
			kill(-child, SIGKILL);
	limit = in_ms(0);
	setitimer(ITIMER_REAL, &limit, NULL);
	kill(-child, SIGKILL);
	is_late |= WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
	return status;
}

/* Of the processor's time that all children have taken: the clock's says more of a busy machine. */
static long children_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static void reach(const struct CMUnitTest *tests, size_t count, char *words)
{
	long before = children_ms();

	memset(shared->reached, 0, sizeof(shared->reached));
	mutant_reached = shared->reached;
	if (run_in_child(tests, count, words, 600000, 600000))
		printf("failed\n");
	mutant_reached = NULL;
	printf("ms %ld", children_ms() - before);
	for (int i = 0; i < MUTANTS_MAX; i++)
		if (shared->reached[i])
			printf(" %d", i);
	printf("\n");
}

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown)
{
	struct sigaction action = { .sa_handler = on_alarm };
	static char line[65536];
	static bool is_second;

	if (is_child)
		return __real__cmocka_run_group_tests(name, tests, count, setup, teardown);
	if (is_second)
		exit(2);
	is_second = true;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGALRM, &action, NULL);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "list", 4)) {
			for (size_t i = 0; i < count; i++)
				printf("%zu %s\n", i, tests[i].name);
			printf(".\n");
		} else if (!strncmp(line, "reach ", 6)) {
			reach(tests, count, line + 6);
		} else if (!strncmp(line, "run ", 4)) {
			long cpu_ms, ms;
			char *rest;

			mutant_now = (unsigned int)strtoul(line + 4, &rest, 10);
			cpu_ms = strtol(rest, &rest, 10);
			ms = strtol(rest, &rest, 10);
			if (!run_in_child(tests, count, rest, cpu_ms, ms))
				printf("alive\n");
			else
				printf("%s %d\n", is_late ? "timeout" : "killed", shared->index);
			mutant_now = 0;
		}
		fflush(stdout);
	}
	return 0;
}
