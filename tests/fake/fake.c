/* SPDX-License-Identifier: MIT */
/*
 * The fake processor: see fake.h. Replaces kernel/hw/, kernel/panic.c, kernel/log.c, kernel/percpu.c, the .S
 * files and what only makes sense on a processor.
 */
#define _GNU_SOURCE
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/vmx.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/print.h"
#include "kernel/version.h"
#include "kernel/trap.h"
#include "kernel/desc.h"
#include "kernel/x86.h"
#include "vmx/hw/entry.h"
#include "vmx/hw/vmcs.h"

/* ---- VMX ---- */

#define VMCS_MAX 512
#define FIELD_SLOTS (4 * 4 * 64)
#define WRITES_MAX 65536
#define UNWRITTEN 0x5a5a5a5a5a5a5a5aull

struct fake_vmcs {
	u64 pa;
	u64 value[FIELD_SLOTS];
};

static struct fake_vmcs vmcss[VMCS_MAX];
static size_t vmcs_count;
static struct fake_vmcs *current;
static bool field_removed[FIELD_SLOTS], field_known[FIELD_SLOTS];
static bool in_vmx;

struct fake_write fake_writes[WRITES_MAX];
size_t fake_write_count;
u32 fake_access_rights;
u64 fake_read_count, fake_load_count, fake_invept_count, fake_invvpid_count, fake_invept_last,
	fake_invvpid_last;

static const u32 encodings[] = {
#define F(encoding, name, flow, shadow, group) encoding,
#include "vmx/hw/vmcs_fields.def"
#undef F
};

static unsigned int slot_of(u64 field)
{
	return (unsigned int)((VMCS_FIELD_WIDTH(field) << 8) | (VMCS_FIELD_TYPE(field) << 6) |
			      (VMCS_FIELD_INDEX(field) & 63));
}

static bool field_exists(u64 field)
{
	if (field >> 15 || (field & 0x1000) || VMCS_FIELD_INDEX(field) > 63)
		return false;
	if (VMCS_FIELD_HIGH(field) && VMCS_FIELD_WIDTH(field) != VMCS_WIDTH_64)
		return false;
	return field_known[slot_of(field)] && !field_removed[slot_of(field)];
}

static u64 width_mask(u64 field)
{
	if (field >= VMCS_guest_es_ar && field <= VMCS_guest_tr_ar)
		return fake_access_rights;
	switch (VMCS_FIELD_WIDTH(field)) {
	case VMCS_WIDTH_16: return 0xffff;
	case VMCS_WIDTH_32: return 0xffffffff;
	default: return ~0ull;
	}
}

static struct fake_vmcs *find(u64 pa)
{
	for (size_t i = 0; i < vmcs_count; i++)
		if (vmcss[i].pa == pa)
			return &vmcss[i];
	return NULL;
}

static struct fake_vmcs *find_or_make(u64 pa)
{
	struct fake_vmcs *vmcs = find(pa);

	if (vmcs)
		return vmcs;
	if (vmcs_count == VMCS_MAX)
		abort();
	vmcss[vmcs_count].pa = pa;
	/* SDM VMCLEAR: fields that were never written hold nothing that one may rely on. */
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++)
		vmcss[vmcs_count].value[slot_of(encodings[i])] = UNWRITTEN & width_mask(encodings[i]);
	return &vmcss[vmcs_count++];
}

enum hw_vmx_result hw_vmxon(u64 pa UNUSED)
{
	if (in_vmx)
		return HW_VMX_FAIL_INVALID;
	in_vmx = true;
	return HW_VMX_OK;
}

u32 fake_vmcalls;

void hw_vmcall(u32 number UNUSED, u32 argument UNUSED)
{
	fake_vmcalls++;
}

enum hw_vmx_result hw_vmclear(u64 pa)
{
	if (pa & 0xfff)
		return HW_VMX_FAIL_VALID;
	find_or_make(pa);
	if (current && current->pa == pa)
		current = NULL;
	return HW_VMX_OK;
}

