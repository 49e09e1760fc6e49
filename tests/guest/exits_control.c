/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits", part 1: instructions that exit always, by a control, by a mask, or by a bitmap; and
 * what they do where they do not exit. SDM: "VMX Non-Root Operation".
 */
#include "tests/guest/exits.h"

static void make_user(void)
{
	vmwrite(F_GUEST_CS, SEL_USER64);
	vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
	vmwrite(F_GUEST_SS, SEL_USER_DATA);
	vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
}

/* Pages of the image that a user-mode L2 runs: made accessible in L1's own tables, which L2 shares. */
static void allow_user(const void *code)
{
	u64 at = addr_of(code) & ~(PAGE_SIZE - 1);

	*paging_entry(cr3_read(), at, 1) |= PTE_U;
	*paging_entry(cr3_read(), at + PAGE_SIZE, 1) |= PTE_U;
	cr3_write(cr3_read());
}

struct control_case {
	const char *name;
	const u8 *code;
	u64 proc, proc2;
	bool exits_anyway; /* HLT and MWAIT: without the control nobody would wake it */
	bool (*there)(void);
};

GUEST_CODE(c_cpuid, 64, "xor %eax, %eax; cpuid; vmcall");
GUEST_CODE(c_invd, 64, "invd; vmcall");
GUEST_CODE(c_xsetbv, 64, "xor %ecx, %ecx; mov $1, %eax; xor %edx, %edx; xsetbv; vmcall");
GUEST_CODE(c_getsec, 64, "xor %eax, %eax; .byte 0x0f, 0x37; vmcall");
GUEST_CODE(c_rsm, 64, "rsm; vmcall");
GUEST_CODE(c_hlt, 64, "hlt; vmcall");
GUEST_CODE(c_invlpg, 64, "invlpg 0x1234(%rbx); vmcall");
GUEST_CODE(c_mwait, 64, "xor %eax, %eax; xor %ecx, %ecx; mwait; vmcall");
GUEST_CODE(c_rdpmc, 64, "xor %ecx, %ecx; rdpmc; vmcall");
GUEST_CODE(c_rdtsc, 64, "rdtsc; vmcall");
GUEST_CODE(c_cr3_load, 64, "mov %cr3, %r9; mov %r9, %cr3; vmcall");
GUEST_CODE(c_cr3_store, 64, "mov %cr3, %r10; vmcall");
GUEST_CODE(c_cr8_load, 64, "mov $5, %r11d; mov %r11, %cr8; vmcall");
GUEST_CODE(c_cr8_store, 64, "mov %cr8, %rsi; vmcall");
GUEST_CODE(c_mov_to_dr, 64, "mov %rdi, %db3; vmcall");
GUEST_CODE(c_mov_from_dr, 64, "mov %db7, %r15; vmcall");
GUEST_CODE(c_mov_dr4, 64, "mov %db4, %r8; vmcall");
GUEST_CODE(c_out8, 64, "mov $0x80, %edx; out %al, %dx; vmcall");
GUEST_CODE(c_out32, 64, "out %eax, $0x80; vmcall");
GUEST_CODE(c_in16, 64, "in $0x81, %ax; vmcall");
GUEST_CODE(c_monitor, 64, "mov $0x100000, %eax; xor %ecx, %ecx; xor %edx, %edx; monitor; vmcall");
GUEST_CODE(c_pause, 64, "pause; vmcall");
GUEST_CODE(c_sgdt, 64, "sgdt -0x40(%rsp); vmcall");
GUEST_CODE(c_sidt, 64, "sidt -0x40(%rsp,%rcx,4); vmcall");
GUEST_CODE(c_lgdt, 64, "sgdt -0x40(%rsp); lgdt -0x40(%rsp); vmcall");
GUEST_CODE(c_lidt, 64, "lidt (%rbx); vmcall");
GUEST_CODE(c_sldt_reg, 64, "sldt %r12d; vmcall");
GUEST_CODE(c_sldt_mem, 64, "sldt -0x20(%rsp); vmcall");
GUEST_CODE(c_str, 64, "str %rax; vmcall");
GUEST_CODE(c_lldt, 64, "xor %ecx, %ecx; lldt %cx; vmcall");
GUEST_CODE(c_ltr, 64, "mov $0x58, %ecx; ltr %cx; vmcall");
GUEST_CODE(c_rdtscp, 64, "rdtscp; vmcall");
GUEST_CODE(c_wbinvd, 64, "wbinvd; vmcall");
GUEST_CODE(c_rdrand, 64, "rdrand %r13; vmcall");
GUEST_CODE(c_rdrand32, 64, "rdrand %ebp; vmcall");
GUEST_CODE(c_rdseed, 64, "rdseed %r14; vmcall");
GUEST_CODE(c_invpcid, 64, "push $0; push $0; mov $2, %eax; invpcid (%rsp), %rax; pop %rax; pop %rax; vmcall");
GUEST_CODE(c_xsaves, 64, "xor %eax, %eax; xor %edx, %edx; .byte 0x0f, 0xc7, 0x2b; vmcall");
GUEST_CODE(c_xrstors, 64, "xor %eax, %eax; xor %edx, %edx; .byte 0x0f, 0xc7, 0x1b; vmcall");

