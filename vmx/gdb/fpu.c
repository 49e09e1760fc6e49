/* SPDX-License-Identifier: MIT */
/*
 * FXSAVE changes nothing, raises no exception of the x87's, and saves what XSAVE's components 0 and 1 are. It
 * wants CR0.TS and EM clear, and CR4.OSFXSR for the SSE registers: L0's own control registers, which the
 * guest does not see.
 * SDM: "FXSAVE", "FXSAVE and FXRSTOR Instructions", "x87 FPU Tag Word".
 */
#include "vmx/gdb/fpu.h"

#include "kernel/hw/cpu.h"
#include "kernel/string.h"
#include "kernel/x86.h"

#define STATUS_TOP 11 /* of the status word, three bits */

enum tag { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

/* The CPU whose turn it is. */
static struct image {
	u16 control, status;
	u8 tags, unused;
	u16 opcode;
	u64 ip, dp;
	u32 mxcsr, mxcsr_mask;
	struct {
		u64 mantissa;
		u16 exponent, pad[3];
	} st[8];
	u8 xmm[16][16];
	u8 rest[96];
} ALIGNED(16) image;
static_assert(sizeof(struct image) == 512, "FXSAVE's image");

static void save(void)
{
	u64 cr0 = read_cr0(), cr4 = read_cr4();

	write_cr4(cr4 | CR4_OSFXSR);
	write_cr0(cr0 & ~(u64)(CR0_TS | CR0_EM));
	fxsave(&image);
	write_cr0(cr0);
	write_cr4(cr4);
}

void fpu_read(u8 *to, u32 offset, u32 size)
{
	save();
	memcpy(to, (const u8 *)&image + offset, size);
}

static enum tag tag_of(unsigned int st)
{
	u16 exponent = image.st[st].exponent & 0x7fff;

	if (exponent == 0x7fff)
		return TAG_SPECIAL;
	if (!exponent)
		return image.st[st].mantissa ? TAG_SPECIAL : TAG_ZERO;
	return image.st[st].mantissa >> 63 ? TAG_VALID : TAG_SPECIAL;
}

/* Tags are by register, the image's values by their place on the stack. */
void fpu_read_tags(u8 *to)
{
	unsigned int top, tags = 0;

	save();
	top = image.status >> STATUS_TOP & 7;
	for (unsigned int i = 0; i < 8; i++)
		tags |= (image.tags >> i & 1 ? tag_of((i - top) & 7) : (unsigned int)TAG_EMPTY) << (2 * i);
	to[0] = (u8)tags;
	to[1] = (u8)(tags >> 8);
}
