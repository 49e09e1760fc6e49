/* SPDX-License-Identifier: MIT */
/*
 * The register cache: its truth table, its assertions, and a million random steps against a plain copy.
 */
#include "tests/unit/cmocka_all.h"

#include "tests/fake/fake.h"
#include "vmx/guest/vcpu.h"

#define VMCSS 3
#define STEPS 1000000

static struct vcpu vcpu;
static struct vmcs vmcss[VMCSS];

static const u32 field_of[REG_COUNT] = {
#define R(name, field) [REG_##name] = VMCS_##field,
#include "vmx/hw/regcache.def"
#undef R
};

static const u32 fields[] = {
#define R(name, field) VMCS_##field,
#include "vmx/hw/regcache.def"
#undef R
};

static int setup(void **state UNUSED)
{
	fake_reset();
	fake_msr_set(0x485, BIT(29)); /* exit information can be set by VMWRITE too */
	vcpu = (struct vcpu){ 0 };
	for (u64 i = 0; i < VMCSS; i++)
		vmcs_init(&vmcss[i], fake_memory + 0x10000 + i * PAGE_SIZE, &vcpu.counters.registers);
	for (u64 i = 0; i < VMCSS * ARRAY_SIZE(fields); i++)
		fake_set(vmcss[i % VMCSS].region.v, fields[i / VMCSS], 0);
	vcpu_load_vmcs(&vcpu, &vmcss[0]);
	return 0;
}

static void a_read_costs_one_vmread(void **state UNUSED)
{
	fake_set(vmcss[0].region.v, VMCS_guest_rip, 0x1234);
	fake_log_clear();
	assert_int_equal(vcpu_reg(&vcpu, REG_RIP), 0x1234);
	assert_int_equal(vcpu_reg(&vcpu, REG_RIP), 0x1234);
	assert_int_equal(fake_read_count, 1);
	assert_int_equal(fake_write_count, 0);
	assert_int_equal(vcpu.counters.registers.reads[REG_RIP], 1);
	assert_true(vmcss[0].cache.available & BIT(REG_RIP));
}

static void a_write_reaches_the_vmcs_once(void **state UNUSED)
{
	fake_log_clear();
	vcpu_set_reg(&vcpu, REG_CR3, 0x1000);
	vcpu_set_reg(&vcpu, REG_CR3, 0x2000);
	assert_int_equal(fake_write_count, 0);
	assert_int_equal(vcpu_reg(&vcpu, REG_CR3), 0x2000);
	regcache_flush(&vmcss[0].cache);
	assert_int_equal(fake_write_count, 1);
	assert_int_equal(fake_get(vmcss[0].region.v, VMCS_guest_cr3), 0x2000);
	regcache_flush(&vmcss[0].cache);
	vcpu_set_reg(&vcpu, REG_CR3, 0x2000); /* known to be there */
	regcache_flush(&vmcss[0].cache);
	assert_int_equal(fake_write_count, 1);
	assert_int_equal(fake_read_count, 0);
}

static void a_reset_forgets(void **state UNUSED)
{
	vcpu_reg(&vcpu, REG_RSP);
	regcache_reset(&vmcss[0].cache);
	fake_set(vmcss[0].region.v, VMCS_guest_rsp, 77);
	assert_int_equal(vcpu_reg(&vcpu, REG_RSP), 77);
}

static void a_batch_reads_once_and_tells_the_cache(void **state UNUSED)
{
	struct reg_batch batch;
	u64 value;

	fake_set(vmcss[0].region.v, VMCS_guest_rip, 0x1234);
	vcpu_set_reg(&vcpu, REG_RFLAGS, 2);
	fake_log_clear();
	batch = vcpu_reg_batch(&vcpu);
	assert_int_equal(reg_batch_read(&batch, REG_RIP), 0x1234);
	assert_int_equal(reg_batch_read(&batch, REG_RIP), 0x1234);
	assert_int_equal(reg_batch_read(&batch, REG_RFLAGS), 2);
	reg_batch_end(&batch);
	assert_int_equal(vcpu_reg(&vcpu, REG_RIP), 0x1234);
	assert_int_equal(fake_read_count, 1);
	assert_true(regcache_knows(&vmcss[0].cache, REG_RIP, &value) && value == 0x1234);
	/* A peek leaves the cache as it is, and has what is dirty. */
	batch = vcpu_reg_batch(&vcpu);
	fake_set(vmcss[0].region.v, VMCS_guest_cr3, 0x5000);
	assert_int_equal(reg_batch_peek(&batch, REG_CR3), 0x5000);
	assert_int_equal(reg_batch_peek(&batch, REG_RFLAGS), 2);
	assert_false(regcache_knows(&vmcss[0].cache, REG_CR3, &value));
	assert_int_equal(vcpu.counters.registers.reads[REG_CR3], 1);
	regcache_flush(&vmcss[0].cache);
}