enum hw_vmx_result hw_vmptrld(u64 pa)
{
	if (pa & 0xfff)
		return HW_VMX_FAIL_VALID;
	fake_load_count++;
	/* A VMCS that was never VMCLEARed holds garbage: a bug of ours. */
	current = find(pa);
	return current ? HW_VMX_OK : HW_VMX_FAIL_VALID;
}

enum hw_vmx_result hw_vmread(u64 field, u64 *value)
{
	fake_read_count++;
	if (!current)
		return HW_VMX_FAIL_INVALID;
	if (!field_exists(field))
		return HW_VMX_FAIL_VALID;
	*value = current->value[slot_of(field)];
	return HW_VMX_OK;
}

enum hw_vmx_result hw_vmwrite(u64 field, u64 value)
{
	fake_work++;
	if (!current)
		return HW_VMX_FAIL_INVALID;
	if (!field_exists(field))
		return HW_VMX_FAIL_VALID;
	if (VMCS_FIELD_TYPE(field) == VMCS_TYPE_READ_ONLY && !(rdmsr(MSR_IA32_VMX_MISC) & BIT(29)))
		return HW_VMX_FAIL_VALID;
	current->value[slot_of(field)] = value & width_mask(field);
	if (fake_write_count < WRITES_MAX)
		fake_writes[fake_write_count] = (struct fake_write){ current->pa, (u32)field, value };
	fake_write_count++;
	return HW_VMX_OK;
}

u64 hw_vmread_sure(u64 field)
{
	u64 value;

	if (hw_vmread(field, &value) != HW_VMX_OK)
		panic("VMREAD of field %llx, which cannot fail, failed", (unsigned long long)field);
	return value;
}

void hw_vmwrite_sure(u64 field, u64 value)
{
	if (hw_vmwrite(field, value) != HW_VMX_OK)
		panic("VMWRITE of field %llx, which cannot fail, failed", (unsigned long long)field);
}

enum hw_vmx_result hw_invept(u64 type UNUSED, u64 eptp)
{
	fake_invept_count++;
	fake_invept_last = eptp;
	return HW_VMX_OK;
}

enum hw_vmx_result hw_invvpid(u64 type UNUSED, u16 vpid, u64 linear UNUSED)
{
	fake_invvpid_count++;
	fake_invvpid_last = vpid;
	return HW_VMX_OK;
}

void fake_log_clear(void)
{
	fake_write_count = 0;
	fake_read_count = 0;
	fake_load_count = 0;
}

size_t fake_writes_of(u64 vmcs, u32 field)
{
	size_t found = 0;

	for (size_t i = 0; i < fake_write_count && i < WRITES_MAX; i++)
		found += fake_writes[i].field == field && (!vmcs || fake_writes[i].vmcs == vmcs);
	return found;
}

u64 fake_current_vmcs(void)
{
	return current ? current->pa : ~0ull;
}

u64 fake_get(u64 vmcs, u32 field)
{
	struct fake_vmcs *v = find(vmcs);

	return v ? v->value[slot_of(field)] : ~0ull;
}

void fake_set(u64 vmcs, u32 field, u64 value)
{
	find_or_make(vmcs)->value[slot_of(field)] = value & width_mask(field);
}

bool fake_is_known(u64 vmcs)
{
	return find(vmcs) != NULL;
}

void fake_remove_field(u32 field)
{
	field_removed[slot_of(field)] = true;
}

void fake_restore_field(u32 field)
{
	field_removed[slot_of(field)] = false;
}

bool fake_is_removed(u32 field)
{
	return field_removed[slot_of(field)];
}

/* ---- memory ---- */

u8 *fake_memory;
u64 fake_memory_size = FAKE_MEMORY_SIZE;

