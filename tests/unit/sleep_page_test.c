/* SPDX-License-Identifier: MIT */
/*
 * A sleep register in memory, as machines of hardware-reduced ACPI have it and no emulator of the tests does:
 * its page is read-only, plain stores are decoded and decided, everything else is dropped.
 */
#include "tests/unit/cmocka_all.h"

#include "drivers/acpi_sleep.h"
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/ptab.h"
#include "tests/unit/machine.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/l1/sleep_page.h"
#include "vmx/guest/store_decode.h"
#include "vmx/l1/vm.h"

#define CONTROL 0xfed40010ull /* SLEEP_CONTROL_REG: SLP_TYP 4:2, SLP_EN 5 */
#define PM1A 0xfed80fffull    /* PM1a_CNT over the end of a page: the byte that decides is in the next one */
#define HIGH 0x4000000123ull  /* above RAM */
#define CODE 0x200000u
#define ALLOWED 5
#define S3 3
#define SLEEP(type) (0x20u | (type) << 2)

#define WRITE_BY_INSTRUCTION (EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED)

static void add_registers(void)
{
	static const struct acpi_sleep sleep = {
		.pm1a = { SLEEP_MEMORY, PM1A, 2 },
		.pm1b = { SLEEP_MEMORY, HIGH, 2 },
		.control = { SLEEP_MEMORY, CONTROL, 1 },
		.pm1a_allowed = BIT(ALLOWED),
		.pm1b_allowed = BIT(ALLOWED),
	};

	sleep_add_pages(&sleep);
}

/* ---- the decoder ---- */

static struct store decode(unsigned int bits, const char *bytes, size_t count)
{
	struct store s;

	assert_true(store_decode((const u8 *)bytes, (u32)count, bits, &s));
	assert_int_equal(s.length, count);
	/* not one byte less */
	for (u32 less = 0; less < count; less++) {
		struct store cut;

		assert_false(store_decode((const u8 *)bytes, less, bits, &cut));
	}
	return s;
}
#define DECODE(bits, text) decode(bits, text, sizeof(text) - 1)

#define IS_REGISTER(s, width_, n)                                                                            \
	do {                                                                                                 \
		struct store s_ = s;                                                                         \
		assert_false(s_.is_constant);                                                                \
		assert_int_equal(s_.width, width_);                                                          \
		assert_int_equal(s_.from, n);                                                                \
	} while (0)
#define IS_CONSTANT(s, width_, value)                                                                        \
	do {                                                                                                 \
		struct store s_ = s;                                                                         \
		assert_true(s_.is_constant);                                                                 \
		assert_int_equal(s_.width, width_);                                                          \
		assert_true(s_.constant == (value));                                                         \
	} while (0)

