/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "ports" share: the port of PM1a_CNT, which Socle carries out for its
 * guests, and each form of I/O instruction as code of L1's and of L2's.
 */
#ifndef TESTS_GUEST_PORTS_H
#define TESTS_GUEST_PORTS_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

#define SLP_EN BIT(13)

u16 pm1_port(void); /* by the FADT; 0: there is none */
void *acpi_table(const char *signature);

static inline u16 io_in16(u16 port)
{
	u16 v;

	asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void io_out16(u16 port, u16 v)
{
	asm volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline u32 io_in32(u16 port)
{
	u32 v;

	asm volatile("inl %w1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void io_out32(u16 port, u32 v)
{
	asm volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

/* Words that put nobody to sleep, whichever of their bytes lands where: bit 5 of each byte is clear. */
u16 harmless_word(u32 n);
void fill_harmless(u64 at, u32 bytes);
u64 bytes_hash(u64 at, u32 bytes);

/* The same instruction for L1 by exec_run() and for L2. */
#define IO_CODE(name, text)                                                                                  \
	GUEST_CODE(l1_##name, 64, text "; int $0xf0");                                                       \
	GUEST_CODE(l2_##name, 64, text "; vmcall")

#endif
