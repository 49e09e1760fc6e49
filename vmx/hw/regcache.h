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
 * entry and before another VMCS becomes current.  Bits decide, never modes; this
 * file and regcache.c alone touch them (tests/lint/layers.py).
 */
#ifndef VMX_REGCACHE_H
#define VMX_REGCACHE_H

#include "kernel/bits.h"
#include "kernel/panic.h"
#include "kernel/types.h"
#include "vmx/hw/vmcs_field.h"

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

/* LDTR, TR, GDTR and IDTR: what a guest can be kept from changing without an exit. */
#define TABLE_REGS GENMASK(REG_IDTR_LIMIT, REG_LDTR_SELECTOR)
static_assert(REG_IDTR_LIMIT - REG_LDTR_SELECTOR == 11, "four fields each of two, two each of the others");

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
	/*
	 * Which values the VMCS has in TABLE_REGS: a number that means something to who wrote them past the
	 * cache (vmx/nested/exit/host_tables.c); 0: not known. A write that reaches one of them forgets it.
	 */
	u64 known_tables;
	struct regcache_counters *counters; /* the vCPU's; constant after init */
};

/* Slow paths: VMREAD on a miss; a write that is new. */
u64 regcache_fill(struct regcache *cache, enum reg reg);
void regcache_flush_dirty(struct regcache *cache); /* VMWRITEs what is dirty; the VMCS must be current */
void regcache_check(const struct regcache *cache); /* asserts the truth table */
/* Each CPU, behind vmcs_probe_fields(): it has all of the cache's fields, or the machine stops. */
void regcache_check_fields(void);

static inline void regcache_flush(struct regcache *cache)
{
	if (cache->dirty)
		regcache_flush_dirty(cache);
}

/* Nothing waits to be flushed. */
static inline bool regcache_is_clean(const struct regcache *cache)
{
	return !cache->dirty;
}

/* Forgets all registers but those of the mask `keep`; nothing may be dirty. */
static inline void regcache_keep(struct regcache *cache, u64 keep)
{
	ASSERT(!cache->dirty);
	cache->available &= keep;
}

/* Forgets everything; nothing may be dirty. */
static inline void regcache_reset(struct regcache *cache)
{
	ASSERT(!cache->dirty);
	cache->available = 0;
}

/* TABLE_REGS of the VMCS are those of this number; are they?; they may be others from now on. */
static inline void regcache_know_tables(struct regcache *cache, u64 number)
{
	cache->known_tables = number;
}

static inline bool regcache_has_tables(const struct regcache *cache, u64 number)
{
	return cache->known_tables == number;
}

static inline void regcache_forget_tables(struct regcache *cache)
{
	cache->known_tables = 0;
}

/* Does the cache know `reg`? Then *value is its newest value, current VMCS or not; it is not fetched. */
static inline bool regcache_knows(const struct regcache *cache, enum reg reg, u64 *value)
{
	if (!(READ_ONCE(cache->available) & BIT(reg)))
		return false;
	*value = READ_ONCE(cache->value[reg]);
	return true;
}