static bool has(u32 leaf, u32 reg, u32 bit)
{
	struct cpuid r = cpuid(leaf, 0);

	return ((u32 *)&r)[reg] & BIT(bit);
}

static bool has_monitor(void)
{
	return has(1, 2, 3);
}
static bool has_rdrand(void)
{
	return has(1, 2, 30);
}
static bool has_rdtscp(void)
{
	return has(0x80000001, 3, 27);
}
static bool has_rdseed(void)
{
	return cpuid(0, 0).eax >= 7 && has(7, 1, 18);
}
static bool has_invpcid(void)
{
	return cpuid(0, 0).eax >= 7 && has(7, 1, 10);
}
static bool has_xsaves(void)
{
	return cpuid(0, 0).eax >= 13 && cpuid(13, 1).eax & BIT(3);
}

static const struct control_case cases[] = {
	{ "cpuid", c_cpuid, 0, 0, false, NULL },
	{ "invd", c_invd, 0, 0, false, NULL },
	{ "xsetbv", c_xsetbv, 0, 0, false, NULL },
	{ "getsec", c_getsec, 0, 0, false, NULL },
	{ "rsm", c_rsm, 0, 0, false, NULL },
	{ "hlt", c_hlt, PROC_HLT, 0, true, NULL },
	{ "invlpg", c_invlpg, PROC_INVLPG, 0, false, NULL },
	{ "mwait", c_mwait, PROC_MWAIT, 0, true, has_monitor },
	{ "rdpmc", c_rdpmc, PROC_RDPMC, 0, false, NULL },
	{ "rdtsc", c_rdtsc, PROC_RDTSC, 0, false, NULL },
	{ "cr3_load", c_cr3_load, PROC_CR3_LOAD, 0, false, NULL },
	{ "cr3_store", c_cr3_store, PROC_CR3_STORE, 0, false, NULL },
	{ "cr8_load", c_cr8_load, PROC_CR8_LOAD, 0, false, NULL },
	{ "cr8_store", c_cr8_store, PROC_CR8_STORE, 0, false, NULL },
	{ "mov_to_dr", c_mov_to_dr, PROC_MOV_DR, 0, false, NULL },
	{ "mov_from_dr", c_mov_from_dr, PROC_MOV_DR, 0, false, NULL },
	{ "mov_dr4", c_mov_dr4, PROC_MOV_DR, 0, false, NULL },
	{ "out8", c_out8, PROC_IO, 0, false, NULL },
	{ "out32", c_out32, PROC_IO, 0, false, NULL },
	{ "in16", c_in16, PROC_IO, 0, false, NULL },
	{ "monitor", c_monitor, PROC_MONITOR, 0, false, has_monitor },
	{ "pause", c_pause, PROC_PAUSE, 0, false, NULL },
	{ "sgdt", c_sgdt, 0, PROC2_DESC, false, NULL },
	{ "sidt", c_sidt, 0, PROC2_DESC, false, NULL },
	{ "lgdt", c_lgdt, 0, PROC2_DESC, false, NULL },
	{ "lidt", c_lidt, 0, PROC2_DESC, false, NULL },
	{ "sldt_reg", c_sldt_reg, 0, PROC2_DESC, false, NULL },
	{ "sldt_mem", c_sldt_mem, 0, PROC2_DESC, false, NULL },
	{ "str", c_str, 0, PROC2_DESC, false, NULL },
	{ "lldt", c_lldt, 0, PROC2_DESC, false, NULL },
	{ "ltr", c_ltr, 0, PROC2_DESC, false, NULL },
	{ "rdtscp", c_rdtscp, PROC_RDTSC, PROC2_RDTSCP, false, has_rdtscp },
	{ "wbinvd", c_wbinvd, 0, PROC2_WBINVD, false, NULL },
	{ "rdrand", c_rdrand, 0, PROC2_RDRAND, false, has_rdrand },
	{ "rdrand32", c_rdrand32, 0, PROC2_RDRAND, false, has_rdrand },
	{ "rdseed", c_rdseed, 0, PROC2_RDSEED, false, has_rdseed },
	{ "invpcid", c_invpcid, PROC_INVLPG, PROC2_INVPCID, false, has_invpcid },
	{ "xsaves", c_xsaves, 0, PROC2_XSAVES, false, has_xsaves },
	{ "xrstors", c_xrstors, 0, PROC2_XSAVES, false, has_xsaves },
};

