/* SPDX-License-Identifier: MIT */
/*
 * FXSAVE changes nothing, raises no exception of the x87's, and saves what XSAVE's components 0 and 1 are;
 * FXRSTOR loads that alone, and leaves the rest of the YMM registers. Both want CR0.TS and EM clear, and
 * CR4.OSFXSR for the SSE registers: L0's own control registers, which the guest does not see. XCR0 is the
 * guest's, for L0 has none of its own: what it has not enabled is nobody's register.
 * SDM: "FXSAVE", "FXRSTOR", "x87 FPU Tag Word", "Operation of XSAVE", "Operation of XRSTOR".
 */
#include "vmx/gdb/fpu.h"

#include "kernel/cpuid.h"
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

/* Component 2 as XSAVE has it in its standard form. */
#define XCR0_AVX BIT(2)
#define HIGH_OFFSET 576u
static struct area {
	u8 legacy[24];
	u32 mxcsr, mxcsr_mask;
	u8 unused[480];
	u64 in_use, header[7];
	u8 high[16][16];
} ALIGNED(64) area;
static_assert(offsetof(struct area, in_use) == 512 && offsetof(struct area, high) == HIGH_OFFSET,
	      "XSAVE's area");

/* The control registers in between are L0's own. */
static u64 old_cr0, old_cr4;

static void begin(void)
{
	old_cr0 = read_cr0();
	old_cr4 = read_cr4();
	write_cr4(old_cr4 | CR4_OSFXSR);
	write_cr0(old_cr0 & ~(u64)(CR0_TS | CR0_EM));
}

static void end(void)
{
	write_cr0(old_cr0);
	write_cr4(old_cr4);
}

static void save(void)
{
	begin();
	fxsave(&image);
	end();
}

/* "If the MXCSR_MASK field is 00000000H, then the MXCSR_MASK value is the default value of 0000FFBFH." */
static u32 mxcsr_allowed(u32 mxcsr, u32 mask)
{
	return mxcsr & (mask ? mask : 0xffbfu);
}

/* Reserved bits of MXCSR would be a #GP of L0's by what a person has typed. */
static void load(void)
{
	image.mxcsr = mxcsr_allowed(image.mxcsr, image.mxcsr_mask);
	begin();
	fxrstor(&image);
	end();
}

void fpu_read(u8 *to, u32 offset, u32 size)
{
	save();
	memcpy(to, (const u8 *)&image + offset, size);
}

void fpu_write(const u8 *from, u32 offset, u32 size)
{
	save();
	memcpy((u8 *)&image + offset, from, size);
	load();
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

void fpu_write_tags(const u8 *from)
{
	unsigned int tags = from[0] | (unsigned int)from[1] << 8;

	save();
	image.tags = 0;
	for (unsigned int i = 0; i < 8; i++)
		if ((tags >> (2 * i) & 3) != TAG_EMPTY)
			image.tags |= (u8)BIT(i);
	load();
}

/* ---- YMM ---- */

/* All that XRSTOR looks at comes from XSAVE, or stays zero. */
static bool save_high(void)
{
	struct cpuid_regs r;

	if (!(read_cr4() & CR4_OSXSAVE) || !(xgetbv(0) & XCR0_AVX))
		return false;
	r = cpuid(CPUID_LEAF_XSAVE, 2);
	if (r.eax != sizeof(area.high) || r.ebx != HIGH_OFFSET)
		return false;
	begin();
	area.in_use = 0;
	xsave(&area, XCR0_AVX);
	end();
	return true;
}

bool fpu_read_high(u8 *to, unsigned int ymm)
{
	if (!save_high())
		return false;
	memcpy(to, area.high[ymm], sizeof(area.high[ymm]));
	return true;
}

bool fpu_write_high(const u8 *from, unsigned int ymm)
{
	if (!save_high())
		return false;
	memcpy(area.high[ymm], from, sizeof(area.high[ymm]));
	area.in_use = XCR0_AVX;
	begin();
	xrstor(&area, XCR0_AVX);
	end();
	return true;
}
