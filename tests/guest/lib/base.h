/* SPDX-License-Identifier: MIT */
/*
 * Words of the guest tests: integer types, bits, and the console's functions. The guest tests share no header
 * with Socle itself: what they know of the processor is written a second time, so that one mistake cannot
 * hide in both.
 */
#ifndef TESTS_GUEST_LIB_BASE_H
#define TESTS_GUEST_LIB_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define BIT(n) (1ul << (n))
#define GENMASK(hi, lo) (((~0ul) >> (63 - (hi))) & ((~0ul) << (lo)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGNED(n) __attribute__((aligned(n)))
#define PACKED __attribute__((packed))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define PAGE_SIZE 4096ull
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/* console.c */
void console_init(void);
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void print_args(const char *fmt, va_list args);
void format(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void NORETURN machine_stop(void);

void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *s);
u64 hash_add(u64 hash, u64 value);

/* memory.c: pages at addresses that are the same on every platform; none is ever given back but all at once
 */
void *page_alloc(void);
void *page_alloc_contig(size_t count);
u64 page_mark(void);
void page_release(u64 mark);
static inline u64 addr_of(const void *p)
{
	return (u64)p;
}
static inline void *ptr_of(u64 pa)
{
	return (void *)pa;
}

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_XD BIT(63)
#define PTE_ADDR GENMASK(51, 12)

u64 *paging_entry(u64 root, u64 va, int level); /* 64-bit: makes tables and splits large pages on the way */
void paging_map(u64 va, u64 pa, u64 flags);	/* one 4 KiB page in L1's own tables, and INVLPG */
void paging_reset(void);			/* L1's own tables as at the start */
u64 paging_create64(void);			/* new 4-level tables, 4 GiB identity, 2 MiB pages */
u64 paging_create_pae(void);			/* new PAE tables, 4 GiB identity; the PDPTEs' page */
u64 paging_create32(void);			/* new 32-bit tables, 4 GiB identity, 4 MiB pages */

#define TEST_VA 0x200000000000ull /* free for tests' own mappings */

#endif
