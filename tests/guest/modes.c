/* SPDX-License-Identifier: MIT */
/*
 * Guest test "modes": L1 itself outside long mode. Here: the VMX instructions in real mode, in virtual-8086
 * mode, in 16- and 32-bit protected mode of both rings, with operands by the rules of segmentation. Task
 * switches of L1's are modes_task.c's. SDM: "VMX Instruction Reference"; volume 3, "Protection".
 */
#include "tests/guest/modes.h"

enum { LOW_DATA = 0x15000, CODE_BASE = LOW_CODE };

static const struct op {
	const char *name;
	u8 size, bytes[4];
	i32 digit; /* of ModRM; -1: no operand; 16: a register too */
} ops[] = {
	{ "vmxon", 3, { 0xf3, 0x0f, 0xc7 }, 6 },
	{ "vmxoff", 3, { 0x0f, 0x01, 0xc4 }, -1 },
	{ "vmclear", 3, { 0x66, 0x0f, 0xc7 }, 6 },
	{ "vmptrld", 2, { 0x0f, 0xc7 }, 6 },
	{ "vmptrst", 2, { 0x0f, 0xc7 }, 7 },
	{ "vmread", 2, { 0x0f, 0x78 }, 16 },
	{ "vmwrite", 2, { 0x0f, 0x79 }, 16 },
	{ "vmlaunch", 3, { 0x0f, 0x01, 0xc2 }, -1 },
	{ "vmresume", 3, { 0x0f, 0x01, 0xc3 }, -1 },
	{ "invept", 4, { 0x66, 0x0f, 0x38, 0x80 }, 16 },
	{ "invvpid", 4, { 0x66, 0x0f, 0x38, 0x81 }, 16 },
	{ "vmcall", 3, { 0x0f, 0x01, 0xc1 }, -1 },
	{ "vmfunc", 3, { 0x0f, 0x01, 0xd4 }, -1 },
};
enum { VMXOFF = 1, VMPTRST = 4, VMREAD = 5, VMWRITE = 6, INVEPT = 9, INVVPID = 10, OPS = ARRAY_SIZE(ops) };

/* The operand is [BX], [BX + SI] or the like (`rm` of 16-bit forms), or [EBX], [EBP] (of 32-bit forms); the
 * register DX. */
static u32 assemble(u8 *p, const struct op *op, u8 prefix, bool address_override, u32 mod_rm)
{
	u8 *start = p;

	if (prefix && op->digit >= 0)
		*p++ = prefix;
	if (address_override && op->digit >= 0)
		*p++ = 0x67;
	memcpy(p, op->bytes, op->size);
	p += op->size;
	if (op->digit >= 0)
		*p++ = (u8)(mod_rm | (op->digit == 16 ? 2 : op->digit) << 3);
	if (op->digit >= 0 && mod_rm == 0x45) /* [EBP + disp8] */
		*p++ = 0;
	*p++ = 0xcd;
	*p++ = VEC_EXEC_DONE;
	return (u32)(p - start);
}

static void with_vmx(struct modes *m)
{
	m->vmxon = vmx_region();
	m->vmcs = vmx_region();
}

