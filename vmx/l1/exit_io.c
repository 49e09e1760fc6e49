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

/*
 * How many iterations of a repeated instruction one exit carries out at most. Then the guest is entered,
 * so that its events are not held up.
 */
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
		/* INS always uses ES, and the instruction information does not name it. */
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

/*
 * Checks the memory operand and finds its linear address. A fault of the operand comes before the access
 * to the port.
 */
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

/*
 * True if something must happen at the instruction boundary after this iteration: a trap, an MTF exit, a
 * debug exception.
 */
static bool is_stepped(struct vcpu *vcpu)
{
	return (vcpu_reg(vcpu, REG_RFLAGS) & RFLAGS_TF) || (event_proc_of_owner(vcpu) & PROC_MTF) ||
	       event_debug_pending(vcpu);
}

/*
 * A fault in a later iteration is not reported now: the guest goes on with what has been done so far,
 * exits again at this instruction, and then the fault is that of the first iteration.
 */
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
 * The access reaches a port that L0 wants; or it is L2's and exits only because L0 has not merged this
 * word of the I/O bitmap yet. In the second case the word is merged now, and L2 makes the access itself.
 */
enum outcome exit_io(struct vcpu *vcpu)
{
	u64 qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
	struct port_access access = decode(qualification);
	struct string_io io;

	if (vcpu->guest->open_ports && vcpu->guest->open_ports(vcpu, access.port, access.size)) {
		event_execute_again(vcpu);
		return OUTCOME_RESUME;
	}
	if (!access.string)
		return simple_io(vcpu, &access);
	/*
	 * Without this information nobody can tell which address the instruction uses. Every processor
	 * with unrestricted guests gives it.
	 */
	if (!(vmx_caps.basic & BASIC_STRING_INFO))
		return outcome_gp(vcpu, 0);
	io = decode_string(vcpu, &access, qualification & QUALIFICATION_REP);
	return string_io(vcpu, &io);
}
