/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ports": I/O instructions of L1's at and around a port that Socle wants (PM1a_CNT): each width
 * at each neighbour, strings with all that can go wrong with their memory operand, single steps and I/O
 * breakpoints. What would put the machine to sleep is in ports_sleep.c. SDM: volume 2 "IN", "OUT", "INS",
 * "OUTS".
 */
#include "tests/guest/ports.h"

u16 harmless_word(u32 n)
{
	return (u16)((n * 0x3571 + 0x1911) & 0xdfdf);
}

void fill_harmless(u64 at, u32 bytes)
{
	u32 i;

	for (i = 0; i < bytes / 2; i++)
		((u16 *)ptr_of(at))[i] = harmless_word(i);
}

u64 bytes_hash(u64 at, u32 bytes)
{
	u64 hash = 0;
	u32 i;

	for (i = 0; i < bytes; i++)
		hash = hash_add(hash, ((u8 *)ptr_of(at))[i]);
	return hash;
}

IO_CODE(in8, "in %dx, %al");
IO_CODE(in16, "in %dx, %ax");
IO_CODE(in32, "in %dx, %eax");
IO_CODE(out8, "out %al, %dx");
IO_CODE(out16, "out %ax, %dx");
IO_CODE(out32, "out %eax, %dx");

TEST(own_io)
{
	static const struct {
		const char *name;
		const u8 *code;
	} forms[] = {
		{ "in8", l1_in8 },   { "in16", l1_in16 },   { "in32", l1_in32 },
		{ "out8", l1_out8 }, { "out16", l1_out16 }, { "out32", l1_out32 },
	};
	u16 pm1 = pm1_port();
	u32 i;
	int delta;

	NEED(pm1);
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		for (delta = -4; delta < 4; delta++) {
			struct exec e;

			io_out16(pm1, harmless_word(i));
			exec_init(&e, addr_of(forms[i].code));
			e.regs.rax = 0x9182938491829384ull + (u64)delta;
			e.regs.rdx = 0xabcd00000000ull | (u16)(pm1 + delta);
			exec_run(&e);
			result("%s %d ends=%x rax=%lx rdx=%lx pm1=%x", forms[i].name, delta, e.out.vector,
			       e.out.frame.regs.rax, e.out.frame.regs.rdx >> 16, io_in16(pm1));
			CHECK(e.out.vector == VEC_EXEC_DONE);
		}
	}
	io_out16(pm1 - 2, 0);
	io_out16(pm1, 1);
}

IO_CODE(insb, "insb");
IO_CODE(insw, "insw");
IO_CODE(insl, "insl");
IO_CODE(outsb, "outsb");
IO_CODE(outsw, "outsw");
IO_CODE(outsl, "outsl");
IO_CODE(rep_insw, "rep insw");
IO_CODE(rep_outsb, "rep outsb");
IO_CODE(rep_outsw, "rep outsw");
IO_CODE(rep_outsw_std, "std; rep outsw; cld");
IO_CODE(rep_insb_std, "std; rep insb; cld");
IO_CODE(outsw_fs, "outsw %fs:(%rsi), %dx");
IO_CODE(insw_fs, "fs insw");
IO_CODE(rep_outsw_a32, "rep outsw (%esi), %dx");
IO_CODE(rep_insw_a32, "addr32 rep insw");
IO_CODE(repne_insw, "repne insw");

struct string_case {
	const char *name;
	const u8 *code;
	u64 count;
};
static const struct string_case strings[] = {
	{ "insb", l1_insb, 9 },
	{ "insw", l1_insw, 9 },
	{ "insl", l1_insl, 9 },
	{ "outsb", l1_outsb, 9 },
	{ "outsw", l1_outsw, 9 },
	{ "outsl", l1_outsl, 9 },
	{ "rep_insw", l1_rep_insw, 3 },
	{ "rep_insw_many", l1_rep_insw, 100 },
	{ "rep_insw_none", l1_rep_insw, 0 },
	{ "rep_outsb", l1_rep_outsb, 33 },
	{ "rep_outsw", l1_rep_outsw, 32 },
	{ "rep_outsw_many", l1_rep_outsw, 1000 },
	{ "rep_outsw_none", l1_rep_outsw, 0 },
	{ "rep_outsw_std", l1_rep_outsw_std, 40 },
	{ "rep_insb_std", l1_rep_insb_std, 40 },
	{ "outsw_fs", l1_outsw_fs, 9 },
	{ "insw_fs", l1_insw_fs, 9 },
	{ "rep_outsw_a32", l1_rep_outsw_a32, 0xdead00000021ull },
	{ "rep_insw_a32", l1_rep_insw_a32, 0xdead00000021ull },
	{ "repne_insw", l1_repne_insw, 5 },
};