/* What the linker script names in the real image; and what moves it. */
__asm__(".data\n"
	".balign 4096\n"
	".globl image_start, image_text, image_text_end, image_rodata, image_rodata_end, image_data\n"
	".globl image_data_end, image_end\n"
	"image_start:\n"
	"image_text:\n"
	"image_text_end:\n"
	"image_rodata:\n"
	"image_rodata_end:\n"
	"image_data:\n"
	".skip 0x30000\n"
	"image_data_end:\n"
	"image_end:\n"
	".globl trampoline_start, trampoline_parameters, trampoline_end\n"
	"trampoline_start:\n"
	".fill 0x100, 1, 0xc7\n"
	"trampoline_parameters:\n"
	".skip 40\n"
	"trampoline_end:\n"
	".text\n");

void start_relocate(void *to, const void *from, u64 size, u64 cr3);
void start_relocate(void *to UNUSED, const void *from UNUSED, u64 size UNUSED, u64 cr3 UNUSED)
{
	abort();
}

static void memory_reset(void)
{
	if (!fake_memory) {
		fake_memory = mmap(NULL, fake_memory_size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (fake_memory == MAP_FAILED)
			abort();
		/* Each machine test is a process that touches thousands of these pages: fewer faults. */
		if (fake_memory_size == FAKE_MEMORY_SIZE)
			madvise(fake_memory, fake_memory_size, MADV_HUGEPAGE);
		return;
	}
	madvise(fake_memory, fake_memory_size, MADV_DONTNEED);
}

/* ---- MSRs, CPUID, ports, control registers ---- */

#define MSR_MAX 512
static struct {
	u32 msr;
	u64 value;
} msrs[MSR_MAX];
static size_t msr_count;

void fake_msr_set(u32 msr, u64 value)
{
	for (size_t i = 0; i < msr_count; i++) {
		if (msrs[i].msr == msr) {
			msrs[i].value = value;
			return;
		}
	}
	if (msr_count == MSR_MAX)
		abort();
	msrs[msr_count].msr = msr;
	msrs[msr_count++].value = value;
}

void fake_msr_remove(u32 msr)
{
	for (size_t i = 0; i < msr_count; i++)
		if (msrs[i].msr == msr)
			msrs[i] = msrs[--msr_count];
}

bool rdmsr_safe(u32 msr, u64 *value)
{
	for (size_t i = 0; i < msr_count; i++) {
		if (msrs[i].msr == msr) {
			*value = msrs[i].value;
			return true;
		}
	}
	*value = 0;
	return false;
}

u64 fake_msr_get(u32 msr)
{
	u64 value;

	rdmsr_safe(msr, &value);
	return value;
}

u64 rdmsr(u32 msr)
{
	u64 value;

	if (!rdmsr_safe(msr, &value))
		panic("RDMSR of %x", msr);
	return value;
}

static bool holds_address(u32 msr)
{
	return msr == MSR_IA32_LSTAR || msr == MSR_IA32_CSTAR || msr == MSR_IA32_SYSENTER_ESP ||
	       msr == MSR_IA32_SYSENTER_EIP || (msr >= MSR_IA32_FS_BASE && msr <= MSR_IA32_KERNEL_GS_BASE);
}

u64 fake_debugctl_reserved;

bool wrmsr_safe(u32 msr, u64 value)
{
	u64 old;

	fake_work++;
	if (msr == MSR_IA32_DEBUGCTL && (value & fake_debugctl_reserved))
		return false;
	if (msr == MSR_IA32_SPEC_CTRL && value >> 11)
		return false;
	if (!rdmsr_safe(msr, &old) || (holds_address(msr) && !is_canonical(value, 48)))
		return false;
	fake_msr_set(msr, value);
	return true;
}

void wrmsr(u32 msr, u64 value)
{
	if (!wrmsr_safe(msr, value))
		panic("WRMSR of %x", msr);
}

#define CPUID_MAX 128
static struct {
	u32 leaf, subleaf;
	struct cpuid_regs regs;
} cpuids[CPUID_MAX];
static size_t cpuid_count;

void fake_cpuid_set(u32 leaf, u32 subleaf, u32 eax, u32 ebx, u32 ecx, u32 edx)
{
	struct cpuid_regs regs = { .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx };

	for (size_t i = 0; i < cpuid_count; i++) {
		if (cpuids[i].leaf == leaf && cpuids[i].subleaf == subleaf) {
			cpuids[i].regs = regs;
			return;
		}
	}
	if (cpuid_count == CPUID_MAX)
		abort();
	cpuids[cpuid_count].leaf = leaf;
	cpuids[cpuid_count].subleaf = subleaf;
	cpuids[cpuid_count++].regs = regs;
}

struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	for (size_t i = 0; i < cpuid_count; i++)
		if (cpuids[i].leaf == leaf && cpuids[i].subleaf == subleaf)
			return cpuids[i].regs;
	return (struct cpuid_regs){ 0 };
}