/* Each instruction without and with its controls (the secondary alone, both), in ring 0 and ring 3. */
TEST_VMX(controls)
{
	u64 area = addr_of(page_alloc_contig(2));
	struct vm vm;
	u32 i, user, set;

	allow_user(c_cpuid);
	allow_user(ptr_of(area));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct control_case *c = &cases[i];

		if (!caps_proc(c->proc) || !caps_proc2(c->proc2) || (c->there && !c->there())) {
			info("%s is not possible", c->name);
			continue;
		}
		for (user = 0; user < 2; user++) {
			for (set = 0; set < 4; set++) {
				if ((set & 1 && !c->proc) || (set & 2 && !c->proc2))
					continue;
				if (set == 0 && c->exits_anyway && !user)
					continue;
				/* the emulator exits before it looks at the ring: xsetbv_user has that case
				 */
				if (user && c->code == c_xsetbv)
					continue;
				vm_create(&vm, VM_64, 0, c->code);
				vm.regs.rbx = area;
				if (user) {
					make_user();
					vmwrite(F_GUEST_RSP, area + 0x1800);
				}
				vmwrite(F_CR4_SHADOW, 0);
				vmset(F_GUEST_CR4, CR4_OSXSAVE);
				if (set & 1)
					vmset(F_PROC, c->proc);
				else
					vmunset(F_PROC, c->proc & ~(caps.proc & 0xffffffff));
				if (set & 2) {
					vmset(F_PROC, PROC_SECONDARY);
					vmset(F_PROC2, c->proc2);
				}
				go(&vm, c->name);
			}
		}
	}
}

GUEST_CODE(c_cr0, 64, "mov %cr0, %rcx; smsw %edx; mov %rax, %cr0; mov %cr0, %rdi; vmcall");
GUEST_CODE(c_cr4, 64, "mov %cr4, %rcx; mov %rax, %cr4; mov %cr4, %rdi; vmcall");
GUEST_CODE(c_clts, 64, "clts; mov %cr0, %rdi; vmcall");
GUEST_CODE(c_lmsw, 64, "lmsw %ax; mov %cr0, %rdi; vmcall");
GUEST_CODE(c_lmsw_mem, 64, "mov %rax, -8(%rsp); lmsw -8(%rsp); mov %cr0, %rdi; vmcall");