static void plain_stores_are_decoded(void **state UNUSED)
{
	IS_REGISTER(DECODE(64, "\x88\x07"), 1, 0);
	IS_REGISTER(DECODE(64, "\x88\x27"), 1, 0);
	assert_true(DECODE(64, "\x88\x27").high_byte);
	IS_REGISTER(DECODE(64, "\x40\x88\x27"), 1, 4);
	IS_REGISTER(DECODE(64, "\x44\x88\x07"), 1, 8);
	IS_REGISTER(DECODE(64, "\x89\x1f"), 4, 3);
	IS_REGISTER(DECODE(64, "\x66\x89\x1f"), 2, 3);
	IS_REGISTER(DECODE(64, "\x48\x89\x1f"), 8, 3);
	IS_REGISTER(DECODE(64, "\x66\x48\x89\x1f"), 8, 3);
	/* a REX that is not right before the opcode is none */
	IS_REGISTER(DECODE(64, "\x48\x66\x89\x1f"), 2, 3);
	IS_REGISTER(DECODE(64, "\x65\x4c\x89\x3c\x25\1\2\3\4"), 8, 15);
	IS_REGISTER(DECODE(64, "\x89\x05\1\2\3\4"), 4, 0);
	IS_REGISTER(DECODE(64, "\x89\x44\x24\x08"), 4, 0);
	IS_REGISTER(DECODE(64, "\x89\x84\x24\1\2\3\4"), 4, 0);
	IS_REGISTER(DECODE(64, "\x89\x45\x08"), 4, 0);
	IS_REGISTER(DECODE(64, "\x67\x89\x80\1\2\3\4"), 4, 0);
	IS_CONSTANT(DECODE(64, "\xc6\x07\xb4"), 1, 0xb4);
	IS_CONSTANT(DECODE(64, "\x66\xc7\x07\1\x20"), 2, 0x2001);
	IS_CONSTANT(DECODE(64, "\xc7\x07\1\2\3\x84"), 4, 0x84030201u);
	IS_CONSTANT(DECODE(64, "\x48\xc7\x07\1\2\3\x84"), 8, 0xffffffff84030201ull);
	/* other sizes of code */
	IS_REGISTER(DECODE(32, "\x89\x1f"), 4, 3);
	IS_REGISTER(DECODE(32, "\x66\x89\x1d\1\2\3\4"), 2, 3);
	IS_REGISTER(DECODE(32, "\x67\x89\x1e\1\2"), 4, 3);
	IS_REGISTER(DECODE(16, "\x89\x1f"), 2, 3);
	IS_REGISTER(DECODE(16, "\x66\x67\x89\x1d\1\2\3\4"), 4, 3);
	IS_REGISTER(DECODE(16, "\x89\x5e\1"), 2, 3);
	IS_REGISTER(DECODE(16, "\x89\x9e\1\2"), 2, 3);
	IS_CONSTANT(DECODE(16, "\xc7\x06\1\2\3\4"), 2, 0x0403);
}

/* [base + index * 2^scale + displacement], by the manual's tables; -: none. */
static void operands_are_decoded(void **state UNUSED)
{
	enum { NONE = STORE_NO_REGISTER, NEXT = STORE_NEXT_RIP };
	static const struct {
		unsigned int bits;
		const char *bytes;
		u32 count;
		u8 segment, base, index, scale, address_bits;
		i64 displacement;
	} rows[] = {
#define ROW(bits, text, ...) { bits, text, sizeof(text) - 1, __VA_ARGS__ }
		ROW(64, "\x89\x07", SEG_DS, 7, NONE, 0, 64, 0),
		ROW(64, "\x41\x89\x07", SEG_DS, 15, NONE, 0, 64, 0),
		ROW(64, "\x89\x47\xfc", SEG_DS, 7, NONE, 0, 64, -4),
		ROW(64, "\x89\x87\xfc\xff\xff\xff", SEG_DS, 7, NONE, 0, 64, -4),
		ROW(64, "\x89\x45\x08", SEG_SS, 5, NONE, 0, 64, 8),
		ROW(64, "\x41\x89\x45\x08", SEG_DS, 13, NONE, 0, 64, 8),
		ROW(64, "\x89\x05\1\0\0\x80", SEG_DS, NEXT, NONE, 0, 64, -0x7fffffffll),
		ROW(64, "\x89\x04\x24", SEG_SS, 4, NONE, 0, 64, 0),
		ROW(64, "\x41\x89\x04\x24", SEG_DS, 12, NONE, 0, 64, 0),
		ROW(64, "\x42\x89\x04\x64", SEG_SS, 4, 12, 1, 64, 0),
		ROW(64, "\x89\x44\xd8\x80", SEG_DS, 0, 3, 3, 64, -128),
		ROW(64, "\x89\x04\xcd\1\2\3\4", SEG_DS, NONE, 1, 3, 64, 0x04030201),
		ROW(64, "\x41\x89\x04\xcd\1\2\3\4", SEG_DS, NONE, 1, 3, 64, 0x04030201),
		ROW(64, "\x89\x44\x8d\1", SEG_SS, 5, 1, 2, 64, 1),
		ROW(64, "\x64\x67\x89\x07", SEG_FS, 7, NONE, 0, 32, 0),
		/* in 64-bit mode these four are no prefixes for data */
		ROW(64, "\x65\x2e\x89\x07", SEG_GS, 7, NONE, 0, 64, 0),
		ROW(64, "\x36\x89\x07", SEG_DS, 7, NONE, 0, 64, 0),
		ROW(32, "\x2e\x89\x07", SEG_CS, 7, NONE, 0, 32, 0),
		ROW(32, "\x26\x3e\x89\x07", SEG_DS, 7, NONE, 0, 32, 0),
		ROW(32, "\x89\x05\1\2\3\4", SEG_DS, NONE, NONE, 0, 32, 0x04030201),
		ROW(32, "\x67\x89\x06\xff\xff", SEG_DS, NONE, NONE, 0, 16, -1),
		ROW(16, "\x89\x00", SEG_DS, 3, 6, 0, 16, 0),
		ROW(16, "\x89\x01", SEG_DS, 3, 7, 0, 16, 0),
		ROW(16, "\x89\x02", SEG_SS, 5, 6, 0, 16, 0),
		ROW(16, "\x26\x89\x43\xff", SEG_ES, 5, 7, 0, 16, -1),
		ROW(16, "\x89\x04", SEG_DS, 6, NONE, 0, 16, 0),
		ROW(16, "\x89\x05", SEG_DS, 7, NONE, 0, 16, 0),
		ROW(16, "\x89\x86\0\x80", SEG_SS, 5, NONE, 0, 16, -0x8000),
		ROW(16, "\x89\x07", SEG_DS, 3, NONE, 0, 16, 0),
		ROW(16, "\x67\x89\x07", SEG_DS, 7, NONE, 0, 32, 0),
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct store s = decode(rows[i].bits, rows[i].bytes, rows[i].count);

		assert_int_equal(s.segment, rows[i].segment);
		assert_int_equal(s.base, rows[i].base);
		assert_int_equal(s.index, rows[i].index);
		assert_int_equal(s.scale, rows[i].scale);
		assert_int_equal(s.address_bits, rows[i].address_bits);
		assert_true(s.displacement == rows[i].displacement);
	}
}

