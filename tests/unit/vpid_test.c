/* SPDX-License-Identifier: MIT */
/*
 * Hardware VPIDs of L2s: apart, kept, flushed when they change hands and when L1 asks.
 * SDM: "Operations that Invalidate Cached Mappings".
 */
#include "mm/page_alloc.h"
#include "tests/unit/cmocka_all.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/vpid.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/vm.h"

static struct vcpu vcpu;
static struct nested_vmcs slots[400];
static unsigned int flushes[0x10000]; /* since the last look, by VPID */
static unsigned int flush_count, keep_globals_count;
static u64 flushed_address;
static bool uses_vpid;

void *page_alloc(void)
{
	static u8 page[PAGE_SIZE];

	memset(page, 0, sizeof(page));
	return page;
}

bool tlb_uses_vpid(void)
{
	return uses_vpid;
}

void tlb_flush_vpid(u16 vpid)
{
	flushes[vpid]++;
	flush_count++;
}

void tlb_flush_vpid_keep_globals(u16 vpid)
{
	tlb_flush_vpid(vpid);
	keep_globals_count++;
}

void tlb_flush_vpid_address(u16 vpid, u64 linear)
{
	tlb_flush_vpid(vpid);
	flushed_address = linear;
}

static void forget_flushes(void)
{
	memset(flushes, 0, sizeof(flushes));
	flush_count = keep_globals_count = 0;
	flushed_address = 0;
}

static int setup(void **state)
{
	(void)state;
	uses_vpid = true;
	memset(&vcpu, 0, sizeof(vcpu));
	memset(slots, 0, sizeof(slots));
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++) {
		slots[i].v12.proc_controls = PROC_SECONDARY;
		slots[i].v12.proc2_controls = PROC2_VPID;
		slots[i].v12.vpid = i + 1;
	}
	vpid02_init(&vcpu);
	forget_flushes();
	return 0;
}

static void test_apart_and_kept(void **state)
{
	u16 first[64];

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		first[i] = vpid02_for_entry(&vcpu, &slots[i]);
		assert_true(first[i] > VPID_L1);
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(first[i], first[j]);
	}
	forget_flushes();
	for (unsigned int round = 0; round < 3; round++)
		for (unsigned int i = 0; i < 64; i++)
			assert_int_equal(vpid02_for_entry(&vcpu, &slots[i]), first[i]);
	assert_int_equal(flush_count, 0);
	/* Two VMCSs of one VPID share it. */
	slots[100].v12.vpid = 5;
	assert_int_equal(vpid02_for_entry(&vcpu, &slots[100]), first[4]);
	assert_int_equal(flush_count, 0);
}

static void test_reuse_flushes(void **state)
{
	u16 owner[0x10000] = { 0 };

	(void)state;
	for (unsigned int round = 0; round < 3; round++)
		for (unsigned int i = 0; i < ARRAY_SIZE(slots); i++) {
			u16 vpid;

			forget_flushes();
			vpid = vpid02_for_entry(&vcpu, &slots[i]);
			if (owner[vpid] != i + 1)
				assert_int_equal(flushes[vpid], 1);
			owner[vpid] = (u16)(i + 1);
		}
}

/* "If the 'enable VPID' control is 0, VM entries and VM exits invalidate mappings associated with VPID 0000H"
 */
static void test_without_vpid12(void **state)
{
	(void)state;
	slots[0].v12.proc2_controls = 0;
	for (unsigned int round = 0; round < 2; round++) {
		u16 vpid;

		forget_flushes();
		vpid = vpid02_for_entry(&vcpu, &slots[0]);
		assert_true(vpid > VPID_L1);
		assert_int_equal(flushes[vpid], 1);
		assert_int_equal(flushes[VPID_L1], 1);
	}
	assert_int_not_equal(vpid02_for_entry(&vcpu, &slots[0]), vpid02_for_entry(&vcpu, &slots[1]));
}

static void test_invvpid(void **state)
{
	u16 a = vpid02_for_entry(&vcpu, &slots[0]), b = vpid02_for_entry(&vcpu, &slots[1]);

	(void)state;
	forget_flushes();
	vpid02_invvpid(&vcpu, INVVPID_SINGLE, 1, 0);
	assert_int_equal(flushes[a], 1);
	assert_int_equal(flush_count, 1);
	assert_int_equal(keep_globals_count, 0);
	vpid02_invvpid(&vcpu, INVVPID_ADDRESS, 2, 0x1234);
	assert_int_equal(flushes[b], 1);
	assert_int_equal(flushed_address, 0x1234);
	vpid02_invvpid(&vcpu, INVVPID_RETAIN_GLOBALS, 2, 0);
	assert_int_equal(keep_globals_count, 1);
	forget_flushes();
	vpid02_invvpid(&vcpu, INVVPID_SINGLE, 77, 0);
	assert_int_equal(flush_count, 0);
	/* All: each is flushed by the time it is used again. */
	vpid02_invvpid(&vcpu, INVVPID_ALL, 0, 0);
	for (unsigned int i = 0; i < 2; i++) {
		forget_flushes();
		a = vpid02_for_entry(&vcpu, &slots[i]);
		assert_int_equal(flushes[a], 1);
	}
	forget_flushes();
	vpid02_for_entry(&vcpu, &slots[0]);
	vpid02_for_entry(&vcpu, &slots[1]);
	assert_int_equal(flush_count, 0);
}

static void test_processor_without_vpid(void **state)
{
	(void)state;
	uses_vpid = false;
	assert_int_equal(vpid02_for_entry(&vcpu, &slots[0]), 0);
	assert_int_equal(flush_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_apart_and_kept, setup),
		cmocka_unit_test_setup(test_reuse_flushes, setup),
		cmocka_unit_test_setup(test_without_vpid12, setup),
		cmocka_unit_test_setup(test_invvpid, setup),
		cmocka_unit_test_setup(test_processor_without_vpid, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
