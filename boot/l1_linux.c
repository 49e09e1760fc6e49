/* SPDX-License-Identifier: MIT */
/*
 * Linux bzImages by the 32-bit boot protocol: checks the setup header, finds
 * a place, fills in boot_params.  Documentation of the protocol: Linux'
 * "The Linux/x86 Boot Protocol" and "The zero page".
 */
#include "boot/l1_internal.h"
#include "boot/l1_linux.h"
#include "boot/l1_space.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

/* Offsets in the image's first sectors and in boot_params alike. */
#define HDR_START 0x1f1
#define HDR_SETUP_SECTS 0x1f1
#define HDR_SYSSIZE 0x1f4
#define HDR_BOOT_FLAG 0x1fe
#define HDR_JUMP_LENGTH 0x201
#define HDR_MAGIC 0x202
#define HDR_VERSION 0x206
#define HDR_TYPE_OF_LOADER 0x210
#define HDR_LOADFLAGS 0x211
#define HDR_CMD_LINE_PTR 0x228
#define HDR_INITRD_ADDR_MAX 0x22c
#define HDR_KERNEL_ALIGNMENT 0x230
#define HDR_RELOCATABLE 0x234
#define HDR_CMDLINE_SIZE 0x238
#define HDR_PREF_ADDRESS 0x258
#define HDR_INIT_SIZE 0x260
#define HDR_END_MAX 0x290

#define BP_SCREEN_INFO 0x000
#define BP_SIZE 0x1000

#define LINUX_MAGIC 0x53726448u /* "HdrS" */
#define LINUX_VERSION_MIN 0x206u
#define LOADED_HIGH BIT(0)
#define LOADER_UNDEFINED 0xff

struct linux_image {
	u32 setup_size, version;
	u64 kernel_size; /* of the protected-mode part */
	u64 memory_size; /* that it needs from its load address on */
	u64 preferred, alignment;
	bool relocatable;
	u32 cmdline_max, initrd_max;
};

static u32 get(const u8 *p, u32 offset, u32 bytes)
{
	u32 v = 0;

	memcpy(&v, p + offset, bytes);
	return v;
}

static void put32(u8 *p, u32 offset, u32 value)
{
	memcpy(p + offset, &value, sizeof(value));
}

static void put16(u8 *p, u32 offset, u32 value)
{
	u16 v = (u16)value;

	memcpy(p + offset, &v, sizeof(v));
}

bool l1_linux_is(const void *image, u64 size)
{
	return size >= HDR_MAGIC + 4 && get(image, HDR_BOOT_FLAG, 2) == 0xaa55 &&
	       get(image, HDR_MAGIC, 4) == LINUX_MAGIC;
}

static enum status header_read(const u8 *image, u64 size, struct linux_image *k)
{
	u32 sects;

	if (size < HDR_END_MAX)
		return status_with(STATUS_L1_TRUNCATED, "Linux setup header");
	k->version = get(image, HDR_VERSION, 2);
	if (k->version < LINUX_VERSION_MIN)
		return STATUS_L1_LINUX_OLD;
	if (!(image[HDR_LOADFLAGS] & LOADED_HIGH))
		return status_with(STATUS_L1_LINUX, "not loaded high");
	sects = image[HDR_SETUP_SECTS] ? image[HDR_SETUP_SECTS] : 4;
	k->setup_size = (sects + 1) * 512;
	if (size <= k->setup_size)
		return status_with(STATUS_L1_TRUNCATED, "Linux setup code");
	k->kernel_size = size - k->setup_size;
	/* In units of 16 bytes, rounded up. */
	if ((u64)get(image, HDR_SYSSIZE, 4) * 16 > ALIGN_UP(k->kernel_size, 16))
		return status_with(STATUS_L1_TRUNCATED, "Linux kernel");
	k->relocatable = image[HDR_RELOCATABLE];
	k->alignment = get(image, HDR_KERNEL_ALIGNMENT, 4);
	if (k->relocatable && (k->alignment < PAGE_SIZE || (k->alignment & (k->alignment - 1))))
		return status_with(STATUS_L1_LINUX, "alignment");
	k->cmdline_max = get(image, HDR_CMDLINE_SIZE, 4);
	k->initrd_max = get(image, HDR_INITRD_ADDR_MAX, 4);
	k->preferred = SIZE_1M;
	k->memory_size = k->kernel_size * 4;
	if (k->version >= 0x20a) {
		memcpy(&k->preferred, image + HDR_PREF_ADDRESS, sizeof(k->preferred));
		k->memory_size = MAX((u64)get(image, HDR_INIT_SIZE, 4), k->kernel_size);
	}
	return STATUS_OK;
}

