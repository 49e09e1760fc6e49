/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": the sweep of the thirteen VMX instructions: outside VMX operation, in VMX root and from L2; rings and
 * modes; every form of operand; faults of the operand; errors of the value. The expectation is the bare processor's own
 * output; CHECKs are there for what no processor may do otherwise. SDM: "VMX Instruction Reference".
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum op {
	VMXON, VMXOFF, VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, VMLAUNCH, VMRESUME, INVEPT, INVVPID, VMCALL, VMFUNC, OPS,
};

enum op_kind { NO_OPERAND, MEMORY, REGISTER_MEMORY };

static const struct op_info {
	const char *name;
	enum op_kind kind;
	u8 prefix, size, bytes[3], digit;
} ops[OPS] = {
	[VMXON] = { "vmxon", MEMORY, 0xf3, 2, { 0x0f, 0xc7 }, 6 },
	[VMXOFF] = { "vmxoff", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xc4 }, 0 },
	[VMCLEAR] = { "vmclear", MEMORY, 0x66, 2, { 0x0f, 0xc7 }, 6 },
	[VMPTRLD] = { "vmptrld", MEMORY, 0, 2, { 0x0f, 0xc7 }, 6 },
	[VMPTRST] = { "vmptrst", MEMORY, 0, 2, { 0x0f, 0xc7 }, 7 },
	[VMREAD] = { "vmread", REGISTER_MEMORY, 0, 2, { 0x0f, 0x78 }, 0 },
	[VMWRITE] = { "vmwrite", REGISTER_MEMORY, 0, 2, { 0x0f, 0x79 }, 0 },
	[VMLAUNCH] = { "vmlaunch", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xc2 }, 0 },
	[VMRESUME] = { "vmresume", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xc3 }, 0 },
	[INVEPT] = { "invept", REGISTER_MEMORY, 0x66, 3, { 0x0f, 0x38, 0x80 }, 0 },
	[INVVPID] = { "invvpid", REGISTER_MEMORY, 0x66, 3, { 0x0f, 0x38, 0x81 }, 0 },
	[VMCALL] = { "vmcall", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xc1 }, 0 },
	[VMFUNC] = { "vmfunc", NO_OPERAND, 0, 3, { 0x0f, 0x01, 0xd4 }, 0 },
};

/* An operand: a register, or memory at [base + index * 2^scale + disp] with a segment override. */
enum { NONE = 16, RIP = 17, SEG_FS = 0x64, SEG_GS = 0x65, SEG_SS = 0x36, SEG_ES = 0x26 };

struct operand {
	bool is_register;
	u8 rm;			/* the register */
	u8 base, index, scale;	/* NONE where absent; base RIP */
	i32 disp;
	u8 disp_size;		/* 0, 1, 4; ignored where the form demands 4 */
	u8 segment;
	bool address32;
	u8 reg;			/* the other operand of REGISTER_MEMORY */
};

static u8 *code;		/* a page that user code can run too */
static u8 *data;		/* two pages, mapped at DATA_VA for user mode */

#define DATA_VA TEST_VA
#define CODE_VA (TEST_VA + 0x10000)
#define BAD_VA (TEST_VA + 0x20000)	/* page tables' variety for the fault tests */
#define USER_STACK_VA (TEST_VA + 0x30000)
#define LOW_VA 0xc0000000ull		/* user code, data and stack for compatibility mode; nothing is there otherwise */

static u32 assemble(u8 *p, enum op op, const struct operand *o)
{
	const struct op_info *info_ = &ops[op];
	u8 *start = p;
	u8 rex = 0;
	u8 reg = info_->kind == REGISTER_MEMORY ? o->reg : info_->digit;
	int i;

	if (info_->kind != NO_OPERAND) {
		if (o->segment)
			*p++ = o->segment;
		if (o->address32)
			*p++ = 0x67;
		rex |= reg & 8 ? 4 : 0;
		if (o->is_register) {
			rex |= o->rm & 8 ? 1 : 0;
		} else {
			rex |= o->index < NONE && o->index & 8 ? 2 : 0;
			rex |= o->base < NONE && o->base & 8 ? 1 : 0;
		}
	}
	if (info_->prefix)
		*p++ = info_->prefix;
	if (rex)
		*p++ = 0x40 | rex;
	for (i = 0; i < info_->size; i++)
		*p++ = info_->bytes[i];
	if (info_->kind == NO_OPERAND)
		return (u32)(p - start);
	reg = (reg & 7) << 3;
	if (o->is_register) {
		*p++ = 0xc0 | reg | (o->rm & 7);
	} else if (o->base == RIP) {
		*p++ = reg | 5;
		memcpy(p, &o->disp, 4);
		p += 4;
	} else {
		u8 mod = o->disp_size == 0 ? 0 : o->disp_size == 1 ? 0x40 : 0x80;
		bool sib = o->index != NONE || o->base == NONE || (o->base & 7) == 4;

		if (o->base == NONE)
			mod = 0;
		else if (mod == 0 && (o->base & 7) == 5)
			mod = 0x40;
		*p++ = mod | reg | (sib ? 4 : o->base & 7);
		if (sib)
			*p++ = o->scale << 6 | (o->index == NONE ? 4 : o->index & 7) << 3 |
			       (o->base == NONE ? 5 : o->base & 7);
		if (o->base == NONE || mod == 0x80) {
			memcpy(p, &o->disp, 4);
			p += 4;
		} else if (mod == 0x40) {
			*p++ = (u8)o->disp;
		}
	}
	return (u32)(p - start);
}