static void some_are_kept_where_nothing_is_dirty(void **state UNUSED)
{
	u64 value;

	vcpu_set_reg(&vcpu, REG_CR0, 1);
	assert_true(fake_panics(regcache_keep(&vmcss[0].cache, BIT(REG_CR0))));
	regcache_flush_hot(&vmcss[0].cache, &vcpu.counters.registers);
	vcpu_reg(&vcpu, REG_RSP);
	regcache_keep(&vmcss[0].cache, BIT(REG_CR0));
	assert_true(regcache_knows(&vmcss[0].cache, REG_CR0, &value) && value == 1);
	assert_false(regcache_knows(&vmcss[0].cache, REG_RSP, &value));
}

static void a_dirty_register_is_never_lost(void **state UNUSED)
{
	vcpu_set_reg(&vcpu, REG_PDPTE2, 5);
	assert_true(fake_panics(regcache_reset(&vmcss[0].cache)));
	assert_true(fake_panics(vmcs_clear(&vmcss[0])));
	/* A switch flushes it, into the VMCS that it belongs to. */
	fake_log_clear();
	vcpu_load_vmcs(&vcpu, &vmcss[1]);
	assert_int_equal(fake_writes_of(vmcss[0].region.v, VMCS_guest_pdpte2), 1);
	assert_int_equal(fake_writes_of(vmcss[1].region.v, VMCS_guest_pdpte2), 0);
	assert_int_equal(fake_get(vmcss[0].region.v, VMCS_guest_pdpte2), 5);
	vcpu_load_vmcs(&vcpu, &vmcss[0]);
}

static void dirty_without_available_is_impossible(void **state UNUSED)
{
	vmcss[0].cache.dirty = BIT(REG_RIP);
	assert_true(fake_panics(regcache_check(&vmcss[0].cache)));
	assert_true(fake_panics(regcache_flush(&vmcss[0].cache)));
	vmcss[0].cache.dirty = 0;
}

/* ---- the model ---- */

static u64 model[VMCSS][REG_COUNT];
static unsigned int running;

static u64 random_value(struct fake_random *r, unsigned int reg)
{
	/* Few values, so that some writes change nothing. */
	u64 value = fake_random(r) % 4 * 0x111;

	switch (VMCS_FIELD_WIDTH(field_of[reg])) {
	case VMCS_WIDTH_16: return value & 0xffff;
	case VMCS_WIDTH_32: return value & 0xffffffff;
	default: return value;
	}
}

static void assert_processor_has_model(void)
{
	for (unsigned int reg = 0; reg < REG_COUNT; reg++)
		if (fake_get(vmcss[running].region.v, field_of[reg]) != model[running][reg])
			fail_msg("VMCS %u, register %u", running, reg);
}

/* The guest runs, changes what it likes, and exits; then an NMI handler may look before anybody else. */
static void enter_and_exit(struct fake_random *r)
{
	struct regcache *cache = &vmcss[running].cache;

	regcache_flush(cache);
	assert_processor_has_model();
	for (u64 n = fake_random(r) % 8; n; n--) {
		unsigned int reg = (unsigned int)(fake_random(r) % REG_COUNT);

		model[running][reg] = random_value(r, reg);
		fake_set(vmcss[running].region.v, field_of[reg], model[running][reg]);
	}
	regcache_reset(cache);
	assert_int_equal(cache->available, 0);
	if (fake_random(r) % 4 == 0)
		assert_true(vcpu_reg(&vcpu, REG_RIP) == model[running][REG_RIP]);
}

static void a_million_steps_like_a_plain_copy(void **state UNUSED)
{
	struct fake_random r = { 1 };

	memset(model, 0, sizeof(model));
	running = 0;
	for (unsigned int step = 0; step < STEPS; step++) {
		unsigned int reg = (unsigned int)(fake_random(&r) % REG_COUNT);
		unsigned int what = (unsigned int)(fake_random(&r) % 32);

		if (what < 14) {
			assert_true(vcpu_reg(&vcpu, reg) == model[running][reg]);
		} else if (what < 28) {
			model[running][reg] = random_value(&r, reg);
			vcpu_set_reg(&vcpu, reg, model[running][reg]);
		} else if (what < 30) {
			enter_and_exit(&r);
		} else {
			running = (unsigned int)(fake_random(&r) % VMCSS);
			vcpu_load_vmcs(&vcpu, &vmcss[running]);
		}
		for (unsigned int i = 0; i < VMCSS; i++) {
			regcache_check(&vmcss[i].cache);
			assert_true(i == running || !vmcss[i].cache.dirty);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_read_costs_one_vmread, setup),
		cmocka_unit_test_setup(a_write_reaches_the_vmcs_once, setup),
		cmocka_unit_test_setup(a_reset_forgets, setup),
		cmocka_unit_test_setup(a_batch_reads_once_and_tells_the_cache, setup),
		cmocka_unit_test_setup(some_are_kept_where_nothing_is_dirty, setup),
		cmocka_unit_test_setup(a_dirty_register_is_never_lost, setup),
		cmocka_unit_test_setup(dirty_without_available_is_impossible, setup),
		cmocka_unit_test_setup(a_million_steps_like_a_plain_copy, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
