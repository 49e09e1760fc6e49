/* SPDX-License-Identifier: MIT */
/*
 * The soak, after the first seed's own: many PAE guests (soak_guest.S) at once, each in a process of its own,
 * each for a number of iterations that it checks itself. One line for each, and one for all.
 */
#include "kvmlet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUEST_BASE 0x8000
#define GUEST_STATUS 0x7800
#define GUEST_MEMORY (4ul << 20)
#define GUESTS 14
#define ITERATIONS 140
#define ROUNDS 16
#define PORT_END 0xf4
#define CR0_PE (1ul << 0)

extern const char soak_guest[], soak_guest_end[];

/* soak_guest.S knows this layout. */
struct soak_status {
	uint32_t iterations, ticks, faults;
	uint32_t error, detail;
	uint32_t wanted, rounds;
};

static void set_registers(struct vm *vm)
{
	struct kvm_regs regs = { .rip = GUEST_BASE, .rflags = 2 };
	struct kvm_sregs sregs;

	vm_ioctl(vm->vcpu[0], KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	vm_flat_segments(&sregs, false);
	sregs.cr0 |= CR0_PE;
	vm_ioctl(vm->vcpu[0], KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	vm_ioctl(vm->vcpu[0], KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

static bool one_guest(int number, uint32_t iterations)
{
	struct soak_status status = { .wanted = iterations, .rounds = ROUNDS };
	struct kvm_regs regs;
	struct vm vm;
	bool good;

	vm_create(&vm, GUEST_MEMORY, true, 1);
	/* whoever goes astray meets #BP */
	memset(vm.mem, 0xcc, GUEST_MEMORY);
	memcpy(vm.mem + GUEST_BASE, soak_guest, (size_t)(soak_guest_end - soak_guest));
	memcpy(vm.mem + GUEST_STATUS, &status, sizeof(status));
	set_registers(&vm);
	vm_ioctl(vm.vcpu[0], KVM_RUN, NULL, "KVM_RUN");
	memcpy(&status, vm.mem + GUEST_STATUS, sizeof(status));
	good = vm.run[0]->exit_reason == KVM_EXIT_IO && vm.run[0]->io.port == PORT_END && !status.error &&
	       status.iterations == iterations && status.faults == iterations * ROUNDS * 4 &&
	       status.ticks >= iterations;
	vm_ioctl(vm.vcpu[0], KVM_GET_REGS, &regs, "KVM_GET_REGS");
	printf("SOAK guest %d %s iterations=%u faults=%u ticks=%u error=%u detail=%x exit=%u rip=%llx\n",
	       number, good ? "PASS" : "FAIL", status.iterations, status.faults, status.ticks, status.error,
	       status.detail, vm.run[0]->exit_reason, (unsigned long long)regs.rip);
	fflush(stdout);
	vm_destroy(&vm);
	return good;
}

int soak_run(int argc, char **argv)
{
	int guests = argc > 2 ? atoi(argv[2]) : GUESTS, i, state, failed = 0;
	uint32_t iterations = argc > 3 ? (uint32_t)atoi(argv[3]) : ITERATIONS;

	for (i = 0; i < guests; i++) {
		pid_t child = fork();

		if (child < 0)
			die("fork");
		if (!child)
			_exit(one_guest(i, iterations) ? 0 : 1);
	}
	for (i = 0; i < guests; i++)
		if (wait(&state) < 0 || state)
			failed++;
	printf("SOAK %s: %d guests of %u iterations, %d failed\n", failed ? "FAIL" : "PASS", guests,
	       iterations, failed);
	return failed ? 1 : 0;
}