static void prepare(void)
{
	code = page_alloc();
	data = page_alloc_contig(2);
	paging_map(DATA_VA, addr_of(data), PTE_P | PTE_W | PTE_U);
	paging_map(DATA_VA + PAGE_SIZE, addr_of(data) + PAGE_SIZE, PTE_P | PTE_W | PTE_U);
	paging_map(CODE_VA, addr_of(code), PTE_P | PTE_W | PTE_U);
	paging_map(USER_STACK_VA, addr_of(page_alloc()), PTE_P | PTE_W | PTE_U);
	paging_map(LOW_VA, addr_of(code), PTE_P | PTE_W | PTE_U);
	paging_map(LOW_VA + PAGE_SIZE, addr_of(data), PTE_P | PTE_W | PTE_U);
	paging_map(LOW_VA + 2 * PAGE_SIZE, addr_of(page_alloc()), PTE_P | PTE_W | PTE_U);
}

static const struct operand at_rbx = { .base = 3, .index = NONE, .reg = 2 };

static u64 *register_of(struct gprs *r, u32 n) { return (u64 *)r + n; }

/* The outcome as text. The VM-instruction error is only defined where a VMCS is current: then it is read. */
static const char *outcome(const struct exec *e, char buf[64])
{
	const struct fault *f = &e->out;
	u64 flags = f->frame.rflags & RFLAGS_STATUS;

	if (f->vector == VEC_EXEC_EXIT) {
		format(buf, 64, "exit(%lx)", vmread(F_EXIT_REASON));
		return buf;
	}
	if (f->vector != VEC_EXEC_DONE)
		return fault_name(f, buf);
	if (flags == 0)
		return "ok";
	if (flags == RFLAGS_CF)
		return "invalid";
	if (flags == RFLAGS_ZF)
		format(buf, 64, "valid(%u)", vmx_error());
	else
		format(buf, 64, "flags(%lx)", flags);
	return buf;
}

struct setting {
	const char *name;
	u16 cs;
	bool user;
};

static const struct setting settings[] = {
	{ "64/0", SEL_CODE64, false }, { "64/3", SEL_USER64, true }, { "compat32/0", SEL_CODE32, false },
	{ "compat32/3", SEL_USER32, true }, { "compat16/0", SEL_CODE16, false },
};

static void set_exec(struct exec *e, const struct setting *s)
{
	bool wide = s->cs == SEL_CODE64 || s->cs == SEL_USER64;

	exec_init(e, wide ? CODE_VA : s->user ? LOW_VA : addr_of(code));
	e->cs = s->cs;
	e->regs.rbx = addr_of(data);
	if (s->user) {
		e->ss = SEL_USER_DATA;
		e->regs.rsp = wide ? USER_STACK_VA + 2048 : LOW_VA + 3 * PAGE_SIZE;
		e->regs.rbx = wide ? DATA_VA : LOW_VA + PAGE_SIZE;
	}
	e->rflags |= RFLAGS_STATUS;
	e->regs.rdx = F_GUEST_RIP;
}

/* code16 has base 0 and its offset must fit: that code runs from low memory */
static void run_in(struct exec *e, const struct setting *s, enum op op, const struct operand *o)
{
	u8 *p = s->cs == SEL_CODE16 ? ptr_of(LOW_CODE) : code;
	u32 n;

	if (s->cs == SEL_CODE16)
		e->rip = 0x0000 + LOW_CODE % 0x10000;
	n = assemble(p, op, o);
	p[n] = 0xcd;
	p[n + 1] = VEC_EXEC_DONE;
	exec_run(e);
}

static void sweep_settings(const char *what)
{
	u32 s;
	enum op op;
	char buf[64];

	gdt_set(SEL_CODE16, 0x000f9b010000ffffull); /* base LOW_CODE */
	for (s = 0; s < ARRAY_SIZE(settings); s++) {
		print("RESULT %s %s %s", test_name(), what, settings[s].name);
		for (op = 0; op < OPS; op++) {
			struct exec e;

			if (op == VMXOFF && settings[s].cs == SEL_CODE64 && this_cpu()->vmx_on)
				continue;
			set_exec(&e, &settings[s]);
			run_in(&e, &settings[s], op, &at_rbx);
			print(" %s=%s", ops[op].name, outcome(&e, buf));
		}
		print("\n");
	}
}

/* "Outside VMX operation": #UD but for VMXON, and VMXON without CR4.VMXE too. */
TEST(outside)
{
	struct exec e;
	char buf[64];
	u64 cr0 = cr0_read();

	prepare();
	*(u64 *)data = 8; /* VMXON's operand: not aligned */
	sweep_settings("vmxe=0");
	if (!(msr_read(MSR_FEATURE_CONTROL) & BIT(0)))
		msr_write(MSR_FEATURE_CONTROL, BIT(0) | BIT(2));
	cr4_write(cr4_read() | CR4_VMXE);
	cr0_write(cr0 | CR0_NE);
	sweep_settings("vmxe=1");
	cr0_write(cr0 & ~CR0_NE);
	set_exec(&e, &settings[0]);
	run_in(&e, &settings[0], VMXON, &at_rbx);
	result("ne=0 vmxon=%s", outcome(&e, buf));
	CHECK(e.out.vector == VEC_GP && e.out.error == 0);
	set_exec(&e, &settings[1]);
	e.regs.rbx = 0x8000000000000000ull;
	run_in(&e, &settings[1], VMXON, &at_rbx);
	result("user vmxon=%s", outcome(&e, buf));
}

TEST_VMX(root_no_vmcs)
{
	prepare();
	sweep_settings("no_vmcs");
}

