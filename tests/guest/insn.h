/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "insn" share: VMX instructions with operands in any form, run in any ring
 * and mode.
 */
#ifndef TESTS_GUEST_INSN_H
#define TESTS_GUEST_INSN_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum op {
	VMXON,
	VMXOFF,
	VMCLEAR,
	VMPTRLD,
	VMPTRST,
	VMREAD,
	VMWRITE,
	VMLAUNCH,
	VMRESUME,
	INVEPT,
	INVVPID,
	VMCALL,
	VMFUNC,
	OPS,
};

enum op_kind { NO_OPERAND, MEMORY, REGISTER_MEMORY };

struct op_info {
	const char *name;
	enum op_kind kind;
	u8 prefix, size, bytes[3], digit;
};
extern const struct op_info insn_ops[OPS];

/* An operand: a register, or memory at [base + index * 2^scale + disp] with a segment override. */
enum { NONE = 16, RIP = 17, SEG_FS = 0x64, SEG_GS = 0x65, SEG_SS = 0x36, SEG_ES = 0x26 };

struct operand {
	bool is_register;
	u8 rm;		       /* the register */
	u8 base, index, scale; /* NONE where absent; base RIP */
	i32 disp;
	u8 disp_size; /* 0, 1, 4; ignored where the form demands 4 */
	u8 segment;
	bool address32;
	u8 reg; /* the other operand of REGISTER_MEMORY */
};

extern u8 *code; /* a page that user code can run too */
extern u8 *data; /* two pages, mapped at DATA_VA for user mode */

#define DATA_VA TEST_VA
#define CODE_VA (TEST_VA + 0x10000)
#define BAD_VA (TEST_VA + 0x20000) /* page tables' variety for the fault tests */
#define USER_STACK_VA (TEST_VA + 0x30000)
#define LOW_VA                                                                                               \
	0xc0000000ull /* user code, data and stack for compatibility mode; nothing is there otherwise */

struct setting {
	const char *name;
	u16 cs;
	bool user;
};
enum { SETTINGS = 5 };
extern const struct setting insn_settings[SETTINGS];
extern const struct operand at_rbx;

void insn_prepare(void);
u32 insn_assemble(u8 *p, enum op op, const struct operand *o);
u64 *insn_register(struct gprs *r, u32 n);
void insn_set(struct exec *e, const struct setting *s);
void insn_run(struct exec *e, const struct setting *s, enum op op, const struct operand *o);
const char *insn_outcome(const struct exec *e, char buf[64]);
void insn_random_form(struct exec *e, struct operand *o, u64 address, u64 *seed);

#endif
