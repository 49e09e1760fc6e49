/* SPDX-License-Identifier: MIT */
/*
 * EPT12 by itself: which EPT pointers and entries are valid on which processor, and L2 on EPT02 through the
 * run loop: what one violation makes, what L1 reads of one, what an IRET leaves blocked. SDM: "EPT
 * Misconfigurations", "EPT Violations", "Exit Qualification for EPT Violations".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/ept_support.h"
#include "vmx/l1/vm.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/nested/ept/eptp.h"

#define P_VE (P_EPT + 0x4000)
#define P_LOG (P_EPT + 0x5000)

/* ---- pure rules ---- */

/* Each EPT pointer in bits 12:0, and some above, on each processor. */
static void pointers_by_capability(void **state UNUSED)
{
	static const u64 high[] = { 0, BIT(38), BIT(39), BIT(51), BIT(63) };
	struct vmx_caps caps = caps12;

	caps.physical_bits = 39;
	for (unsigned int has = 0; has < 32; has++) {
		bool uc = has & 1, wb = has & 2, walk4 = has & 4, walk5 = has & 8, ad = has & 16;

		caps.ept_vpid = BIT(62) | (uc ? EPT_CAP_UC : 0) | (wb ? EPT_CAP_WB : 0) |
				(walk4 ? EPT_CAP_WALK_4 : 0) | (walk5 ? EPT_CAP_WALK_5 : 0) |
				(ad ? EPT_CAP_AD : 0);
		for (u64 low = 0; low < 0x2000; low++) {
			u64 type = low & 7, walk = low >> 3 & 7;
			bool valid = ((type == 0 && uc) || (type == 6 && wb)) &&
				     ((walk == 3 && walk4) || (walk == 4 && walk5)) &&
				     (ad || !(low & BIT(6))) && !(low & 0xf80);

			for (unsigned int i = 0; i < ARRAY_SIZE(high); i++)
				if (eptp12_valid(high[i] | low, &caps) != (valid && i < 2))
					fail_msg("%x: %llx", has, (unsigned long long)(high[i] | low));
		}
	}
}

static bool is_valid(u64 entry, unsigned int level, unsigned int width, bool user_exec, u64 has)
{
	bool leaf = level == 1 || (level <= 3 && (entry & BIT(7)));
	bool read = entry & 1, write = entry & 2;
	bool exec = (entry & 4) || (user_exec && (entry & BIT(10)));
	u64 type = entry >> 3 & 7;

	if (!read && !write && !exec)
		return false;
	if (!read && (write || !(has & EPT_CAP_EXEC_ONLY)))
		return false;
	if (width < 52 && (entry & GENMASK(51, width)))
		return false;
	if (!leaf)
		return !(entry & GENMASK(6, 3)) && (level <= 3 || !(entry & BIT(7)));
	if ((level == 2 && (!(has & EPT_CAP_2M) || (entry & GENMASK(20, 12)))) ||
	    (level == 3 && (!(has & EPT_CAP_1G) || (entry & GENMASK(29, 12)))))
		return false;
	return type == 0 || type == 1 || (type >= 4 && type <= 6);
}

static void entries_by_capability(void **state UNUSED)
{
	static const u64 caps[] = { EPT_CAP_EXEC_ONLY | EPT_CAP_2M | EPT_CAP_1G, EPT_CAP_EXEC_ONLY,
				    EPT_CAP_2M, EPT_CAP_1G, BIT(62) };
	static const unsigned int widths[] = { 36, 39, 51, 52 };

	for (unsigned int c = 0; c < ARRAY_SIZE(caps) * ARRAY_SIZE(widths); c++) {
		u64 has = caps[c % ARRAY_SIZE(caps)];
		unsigned int width = widths[c / ARRAY_SIZE(caps)];

		caps12.ept_vpid = has;
		caps12.physical_bits = (u8)width;
		ept12_init();
		for (unsigned int n = 0; n < 5 * 2 * 0x800; n++) {
			const struct ept12_role role = { 0, n & 1 };
			unsigned int level = n / 2 % 5 + 1;
			u64 low = n / 10;

			for (unsigned int bit = 11; bit < 64; bit++) {
				u64 entry = low | (bit == 11 ? 0 : BIT(bit));

				if (ept12_entry_valid(&role, entry, level) !=
				    is_valid(entry, level, width, role.user_exec, has))
					fail_msg("%u %u: %llx level %u", c, n, (unsigned long long)entry,
						 level);
			}
		}
	}
}