TEST_VMX(root_vmcs)
{
	u64 region = vmx_region();

	prepare();
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	*(u64 *)data = region + 8;
	sweep_settings("vmcs");
	CHECK(vmptrst() == region);
}

TEST_VMX(root_shadow)
{
	u64 region = vmx_region();
	enum vmx_result r;
	char buf[64];

	NEED(caps_proc2(PROC2_SHADOW));
	prepare();
	*(u32 *)ptr_of(region) |= BIT(31);
	CHECK(vmclear(region) == VMX_OK);
	r = vmptrld(region);
	result("vmptrld_shadow=%s", vmx_result_name(r, buf));
	*(u64 *)data = region + 8;
	sweep_settings("shadow");
	result("vmread=%s", vmx_result_name(vmread_checked(F_GUEST_RIP, (u64 *)data), buf));
	result("vmwrite=%s", vmx_result_name(vmwrite_checked(F_GUEST_RIP, 5), buf));
	result("read_back=%lx", vmread(F_GUEST_RIP));
	CHECK(vmclear(region) == VMX_OK);
}

/* What VMX operation forbids: CR0 and CR4 bits, and writes to the capability MSRs. */
TEST_VMX(fixed_bits)
{
	static const u8 set_cr0[] = { 0x0f, 0x22, 0xc0, 0xcd, VEC_EXEC_DONE };
	static const u8 set_cr4[] = { 0x0f, 0x22, 0xe0, 0xcd, VEC_EXEC_DONE };
	static const u8 set_msr[] = { 0x0f, 0x30, 0xcd, VEC_EXEC_DONE };
	static const u64 cr0_flips[] = { CR0_PE, CR0_MP, CR0_EM, CR0_TS, CR0_NE, CR0_WP, CR0_AM, CR0_NW, CR0_CD, CR0_PG,
					 CR0_CD | CR0_NW, BIT(32), BIT(63), BIT(6), CR0_PG | CR0_PE };
	struct exec e;
	char buf[64];
	u64 cr0 = cr0_read();
	u64 cr4 = cr4_read();
	u64 refused = 0;
	u32 i;

	prepare();
	for (i = 0; i < ARRAY_SIZE(cr0_flips); i++) {
		set_exec(&e, &settings[0]);
		memcpy(code, set_cr0, sizeof(set_cr0));
		e.regs.rax = cr0 ^ cr0_flips[i];
		exec_run(&e);
		result("cr0^%lx %s now=%lx", cr0_flips[i], e.out.vector == VEC_EXEC_DONE ? "ok" : fault_name(&e.out, buf),
		       cr0_read() ^ cr0);
		cr0_write(cr0);
	}
	for (i = 0; i < 64; i++) {
		if (i == 21 || i == 20 || i == 22) /* depend on the model */
			continue;
		set_exec(&e, &settings[0]);
		memcpy(code, set_cr4, sizeof(set_cr4));
		e.regs.rax = cr4 ^ BIT(i);
		exec_run(&e);
		if (e.out.vector == VEC_GP && cr4_read() == cr4)
			refused |= BIT(i);
		else
			info("cr4^%lx %s", BIT(i), e.out.vector == VEC_EXEC_DONE ? "ok" : fault_name(&e.out, buf));
		cr4_write(cr4);
	}
	result("cr4 refused=%lx", refused & ~GENMASK(24, 14));
	info("cr4 refused=%lx", refused);
	for (i = MSR_VMX_BASIC; i <= MSR_VMX_VMFUNC; i++) {
		set_exec(&e, &settings[0]);
		memcpy(code, set_msr, sizeof(set_msr));
		e.regs.rcx = i;
		exec_run(&e);
		CHECK(e.out.vector == VEC_GP);
	}
	set_exec(&e, &settings[0]);
	e.regs.rcx = MSR_FEATURE_CONTROL;
	e.regs.rax = msr_read(MSR_FEATURE_CONTROL);
	exec_run(&e);
	result("feature_control=%s", outcome(&e, buf));
}

/* A form of operand chosen by chance that leads to `address`; the registers are set for it. */
static void random_form(struct exec *e, struct operand *o, u64 address, u64 *seed)
{
	u64 r = random_next(seed);
	u64 rest;

	memset(o, 0, sizeof(*o));
	o->base = r & 15;
	o->index = (r >> 4 & 3) ? NONE : (r >> 6 & 15);
	o->scale = r >> 10 & 3;
	o->reg = r >> 12 & 15;
	o->disp_size = (r >> 16 & 3) == 0 ? 0 : (r >> 16 & 3) == 1 ? 1 : 4;
	o->disp = (i32)random_next(seed);
	o->segment = (const u8[]){ 0, 0, 0, SEG_FS, SEG_GS, SEG_SS, SEG_ES, 0x2e }[r >> 20 & 7];
	if (o->index == 4)
		o->index = NONE;
	if (o->base == 4 || o->reg == 4) /* RSP: tested on its own */
		o->base = 3, o->reg = o->reg == 4 ? 2 : o->reg;
	if (o->index == o->base)
		o->index = NONE;
	if (o->reg == o->base || o->reg == o->index)
		o->reg = o->base != 1 && o->index != 1 ? 1 : o->base != 6 && o->index != 6 ? 6 : 9;
	if (o->disp_size == 0)
		o->disp = (o->base & 7) == 5 ? (o->disp & 0x7f) : 0;
	else if (o->disp_size == 1)
		o->disp = (int8_t)o->disp;
	if (o->disp_size == 0 && (o->base & 7) == 5)
		o->disp_size = 1;
	if ((r >> 24 & 7) == 0) {	/* RIP-relative; the caller completes it */
		o->base = RIP;
		o->index = NONE;
	} else if ((r >> 24 & 7) == 1 && o->segment != SEG_FS && o->segment != SEG_GS) {
		o->base = NONE;	/* disp32 alone, or with an index */
		o->index = NONE;
		o->disp = (i32)address;
	}
	o->address32 = (r >> 28 & 7) == 0 && o->segment != SEG_FS && o->segment != SEG_GS;
	rest = address - (u64)(i64)o->disp;
	if (o->segment == SEG_FS)
		rest -= msr_read(MSR_FS_BASE);
	if (o->segment == SEG_GS)
		rest -= msr_read(MSR_GS_BASE);
	if (o->index != NONE) {
		u64 v = random_next(seed) & 0xffffffffffffull;

		if (o->address32)
			v |= 0xdead000000000000ull;
		*register_of(&e->regs, o->index) = v;
		rest -= v << o->scale;
	}
	if (o->base < NONE)
		*register_of(&e->regs, o->base) = o->address32 ? (rest & 0xffffffff) | 0xabcd00000000ull : rest;
}

