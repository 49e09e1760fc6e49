/* SPDX-License-Identifier: MIT */
/*
 * Short guests (guests.S), one for each CPU mode. Each must print its line, end by HLT, and find right what
 * it looked at; the long-mode guest's access beyond memory must come out as an MMIO exit. Loop times are in
 * TSC ticks.
 */
#include "kvmlet.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define GUEST_BASE 0x8000
#define GUEST_STACK 0x7000
#define GUEST_MEMORY (16ul << 20)
#define PORT_MARK 0xf4
#define MMIO_ADDRESS 0x3f000000
#define MMIO_VALUE 0x600dcafe
#define GOOD 0x600d

#define CR0_PE (1ul << 0)
#define CR0_PG (1ul << 31)
#define CR4_PAE (1ul << 5)
#define EFER_LME (1ul << 8)
#define EFER_LMA (1ul << 10)

#define GUEST(name) extern const char guest_##name[], guest_##name##_end[]
GUEST(real16);
GUEST(prot32);
GUEST(pae32);
GUEST(long64);

struct guest {
	const char *name;
	int bits;
	const char *code, *end;
};

static const struct guest guests[] = {
	{ "real16", 16, guest_real16, guest_real16_end },
	{ "prot32", 32, guest_prot32, guest_prot32_end },
	{ "pae32", 32, guest_pae32, guest_pae32_end },
	{ "long64", 64, guest_long64, guest_long64_end },
};

struct outcome {
	int exits; /* to user space */
	int marks;
	uint64_t mark_tsc;
	bool mmio;
	bool halted;
};

static uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* 1 GiB of identity mapping by 2 MiB pages, and the registers of a processor in long mode. */
static void enter_long_mode(struct vm *vm, struct kvm_sregs *sregs)
{
	uint64_t table[512] = { 0x2003 };
	uint64_t i;

	memcpy(vm->mem + 0x1000, table, sizeof(table));
	table[0] = 0x3003;
	memcpy(vm->mem + 0x2000, table, sizeof(table));
	for (i = 0; i < 512; i++)
		table[i] = i << 21 | 0x83;
	memcpy(vm->mem + 0x3000, table, sizeof(table));
	sregs->cr3 = 0x1000;
	sregs->cr4 |= CR4_PAE;
	sregs->cr0 |= CR0_PG;
	sregs->efer |= EFER_LME | EFER_LMA;
}

static void set_registers(struct vm *vm, const struct guest *guest)
{
	struct kvm_regs regs = { .rip = GUEST_BASE, .rsp = GUEST_STACK, .rflags = 2 };
	struct kvm_sregs sregs;

	vm_ioctl(vm->vcpu[0], KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	if (guest->bits == 16) {
		sregs.cs.base = 0;
		sregs.cs.selector = 0;
	} else {
		vm_flat_segments(&sregs, guest->bits == 64);
		sregs.cr0 |= CR0_PE;
	}
	if (guest->bits == 64)
		enter_long_mode(vm, &sregs);
	vm_ioctl(vm->vcpu[0], KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	vm_ioctl(vm->vcpu[0], KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

static void port_write(const struct guest *guest, struct outcome *outcome, uint16_t port, uint8_t value)
{
	uint64_t now;

	if (port == COM1) {
		putchar(value);
		if (value == '\n')
			fflush(stdout);
	} else if (port == PORT_MARK) {
		now = read_tsc();
		if (outcome->marks++ & 1)
			printf("  %s: loop %d: %llu ticks\n", guest->name, outcome->marks / 2,
			       (unsigned long long)(now - outcome->mark_tsc));
		outcome->mark_tsc = read_tsc();
	}
}

/* Runs the guest to its HLT, or to the first exit that is none of its own. */
static void run_guest(struct vm *vm, const struct guest *guest, struct outcome *outcome)
{
	struct kvm_run *run = vm->run[0];
	uint32_t value;

	for (;;) {
		vm_ioctl(vm->vcpu[0], KVM_RUN, NULL, "KVM_RUN");
		outcome->exits++;
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			port_write(guest, outcome, run->io.port, *((uint8_t *)run + run->io.data_offset));
			break;
		case KVM_EXIT_MMIO:
			memcpy(&value, run->mmio.data, sizeof(value));
			outcome->mmio = run->mmio.phys_addr == MMIO_ADDRESS && run->mmio.is_write &&
					value == MMIO_VALUE;
			break;
		case KVM_EXIT_HLT: outcome->halted = true; return;
		default:
			printf("  %s: exit reason %u, suberror %u\n", guest->name, run->exit_reason,
			       run->internal.suberror);
			return;
		}
	}
}

static bool test_guest(const struct guest *guest)
{
	struct outcome outcome = { 0 };
	struct kvm_regs regs;
	struct vm vm;
	bool good;

	vm_create(&vm, GUEST_MEMORY, false, 1);
	memcpy(vm.mem + GUEST_BASE, guest->code, (size_t)(guest->end - guest->code));
	set_registers(&vm, guest);
	run_guest(&vm, guest, &outcome);
	vm_ioctl(vm.vcpu[0], KVM_GET_REGS, &regs, "KVM_GET_REGS");
	good = outcome.halted && (uint32_t)regs.rax == GOOD && outcome.mmio == (guest->bits == 64);
	printf("SELFTEST %s %s (%d user exits, rip %llx)\n", guest->name, good ? "PASS" : "FAIL",
	       outcome.exits, (unsigned long long)regs.rip);
	fflush(stdout);
	vm_destroy(&vm);
	return good;
}

int selftest_run(void)
{
	bool good = true;
	size_t i;

	for (i = 0; i < sizeof(guests) / sizeof(guests[0]); i++)
		good &= test_guest(&guests[i]);
	return good ? 0 : 1;
}
