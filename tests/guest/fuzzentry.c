/* SPDX-License-Identifier: MIT */
/*
 * Guest test "fuzzentry": VM entries generated from (seed, case): a valid VMCS in some mode, a few fields
 * changed, VMLAUNCH or VMRESUME, and a hash of all that L1 can see afterwards. The same seed on the bare
 * processor and under Socle must print the same lines. Options: seed=from-to, cases=from-to, detail (a line
 * for each case) and fields (the guest area after it); again=N (each L2 that was entered is entered N times
 * more, one field changed each time); drop-pin=, drop-proc=, drop-proc2=, drop-exit=, drop-entry=, drop-cr4=:
 * bits never to be set, for where two platforms advertise different ones. What a case does depends on (seed,
 * case) alone: not on the platform, and not on the cases before it.
 */
#include "tests/guest/fuzz.h"

enum { TOGETHER = 100 }; /* cases in one line */

const u16 all_fields[FIELDS] = {
#define FIELD(encoding, name) encoding,
#include "tests/guest/lib/fields.def"
#undef FIELD
};
bool exists[FIELDS];
u64 fuzz_pool;

static struct template templates[VM_MODES][2];
static struct msr_entry *msr_lists;

static u8 indices[0x7000 / 2];

u32 fuzz_index(u32 field)
{
	return indices[field / 2];
}

/* A state in which nobody would come back from: HLT or the like, and nothing that ends it. */
static bool would_sleep(void)
{
	u64 activity = vmread(F_GUEST_ACTIVITY);

	if (activity == ACTIVE || activity > WAIT_FOR_SIPI || vmread(F_ENTRY_INTR_INFO) & INTR_VALID)
		return false;
	return activity != HLT || !(vmread(F_PIN) & PIN_TIMER);
}

/* The template's values in every field that holds something else. */
static void restore(struct template *t)
{
	u32 i;

	for (i = 0; i < FIELDS; i++) {
		if (!exists[i] || read_only(all_fields[i]) || (t->known[i] && t->now[i] == t->values[i]))
			continue;
		vmwrite(all_fields[i], t->values[i]);
		t->now[i] = t->values[i];
		t->known[i] = true;
	}
}

static void change(struct template *t, const struct mutation *m)
{
	vmwrite(m->field, m->value);
	t->known[fuzz_index(m->field)] = false;
}

static bool debugctl_set;

static void start_of_case(struct template *t, bool btf)
{
	u32 i;

	memset(&t->vm.regs, 0, sizeof(t->vm.regs));
	for (i = 0; i < 64; i++)
		*(u32 *)ptr_of(t->values[FUZZ_VIRTUAL_APIC] + i * 16) = 0;
	memset(ptr_of(t->values[FUZZ_POSTED_DESCRIPTOR]), 0, 64);
	dr6_write(0xffff0ff0);
	cr2_write(0);
	/* an exit clears IA32_DEBUGCTL; BTF alone does nothing to L1 */
	if (btf || debugctl_set)
		msr_write(MSR_DEBUGCTL, btf ? BIT(1) : 0);
	debugctl_set = btf;
}

/*
 * Where the entry checks BS against the BTF of the VMCS, but "load debug controls" is off and leaves L1's in
 * force, the two are the same (docs/limits.md).
 */
static bool btf_for_case(bool wish)
{
	bool checked = vmread(F_GUEST_INTERRUPTIBILITY) & 3 || vmread(F_GUEST_ACTIVITY) == ACTIVE + 1;

	return checked && vmread(F_GUEST_RFLAGS) & RFLAGS_TF ? vmread(F_GUEST_DEBUGCTL) & BIT(1) : wish;
}

/* Whatever the exit loaded: L1's own again, so that no case sees what an earlier one did. */
static void end_of_case(void)
{
	static const u32 zero[] = { MSR_FS_BASE,      MSR_SYSENTER_CS, MSR_SYSENTER_ESP,
				    MSR_SYSENTER_EIP, MSR_STAR,	       MSR_LSTAR,
				    MSR_CSTAR,	      MSR_SFMASK,      MSR_KERNEL_GS_BASE };
	u64 gs = msr_read(MSR_GS_BASE);
	u32 i;

	asm volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %0, %%fs; mov %0, %%gs" ::"r"(SEL_DATA));
	msr_write(MSR_GS_BASE, gs);
	for (i = 0; i < ARRAY_SIZE(zero); i++)
		msr_write(zero[i], 0);
	cr0_write((cr0_read() | CR0_WP) & ~(CR0_TS | CR0_AM | CR0_CD | CR0_NW));
	cr4_write(caps.cr4_fixed0 | CR4_PAE | CR4_VMXE);
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE | EFER_SCE);
	msr_write(MSR_PAT, 0x0007040600070406);
}

