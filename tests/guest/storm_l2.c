/* SPDX-License-Identifier: MIT */
/*
 * The L2s of the storm: short programs, each in 64-, 32- and 16-bit code, that do what an L2 can do to a
 * hypervisor. EBX is the place that they are aimed at, ESI and EDI places of their own, ECX an MSR or a
 * field, EAX and EDX what is written. At their end they call L1, for ever.
 */
#include "tests/guest/storm.h"

#define END "\n 9: vmcall; jmp 9b; "
#define PROGRAM(name, text)                                                                                  \
	GUEST_CODE(s64_##name, 64, text END " s64_end_" #name ":");                                          \
	GUEST_CODE(s32_##name, 32, text END " s32_end_" #name ":");                                          \
	GUEST_CODE(s16_##name, 16, text END " s16_end_" #name ":");                                          \
	extern const u8 s64_end_##name[], s32_end_##name[], s16_end_##name[]

PROGRAM(call, "nop; vmcall; nop; vmcall");
PROGRAM(access, "mov (%ebx), %eax; mov 4(%ebx), %ecx; mov %edx, (%ebx); incl 8(%ebx)");
PROGRAM(cross, "mov 0xffd(%ebx), %eax; mov %edx, 0xffd(%ebx); lock incl 0xffe(%ebx)");
PROGRAM(string, "cld; mov %ebx, %edi; mov $64, %ecx; rep movsb; mov %ebx, %esi; mov $40, %ecx; rep movsb");
PROGRAM(stack, "mov %ebx, %esp; .byte 0x50, 0x58; pushf; popf; .byte 0x50; call 1f; 1: .byte 0x58");
PROGRAM(msrs, "rdmsr; wrmsr; mov $0x1b, %ecx; rdmsr; mov $0xc0000080, %ecx; rdmsr; wrmsr");
/* VMREAD ECX to EAX, VMWRITE EDX, VMREAD and VMWRITE of (EBX) */
PROGRAM(fields, ".byte 0x0f,0x78,0xc8, 0x0f,0x79,0xca, 0x0f,0x78,0x0b, 0x0f,0x79,0x0b");
PROGRAM(functions, "xor %eax, %eax; vmfunc; mov (%ebx), %edx; inc %ecx; vmfunc; mov %edx, (%ebx)");
PROGRAM(halt, "sti; hlt; cli; hlt");
/* CR0, CR3 and CR4 as they are; then as EDX says */
PROGRAM(controls, ".byte 0x0f,0x20,0xc0, 0x0f,0x22,0xc0, 0x0f,0x20,0xd8, 0x0f,0x22,0xd8, 0x0f,0x20,0xe0; "
		  "xor $0x84, %eax; .byte 0x0f,0x22,0xe0; smsw %eax; lmsw %ax; clts");
PROGRAM(wild_controls, ".byte 0x0f,0x22,0xe2, 0x0f,0x22,0xc2, 0x0f,0x22,0xda; mov %edx, (%ebx)");
PROGRAM(priority, ".byte 0x44,0x0f,0x20,0xc0, 0x44,0x0f,0x22,0xc2, 0x44,0x0f,0x20,0xc0");
/* DR0 is EBX, DR7 a breakpoint on it */
PROGRAM(debug,
	".byte 0x0f,0x21,0xf8, 0x0f,0x23,0xc3; mov $0xf0703, %eax; .byte 0x0f,0x23,0xf8; mov (%ebx), %ecx; "
	"mov %edx, (%ebx); .byte 0x0f,0x21,0xf0");
PROGRAM(traps, "int3; .byte 0xf1; int $0x42; ud2");
PROGRAM(ports,
	"mov $0x80, %edx; in (%dx), %al; out %al, (%dx); cld; mov $3, %ecx; rep outsb; in (%dx), %eax; "
	"mov %ebx, %edi; mov $2, %ecx; rep insb; mov %ebx, %esi; outsl");
/* the virtual TPR by a plain store, then what may have to be stepped over */
PROGRAM(lower, "movb $0, (%esi); mov %eax, (%ebx)");
PROGRAM(lower_twice, "movb $0, (%esi); mov %eax, (%ebx); cpuid; movb $0xf0, (%esi); mov (%ebx), %eax");
PROGRAM(steps, "pushf; orb $1, 1(%esp); popf; mov (%ebx), %eax; mov %edx, (%ebx); cpuid");
PROGRAM(shadowed, "mov %ss, %eax; mov %eax, %ss; mov %edx, (%ebx); sti; mov %edx, 8(%ebx); cli");
PROGRAM(vmx,
	"vmlaunch; vmresume; .byte 0x0f,0xc7,0x33, 0x0f,0xc7,0x3b, 0x66,0x0f,0xc7,0x33, 0xf3,0x0f,0xc7,0x33; "
	".byte 0x66,0x0f,0x38,0x80,0x0b, 0x66,0x0f,0x38,0x81,0x0b; vmxoff");
PROGRAM(others, "cpuid; rdtsc; pause; invlpg (%ebx); wbinvd; sgdt (%edi); lgdt (%edi); sldt %eax; str %eax; "
		"xor %ecx, %ecx; xgetbv; xsetbv; invd; rdpmc");
/* S3 by the port and the value that L1 chose */
PROGRAM(sleep, "outb %al, (%dx); out %eax, (%dx); .byte 0x66, 0xef, 0xec, 0xef");
PROGRAM(jump, ".byte 0xff, 0xe3");
PROGRAM(task, ".byte 0xea, 0, 0, 0, 0, 0x48, 0");

#define ROW(name)                                                                                            \
	{                                                                                                    \
		{ s16_##name, s32_##name, s64_##name }, s16_end_##name                                       \
	}
static const struct {
	const u8 *code[3]; /* 16, 32, 64 bits */
	const u8 *end16;
} programs[] = { ROW(jump),	ROW(lower),    ROW(access),    ROW(cross),  ROW(string),   ROW(stack),
		 ROW(msrs),	ROW(fields),   ROW(functions), ROW(halt),   ROW(controls), ROW(wild_controls),
		 ROW(priority), ROW(debug),    ROW(traps),     ROW(ports),  ROW(call),	   ROW(lower_twice),
		 ROW(steps),	ROW(shadowed), ROW(vmx),       ROW(others), ROW(lower),	   ROW(task),
		 ROW(lower),	ROW(sleep) };
enum { JUMP = 0, LOWER = 1, SLEEP = ARRAY_SIZE(programs) - 1 /* only on request */ };
static u16 offsets16[ARRAY_SIZE(programs)];

void storm_l2_init(void)
{
	u32 at = 0, i;

	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		size_t size = (size_t)(programs[i].end16 - programs[i].code[0]);

		offsets16[i] = (u16)at;
		memcpy(ptr_of(LOW_CODE + at), programs[i].code[0], size);
		at += (u32)size;
	}
	CHECK(at < PAGE_SIZE);
}

/* Where a program is aimed, in L2's linear addresses. */
static u64 aim(struct storm_cpu *c, const struct storm_vm *v)
{
	u64 offset = storm_chance(c, 4) ? storm_choose(c, PAGE_SIZE - 16) : storm_choose(c, 255) * 16;

	switch (storm_choose(c, 8)) {
	case 0: return storm_targets[storm_choose(c, STORM_WINDOW)] + offset;
	case 1:
	case 2: return c->data + storm_choose(c, STORM_DATA) * PAGE_SIZE + offset;
	case 3: return STORM_ALIAS + 2 * MIB + storm_choose(c, 512) * PAGE_SIZE + offset;
	case 4: return v->page[PAGE_APIC_ACCESS] + offset;
	default: return STORM_ALIAS + storm_choose(c, 512) * PAGE_SIZE + offset;
	}
}

static u32 some_msr(struct storm_cpu *c)
{
	static const u32 list[] = {
		MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_KERNEL_GS_BASE,
		MSR_STAR,	 MSR_LSTAR,	   MSR_TSC_AUX,
		MSR_VMX_BASIC,	 MSR_VMX_EPT_VPID, MSR_FEATURE_CONTROL,
		0x12345,	 0x40000000,	   0x808,
		MSR_DEBUGCTL,	 MSR_PAT,	   MSR_XSS,
		0xc0000200u,
	};

	return list[storm_choose(c, ARRAY_SIZE(list))];
}

/* What L2 writes is no table entry that would lead anywhere. */
static u64 some_value(struct storm_cpu *c)
{
	static const u64 list[] = { 0x5a5a5a58, ~0ul, 0, 0x11223344, 0xfffffff8, 0x80000000, 0x7ff8 };

	return list[storm_choose(c, ARRAY_SIZE(list))];
}

static void start(struct storm_cpu *c, struct storm_vm *v, u32 n)
{
	u32 width = v->vm.mode == VM_REAL ? 0 : v->vm.mode == VM_64 ? 2 : 1;
	struct gprs *r = &v->vm.regs;

	vmwrite_checked(F_GUEST_RIP, width ? addr_of(programs[n].code[width]) : offsets16[n]);
	r->rbx = aim(c, v);
	if (n == JUMP && (!storm_in_socle || r->rbx - v->page[PAGE_APIC_ACCESS] < PAGE_SIZE))
		r->rbx = c->data; /* the emulator stops at code in device memory and in that page */
	r->rsi = storm_chance(c, 2) ? v->page[PAGE_VAPIC] + 0x80 : c->data + storm_choose(c, 0x4000);
	r->rdi = storm_chance(c, 4) ? aim(c, v) : c->data + storm_choose(c, 0x4000);
	r->rcx = storm_chance(c, 2) ? some_msr(c) : storm_fields[storm_choose(c, storm_field_count)];
	r->rax = some_value(c);
	r->rdx = some_value(c);
	if (n == SLEEP)
		storm_sleep_access(c, &r->rdx, &r->rax);
}

/* A program from its start, sometimes on the stack and with the flags that the guest began with. */
void storm_l2_program(struct storm_cpu *c, struct storm_vm *v)
{
	start(c, v, (u32)storm_choose(c, ARRAY_SIZE(programs) - !storm_machine));
	if (storm_chance(c, 3))
		vmwrite_checked(F_GUEST_RSP, v->vm.stack);
	if (storm_chance(c, 3))
		vmwrite_checked(F_GUEST_RFLAGS, RFLAGS_FIXED | (storm_chance(c, 3) ? RFLAGS_IF : 0));
}

void storm_l2_lower(struct storm_cpu *c, struct storm_vm *v)
{
	start(c, v, LOWER);
	v->vm.regs.rsi = v->page[PAGE_VAPIC] + 0x80;
	if (v == &c->vms[STORM_NO_EPT])
		v->vm.regs.rbx = storm_targets[storm_choose(c, STORM_WINDOW)];
	else if (storm_chance(c, 4))
		v->vm.regs.rbx = c->data + storm_choose(c, STORM_DATA) * PAGE_SIZE;
	else
		v->vm.regs.rbx =
			STORM_ALIAS +
			(storm_choose(c, 20) * STORM_STRIDE + storm_choose(c, STORM_WINDOW)) * PAGE_SIZE;
}
