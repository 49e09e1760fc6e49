/* SPDX-License-Identifier: MIT */
/*
 * Guest test "hostile": an L1 that does what no hypervisor does, to see that it harms nobody but itself: L0's
 * window reached for in every way, pointers to MMIO and to nothing, VMCS regions and EPT tables full of
 * rubbish, tables that contain themselves. What L1 gets need not be pretty; that L1 gets there, and reads
 * nothing of L0's, is the result.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(h_vmcall, 64, "vmcall; jmp h_vmcall");
GUEST_CODE(h_access, 64,
	   "mov (%rbx), %rax; movq $0x5a5a5a5a, (%rbx); mov (%rbx), %rdx; incl 8(%rbx); mov 4(%rbx), %ecx; "
	   "vmcall");
GUEST_CODE(h_walk, 64, "1: mov (%rbx), %rax; and %rax, %rdx; add %rsi, %rbx; loop 1b; vmcall");
GUEST_CODE(h_string, 64, "mov $64, %ecx; rep movsb; vmcall");
GUEST_CODE(h_jump, 64, "jmp *%rbx");

/* L0's window: a reserved hole of some MiB inside RAM. A bare machine has none. */
static u64 window_base, window_size;

static void find_hole(u64 base, u64 size, u32 type)
{
	(void)type;
	if (size >= 4 * MIB && base >= 16 * MIB && base + size < 0xe0000000) {
		window_base = base;
		window_size = size;
	}
}

static bool window_known(void)
{
	if (!window_size)
		memory_holes(find_hole);
	return window_size != 0;
}

/* Addresses of all kinds that a pointer of L1's may hold (not the APICs: the emulator stops at a wide read
 * there). */
static u64 places(u32 i)
{
	static const u64 fixed[] = { 0xfed00000,   0xe0000000,	 0xa0000,    0xf0000, 0xfffff000,
				     0x1000000000, 0x7ffffff000, 0xc0000000, 0,	      0x8000 };
	u64 w = window_known() ? window_base : 0xd0000000;

	if (i < ARRAY_SIZE(fixed))
		return fixed[i];
	switch (i - ARRAY_SIZE(fixed)) {
	case 0: return w;
	case 1: return w + 0x1000;
	case 2: return w + (window_size ? window_size / 2 & ~0xffful : 0x2000);
	case 3: return w + (window_size ? window_size - 0x1000 : 0x3000);
	case 4: return w - 0x1000;
	}
	return ~0ul;
}

TEST(window_by_l1)
{
	u64 at;
	u32 wrong = 0;

	NEED(window_known());
	info("window %lx-%lx", window_base, window_base + window_size - 1);
	for (at = window_base; at < window_base + window_size; at += 16 * PAGE_SIZE) {
		volatile u64 *p = ptr_of(at + (at >> 16 & 0xff8));
		u64 before = *p;

		*p = 0x1234567812345678;
		if (before != ~0ul || *p != ~0ul)
			wrong++;
	}
	CHECK(!wrong);
}

