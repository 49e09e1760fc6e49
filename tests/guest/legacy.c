/* SPDX-License-Identifier: MIT */
/*
 * Guest test "legacy": L1 is a 32-bit hypervisor, with PAE and with 32-bit paging: the VMX instructions, an
 * L2, host states of 32 bits, and the paging role: CR4.PAE switched with paging on by L1 and by a VM exit,
 * after which the next memory operand must be walked in the new format. legacy_run.S executes the steps.
 */
#include "tests/guest/legacy.h"

static const char *const op_names[] = {
	"end",	    "vmxon",	"vmxoff",	 "vmclear",   "vmptrld",
	"vmptrst",  "vmread",	"vmread_memory", "vmwrite",   "vmwrite_memory",
	"vmlaunch", "vmresume", "invept",	 "invvpid",   "vmcall",
	"cr0",	    "cr3",	"cr4",		 "load",      "store",
	"efer",	    "task",	"invlpg",	 "task_iret", "ltr"
};

struct legacy {
	u32 cr3, cr4, steps, code, data, base;
};

void legacy_run(struct legacy *l);
extern u8 legacy_exit[], legacy_stubs[], legacy_stack[];

static struct step steps[128];
static u32 step_count;
u64 legacy_words[16] ALIGNED(64);

GUEST_CODE(l_vmcall, 32, "vmcall; jmp l_vmcall");
GUEST_CODE(l_cpuid, 32, "cpuid; jmp l_cpuid");

void legacy_reset(void)
{
	u32 i;

	memset(steps, 0, sizeof(steps));
	memset(legacy_words, 0, sizeof(legacy_words));
	step_count = 0;
	for (i = 0; i < 32; i++) {
		u64 at = addr_of(legacy_stubs) + i * 16;

		legacy_idt[i] = (at & 0xffff) | SEL_CODE32 << 16 | 0x8e00ul << 32 | (at >> 16) << 48;
	}
}

struct step *legacy_add(enum op op, u64 a, u64 b)
{
	struct step *s = &steps[step_count++];

	s->op = op;
	s->a = (u32)a;
	s->b = (u32)b;
	s->vector = 0xff;
	return s;
}

void legacy_execute(u64 cr3, u64 cr4, u32 code, u32 data, u64 base)
{
	static struct legacy l;

	l.cr3 = (u32)cr3;
	l.cr4 = (u32)cr4;
	l.steps = (u32)addr_of(steps);
	l.code = code;
	l.data = data;
	l.base = (u32)base;
	legacy_run(&l);
}

void legacy_report(const char *what)
{
	const struct step *s;
	char buf[48];

	for (s = steps; s->op != END; s++) {
		const char *how = buf;

		if (s->vector != 0xff)
			format(buf, sizeof(buf), "#%u(%x,%x)", s->vector, s->error,
			       s->vector == VEC_PF ? s->cr2 : 0);
		else if (s->flags & BIT(24))
			format(buf, sizeof(buf), "exit(%x)", s->result);
		else if (s->flags & RFLAGS_CF)
			how = "invalid";
		else if (s->flags & RFLAGS_ZF && s->op < CR0)
			how = "valid";
		else
			how = "ok";
		result("%s %u %s %s %x", what, (u32)(s - steps), op_names[s->op], how, s->result);
	}
}

u64 legacy_cr4(bool pae)
{
	return (caps.cr4_fixed0 | CR4_VMXE | (pae ? CR4_PAE : CR4_PSE)) & ~(pae ? 0 : CR4_PAE);
}

/* A VMCS made in 64-bit mode for a 32-bit host. */
u64 legacy_vmcs(enum vm_mode mode, u64 flags, const void *code, u64 host_cr3, u64 host_cr4)
{
	struct vm vm;

	vmx_enable();
	vm_create(&vm, mode, flags, code);
	vmwrite(F_EXIT, caps_adjust(caps.exit, EXIT_SAVE_EFER | EXIT_LOAD_EFER));
	vmwrite(F_HOST_CR3, host_cr3);
	vmwrite(F_HOST_CR4, host_cr4);
	vmwrite(F_HOST_CR0, CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_WP);
	if (caps_exit(EXIT_LOAD_EFER))
		vmwrite(F_HOST_EFER, 0);
	vmwrite(F_HOST_CS, SEL_CODE32);
	vmwrite(F_HOST_IDTR_BASE, addr_of(legacy_idt));
	vmwrite(F_HOST_RIP, addr_of(legacy_exit));
	vmwrite(F_HOST_RSP, addr_of(legacy_stack));
	vmwrite(F_GUEST_CR4, vmread(F_GUEST_CR4) & ~CR4_OSXSAVE);
	vmclear(vm.vmcs);
	vmx_disable();
	return vm.vmcs;
}