static u64 control[16], debug[16], xcr0, tsc;
static u32 io_in;

u64 fake_read_register(char kind, unsigned int n)
{
	return kind == 'c' ? control[n] : debug[n];
}

void fake_write_register(char kind, unsigned int n, u64 value)
{
	(kind == 'c' ? control : debug)[n] = value;
}

u64 xgetbv(u32 index UNUSED)
{
	return xcr0;
}

u64 fake_xcr0_refused;

bool xsetbv_safe(u32 index UNUSED, u64 value)
{
	if (value & fake_xcr0_refused)
		return false;
	xcr0 = value;
	return true;
}

u32 fake_pkru, fake_verws, fake_work, fake_work_at_verw;
u8 fake_fpu[512], fake_ymm_high[256];

#define FAKE_MXCSR_MASK 0xffffu

static bool is_sse(u32 byte)
{
	return (byte >= 24 && byte < 32) || byte >= 160;
}

static void need_fpu(void)
{
	if (read_cr0() & (BIT(2) | BIT(3)))
		__builtin_trap();
}

void fxsave(void *to)
{
	need_fpu();
	for (u32 i = 0; i < sizeof(fake_fpu); i++)
		if ((read_cr4() & BIT(9)) || !is_sse(i))
			((u8 *)to)[i] = fake_fpu[i];
}

static void check_mxcsr(const u8 *image)
{
	u32 mxcsr;

	memcpy(&mxcsr, image + 24, sizeof(mxcsr));
	if (mxcsr & ~FAKE_MXCSR_MASK)
		__builtin_trap();
}

void fxrstor(const void *from)
{
	need_fpu();
	if (read_cr4() & BIT(9))
		check_mxcsr(from);
	for (u32 i = 0; i < sizeof(fake_fpu); i++)
		if ((read_cr4() & BIT(9)) || !is_sse(i))
			fake_fpu[i] = ((const u8 *)from)[i];
}

static void need_avx(const void *area, u64 components)
{
	need_fpu();
	if (!(read_cr4() & BIT(18)) || components != BIT(2) || !(xcr0 & components) || (uintptr_t)area % 64)
		__builtin_trap();
}

/* SDM "Operation of XSAVE": MXCSR with component 2; in the header whether it is in use, the rest as it was.
 */
void xsave(void *to, u64 components)
{
	u64 *header = (u64 *)((u8 *)to + 512);

	need_avx(to, components);
	memcpy((u8 *)to + 24, fake_fpu + 24, 8);
	memcpy((u8 *)to + 576, fake_ymm_high, sizeof(fake_ymm_high));
	header[0] &= ~components;
	for (unsigned int i = 0; i < sizeof(fake_ymm_high); i++)
		if (fake_ymm_high[i])
			header[0] |= components;
}

void xrstor(const void *from, u64 components)
{
	const u64 *header = (const u64 *)((const u8 *)from + 512);

	need_avx(from, components);
	check_mxcsr(from);
	for (unsigned int i = 1; i < 8; i++)
		if (header[i])
			__builtin_trap();
	if (header[0] & components)
		memcpy(fake_ymm_high, (const u8 *)from + 576, sizeof(fake_ymm_high));
	else
		memset(fake_ymm_high, 0, sizeof(fake_ymm_high));
	memcpy(fake_fpu + 24, (const u8 *)from + 24, 4);
}
bool (*fake_machine_check)(struct trap_frame *frame);
void (*fake_nmi)(struct trap_frame *frame);

