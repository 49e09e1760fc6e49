/* SPDX-License-Identifier: MIT */
/*
 * A Linux guest: a bzImage by the 32-bit boot protocol, or an ELF vmlinux by its PVH note. The guest ends by
 * a reset through port 0x64 or by a triple fault. Memory map of the loader: start info or boot_params at 64
 * KiB, the command line at 128 KiB, the initrd at the end of memory.
 */
#include "kvmlet.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INFO 0x10000
#define CMDLINE 0x20000
#define CMDLINE_MAX 2048
#define KERNEL 0x100000
#define LOW_MEMORY 0x9fc00
#define PVH_MAGIC 0x336ec578
#define NOTE_PVH 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
#define KBD_COMMAND 0x64
#define KBD_RESET 0xfe

struct file {
	uint8_t *data;
	size_t size;
};

struct vcpu_start {
	struct vm *vm;
	int id;
};

static pthread_mutex_t io_lock = PTHREAD_MUTEX_INITIALIZER;
static double start_time;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void bad_file(const char *what)
{
	errno = ENOEXEC;
	die(what);
}

static void put32(uint8_t *p, uint32_t value)
{
	memcpy(p, &value, sizeof(value));
}

static void put64(uint8_t *p, uint64_t value)
{
	memcpy(p, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static struct file map_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct file file;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(path);
	file.size = (size_t)st.st_size;
	file.data = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file.data == MAP_FAILED)
		die(path);
	close(fd);
	return file;
}

/* ---- loading
 * ------------------------------------------------------------------------------------------------------- */

/* The PVH entry in the notes at [p, end), 0 if there is none. */
static uint32_t find_pvh_entry(const uint8_t *p, const uint8_t *end)
{
	while (end - p >= 12) {
		uint32_t name_size = get32(p), data_size = get32(p + 4), type = get32(p + 8);
		const uint8_t *data = p + 12 + ((name_size + 3) & ~3u);

		if (name_size > 64 || data_size > 65536 || data > end)
			break;
		if (type == NOTE_PVH && name_size == 4 && end - data >= 4 && !memcmp(p + 12, "Xen", 4))
			return get32(data);
		p = data + ((data_size + 3) & ~3u);
	}
	return 0;
}

/* Loads the segments of an ELF vmlinux and returns its PVH entry. */
static uint32_t load_elf(struct vm *vm, struct file kernel)
{
	bool is64 = kernel.data[EI_CLASS] == ELFCLASS64;
	size_t header_size = is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	size_t offset, count, i;
	uint32_t entry = 0;
	Elf64_Ehdr e64;
	Elf32_Ehdr e32;

	if (kernel.size < sizeof(e64))
		bad_file("ELF header");
	memcpy(&e64, kernel.data, sizeof(e64));
	memcpy(&e32, kernel.data, sizeof(e32));
	offset = is64 ? e64.e_phoff : e32.e_phoff;
	count = is64 ? e64.e_phnum : e32.e_phnum;
	if (offset > kernel.size || count * header_size > kernel.size - offset)
		bad_file("ELF program headers");

	for (i = 0; i < count; i++, offset += header_size) {
		Elf64_Phdr p;
		Elf32_Phdr p32;

		memcpy(&p32, kernel.data + offset, sizeof(p32));
		if (is64)
			memcpy(&p, kernel.data + offset, sizeof(p));
		else
			p = (Elf64_Phdr){ .p_type = p32.p_type,
					  .p_offset = p32.p_offset,
					  .p_paddr = p32.p_paddr,
					  .p_filesz = p32.p_filesz };
		if (p.p_offset > kernel.size || p.p_filesz > kernel.size - p.p_offset)
			bad_file("ELF segment");
		if (p.p_type == PT_LOAD) {
			if (p.p_paddr > vm->size || p.p_filesz > vm->size - p.p_paddr)
				bad_file("ELF segment beyond the guest's memory");
			memcpy(vm->mem + p.p_paddr, kernel.data + p.p_offset, p.p_filesz);
		} else if (p.p_type == PT_NOTE && !entry) {
			entry = find_pvh_entry(kernel.data + p.p_offset,
					       kernel.data + p.p_offset + p.p_filesz);
		}
	}
	if (!entry)
		bad_file("no PVH entry");
	return entry;
}

/* The start info of the PVH boot protocol, with one module and the memory map. */
static void write_start_info(struct vm *vm, uint32_t initrd, size_t initrd_size)
{
	uint8_t *info = vm->mem + INFO, *module = info + 0x100, *map = info + 0x200;

	put32(info, PVH_MAGIC);
	put32(info + 4, 1);
	put32(info + 12, 1);
	put64(info + 16, INFO + 0x100);
	put64(info + 24, CMDLINE);
	put64(info + 40, INFO + 0x200);
	put32(info + 48, 2);
	put64(module, initrd);
	put64(module + 8, initrd_size);
	put64(map + 8, LOW_MEMORY);
	put32(map + 16, 1);
	put64(map + 24, KERNEL);
	put64(map + 32, vm->size - KERNEL);
	put32(map + 40, 1);
}