static void show(struct template *t, u64 number, u32 reason, u64 hash, const struct mutation *m, u32 n)
{
	u64 intr = vmread(F_EXIT_INTR_INFO);
	u32 i;

	print("RESULT case=%lu %s%s ", number, vm_mode_names[t->vm.mode], t->ept ? "+ept" : "");
	if (reason & VM_FAIL)
		print("vmfail=%u", reason & ~VM_FAIL);
	else
		print("exit=%x qual=%lx intr=%lx", reason, vmread(F_QUALIFICATION),
		      !(reason & REASON_FAILED_ENTRY) && intr & INTR_VALID ? intr : 0);
	print(" hash=%lx changed", hash);
	for (i = 0; i < n; i++)
		print(" %x:=%lx", m[i].field, m[i].value);
	print("\n");
	if (option_flag("fields"))
		print("RESULT case=%lu idt=%lx length=%lx cr2=%lx dr6=%lx\n", number, vmread(F_IDT_INFO),
		      vmread(F_EXIT_LENGTH), cr2_read(), dr6_read());
	for (i = 0; option_flag("fields") && i < 8; i++)
		print("RESULT case=%lu load %x,%x:=%lx\n", number,
		      FUZZ_LIST(msr_lists, FUZZ_ENTRY_LOAD)[i].msr,
		      FUZZ_LIST(msr_lists, FUZZ_ENTRY_LOAD)[i].reserved,
		      FUZZ_LIST(msr_lists, FUZZ_ENTRY_LOAD)[i].value);
	for (i = 0; option_flag("fields") && i < FIELDS; i++)
		if (exists[i] && !read_only(all_fields[i]))
			print("RESULT case=%lu field %x %lx\n", number, all_fields[i], vmread(all_fields[i]));
}

/*
 * What a hypervisor writes between an exit and the next entry: a bit of one such field, or nothing at all;
 * else a field of any kind, as in a first entry.
 */
static void change_again(struct template *t, u64 *seed)
{
	static const u16 usual[] = { F_GUEST_RSP,	    F_GUEST_RFLAGS,	 F_GUEST_INTERRUPTIBILITY,
				     F_GUEST_CR3,	    F_TSC_OFFSET,	 F_EXCEPTION_BITMAP,
				     F_GUEST_TIMER,	    F_TPR_THRESHOLD,	 F_ENTRY_INTR_INFO,
				     F_GUEST_PENDING_DEBUG, F_HOST_SYSENTER_EIP, F_HOST_FS_BASE,
				     F_CR0_SHADOW,	    F_CR4_SHADOW,	 F_GUEST_ACTIVITY };
	struct mutation m[FUZZ_MOST];
	u64 r = random_next(seed);
	u32 field = usual[r % ARRAY_SIZE(usual)];

	switch (r >> 8 & 7) {
	case 0: break;
	case 1: change(t, &(struct mutation){ F_PROC, vmread(F_PROC) ^ PROC_INTR_WINDOW }); break;
	case 2: change(t, &(struct mutation){ F_GUEST_RIP, t->values[fuzz_index(F_GUEST_RIP)] }); break;
	case 3:
		fuzz_mutate(t, m, seed);
		change(t, &m[0]);
		break;
	default:
		if (exists[fuzz_index(field)])
			change(t, &(struct mutation){ field, vmread(field) ^ BIT(r >> 16 & 31) });
	}
}

static u64 enter_again(struct template *t, u64 *seed, u32 *reason)
{
	u64 r = random_next(seed);

	end_of_case();
	change_again(t, seed);
	if (would_sleep())
		change(t, &(struct mutation){ F_GUEST_ACTIVITY, ACTIVE });
	t->known[FUZZ_ENTRY_INTR_INFO] = false;
	start_of_case(t, btf_for_case(!(r & 7)));
	*reason = vm_run(&t->vm);
	return fuzz_hash(t, *reason, msr_lists, !(r >> 16 & 7));
}

