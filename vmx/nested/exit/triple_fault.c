/* SPDX-License-Identifier: MIT */
/*
 * See triple_fault.h. The guest is hostile: each thing of its memory is read once, as a copy, and of nothing
 * is read more than a fixed number.
 * SDM: "Exception and Interrupt Reference", "Interrupt 8 - Double Fault Exception"; "IDT Descriptors".
 */
#include "vmx/nested/exit/triple_fault.h"

#include "kernel/log.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/nested/exit/gate.h"
#include "vmx/nested/exit/look.h"
#include "vmx/nested/explain/explain.h"

#define CODE_BYTES 16u
#define FRAMES 12u
#define NEAR PAGE_SIZE

#define REG(name) ((unsigned long long)vcpu_reg(vcpu, REG_##name))

/* ---- registers ---- */

static void add_general(struct vcpu *vcpu, struct text *text)
{
	static const char names[GPR_COUNT][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
						  "r8",	 "r9",	"r10", "r11", "r12", "r13", "r14", "r15" };

	for (unsigned int i = 0; i < GPR_COUNT; i++)
		text_add(text, "%s%s %llx%s", i % 4 ? " " : "  ", names[i],
			 (unsigned long long)vcpu_gpr(vcpu, i), i % 4 == 3 ? "\n" : "");
}

static void add_segments(struct vcpu *vcpu, struct text *text)
{
	static const char names[SEG_COUNT][5] = { "es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr" };

	for (unsigned int i = 0; i < SEG_COUNT; i++) {
		enum reg first = (enum reg)(REG_ES_SELECTOR + 4 * i);

		text_add(text, "%s%s %llx base %llx limit %llx ar %llx%s", i % 2 ? ", " : "  ", names[i],
			 (unsigned long long)vcpu_reg(vcpu, first),
			 (unsigned long long)vcpu_reg(vcpu, (enum reg)(first + 1)),
			 (unsigned long long)vcpu_reg(vcpu, (enum reg)(first + 2)),
			 (unsigned long long)vcpu_reg(vcpu, (enum reg)(first + 3)), i % 2 ? "\n" : "");
	}
}

static void add_registers(struct vcpu *vcpu, struct text *text)
{
	text_add(text, "  rip %llx rflags %llx dr7 %llx\n", REG(RIP), REG(RFLAGS), REG(DR7));
	add_general(vcpu, text);
	text_add(text, "  cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx\n", REG(CR0),
		 (unsigned long long)vcpu_cr2(), REG(CR3), REG(CR4), REG(EFER));
	add_segments(vcpu, text);
	text_add(text, "  gdtr base %llx limit %llx, idtr base %llx limit %llx\n", REG(GDTR_BASE),
		 REG(GDTR_LIMIT), REG(IDTR_BASE), REG(IDTR_LIMIT));
}

/* ---- code and stack ---- */

/* The bytes of the instruction at RIP, as many as are there. */
static unsigned int read_code(struct vcpu *vcpu, u8 *bytes)
{
	u64 base = vcpu_is_64bit(vcpu) ? 0 : vcpu_reg(vcpu, REG_CS_BASE);
	u64 rip = base + vcpu_reg(vcpu, REG_RIP);
	unsigned int count = 0;

	while (count < CODE_BYTES && look_linear(vcpu, rip + count, WALK_FETCH, &bytes[count], 1))
		count++;
	return count;
}

static void add_code(struct text *text, const u8 *bytes, unsigned int count)
{
	text_add(text, "  code  ");
	for (unsigned int i = 0; i < count; i++)
		text_add(text, " %02x", bytes[i]);
	text_add(text, count ? "\n" : " none: RIP leads to no RAM that can be executed\n");
}

/*
 * SDM volume 1 "Stack-Frame Base Pointer": RBP leads to the caller's, and above it lies where to return. Code
 * that does without has anything in RBP: a frame counts if it returns to what can be executed.
 */
