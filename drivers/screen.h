/* SPDX-License-Identifier: MIT */
/*
 * L0's lines on the screen that the boot loader left: VGA text, or pixels, in which letters of Socle's own
 * are drawn.  The device is L1's from L1's first entry on: screen_close(); after a stop, if it still is where
 * it was, screen_reopen().
 */
#ifndef DRIVERS_SCREEN_H
#define DRIVERS_SCREEN_H

#include "kernel/types.h"

struct screen_mode {
	u64 address;	   /* physical */
	u32 pitch;	   /* bytes from one line to the next */
	u32 width, height; /* in pixels; of text in characters */
	u8 bits;	   /* per pixel: 8, 15, 16, 24, 32 */
	bool text;	   /* VGA text: two bytes a character */
	u32 white, black;  /* a pixel's value */
};

/* False: no screen of a kind that Socle can use. Lines are kept from now on, and shown once screen_show() was
 * called. */
bool screen_init(const struct screen_mode *mode);

/* Physical memory that must be mapped before screen_show(): the whole of what is shown. */
u64 screen_size(void);

/* The memory can be reached: draws what was kept. */
void screen_show(void);

/* A log sink. Does nothing while the screen is L1's. */
void screen_write(const char *text, size_t len);

void screen_close(void);
void screen_reopen(void);

#endif
