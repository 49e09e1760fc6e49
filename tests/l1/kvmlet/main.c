/* SPDX-License-Identifier: MIT */
/* The commands of kvmlet; kvmlet.h says what each file does. */
#include "kvmlet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: kvmlet selftest                                      short guests in each CPU mode\n"
	"       kvmlet soak [GUESTS [ITERATIONS]]                    many PAE guests at once\n"
	"       kvmlet linux KERNEL INITRD CMDLINE [MIB [VCPUS]]     a Linux guest (bzImage, or vmlinux with "
	"a PVH note)\n"
	"       kvmlet clock SECONDS                                 the RTC against the kernel's clock\n"
	"       kvmlet hog MIB                                       use memory until killed\n"
	"       kvmlet out com1|e9                                   copy stdin to a port by polling\n"
	"       kvmlet counters                                      let Socle, if it is below us, print its "
	"counters\n";

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOFBF, 4096);
	if (argc == 2 && !strcmp(argv[1], "selftest"))
		return selftest_run();
	if (argc >= 2 && argc <= 4 && !strcmp(argv[1], "soak"))
		return soak_run(argc, argv);
	if (argc >= 5 && !strcmp(argv[1], "linux"))
		return linux_run(argc, argv);
	if (argc == 3 && !strcmp(argv[1], "clock"))
		return clock_compare(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "hog"))
		return hog_run(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "out"))
		return console_copy(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "counters"))
		return counters_ask();
	fputs(usage, stderr);
	return 2;
}