static void add_calls(struct vcpu *vcpu, struct text *text)
{
	bool is_64bit = vcpu_is_64bit(vcpu);
	unsigned int width = is_64bit ? 8 : 4;
	u64 base = is_64bit ? 0 : vcpu_reg(vcpu, REG_SS_BASE), frame = vcpu_gpr(vcpu, GPR_RBP);
	u64 code = is_64bit ? 0 : vcpu_reg(vcpu, REG_CS_BASE);
	unsigned int found = 0;

	if (!is_64bit && !(vcpu_reg(vcpu, REG_CS_AR) & AR_DB))
		return;
	for (; found < FRAMES; found++) {
		u64 next = 0, back = 0;

		if (!frame || frame % width || !look_linear(vcpu, base + frame, 0, &next, width) ||
		    !look_linear(vcpu, base + frame + width, 0, &back, width) || !back ||
		    !look_linear(vcpu, code + back, WALK_FETCH, NULL, 1))
			break;
		text_add(text, "%s %llx", found ? "," : "  callers", (unsigned long long)back);
		if (next <= frame) {
			found++;
			break;
		}
		frame = next;
	}
	text_add(text, found ? " (as far as RBP leads)\n" : "");
}

/* ---- guesses ---- */

/* The exception that came first, by the instruction at RIP, behind whose bytes there are zeros; NULL: it does
 * not say. */
static const char *guess_by_code(const u8 *bytes, unsigned int count)
{
	if (!count)
		return "#PF or #GP, for RIP leads nowhere";
	if (bytes[0] == 0xcc)
		return "#BP, for INT3 is at RIP";
	if (bytes[0] == 0xcd)
		return "an INT n, which is at RIP";
	if (bytes[0] == 0x0f && (bytes[1] == 0x0b || bytes[1] == 0xb9 || bytes[1] == 0xff))
		return "#UD, for UD2 (or UD0, UD1) is at RIP";
	return NULL;
}

/* CR2 may be old; what no access can have met tells nothing. */
static const char *guess_by_cr2(struct vcpu *vcpu)
{
	u64 cr2 = vcpu_cr2(), rsp = vcpu_reg(vcpu, REG_RSP), idt = vcpu_reg(vcpu, REG_IDTR_BASE);
	u8 byte;

	if (!(vcpu_reg(vcpu, REG_CR0) & CR0_PG) || cr2 - idt <= vcpu_reg(vcpu, REG_IDTR_LIMIT) ||
	    look_linear(vcpu, cr2, 0, &byte, 1))
		return NULL;
	if (rsp - cr2 < NEAR || cr2 - rsp < NEAR)
		return "#PF at CR2, which is near RSP: the stack is full, or was never there";
	return "#PF at CR2";
}

static void add_guesses(struct vcpu *vcpu, struct text *text, const char *flaw, const u8 *bytes,
			unsigned int count)
{
	const char *first = guess_by_code(bytes, count);

	if (!first)
		first = guess_by_cr2(vcpu);
	if (first)
		text_add(text, "  guess  the first exception was %s\n", first);
	text_add(text, "  guess  %s%s\n",
		 flaw ? "#DF could not be delivered, for its entry "
		      : "#DF could not be delivered, but nothing is wrong with its entry as it stands now",
		 flaw ? flaw : "");
}

COLD void triple_fault_describe(struct vcpu *vcpu, struct text *text)
{
	static const struct {
		u8 vector;
		char name[4];
	} vectors[] = { { VEC_DF, "#DF" }, { VEC_GP, "#GP" }, { VEC_PF, "#PF" } };
	const char *flaw_of_df = NULL;
	u8 bytes[CODE_BYTES] = { 0 };
	unsigned int count;

	add_registers(vcpu, text);
	for (unsigned int i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct gate gate;
		const char *flaw = gate_read(vcpu, vectors[i].vector, &gate);

		text_add(text, "  %s   ", vectors[i].name);
		gate_add(text, &gate);
		text_add(text, "%s%s\n", flaw ? "; it " : "", flaw ? flaw : "");
		if (vectors[i].vector == VEC_DF)
			flaw_of_df = flaw;
	}
	count = read_code(vcpu, bytes);
	add_code(text, bytes, count);
	add_calls(vcpu, text);
	add_guesses(vcpu, text, flaw_of_df, bytes, count);
}

COLD void triple_fault_report(struct vcpu *vcpu)
{
	char buffer[EXPLAIN_TEXT_MAX];
	struct text text = { buffer, sizeof(buffer), 0 };
	size_t line = 0;

	triple_fault_describe(vcpu, &text);
	for (size_t i = 0; i < text.used; i++)
		if (buffer[i] == '\n') {
			log_error("%.*s", (int)(i - line), buffer + line);
			line = i + 1;
		}
}