/* With an address above 4 GiB: nobody knows what is written then, and who is put to sleep by it. */
static bool reaches_low_memory(const struct string_case *c)
{
	return c->code == l1_rep_outsw_a32 || c->code == l1_rep_insw_a32;
}

/* The operand is at `at`, which is `middle` where nothing is wrong with it; what became of it all. */
static void run_string(const struct string_case *c, const char *how, u64 at, u64 flags, bool user)
{
	u16 pm1 = pm1_port();
	struct exec e;
	char name[48];

	io_out16(pm1, harmless_word((u32)c->count));
	exec_init(&e, addr_of(c->code));
	if (user)
		exec_user(&e);
	e.regs.rsi = e.regs.rdi = at;
	e.regs.rcx = c->count;
	e.regs.rdx = pm1;
	e.rflags |= flags;
	exec_run(&e);
	result("%s %s ends=%s rip=%lx rsi=%lx rdi=%lx rcx=%lx flags=%lx pm1=%x", c->name, how,
	       fault_name(&e.out, name), e.out.frame.rip - e.rip, e.out.frame.regs.rsi - at,
	       e.out.frame.regs.rdi - at, e.out.frame.regs.rcx, e.out.frame.rflags & ~RFLAGS_FIXED,
	       io_in16(pm1));
}

TEST(own_strings)
{
	u64 buffer = addr_of(page_alloc_contig(4)), middle = buffer + 2 * PAGE_SIZE - 7;
	u32 i;

	NEED(pm1_port());
	msr_write(MSR_FS_BASE, 0x20);
	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		fill_harmless(buffer, 4 * PAGE_SIZE);
		run_string(&strings[i], "plain", middle, 0, false);
		result("%s memory=%lx", strings[i].name, bytes_hash(buffer, 4 * PAGE_SIZE));
	}
	io_out16(pm1_port(), 1);
}

/* Two pages in the middle of nowhere: the second is not there, or read-only. */
TEST(own_faults)
{
	u64 page = addr_of(page_alloc()), va = TEST_VA + 8 * PAGE_SIZE;
	u32 i;

	NEED(pm1_port());
	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		if (reaches_low_memory(&strings[i]))
			continue;
		/* INSL of a port that has no dwords has left ones there */
		fill_harmless(page, PAGE_SIZE);
		paging_map(va, page, PTE_P | PTE_W);
		run_string(&strings[i], "absent_behind", va + PAGE_SIZE - 5, 0, false);
		run_string(&strings[i], "absent", va + PAGE_SIZE, 0, false);
		paging_map(va, page, PTE_P);
		run_string(&strings[i], "read_only", va + 64, 0, false);
		run_string(&strings[i], "not_canonical", 0x8000000000000000, 0, false);
		run_string(&strings[i], "end_of_canonical", 0x7ffffffffffe, 0, false);
	}
	io_out16(pm1_port(), 1);
}

/* At CPL 3 the TSS's bitmap comes first, then the exit, then the memory operand: pages, and alignment. */
TEST(own_user)
{
	struct cpu *cpu = this_cpu();
	u64 page = addr_of(page_alloc()), va = TEST_VA + 8 * PAGE_SIZE, code = TEST_VA,
	    mark = cpu->gdt[SEL_TSS / 8];
	u8 *tss = page_alloc_contig(4);
	u16 pm1 = pm1_port();
	u32 i, allowed;

	NEED(pm1);
	memcpy(tss, &cpu->tss, sizeof(cpu->tss));
	*(u16 *)(tss + 0x66) = 0x68;
	memset(tss + 0x68, 0xff, 0x2001);
	cpu->gdt[SEL_TSS / 8] =
		0x2068 | (addr_of(tss) & 0xffffff) << 16 | 0x89ull << 40 | (addr_of(tss) >> 24 & 0xff) << 56;
	cpu->gdt[SEL_TSS / 8 + 1] = addr_of(tss) >> 32;
	tr_load(SEL_TSS);
	paging_map(code, addr_of(l1_in8) & ~(PAGE_SIZE - 1), PTE_P | PTE_U);
	paging_map(code + PAGE_SIZE, (addr_of(l1_in8) & ~(PAGE_SIZE - 1)) + PAGE_SIZE, PTE_P | PTE_U);
	paging_map(addr_of(cpu) & ~(PAGE_SIZE - 1), addr_of(cpu) & ~(PAGE_SIZE - 1), PTE_P | PTE_W);
	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		struct string_case c = strings[i];

		if (reaches_low_memory(&c))
			continue;
		fill_harmless(page, PAGE_SIZE);
		c.code = ptr_of(code + addr_of(c.code) - (addr_of(l1_in8) & ~(PAGE_SIZE - 1)));
		for (allowed = 0; allowed < 2; allowed++) {
			memset(tss + 0x68 + pm1 / 8, allowed ? 0 : 0xff, 2);
			paging_map(va, page, PTE_P | PTE_W | PTE_U);
			run_string(&c, allowed ? "allowed" : "denied", va + 64, 0, true);
			run_string(&c, allowed ? "iopl_allowed" : "iopl_denied", va + 64, RFLAGS_IOPL, true);
			paging_map(va, page, PTE_P | PTE_W);
			run_string(&c, "supervisor_page", va + 64, 0, true);
		}
		paging_map(va, page, PTE_P | PTE_W | PTE_U);
		cr0_write(cr0_read() | CR0_AM);
		run_string(&c, "misaligned", va + 65, RFLAGS_AC, true);
		run_string(&c, "misaligned_2", va + 66, RFLAGS_AC, true);
		cr0_write(cr0_read() & ~CR0_AM);
	}
	cpu->gdt[SEL_TSS / 8] = mark & ~(2ull << 40);
	cpu->gdt[SEL_TSS / 8 + 1] = addr_of(&cpu->tss) >> 32;
	tr_load(SEL_TSS);
	io_out16(pm1, 1);
}

