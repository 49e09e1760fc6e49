/* SPDX-License-Identifier: MIT */
/*
 * Guest test "events", third part: virtual interrupts, whose delivery is cut like that of others; and posted
 * interrupts. SDM: "Virtual-Interrupt Delivery", "Posted-Interrupt Processing".
 */
#include "tests/guest/events.h"

enum { NOTIFICATION = 0x62, VIRTUAL = 0x45, OTHER = 0x61 };

GUEST_CODE(p_wait, 64, "mov $20000, %ecx; 1: pause; loop 1b; vmcall");
GUEST_CODE(p_wait_sti, 64, "mov $20000, %ecx; 1: pause; loop 1b; sti; nop; vmcall");
GUEST_CODE(p_hlt, 64, "1: hlt; jmp 1b");
GUEST_CODE(p_nops, 64, "nop; nop; vmcall");
GUEST_CODE(p_older, 64, "int $0x33; nop; nop; vmcall");

struct descriptor {
	u32 requests[8];
	u32 flags; /* bit 0: outstanding notification */
	u32 rest[7];
} ALIGNED(64);

static struct {
	struct vm vm;
	struct descriptor *posted;
	u8 *page;
	u32 vector, post; /* what CPU 1 sends, and posts (0: nothing) */
} p;

static void poster(void *arg)
{
	(void)arg;
	delay(20000);
	if (p.post) {
		p.posted->requests[p.post / 32] |= 1u << p.post % 32;
		p.posted->flags |= 1;
	}
	apic_ipi(cpus[0].apic_id, p.vector | ICR_ASSERT);
}

static void create_virtual(const void *code, u64 flags)
{
	vm_create(&p.vm, VM_64, flags, code);
	if (flags & VM_EPT)
		invept(2, 0);
	p.page = page_alloc();
	vmset(F_PIN, PIN_EXTINT);
	vmset(F_EXIT, EXIT_ACK);
	vmset(F_PROC, PROC_SECONDARY | PROC_TPR_SHADOW);
	vmset(F_PROC2, PROC2_VINTR);
	vmwrite(F_VIRTUAL_APIC, addr_of(p.page));
	vmwrite(F_TPR_THRESHOLD, 0);
	vmwrite(F_EOI_EXIT0, 0);
	vmwrite(F_EOI_EXIT1, 0);
	vmwrite(F_EOI_EXIT2, 0);
	vmwrite(F_EOI_EXIT3, 0);
	vmwrite(F_GUEST_INTR_STATUS, 0);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
}

static void create_posted(const void *code, u64 flags)
{
	create_virtual(code, flags);
	p.posted = page_alloc();
	vmset(F_PIN, PIN_POSTED);
	vmwrite(F_POSTED_VECTOR, NOTIFICATION);
	vmwrite(F_POSTED_DESCRIPTOR, addr_of(p.posted));
}

static u32 *vapic(u32 offset)
{
	return (u32 *)(void *)(p.page + offset);
}

static void report_posted(const char *what, u32 reason)
{
	result("%s exit=%u intr=%lx at=%u status=%lx irr=%x isr=%x posted=%x on=%u activity=%lx", what,
	       reason, vmread(F_EXIT_INTR_INFO) & INTR_VALID ? vmread(F_EXIT_INTR_INFO) : 0, vm_vector(&p.vm),
	       vmread(F_GUEST_INTR_STATUS), *vapic(0x220), *vapic(0x120), p.posted->requests[VIRTUAL / 32],
	       p.posted->flags, vmread(F_GUEST_ACTIVITY));
}

/* A virtual interrupt, and each way in which its delivery may end in an exit; then L1 begins it again. */
enum cut {
	CUT_NONE,
	CUT_VIOLATION,
	CUT_MISCONFIG,
	CUT_APIC,
	CUT_LOG,
	CUT_FAULT,
	CUT_HANDLED,
	CUT_TRIPLE,
	CUTS
};
static const char *const cut_names[CUTS] = { "none", "violation", "misconfig", "apic",
					     "log",  "fault",	  "handled",   "triple" };

static u64 cut_place(u32 where, u32 user)
{
	u64 tss = vmread(F_GUEST_TR_BASE);

	switch (where) {
	case 0: return vmread(F_GUEST_IDTR_BASE);
	case 1: return vmread(F_GUEST_GDTR_BASE);
	case 2: return tss;
	}
	return user ? *(u64 *)ptr_of(tss + 4) - 8 : vmread(F_GUEST_RSP) - 8;
}