/* Each instruction with operands in random forms: the address must come out right, in root and seen from L2. */
TEST_VMX(forms)
{
	static const enum op list[] = { VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, INVEPT, INVVPID };
	u64 regions[2] = { vmx_region(), vmx_region() };
	u64 seed = 1;
	u32 k, i;

	prepare();
	msr_write(MSR_FS_BASE, 0x123456000);
	CHECK(vmclear(regions[0]) == VMX_OK && vmclear(regions[1]) == VMX_OK);
	for (k = 0; k < ARRAY_SIZE(list); k++) {
		u64 hash = 0;
		u32 bad = 0;

		if ((list[k] == INVEPT && !(caps.ept_vpid & EPT_CAP_INVEPT)) ||
		    (list[k] == INVVPID && !(caps.ept_vpid & EPT_CAP_INVVPID)))
			continue;
		for (i = 0; i < 150; i++) {
			struct exec e;
			struct operand o;
			u64 *slot = (u64 *)(data + 64 + (random_next(&seed) & 0xfff));
			u64 want = random_next(&seed);
			bool right;
			u32 n;
			char buf[64];

			vmptrld(regions[0]);
			exec_init(&e, addr_of(code));
			e.rflags |= RFLAGS_STATUS;
			random_form(&e, &o, addr_of(slot), &seed);
			n = assemble(code, list[k], &o);
			if (o.base == RIP) {
				o.disp = (i32)(addr_of(slot) - addr_of(code) - n);
				if (o.segment == SEG_FS)
					o.disp -= (i32)msr_read(MSR_FS_BASE);
				if (o.segment == SEG_GS)
					o.disp -= (i32)msr_read(MSR_GS_BASE);
				n = assemble(code, list[k], &o);
				if (o.segment == SEG_FS || o.segment == SEG_GS)
					continue; /* out of reach */
			}
			code[n] = 0xcd;
			code[n + 1] = VEC_EXEC_DONE;
			slot[0] = slot[1] = 0;
			*register_of(&e.regs, o.reg) = list[k] == INVEPT || list[k] == INVVPID ? 2 : F_GUEST_RIP;
			switch (list[k]) {
			case VMCLEAR:
			case VMPTRLD:
				slot[0] = regions[1];
				break;
			case VMREAD:
				vmwrite(F_GUEST_RIP, want);
				break;
			case VMWRITE:
				slot[0] = want;
				break;
			default:
				break;
			}
			exec_run(&e);
			switch (list[k]) {
			case VMPTRLD:
				right = vmptrst() == regions[1];
				break;
			case VMPTRST:
				right = slot[0] == regions[0];
				break;
			case VMREAD:
				right = slot[0] == want;
				break;
			case VMWRITE:
				right = vmread(F_GUEST_RIP) == want;
				break;
			default:
				right = true;
			}
			right = right && e.out.vector == VEC_EXEC_DONE && !(e.out.frame.rflags & RFLAGS_STATUS);
			hash = hash_add(hash, e.out.vector << 16 | (e.out.frame.rflags & RFLAGS_STATUS));
			if (!right && bad++ < 5) {
				print("FAIL %s %s form %u base=%u index=%u scale=%u disp=%x seg=%x a32=%u reg=%u %s\n",
				      test_name(), ops[list[k]].name, i, o.base, o.index, o.scale, o.disp, o.segment,
				      o.address32, o.reg, outcome(&e, buf));
				test_failed();
			}
		}
		result("%s hash=%lx bad=%u", ops[list[k]].name, hash, bad);
	}
	msr_write(MSR_FS_BASE, 0);
}