/* CR0 and CR4: mask and read shadow decide what is read and which writes exit. */
TEST_VMX(cr_masks)
{
	static const struct {
		const char *name;
		const u8 *code;
		bool four;
		u64 mask, shadow, flip; /* flip: of the value in the register */
	} list[] = {
		{ "cr0_plain", c_cr0, false, 0, 0, CR0_TS },
		{ "cr0_mask_ts_same", c_cr0, false, CR0_TS, 0, 0 },
		{ "cr0_mask_ts_flip", c_cr0, false, CR0_TS, 0, CR0_TS },
		{ "cr0_shadow_ts", c_cr0, false, CR0_TS, CR0_TS, 0 },
		{ "cr0_shadow_ts_flip", c_cr0, false, CR0_TS, CR0_TS, CR0_TS },
		{ "cr0_mask_all", c_cr0, false, ~0ull, CR0_PE | CR0_NE | CR0_PG | CR0_ET, 0 },
		{ "cr0_ne_clear", c_cr0, false, 0, 0, CR0_NE },
		{ "cr0_ne_owned", c_cr0, false, CR0_NE, CR0_NE, CR0_NE },
		{ "cr0_pe_clear", c_cr0, false, 0, 0, CR0_PE },
		{ "cr0_pg_clear", c_cr0, false, 0, 0, CR0_PG },
		{ "cr0_nw", c_cr0, false, 0, 0, CR0_NW },
		{ "cr0_nw_owned", c_cr0, false, CR0_NW, 0, CR0_NW },
		{ "cr0_high", c_cr0, false, 0, 0, BIT(40) },
		{ "cr0_high_owned", c_cr0, false, BIT(40), 0, BIT(40) },
		{ "cr0_wp_am", c_cr0, false, CR0_MP, CR0_MP, CR0_WP | CR0_AM | CR0_MP },
		{ "clts_plain", c_clts, false, 0, 0, 0 },
		{ "clts_owned_0", c_clts, false, CR0_TS, 0, 0 },
		{ "clts_owned_1", c_clts, false, CR0_TS, CR0_TS, 0 },
		{ "lmsw_plain", c_lmsw, false, 0, 0, CR0_TS },
		{ "lmsw_ts", c_lmsw, false, CR0_TS, 0, CR0_TS },
		{ "lmsw_mp_em", c_lmsw, false, CR0_MP | CR0_EM, CR0_MP, CR0_EM },
		{ "lmsw_pe_clear", c_lmsw, false, CR0_PE, CR0_PE, CR0_PE },
		{ "lmsw_pe_set", c_lmsw, false, CR0_PE, 0, CR0_PE },
		{ "lmsw_mem", c_lmsw_mem, false, CR0_TS, 0, CR0_TS },
		{ "cr4_plain", c_cr4, true, 0, 0, CR4_TSD },
		{ "cr4_mask_flip", c_cr4, true, CR4_TSD, 0, CR4_TSD },
		{ "cr4_mask_same", c_cr4, true, CR4_TSD, 0, 0 },
		{ "cr4_shadow", c_cr4, true, CR4_TSD, CR4_TSD, CR4_TSD },
		{ "cr4_vmxe", c_cr4, true, 0, 0, CR4_VMXE },
		{ "cr4_vmxe_hidden", c_cr4, true, CR4_VMXE, 0, CR4_VMXE },
		{ "cr4_vmxe_hidden_same", c_cr4, true, CR4_VMXE, 0, 0 },
		{ "cr4_pae", c_cr4, true, 0, 0, CR4_PAE },
		{ "cr4_reserved", c_cr4, true, 0, 0, BIT(15) },
		{ "cr4_reserved_owned", c_cr4, true, BIT(15), 0, BIT(15) },
		{ "cr4_pge_de", c_cr4, true, CR4_PGE, 0, CR4_DE },
	};
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		u64 cr0, cr4, seen;

		vm_create(&vm, VM_64, 0, list[i].code);
		cr0 = vmread(F_GUEST_CR0) | (list[i].code == c_clts ? CR0_TS : 0);
		cr4 = vmread(F_GUEST_CR4);
		vmwrite(F_GUEST_CR0, cr0);
		vmwrite(list[i].four ? F_CR4_MASK : F_CR0_MASK, list[i].mask);
		vmwrite(list[i].four ? F_CR4_SHADOW : F_CR0_SHADOW, list[i].shadow);
		seen = ((list[i].four ? cr4 : cr0) & ~list[i].mask) | (list[i].shadow & list[i].mask);
		vm.regs.rax = seen ^ list[i].flip;
		go(&vm, list[i].name);
		result("%s read=%lx smsw=%lx after=%lx real=%lx", list[i].name, vm.regs.rcx ^ seen,
		       vm.regs.rdx & 0xffff, vm.regs.rdi ^ seen,
		       vmread(list[i].four ? F_GUEST_CR4 : F_GUEST_CR0) ^ (list[i].four ? cr4 : cr0));
	}
}