static void cut_make(enum cut cut, u64 page)
{
	switch (cut) {
	case CUT_VIOLATION: ept_map(p.vm.ept, page, page, 1, 0); break;
	case CUT_MISCONFIG: ept_map(p.vm.ept, page, page, 1, EPT_W | EPT_WB); break;
	case CUT_APIC:
		vmset(F_PROC2, PROC2_APIC_ACCESS);
		vmwrite(F_APIC_ACCESS, page);
		break;
	case CUT_LOG:
		vmwrite(F_EPTP, p.vm.ept | EPTP_FLAGS | EPTP_AD);
		vmset(F_PROC2, PROC2_PML);
		vmwrite(F_PML_ADDRESS, addr_of(page_alloc()));
		vmwrite(F_GUEST_PML_INDEX, 0xffff);
		break;
	case CUT_FAULT: vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
	/* fall through */
	case CUT_HANDLED: vmwrite(F_GUEST_IDTR_LIMIT, 0x1ff); break;
	case CUT_TRIPLE: vmwrite(F_GUEST_IDTR_LIMIT, 0); break;
	default: break;
	}
	invept(2, 0);
}

static void cut_report(const char *what)
{
	u32 reason = vm_run(&p.vm);
	u64 idt = vmread(F_IDT_INFO), intr = vmread(F_EXIT_INTR_INFO);

	print(" %s:%u", what, reason);
	if (reason == REASON_VMCALL)
		print("@%u", vm_vector(&p.vm));
	else
		print("(%lx,%lx,%lx)", vmread(F_QUALIFICATION), idt, intr & INTR_VALID ? intr : 0);
	print("[%lx,%x,%x,%x,%lx]", vmread(F_GUEST_INTR_STATUS), *vapic(0x220), *vapic(0x120), *vapic(0xa0),
	      vmread(F_GUEST_INTERRUPTIBILITY));
}

TEST_VMX(cut_virtual_interrupts)
{
	static const char *const places[] = { "idt", "gdt", "tss", "stack" };
	u32 where, user, older;
	enum cut cut;

	NEED(caps_proc2(PROC2_VINTR | PROC2_EPT | PROC2_APIC_ACCESS | PROC2_PML));
	for (older = 0; older < 8; older++)
		*paging_entry(cr3_read(), (addr_of(p_wait) & ~(PAGE_SIZE - 1)) + (older & 1) * PAGE_SIZE,
			      1) |= PTE_U;
	cr3_write(cr3_read());
	for (cut = CUT_NONE; cut < CUTS; cut++) {
		for (where = 0; where < ARRAY_SIZE(places); where++) {
			if (where && (cut == CUT_NONE || cut >= CUT_LOG))
				continue;
			print("RESULT %s %s %s", test_name(), cut_names[cut], places[where]);
			for (older = 0; older < 4; older++) {
				u64 mark = page_mark(), page;

				user = older & 1;
				create_virtual(older & 2 ? p_older : p_nops, VM_EPT);
				if (older & 2) /* an event that went well */
					CHECK(vm_run(&p.vm) == REASON_VMCALL && vm_vector(&p.vm) == 0x33);
				if (older & 2)
					vm_set_code(&p.vm, p_nops);
				if (user) {
					vmwrite(F_GUEST_CS, SEL_USER64);
					vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
					vmwrite(F_GUEST_SS, SEL_USER_DATA);
					vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
				}
				vmset(F_GUEST_RFLAGS, RFLAGS_IF);
				vmwrite(F_GUEST_RSP, p.vm.stack);
				*vapic(0x220) = BIT(VIRTUAL % 32) | BIT(3);
				vmwrite(F_GUEST_INTR_STATUS, VIRTUAL);
				page = cut_place(where, user) & ~(PAGE_SIZE - 1);
				cut_make(cut, page);
				cut_report(older & 2 ? "older" : user ? "user" : "first");
				ept_map(p.vm.ept, page, page, 1, EPT_RWX | EPT_WB);
				if (cut == CUT_APIC)
					vmunset(F_PROC2, PROC2_APIC_ACCESS);
				if (cut == CUT_LOG)
					vmwrite(F_GUEST_PML_INDEX, 511);
				vmwrite(F_GUEST_IDTR_LIMIT, 0xfff);
				if (vmread(F_IDT_INFO) & INTR_VALID)
					vmwrite(F_ENTRY_INTR_INFO, vmread(F_IDT_INFO) & ~BIT(12));
				if (cut != CUT_NONE && cut < CUT_HANDLED)
					cut_report("again");
				page_release(mark);
			}
			print("\n");
		}
	}
}