/* Register operands: every register as source, target and field; only VMREAD and VMWRITE may have them. */
TEST_VMX(registers)
{
	u64 region = vmx_region();
	enum op op;
	u32 a, b;
	char buf[64];

	prepare();
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (op = 0; op < OPS; op++) {
		struct operand o = { .is_register = true, .rm = 0, .reg = 1 };
		struct exec e;

		if (ops[op].kind == NO_OPERAND || op == VMREAD || op == VMWRITE)
			continue;
		set_exec(&e, &settings[0]);
		run_in(&e, &settings[0], op, &o);
		/* 0F C7 /6 and /7 with a register are RDRAND and RDSEED: not VMX's matter */
		if (op == INVEPT || op == INVVPID)
			result("%s=%s", ops[op].name, outcome(&e, buf));
	}
	for (a = 0; a < 16; a++) {
		for (b = 0; b < 16; b++) {
			struct operand o = { .is_register = true, .rm = (u8)a, .reg = (u8)b };
			u64 want = 0x1111111111111111ull * a + b;
			struct exec e;
			u64 got;

			if (a == b || b == 4)
				continue;
			vmwrite(F_GUEST_RIP, want);
			exec_init(&e, addr_of(code));
			e.rflags |= RFLAGS_STATUS;
			*register_of(&e.regs, b) = F_GUEST_RIP;
			run_in(&e, &settings[0], VMREAD, &o);
			got = a == 4 ? e.out.frame.rsp : *register_of(&e.out.frame.regs, a);
			if (a != 4 && (got != want || e.out.vector != VEC_EXEC_DONE))
				test_fail(__FILE__, __LINE__, "vmread into a register");
			exec_init(&e, addr_of(code));
			*register_of(&e.regs, b) = F_GUEST_RIP;
			if (a != 4)
				*register_of(&e.regs, a) = ~want;
			run_in(&e, &settings[0], VMWRITE, &o);
			CHECK(vmread(F_GUEST_RIP) == (a == 4 ? e.regs.rsp : ~want));
		}
	}
	result("done=1");
}

/* Operands whose pages fault, each kind for each instruction that has a memory operand. */
struct place {
	const char *name;
	u64 flags[2];		/* of two pages in a row; 0: not present */
	u64 offset;
	u64 cr4, rflags;
	bool wp_off;
};

static const struct place places[] = {
	{ "plain", { PTE_P | PTE_W, PTE_P | PTE_W }, 0x10, 0, 0, false },
	{ "crossing", { PTE_P | PTE_W, PTE_P | PTE_W }, 0xffc, 0, 0, false },
	{ "absent", { 0, 0 }, 0x10, 0, 0, false },
	{ "second_absent", { PTE_P | PTE_W, 0 }, 0xffc, 0, 0, false },
	{ "first_absent", { 0, PTE_P | PTE_W }, 0xffd, 0, 0, false },
	{ "read_only", { PTE_P, PTE_P }, 0x10, 0, 0, false },
	{ "second_read_only", { PTE_P | PTE_W, PTE_P }, 0xff9, 0, 0, false },
	{ "read_only_wp0", { PTE_P, PTE_P }, 0x10, 0, 0, true },
	{ "user", { PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U }, 0x10, 0, 0, false },
	{ "user_smap", { PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U }, 0x10, CR4_SMAP, 0, false },
	{ "user_smap_ac", { PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U }, 0x10, CR4_SMAP, RFLAGS_AC, false },
	{ "user_smep", { PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U }, 0x10, CR4_SMEP, 0, false },
	{ "no_execute", { PTE_P | PTE_W | PTE_XD, PTE_P | PTE_W | PTE_XD }, 0x10, 0, 0, false },
	{ "reserved", { PTE_P | PTE_W | BIT(51), PTE_P | PTE_W }, 0x10, 0, 0, false },
	{ "misaligned_ac", { PTE_P | PTE_W, PTE_P | PTE_W }, 0x13, 0, RFLAGS_AC, false },
};

static bool cr4_possible(u64 bits)
{
	u32 ebx = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).ebx : 0;

	return !(bits & CR4_SMEP && !(ebx & BIT(7))) && !(bits & CR4_SMAP && !(ebx & BIT(20)));
}

static void set_operand_value(enum op op, u64 region, u64 offset)
{
	static const u8 zero[16];
	u64 v = op == VMXON ? 8 : op == VMCLEAR || op == VMPTRLD ? region + 8 : 0x77;
	u32 at;

	for (at = 0; at < 2 * PAGE_SIZE; at += 16)
		memcpy(data + at, zero, 16);
	memcpy(data + offset, &v, op == INVEPT || op == INVVPID ? 0 : 8);
}

TEST(places)
{
	static const enum op list[] = { VMXON, VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, INVEPT, INVVPID };
	u32 p, k;
	char buf[64];

	prepare();
	for (p = 0; p < ARRAY_SIZE(places); p++) {
		const struct place *place = &places[p];
		u64 cr4, cr0;

		if (!cr4_possible(place->cr4)) {
			info("%s is not possible", place->name);
			continue;
		}
		print("RESULT %s %s", test_name(), place->name);
		for (k = 0; k < ARRAY_SIZE(list); k++) {
			u64 region;
			struct exec e;
			u64 *e0 = paging_entry(cr3_read(), BAD_VA, 1);
			u64 *e1 = paging_entry(cr3_read(), BAD_VA + PAGE_SIZE, 1);

			region = vmx_region();
			if (list[k] == VMXON) {
				cr4_write(cr4_read() | CR4_VMXE);
				cr0_write(cr0_read() | CR0_NE);
			} else {
				vmx_enable();
				CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
			}
			set_operand_value(list[k], region, place->offset);
			*e0 = place->flags[0] ? addr_of(data) | place->flags[0] : 0;
			*e1 = place->flags[1] ? (addr_of(data) + PAGE_SIZE) | place->flags[1] : 0;
			invlpg(BAD_VA);
			invlpg(BAD_VA + PAGE_SIZE);
			exec_init(&e, addr_of(code));
			e.rflags |= RFLAGS_STATUS | place->rflags;
			e.regs.rbx = BAD_VA + place->offset;
			e.regs.rdx = list[k] == INVEPT || list[k] == INVVPID ? 2 : F_GUEST_RIP;
			cr4 = cr4_read();
			cr0 = cr0_read();
			cr4_write(cr4 | place->cr4);
			if (place->wp_off)
				cr0_write(cr0 & ~CR0_WP);
			if (place->rflags & RFLAGS_AC)
				cr0_write(cr0_read() | CR0_AM);
			run_in(&e, &settings[0], list[k], &at_rbx);
			cr4_write(cr4);
			cr0_write(cr0);
			print(" %s=%s", ops[list[k]].name, outcome(&e, buf));
			if (!(*e0 & PTE_A) != !(place->flags[0] && e.out.vector != VEC_GP) && !place->flags[0])
				print("(accessed)");
			vmx_disable();
			cr4_write(cr4_read() & ~CR4_VMXE);
		}
		print("\n");
	}
}