GUEST_CODE(c_cr3_list, 64, "mov %rax, %cr3; mov %rbx, %cr3; mov %rcx, %cr3; vmcall");

TEST_VMX(cr3_targets)
{
	u32 max = caps.misc >> 16 & 0x1ff;
	struct vm vm;
	u32 n;
	u64 root[5];

	NEED(max >= 4);
	for (n = 0; n <= 4; n++)
		root[n] = paging_create64();
	for (n = 0; n <= 4; n++) {
		vm_create(&vm, VM_64, 0, c_cr3_list);
		vmset(F_PROC, PROC_CR3_LOAD);
		vmwrite(F_CR3_TARGET_COUNT, n);
		vmwrite(F_CR3_TARGET0, root[0]);
		vmwrite(F_CR3_TARGET1, root[1]);
		vmwrite(F_CR3_TARGET2, root[2]);
		vmwrite(F_CR3_TARGET3, root[3]);
		vm.regs.rax = root[1];
		vm.regs.rbx = root[3];
		vm.regs.rcx = root[3] | 0x18;
		go(&vm, "targets");
		result("count=%u cr3=%s", n,
		       vmread(F_GUEST_CR3) == cr3_read() ? "first"
		       : vmread(F_GUEST_CR3) == root[1]	 ? "second"
							 : "other");
	}
}

GUEST_CODE(c_cr8, 64, "mov %rax, %cr8; mov %cr8, %rcx; vmcall");

TEST_VMX(tpr_shadow)
{
	struct vm vm;
	u32 value, threshold;
	u8 *page = page_alloc();

	NEED(caps_proc(PROC_TPR_SHADOW));
	for (value = 0; value < 16; value += 3) {
		for (threshold = 0; threshold < 16; threshold += 5) {
			u32 reason;

			memset(page, 0, 4096);
			page[0x80] = 0xf0;
			vm_create(&vm, VM_64, 0, c_cr8);
			vmset(F_PROC, PROC_TPR_SHADOW);
			vmwrite(F_VIRTUAL_APIC, addr_of(page));
			vmwrite(F_TPR_THRESHOLD, threshold);
			vm.regs.rax = value;
			reason = vm_run(&vm);
			result("value=%u threshold=%u exit=%u len=%lu pc=%lx rcx=%lx vtpr=%x", value,
			       threshold, reason, reason == REASON_VMCALL ? vmread(F_EXIT_LENGTH) : 0,
			       vm_pc(&vm), vm.regs.rcx, page[0x80]);
		}
	}
	vm_create(&vm, VM_64, 0, c_cr8);
	vmset(F_PROC, PROC_TPR_SHADOW);
	vmwrite(F_VIRTUAL_APIC, addr_of(page));
	page[0x80] = 0x10;
	vmwrite(F_TPR_THRESHOLD, 5);
	go(&vm, "threshold_above_at_entry");
	vm_create(&vm, VM_64, 0, c_cr8);
	vmset(F_PROC, PROC_TPR_SHADOW);
	vmwrite(F_VIRTUAL_APIC, addr_of(page));
	vmwrite(F_TPR_THRESHOLD, 0);
	vm.regs.rax = 0x10;
	go(&vm, "cr8_reserved");
	vm_create(&vm, VM_64, 0, c_cr8);
	vmset(F_PROC, PROC_TPR_SHADOW | PROC_CR8_STORE);
	vmwrite(F_VIRTUAL_APIC, addr_of(page));
	vmwrite(F_TPR_THRESHOLD, 0);
	go(&vm, "cr8_store_exits");
	vm_create(&vm, VM_64, 0, c_cr8);
	vmset(F_PROC, PROC_TPR_SHADOW);
	vmwrite(F_VIRTUAL_APIC, addr_of(page) + 8);
	go(&vm, "page_unaligned");
	vmwrite(F_VIRTUAL_APIC, BIT(52));
	go(&vm, "page_wide");
	vmwrite(F_VIRTUAL_APIC, addr_of(page));
	vmwrite(F_TPR_THRESHOLD, 0x10);
	go(&vm, "threshold_reserved");
}