TEST_VMX(window_by_l2)
{
	static const u64 steps[] = { PAGE_SIZE, 64 * PAGE_SIZE };
	struct vm vm;
	u32 level, s, wrong = 0;
	u64 alias = 0x8000000000;

	NEED(window_known() && caps_proc2(PROC2_EPT));
	vm_create(&vm, VM_64, VM_EPT, h_access);
	/* L2 sees the alias through large pages of its own */
	for (s = 0; s < 4 * 512; s++)
		*paging_entry(cr3_read(), alias + s * 2 * MIB, 2) =
			(alias + s * 2 * MIB) | PTE_P | PTE_W | PTE_PS | PTE_A | PTE_D;
	cr3_write(cr3_read());
	for (level = 1; level <= 3; level++) {
		u64 size = level == 1 ? PAGE_SIZE : level == 2 ? 2 * MIB : GIB;
		u64 at, hpa;

		if ((level == 2 && !(caps.ept_vpid & EPT_CAP_2M)) ||
		    (level == 3 && !(caps.ept_vpid & EPT_CAP_1G)))
			continue;
		for (at = 0; at < window_size; at += level == 1 ? PAGE_SIZE : 2 * MIB) {
			hpa = (window_base + at) & ~(size - 1);
			ept_map(vm.ept, alias + (level - 1) * GIB + (level == 3 ? 0 : at), hpa, (int)level,
				EPT_RWX | EPT_WB);
		}
		invept(1, vm.ept | EPTP_FLAGS);
		for (s = 0; s < 24; s++) {
			u32 reason;

			at = window_size / 24 * s & ~0xffful;
			hpa = level == 3 ? (window_base + at) & (GIB - 1)
					 : at + (level == 2 ? window_base & (2 * MIB - 1) : 0);
			vm_set_code(&vm, h_access);
			vm.regs.rbx = alias + (level - 1) * GIB + hpa + (s & 7) * 8;
			vm.regs.rax = vm.regs.rdx = vm.regs.rcx = 0;
			reason = vm_run(&vm);
			if (reason != REASON_VMCALL || vm.regs.rax != ~0ul || vm.regs.rdx != ~0ul ||
			    (u32)vm.regs.rcx != ~0u) {
				wrong++;
				if (wrong < 4)
					vm_report(&vm, reason, "window");
			}
		}
		for (s = 0; s < ARRAY_SIZE(steps); s++) {
			vm_set_code(&vm, h_walk);
			vm.regs.rbx = alias + (level - 1) * GIB + (level == 3 ? window_base & (GIB - 1) : 0);
			vm.regs.rsi = steps[s];
			vm.regs.rcx = s ? window_size / steps[s] : 64;
			vm.regs.rdx = ~0ul;
			if (vm_run(&vm) != REASON_VMCALL || vm.regs.rdx != ~0ul)
				wrong++;
		}
	}
	/* string copies into, out of and within the window */
	for (s = 0; s < 3; s++) {
		u64 mine = addr_of(page_alloc());
		u32 reason, i;

		memset(ptr_of(mine), 0x11, 64);
		vm_set_code(&vm, h_string);
		vm.regs.rsi = s == 0 ? mine : alias + 0x100;
		vm.regs.rdi = s == 1 ? mine : alias + 0x200;
		reason = vm_run(&vm);
		if (reason != REASON_VMCALL)
			vm_report(&vm, reason, "string"), wrong++;
		for (i = 0; s == 1 && i < 64; i++)
			wrong += ((u8 *)ptr_of(mine))[i] != 0xff;
	}
	/* code there is all ones: an invalid instruction or a fault of L2's, never L0's code */
	vm_set_code(&vm, h_jump);
	vm.regs.rbx = alias;
	vmwrite(F_EXCEPTION_BITMAP, ~0u);
	info("jump exit=%u", vm_run(&vm));
	info("wrong=%u", wrong);
	CHECK(!wrong);
}

/* EPT tables, page tables and L2's own structures in every place. */
TEST_VMX(tables_anywhere)
{
	struct vm vm;
	u32 i, k, runs = 0;

	NEED(caps_proc2(PROC2_EPT));
	for (i = 0; places(i) != ~0ul; i++) {
		for (k = 0; k < 6; k++) {
			u64 at = places(i), mark = page_mark();

			vm_create(&vm, VM_64, VM_EPT, h_vmcall);
			vmwrite(F_EXCEPTION_BITMAP, ~0u);
			if (caps_pin(PIN_TIMER)) {
				vmset(F_PIN, PIN_TIMER);
				vmwrite(F_GUEST_TIMER, 2000);
			}
			switch (k) {
			case 0: vmwrite(F_EPTP, at | EPTP_FLAGS); break;
			case 1: *ept_entry(vm.ept, 0, 4) = at | EPT_RWX; break;
			case 2: *ept_entry(vm.ept, addr_of(h_vmcall), 3) = at | EPT_RWX; break;
			case 3: vmwrite(F_GUEST_CR3, at); break;
			case 4:
				vmwrite(F_GUEST_IDTR_BASE, at);
				vmwrite(F_EXCEPTION_BITMAP, 0);
				vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | 6);
				break;
			case 5:
				vmwrite(F_GUEST_GDTR_BASE, at);
				vmwrite(F_GUEST_TR_BASE, at);
				vmwrite(F_GUEST_RSP, at + 0x800);
				break;
			}
			vm_run(&vm);
			runs++;
			page_release(mark);
		}
	}
	result("alive=1");
	info("runs=%u", runs);
}