static void nothing_else_is(void **state UNUSED)
{
	static const struct {
		const char *bytes;
		size_t count;
	} others[] = {
#define OTHER(text) { text, sizeof(text) - 1 }
		OTHER("\xf0\x89\x07"),
		OTHER("\xf2\x89\x07"),
		OTHER("\xf3\x89\x07"),
		OTHER("\x89\xc7"),
		OTHER("\xc7\x0f\1\2\3\4"),
		OTHER("\xc6\xf8\1\2\3\4"),
		OTHER("\x01\x07"),
		OTHER("\x87\x07"),
		OTHER("\xab\x07"),
		OTHER("\x0f\x11\x07"),
		OTHER("\x8c\x07"),
		OTHER("\xa3\1\2\3\4\5\6\7\x08"),
		OTHER("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x89\x07"),
	};
	struct store s;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(store_decode((const u8 *)others[i].bytes, (u32)others[i].count, 64, &s));
}

/* ---- the page ---- */

static void the_page_is_read_only(void **state UNUSED)
{
	static const u64 pages[] = { CONTROL, PM1A, PM1A + 1, HIGH };
	struct ept01_mapping found;

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		assert_true(vm_ept01_lookup(GPA(pages[i]), &found));
		assert_int_equal(found.rwx, EPT_READ | EPT_EXEC);
		assert_int_equal(found.size, PAGE_SIZE);
		assert_int_equal(found.hpa, ALIGN_DOWN(pages[i], PAGE_SIZE));
		/* its neighbours are as ever */
		assert_true(vm_ept01_lookup(GPA(ALIGN_DOWN(pages[i], PAGE_SIZE) - 2 * PAGE_SIZE), &found));
		assert_int_equal(found.rwx, EPT_RWX);
		assert_true(vm_ept01_lookup(GPA(pages[i] + 2 * PAGE_SIZE), &found));
		assert_int_equal(found.rwx, EPT_RWX);
	}
}