/* What is looked at first: the operand in memory, the field or type, the current VMCS. */
TEST_VMX(operand_order)
{
	static const enum op list[] = { VMREAD, VMWRITE, INVEPT, INVVPID };
	static const u64 values[] = { F_GUEST_RIP, 0x4ffe, F_EXIT_REASON, 77 };
	u64 region = vmx_region();
	u32 k, v, current;
	char buf[64];

	prepare();
	*paging_entry(cr3_read(), BAD_VA, 1) = 0;
	CHECK(vmclear(region) == VMX_OK);
	for (current = 0; current < 2; current++) {
		if (current)
			CHECK(vmptrld(region) == VMX_OK);
		for (k = 0; k < ARRAY_SIZE(list); k++) {
			/* the SDM looks at field and type first; see deviations.md */
			print("%s %s current=%u %s", list[k] == VMREAD || (list[k] == VMWRITE && !current) ? "RESULT" : "INFO",
			      test_name(), current, ops[list[k]].name);
			for (v = 0; v < ARRAY_SIZE(values); v++) {
				struct exec e;

				if (values[v] == F_EXIT_REASON && caps.misc & BIT(29) && list[k] == VMWRITE)
					continue;
				set_exec(&e, &settings[0]);
				e.regs.rbx = BAD_VA + 0x100;
				e.regs.rdx = values[v];
				run_in(&e, &settings[0], list[k], &at_rbx);
				print(" %lx=%s", values[v], outcome(&e, buf));
			}
			print("\n");
		}
	}
}

/* Addresses that are not canonical: #GP, or #SS by the segment. */
TEST_VMX(not_canonical)
{
	static const enum op list[] = { VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, INVEPT, INVVPID };
	static const struct {
		const char *name;
		struct operand o;
		u64 base;
	} cases[] = {
		{ "rbx", { .base = 3, .index = NONE, .reg = 2 }, 0x800000000000 },
		{ "rbp", { .base = 5, .index = NONE, .reg = 2 }, 0x800000000000 },
		{ "rbp_plus", { .base = 5, .index = NONE, .reg = 2, .disp = 0x10, .disp_size = 1 }, 0x7ffffffffff8 },
		{ "rbx_end", { .base = 3, .index = NONE, .reg = 2 }, 0x7ffffffffffc },
		{ "rbx_top", { .base = 3, .index = NONE, .reg = 2 }, 0xfffffffffffffffc },
		{ "rbx_ss", { .base = 3, .index = NONE, .reg = 2, .segment = SEG_SS }, 0x900000000000 },
		{ "rbx_fs", { .base = 3, .index = NONE, .reg = 2, .segment = SEG_FS }, 0x7fffffffff00 },
		{ "rsi_high", { .base = 6, .index = NONE, .reg = 2 }, 0xffff7fffffffffff },
	};
	u64 region = vmx_region();
	u32 c, k;
	char buf[64];

	prepare();
	msr_write(MSR_FS_BASE, 0x1000);
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (c = 0; c < ARRAY_SIZE(cases); c++) {
		print("RESULT %s %s", test_name(), cases[c].name);
		for (k = 0; k < ARRAY_SIZE(list); k++) {
			struct exec e;

			set_exec(&e, &settings[0]);
			e.regs.rdx = list[k] == INVEPT || list[k] == INVVPID ? 2 : F_GUEST_RIP;
			*register_of(&e.regs, cases[c].o.base) = cases[c].base;
			run_in(&e, &settings[0], list[k], &cases[c].o);
			print(" %s=%s", ops[list[k]].name, outcome(&e, buf));
		}
		print("\n");
	}
	msr_write(MSR_FS_BASE, 0);
}

