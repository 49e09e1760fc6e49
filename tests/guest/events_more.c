/* SPDX-License-Identifier: MIT */
/*
 * Guest test "events", second part: the preemption timer over exits that are L0's alone; I/O bitmaps for
 * strings at the ends of the port space; PAUSE loops, MONITOR and MWAIT; task switches of an L2 with 16-bit
 * TSSs.
 */
#include "tests/guest/events.h"

enum { OTHER = 0x61 };

GUEST_CODE(t_touch, 64, "1: add $4096, %rbx; and $0xffffff, %ebx; mov (%rsi,%rbx), %al; jmp 1b");

/* The timer goes on over what L0 does for L2 alone (filling its page tables): it neither starts again nor
 * stops. */
TEST_VMX(timer_over_l0s_exits)
{
	enum { TOUCHED = 0x8000000, SIZE = 16 << 20, TICKS = 40000 };
	struct vm vm;
	u64 gpa, before, passed;
	u32 turn;

	NEED(caps_pin(PIN_TIMER) && caps_exit(EXIT_SAVE_TIMER) && caps_proc2(PROC2_EPT));
	for (turn = 0; turn < 2; turn++) {
		u32 reason;

		vm_create(&vm, VM_64, VM_EPT, t_touch);
		for (gpa = TOUCHED; gpa < TOUCHED + SIZE; gpa += PAGE_SIZE)
			ept_map(vm.ept, gpa, gpa, 1, EPT_RWX | EPT_WB);
		vmset(F_PIN, PIN_TIMER);
		if (turn)
			vmset(F_EXIT, EXIT_SAVE_TIMER);
		vmwrite(F_GUEST_TIMER, TICKS >> (caps.misc & 31));
		vm.regs.rsi = TOUCHED;
		before = rdtsc();
		reason = vm_run(&vm);
		passed = rdtsc() - before;
		result("saved=%u exit=%u value=%lx", turn, reason, vmread(F_GUEST_TIMER));
		CHECK(passed >= TICKS - 64);
		info("passed=%lu", passed);
	}
}

GUEST_CODE(s_insb, 64, "insb; vmcall");
GUEST_CODE(s_insw, 64, "insw; vmcall");
GUEST_CODE(s_insl, 64, "insl; vmcall");
GUEST_CODE(s_outsb, 64, "outsb; vmcall");
GUEST_CODE(s_outsw, 64, "outsw; vmcall");
GUEST_CODE(s_rep_outsl, 64, "rep outsl; vmcall");
GUEST_CODE(s_rep_insw16, 16, "rep insw; vmcall");
GUEST_CODE(s_outsl16, 16, "outsl; vmcall");
GUEST_CODE(s_in16, 16, "in %dx, %ax; vmcall");
GUEST_CODE(s_out32, 16, "out %eax, %dx; vmcall");

/* Each port of an access counts, of strings and words too; over FFFFh the access exits whatever the bitmaps
 * say. */