/* VMXON, VMCLEAR, VMPTRLD and the pointers in a VMCS. */
TEST(pointers_anywhere)
{
	static const u32 fields[] = { F_IO_BITMAP_A,	F_IO_BITMAP_B, F_MSR_BITMAP,  F_ENTRY_MSR_LOAD,
				      F_VIRTUAL_APIC,	F_APIC_ACCESS, F_PML_ADDRESS, F_VMREAD_BITMAP,
				      F_VMWRITE_BITMAP, F_EPTP_LIST,   F_VE_ADDRESS,  F_VMCS_LINK };
	u32 i, k;

	for (i = 0; places(i) != ~0ul; i++) {
		u64 at = places(i), mark = page_mark();
		struct vm vm;

		cr4_write(cr4_read() | CR4_VMXE);
		cr0_write(cr0_read() | CR0_NE);
		if (at != 0 && at != 0x8000 && vmxon(at) == VMX_OK) {
			info("vmxon(%lx) went well", at);
			vmxoff();
		}
		vmx_enable();
		/* a VMCLEAR there may write; not to where we live */
		if (window_known() && at >= window_base && at < window_base + window_size) {
			vmclear(at);
			CHECK(vmptrld(at) != VMX_OK);
		} else {
			vmptrld(at);
		}
		for (k = 0; k < ARRAY_SIZE(fields); k++) {
			u64 v = 0;

			vm_create(&vm, VM_64, 0, h_vmcall);
			vmset(F_PROC,
			      (PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_TPR_SHADOW | PROC_SECONDARY) &
				      caps.proc >> 32);
			if (vmread_checked(fields[k], &v) != VMX_OK)
				continue;
			if (fields[k] == F_APIC_ACCESS)
				vmset(F_PROC2, PROC2_APIC_ACCESS & caps.proc2 >> 32);
			if (fields[k] == F_PML_ADDRESS && caps_proc2(PROC2_PML)) {
				vmset(F_PROC2, PROC2_EPT | PROC2_PML);
				vmwrite(F_EPTP, ept_create() | EPTP_FLAGS | EPTP_AD);
				vmwrite(F_GUEST_PML_INDEX, 511);
			}
			if (fields[k] == F_VMREAD_BITMAP || fields[k] == F_VMWRITE_BITMAP)
				vmset(F_PROC2, PROC2_SHADOW & caps.proc2 >> 32);
			v = addr_of(page_alloc());
			vmwrite(F_IO_BITMAP_A, v);
			vmwrite(F_IO_BITMAP_B, v);
			vmwrite(F_MSR_BITMAP, v);
			vmwrite(F_VIRTUAL_APIC, v);
			if (fields[k] == F_ENTRY_MSR_LOAD)
				vmwrite(F_ENTRY_MSR_LOAD_COUNT, 3);
			vmwrite(fields[k], at);
			vm_run(&vm);
		}
		vmx_disable();
		page_release(mark);
	}
	result("alive=1");
}

/* A VMCS region that is rubbish but for its revision, and one that changes under the processor's eyes. */
TEST_VMX(rubbish_vmcs)
{
	u64 seed = 5;
	u32 round, i, launched = 0;

	for (round = 0; round < 60; round++) {
		u64 mark = page_mark();
		u64 region = vmx_region();
		u64 *words = ptr_of(region);
		u64 v = 0;

		for (i = 1; i < 512; i++)
			words[i] = round & 1 ? random_next(&seed) : ~0ul;
		((u32 *)words)[1] = (u32)random_next(&seed);
		if (vmptrld(region) != VMX_OK)
			continue;
		for (i = 0; i < 0x7000; i += 2)
			if (!(round % 20))
				vmread_checked(i, &v);
		/* VMLAUNCH and VMRESUME without a valid host state cannot come to L2 */
		vmwrite_checked(F_HOST_CS, 0);
		vmwrite_checked(F_HOST_TR, 0);
		if (VMX_INSTRUCTION("vmlaunch", "r"(0)) == VMX_OK ||
		    VMX_INSTRUCTION("vmresume", "r"(0)) == VMX_OK)
			launched++;
		for (i = 1; i < 512; i += 7)
			words[i] = random_next(&seed);
		vmread_checked(F_GUEST_RIP, &v);
		vmwrite_checked(F_GUEST_RIP, v);
		vmclear(region);
		page_release(mark);
	}
	result("alive=1 launched=%u", launched);
	CHECK(!launched);
}

/* All fields by chance; the host's stay, so that a lucky entry comes back. L2 has no memory to run wild in.
 */
