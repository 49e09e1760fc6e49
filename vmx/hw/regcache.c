/* SPDX-License-Identifier: MIT */
/*
 * The register cache's slow paths: a miss, a flush, a reset.  The truth table
 * is in vmx/hw/regcache.h; who flushes and resets, and when, in vmx/run.c and
 * vcpu_load_vmcs().
 */
#include "vmx/hw/regcache.h"

#include "kernel/panic.h"
#include "vmx/hw/vmcs_field.h"

static const u16 reg_field[REG_COUNT] = {
#define R(name, field) [REG_##name] = VMCS_##field,
#include "vmx/hw/regcache.def"
#undef R
};

void regcache_check(const struct regcache *cache)
{
	ASSERT(!(cache->dirty & ~cache->available));
}

/* vmcs_read_fast() and vmcs_write_fast() below look at no flag. */
void regcache_check_fields(void)
{
	for (unsigned int reg = 0; reg < REG_COUNT; reg++)
		if (!vmcs_field_exists(reg_field[reg]))
			panic("the processor has no VMCS field %s", vmcs_field_name(reg_field[reg]));
}

u64 regcache_fill(struct regcache *cache, enum reg reg)
{
	u64 value = vmcs_read_fast(reg_field[reg]);

	ASSERT(!(cache->dirty & BIT(reg)));
	cache->value[reg] = value;
	cache->available |= BIT(reg);
	cache->counters->reads[reg]++;
	return value;
}

void regcache_flush_dirty(struct regcache *cache)
{
	regcache_check(cache);
	if (cache->dirty & TABLE_REGS)
		regcache_forget_tables(cache);
	for (u64 dirty = cache->dirty; dirty; dirty &= dirty - 1) {
		enum reg reg = (enum reg)__builtin_ctzll(dirty);

		vmcs_write_fast(reg_field[reg], cache->value[reg]);
		cache->counters->writes[reg]++;
	}
	cache->dirty = 0;
}