/* ---- L2 on EPT02 ---- */

/* 64-bit L2; 1 GiB as it is, and 2 MiB from BASE by single pages: to M_SPARE + 0x400000 and on. */
static void run_on_ept(u64 flags, u64 proc2)
{
	ept_make(EPT_RWX, EPT_RWX);
	ept_fill_table(P_PT, FRAMES, EPT_RWX | WB);
	W(ve_info_addr, P_VE);
	W(pml_address, P_LOG);
	ept_run(flags, proc2);
}

static void resume(void)
{
	if (machine_in_l2())
		return;
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
}

static void violation(u64 gpa, u64 access)
{
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = access | TRANSLATED, .guest_physical = gpa);
}

static u64 fills(void)
{
	return machine_vcpu->nested.counters.ept02_fills;
}

/* One violation makes the neighbours in the cache line too, as far as they may be known without asking. */
static void a_line_of_entries(void **state UNUSED)
{
	const u64 frame = M_SPARE + 0x400000, a = EPT_ACCESSED;

	run_on_ept(EPTP_AD, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write64(P_PT + 8 * 8, frame | EPT_RWX | WB);
	l1_write64(P_PT + 9 * 8, (frame + 0x1000) | EPT_RWX | WB | a);
	l1_write64(P_PT + 10 * 8, 0);
	l1_write64(P_PT + 11 * 8, (frame + 0x2000) | EPT_RWX | WB);	  /* never accessed */
	l1_write64(P_PT + 12 * 8, (frame + 0x3000) | EPT_WRITE | WB | a); /* misconfigured */
	l1_write64(P_PT + 13 * 8, M_WINDOW | EPT_RWX | WB | a);		  /* not there */
	l1_write64(P_PT + 14 * 8, (frame + 0x5000) | EPT_READ | WB | a | EPT_DIRTY);
	l1_write64(P_PT + 15 * 8, (frame + 0x6000) | EPT_RWX | WB | a | EPT_DIRTY);
	l1_write64(P_PT + 16 * 8, (frame + 0x7000) | EPT_RWX | WB | a);
	resume();
	violation(BASE + 8 * PAGE_SIZE, EPTV_READ);
	assert_int_equal(ept02_leaf(BASE + 8 * PAGE_SIZE) & (EPT_ADDRESS | EPT_RWX),
			 frame | EPT_READ | EPT_EXEC);
	assert_true(l1_read64(P_PT + 8 * 8) & a);
	/* clean pages are not written, for the flag would be missed */
	assert_int_equal(ept02_leaf(BASE + 9 * PAGE_SIZE) & (EPT_ADDRESS | EPT_RWX),
			 (frame + 0x1000) | EPT_READ | EPT_EXEC);
	for (u64 i = 10; i <= 13; i++)
		assert_int_equal(ept02_leaf(BASE + i * PAGE_SIZE), 0);
	assert_false(l1_read64(P_PT + 11 * 8) & a);
	assert_int_equal(ept02_leaf(BASE + 14 * PAGE_SIZE) & (EPT_ADDRESS | EPT_RWX),
			 (frame + 0x5000) | EPT_READ);
	assert_int_equal(ept02_leaf(BASE + 15 * PAGE_SIZE) & (EPT_ADDRESS | EPT_RWX),
			 (frame + 0x6000) | EPT_RWX);
	assert_int_equal(ept02_leaf(BASE + 16 * PAGE_SIZE), 0);
	/* what is there already stays */
	l1_write64(P_PT + 9 * 8, (frame + 0x8000) | EPT_RWX | WB | a);
	violation(BASE + 8 * PAGE_SIZE, EPTV_WRITE);
	assert_int_equal(ept02_leaf(BASE + 9 * PAGE_SIZE) & EPT_ADDRESS, frame + 0x1000);
	assert_true(ept02_leaf(BASE + 8 * PAGE_SIZE) & EPT_WRITE);
}

/* Flags and type of each entry that L0 makes: hardware need not write there. */
static void entries_are_complete(void **state UNUSED)
{
	run_on_ept(0, 0);
	violation(BASE, EPTV_READ);
	assert_int_equal(ept02_leaf(BASE), (M_SPARE + 0x400000) | EPT_RWX | WB | EPT_ACCESSED | EPT_DIRTY);
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write64(P_PT, (M_SPARE + 0x400000) | EPT_RWX | EPT_IGNORE_PAT);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
	resume();
	violation(BASE, EPTV_READ);
	assert_int_equal(ept02_leaf(BASE),
			 (M_SPARE + 0x400000) | EPT_RWX | EPT_IGNORE_PAT | EPT_ACCESSED | EPT_DIRTY);
	assert_int_equal(machine_field(VMCS_ept_pointer) & 0x3f, 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
}

/* L1 repairs what it was told of, and L2 finds the entry: no second exit. */
static void a_repaired_violation_is_made_at_the_entry(void **state UNUSED)
{
	u64 made;

	run_on_ept(0, 0);
	l1_write64(P_PT + 20 * 8, 0);
	violation(BASE + 20 * PAGE_SIZE, EPTV_WRITE);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
	made = fills();
	l1_write64(P_PT + 20 * 8, M_SPARE | EPT_RWX | WB);
	resume();
	assert_int_equal(fills(), made + 1);
	assert_int_equal(ept02_leaf(BASE + 20 * PAGE_SIZE) & EPT_ADDRESS, M_SPARE);
	/* once, and not if it is not repaired */
	EXIT_NOW(.reason = EXIT_CPUID);
	resume();
	assert_int_equal(fills(), made + 1);
	l1_write64(P_PT + 30 * 8, 0);
	violation(BASE + 30 * PAGE_SIZE, EPTV_WRITE);
	resume();
	assert_int_equal(fills(), made + 1);
	assert_int_equal(ept02_leaf(BASE + 30 * PAGE_SIZE), 0);
}

/* SDM "Exit Qualification for EPT Violations": what L1 reads, by what the processor and EPT12 say. */
static void the_qualification_that_l1_reads(void **state UNUSED)
{
	const u64 user = EPTV_USER | EPTV_RW_PAGE | EPTV_NX_PAGE;
	u64 all = caps12.ept_vpid;

	run_on_ept(0, 0);
	l1_write64(P_PT + 20 * 8, M_SPARE | EPT_READ | EPT_USER_EXEC | WB);
	for (unsigned int advanced = 0; advanced < 2; advanced++) {
		caps12.ept_vpid = (all & ~(u64)EPT_CAP_ADVANCED) | (advanced ? EPT_CAP_ADVANCED : 0);
		resume();
		violation(BASE + 20 * PAGE_SIZE, EPTV_WRITE | user | EPTV_NMI_UNBLOCKING);
		assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
		assert_int_equal(R(exit_qualification), EPTV_WRITE | TRANSLATED | EPTV_NMI_UNBLOCKING |
								EPT_READ << EPTV_PERM_SHIFT |
								(advanced ? user : 0));
	}
	resume();
	l1_write64(P_PD, P_PT | EPT_WRITE);
	violation(BASE + 40 * PAGE_SIZE, EPTV_READ);
	assert_int_equal(R(exit_reason), EXIT_EPT_MISCONFIG);
	assert_int_equal(R(exit_qualification), 0);
}

/* An entry above the leaf that grants everything and has one bit more than a table may have. */
static void tables_with_reserved_bits(void **state UNUSED)
{
	static const struct {
		u64 at;
		u64 entry;
	} tables[] = { { P_PML4, P_PDPT }, { P_PDPT + 8, P_PD }, { P_PD, P_PT } };
	static const unsigned int bits[] = { 3, 4, 5, 6, 51 };

	run_on_ept(0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (size_t n = 0; n < ARRAY_SIZE(bits); n++) {
			resume();
			l1_write64(tables[i].at, tables[i].entry | EPT_RWX | BIT(bits[n]));
			violation(BASE + 40 * PAGE_SIZE, EPTV_READ);
			assert_int_equal(R(exit_reason), EXIT_EPT_MISCONFIG);
			l1_write64(tables[i].at, tables[i].entry | EPT_RWX);
		}
	resume();
	l1_write64(P_PML4, P_PDPT | EPT_RWX | EPT_LEAF);
	violation(BASE + 40 * PAGE_SIZE, EPTV_READ);
	assert_int_equal(R(exit_reason), EXIT_EPT_MISCONFIG);
}

/* Four levels translate 48 bits of an address: what is above is not mapped, whatever the tables say of the
 * rest. */
static void no_table_covers_it(void **state UNUSED)
{
	u64 made;

	run_on_ept(0, 0);
	violation(BIT(48) + BASE, EPTV_WRITE);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
	assert_int_equal(R(guest_physical_address), BIT(48) + BASE);
	assert_int_equal(R(exit_qualification), EPTV_WRITE | TRANSLATED);
	assert_non_null(strstr(fake_log(), "the address is within what the tables cover"));
	/* and it is not taken for another address when L2 runs again */
	made = fills();
	resume();
	assert_int_equal(fills(), made);
	assert_int_equal(ept02_leaf(BASE), 0);
}

/* An L2 with a VPID, whose entries change nothing else: an INVEPT between two of them counts at the second.
 */
static void an_invept_counts_at_the_next_entry(void **state UNUSED)
{
	const u64 page = BASE + 20 * PAGE_SIZE;

	run_on_ept(0, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(vpid, 5);
	W(proc2_controls, R(proc2_controls) | PROC2_VPID);
	for (unsigned int n = 0; n < 3; n++) {
		resume();
		EXIT_NOW(.reason = EXIT_CPUID);
	}
	for (u64 type = INVEPT_SINGLE; type <= INVEPT_ALL; type++) {
		u64 good = l1_read64(P_PT + 20 * 8);

		resume();
		violation(page, EPTV_READ);
		assert_true(machine_in_l2());
		assert_int_not_equal(ept02_leaf(page), 0);
		EXIT_NOW(.reason = EXIT_CPUID);
		l1_write64(P_PT + 20 * 8, 0);
		assert_int_equal(l1_invalidate(EXIT_INVEPT, type, R(ept_pointer), 0), 0);
		resume();
		assert_int_equal(ept02_leaf(page), 0);
		EXIT_NOW(.reason = EXIT_CPUID);
		l1_write64(P_PT + 20 * 8, good);
	}
}

static void processor_without_execute_only(void)
{
	fake_msr_set(MSR_IA32_VMX_EPT_VPID_CAP,
		     fake_msr_get(MSR_IA32_VMX_EPT_VPID_CAP) & ~(u64)EPT_CAP_EXEC_ONLY);
}

/* What is wrong with an entry, in the words of its rule. */
static void the_broken_rule_is_named(void **state UNUSED)
{
	static const struct {
		u64 table, entry;
		const char *rule;
	} rows[] = {
		{ P_PT, 0, "the last entry is present" },
		{ P_PT, BIT(51) | WB, "the last entry is present" }, /* whatever its other bits are */
		{ P_PT, M_SPARE | EPT_READ | EPT_EXEC | WB, "all entries of the walk allow the access" },
		{ P_PT, BIT(51) | EPT_RWX | WB, "reserved bits of an entry are 0" },
		{ P_PT, M_SPARE | EPT_WRITE | WB, "an entry that is writable is readable too" },
		{ P_PT, M_SPARE | EPT_WRITE | EPT_EXEC | WB, "an entry that is writable is readable too" },
		{ P_PT, M_SPARE | EPT_EXEC | WB, "an execute-only entry needs" },
		{ P_PT, M_SPARE | EPT_RWX | 2 << EPT_MEMTYPE_SHIFT, "the memory type (bits 5:3) of a page" },
		{ P_PD, P_PT | EPT_RWX | BIT(4), "reserved bits of an entry are 0" },
		{ P_PD, BIT(20) | EPT_LEAF | EPT_RWX | WB, "reserved bits of an entry are 0" },
		{ P_PD, EPT_LEAF | EPT_RWX | 3 << EPT_MEMTYPE_SHIFT, "the memory type (bits 5:3) of a page" },
		{ P_PD, BIT(21) | EPT_RWX | BIT(4), "reserved bits of an entry are 0" },
		{ P_PDPT, BIT(20) | EPT_LEAF | EPT_RWX, "reserved bits of an entry are 0" },
		{ P_PML4, P_PDPT | EPT_RWX | EPT_LEAF, "reserved bits of an entry are 0" },
		{ P_PML4, EPT_RWX | EPT_LEAF, "reserved bits of an entry are 0" }, /* no address besides */
	};

	run_on_ept(0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 level = (rows[i].table == P_PT)	? 1
			    : (rows[i].table == P_PD)	? 2
			    : (rows[i].table == P_PDPT) ? 3
							: 4;
		u64 index = (BASE + 20 * PAGE_SIZE) >> (3 + 9 * level) & 511;
		u64 good = l1_read64(rows[i].table + index * 8);
		size_t before = strlen(fake_log());

		l1_write64(rows[i].table + index * 8, rows[i].entry);
		violation(BASE + 20 * PAGE_SIZE, EPTV_WRITE);
		assert_false(machine_in_l2());
		if (!strstr(fake_log() + before, rows[i].rule))
			fail_msg("row %zu: %s", i, fake_log() + before);
		l1_write64(rows[i].table + index * 8, good);
		resume();
	}
}

/* SDM: with A/D flags a walk of L2's tables counts as a write; the access to the page itself does not. */
static void walks_count_as_writes(void **state UNUSED)
{
	run_on_ept(EPTP_AD, 0);
	l1_write64(P_PT + 20 * 8, M_SPARE | EPT_READ | EPT_EXEC | WB);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ | EPTV_LINEAR_VALID,
		 .guest_physical = BASE + 20 * PAGE_SIZE);
	assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
	assert_int_equal(R(exit_qualification) & (EPTV_READ | EPTV_WRITE | TRANSLATED),
			 EPTV_READ | EPTV_WRITE | EPTV_LINEAR_VALID);
	resume();
	violation(BASE + 20 * PAGE_SIZE, EPTV_READ);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ,
		 .guest_physical = BASE + 20 * PAGE_SIZE);
	assert_true(machine_in_l2());
}

/* An IRET that unblocked NMIs and faulted runs again: blocked until then, but in an event's delivery. */
static void an_iret_that_faults_runs_again(void **state UNUSED)
{
	static const struct {
		u64 gpa, bit;
		u32 vectoring;
		u64 blocking;
	} rows[] = {
		{ BASE, EPTV_NMI_UNBLOCKING, 0, INTERRUPTIBILITY_NMI },
		{ BASE, 0, 0, 0 },
		{ BASE, EPTV_NMI_UNBLOCKING, INTR_INFO_VALID | 0x30, 0 },
		{ BASE, EPTV_NMI_UNBLOCKING, 0x30, INTERRUPTIBILITY_NMI },
	};

	for (unsigned int ept = 0; ept < 2; ept++) {
		if (ept) {
			run_on_ept(0, 0);
		} else {
			l1_run_l2();
		}
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			machine_set_field(VMCS_guest_interruptibility, 0);
			EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .guest_physical = rows[i].gpa,
				 .qualification = EPTV_WRITE | TRANSLATED | rows[i].bit,
				 .vectoring_info = rows[i].vectoring);
			assert_true(machine_in_l2());
			assert_int_equal(machine_field(VMCS_guest_interruptibility), rows[i].blocking);
		}
		/* other blocking stays as it is */
		machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_MOV_SS);
		violation(BASE, EPTV_WRITE | EPTV_NMI_UNBLOCKING);
		assert_int_equal(machine_field(VMCS_guest_interruptibility),
				 INTERRUPTIBILITY_MOV_SS | INTERRUPTIBILITY_NMI);
		machine_set_field(VMCS_guest_interruptibility, 0);
		EXIT_NOW(.reason = EXIT_TRIPLE_FAULT);
		assert_int_equal(l1_vmxoff(), 0);
	}
}