u32 rdpkru(void)
{
	return fake_pkru;
}

u64 rdtsc(void)
{
	return tsc += 100;
}

void fake_pass_time(void)
{
	tsc += 1000000;
}

void fake_io_in(u32 value)
{
	io_in = value;
}

void (*fake_input_hook)(void);
bool (*fake_port_in)(u16 port, unsigned int size, u32 *value);
bool (*fake_port_out)(u16 port, unsigned int size, u32 value);

static u32 port_in(u16 port, unsigned int size)
{
	u32 value;

	return fake_port_in && fake_port_in(port, size, &value) ? value : io_in;
}

static void port_out(u16 port, unsigned int size, u32 value)
{
	if (fake_port_out)
		fake_port_out(port, size, value);
}

u8 inb(u16 port)
{
	if (fake_input_hook)
		fake_input_hook();
	return (u8)port_in(port, 1);
}

u16 inw(u16 port)
{
	return (u16)port_in(port, 2);
}

u32 inl(u16 port)
{
	return port_in(port, 4);
}

struct fake_out fake_outs[FAKE_OUTS];
size_t fake_out_count;

static void note_out(u16 port, u32 size, u32 value)
{
	if (fake_out_count < FAKE_OUTS)
		fake_outs[fake_out_count] = (struct fake_out){ port, size, value, { 0 } };
	fake_out_count++;
	port_out(port, size, value);
}

void outb(u16 port, u8 value)
{
	note_out(port, 1, value);
}

void outw(u16 port, u16 value)
{
	note_out(port, 2, value);
}

void outl(u16 port, u32 value)
{
	note_out(port, 4, value);
}

void cpu_out_registers(u64 *gpr, u16 port, u32 size)
{
	note_out(port, size, (u32)(gpr[0] & (0xffffffffu >> (32 - 8 * size))));
	if (fake_out_count <= FAKE_OUTS)
		memcpy(fake_outs[fake_out_count - 1].gpr, gpr, sizeof(fake_outs[0].gpr));
}

/* ---- log and panic ---- */

static char log_text[65536];
static size_t log_used;
jmp_buf fake_panic_jump;
bool fake_panic_expected;

const char *fake_log(void)
{
	return log_text;
}

static void log_append(const char *fmt, va_list args)
{
	if (log_used + 2048 > sizeof(log_text))
		log_used = 0;
	log_used += print_vformat(log_text + log_used, 1200, fmt, args);
	log_text[log_used++] = '\n';
	log_text[log_used] = 0;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (level > options.log)
		return;
	va_start(args, fmt);
	log_append(fmt, args);
	va_end(args);
}

/* Line by line, and as slowly as a serial port. */
bool log_try_text(const char *text, size_t length)
{
	size_t line = 0;

	for (size_t i = 0; i < length; i++)
		if (text[i] == '\n') {
			log_report("%.*s", (int)(i - line), text + line);
			line = i + 1;
			tsc += 1000;
		}
	return true;
}

/* From *position on; nothing is overwritten in so short a log. */
size_t log_read(u64 *position, char *to, size_t size)
{
	size_t from = MIN(*position, log_used), length = MIN(size, log_used - from);

	memcpy(to, log_text + from, length);
	*position = from + length;
	return length;
}

u64 fake_stack[64];

void cpu_save_frame(struct cpu_frame *frame)
{
	*frame = (struct cpu_frame){ .rip = 0x1234, .rsp = (u64)fake_stack, .rbx = 0xb };
}

void version_build_id(char text[VERSION_BUILD_ID_SIZE])
{
	memset(text, 'b', VERSION_BUILD_ID_SIZE - 1);
	text[VERSION_BUILD_ID_SIZE - 1] = 0;
}

void log_set_sink(void (*sink)(const char *text, size_t len) UNUSED)
{
}
void log_break_lock(void)
{
}
void log_set_stop(void (*hook)(void) UNUSED)
{
}
void log_stop(void)
{
}