/* Where the guest that runs now finds `gpa`. */
static u64 found_at(u64 gpa)
{
	const struct ptab tables = { .format = &ptab_ept,
				     .root = HPA(machine_field(VMCS_ept_pointer) & PTE_ADDR) };
	unsigned int level;
	u64 leaf;

	assert_true(ptab_lookup(&tables, gpa, &leaf, &level));
	return leaf & PTE_ADDR;
}

/* L1's MTRRs change, also while a page stands in for absent memory there. */
static void mtrrs_do_not_open_it(void **state)
{
	struct mtrr mtrr = machine_vcpu->l1.mtrr;
	u64 page = ALIGN_DOWN(CONTROL, PAGE_SIZE);
	struct ept01_mapping found;

	mtrr.def_type = MTRR_DEF_TYPE_ENABLE | MEMTYPE_WT;
	assert_true(passthru_retype(&mtrr));
	the_page_is_read_only(state);
	assert_true(ept01_step_add(machine_vcpu, GPA(page), HPA(M_WINDOW + PAGE_SIZE)));
	assert_int_equal(found_at(page), M_WINDOW + PAGE_SIZE);
	mtrr.def_type = MTRR_DEF_TYPE_ENABLE | MEMTYPE_WP;
	assert_true(passthru_retype(&mtrr));
	the_page_is_read_only(state);
	assert_true(vm_ept01_lookup(GPA(page), &found));
	assert_int_equal(found.memory_type, MEMTYPE_WP);
	ept01_step_end(machine_vcpu);
	assert_int_equal(found_at(page), page);
	the_page_is_read_only(state);
}

static u64 rip;

/* L1 executes this instruction, which writes at `gpa`: to (RDI), if it says nothing else. */
static void execute_from(const char *bytes, size_t count, u64 gpa, u64 rdi)
{
	machine_vcpu->gpr[GPR_RDI] = rdi;
	memcpy(fake_memory + CODE, bytes, count);
	machine_set_field(VMCS_guest_rip, CODE);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = WRITE_BY_INSTRUCTION, .length = 1,
		 .guest_physical = gpa, .guest_linear = gpa);
	rip = machine_field(VMCS_guest_rip) - CODE;
}
#define EXECUTE_FROM(text, gpa, rdi) execute_from(text, sizeof(text) - 1, gpa, rdi)
#define EXECUTE(text, gpa) EXECUTE_FROM(text, gpa, gpa)

static u32 at(u64 gpa)
{
	u32 value;

	memcpy(&value, fake_memory + gpa, sizeof(value));
	return value;
}

static bool is_stepped(void)
{
	return machine_field(VMCS_proc_controls) & PROC_MTF;
}

static void harmless_stores_are_carried_out(void **state UNUSED)
{
	machine_vcpu->gpr[GPR_RAX] = 0x1122334455667788;
	EXECUTE("\x89\x07", CONTROL + 4);
	assert_int_equal(at(CONTROL + 4), 0x55667788);
	assert_int_equal(rip, 2);
	EXECUTE("\x48\x89\x04\x25\x18\0\xd4\x7e", CONTROL + 8);
	assert_int_equal(at(CONTROL + 12), 0x11223344);
	assert_int_equal(rip, 8);
	EXECUTE("\xc6\x07\x1c", CONTROL);
	assert_int_equal(at(CONTROL), 0x1c);
	EXECUTE("\x66\xc7\x07\1\2", CONTROL + 2);
	assert_int_equal(at(CONTROL), 0x0201001c);
	machine_vcpu->gpr[GPR_RBX] = SLEEP(ALLOWED) << 8;
	EXECUTE("\x88\x3f", CONTROL);
	assert_int_equal(at(CONTROL) & 0xff, SLEEP(ALLOWED));
	assert_false(is_stepped());
	assert_int_equal(machine_pending(), 0);
}

