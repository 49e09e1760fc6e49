/* SPDX-License-Identifier: MIT */
/*
 * kvmlet: a small virtual machine monitor over /dev/kvm. It is what the Linux KVM L1 of Socle's tests runs
 * its L2 guests with. Hosted C; nothing of L0 is in here. main.c has the commands, vm.c the /dev/kvm part,
 * selftest.c short guests in each CPU mode, linux.c a Linux guest with uart.c and tables.c around it,
 * console.c the polled serial port, clock.c the machine's clocks, hog.c memory pressure, counters.c the
 * question to Socle.
 */
#pragma once

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COM1 0x3f8
#define COM1_PORTS 8
#define VCPU_MAX 4

struct vm {
	int kvm; /* /dev/kvm */
	int fd;
	int vcpu[VCPU_MAX];
	int vcpu_count;
	struct kvm_run *run[VCPU_MAX];
	size_t run_size;
	uint8_t *mem; /* the guest's memory, at guest physical 0 */
	size_t size;
};

/* vm.c */
void die(const char *what) __attribute__((noreturn));
int vm_ioctl(int fd, unsigned long request, void *argument, const char *what);
void vm_create(struct vm *vm, size_t size, bool irqchip, int vcpu_count);
void vm_destroy(struct vm *vm);
void vm_flat_segments(struct kvm_sregs *sregs, bool long_mode);

/* selftest.c */
int selftest_run(void);

/* soak.c */
int soak_run(int argc, char **argv);

/* uart.c */
uint8_t uart_in(struct vm *vm, unsigned int reg);
void uart_out(struct vm *vm, unsigned int reg, uint8_t value);

/* tables.c */
void tables_write(struct vm *vm);

/* linux.c */
int linux_run(int argc, char **argv);

/* console.c */
int console_copy(const char *port);

/* clock.c */
int clock_compare(int seconds);

/* hog.c */
int hog_run(const char *mib);

/* counters.c */
int counters_ask(void);