/* All instructions in modes that have none of them: #UD, VMX operation or not. */
static void everywhere(const char *what, u32 kind, bool in_vmx, u32 cs, u32 eflags)
{
	struct modes m;
	char buf[48];
	u32 i;

	print("RESULT %s %s", test_name(), what);
	for (i = 0; i < OPS; i++) {
		bool low = kind != KIND_PROTECTED || cs == SEL_FREE;

		if (i == VMXOFF && in_vmx && kind == KIND_PROTECTED && !(cs & 3))
			continue;
		modes_init(&m, ptr_of(LOW_CODE));
		assemble(ptr_of(LOW_CODE), &ops[i], 0, false, low ? 7 : 3);
		gdt_set(SEL_FREE, 0x00009b000000fffful | (u64)CODE_BASE << 16);
		m.kind = kind;
		m.eflags |= eflags | RFLAGS_STATUS;
		m.ebx = low ? 0x5000 : LOW_DATA;
		m.edx = F_GUEST_RIP;
		m.cs = cs;
		if (low)
			m.eip = 0;
		if (in_vmx)
			with_vmx(&m);
		if (kind != KIND_PROTECTED) {
			m.cs = LOW_CODE >> 4;
			m.ss = LOW_STACK >> 4;
			m.esp = 0xff0;
			m.ds = m.es = m.fs = m.gs = LOW_CODE >> 4;
		}
		if (kind == KIND_REAL) {
			m.cr0 = CR0_PE | CR0_ET;
			m.cr4 = 0;
		} else if (cs & 3) {
			m.ds = m.es = m.fs = m.gs = SEL_USER_DATA;
		}
		*(u64 *)ptr_of(LOW_DATA) = 8; /* no region's address */
		modes_go(&m);
		print(" %s=%s", ops[i].name, modes_outcome(&m, buf));
	}
	print("\n");
	gdt_set(SEL_FREE, 0);
}

TEST(real_mode)
{
	everywhere("real", KIND_REAL, false, 0, 0);
}

TEST(v86_mode)
{
	everywhere("outside", KIND_V86, false, 0, RFLAGS_VM | RFLAGS_IOPL);
	everywhere("root", KIND_V86, true, 0, RFLAGS_VM | RFLAGS_IOPL);
}

TEST(protected_mode)
{
	everywhere("outside32/0", KIND_PROTECTED, false, SEL_CODE32, 0);
	everywhere("outside32/3", KIND_PROTECTED, false, SEL_USER32, 0);
	everywhere("outside16/0", KIND_PROTECTED, false, SEL_FREE, 0);
	everywhere("root32/0", KIND_PROTECTED, true, SEL_CODE32, 0);
	everywhere("root32/3", KIND_PROTECTED, true, SEL_USER32, 0);
	everywhere("root16/0", KIND_PROTECTED, true, SEL_FREE, 0);
}

#define DESCRIPTOR(base, limit, rights, flags)                                                               \
	(((limit)&0xfffful) | ((base)&0xfffffful) << 16 | (u64)(rights) << 40 |                              \
	 (((limit) >> 16) & 15ul) << 48 | (u64)(flags) << 52 | ((base) >> 24 & 0xfful) << 56)

/* Operands at the edges of segments of all kinds. The segment is SEL_FREE + 8; `offset` is in EBX (EBP),
 * `index` in SI. */
struct edge {
	const char *name;
	u32 limit;
	u8 rights, flags, prefix;
	bool null_selector;
	u32 offsets[4];
};

static const struct edge edges[] = {
	{ "data", 0xfff, 0x93, 4, 0x3e, false, { 0xff0, 0xff1, 0xff8, 0xffc } },
	{ "data_es", 0xfff, 0x93, 4, 0x26, false, { 0x10, 0xff9, 0xffd, 0x1000 } },
	{ "read_only", 0xfff, 0x91, 4, 0x3e, false, { 0x10, 0xff1, 0x20, 0x1000 } },
	{ "execute_only", 0xfff, 0x99, 4, 0x64, true, { 0x10, 0, 0, 0 } },
	{ "code", 0xfff, 0x9b, 4, 0x64, false, { 0x10, 0xff1, 0xff9, 0x1000 } },
	{ "expand_down", 0xf7f, 0x97, 4, 0x3e, false, { 0xf70, 0xf7f, 0xf80, 0xfffffff9 } },
	{ "expand_down16", 0xf7f, 0x97, 0, 0x3e, false, { 0xf80, 0xfff0, 0xfff9, 0x10000 } },
	{ "null", 0xfff, 0x93, 4, 0x3e, true, { 0x10, 0, 0, 0 } },
	{ "wrap", 0xfffff, 0x93, 0xc, 0x3e, false, { 0xfffffff8, 0xfffffffc, 0x10, 0x20 } },
	{ "stack", 0x7ff, 0x93, 4, 0x36, false, { 0x7f0, 0x7f1, 0x7f9, 0x800 } },
	{ "accessed", 0xfff, 0x92, 4, 0x65, false, { 0x10, 0xff1, 0, 0 } },
};