/*
 * A store may begin in the page before, and meets the violation at this one's first byte: what it has for
 * this page are its last bytes.
 */
static void a_store_from_the_page_before_is_dropped(void **state UNUSED)
{
	u64 page = ALIGN_DOWN(CONTROL, PAGE_SIZE);

	machine_vcpu->gpr[GPR_RAX] = 0x1122334455667788;
	for (u64 from = page - 7; from < page; from++) {
		memset(fake_memory + page, 0, 8);
		EXECUTE_FROM("\x48\x89\x07", page, from);
		assert_int_equal(rip, 0);
		assert_true(is_stepped());
		EXIT_NOW(.reason = EXIT_MTF);
		assert_int_equal(at(page), 0);
	}
	EXECUTE("\x48\x89\x07", page);
	assert_int_equal(rip, 3);
	assert_int_equal(at(page), 0x55667788);
}

/* The page's first byte by each part of an address; the same, less one, is the page before. */
static void every_part_of_the_address_counts(void **state UNUSED)
{
	static const struct {
		const char *bytes;
		u32 count;
		u64 rdi;
	} forms[] = {
#define FORM(text, rdi) { text, sizeof(text) - 1, rdi }
		FORM("\x89\x47\x08", 0x1000 - 8),
		FORM("\x89\x04\x9f", 0x1000 - 4 * 8),	      /* and RBX, times 4 */
		FORM("\x64\x89\x07", 0x1000 - 0x20),	      /* and FS's base */
		FORM("\x67\x89\x04\x9f", 0xf00000000 - 0x20), /* modulo 2^32 */
		FORM("\x89\x05\xfa\xff\xff\x7f", 0x1001), /* the next instruction's address counts, not RDI */
	};
	u64 page = ALIGN_DOWN(CONTROL, PAGE_SIZE);

	machine_vcpu->gpr[GPR_RBX] = 8;
	machine_set_field(VMCS_guest_fs_base, 0x20);
	machine_set_field(VMCS_guest_ds_base, 0x123);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		execute_from(forms[i].bytes, forms[i].count, page, forms[i].rdi);
		assert_int_equal(rip, forms[i].count);
		assert_false(is_stepped());
		if (i == ARRAY_SIZE(forms) - 1)
			continue;
		execute_from(forms[i].bytes, forms[i].count, page, forms[i].rdi - 1);
		assert_int_equal(rip, 0);
		assert_true(is_stepped());
		EXIT_NOW(.reason = EXIT_MTF);
	}
}

/* A data breakpoint sees the store that L0 makes. */
static void a_breakpoint_sees_the_store(void **state UNUSED)
{
	write_dr0(CONTROL + 4);
	machine_set_field(VMCS_guest_dr7, DR7_RESET | 3 | 1ull << 16 | 3ull << 18);
	EXECUTE("\x89\x07", CONTROL + 4);
	assert_int_equal(rip, 2);
	assert_int_equal(machine_field(VMCS_guest_pending_debug) & 0x100f, 0x1001);
}

/* One on the instruction's own bytes does not see L0 read them. */
static void a_breakpoint_does_not_see_the_fetch(void **state UNUSED)
{
	write_dr0(CODE);
	machine_set_field(VMCS_guest_dr7, DR7_RESET | 3 | 3ull << 16 | 3ull << 18);
	EXECUTE("\x89\x07", CONTROL + 4);
	assert_int_equal(rip, 2);
	assert_int_equal(machine_field(VMCS_guest_pending_debug) & 0x100f, 0);
}