/* The log counts only where L1 uses it: else its index is a number like others. */
static void a_log_that_is_not_used_is_never_full(void **state UNUSED)
{
	run_on_ept(EPTP_AD, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_pml_index, 600);
	resume();
	violation(BASE, EPTV_WRITE);
	assert_true(machine_in_l2());
	assert_int_equal(l1_read64(P_LOG + 600 * 8), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(R(guest_pml_index), 600);
}

/* SDM "Convertible EPT Violations". */
static void which_violations_become_ve(void **state UNUSED)
{
	static const struct {
		u64 entry;
		u32 vectoring;
		bool real, converted;
	} rows[] = {
		{ BIT(62) | EPT_READ | WB, 0, false, true },
		{ EPT_SUPPRESS_VE | EPT_READ | WB, 0, false, false },
		{ EPT_READ | WB, INTR_INFO_VALID | 0x30, false, false },
		{ EPT_READ | WB, 0x30, false, true },
		{ EPT_READ | WB, 0, true, false },
	};

	run_on_ept(0, PROC2_VE);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		EXIT_NOW(.reason = EXIT_TRIPLE_FAULT);
		l1_write64(P_VE, 0);
		l1_write64(P_PT + 20 * 8, M_SPARE | rows[i].entry);
		if (rows[i].real) {
			W(entry_controls, R(entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
			W(guest_efer, 0);
			W(guest_cr0, CR0_NE | CR0_ET);
			for (unsigned int n = 0; n < 6; n++) {
				l1_vmwrite(VMCS_guest_es_selector + 2 * n, 0x100);
				l1_vmwrite(VMCS_guest_es_base + 2 * n, 0x1000);
				l1_vmwrite(VMCS_guest_es_limit + 2 * n, 0xffff);
				l1_vmwrite(VMCS_guest_es_ar + 2 * n, n == SEG_CS ? 0x9b : 0x93);
			}
		}
		resume();
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_WRITE | TRANSLATED,
			 .guest_physical = BASE + 20 * PAGE_SIZE, .vectoring_info = rows[i].vectoring);
		if (machine_in_l2() != rows[i].converted)
			fail_msg("row %zu", i);
		assert_int_equal(l1_read64(P_VE) >> 32, rows[i].converted ? 0xffffffff : 0);
		if (!machine_in_l2()) {
			assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
			resume();
		}
	}
}

/* EPT01 has changed: what was made of it goes, whether L2 runs or not. */
static void a_change_below_empties_it(void **state UNUSED)
{
	u64 flushes;

	run_on_ept(0, 0);
	violation(BASE, EPTV_READ);
	assert_true(ept02_leaf(BASE));
	flushes = fake_invept_count;
	nested_ept01_changed(machine_vcpu);
	assert_int_equal(ept02_leaf(BASE), 0);
	assert_int_equal(fake_invept_count - flushes, 1);
	assert_int_equal(fake_invept_last, machine_field(VMCS_ept_pointer));
	violation(BASE, EPTV_READ);
	assert_true(ept02_leaf(BASE));
	EXIT_NOW(.reason = EXIT_CPUID);
	nested_ept01_changed(machine_vcpu);
	assert_int_equal(nested_resources(machine_vcpu).ept02_roots, 0);
	assert_int_equal(nested_resources(machine_vcpu).ept02_tables, 0);
	resume();
	assert_int_equal(ept02_leaf(BASE), 0);
	assert_int_equal(nested_resources(machine_vcpu).ept02_roots, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(pointers_by_capability, ""),
		MACHINE_TEST(entries_by_capability, ""),
		MACHINE_TEST_BOTH(a_line_of_entries),
		MACHINE_TEST(entries_are_complete, ""),
		MACHINE_TEST_BOTH(a_repaired_violation_is_made_at_the_entry),
		MACHINE_TEST_BOTH(tables_with_reserved_bits),
		MACHINE_TEST(the_qualification_that_l1_reads, ""),
		MACHINE_TEST(no_table_covers_it, "explain=all"),
		MACHINE_TEST_BEFORE(the_broken_rule_is_named, "explain=all", processor_without_execute_only),
		MACHINE_TEST_BOTH(an_invept_counts_at_the_next_entry),
		MACHINE_TEST(walks_count_as_writes, ""),
		MACHINE_TEST(an_iret_that_faults_runs_again, ""),
		MACHINE_TEST_BOTH(a_log_that_is_not_used_is_never_full),
		MACHINE_TEST(which_violations_become_ve, ""),
		MACHINE_TEST(a_change_below_empties_it, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
