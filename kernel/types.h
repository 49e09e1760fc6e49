/* SPDX-License-Identifier: MIT */
/*
 * The integer types and the few macros that every file uses. Compiles freestanding and hosted; leaves
 * bit arithmetic to kernel/bits.h and addresses to mm/addr.h.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;

/* Some hosted libraries define a few of these; ours say the same thing. */
#undef MIN
#undef MAX
#undef container_of

#define PACKED __attribute__((packed))
#define NORETURN __attribute__((noreturn))
/*
 * What ordinary exits do not come to stays a function of its own: the compiler would otherwise inline what
 * has one caller, and then has no room left for what each exit needs. COLD: rare, and as small as can be.
 */
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define COLD __attribute__((cold)) NOINLINE
#define ALIGNED(n) __attribute__((aligned(n)))
#define UNUSED __attribute__((unused))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define MIN(a, b)                                                                                            \
	({                                                                                                   \
		__typeof__(a) min_a_ = (a);                                                                  \
		__typeof__(b) min_b_ = (b);                                                                  \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                           \
	})
#define MAX(a, b)                                                                                            \
	({                                                                                                   \
		__typeof__(a) max_a_ = (a);                                                                  \
		__typeof__(b) max_b_ = (b);                                                                  \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                           \
	})

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Exactly one access, neither torn nor repeated by the compiler. */
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

#ifndef static_assert
#define static_assert _Static_assert
#endif

#endif