static void NORETURN stop(const char *what)
{
	if (fake_panic_expected)
		longjmp(fake_panic_jump, 1);
	fprintf(stderr, "%s; log:\n%s\n", what, log_text);
	abort();
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_append(fmt, args);
	va_end(args);
	stop("panic");
}

void panic_set_dump(void (*dump)(void) UNUSED)
{
}

void cpu_halt_forever(void)
{
	stop("cpu_halt_forever");
}

void cpu_halt(void)
{
	stop("cpu_halt");
}

/* ---- CPUs ---- */

struct percpu fake_cpu, *fake_other_cpu;

struct percpu *cpu_gs_self(void)
{
	return &fake_cpu;
}

struct percpu *percpu_get(u32 id)
{
	return id && fake_other_cpu ? fake_other_cpu : &fake_cpu;
}

u32 percpu_count(void)
{
	return fake_other_cpu ? 2 : 1;
}

/* ---- what the .S files, kernel/desc.c and kernel/trap.c have ---- */

const char vmx_exit[1], vmx_entry_begin[1], vmx_entry_end[1], vmx_entry_restart[1];
enum enter_result (*fake_enter)(struct vcpu *vcpu);

/* As entry.S: the member's offset. */
static bool fake_has_request(const void *vcpu)
{
	return *(const u64 *)((const u8 *)vcpu + 128);
}

u32 hw_enter(void **vcpu)
{
	if (!fake_enter)
		stop("hw_enter");
	return fake_has_request(*vcpu) ? ENTER_REQUEST : fake_enter(*vcpu);
}

u64 desc_tss_base(const struct percpu *cpu UNUSED)
{
	return 0x1000;
}

u64 desc_gdt_base(const struct percpu *cpu UNUSED)
{
	return 0x2000;
}

u64 trap_idt_base(void)
{
	return 0x3000;
}

void trap_set_nmi_hook(void (*hook)(struct trap_frame *frame))
{
	fake_nmi = hook;
}

void trap_set_machine_check_hook(bool (*hook)(struct trap_frame *frame))
{
	fake_machine_check = hook;
}

/* ---- defaults ---- */

/* The VMX capabilities of a processor of about 2020, as the emulator's newest models have them. */
static const struct {
	u32 msr;
	u64 value;
} default_msrs[] = {
	{ MSR_IA32_FEATURE_CONTROL, 5 },
	{ MSR_IA32_VMX_BASIC, 0x01da040000000012 & ~BIT(56) },
	{ MSR_IA32_VMX_PINBASED_CTLS, 0x000000ff00000016 },
	{ MSR_IA32_VMX_PROCBASED_CTLS, 0xfff9fffe0401e172 },
	{ MSR_IA32_VMX_EXIT_CTLS, 0x007fffff00036dff },
	{ MSR_IA32_VMX_ENTRY_CTLS, 0x0000ffff000011ff },
	{ MSR_IA32_VMX_MISC, 0x00000000700401e5 },
	{ MSR_IA32_VMX_CR0_FIXED0, 0x80000021 },
	{ MSR_IA32_VMX_CR0_FIXED1, 0xffffffff },
	{ MSR_IA32_VMX_CR4_FIXED0, 0x2000 },
	{ MSR_IA32_VMX_CR4_FIXED1, 0x3727ff },
	{ MSR_IA32_VMX_VMCS_ENUM, 0x2e },
	{ MSR_IA32_VMX_PROCBASED_CTLS2, 0x027fffff00000000 },
	{ MSR_IA32_VMX_EPT_VPID_CAP, 0x00000f0106334141 },
	{ MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0x000000ff00000016 },
	{ MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 0xfff9fffe04006172 },
	{ MSR_IA32_VMX_TRUE_EXIT_CTLS, 0x007fffff00036dfb },
	{ MSR_IA32_VMX_TRUE_ENTRY_CTLS, 0x0000ffff000011fb },
	{ MSR_IA32_VMX_VMFUNC, 1 },
	{ MSR_IA32_APIC_BASE, 0xfee00900 },
	{ MSR_IA32_MTRRCAP, 0x508 },
	{ MSR_IA32_MTRR_DEF_TYPE, 0xc06 },
	{ MSR_IA32_PAT, PAT_RESET },
	{ MSR_IA32_EFER, EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE },
	{ MSR_IA32_DEBUGCTL, 0 },
	{ MSR_IA32_SYSENTER_CS, 0 },
	{ MSR_IA32_SYSENTER_ESP, 0 },
	{ MSR_IA32_SYSENTER_EIP, 0 },
	{ MSR_IA32_TSC, 0 },
	{ MSR_IA32_TSC_AUX, 0 },
	{ MSR_IA32_STAR, 0 },
	{ MSR_IA32_LSTAR, 0 },
	{ MSR_IA32_CSTAR, 0 },
	{ MSR_IA32_FMASK, 0 },
	{ MSR_IA32_FS_BASE, 0 },
	{ MSR_IA32_GS_BASE, 0 },
	{ MSR_IA32_KERNEL_GS_BASE, 0 },
	{ MSR_IA32_XSS, 0 },
	{ MSR_IA32_MISC_ENABLE, 1 },
	{ MSR_IA32_SPEC_CTRL, 0 },
};