/* SDM "Posted-Interrupt Processing": a notification in non-root operation delivers without an exit; elsewhere
 * it is an interrupt like others. */
TEST_VMX(posted_interrupts)
{
	static const struct {
		const char *name;
		const u8 *code;
		u32 vector, post;
		u64 flags;
		bool masked;
		u32 status, requested; /* before, and the vector whose request bit is set */
	} list[] = {
		{ "running", p_wait, NOTIFICATION, VIRTUAL, 0, false, 0, 0 },
		{ "running_ept", p_wait, NOTIFICATION, VIRTUAL, VM_EPT, false, 0, 0 },
		{ "masked", p_wait, NOTIFICATION, VIRTUAL, 0, true, 0, 0 },
		{ "masked_then_sti", p_wait_sti, NOTIFICATION, VIRTUAL, 0, true, 0, 0 },
		{ "halted", p_hlt, NOTIFICATION, VIRTUAL, 0, false, 0, 0 },
		{ "other_vector", p_wait, OTHER, VIRTUAL, 0, false, 0, 0 },
		{ "lower_than_requested", p_wait_sti, NOTIFICATION, VIRTUAL, 0, true, 0x73, 0x73 },
		{ "nothing", p_wait, NOTIFICATION, 0, 0, false, 0, 0 },
		{ "nothing_ept", p_wait, NOTIFICATION, 0, VM_EPT, false, 0, 0 },
		{ "nothing_masked", p_wait_sti, NOTIFICATION, 0, 0, true, 0, 0 },
		{ "nothing_but_before", p_wait_sti, NOTIFICATION, 0, 0, true, VIRTUAL, VIRTUAL },
		{ "nothing_halted", p_hlt, NOTIFICATION, 0, 0, false, 0, 0 },
		{ "lower_than_served", p_wait, NOTIFICATION, VIRTUAL, 0, false, 0x5000, 0 },
	};
	u32 i, bad;

	NEED(caps_pin(PIN_POSTED | PIN_EXTINT) && caps_proc2(PROC2_VINTR) && smp_start() > 1);
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		u32 before = this_cpu()->irq_count[NOTIFICATION] + this_cpu()->irq_count[OTHER];

		create_posted(list[i].code, list[i].flags);
		p.vector = list[i].vector;
		p.post = list[i].post;
		if (list[i].masked)
			vmunset(F_GUEST_RFLAGS, RFLAGS_IF);
		vmwrite(F_GUEST_INTR_STATUS, list[i].status);
		if (list[i].code == p_hlt && !list[i].post) { /* nothing else ends it */
			vmset(F_PIN, PIN_TIMER);
			vmwrite(F_GUEST_TIMER, 200000 >> (caps.misc & 31));
		}
		if (list[i].requested)
			*vapic(0x200 + list[i].requested / 32 * 16) = 1u << list[i].requested % 32;
		smp_call(1, poster, NULL);
		report_posted(list[i].name, vm_run(&p.vm));
		CHECK(smp_wait(1, 1000000));
		if (vmread(F_EXIT_INTR_INFO) & INTR_VALID)
			apic_eoi();
		cpu_sti();
		delay(100);
		cpu_cli();
		result("%s l1_got=%u", list[i].name,
		       this_cpu()->irq_count[NOTIFICATION] + this_cpu()->irq_count[OTHER] - before);
	}
	/* in VMX root operation: an interrupt of L1's; the requests wait for the next notification */
	create_posted(p_nops, 0);
	p.vector = NOTIFICATION;
	p.post = VIRTUAL;
	{
		u32 before = this_cpu()->irq_count[NOTIFICATION];

		smp_call(1, poster, NULL);
		CHECK(smp_wait(1, 1000000));
		cpu_sti();
		delay(100);
		cpu_cli();
		report_posted("in_root", vm_run(&p.vm));
		result("in_root l1_got=%u", this_cpu()->irq_count[NOTIFICATION] - before);
	}
	for (bad = 0; bad < 4; bad++) {
		u32 reason;

		create_posted(p_nops, 0);
		switch (bad) {
		case 0: vmwrite(F_POSTED_DESCRIPTOR, addr_of(p.posted) + 32); break;
		case 1: vmwrite(F_POSTED_DESCRIPTOR, BIT(52)); break;
		case 2: vmwrite(F_POSTED_VECTOR, 0x100); break;
		case 3: vmunset(F_EXIT, EXIT_ACK); break;
		}
		reason = vm_run(&p.vm);
		result("bad=%u vmfail=%u", bad, reason & VM_FAIL ? reason & 0xff : 0);
	}
}