static void instructions(bool pae, u64 cr3)
{
	const char *name = pae ? "pae" : "32";
	u64 cr4 = legacy_cr4(pae);
	u64 vmcs = legacy_vmcs(VM_32, 0, l_vmcall, cr3, cr4);
	u64 w = addr_of(legacy_words);
	struct step *ptrst, *read;

	legacy_reset();
	if (pae) /* D0000000 is not mapped */
		((u64 *)ptr_of(((u64 *)ptr_of(cr3))[3] & PTE_ADDR))[0x80] = 0;
	else
		((u32 *)ptr_of(cr3))[0xd0000000 >> 22] = 0;
	legacy_words[0] = vmx_region();
	legacy_words[1] = vmcs;
	legacy_words[2] = vmcs + 8;
	legacy_words[4] = 0x1122334455667788;
	legacy_words[6] = 1;		    /* INVVPID's descriptor */
	legacy_add(VMREAD, F_GUEST_RIP, 0); /* #UD outside */
	legacy_add(VMXON, w + 16, 0);	    /* not aligned */
	legacy_add(VMXON, 0xd0000000, 0);   /* nothing there */
	legacy_add(VMXON, w, 0);
	legacy_add(VMREAD, F_GUEST_RIP, 0);
	legacy_add(VMXON, w, 0);
	legacy_add(VMCLEAR, w + 8, 0);
	legacy_add(VMPTRLD, w + 16, 0);
	legacy_add(VMPTRLD, w + 8, 0);
	ptrst = legacy_add(VMPTRST, w + 24, 0);
	legacy_add(VMWRITE, F_TSC_OFFSET, 0x12345678);
	legacy_add(VMWRITE, F_TSC_OFFSET + 1, 0x9abcdef0);
	legacy_add(VMREAD, F_TSC_OFFSET, 0);
	legacy_add(VMREAD, F_TSC_OFFSET + 1, 0);
	legacy_add(VMWRITE_MEMORY, F_CR0_SHADOW, w + 32);
	legacy_add(VMREAD_MEMORY, F_CR0_SHADOW, w + 40);
	legacy_add(VMREAD, F_GUEST_RSP, 0);
	legacy_add(VMREAD, 0x4ffe, 0);
	legacy_add(VMREAD_MEMORY, F_GUEST_RIP, 0xd0000000);
	legacy_add(VMWRITE, F_CR0_SHADOW, 0);
	legacy_add(VMWRITE, F_TSC_OFFSET, 0);
	if (caps.ept_vpid & EPT_CAP_INVEPT)
		legacy_add(INVEPT, 2, w + 64);
	if (caps.ept_vpid & EPT_CAP_INVVPID)
		legacy_add(INVVPID, 1, w + 48);
	legacy_add(VMRESUME, 0, 0);
	legacy_add(VMLAUNCH, 0, 0);
	legacy_add(VMLAUNCH, 0, 0);
	legacy_add(VMRESUME, 0, 0);
	read = legacy_add(VMREAD, F_GUEST_RIP, 0);
	legacy_add(VMCALL, 0, 0);
	legacy_add(CR0, CR0_PE | CR0_ET | CR0_PG, 0); /* without NE: #GP */
	legacy_add(CR4, cr4 & ~CR4_VMXE, 0);
	legacy_add(VMCLEAR, w + 8, 0);
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(cr3, cr4, SEL_CODE32, SEL_DATA, 0);
	read->result -= (u32)addr_of(l_vmcall);
	legacy_report(name);
	result("%s vmptrst=%s words=%lx,%lx", name, legacy_words[3] == vmcs ? "right" : "wrong",
	       legacy_words[4], legacy_words[5]);
	CHECK(ptrst->vector == 0xff && legacy_words[3] == vmcs);
}

TEST(instructions32)
{
	instructions(false, paging_create32());
	instructions(true, paging_create_pae());
}