/* At every place and in every width that brings the byte there. */
static void s3_is_dropped(void **state UNUSED)
{
	u64 all = 0x0101010101010101ull * SLEEP(S3);

	machine_vcpu->gpr[GPR_RAX] = all;
	for (u64 gpa = CONTROL - 8; gpa <= CONTROL + 1; gpa++) {
		bool reaches = gpa <= CONTROL && gpa + 4 > CONTROL;

		memset(fake_memory + CONTROL - 16, 0, 64);
		EXECUTE("\x89\x07", gpa);
		assert_int_equal(rip, 2);
		assert_int_equal(at(gpa), reaches ? 0 : (u32)all);
		memset(fake_memory + CONTROL - 16, 0, 64);
		EXECUTE("\x48\x89\x07", gpa);
		reaches = gpa <= CONTROL && gpa + 8 > CONTROL;
		assert_int_equal(at(gpa), reaches ? 0 : (u32)all);
	}
	EXECUTE("\xc6\x07\x2c", CONTROL);
	assert_int_equal(at(CONTROL) & 0xff, 0);
	EXECUTE("\xc6\x07\x2c", PM1A + 1);
	assert_int_equal(at(PM1A + 1) & 0xff, 0);
	EXECUTE("\xc6\x07\x2c", PM1A);
	assert_int_equal(at(PM1A) & 0xff, 0x2c);
	EXECUTE("\xc6\x07\x34", PM1A + 1);
	assert_int_equal(at(PM1A + 1) & 0xff, SLEEP(ALLOWED));
	assert_false(is_stepped());
}

/* What is no plain store finds absent memory for its one instruction, and the page is as it was behind it. */
static void other_writes_are_dropped(void **state UNUSED)
{
	EXECUTE("\xf0\x01\x07", CONTROL);
	assert_int_equal(rip, 0);
	assert_true(is_stepped());
	assert_int_equal(found_at(CONTROL), ptr_to_phys(machine_vcpu->l1.absent.scratch).v);
	the_page_is_read_only(state);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_false(is_stepped());
	the_page_is_read_only(state);
	/* over the end of the page */
	EXECUTE("\x48\x89\x07", ALIGN_DOWN(CONTROL, PAGE_SIZE) + PAGE_SIZE - 4);
	assert_int_equal(rip, 0);
	assert_true(is_stepped());
	EXIT_NOW(.reason = EXIT_MTF);
	/* by a page walk, in an event's delivery */
	memcpy(fake_memory + CODE, "\x89\x07", 2);
	machine_vcpu->gpr[GPR_RDI] = CONTROL;
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_WRITE | EPTV_READ | EPTV_LINEAR_VALID,
		 .guest_physical = CONTROL);
	assert_true(is_stepped());
	EXIT_NOW(.reason = EXIT_MTF);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = WRITE_BY_INSTRUCTION,
		 .guest_physical = CONTROL, .vectoring_info = INTR_INFO_VALID | 0x20);
	assert_true(is_stepped());
	EXIT_NOW(.reason = EXIT_MTF);
	the_page_is_read_only(state);
	assert_int_equal(at(CONTROL), 0);
}

/* Above 4 GiB L0 has no way there. */
static void out_of_reach_is_dropped(void **state UNUSED)
{
	EXECUTE("\x89\x07", HIGH);
	assert_int_equal(rip, 2);
	assert_false(is_stepped());
}

static void one_warning(void **state UNUSED)
{
	const char *first;

	for (int i = 0; i < 3; i++)
		EXECUTE("\xc6\x07\x2c", CONTROL);
	first = strstr(fake_log(), "would sleep by the register");
	assert_non_null(first);
	assert_null(strstr(first + 1, "would sleep by the register"));
}

/* ---- L2 ---- */

static void an_l2_without_ept_is_refused_too(void **state UNUSED)
{
	l1_run_l2();
	machine_vcpu->gpr[GPR_RAX] = SLEEP(S3);
	EXECUTE("\x88\x07", CONTROL);
	assert_true(machine_in_l2());
	assert_int_equal(rip, 2);
	assert_int_equal(at(CONTROL), 0);
	machine_vcpu->gpr[GPR_RAX] = SLEEP(ALLOWED);
	EXECUTE("\x88\x07", CONTROL);
	assert_int_equal(at(CONTROL), SLEEP(ALLOWED));
	EXECUTE("\x00\x07", CONTROL);
	assert_int_equal(rip, 0);
	assert_true(is_stepped());
	EXIT_NOW(.reason = EXIT_MTF);
	assert_true(machine_in_l2());
	the_page_is_read_only(state);
}

