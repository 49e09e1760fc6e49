/* SPDX-License-Identifier: MIT */
/*
 * Guest test "fuzzrun": L2 executes pieces of code in an order made from (seed, case) while L1 changes its
 * wishes at every exit: intercepts, masks, monitor trap flag, windows, injected events, pages of EPT taken
 * away under an event's delivery. All that L1 sees at each exit goes into a hash. Options: seed=,
 * cases=from-to, detail (a line for each exit).
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum { IRQ = 0x61, PIECES = 14, EXITS = 70 };

/* One piece in both operand sizes; what it leaves in registers must not depend on time or place. */
#define PIECE(name, text)                                                                                    \
	GUEST_CODE(p64_##name, 64, text "\n p64_end_" #name ":");                                            \
	GUEST_CODE(p32_##name, 32, text "\n p32_end_" #name ":");                                            \
	extern const u8 p64_end_##name[], p32_end_##name[]

PIECE(alu, "inc %eax; dec %ecx; xor %eax, %edx");
PIECE(cpuid, "cpuid");
PIECE(cr0_read, "smsw %eax");
PIECE(clts, "clts");
PIECE(lmsw, "smsw %eax; xor $8, %eax; lmsw %ax");
PIECE(msr_read, "mov $0x174, %ecx; rdmsr");
PIECE(msr_write, "mov $0x174, %ecx; xor %edx, %edx; mov $0x33, %eax; wrmsr");
PIECE(msr_bad, "mov $0x12345, %ecx; rdmsr");
PIECE(out, "mov $0x80, %edx; out %al, %dx");
PIECE(in, "in $0x81, %al; xor %eax, %eax");
PIECE(sti, "sti; nop; nop");
PIECE(cli, "cli");
PIECE(mov_ss, "mov %ss, %ecx; mov %ecx, %ss; nop; nop");
PIECE(mov_ss_cpuid, "mov %ss, %ecx; mov %ecx, %ss; cpuid");
PIECE(sti_cpuid, "sti; cpuid; cli");
PIECE(int_n, "int $0x42");
PIECE(int3, "int3");
PIECE(int1, ".byte 0xf1");
PIECE(ud2, "ud2");
PIECE(de, "xor %ecx, %ecx; xor %edx, %edx; mov $1, %eax; div %ecx");
PIECE(gp, "mov $0x1238, %ecx; mov %ecx, %es");
PIECE(pause, "pause");
PIECE(rdtsc, "rdtsc; xor %eax, %eax; xor %edx, %edx");
PIECE(wbinvd, "wbinvd");
PIECE(vmcall, "nop; vmcall; nop");
PIECE(vmxoff, "vmxoff");
PIECE(touch, "incl (%esi)");
PIECE(touch2, "mov 4(%edi), %eax; mov %eax, (%esi)");
PIECE(string, "mov $3, %ecx; cld; xchg %esi, %edi; rep movsb; xor %ecx, %ecx; and $~0xfff, %esi; and "
	      "$~0xfff, %edi; xchg %esi, %edi");
PIECE(rep_out, "mov $2, %ecx; mov $0x80, %edx; cld; rep outsb; and $~0xfff, %esi");
PIECE(ipi, "mov $0xfee00300, %ebx; movl $0x40061, (%ebx); nop");
PIECE(sldt, "sldt %eax; str %ecx");
PIECE(monitor, "nop; nop");

/* These differ by mode. */
GUEST_CODE(p64_tf, 64, "pushf; orl $0x100, (%rsp); popf; nop; nop; p64_end_tf:");
GUEST_CODE(p32_tf, 32, "pushf; orl $0x100, (%esp); popf; nop; nop; p32_end_tf:");
GUEST_CODE(p64_no_tf, 64, "pushf; andl $~0x100, (%rsp); popf; nop; p64_end_no_tf:");
GUEST_CODE(p32_no_tf, 32, "pushf; andl $~0x100, (%esp); popf; nop; p32_end_no_tf:");
GUEST_CODE(p64_cr3, 64, "mov %cr3, %rcx; mov %rcx, %cr3; xor %ecx, %ecx; p64_end_cr3:");
GUEST_CODE(p32_cr3, 32, "mov %cr3, %ecx; mov %ecx, %cr3; xor %ecx, %ecx; p32_end_cr3:");
GUEST_CODE(p64_cr0, 64, "mov %cr0, %rcx; xor $8, %ecx; mov %rcx, %cr0; p64_end_cr0:");
GUEST_CODE(p32_cr0, 32, "mov %cr0, %ecx; xor $8, %ecx; mov %ecx, %cr0; p32_end_cr0:");
GUEST_CODE(p64_cr4, 64, "mov %cr4, %rcx; xor $0x84, %ecx; mov %rcx, %cr4; p64_end_cr4:");
GUEST_CODE(p32_cr4, 32, "mov %cr4, %ecx; xor $0x84, %ecx; mov %ecx, %cr4; p32_end_cr4:");
GUEST_CODE(
	p64_dr, 64,
	"mov %db7, %rcx; mov %rcx, %db7; mov %db6, %rcx; mov $0xffff0ff0, %ecx; mov %rcx, %db6; p64_end_dr:");
GUEST_CODE(
	p32_dr, 32,
	"mov %db7, %ecx; mov %ecx, %db7; mov %db6, %ecx; mov $0xffff0ff0, %ecx; mov %ecx, %db6; p32_end_dr:");
GUEST_CODE(p64_invlpg, 64, "invlpg (%rsi); p64_end_invlpg:");
GUEST_CODE(p32_invlpg, 32, "invlpg (%esi); p32_end_invlpg:");
GUEST_CODE(p64_pf, 64, "mov $0xfffff000, %ebx; shl $8, %rbx; mov (%rbx), %eax; p64_end_pf:");
GUEST_CODE(p32_pf, 32, "mov (%edi), %eax; p32_end_pf:");
GUEST_CODE(p64_iret, 64,
	   "mov %ss, %ecx; mov %rsp, %rbx; push %rcx; push %rbx; pushf; mov %cs, %ecx; push %rcx; "
	   "lea 1f(%rip), %rbx; push %rbx; iretq; 1: xor %ebx, %ebx; p64_end_iret:");
GUEST_CODE(p32_iret, 32, "pushf; push %cs; call 1f; 1: addl $(2f - 1b), (%esp); iret; 2: p32_end_iret:");

#define BOTH(name)                                                                                           \
	{                                                                                                    \
#name, { p64_##name, p64_end_##name },                                                       \
		{                                                                                            \
			p32_##name, p32_end_##name                                                           \
		}                                                                                            \
	}
#define DECLARE(name) extern const u8 p64_end_##name[], p32_end_##name[]
DECLARE(tf);
DECLARE(no_tf);
DECLARE(cr3);
DECLARE(cr0);
DECLARE(cr4);
DECLARE(dr);
DECLARE(invlpg);
DECLARE(pf);
DECLARE(iret);

static const struct {
	const char *name;
	const u8 *wide[2], *narrow[2];
} pieces[] = {
	BOTH(alu),	 BOTH(cpuid),	     BOTH(cr0_read),  BOTH(clts),   BOTH(lmsw),	  BOTH(msr_read),
	BOTH(msr_write), BOTH(msr_bad),	     BOTH(out),	      BOTH(in),	    BOTH(sti),	  BOTH(cli),
	BOTH(mov_ss),	 BOTH(mov_ss_cpuid), BOTH(sti_cpuid), BOTH(int_n),  BOTH(int3),	  BOTH(int1),
	BOTH(ud2),	 BOTH(de),	     BOTH(gp),	      BOTH(pause),  BOTH(rdtsc),  BOTH(wbinvd),
	BOTH(vmcall),	 BOTH(vmxoff),	     BOTH(touch),     BOTH(touch2), BOTH(string), BOTH(rep_out),
	BOTH(ipi),	 BOTH(sldt),	     BOTH(monitor),   BOTH(tf),	    BOTH(no_tf),  BOTH(cr3),
	BOTH(cr0),	 BOTH(cr4),	     BOTH(dr),	      BOTH(invlpg), BOTH(pf),	  BOTH(iret),
};

struct run {
	struct vm vm;
	u64 seed;
	u8 *code;
	u32 starts[PIECES + 1]; /* offsets in code; the last is the end's VMCALL */
	u8 which[PIECES];
	u64 data[2];
	u64 holes[4]; /* pages of L2's that come and go in EPT */
	bool detail;
	u64 number;
};

static u64 choose(struct run *r, u64 n)
{
	return random_next(&r->seed) % n;
}

static void assemble(struct run *r)
{
	bool wide = r->vm.mode == VM_64;
	u32 at = 0, i;

	for (i = 0; i < PIECES; i++) {
		u32 k = (u32)choose(r, ARRAY_SIZE(pieces));
		const u8 *const *p = wide ? pieces[k].wide : pieces[k].narrow;

		r->which[i] = (u8)k;
		r->starts[i] = at;
		memcpy(r->code + at, p[0], (size_t)(p[1] - p[0]));
		at += (u32)(p[1] - p[0]);
	}
	r->starts[PIECES] = at;
	memcpy(r->code + at, "\x0f\x01\xc1", 3);
}

static u64 next_piece(struct run *r, u64 rip)
{
	u32 i;

	for (i = 0; i < PIECES; i++)
		if (addr_of(r->code) + r->starts[i] > rip)
			break;
	return addr_of(r->code) + r->starts[i];
}

/* L1's wishes, made anew now and then. */
static void wishes(struct run *r)
{
	static const u64 proc[] = { PROC_INVLPG, PROC_CR3_LOAD, PROC_CR3_STORE,	  PROC_MOV_DR, PROC_IO,
				    PROC_PAUSE,	 PROC_MTF,	PROC_INTR_WINDOW, PROC_HLT };
	u64 bits = PROC_RDTSC, proc2 = 0; /* the time is no result */
	u32 i;

	for (i = 0; i < ARRAY_SIZE(proc); i++)
		if (!choose(r, 4))
			bits |= proc[i];
	bits &= caps.proc >> 32;
	vmwrite(F_PROC, caps_adjust(caps.proc, bits | PROC_SECONDARY | PROC_MSR_BITMAPS));
	proc2 = PROC2_EPT | (choose(r, 3) ? 0 : PROC2_DESC) | (choose(r, 3) ? 0 : PROC2_WBINVD);
	vmwrite(F_PROC2, caps_adjust(caps.proc2, proc2 & caps.proc2 >> 32));
	vmwrite(F_EXCEPTION_BITMAP,
		choose(r, 2) ? random_next(&r->seed) & random_next(&r->seed) & 0xffffffff : 0);
	vmwrite(F_PFEC_MASK, choose(r, 3) ? 0 : choose(r, 4));
	vmwrite(F_PFEC_MATCH, choose(r, 3) ? 0 : choose(r, 4));
	vmwrite(F_CR0_MASK, choose(r, 3) ? 0 : CR0_TS);
	vmwrite(F_CR0_SHADOW, choose(r, 2) ? CR0_TS : 0);
	vmwrite(F_CR4_MASK, choose(r, 3) ? 0 : CR4_TSD | CR4_VMXE);
	vmwrite(F_CR4_SHADOW, choose(r, 2) ? CR4_TSD : 0);
	vmwrite(F_PIN, caps_adjust(caps.pin, choose(r, 2) ? PIN_EXTINT : 0));
	if (choose(r, 2))
		vmset(F_EXIT, EXIT_ACK);
	else
		vmunset(F_EXIT, EXIT_ACK);
	if (!choose(r, 3)) {
		memset(ptr_of(r->vm.msr_bitmap), choose(r, 2) ? 0xff : 0, PAGE_SIZE);
		vmwrite(F_MSR_BITMAP, r->vm.msr_bitmap);
	}
	if (!choose(r, 3)) {
		u64 page = r->holes[choose(r, 4)];

		ept_map(r->vm.ept, page, page, 1, choose(r, 3) ? 0 : EPT_R | EPT_WB);
		invept(1, r->vm.ept | EPTP_FLAGS);
	}
	if (!choose(r, 5) && caps_pin(PIN_TIMER)) {
		vmset(F_PIN, PIN_TIMER);
		vmwrite(F_GUEST_TIMER, 0);
	}
}

static void inject(u64 info, u64 code, u64 length)
{
	vmwrite(F_ENTRY_INTR_INFO, info & ~BIT(12));
	vmwrite(F_ENTRY_ERROR_CODE, code);
	vmwrite(F_ENTRY_LENGTH, length);
}

static u64 hash_exit(struct run *r, u64 hash, u32 reason)
{
	static const u32 fields[] = { F_QUALIFICATION,
				      F_GUEST_RFLAGS,
				      F_GUEST_RSP,
				      F_GUEST_CR0,
				      F_GUEST_CR4,
				      F_GUEST_CR3,
				      F_GUEST_INTERRUPTIBILITY,
				      F_GUEST_ACTIVITY,
				      F_GUEST_PENDING_DEBUG,
				      F_GUEST_SYSENTER_CS,
				      F_GUEST_DR7,
				      F_GUEST_CS_RIGHTS,
				      F_GUEST_SS,
				      F_GUEST_ES };
	u64 intr = vmread(F_EXIT_INTR_INFO), idt = vmread(F_IDT_INFO);
	u32 i;

	hash = hash_add(hash, reason);
	hash = hash_add(hash, vmread(F_GUEST_RIP));
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		hash = hash_add(hash, vmread(fields[i]));
	hash = hash_add(hash, intr & INTR_VALID ? intr : 0);
	hash = hash_add(hash, intr & INTR_VALID && intr & INTR_CODE ? vmread(F_EXIT_ERROR_CODE) : 0);
	hash = hash_add(hash, idt & INTR_VALID ? idt : 0);
	hash = hash_add(hash, idt & INTR_VALID && idt & INTR_CODE ? vmread(F_IDT_ERROR_CODE) : 0);
	if (reason == REASON_EPT_VIOLATION)
		hash = hash_add(hash, vmread(F_GUEST_PHYSICAL));
	hash = hash_add(hash, r->vm.regs.rax);
	hash = hash_add(hash, r->vm.regs.rcx);
	hash = hash_add(hash, r->vm.regs.rdx);
	hash = hash_add(hash, r->vm.regs.rsi);
	hash = hash_add(hash, r->vm.regs.rdi);
	return hash_add(hash, dr6_read());
}

/* A fault that L2 handled itself: its handler returns to the next piece. */
static void mend_frame(struct run *r, u32 vector)
{
	bool wide = r->vm.mode == VM_64;
	bool code = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
	u64 at = vmread(F_GUEST_RSP) + (code ? wide ? 8 : 4 : 0);

	if (vector == 0 || (vector >= 6 && vector < 32)) {
		if (wide)
			*(u64 *)ptr_of(at) = next_piece(r, *(u64 *)ptr_of(at));
		else
			*(u32 *)ptr_of(at) = (u32)next_piece(r, *(u32 *)ptr_of(at));
	}
}

/* What L1 does about an exit; false: the case is over. */
static bool handle(struct run *r, u32 reason)
{
	u64 intr = vmread(F_EXIT_INTR_INFO), idt = vmread(F_IDT_INFO), rip = vmread(F_GUEST_RIP);
	u32 vector = vm_vector(&r->vm);
	u64 gpa;

	switch (reason) {
	case REASON_VMCALL:
		if (rip == addr_of(r->code) + r->starts[PIECES])
			return false;
		if (vector < 256)
			mend_frame(r, vector);
		if (vector == IRQ)
			apic_eoi();
		vm_skip(&r->vm);
		break;
	case REASON_EXCEPTION:
		if (idt & INTR_VALID && choose(r, 2)) {
			inject(idt, vmread(F_IDT_ERROR_CODE), vmread(F_EXIT_LENGTH) & 15);
		} else if (choose(r, 2)) {
			if ((intr & 0xff) == VEC_PF)
				cr2_write(vmread(F_QUALIFICATION));
			inject(intr, vmread(F_EXIT_ERROR_CODE), vmread(F_EXIT_LENGTH) & 15);
		} else if ((intr & 0xff) == VEC_DB) {
			vmunset(F_GUEST_RFLAGS, RFLAGS_TF);
		} else {
			vmwrite(F_GUEST_RIP, next_piece(r, rip));
		}
		vmwrite(F_GUEST_INTERRUPTIBILITY, 0);
		break;
	case REASON_EXTINT:
		if (intr & INTR_VALID) {
			apic_eoi();
		} else {
			cpu_sti();
			delay(20);
			cpu_cli();
		}
		break;
	case REASON_INTR_WINDOW:
		if (choose(r, 2))
			inject(INTR_VALID | INTR_EXTERNAL | 0x50, 0, 0);
		else
			vmunset(F_PROC, PROC_INTR_WINDOW);
		break;
	case REASON_MTF:
		if (!choose(r, 4))
			vmunset(F_PROC, PROC_MTF);
		break;
	case REASON_TIMER: vmunset(F_PIN, PIN_TIMER); break;
	case REASON_EPT_VIOLATION:
		gpa = vmread(F_GUEST_PHYSICAL) & ~0xffful;
		ept_map(r->vm.ept, gpa, gpa, 1, EPT_RWX | EPT_WB);
		break;
	case REASON_CPUID:
		r->vm.regs.rax = r->vm.regs.rbx = r->vm.regs.rcx = r->vm.regs.rdx = 0;
		vm_skip(&r->vm);
		break;
	case REASON_TRIPLE:
	case REASON_TASK_SWITCH:
	case REASON_EPT_MISCONFIG: return false;
	default:
		if (reason & (VM_FAIL | REASON_FAILED_ENTRY))
			return false;
		vm_skip(&r->vm);
		if (vmread(F_GUEST_RFLAGS) & RFLAGS_TF)
			vmset(F_GUEST_PENDING_DEBUG, BIT(14));
	}
	if (idt & INTR_VALID && reason != REASON_EXCEPTION)
		inject(idt, vmread(F_IDT_ERROR_CODE), vmread(F_EXIT_LENGTH) & 15);
	return true;
}

static u64 run_case(u64 seed0, u64 number, bool detail)
{
	static const enum vm_mode modes[] = { VM_64, VM_PAE, VM_32, VM_PROTECTED };
	static struct run r;
	u64 mark = page_mark(), start = random_next(&seed0) ^ number * 0xd1342543de82ef95ul, hash = 0;
	u32 i;

	memset(&r, 0, sizeof(r));
	r.seed = random_next(&start);
	r.code = page_alloc();
	vm_create(&r.vm, modes[choose(&r, vm_mode_possible(VM_PROTECTED) ? 4 : 3)], VM_EPT, r.code);
	vm_use_msr_bitmap(&r.vm);
	assemble(&r);
	r.data[0] = addr_of(page_alloc());
	r.data[1] = addr_of(page_alloc());
	r.holes[0] = r.data[0];
	r.holes[1] = r.data[1];
	r.holes[2] = vmread(F_GUEST_IDTR_BASE) & ~0xffful;
	r.holes[3] = vmread(F_GUEST_RSP) & ~0xffful;
	r.vm.regs.rsi = r.data[0];
	r.vm.regs.rdi = r.data[1];
	dr6_write(0xffff0ff0);
	cr2_write(0);
	if (detail) {
		print("RESULT case=%lu %s:", number, vm_mode_names[r.vm.mode]);
		for (i = 0; i < PIECES; i++)
			print(" %s", pieces[r.which[i]].name);
		print("\n");
	}
	for (i = 0; i < EXITS; i++) {
		u32 reason;

		if (i == 0 || !choose(&r, 3))
			wishes(&r);
		reason = vm_run(&r.vm);
		hash = hash_exit(&r, hash, reason);
		if (detail)
			print("RESULT case=%lu.%u exit=%x qual=%lx intr=%lx idt=%lx rip=%lx flags=%lx "
			      "block=%lx pending=%lx "
			      "cr=%lx,%lx rsp=%lx dr6=%lx dr7=%lx a=%lx c=%lx d=%lx si=%lx di=%lx cs=%lx "
			      "seg=%lx hash=%lx\n",
			      number, i, reason, vmread(F_QUALIFICATION),
			      vmread(F_EXIT_INTR_INFO) & INTR_VALID ? vmread(F_EXIT_INTR_INFO) : 0,
			      vmread(F_IDT_INFO) & INTR_VALID ? vmread(F_IDT_INFO) : 0, vm_pc(&r.vm),
			      vmread(F_GUEST_RFLAGS), vmread(F_GUEST_INTERRUPTIBILITY),
			      vmread(F_GUEST_PENDING_DEBUG), vmread(F_GUEST_CR0), vmread(F_GUEST_CR4),
			      vmread(F_GUEST_RSP), dr6_read(), vmread(F_GUEST_DR7), r.vm.regs.rax,
			      r.vm.regs.rcx, r.vm.regs.rdx, r.vm.regs.rsi, r.vm.regs.rdi,
			      vmread(F_GUEST_SYSENTER_CS), vmread(F_GUEST_ES), hash);
		if (!handle(&r, reason))
			break;
	}
	hash = hash_add(hash, *(u64 *)ptr_of(r.data[0]));
	cpu_sti();
	delay(20);
	cpu_cli();
	page_release(mark);
	return hash;
}

TEST_VMX(fuzz_run)
{
	u64 seed = option_number("seed", 1);
	u64 from = option_number("cases", 0);
	u64 to = option_range_end("cases", 499);
	bool detail = option_flag("detail");
	u64 hash = 0, first = from, number;

	NEED(caps_proc2(PROC2_EPT) && caps_proc(PROC_MSR_BITMAPS));
	for (number = from; number <= to; number++) {
		hash = hash_add(hash, run_case(seed, number, detail));
		if (number % 20 == 19 || number == to) {
			result("seed=%lu cases=%lu-%lu hash=%lx", seed, first, number, hash);
			first = number + 1;
			hash = 0;
		}
	}
}