/* A 32-bit host with guests in every mode it may have. */
TEST(guests32)
{
	static const struct {
		enum vm_mode mode;
		u64 flags;
	} list[] = {
		{ VM_32, 0 }, { VM_PAE, 0 }, { VM_PAE, VM_EPT }, { VM_32, VM_EPT }, { VM_PROTECTED, VM_EPT },
		{ VM_64, 0 }
	};
	u32 i, pae;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		for (pae = 0; pae < 2; pae++) {
			u64 cr3, vmcs;
			char name[48];

			if (!vm_mode_possible(list[i].mode) || (list[i].flags && !caps_proc2(PROC2_EPT)))
				continue;
			cr3 = pae ? paging_create_pae() : paging_create32();
			vmcs = legacy_vmcs(list[i].mode, list[i].flags, l_cpuid, cr3, legacy_cr4(pae));
			legacy_reset();
			legacy_words[0] = vmx_region();
			legacy_words[1] = vmcs;
			legacy_add(VMXON, addr_of(legacy_words), 0);
			legacy_add(VMPTRLD, addr_of(legacy_words + 1), 0);
			legacy_add(VMLAUNCH, 0, 0);
			legacy_add(VMREAD, 0x4400, 0);
			legacy_add(VMWRITE, F_GUEST_RIP, addr_of(l_vmcall));
			legacy_add(VMRESUME, 0, 0);
			legacy_add(VMREAD, F_GUEST_CR0, 0);
			legacy_add(VMREAD, F_GUEST_CR4, 0);
			legacy_add(VMXOFF, 0, 0);
			legacy_execute(cr3, legacy_cr4(pae), SEL_CODE32, SEL_DATA, 0);
			format(name, sizeof(name), "host=%s guest=%s+%lx", pae ? "pae" : "32",
			       vm_mode_names[list[i].mode], list[i].flags);
			legacy_report(name);
		}
	}
}

/* C0000000 is another page in the two formats: which one did a VMREAD to memory reach? */
static void two_pages(u64 *pae, u64 *cr3_32, u64 *cr3_pae, u32 **page32, u32 **page_pae)
{
	u64 *pt = page_alloc();
	u32 *pt32 = page_alloc();
	u64 *pdpt;

	*page32 = page_alloc();
	*page_pae = page_alloc();
	*cr3_32 = paging_create32();
	*cr3_pae = paging_create_pae();
	pt32[0] = (u32)(addr_of(*page32) | PTE_P | PTE_W | PTE_A | PTE_D);
	((u32 *)ptr_of(*cr3_32))[0xc0000000 >> 22] = (u32)(addr_of(pt32) | PTE_P | PTE_W | PTE_A);
	pt[0] = addr_of(*page_pae) | PTE_P | PTE_W | PTE_A | PTE_D;
	pdpt = ptr_of(*cr3_pae);
	((u64 *)ptr_of(pdpt[3] & PTE_ADDR))[0] = addr_of(pt) | PTE_P | PTE_W | PTE_A;
	*pae = addr_of(pt);
}

/* VM exits of a guest with 32-bit or PAE paging load a CR4 and CR3 of the other format than L1 had, and back.
 */
static void exit_to(bool pae, enum vm_mode mode, u64 flags)
{
	u64 unused, cr3_32, cr3_pae, vmcs;
	u32 *page32, *page_pae;
	char name[48];

	two_pages(&unused, &cr3_32, &cr3_pae, &page32, &page_pae);
	vmcs = legacy_vmcs(mode, flags, l_vmcall, pae ? cr3_32 : cr3_pae, legacy_cr4(!pae));
	legacy_reset();
	legacy_words[0] = vmx_region();
	legacy_words[1] = vmcs;
	legacy_add(VMXON, addr_of(legacy_words), 0);
	legacy_add(VMPTRLD, addr_of(legacy_words + 1), 0);
	legacy_add(VMREAD_MEMORY, F_HOST_CS, 0xc0000000);
	legacy_add(VMLAUNCH, 0, 0);
	legacy_add(VMREAD_MEMORY, F_HOST_CS, 0xc0000004);
	legacy_add(LOAD, 0xc0000004, 0);
	legacy_add(VMREAD, F_GUEST_CR4, 0);
	legacy_add(VMWRITE, F_HOST_CR3, pae ? cr3_pae : cr3_32);
	legacy_add(VMWRITE, F_HOST_CR4, legacy_cr4(pae));
	legacy_add(VMRESUME, 0, 0);
	legacy_add(VMREAD_MEMORY, F_HOST_CS, 0xc0000008);
	legacy_add(LOAD, 0xc0000008, 0);
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(pae ? cr3_pae : cr3_32, legacy_cr4(pae), SEL_CODE32, SEL_DATA, 0);
	format(name, sizeof(name), "from_%s guest=%s+%lx", pae ? "pae" : "32", vm_mode_names[mode], flags);
	legacy_report(name);
	result("page32=%x,%x,%x page_pae=%x,%x,%x", page32[0], page32[1], page32[2], page_pae[0], page_pae[1],
	       page_pae[2]);
	CHECK((pae ? page_pae : page32)[0] == SEL_CODE32 && (pae ? page32 : page_pae)[1] == SEL_CODE32 &&
	      (pae ? page_pae : page32)[2] == SEL_CODE32);
}