static u64 dr7_wanted;

static void step(const struct string_case *c, const char *how, u64 at, u64 flags)
{
	u16 pm1 = pm1_port();
	struct exec e;
	u32 i;

	io_out16(pm1, 0x1001);
	exec_init(&e, addr_of(c->code));
	e.regs.rsi = e.regs.rdi = at;
	e.regs.rcx = c->count;
	e.regs.rdx = pm1;
	e.regs.rax = 0x1001;
	e.rflags |= flags;
	for (i = 0; i < 8; i++) {
		dr6_write(0xffff0ff0);
		dr7_write(dr7_wanted);
		exec_run(&e);
		dr7_write(0x400);
		result("%s %s %u ends=%x rip=%lx rcx=%lx rsi=%lx rdi=%lx flags=%lx dr6=%lx", c->name, how, i,
		       e.out.vector, e.out.frame.rip - addr_of(c->code), e.out.frame.regs.rcx,
		       e.out.frame.regs.rsi - at, e.out.frame.regs.rdi - at,
		       e.out.frame.rflags & ~RFLAGS_FIXED, e.out.vector == VEC_DB ? dr6_read() & 0xf00f : 0);
		if (e.out.vector != VEC_DB)
			return;
		e.regs = e.out.frame.regs;
		e.regs.rsp = e.out.frame.rsp;
		e.rip = e.out.frame.rip;
		e.rflags = e.out.frame.rflags;
	}
}

static void dr_address(u32 n, u64 v)
{
	if (n)
		asm volatile("mov %0, %%db1" : : "r"(v));
	else
		dr0_write(v);
}

/* TF over each form, an I/O breakpoint on the port, its neighbour or the code, and both. */
TEST(own_steps)
{
	static const struct string_case forms[] = {
		{ "in8", l1_in8, 0 },
		{ "in16", l1_in16, 0 },
		{ "out16", l1_out16, 0 },
		{ "insw", l1_insw, 0 },
		{ "outsw", l1_outsw, 0 },
		{ "rep_insw", l1_rep_insw, 3 },
		{ "rep_outsw", l1_rep_outsw, 3 },
		{ "rep_outsw_none", l1_rep_outsw, 0 },
	};
	u64 buffer = addr_of(page_alloc()), cr4 = cr4_read();
	u16 pm1 = pm1_port();
	u32 i;

	NEED(pm1);
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		fill_harmless(buffer, 64);
		dr7_wanted = 0x400;
		step(&forms[i], "tf", buffer, RFLAGS_TF);
		/* nothing is accessed, whatever the emulator says */
		if (forms[i].code == l1_rep_outsw && !forms[i].count)
			continue;
		cr4_write(cr4 | CR4_DE);
		dr_address(0, pm1 + 1);
		dr7_wanted = 0x400 | 1 | 2 << 16;
		step(&forms[i], "io", buffer, 0);
		step(&forms[i], "io_tf", buffer, RFLAGS_TF);
		dr_address(1, pm1 & ~3u);
		dr7_wanted = 0x400 | 4 | 2 << 20 | 3 << 22;
		step(&forms[i], "io_four", buffer, 0);
		dr7_wanted |= 2 << 16;
		step(&forms[i], "io_and_disabled", buffer, 0);
		dr_address(0, pm1 + 4);
		dr7_wanted = 0x400 | 1 | 2 << 16;
		step(&forms[i], "io_elsewhere", buffer, 0);
		cr4_write(cr4);
		dr_address(0, addr_of(forms[i].code));
		dr7_wanted = 0x400 | 1;
		step(&forms[i], "code", buffer, RFLAGS_RF);
	}
	dr_address(0, 0);
	dr_address(1, 0);
	io_out16(pm1, 1);
}