/* Values of the 64-bit operand of VMXON, VMCLEAR and VMPTRLD. */
TEST(pointers)
{
	static const enum op list[] = { VMXON, VMCLEAR, VMPTRLD };
	u32 k, i;
	char buf[64];

	prepare();
	for (k = 0; k < ARRAY_SIZE(list); k++) {
		for (i = 0; i < 13; i++) {
			u64 current = vmx_region();
			u64 region = vmx_region();
			u64 revision = caps.basic & 0x7fffffff;
			u64 value = region;
			struct exec e;
			const char *name = "right";

			if (i == 7 && list[k] == VMPTRLD)
				continue; /* shadow VMCSs have their own test */
			if (list[k] == VMXON) {
				cr4_write(cr4_read() | CR4_VMXE);
				cr0_write(cr0_read() | CR0_NE);
			} else {
				vmx_enable();
				CHECK(vmclear(current) == VMX_OK && vmptrld(current) == VMX_OK);
			}
			switch (i) {
			case 1: name = "plus1"; value = region + 1; break;
			case 2: name = "plus800"; value = region + 0x800; break;
			case 3: name = "bit52"; value = region | BIT(52); break;
			case 4: name = "bit63"; value = region | BIT(63); break;
			case 5: name = "ones"; value = ~0ull; break;
			case 6: name = "revision_plus1"; *(u32 *)ptr_of(region) = (u32)revision + 1; break;
			case 7: name = "revision_bit31"; *(u32 *)ptr_of(region) = (u32)revision | 0x80000000u; break;
			case 8: name = "revision_zero"; *(u32 *)ptr_of(region) = 0; break;
			case 9:
				name = "vmxon_region";
				if (list[k] != VMXON)
					value = this_cpu()->vmxon_page;
				break;
			case 10: name = "current"; value = current; break;
			case 11: name = "garbage"; memset(ptr_of(region + 4), 0xa5, 4092); break;
			case 12: name = "first_unsupported"; value = 1ull << (cpuid(0x80000008, 0).eax & 0xff); break;
			}
			*(u64 *)data = value;
			set_exec(&e, &settings[0]);
			run_in(&e, &settings[0], list[k], &at_rbx);
			result("%s %s %s", ops[list[k]].name, name, outcome(&e, buf));
			if (list[k] != VMXON)
				result("%s %s current=%s", ops[list[k]].name, name,
				       vmptrst() == current ? "same" : vmptrst() == ~0ull ? "none" : "new");
			if (list[k] == VMXON && e.out.vector == VEC_EXEC_DONE && !(e.out.frame.rflags & RFLAGS_STATUS))
				vmxoff();
			vmx_disable();
			cr4_write(cr4_read() & ~CR4_VMXE);
		}
	}
}

/*
 * All encodings to bit 14, read and written, as one hash for each 256; then what is written to each field that exists
 * comes back in its width.
 */
TEST_VMX(encodings)
{
	u64 region = vmx_region();
	u32 group, i;

	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (group = 0; group < 0x80; group++) {
		u64 hash = 0;
		u64 there = 0;

		for (i = group << 8; i < (group + 1) << 8; i++) {
			u64 v = 0;
			enum vmx_result rd = vmread_checked(i, &v);
			enum vmx_result wr = vmwrite_checked(i, 0x123456789abcdef0ull + i);
			u64 back = 0;

			hash = hash_add(hash, rd << 8 | wr);
			if (rd != VMX_OK)
				continue;
			there |= BIT(i & 63);
			if (wr == VMX_OK) {
				vmread_checked(i, &back);
				hash = hash_add(hash, back);
			}
		}
		if (there)
			result("group=%x fields=%lx hash=%lx", group << 8, there, hash);
		else
			CHECK(hash != 0);
	}
	for (i = 15; i < 64; i++) {
		u64 v = 0;
		char buf[64];

		if (vmread_checked(F_GUEST_RIP | BIT(i), &v) != VMX_FAIL_VALID || vmx_error() != 12)
			result("bit=%u %s", i, vmx_result_name(VMX_OK, buf));
	}
}

GUEST_CODE(exec_mov_ss_launch, 64, "mov %ss, %ecx; mov %ecx, %ss; vmlaunch; " EXEC_END);
GUEST_CODE(exec_mov_ss_resume, 64, "mov %ss, %ecx; mov %ecx, %ss; vmresume; " EXEC_END);
GUEST_CODE(exec_sti_launch, 64, "sti; vmlaunch; cli; " EXEC_END);
GUEST_CODE(exec_launch, 64, "vmlaunch; " EXEC_END);
GUEST_CODE(exec_resume, 64, "vmresume; " EXEC_END);
GUEST_CODE(code_l2, 64, "vmcall");

/* Which error wins: no VMCS, MOV SS, launch state, controls, host state. SDM: "Basic VM-Entry Checks". */
TEST_VMX(entry_order)
{
	static const struct {
		const char *name;
		const u8 *text;
	} how[] = {
		{ "launch", exec_launch }, { "resume", exec_resume }, { "movss_launch", exec_mov_ss_launch },
		{ "movss_resume", exec_mov_ss_resume }, { "sti_launch", exec_sti_launch },
	};
	struct vm vm;
	u32 state, h, bad;
	char buf[64];

	for (state = 0; state < 3; state++) {
		for (bad = 0; bad < 4; bad++) {
			for (h = 0; h < ARRAY_SIZE(how); h++) {
				struct exec e;

				vm_create(&vm, VM_64, 0, code_l2);
				if (state == 1)
					CHECK(vm_run(&vm) == REASON_VMCALL);
				if (bad & 1)
					vmwrite(F_CR3_TARGET_COUNT, 5);
				if (bad & 2)
					vmwrite(F_HOST_CS, 0);
				vmwrite(F_HOST_RIP, addr_of(exec_vmexit));
				exec_init(&e, addr_of(how[h].text));
				vmwrite(F_HOST_RSP, e.regs.rsp);
				e.rflags |= RFLAGS_STATUS;
				if (state == 2) {
					vmclear(vm.vmcs);
					this_cpu()->vm = NULL;
				}
				exec_run(&e);
				result("state=%s bad=%u %s %s", state == 0 ? "clear" : state == 1 ? "launched" : "none",
				       bad, how[h].name, outcome(&e, buf));
			}
		}
	}
}