static u64 run_case(u64 number, u64 seed0, bool detail)
{
	u64 start = random_next(&seed0) ^ number * 0xd1342543de82ef95ul;
	u64 seed = random_next(&start);
	u64 r = random_next(&seed);
	enum vm_mode mode = vm_mode_possible(r % VM_MODES) ? r % VM_MODES : VM_64;
	struct template *t = &templates[mode][(r >> 8 & 1) && caps_proc2(PROC2_EPT)];
	struct mutation m[FUZZ_MOST];
	u32 i, n, reason;
	u64 hash;

	if (!t->made) {
		print("FAIL template\n");
		return 0;
	}
	vm_current(&t->vm);
	if (!(r >> 9 & 3)) {
		vmclear(t->vm.vmcs);
		t->vm.launched = false;
		this_cpu()->vm = NULL;
		vm_current(&t->vm);
	}
	restore(t);
	fuzz_fill_lists(msr_lists, &seed);
	n = fuzz_mutate(t, m, &seed);
	for (i = 0; i < n; i++)
		change(t, &m[i]);
	if (would_sleep())
		change(t, &(struct mutation){ F_GUEST_ACTIVITY, ACTIVE });
	t->known[FUZZ_ENTRY_INTR_INFO] = false;
	start_of_case(t, btf_for_case(!(r >> 20 & 7)));
	reason = vm_run(&t->vm);
	hash = fuzz_hash(t, reason, msr_lists, !(r >> 16 & 7));
	for (i = 0; i < option_number("again", 0) && !(reason & (VM_FAIL | REASON_FAILED_ENTRY)); i++)
		hash = hash_add(hash, enter_again(t, &seed, &reason));
	if (detail)
		show(t, number, reason, hash, m, n);
	if (!(reason & VM_FAIL))
		end_of_case();
	return hash;
}

static void run_seed(u64 seed)
{
	u64 from = option_number("cases", 0);
	u64 to = option_range_end("cases", 1999);
	bool detail = option_flag("detail");
	u64 hash = 0, start = from, number, begin = rdtsc();

	for (number = from; number <= to; number++) {
		hash = hash_add(hash, run_case(number, seed, detail));
		if (number % TOGETHER == TOGETHER - 1 || number == to) {
			result("seed=%lu cases=%lu-%lu hash=%lx", seed, start, number, hash);
			start = number + 1;
			hash = 0;
		}
	}
	info("seed=%lu instructions in a case: %lu", seed, (rdtsc() - begin) / (to - from + 1));
}

/*
 * What VMCSs and the VMXON region hold is the platform's own, so no address that a case makes by changing a
 * bit or two of a good one may lead there: they move far away.
 */
static void move_regions(void)
{
	u64 old = this_cpu()->vmxon_page;

	vmx_disable();
	memset(ptr_of(old), 0, PAGE_SIZE);
	vmx_region_area = FUZZ_FAR;
	vmx_enable();
}

TEST_VMX(fuzz)
{
	u64 spare = addr_of(page_alloc_contig(64));
	u64 last = option_range_end("seed", 1);
	enum vm_mode mode;
	u64 seed;
	u32 i;

	for (i = 0; i < FIELDS; i++)
		indices[all_fields[i] / 2] = (u8)i;
	fuzz_pool = spare & ~(2 * MIB - 1);
	move_regions();
	msr_lists = page_alloc();
	end_of_case();
	msr_write(MSR_PAT, 0x0007040600070406);
	cr4_write(caps.cr4_fixed0 | CR4_PAE | CR4_VMXE);
	for (mode = VM_64; mode < VM_MODES; mode++) {
		if (!vm_mode_possible(mode))
			continue;
		fuzz_make_template(&templates[mode][0], mode, false, spare, addr_of(msr_lists));
		if (caps_proc2(PROC2_EPT))
			fuzz_make_template(&templates[mode][1], mode, true, spare, addr_of(msr_lists));
	}
	CHECK(addr_of(page_alloc()) >= fuzz_pool + MIB);
	for (seed = option_number("seed", 1); seed <= last; seed++)
		run_seed(seed);
}