TEST_VMX(string_io_bitmaps)
{
	static const struct {
		const char *name;
		const u8 *code;
		enum vm_mode mode;
	} list[] = {
		{ "insb", s_insb, VM_64 },
		{ "insw", s_insw, VM_64 },
		{ "insl", s_insl, VM_64 },
		{ "outsb", s_outsb, VM_64 },
		{ "outsw", s_outsw, VM_64 },
		{ "rep_outsl", s_rep_outsl, VM_64 },
		{ "insw_compat", s_insw, VM_COMPAT },
		{ "insl_pae", s_insl, VM_PAE },
		{ "rep_insw_real", s_rep_insw16, VM_REAL },
		{ "outsl_real", s_outsl16, VM_REAL },
		{ "in16_real", s_in16, VM_REAL },
		{ "out32_v86", s_out32, VM_V86 },
		{ "outsl_v86", s_outsl16, VM_V86 },
	};
	static const u32 bits[] = { 0x5004, 0x7fff, 0x8000, 0xffff };
	u64 page = addr_of(page_alloc());
	u32 i, b, delta;

	NEED(caps_proc(PROC_IO_BITMAPS));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (!vm_mode_possible(list[i].mode))
			continue;
		for (b = 0; b < ARRAY_SIZE(bits); b++) {
			print("RESULT %s %s bit=%x", test_name(), list[i].name, bits[b]);
			for (delta = 0; delta < 6; delta++) {
				u64 mark = page_mark();
				u32 port = bits[b] + 1 - delta;
				bool low = list[i].mode == VM_REAL || list[i].mode == VM_V86;
				struct vm vm;
				u32 reason;

				if (port > 0xffff)
					continue;
				vm_create(&vm, list[i].mode, 0, list[i].code);
				vm_use_io_bitmaps(&vm);
				((u8 *)ptr_of(vm.io_bitmap))[bits[b] / 8] |= 1 << bits[b] % 8;
				/* v86 asks the TSS only with IOPL < 3 */
				vm.regs.rdx = port;
				vm.regs.rsi = vm.regs.rdi = low ? 0x800 : page;
				vm.regs.rcx = 2;
				reason = vm_run(&vm);
				print(" %x:%u", port, reason);
				if (reason == REASON_IO)
					print("(%lx,%lu,%lx)", vmread(F_QUALIFICATION), vmread(F_EXIT_LENGTH),
					      vm.regs.rcx);
				page_release(mark);
			}
			print("\n");
		}
	}
}

GUEST_CODE(l_short, 64, "mov $3, %ecx; 1: pause; loop 1b; vmcall");
GUEST_CODE(l_long, 64, "mov $3000, %ecx; 1: pause; loop 1b; vmcall");
GUEST_CODE(l_gaps, 64, "mov $100, %ecx; 1: pause; mov $2000, %eax; 2: dec %eax; jnz 2b; loop 1b; vmcall");
GUEST_CODE(
	l_mwait, 64,
	"mov $0x100000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor; xor %eax, %eax; mwait; nop; vmcall");
GUEST_CODE(l_mwait_break, 64,
	   "mov $0x100000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor; xor %eax, %eax; mov $1, %ecx; "
	   "mwait; nop; vmcall");
GUEST_CODE(l_mwait_bad, 64, "xor %eax, %eax; mov $0x10, %ecx; mwait; vmcall");
GUEST_CODE(l_mwait_unarmed, 64, "xor %eax, %eax; xor %ecx, %ecx; mwait; vmcall");

TEST_VMX(pause_loops)
{
	static const struct {
		const char *name;
		const u8 *code;
		bool user, exiting;
		u32 gap, window;
	} list[] = {
		{ "short", l_short, false, false, 100, 200 },
		{ "long", l_long, false, false, 100, 200 },
		{ "user", l_long, true, false, 100, 200 },
		{ "gaps", l_gaps, false, false, 100, 200 },
		{ "both", l_long, false, true, 100, 200 },
		{ "both_user", l_long, true, true, 100, 200 },
		{ "window_0", l_long, false, false, 100, 0 },
		{ "never", l_long, false, false, 100, 0x7fffffff },
	};
	struct vm vm;
	u32 i;

	NEED(caps_proc2(PROC2_PLE));
	*paging_entry(cr3_read(), addr_of(l_short) & ~(PAGE_SIZE - 1), 1) |= PTE_U;
	*paging_entry(cr3_read(), (addr_of(l_short) & ~(PAGE_SIZE - 1)) + PAGE_SIZE, 1) |= PTE_U;
	cr3_write(cr3_read());
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		vm_create(&vm, VM_64, 0, list[i].code);
		vmset(F_PROC, PROC_SECONDARY | (list[i].exiting ? PROC_PAUSE : 0));
		vmset(F_PROC2, PROC2_PLE);
		vmwrite(F_PLE_GAP, list[i].gap);
		vmwrite(F_PLE_WINDOW, list[i].window);
		if (list[i].user) {
			vmwrite(F_GUEST_CS, SEL_USER64);
			vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
			vmwrite(F_GUEST_SS, SEL_USER_DATA);
			vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
		}
		result("%s exit=%u", list[i].name, vm_run(&vm));
	}
}

/* MWAIT without its control waits for what wakes it; with it, the qualification says whether the monitor was
 * armed. */