/* Loads a bzImage and writes its boot_params (Linux' Documentation/x86/boot.rst). */
static void load_bzimage(struct vm *vm, struct file kernel, uint32_t initrd, size_t initrd_size)
{
	uint8_t *params = vm->mem + INFO, *e820 = params + 0x2d0;
	size_t setup = ((kernel.data[0x1f1] ? kernel.data[0x1f1] : 4) + 1ul) * 512;

	if (setup > kernel.size || kernel.size - setup > vm->size - KERNEL)
		bad_file("bzImage");
	memcpy(params + 0x1f1, kernel.data + 0x1f1, 0x202ul + kernel.data[0x201] - 0x1f1);
	memcpy(vm->mem + KERNEL, kernel.data + setup, kernel.size - setup);
	params[0x210] = 0xff; /* type_of_loader */
	put32(params + 0x218, initrd);
	put32(params + 0x21c, (uint32_t)initrd_size);
	put32(params + 0x228, CMDLINE);
	params[0x1e8] = 2;
	put64(e820 + 8, LOW_MEMORY);
	put32(e820 + 16, 1);
	put64(e820 + 20, KERNEL);
	put64(e820 + 28, vm->size - KERNEL);
	put32(e820 + 36, 1);
}

static void load_guest(struct vm *vm, struct file kernel, struct file initrd, const char *cmdline)
{
	uint32_t initrd_address = (uint32_t)(vm->size - initrd.size - 4096) & ~0xfffu;
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;

	if (initrd.size > vm->size / 2 || kernel.size < 4096)
		bad_file("initrd or kernel");
	memcpy(vm->mem + initrd_address, initrd.data, initrd.size);
	strncpy((char *)vm->mem + CMDLINE, cmdline, CMDLINE_MAX - 1);
	tables_write(vm);
	if (!memcmp(kernel.data, ELFMAG, SELFMAG)) {
		regs.rip = load_elf(vm, kernel);
		write_start_info(vm, initrd_address, initrd.size);
		regs.rbx = INFO;
	} else if (!memcmp(kernel.data + 0x202, "HdrS", 4)) {
		load_bzimage(vm, kernel, initrd_address, initrd.size);
		regs.rip = KERNEL;
		regs.rsi = INFO;
	} else {
		bad_file("kernel");
	}
	vm_ioctl(vm->vcpu[0], KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
	vm_flat_segments(&sregs, false);
	sregs.cr0 |= 1;
	vm_ioctl(vm->vcpu[0], KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
	vm_ioctl(vm->vcpu[0], KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

/* ---- running
 * ------------------------------------------------------------------------------------------------------- */

static void __attribute__((noreturn)) end_guest(const char *why, int status)
{
	printf("\nKVMLET guest end: %s after %.2f s\n", why, now() - start_time);
	fflush(stdout);
	_exit(status);
}

static void handle_io(struct vm *vm, struct kvm_run *run)
{
	uint8_t *p = (uint8_t *)run + run->io.data_offset;
	uint16_t port = run->io.port;
	bool uart = port >= COM1 && port < COM1 + COM1_PORTS;
	uint32_t i;

	for (i = 0; i < run->io.count; i++, p += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			if (uart)
				uart_out(vm, port - COM1, *p);
			else if (port == KBD_COMMAND && *p == KBD_RESET)
				end_guest("reset", 0);
		} else if (uart) {
			*p = uart_in(vm, port - COM1);
		} else {
			memset(p, port == KBD_COMMAND ? 0 : 0xff, run->io.size);
		}
	}
}

static void *vcpu_loop(void *argument)
{
	struct vcpu_start *start = argument;
	struct vm *vm = start->vm;
	struct kvm_run *run = vm->run[start->id];

	for (;;) {
		if (ioctl(vm->vcpu[start->id], KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			die("KVM_RUN");
		}
		pthread_mutex_lock(&io_lock);
		switch (run->exit_reason) {
		case KVM_EXIT_IO: handle_io(vm, run); break;
		case KVM_EXIT_MMIO:
			if (!run->mmio.is_write)
				memset(run->mmio.data, 0xff, run->mmio.len);
			break;
		case KVM_EXIT_INTR: break;
		case KVM_EXIT_SHUTDOWN: end_guest("triple fault", 1);
		default:
			printf("kvmlet: exit reason %u, suberror %u\n", run->exit_reason,
			       run->internal.suberror);
			end_guest("unhandled exit", 1);
		}
		pthread_mutex_unlock(&io_lock);
	}
	return NULL;
}

/* linux KERNEL INITRD CMDLINE [MIB [VCPUS]] */
int linux_run(int argc, char **argv)
{
	static struct vm vm;
	static struct vcpu_start start[VCPU_MAX];
	int memory = argc > 5 ? atoi(argv[5]) : 128;
	int vcpu_count = argc > 6 ? atoi(argv[6]) : 1;
	pthread_t thread;
	int i;

	if (memory < 16 || memory > 2048 || vcpu_count < 1 || vcpu_count > VCPU_MAX) {
		fprintf(stderr, "kvmlet: 16 to 2048 MiB, 1 to %d vCPUs\n", VCPU_MAX);
		return 2;
	}
	start_time = now();
	vm_create(&vm, (size_t)memory << 20, true, vcpu_count);
	load_guest(&vm, map_file(argv[2]), map_file(argv[3]), argv[4]);
	for (i = 0; i < vcpu_count; i++)
		start[i] = (struct vcpu_start){ &vm, i };
	for (i = 1; i < vcpu_count; i++)
		if (pthread_create(&thread, NULL, vcpu_loop, &start[i]))
			die("pthread_create");
	vcpu_loop(&start[0]);
	return 0;
}