/* INVEPT and INVVPID: types and descriptors. */
TEST_VMX(invalidations)
{
	static const u64 types[] = { 0, 1, 2, 3, 4, 0x80000000, 0x100000001, 0x100000002, ~0ull };
	u64 root, region = vmx_region();
	u32 t, i;
	char buf[64];

	NEED(caps.ept_vpid & EPT_CAP_INVEPT);
	prepare();
	root = addr_of(page_alloc());
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (t = 0; t < ARRAY_SIZE(types); t++) {
		/* bit 7 depends on CET */
		const u64 eptps[] = { root | EPTP_FLAGS, root | 0x18, root | 1 | 0x18, root | 6, root | 6 | 0x20,
				      root | EPTP_FLAGS | BIT(8), root | EPTP_FLAGS | BIT(11), root | EPTP_FLAGS | BIT(52),
				      root | 2 | 0x18, ~0ull, 0 };

		for (i = 0; i < ARRAY_SIZE(eptps); i++) {
			struct exec e;

			set_exec(&e, &settings[0]);
			((u64 *)data)[0] = eptps[i];
			((u64 *)data)[1] = 0;
			e.regs.rdx = types[t];
			run_in(&e, &settings[0], INVEPT, &at_rbx);
			print("%s%s", i ? " " : "", i ? "" : "RESULT invalidations ");
			if (!i)
				print("invept type=%lx ", types[t]);
			print("%s", outcome(&e, buf));
		}
		print("\n");
		{
			struct exec e;

			set_exec(&e, &settings[0]);
			((u64 *)data)[0] = root | EPTP_FLAGS;
			((u64 *)data)[1] = 1;
			e.regs.rdx = types[t];
			run_in(&e, &settings[0], INVEPT, &at_rbx);
			result("invept type=%lx reserved=%s", types[t], outcome(&e, buf));
		}
	}
	if (!(caps.ept_vpid & EPT_CAP_INVVPID))
		return;
	for (t = 0; t < ARRAY_SIZE(types); t++) {
		static const struct inv_descriptor d[] = {
			{ 0, 0 }, { 1, 0 }, { 0xffff, 0x1000 }, { 0x10001, 0 }, { BIT(63) | 1, 0 }, { 1, 0x800000000000 },
			{ 1, 0xffff800000000000 }, { 0, 0x800000000000 }, { 1, ~0ull },
		};

		print("RESULT %s invvpid type=%lx", test_name(), types[t]);
		for (i = 0; i < ARRAY_SIZE(d); i++) {
			struct exec e;

			set_exec(&e, &settings[0]);
			memcpy(data, &d[i], 16);
			e.regs.rdx = types[t];
			run_in(&e, &settings[0], INVVPID, &at_rbx);
			print(" %s", outcome(&e, buf));
		}
		print("\n");
	}
}

/* From L2: all but VMFUNC exit to L1 in 64-bit mode, whatever the ring, before the operand is looked at. */
TEST_VMX(from_l2)
{
	enum op op;
	u32 i;
	u64 seed = 7;
	static const u8 rights[] = { 0, 3 };
	struct vm vm;

	prepare();
	for (op = 0; op < OPS; op++) {
		for (i = 0; i < 2; i++) {
			u32 n;

			vm_create(&vm, VM_64, 0, code);
			memset(code, 0x90, 32);
			n = assemble(code, op, &at_rbx);
			memcpy(code + n, "\x0f\x01\xc1", 3);
			vm.regs.rbx = 0x1234;
			if (rights[i]) {
				vmwrite(F_GUEST_RIP, CODE_VA);
				vm.regs.rsp = CODE_VA;
				vmwrite(F_GUEST_CS, SEL_USER64);
				vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
				vmwrite(F_GUEST_SS, SEL_USER_DATA);
				vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
			}
			vm_report(&vm, vm_run(&vm), ops[op].name);
		}
		if (ops[op].kind == NO_OPERAND)
			continue;
		for (i = 0; i < 12; i++) {
			struct exec e;
			struct operand o;
			u32 n;

			memset(&e, 0, sizeof(e));
			random_form(&e, &o, addr_of(data), &seed);
			if (i < 2 && (op == VMREAD || op == VMWRITE))
				o = (struct operand){ .is_register = true, .rm = (u8)(i ? 12 : 3), .reg = (u8)(i ? 1 : 9) };
			vm_create(&vm, VM_64, 0, code);
			n = assemble(code, op, &o);
			memcpy(code + n, "\x0f\x01\xc1", 3);
			vm_report(&vm, vm_run(&vm), ops[op].name);
		}
	}
}

/* The other modes of L2: #UD in real mode, virtual-8086 mode and compatibility mode, seen through the bitmap. */
TEST_VMX(from_l2_modes)
{
	enum op op;
	enum vm_mode mode;
	struct vm vm;

	prepare();
	for (mode = VM_COMPAT; mode < VM_MODES; mode++) {
		if (!vm_mode_possible(mode))
			continue;
		for (op = 0; op < OPS; op++) {
			u32 n = assemble(code, op, &at_rbx);

			memcpy(code + n, "\x0f\x01\xc1", 3);
			vm_create(&vm, mode, 0, code);
			vm.regs.rbx = mode >= VM_REAL ? 0x100 : addr_of(data);
			vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_UD) | BIT(VEC_GP));
			print("RESULT %s %s", test_name(), vm_mode_names[mode]);
			{
				u32 reason = vm_run(&vm);

				print(" %s=%u", ops[op].name, reason);
				if (reason == REASON_EXCEPTION)
					print("(%lx)", vmread(F_EXIT_INTR_INFO));
				else
					print("(%lx,%lx,%lu)", vmread(F_QUALIFICATION),
					      ops[op].kind == NO_OPERAND ? 0 : vmread(F_INSTRUCTION_INFO),
					      vmread(F_EXIT_LENGTH));
			}
			print("\n");
		}
	}
}
