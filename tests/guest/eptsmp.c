/* SPDX-License-Identifier: MIT */
/*
 * Guest test "eptsmp": all CPUs run L2s on one shared EPT that the first one edits as an SMP hypervisor does:
 * change, have every CPU do its INVEPT, then reuse the page or the table. A value from a page given back, or
 * through a table given back, is a stale translation. Options: edits=N.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum { SLOTS = 16, SPARE = 8 };
#define REGION 0x80000000ul
#define POISON 0xdead0000dead0000ul

GUEST_CODE(smp_read, 64, "mov (%rdi), %rax; vmcall");

struct worker {
	struct vm vm;
	u64 seed, reads, misses;
	u64 acknowledged; /* generation of the last INVEPT */
	u64 poisoned, wrong, strange;
	bool ready, done;
};
static struct worker workers[CPU_MAX];
static u64 eptp, generation, stop;

static u64 slot_gpa(u64 slot)
{
	return REGION + slot * PAGE_SIZE;
}
static u64 tag(u64 slot, u64 edit)
{
	return edit << 16 | slot;
}

static void turn(struct worker *w)
{
	u64 now = __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
	u64 slot = random_next(&w->seed) % SLOTS;
	u32 reason;

	if (now != w->acknowledged) {
		if (invept(now % 3 ? 1 : 2, eptp) != VMX_OK)
			w->strange++;
		__atomic_store_n(&w->acknowledged, now, __ATOMIC_RELEASE);
	}
	vm_current(&w->vm);
	vm_set_code(&w->vm, smp_read);
	w->vm.regs.rdi = slot_gpa(slot) + random_next(&w->seed) % 512 * 8;
	reason = vm_run(&w->vm);
	w->reads++;
	if (reason == REASON_EPT_VIOLATION)
		w->misses++;
	else if (reason != REASON_VMCALL)
		w->strange++;
	else if (w->vm.regs.rax == POISON)
		w->poisoned++;
	else if ((w->vm.regs.rax & 0xffff) != slot)
		w->wrong++;
}

static void prepare(struct worker *w)
{
	if (!this_cpu()->vmx_on)
		vmx_enable();
	vm_create(&w->vm, VM_64, VM_EPT | VM_VPID, smp_read);
	vmwrite(F_EPTP, eptp);
	__atomic_store_n(&w->ready, true, __ATOMIC_RELEASE);
}

static void work(void *arg)
{
	struct worker *w = arg;

	prepare(w);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		turn(w);
	vmx_disable();
}

static void fill(u64 page, u64 value)
{
	u32 i;

	for (i = 0; i < 512; i++)
		__atomic_store_n((u64 *)ptr_of(page) + i, value, __ATOMIC_RELAXED);
}

/* Until all have done their INVEPTs; this CPU's L2 runs on meanwhile. */
static void shoot_down(u32 cpus_on)
{
	u32 i;

	__atomic_store_n(&generation, generation + 1, __ATOMIC_RELEASE);
	for (i = 0; i < cpus_on; i++)
		while (__atomic_load_n(&workers[i].acknowledged, __ATOMIC_ACQUIRE) != generation)
			turn(&workers[0]);
}

static void share(bool ad, u64 edits)
{
	u64 edit, seed = 7;
	u64 page[SLOTS], spare[SPARE], tables[2], poison_page, root, *pde;
	u64 reads = 0, misses = 0, poisoned = 0, wrong = 0, strange = 0;
	u32 n, i;

	n = smp_start();
	root = ept_create();
	eptp = root | EPTP_FLAGS | (ad ? EPTP_AD : 0);
	stop = generation = 0;
	poison_page = addr_of(page_alloc());
	fill(poison_page, POISON);
	tables[0] = addr_of(page_alloc());
	tables[1] = addr_of(page_alloc());
	pde = ept_entry(root, REGION, 2);
	*pde = tables[0] | EPT_RWX;
	for (i = 0; i < SLOTS; i++) {
		page[i] = addr_of(page_alloc());
		fill(page[i], tag(i, 0));
		*ept_entry(root, slot_gpa(i), 1) = page[i] | EPT_RWX | EPT_WB;
	}
	for (i = 0; i < SPARE; i++)
		spare[i] = addr_of(page_alloc());
	for (i = 0; i < n; i++) {
		memset(&workers[i], 0, sizeof(workers[i]));
		workers[i].seed = i;
		if (!i)
			prepare(&workers[0]);
		else
			smp_call(i, work, &workers[i]);
		while (!__atomic_load_n(&workers[i].ready, __ATOMIC_ACQUIRE))
			cpu_pause();
	}
	for (edit = 1; edit <= edits; edit++) {
		u64 slot = random_next(&seed) % SLOTS;
		u64 *pte = (u64 *)ptr_of(*pde & PTE_ADDR) + slot;
		u64 old = page[slot], fresh = spare[edit % SPARE];

		switch (random_next(&seed) % 4) {
		case 0: /* another page */
			fill(fresh, tag(slot, edit));
			WRITE_ONCE(*pte, fresh | EPT_RWX | EPT_WB);
			break;
		case 1: /* away for a while */
			fill(fresh, tag(slot, edit));
			WRITE_ONCE(*pte, 0);
			shoot_down(n);
			fill(old, POISON);
			WRITE_ONCE(*pte, fresh | EPT_RWX | EPT_WB);
			break;
		case 2: /* another table */
			memcpy(ptr_of(tables[1]), ptr_of(tables[0]), PAGE_SIZE);
			WRITE_ONCE(*pde, tables[1] | EPT_RWX);
			shoot_down(n);
			fill(tables[0], poison_page | EPT_RWX | EPT_WB);
			tables[1] ^= tables[0];
			tables[0] ^= tables[1];
			tables[1] ^= tables[0];
			continue;
		default: /* read-only, then less */
			fill(fresh, tag(slot, edit));
			WRITE_ONCE(*pte, old | EPT_R | EPT_WB);
			turn(&workers[0]);
			WRITE_ONCE(*pte, fresh | EPT_R | EPT_WB);
		}
		shoot_down(n);
		fill(old, POISON);
		page[slot] = fresh;
		spare[edit % SPARE] = old;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < n; i++) {
		if (i)
			CHECK(smp_wait(i, 10000000));
		reads += workers[i].reads;
		misses += workers[i].misses;
		poisoned += workers[i].poisoned;
		wrong += workers[i].wrong;
		strange += workers[i].strange;
	}
	info("cpus=%u edits=%lu reads=%lu misses=%lu", n, edits, reads, misses);
	result("poisoned=%lu wrong=%lu strange=%lu", poisoned, wrong, strange);
	CHECK(!poisoned && !wrong && !strange);
}

TEST_VMX(eptsmp)
{
	NEED(caps_proc2(PROC2_EPT | PROC2_VPID));
	share(false, option_number("edits", 300));
}

/* The processors set flags in the entries that L1 changes: none of its writes may be lost. */
TEST_VMX(eptsmp_ad)
{
	NEED(caps_proc2(PROC2_EPT | PROC2_VPID) && caps.ept_vpid & EPT_CAP_AD);
	share(true, option_number("edits", 300) / 2);
}