static void msrs_reset(void)
{
	msr_count = 0;
	for (size_t i = 0; i < ARRAY_SIZE(default_msrs); i++)
		fake_msr_set(default_msrs[i].msr, default_msrs[i].value);
	for (u32 i = 0; i < 16; i++)
		fake_msr_set(MSR_IA32_MTRR_PHYSBASE0 + i, 0);
	fake_msr_set(MSR_IA32_MTRR_FIX64K_00000, 0x0606060606060606);
	for (u32 msr = MSR_IA32_MTRR_FIX16K_80000; msr <= MSR_IA32_MTRR_FIX16K_A0000; msr++)
		fake_msr_set(msr, 0x0606060606060606);
	for (u32 msr = MSR_IA32_MTRR_FIX4K_C0000; msr <= MSR_IA32_MTRR_FIX4K_F8000; msr++)
		fake_msr_set(msr, 0x0606060606060606);
}

static void cpuid_reset(void)
{
	cpuid_count = 0;
	fake_cpuid_set(0, 0, 0x1b, 0x756e6547, 0x6c65746e, 0x49656e69);
	fake_cpuid_set(1, 0, 0x806c1, 0x00010800, 0x7ffafbbf, 0xbfebfbff);
	fake_cpuid_set(7, 0, 0, 0x009c27ab, 0x0000001c, 0);
	fake_cpuid_set(0xd, 0, 7, 0x340, 0x340, 0);
	fake_cpuid_set(0xd, 1, 0xf, 0x340, 0, 0);
	fake_cpuid_set(0x80000000, 0, 0x80000008, 0, 0, 0);
	fake_cpuid_set(0x80000001, 0, 0, 0, 0x121, 0x2c100800);
	fake_cpuid_set(0x80000008, 0, 0x3027, 0, 0, 0); /* 39 physical, 48 linear bits */
}

void fake_reset(void)
{
	for (size_t i = 0; i < vmcs_count; i++)
		vmcss[i] = (struct fake_vmcs){ 0 };
	vmcs_count = 0;
	current = NULL;
	in_vmx = false;
	for (size_t i = 0; i < FIELD_SLOTS; i++)
		field_removed[i] = field_known[i] = false;
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++)
		field_known[slot_of(encodings[i])] = true;
	fake_log_clear();
	fake_invept_count = fake_invvpid_count = fake_invept_last = fake_invvpid_last = 0;
	memory_reset();
	msrs_reset();
	cpuid_reset();
	for (unsigned int i = 0; i < 16; i++)
		control[i] = debug[i] = 0;
	control[0] = CR0_PE | CR0_PG | CR0_NE | CR0_WP | CR0_ET;
	control[4] = CR4_PAE | CR4_VMXE | CR4_PGE;
	xcr0 = XCR0_X87 | XCR0_SSE;
	io_in = ~0u;
	fake_input_hook = NULL;
	fake_pkru = fake_verws = fake_work = fake_work_at_verw = 0;
	fake_access_rights = 0xffffffff;
	fake_debugctl_reserved = GENMASK(63, 16) | GENMASK(5, 3);
	log_used = 0;
	log_text[0] = 0;
	fake_panic_expected = false;
	fake_enter = NULL;
	fake_cpu = (struct percpu){ .self = &fake_cpu };
}