#define TABLES 0x700000ull
#define EPTP12 (TABLES | MEMTYPE_WB | 3u << EPTP_WALK_SHIFT)

/* L1's tables give its L2 the machine, 1 GiB at a time. */
static void run_l2_with_ept(void)
{
	l1_write64(TABLES, (TABLES + PAGE_SIZE) | EPT_RWX);
	for (u64 i = 0; i < 4; i++)
		l1_write64(TABLES + PAGE_SIZE + i * 8, i << 30 | EPT_RWX | EPT_LEAF);
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_vmwrite(VMCS_proc2_controls, PROC2_EPT);
	l1_vmwrite(VMCS_ept_pointer, EPTP12);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

/* The leaf of EPT02 for an address, 0 if there is none. */
static u64 leaf02(u64 l2gpa)
{
	u64 table = machine_field(VMCS_ept_pointer) & EPT_ADDRESS, entry = 0;

	for (unsigned int level = 4; level; level--) {
		entry = l1_read64(table + 8 * ept_index(l2gpa, level));
		if (!(entry & EPT_RWX) || ept_is_leaf(entry, level))
			break;
		table = entry & EPT_ADDRESS;
	}
	return entry & EPT_RWX ? entry : 0;
}

static void an_l2_with_ept_is_refused_too(void **state UNUSED)
{
	run_l2_with_ept();
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION,
		 .qualification = EPTV_READ | EPTV_LINEAR_VALID | EPTV_TRANSLATED, .guest_physical = CONTROL,
		 .guest_linear = CONTROL);
	assert_int_equal(leaf02(CONTROL) & EPT_RWX, EPT_READ | EPT_EXEC);
	assert_int_equal(leaf02(CONTROL) & EPT_ADDRESS, ALIGN_DOWN(CONTROL, PAGE_SIZE));
	machine_vcpu->gpr[GPR_RAX] = SLEEP(S3);
	EXECUTE("\x88\x07", CONTROL);
	assert_true(machine_in_l2());
	assert_int_equal(rip, 2);
	assert_int_equal(at(CONTROL), 0);
	machine_vcpu->gpr[GPR_RAX] = SLEEP(ALLOWED);
	EXECUTE("\x88\x07", CONTROL);
	assert_int_equal(at(CONTROL), SLEEP(ALLOWED));
	EXECUTE("\x00\x07", CONTROL);
	assert_int_equal(rip, 0);
	assert_true(is_stepped());
	assert_int_not_equal(leaf02(CONTROL) & EPT_ADDRESS, ALIGN_DOWN(CONTROL, PAGE_SIZE));
	EXIT_NOW(.reason = EXIT_MTF);
	assert_true(machine_in_l2());
	assert_int_equal(leaf02(CONTROL), 0);
}

int main(void)
{
#define T(test) MACHINE_TEST_BEFORE(test, "", add_registers)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_stores_are_decoded),
		cmocka_unit_test(operands_are_decoded),
		cmocka_unit_test(nothing_else_is),
		T(the_page_is_read_only),
		MACHINE_TEST_BEFORE(the_page_is_read_only, "ept-large=off", add_registers),
		T(mtrrs_do_not_open_it),
		T(harmless_stores_are_carried_out),
		T(a_store_from_the_page_before_is_dropped),
		T(every_part_of_the_address_counts),
		T(a_breakpoint_sees_the_store),
		T(a_breakpoint_does_not_see_the_fetch),
		T(s3_is_dropped),
		T(other_writes_are_dropped),
		T(out_of_reach_is_dropped),
		T(one_warning),
		T(an_l2_without_ept_is_refused_too),
		T(an_l2_with_ept_is_refused_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