static void one_edge(const struct edge *edge, const struct op *op, u32 offset, bool code16, bool override)
{
	struct modes m;
	char buf[48];
	u64 base = addr_of(page_alloc_contig(18)) + PAGE_SIZE;
	bool wide = code16 == override; /* the address size is 32 bits */
	u8 *code;

	modes_init(&m, ptr_of(LOW_CODE));
	with_vmx(&m);
	gdt_set(SEL_FREE, DESCRIPTOR((u64)CODE_BASE, 0xfffful, 0x9b, code16 ? 0 : 4));
	gdt_set(SEL_FREE + 8, DESCRIPTOR(base, (u64)edge->limit, edge->rights, edge->flags));
	code = ptr_of(LOW_CODE);
	if (edge->prefix == 0x36) { /* MOV SS, AX; MOV ESP, ECX */
		memcpy(code, "\x8e\xd0\x66\x89\xcc", 5);
		if (!code16)
			memcpy(code + 2, "\x89\xcc\x90", 3);
		code += 5;
		m.eax = SEL_FREE + 8;
		m.ecx = 0x600;
	}
	assemble(code, op, edge->prefix, override, wide ? 3 : 7);
	m.cs = SEL_FREE;
	m.eip = 0;
	m.ebx = offset;
	m.edx = op == &ops[INVEPT] || op == &ops[INVVPID] ? 2 : F_GUEST_RIP;
	m.eflags |= RFLAGS_STATUS;
	switch (edge->prefix) {
	case 0x3e: m.ds = edge->null_selector ? 0 : SEL_FREE + 8; break;
	case 0x26: m.es = SEL_FREE + 8; break;
	case 0x64: m.fs = edge->null_selector ? 0 : SEL_FREE + 8; break;
	case 0x65: m.gs = SEL_FREE + 8; break;
	}
	modes_go(&m);
	print(" %s", modes_outcome(&m, buf));
	/* what a write left, and where */
	if (m.vector == VEC_EXEC_DONE && op == &ops[VMPTRST]) {
		u32 at;

		for (at = 0; at + 8 <= 2 * PAGE_SIZE; at++)
			if (!memcmp(ptr_of(base + at), &m.vmcs, 8))
				print("@%x", at);
	}
}

TEST(operand_segments)
{
	static const u8 tried[] = { 2, VMPTRST, VMREAD, VMWRITE, INVEPT, INVVPID };
	u32 e, k, i, how;

	for (e = 0; e < ARRAY_SIZE(edges); e++) {
		for (how = 0; how < 4; how++) {
			bool code16 = how & 1, override = how & 2;

			for (k = 0; k < ARRAY_SIZE(tried); k++) {
				if ((tried[k] == INVEPT && !(caps.ept_vpid & EPT_CAP_INVEPT)) ||
				    (tried[k] == INVVPID && !(caps.ept_vpid & EPT_CAP_INVVPID)))
					continue;
				print("RESULT %s %s code%u address%u %s", test_name(), edges[e].name,
				      code16 ? 16 : 32, code16 == override ? 32 : 16, ops[tried[k]].name);
				for (i = 0; i < 4; i++) {
					u64 mark = page_mark();

					one_edge(&edges[e], &ops[tried[k]], edges[e].offsets[i], code16,
						 override);
					page_release(mark);
				}
				print("\n");
			}
		}
	}
	gdt_set(SEL_FREE, 0);
	gdt_set(SEL_FREE + 8, 0);
}