TEST_VMX(mwait)
{
	static const struct {
		const char *name;
		const u8 *code;
		u64 proc, pin, flags;
		bool interrupt;
	} list[] = {
		{ "exiting", l_mwait, PROC_MWAIT, 0, 0, false },
		{ "unarmed", l_mwait_unarmed, PROC_MWAIT, 0, 0, false },
		{ "hint", l_mwait_bad, PROC_MWAIT, 0, 0, false },
		{ "monitor", l_mwait, PROC_MONITOR, 0, 0, false },
		{ "both", l_mwait, PROC_MONITOR | PROC_MWAIT, 0, 0, false },
		{ "interrupt_exits", l_mwait, 0, PIN_EXTINT, 0, true },
		{ "interrupt_wakes", l_mwait, 0, 0, RFLAGS_IF, true },
		{ "interrupt_breaks", l_mwait_break, 0, 0, 0, true },
		{ "bad_hint", l_mwait_bad, 0, 0, 0, false },
	};
	struct vm vm;
	u32 i;

	NEED(cpuid(1, 0).ecx & BIT(3));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		u32 before = this_cpu()->irq_count[OTHER], reason;

		vm_create(&vm, VM_64, 0, list[i].code);
		vmset(F_PROC, list[i].proc);
		vmset(F_PIN, list[i].pin);
		vmset(F_GUEST_RFLAGS, list[i].flags);
		if (list[i].interrupt) {
			apic_self(OTHER);
			delay(100);
		}
		reason = vm_run(&vm);
		vm_report(&vm, reason, list[i].name);
		if (vm_vector(&vm) == OTHER)
			apic_eoi();
		cpu_sti();
		delay(100);
		cpu_cli();
		result("%s l1_got=%u", list[i].name, this_cpu()->irq_count[OTHER] - before);
	}
}

GUEST_CODE(g_call, 32, "lcall $0x58, $0; vmcall");
GUEST_CODE(g_jmp, 32, "ljmp $0x58, $0; vmcall");
GUEST_CODE(g_gate, 32, "lcall $0x60, $0; vmcall");
GUEST_CODE(g_int, 32, "int $0x42; vmcall");
GUEST_CODE(g_iret, 32, "pushf; orl $0x4000, (%esp); popf; iret; vmcall");

/* L2's task switches exit before anything changes, whatever the size of the TSS; what fails before that is a
 * fault. */
TEST_VMX(task_switches)
{
	static const u8 *const codes[] = { g_call, g_jmp, g_gate, g_int, g_iret };
	static const char *const names[] = { "call", "jmp", "gate", "int", "iret" };
	static const enum vm_mode modes[] = { VM_32, VM_PAE };
	u64 tss = addr_of(page_alloc());
	u32 i, k, m;

	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		for (i = 0; i < ARRAY_SIZE(codes); i++) {
			/* available, busy, absent, too short, a 32-bit one too short */
			for (k = 0; k < 5; k++) {
				u64 mark = page_mark();
				u64 type = k == 4 ? 0x89 : k == 1 ? 0x83 : k == 2 ? 0x01 : 0x81;
				struct vm vm;
				char name[32];

				gdt_set(SEL_FREE, (k == 3 ? 0x2a : 0x2b) | (tss & 0xffffff) << 16 |
							  type << 40 | (tss >> 24) << 56);
				gdt_set(SEL_FREE + 8, (u64)SEL_FREE << 16 | 0xe5ul << 40);
				vm_create(&vm, modes[m], 0, codes[i]);
				*(u16 *)ptr_of(vmread(F_GUEST_TR_BASE)) = SEL_FREE;
				((u64 *)ptr_of(vmread(F_GUEST_IDTR_BASE)))[0x42] =
					(u64)SEL_FREE << 16 | 0xe5ul << 40;
				vmwrite(F_EXCEPTION_BITMAP, ~0u);
				format(name, sizeof(name), "%s %s %u", vm_mode_names[modes[m]], names[i], k);
				vm_report(&vm, vm_run(&vm), name);
				page_release(mark);
			}
		}
	}
	gdt_set(SEL_FREE, 0);
	gdt_set(SEL_FREE + 8, 0);
}