/* The same behind an exit, before whose entry all was flushed: what each exit needs is learnt at once. */
static inline void regcache_reset_to(struct regcache *cache, enum reg reg, u64 value)
{
	cache->value[reg] = value;
	cache->available = BIT(reg);
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

/* The field of a register; folds where `reg` is constant. */
static inline enum vmcs_field regcache_field(enum reg reg)
{
	switch (reg) {
#define R(name, field)                                                                                       \
	case REG_##name:                                                                                     \
		return VMCS_##field;
#include "vmx/hw/regcache.def"
#undef R
	default: return VMCS_guest_rip;
	}
}

/* One read of a constant register. `available` is the cache's mask, or a batch's copy of it. */
static inline u64 regcache_fetch(struct regcache *cache, struct regcache_counters *counters, u64 *available,
				 enum reg reg)
{
	u64 value;

	if (*available & BIT(reg))
		return cache->value[reg];
	value = vmcs_read_fast(regcache_field(reg));
	cache->value[reg] = value;
	*available |= BIT(reg);
	counters->reads[reg]++;
	return value;
}

/*
 * A read past the cache, which learns nothing: for a constant `reg` that nobody has read or written since the
 * exit (asserted by DEBUG=1) and few will. Whoever reads it counts.
 */
static inline u64 regcache_read_past(const struct regcache *cache, enum reg reg)
{
#ifdef DEBUG_SHORTCUTS
	ASSERT(!(cache->available & BIT(reg)));
#endif
	(void)cache;
	return vmcs_read_fast(regcache_field(reg));
}

/*
 * regcache_write() and its flush in one, for a constant `reg` that has been read (asserted by DEBUG=1), is
 * not dirty, and is nearly always new. Whoever writes it counts.
 */
static inline void regcache_write_through(struct regcache *cache, enum reg reg, u64 value)
{
#ifdef DEBUG_SHORTCUTS
	ASSERT((cache->available & ~cache->dirty) & BIT(reg));
#endif
	vmcs_write_fast(regcache_field(reg), value);
	cache->value[reg] = value;
	if (BIT(reg) & TABLE_REGS)
		regcache_forget_tables(cache);
}

/* Does the cache hold any of the registers in the mask `regs`? */
static inline bool regcache_has_any(const struct regcache *cache, u64 regs)
{
	return cache->available & regs;
}

/* Exactly those in the mask `regs`? */
static inline bool regcache_knows_only(const struct regcache *cache, u64 regs)
{
	return cache->available == regs;
}

/* The value of a register that the cache holds. */
static inline u64 regcache_value(const struct regcache *cache, enum reg reg)
{
	return cache->value[reg];
}

/* regcache_read() without a call, for the exit path and a constant `reg`. */
static inline u64 regcache_read_hot(struct regcache *cache, struct regcache_counters *counters, enum reg reg)
{
	return regcache_fetch(cache, counters, &cache->available, reg);
}

/*
 * For the exit path: several reads of constant registers in a row, without a call. The mask of what is
 * available stays in a processor's register from begin to end, and nothing else uses the cache in between.
 */
struct reg_batch {
	struct regcache *cache;
	struct regcache_counters *counters; /* the cache's own, which the caller has at hand */
	u64 available;
};

static inline struct reg_batch reg_batch_begin(struct regcache *cache, struct regcache_counters *counters)
{
	return (struct reg_batch){ cache, counters, cache->available };
}

static inline u64 reg_batch_read(struct reg_batch *batch, enum reg reg)
{
	return regcache_fetch(batch->cache, batch->counters, &batch->available, reg);
}

/* For a VMCS that is being left: the cache, where few registers are known now, learns nothing. */
static inline u64 reg_batch_peek(const struct reg_batch *batch, enum reg reg)
{
	if (unlikely(batch->available & BIT(reg)))
		return batch->cache->value[reg];
	batch->counters->reads[reg]++;
	return vmcs_read_fast(regcache_field(reg));
}

static inline void reg_batch_end(const struct reg_batch *batch)
{
	batch->cache->available = batch->available;
}

/* regcache_flush() for what most exits leave dirty: RIP and nothing else, VMX instructions RFLAGS besides. */
static inline void regcache_flush_hot(struct regcache *cache, struct regcache_counters *counters)
{
	u64 dirty = cache->dirty;

	if (likely(dirty == BIT(REG_RIP)) || dirty == (BIT(REG_RIP) | BIT(REG_RFLAGS))) {
		vmcs_write_fast(VMCS_guest_rip, cache->value[REG_RIP]);
		counters->writes[REG_RIP]++;
		if (dirty != BIT(REG_RIP)) {
			vmcs_write_fast(VMCS_guest_rflags, cache->value[REG_RFLAGS]);
			counters->writes[REG_RFLAGS]++;
		}
		cache->dirty = 0;
	} else {
		regcache_flush(cache);
	}
}

#endif
