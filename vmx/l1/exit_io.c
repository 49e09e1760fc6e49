/* SPDX-License-Identifier: MIT */
/*
 * I/O instructions that L0 carries out: those that reach a port of its own
 * (vmx/l1/ports.c), for L1 and for L2s whose L1 does not want them.  The
 * processor has checked IOPL and the TSS's bitmap before the exit; segments,
 * pages and alignment of INS and OUTS come after it, and so here.
 * SDM: "Relative Priority of Faults and VM Exits", "Exit Qualification for
 * I/O Instructions"; volume 2 "INS", "OUTS".
 */
#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/guest/event.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/l1/ports.h"
#include "vmx/guest/vmx_operand.h"
#include "vmx/guest/watch.h"
#include "vmx/guest/handlers.h"

#define QUALIFICATION_IN BIT(3)
#define QUALIFICATION_STRING BIT(4)
#define QUALIFICATION_REP BIT(5)
#define INFO_ADDRESS_SIZE(i) (((i) >> 7) & 7)
#define INFO_SEGMENT(i) (((i) >> 15) & 7)
#define BASIC_STRING_INFO BIT(54) /* the instruction information tells of INS and OUTS */

/* Of a repeated instruction, at one exit: then the guest's events have their turn. */
#define ITERATIONS_MAX 32u

struct string_io {
	struct port_access access;
	bool repeated;
	u64 address_mask; /* of rSI, rDI and rCX */
	enum seg seg;
	enum gpr index;
};

static struct port_access decode(u64 qualification)
{
	return (struct port_access){
		.port = (u16)(qualification >> 16),
		.size = (u8)((qualification & 7) + 1),
		.in = qualification & QUALIFICATION_IN,
		.string = qualification & QUALIFICATION_STRING,
	};
}

/* What a register of `mask`'s width holds after a write: SDM volume 1 "General-Purpose Registers". */
static u64 merge_register(u64 old, u64 value, u64 mask)
{
	return (mask == 0xff || mask == 0xffff ? old & ~mask : 0) | (value & mask);
}

/* ---- IN and OUT ---- */

static enum outcome simple_io(struct vcpu *vcpu, struct port_access *access)
{
	u64 mask = BIT(8 * access->size) - 1;

	access->value = (u32)(vcpu->gpr[GPR_RAX] & mask);
	ports_access(vcpu, access);
	if (access->in)
		vcpu->gpr[GPR_RAX] = merge_register(vcpu->gpr[GPR_RAX], access->value, mask);
	watch_port(vcpu, access->port, access->size);
	return OUTCOME_SKIP;
}

/* ---- INS and OUTS ---- */

static struct string_io decode_string(struct vcpu *vcpu, const struct port_access *access, bool repeated)
{
	static const u64 masks[] = { 0xffff, 0xffffffff, ~0ull };
	u32 info = (u32)vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_INFO);

	return (struct string_io){
		.access = *access,
		.repeated = repeated,
		.address_mask = masks[MIN(INFO_ADDRESS_SIZE(info), 2u)],
		/* INS has no other segment than ES, and the field says nothing of it. */
		.seg = access->in ? SEG_ES : (enum seg)INFO_SEGMENT(info),
		.index = access->in ? GPR_RDI : GPR_RSI,
	};
}

/* SDM "Interrupt 17 - Alignment Check Exception": at CPL 3, with CR0.AM and RFLAGS.AC. */
static bool is_misaligned(struct vcpu *vcpu, u64 linear, unsigned int size)
{
	return (linear & (size - 1)) && vcpu_cpl(vcpu) == 3 && (vcpu_reg(vcpu, REG_CR0) & CR0_AM) &&
	       (vcpu_reg(vcpu, REG_RFLAGS) & RFLAGS_AC);
}

/* The memory operand can be accessed: its linear address.  What it would be faulted for comes before the
 * port. */
static enum outcome check_memory(struct vcpu *vcpu, const struct string_io *io, u64 *linear)
{
	u64 offset = vcpu->gpr[io->index] & io->address_mask;
	bool write = io->access.in;
	enum outcome outcome;

	outcome = vmx_operand_linear(vcpu, io->seg, offset, io->access.size, write, linear);
	if (outcome == OUTCOME_NONE)
		outcome = guest_linear_probe(vcpu, GVA(*linear), io->access.size, write);
	if (outcome == OUTCOME_NONE && is_misaligned(vcpu, *linear, io->access.size))
		return outcome_exception(vcpu, VEC_AC, true, 0);
	return outcome;
}

static enum outcome transfer(struct vcpu *vcpu, struct string_io *io)
{
	struct port_access *access = &io->access;
	enum outcome outcome;
	u64 linear;

	outcome = check_memory(vcpu, io, &linear);
	if (outcome != OUTCOME_NONE)
		return outcome;
	access->value = 0;
	if (!access->in)
		outcome = guest_linear_read(vcpu, GVA(linear), &access->value, access->size);
	if (outcome != OUTCOME_NONE)
		return outcome;
	ports_access(vcpu, access);
	watch_port(vcpu, access->port, access->size);
	return access->in ? guest_linear_write(vcpu, GVA(linear), &access->value, access->size)
			  : OUTCOME_NONE;
}

static void step_register(struct vcpu *vcpu, enum gpr n, u64 step, u64 mask)
{
	vcpu->gpr[n] = merge_register(vcpu->gpr[n], vcpu->gpr[n] + step, mask);
}

/* The boundary behind an iteration is one at which something comes. */
static bool is_stepped(struct vcpu *vcpu)
{
	return (vcpu_reg(vcpu, REG_RFLAGS) & RFLAGS_TF) || (event_proc_of_owner(vcpu) & PROC_MTF) ||
	       event_debug_pending(vcpu);
}

/* A fault behind the first iteration is left to the next exit: it is the instruction's as it stands then. */
static enum outcome string_io(struct vcpu *vcpu, struct string_io *io)
{
	u64 step = vcpu_reg(vcpu, REG_RFLAGS) & RFLAGS_DF ? 0 - (u64)io->access.size : io->access.size;
	u64 *count = &vcpu->gpr[GPR_RCX];

	for (unsigned int done = 0; !io->repeated || (*count & io->address_mask); done++) {
		enum outcome outcome;

		if (done == ITERATIONS_MAX || (done && is_stepped(vcpu)))
			return OUTCOME_AGAIN;
		outcome = transfer(vcpu, io);
		if (outcome != OUTCOME_NONE)
			return done ? OUTCOME_AGAIN : outcome;
		step_register(vcpu, io->index, step, io->address_mask);
		if (!io->repeated)
			break;
		step_register(vcpu, GPR_RCX, ~0ull, io->address_mask);
	}
	return OUTCOME_SKIP;
}

/*
 * An access that L0 wants, or of L2's one that a page of L0's making has in it only because nobody has looked
 * there yet: the second is made by L2 itself then.
 */
enum outcome exit_io(struct vcpu *vcpu)
{
	u64 qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
	struct port_access access = decode(qualification);
	struct string_io io;

	if (vcpu->guest->open_ports && vcpu->guest->open_ports(vcpu, access.port, access.size))
		return OUTCOME_RESUME;
	if (!access.string)
		return simple_io(vcpu, &access);
	/* Every processor with unrestricted guests has it; without it there is no telling what is addressed.
	 */
	if (!(vmx_caps.basic & BASIC_STRING_INFO))
		return outcome_gp(vcpu, 0);
	io = decode_string(vcpu, &access, qualification & QUALIFICATION_REP);
	return string_io(vcpu, &io);
}
