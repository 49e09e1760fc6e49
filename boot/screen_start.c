/* SPDX-License-Identifier: MIT */
/*
 * From the loader's framebuffer tag to a mode of drivers/screen.c. A BIOS's loader that gives no tag has left
 * VGA text.
 */
#include "boot/screen_start.h"

#include "drivers/screen.h"
#include "kernel/bits.h"
#include "mm/host_map.h"

#define VGA_TEXT 0xb8000
#define SCREEN_MAX (256ull << 20)
#define ADDRESS_MAX (1ull << 46) /* what the direct map has room for */

static struct screen_mode mode;
static bool high; /* beyond what the early page tables map */

static u32 component(u8 size, u8 position)
{
	return size && size <= 16 && position < 32 ? (u32)(((1ull << size) - 1) << position) : 0;
}

static void from_tag(const struct boot_framebuffer *fb)
{
	mode = (struct screen_mode){ fb->addr, fb->pitch, fb->width, fb->height, fb->bpp, false, 0, 0 };
	mode.text = fb->type == BOOT_FRAMEBUFFER_TEXT;
	/* of a palette: the white of VGA's */
	mode.white = fb->type == BOOT_FRAMEBUFFER_INDEXED ? 15
							  : component(fb->red_size, fb->red_pos) |
								    component(fb->green_size, fb->green_pos) |
								    component(fb->blue_size, fb->blue_pos);
}

bool screen_start(const struct boot_info *info)
{
	if (info->framebuffer.type != BOOT_FRAMEBUFFER_NONE)
		from_tag(&info->framebuffer);
	else if (!info->efi)
		mode = (struct screen_mode){ VGA_TEXT, 160, 80, 25, 16, true, 0, 0 };
	else
		return true;
	if (!screen_init(&mode))
		return true;
	if (screen_size() > SCREEN_MAX || mode.address > ADDRESS_MAX - screen_size() ||
	    (info->framebuffer.type != BOOT_FRAMEBUFFER_NONE &&
	     boot_info_has_ram(info, mode.address, screen_size())))
		return false;
	high = mode.address + screen_size() > SIZE_4G;
	if (!high)
		screen_show();
	return true;
}

void screen_start_mapped(void)
{
	if (!high)
		return;
	host_map_device(mode.address, screen_size());
	screen_show();
}
