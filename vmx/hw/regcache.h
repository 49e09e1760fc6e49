/* SPDX-License-Identifier: MIT */
/*
 * The register cache: one per VMCS, the only reader and writer of the fields
 * in vmx/hw/regcache.def.
 *
 *   available dirty   where the truth is
 *       0       0     in the VMCS
 *       1       0     in both
 *       1       1     in the cache; must be flushed
 *       0       1     impossible (asserted)
 *
 * Reset after every VM exit, in the exit path itself; flushed before every VM
 * entry and before another VMCS becomes current.  Bits decide, never modes.
 */
#ifndef VMX_REGCACHE_H
#define VMX_REGCACHE_H

#include "kernel/bits.h"
#include "kernel/panic.h"
#include "kernel/types.h"

enum reg {
#define R(name, field) REG_##name,
#include "vmx/hw/regcache.def"
#undef R
	REG_COUNT,
};
static_assert(REG_COUNT <= 64, "one 64-bit mask holds all registers");

/* Segment registers by instruction encoding; LDTR and TR follow. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };
#define REG_SEG_SELECTOR(seg) ((enum reg)(REG_ES_SELECTOR + 4 * (seg)))
#define REG_SEG_BASE(seg) ((enum reg)(REG_ES_BASE + 4 * (seg)))
#define REG_SEG_LIMIT(seg) ((enum reg)(REG_ES_LIMIT + 4 * (seg)))
#define REG_SEG_AR(seg) ((enum reg)(REG_ES_AR + 4 * (seg)))

/* VMREADs and VMWRITEs done, by register: they prove what the cache saves. */
struct regcache_counters {
	u64 reads[REG_COUNT];
	u64 writes[REG_COUNT];
};

/* All members: the CPU that owns the VMCS only. */
struct regcache {
	u64 available; /* bit per enum reg */
	u64 dirty;     /* subset of available */
	u64 value[REG_COUNT];
	struct regcache_counters *counters; /* the vCPU's; constant after init */
};

/* Slow paths: VMREAD on a miss; a write that is new. */
u64 regcache_fill(struct regcache *cache, enum reg reg);
void regcache_flush_dirty(struct regcache *cache); /* VMWRITEs what is dirty; the VMCS must be current */
void regcache_check(const struct regcache *cache); /* asserts the truth table */

static inline void regcache_flush(struct regcache *cache)
{
	if (cache->dirty)
		regcache_flush_dirty(cache);
}

/* Forgets everything; nothing may be dirty. */
static inline void regcache_reset(struct regcache *cache)
{
	ASSERT(!cache->dirty);
	cache->available = 0;
}

/*
 * The value of `reg`.  The cache's VMCS must be current (vcpu_reg() in
 * vmx/guest/vcpu.h is what callers use); one VMREAD at most between two exits.
 */
static inline u64 regcache_read(struct regcache *cache, enum reg reg)
{
	return likely(cache->available & BIT(reg)) ? cache->value[reg] : regcache_fill(cache, reg);
}

/* For this exit `reg`, which the processor has left undefined, is known to be `value`; nothing reaches the
 * VMCS. */
static inline void regcache_know(struct regcache *cache, enum reg reg, u64 value)
{
	ASSERT(!(cache->dirty & BIT(reg)));
	cache->value[reg] = value;
	cache->available |= BIT(reg);
}

/*
 * Sets `reg`; it reaches the VMCS at the next flush.  A write of a value that is known to be there is
 * dropped.
 */
static inline void regcache_write(struct regcache *cache, enum reg reg, u64 value)
{
	if ((cache->available & BIT(reg)) && cache->value[reg] == value)
		return;
	cache->value[reg] = value;
	cache->available |= BIT(reg);
	cache->dirty |= BIT(reg);
}

#endif
