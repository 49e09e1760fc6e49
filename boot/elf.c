/* SPDX-License-Identifier: MIT */
/*
 * ELF program headers, both classes read into one form; see boot/elf.h.
 */
#include "boot/elf.h"

#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

#define ELF_MAGIC 0x464c457fu
#define ELF_CLASS_32 1
#define ELF_CLASS_64 2
#define ELF_LITTLE 1
#define ELF_EXEC 2
#define ELF_MACHINE_386 3
#define ELF_MACHINE_X86_64 62
#define ELF_PT_LOAD 1
#define SEGMENT_MAX 64
#define ELF32_SECTION_SIZE 40u
#define ELF64_SECTION_SIZE 64u

struct elf_ident {
	u32 magic;
	u8 class, data, version, pad[9];
	u16 type, machine;
	u32 file_version;
};

struct elf32_rest {
	u32 entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
} PACKED;

struct elf64_rest {
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
} PACKED;

struct elf32_phdr {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_view {
	u64 entry, phoff, shoff;
	u32 phentsize, phnum, shentsize, shnum, shstrndx;
	bool is64;
};

struct segment {
	u32 type;
	u64 offset, vaddr, paddr, filesz, memsz;
};

bool elf_is(const void *image, u64 size)
{
	u32 magic;

	if (size < sizeof(magic))
		return false;
	memcpy(&magic, image, sizeof(magic));
	return magic == ELF_MAGIC;
}

static enum status view_header(const u8 *image, u64 size, struct elf_view *view)
{
	struct elf_ident ident;
	struct elf32_rest r32;
	struct elf64_rest r64;

	if (size < sizeof(ident) + sizeof(r64))
		return status_with(STATUS_L1_TRUNCATED, "ELF header");
	memcpy(&ident, image, sizeof(ident));
	if (ident.data != ELF_LITTLE || ident.type != ELF_EXEC)
		return status_with(STATUS_L1_ELF, "not a little-endian executable");
	if (ident.machine != ELF_MACHINE_386 && ident.machine != ELF_MACHINE_X86_64)
		return status_with(STATUS_L1_ELF, "not for x86");
	view->is64 = ident.class == ELF_CLASS_64;
	if (view->is64) {
		memcpy(&r64, image + sizeof(ident), sizeof(r64));
		*view = (struct elf_view){ r64.entry,	  r64.phoff, r64.shoff,	   r64.phentsize, r64.phnum,
					   r64.shentsize, r64.shnum, r64.shstrndx, true };
	} else if (ident.class == ELF_CLASS_32) {
		memcpy(&r32, image + sizeof(ident), sizeof(r32));
		*view = (struct elf_view){ r32.entry,	  r32.phoff, r32.shoff,	   r32.phentsize, r32.phnum,
					   r32.shentsize, r32.shnum, r32.shstrndx, false };
	} else {
		return status_with(STATUS_L1_ELF, "class");
	}
	if (view->phentsize < (view->is64 ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)))
		return status_with(STATUS_L1_ELF, "size of a program header");
	if (!view->phnum || view->phnum > SEGMENT_MAX)
		return status_with(STATUS_L1_ELF, "number of program headers");
	if (view->phoff > size || (u64)view->phentsize * view->phnum > size - view->phoff)
		return status_with(STATUS_L1_TRUNCATED, "program headers");
	return STATUS_OK;
}

static struct segment segment_get(const u8 *image, const struct elf_view *view, u32 i)
{
	const u8 *at = image + view->phoff + (u64)i * view->phentsize;
	struct elf32_phdr p32;
	struct elf64_phdr p64;

	if (view->is64) {
		memcpy(&p64, at, sizeof(p64));
		return (struct segment){ p64.type, p64.offset, p64.vaddr, p64.paddr, p64.filesz, p64.memsz };
	}
	memcpy(&p32, at, sizeof(p32));
	return (struct segment){ p32.type, p32.offset, p32.vaddr, p32.paddr, p32.filesz, p32.memsz };
}

enum status elf_extent(const void *image, u64 size, u64 *low, u64 *high, u64 *entry)
{
	struct elf_view view;
	enum status status = view_header(image, size, &view);
	bool entry_found = false;

	if (status != STATUS_OK)
		return status;
	*low = SIZE_4G;
	*high = 0;
	*entry = view.entry;
	for (u32 i = 0; i < view.phnum; i++) {
		struct segment s = segment_get(image, &view, i);

		if (s.type != ELF_PT_LOAD || !s.memsz)
			continue;
		if (s.filesz > s.memsz)
			return status_with(STATUS_L1_ELF, "segment larger in the file than in memory");
		if (s.offset > size || s.filesz > size - s.offset)
			return status_with(STATUS_L1_TRUNCATED, "ELF segment");
		if (s.paddr >= SIZE_4G || s.memsz > SIZE_4G - s.paddr)
			return status_with(STATUS_L1_ELF, "segment above 4 GiB");
		*low = MIN(*low, s.paddr);
		*high = MAX(*high, s.paddr + s.memsz);
		/* The entry point is a virtual address in kernels that are linked high. */
		if (!entry_found && view.entry >= s.vaddr && view.entry - s.vaddr < s.memsz) {
			*entry = s.paddr + (view.entry - s.vaddr);
			entry_found = true;
		}
	}
	if (*high <= *low)
		return status_with(STATUS_L1_ELF, "nothing to load");
	if (*entry < *low || *entry >= *high)
		return status_with(STATUS_L1_ELF, "entry point outside its segments");
	return STATUS_OK;
}

void elf_copy(const void *image, u64 size, u64 offset)
{
	struct elf_view view;

	if (view_header(image, size, &view) != STATUS_OK)
		return;
	for (u32 i = 0; i < view.phnum; i++) {
		struct segment s = segment_get(image, &view, i);
		u8 *to;

		if (s.type != ELF_PT_LOAD || !s.memsz)
			continue;
		to = phys_to_ptr(HPA((u32)(s.paddr + offset)));
		memcpy(to, (const u8 *)image + s.offset, s.filesz);
		memset(to + s.filesz, 0, s.memsz - s.filesz);
	}
}

bool elf_sections_get(const void *image, u64 size, struct elf_sections *sections)
{
	struct elf_view view = { 0 };

	if (!elf_is(image, size) || view_header(image, size, &view) != STATUS_OK || !view.shnum ||
	    view.shentsize < (view.is64 ? ELF64_SECTION_SIZE : ELF32_SECTION_SIZE) || view.shoff > size ||
	    (u64)view.shentsize * view.shnum > size - view.shoff)
		return false;
	*sections = (struct elf_sections){ (const u8 *)image + view.shoff, view.shnum, view.shentsize,
					   view.shstrndx, view.is64 };
	return true;
}