TEST(exit_changes_pae)
{
	static const enum vm_mode modes[] = { VM_32, VM_PAE };
	u32 i, pae;

	for (pae = 0; pae < 2; pae++) {
		for (i = 0; i < ARRAY_SIZE(modes); i++) {
			exit_to(pae, modes[i], 0);
			if (caps_proc2(PROC2_EPT))
				exit_to(pae, modes[i], VM_EPT);
		}
	}
}

/*
 * L1 switches CR4.PAE itself with paging on. Its code runs behind ALIAS (by segment bases), where one page
 * serves as PDPTEs and as a 32-bit page directory; C0000000 - ALIAS is the offset at which the two formats
 * differ.
 */
#define ALIAS 0x40000000ul

TEST(toggle_pae)
{
	u64 unused, cr3_32, cr3_pae;
	u32 *page32, *page_pae;
	u64 *root = page_alloc(), *pd = page_alloc(), *pd3;
	u32 i, where = 0xc0000000 - ALIAS, turn;
	u64 gdt_code = 0x00cf9b000000fffful | (ALIAS >> 24) << 56,
	    gdt_data = 0x00cf93000000fffful | (ALIAS >> 24) << 56;

	two_pages(&unused, &cr3_32, &cr3_pae, &page32, &page_pae);
	for (i = 0; i < 16; i++)
		pd[i] = i * 2 * MIB | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS;
	root[0] = root[1] = addr_of(pd) | PTE_P;
	pd3 = ptr_of(((u64 *)ptr_of(cr3_pae))[3] & PTE_ADDR);
	root[3] = addr_of(pd3) | PTE_P;
	for (i = 0; i < 8; i++)
		((u32 *)root)[(ALIAS >> 22) + i] = (u32)(i << 22 | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);
	((u32 *)root)[0xc0000000 >> 22] = ((u32 *)ptr_of(cr3_32))[0xc0000000 >> 22];
	gdt_set(SEL_FREE, gdt_code);
	gdt_set(SEL_FREE + 8, gdt_data);
	legacy_reset();
	for (i = 0; i < 32; i++) /* gates into the code segment with the base */
		legacy_idt[i] = (legacy_idt[i] & ~0xffff0000ul) | SEL_FREE << 16;
	legacy_words[0] = vmx_region();
	legacy_words[1] = legacy_vmcs(VM_32, 0, l_vmcall, 0, legacy_cr4(false));
	legacy_add(VMXON, addr_of(legacy_words), 0);
	legacy_add(VMPTRLD, addr_of(legacy_words + 1), 0);
	for (turn = 0; turn < 4; turn++) {
		legacy_add(VMREAD_MEMORY, F_HOST_CS, where + turn * 16);
		legacy_add(CR4, legacy_cr4(false), 0);
		legacy_add(VMREAD_MEMORY, F_HOST_CS, where + turn * 16 + 4);
		legacy_add(LOAD, where + turn * 16 + 4, 0);
		legacy_add(VMREAD_MEMORY, F_HOST_CS, 0x5000000); /* absent in both */
		legacy_add(CR4, legacy_cr4(true) | (turn & 1 ? CR4_PSE : 0), 0);
		legacy_add(VMREAD_MEMORY, F_HOST_CS, where + turn * 16 + 8);
		legacy_add(VMPTRST, where + turn * 16 + 0x100, 0);
	}
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(addr_of(root), legacy_cr4(true), SEL_FREE, SEL_FREE + 8, ALIAS);
	legacy_report("toggle");
	for (turn = 0; turn < 4; turn++) {
		u32 at = turn * 4;

		result("turn=%u pae=%x,%x,%x 32=%x,%x,%x", turn, page_pae[at], page_pae[at + 1],
		       page_pae[at + 2], page32[at], page32[at + 1], page32[at + 2]);
		CHECK(page_pae[at] == SEL_CODE32 && page32[at + 1] == SEL_CODE32 &&
		      page_pae[at + 2] == SEL_CODE32 && !page_pae[at + 1] && !page32[at] && !page32[at + 2]);
	}
	gdt_set(SEL_FREE, 0);
	gdt_set(SEL_FREE + 8, 0);
}