TEST_VMX(random_fields)
{
	static const u16 fields[] = {
#define FIELD(encoding, name) encoding,
#include "tests/guest/lib/fields.def"
#undef FIELD
	};
	u64 seed = 11, empty = addr_of(page_alloc());
	u32 round, i;

	for (round = 0; round < 300; round++) {
		u64 mark = page_mark();
		struct vm vm;

		vm_create(&vm, VM_64, caps_proc2(PROC2_EPT) ? VM_EPT : 0, h_vmcall);
		for (i = 0; i < ARRAY_SIZE(fields); i++) {
			u64 r = random_next(&seed), v;

			if ((fields[i] >> 10 & 3) == 3 || (r & 15) > (round & 15) ||
			    fields[i] == F_EXIT_MSR_LOAD_COUNT || fields[i] == F_EXIT_MSR_STORE_COUNT ||
			    fields[i] == F_GUEST_ACTIVITY)
				continue;
			v = random_next(&seed) >> (r >> 8 & 63);
			if (vmread_checked(fields[i], &(u64){ 0 }) == VMX_OK)
				vmwrite_checked(fields[i], v);
		}
		if (round & 1 && caps_proc2(PROC2_EPT))
			vmwrite(F_EPTP, empty | EPTP_FLAGS);
		vmwrite(F_GUEST_CR3, empty);
		vmwrite(F_PROC, vmread(F_PROC) | PROC_HLT);
		vmwrite(F_EXCEPTION_BITMAP, ~0u);
		vm_run(&vm);
		page_release(mark);
	}
	result("alive=1");
}

TEST_VMX(random_invalidations)
{
	u64 seed = 3, region = vmx_region();
	u32 i;

	NEED(caps.ept_vpid & EPT_CAP_INVEPT);
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (i = 0; i < 2000; i++) {
		u64 r = random_next(&seed);
		struct inv_descriptor d = { random_next(&seed) >> (r & 63),
					    (r >> 6 & 1) ? random_next(&seed) : 0 };

		if (r >> 7 & 1)
			d.low = (places((r >> 8) % 15) & ~0xffful) | EPTP_FLAGS;
		VMX_INSTRUCTION("invept %2, %3", "m"(d), "r"(r >> 16 & ((r >> 12 & 1) ? 3 : ~0ul)));
		if (caps.ept_vpid & EPT_CAP_INVVPID)
			VMX_INSTRUCTION("invvpid %2, %3", "m"(d), "r"(r >> 16 & ((r >> 13 & 1) ? 3 : ~0ul)));
	}
	result("alive=1");
}

/* EPT tables that contain themselves, each other, the VMCS and rubbish, while L2 reads and writes through
 * them. */
TEST_VMX(own_tables)
{
	u64 seed = 17;
	u32 round, i, exits[4] = { 0 };

	NEED(caps_proc2(PROC2_EPT));
	for (round = 0; round < 100; round++) {
		u64 mark = page_mark();
		struct vm vm;

		vm_create(&vm, VM_64, VM_EPT, h_access);
		for (i = 0; i < 6; i++) {
			u64 r = random_next(&seed);
			u64 gpa = 0x10000000 + i * 2 * MIB;
			u64 target = (r & 3) == 0   ? vm.ept
				     : (r & 3) == 1 ? vm.vmcs
				     : (r & 3) == 2 ? places((r >> 8) % 15)
						    : random_next(&seed);

			*ept_entry(vm.ept, gpa, 2) = (target & PTE_ADDR) | (r >> 16 & 0xfff);
		}
		*ept_entry(vm.ept, 0x8000000000, 4) = vm.ept | EPT_RWX; /* the root is its own child */
		vmwrite(F_EXCEPTION_BITMAP, ~0u);
		for (i = 0; i < 8; i++) {
			u32 reason;

			vm_set_code(&vm, h_access);
			vm.regs.rbx = 0x10000000 + i * 2 * MIB + (random_next(&seed) & 0x1ff8);
			/* not the local APIC or real memory of ours: those addresses only by the tables'
			 * rubbish */
			reason = vm_run(&vm);
			exits[reason == REASON_EPT_VIOLATION   ? 0
			      : reason == REASON_EPT_MISCONFIG ? 1
			      : reason == REASON_VMCALL	       ? 2
							       : 3]++;
			invept(2, 0);
			if (reason & VM_FAIL)
				break;
		}
		page_release(mark);
	}
	info("violations=%u misconfigurations=%u passed=%u others=%u", exits[0], exits[1], exits[2],
	     exits[3]);
	result("alive=1");
}