/* ---- snapshots ---- */

extern u8 socle_data_start[] __asm__("__start_socle_data") __attribute__((weak));
extern u8 socle_data_stop[] __asm__("__stop_socle_data") __attribute__((weak));

static struct {
	u8 *statics;
	struct fake_vmcs vmcss[VMCS_MAX];
	size_t vmcs_count, msr_count;
	struct fake_vmcs *current;
	bool in_vmx;
	u8 msrs[sizeof(msrs)];
	u64 control[16], debug[16], xcr0;
	struct percpu cpu;
} saved;

/* The pages that are in use become a file's; from then on the mapping is a private view of it. */
static void memory_to_file(void)
{
	static u8 resident[FAKE_MEMORY_SIZE / PAGE_SIZE];
	int file = memfd_create("memory", 0);

	if (file < 0 || ftruncate(file, (off_t)FAKE_MEMORY_SIZE) ||
	    mincore(fake_memory, FAKE_MEMORY_SIZE, resident))
		abort();
	for (size_t page = 0; page < sizeof(resident); page++) {
		off_t offset = (off_t)(page * PAGE_SIZE);

		if ((resident[page] & 1) &&
		    pwrite(file, fake_memory + offset, PAGE_SIZE, offset) != (ssize_t)PAGE_SIZE)
			abort();
	}
	if (mmap(fake_memory, FAKE_MEMORY_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0) != fake_memory)
		abort();
}

#ifdef __clang__
#define UNWATCHED __attribute__((no_sanitize("address", "coverage")))
#else
#define UNWATCHED __attribute__((no_sanitize("address")))
#endif

/* ASan's red zones lie between the objects: word by word, without its eyes. */
UNWATCHED static void copy_statics(u8 *to, const u8 *from, size_t size)
{
	size_t i = 0;

	for (; i + sizeof(u64) <= size; i += sizeof(u64))
		*(volatile u64 *)(void *)(to + i) = *(const u64 *)(const void *)(from + i);
	for (; i < size; i++)
		((volatile u8 *)to)[i] = from[i];
}

void fake_snapshot(void)
{
	size_t size = (size_t)(socle_data_stop - socle_data_start);

	memory_to_file();
	saved.statics = malloc(size);
	if (!saved.statics)
		abort();
	copy_statics(saved.statics, socle_data_start, size);
	memcpy(saved.vmcss, vmcss, sizeof(vmcss));
	memcpy(saved.msrs, msrs, sizeof(msrs));
	memcpy(saved.control, control, sizeof(control));
	memcpy(saved.debug, debug, sizeof(debug));
	saved.vmcs_count = vmcs_count;
	saved.msr_count = msr_count;
	saved.current = current;
	saved.in_vmx = in_vmx;
	saved.xcr0 = xcr0;
	saved.cpu = fake_cpu;
}

void fake_restore(void)
{
	copy_statics(socle_data_start, saved.statics, (size_t)(socle_data_stop - socle_data_start));
	madvise(fake_memory, FAKE_MEMORY_SIZE, MADV_DONTNEED);
	memcpy(vmcss, saved.vmcss, saved.vmcs_count * sizeof(vmcss[0]));
	memcpy(msrs, saved.msrs, sizeof(msrs));
	memcpy(control, saved.control, sizeof(control));
	memcpy(debug, saved.debug, sizeof(debug));
	vmcs_count = saved.vmcs_count;
	msr_count = saved.msr_count;
	current = saved.current;
	in_vmx = saved.in_vmx;
	xcr0 = saved.xcr0;
	fake_cpu = saved.cpu;
	fake_log_clear();
	log_used = 0;
	log_text[0] = 0;
}
