/* SPDX-License-Identifier: MIT */
/*
 * Runs the image's tests: command line tests=name,prefix* (all without it), each test guarded, VMX left and
 * pages given back after each; SUMMARY and DONE at the end, then the machine is switched off.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

struct PACKED multiboot_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length,
		mmap_addr;
};

struct PACKED multiboot_range {
	u32 size;
	u64 base, length;
	u32 type;
};

extern const struct test tests_begin[], tests_end[];
extern u32 multiboot_magic, multiboot_info;
void main(void);

static char command_line[1024];
static bool command_line_cut; /* what is missing may name tests */
static struct multiboot_range ranges[64];
static size_t range_count;
static const struct test *current;
static u32 passed, failed, failures;
static bool skipped;

static void read_multiboot(void)
{
	const struct multiboot_info *mbi = ptr_of(multiboot_info);
	size_t i;

	if (multiboot_magic != 0x2badb002)
		return;
	if (mbi->flags & BIT(2)) {
		const char *s = ptr_of(mbi->cmdline);

		for (i = 0; s[i] && i < sizeof(command_line) - 1; i++)
			command_line[i] = s[i];
		command_line_cut = s[i];
	}
	if (mbi->flags & BIT(6)) {
		u32 at = 0;

		while (at < mbi->mmap_length && range_count < ARRAY_SIZE(ranges)) {
			const struct multiboot_range *r = ptr_of(mbi->mmap_addr + at);

			ranges[range_count++] = *r;
			at += r->size + 4;
		}
	}
}

void memory_holes(void (*fn)(u64 base, u64 size, u32 type))
{
	size_t i;

	for (i = 0; i < range_count; i++)
		if (ranges[i].type != 1)
			fn(ranges[i].base, ranges[i].length, ranges[i].type);
}

static const char *option(const char *name)
{
	size_t n = strlen(name);
	const char *s = command_line;

	while (*s) {
		while (*s == ' ')
			s++;
		if (!memcmp(s, name, n) && (s[n] == '=' || s[n] == ' ' || !s[n]))
			return s[n] == '=' ? s + n + 1 : s + n;
		while (*s && *s != ' ')
			s++;
	}
	return NULL;
}

bool option_flag(const char *name)
{
	return option(name) != NULL;
}

static u64 number(const char **s)
{
	u64 v = 0;
	u64 base = 10;

	if ((*s)[0] == '0' && (*s)[1] == 'x') {
		base = 16;
		*s += 2;
	}
	for (;; (*s)++) {
		char c = **s;

		if (c >= '0' && c <= '9')
			v = v * base + (u64)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			v = v * base + (u64)(c - 'a' + 10);
		else
			return v;
	}
}

u64 option_number(const char *name, u64 otherwise)
{
	const char *s = option(name);

	return s ? number(&s) : otherwise;
}

u64 option_range_end(const char *name, u64 otherwise)
{
	const char *s = option(name);
	u64 v;

	if (!s)
		return otherwise;
	v = number(&s);
	if (*s != '-')
		return v;
	s++;
	return number(&s);
}

/* Is the test's name in a list of names, joined by commas; `name*` stands for all that begin so. */
static bool listed(const char *s, const char *name)
{
	while (*s && *s != ' ') {
		const char *n = name;

		while (*s == *n && *n) {
			s++;
			n++;
		}
		if (*s == '*' || (!*n && (!*s || *s == ' ' || *s == ',')))
			return true;
		while (*s && *s != ' ' && *s != ',')
			s++;
		if (*s == ',')
			s++;
	}
	return false;
}

/* tests=NAME,... or all of them, but except=NAME,... */
static bool selected(const char *name)
{
	const char *wanted = option("tests"), *unwanted = option("except");

	return (!wanted || listed(wanted, name)) && !(unwanted && listed(unwanted, name));
}

const char *test_name(void)
{
	return current ? current->name : "main";
}
void test_failed(void)
{
	failures++;
}

void test_fail(const char *file, int line, const char *what)
{
	const char *s;

	for (s = file; *s; s++)
		if (*s == '/')
			file = s + 1;
	print("FAIL %s %s:%d %s\n", test_name(), file, line, what);
	failures++;
}

void test_skip(const char *why)
{
	print("SKIP %s %s\n", test_name(), why);
	skipped = true;
}

void result(const char *fmt, ...)
{
	va_list args;

	print("RESULT %s ", test_name());
	va_start(args, fmt);
	print_args(fmt, args);
	va_end(args);
	print("\n");
}

void info(const char *fmt, ...)
{
	va_list args;

	print("INFO %s ", test_name());
	va_start(args, fmt);
	print_args(fmt, args);
	va_end(args);
	print("\n");
}

u64 random_next(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static u64 run_guarded(u64 test, u64 unused1, u64 unused2)
{
	(void)unused1;
	(void)unused2;
	((const struct test *)test)->run();
	return 0;
}

static void run(const struct test *t)
{
	u64 mark = page_mark();
	u64 cr4 = cr4_read();
	u64 cr0 = cr0_read();
	u32 before = failures;
	struct fault f;
	char name[48];

	current = t;
	skipped = false;
	if (t->vmx)
		vmx_enable();
	guard_call(&f, run_guarded, addr_of(t), 0, 0);
	if (f.vector != NO_FAULT) {
		print("FAIL %s unexpected %s at rip=%lx\n", t->name, fault_name(&f, name), f.frame.rip);
		failures++;
	}
	cpu_cli();
	vmx_disable();
	paging_reset();
	cr4_write(cr4);
	cr0_write(cr0);
	trap_reset();
	page_release(mark);
	current = NULL;
	if (failures != before)
		failed++;
	else if (!skipped)
		passed++;
}

/* `counters` on the command line: a Socle below us, and those below it, are asked to print theirs. */
static void ask_for_counters(void)
{
	struct cpuid r = cpuid(0x40000000, 0);
	u32 number = 0x50434c53, argument = 1;

	if (option_flag("counters") && r.ebx == 0x6c636f53 && r.ecx == 0x636f5365 && r.edx == 0x2020656c)
		asm volatile("vmcall" : "+a"(number), "+b"(argument) : : "rcx", "rdx", "memory");
}

void main(void)
{
	const struct test *t;

	read_multiboot();
	console_init();
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE | EFER_SCE);
	trap_init_cpu(&cpus[0], 0);
	io_out8(0x21, 0xff); /* no interrupts but the tests' own */
	io_out8(0xa1, 0xff);
	apic_enable();
	cpus[0].apic_id = msr_read(MSR_APIC_BASE) & BIT(10) ? apic_read(0x20) : apic_read(0x20) >> 24;
	/* only now the console: the first line tells that all of this went well */
	print("BEGIN %s\n", command_line);
	if (!vmx_supported()) {
		print("FAIL main this processor has no VMX\nDONE\n");
		machine_stop();
	}
	if (command_line_cut) {
		print("FAIL main the command line is longer than %lu characters\nDONE\n",
		      sizeof(command_line) - 1);
		machine_stop();
	}
	vmx_caps_read();
	for (t = tests_begin; t < tests_end; t++)
		if (selected(t->name))
			run(t);
	ask_for_counters();
	print("SUMMARY %u passed, %u failed\nDONE\n", passed, failed);
	machine_stop();
}