static enum status place(const struct linux_image *k, u64 *at)
{
	*at = k->preferred;
	if (k->preferred < SIZE_4G && k->memory_size < SIZE_4G - k->preferred &&
	    l1_space_claim(k->preferred, k->memory_size, "the Linux kernel") == STATUS_OK)
		return STATUS_OK;
	if (!k->relocatable)
		return status_with(STATUS_L1_NO_ROOM, "the Linux kernel");
	*at = l1_space_find(k->memory_size, k->alignment, SIZE_1M, SIZE_4G);
	return *at ? STATUS_OK : status_with(STATUS_L1_NO_ROOM, "the Linux kernel");
}

/* struct screen_info of the zero page. */
static void fill_screen(u8 *bp, const struct boot_info *info)
{
	const struct boot_framebuffer *fb = &info->framebuffer;
	u64 bytes = (u64)fb->pitch * fb->height;

	if (fb->type != BOOT_FRAMEBUFFER_RGB) {
		if (!info->efi) { /* VGA text, as every BIOS leaves it */
			bp[0x06] = 3;
			bp[0x07] = 80;
			bp[0x0e] = 25;
			bp[0x0f] = 1;
			bp[0x10] = 16;
		}
		return;
	}
	bp[0x0f] = info->efi ? 0x70 : 0x23; /* linear framebuffer of EFI, or of VESA */
	put16(bp, 0x12, fb->width);
	put16(bp, 0x14, fb->height);
	put16(bp, 0x16, fb->bpp);
	put32(bp, 0x18, (u32)fb->addr);
	put32(bp, 0x1c, (u32)(info->efi ? bytes : ALIGN_UP(bytes, 0x10000) >> 16));
	put16(bp, 0x24, fb->pitch);
	bp[0x26] = fb->red_size;
	bp[0x27] = fb->red_pos;
	bp[0x28] = fb->green_size;
	bp[0x29] = fb->green_pos;
	bp[0x2a] = fb->blue_size;
	bp[0x2b] = fb->blue_pos;
	put32(bp, 0x36, fb->addr >> 32 ? 2 : 0); /* 64-bit base */
	put32(bp, 0x3a, (u32)(fb->addr >> 32));
}

static void copy_header(u8 *bp, const u8 *image)
{
	u32 end = MIN(HDR_MAGIC + image[HDR_JUMP_LENGTH], HDR_END_MAX);

	memcpy(bp + HDR_START, image + HDR_START, end - HDR_START);
	bp[HDR_TYPE_OF_LOADER] = LOADER_UNDEFINED;
}

static enum status check(const struct boot_info *info, struct linux_image *k)
{
	enum status status = header_read(phys_to_ptr(HPA(info->modules[0].base)), info->modules[0].size, k);

	if (status != STATUS_OK)
		return status;
	if (strlen(info->modules[0].cmdline) <= k->cmdline_max)
		return STATUS_OK;
	return status_with(STATUS_L1_CMDLINE, "%llu characters, more than the %u",
			   (unsigned long long)strlen(info->modules[0].cmdline), k->cmdline_max);
}

enum status l1_linux_check(const struct boot_info *info)
{
	struct linux_image k;

	return check(info, &k);
}

enum status l1_linux_load(struct boot_info *info, struct l1_start *start)
{
	const char *cmdline = info->modules[0].cmdline;
	size_t length = strlen(cmdline);
	struct linux_image k;
	u64 at, params, text;
	enum status status;
	const u8 *image;
	u8 *bp;

	status = check(info, &k);
	if (status != STATUS_OK)
		return status;
	status = place(&k, &at);
	if (status != STATUS_OK)
		return status;
	params = l1_space_find(BP_SIZE, PAGE_SIZE, 0x10000, SIZE_4G);
	text = l1_space_find(length + 1, 16, 0x10000, SIZE_4G);
	if (!params || !text)
		return status_with(STATUS_L1_NO_ROOM, "its boot parameters");
	memcpy(phys_to_ptr(HPA(text)), cmdline, length + 1);
	image = phys_to_ptr(HPA(info->modules[0].base)); /* place() may have moved it */
	memcpy(phys_to_ptr(HPA(at)), image + k.setup_size, k.kernel_size);
	bp = phys_to_ptr(HPA(params));
	copy_header(bp, image);
	put32(bp, HDR_CMD_LINE_PTR, (u32)text);
	fill_screen(bp + BP_SCREEN_INFO, info);
	status = l1_linux_give(bp, info, k.version, k.initrd_max);
	if (status != STATUS_OK)
		return status;
	start->eip = (u32)at;
	start->esi = (u32)params;
	start->kind = "Linux";
	return STATUS_OK;
}
