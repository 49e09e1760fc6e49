/* SPDX-License-Identifier: MIT */
/* Creates a virtual machine over /dev/kvm: memory from guest physical 0, the in-kernel interrupt controllers,
 * vCPUs. */
#include "kvmlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define IDENTITY_MAP                                                                                         \
	0xfffbc000ul /* one page, and three for KVM's TSS behind it: where no guest of ours looks */
#define CPUID_MAX 128

#define CPUID1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID1_ECX_HYPERVISOR (1u << 31)

struct cpuid_table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[CPUID_MAX];
};

void die(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "kvmlet: %s: %s\n", what, strerror(errno));
	exit(1);
}

int vm_ioctl(int fd, unsigned long request, void *argument, const char *what)
{
	int result = ioctl(fd, request, argument);

	if (result < 0)
		die(what);
	return result;
}

/* The CPUID of vCPU `id`: all that KVM supports, with this machine's processor numbers. */
static void set_cpuid(struct vm *vm, struct cpuid_table *table, int id, bool irqchip)
{
	uint32_t i;

	for (i = 0; i < table->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &table->entry[i];

		if (e->function == 1) {
			e->ebx = (e->ebx & 0xffff) | (uint32_t)vm->vcpu_count << 16 | (uint32_t)id << 24;
			e->ecx |= CPUID1_ECX_HYPERVISOR;
			if (irqchip)
				e->ecx |= CPUID1_ECX_TSC_DEADLINE;
		}
		if (e->function == 0xb || e->function == 0x1f)
			e->edx = (uint32_t)id;
	}
	vm_ioctl(vm->vcpu[id], KVM_SET_CPUID2, table, "KVM_SET_CPUID2");
}

void vm_create(struct vm *vm, size_t size, bool irqchip, int vcpu_count)
{
	static struct cpuid_table table;
	struct kvm_userspace_memory_region region = { .memory_size = size };
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity_map = IDENTITY_MAP;
	int i;

	memset(vm, 0, sizeof(*vm));
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		die("/dev/kvm");
	vm->fd = vm_ioctl(vm->kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	vm_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map, "KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, IDENTITY_MAP + 0x1000) < 0)
		die("KVM_SET_TSS_ADDR");
	if (irqchip) {
		vm_ioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
		vm_ioctl(vm->fd, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2");
	}

	vm->size = size;
	vm->mem =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vm->mem == MAP_FAILED)
		die("guest memory");
	region.userspace_addr = (uintptr_t)vm->mem;
	vm_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");

	vm->run_size = (size_t)vm_ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
	table.head.nent = CPUID_MAX;
	vm_ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, &table, "KVM_GET_SUPPORTED_CPUID");
	vm->vcpu_count = vcpu_count;
	for (i = 0; i < vcpu_count; i++) {
		vm->vcpu[i] = ioctl(vm->fd, KVM_CREATE_VCPU, i);
		if (vm->vcpu[i] < 0)
			die("KVM_CREATE_VCPU");
		vm->run[i] = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu[i], 0);
		if (vm->run[i] == MAP_FAILED)
			die("vCPU's run page");
		set_cpuid(vm, &table, i, irqchip);
	}
}

void vm_destroy(struct vm *vm)
{
	int i;

	for (i = 0; i < vm->vcpu_count; i++) {
		munmap(vm->run[i], vm->run_size);
		close(vm->vcpu[i]);
	}
	close(vm->fd);
	close(vm->kvm);
	munmap(vm->mem, vm->size);
}

/* Flat 4 GiB segments at ring 0: code 0x08, data 0x10. */
void vm_flat_segments(struct kvm_sregs *sregs, bool long_mode)
{
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 0x08,
		.type = 11,
		.present = 1,
		.s = 1,
		.g = 1,
		.db = !long_mode,
		.l = long_mode,
	};
	struct kvm_segment data = code;

	data.selector = 0x10;
	data.type = 3;
	data.l = 0;
	data.db = 1;
	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
}
