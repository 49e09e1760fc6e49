/* SPDX-License-Identifier: MIT */
/*
 * Guest test "eptstress": many L2s in turn, each with its own EPT of mixed page sizes, which L1 edits all the
 * time. Every value that an L2 reads or writes and every violation is checked against what L1 has mapped.
 * Options: l2=N rounds=N.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum { L2_MAX = 64, PAGES = 128, BIGS = 4, SMALL_SLOTS = 24, BIG_SLOTS = 4, SLOTS = SMALL_SLOTS + BIG_SLOTS };
#define REGION 0x80000000ul /* 1 GiB of L2's that nothing else uses */
#define INVEPT_ONE 1ul

GUEST_CODE(stress_read, 64, "mov (%rdi), %rax; vmcall");
GUEST_CODE(stress_write, 64, "mov %rax, (%rdi); vmcall");

/* What L1 has mapped at a slot. */
struct slot {
	u64 hpa; /* 0: nothing */
	u64 permissions;
	bool large; /* one 2 MiB page, else 4 KiB ones */
};

static struct guest {
	struct vm vm;
	struct slot slots[SLOTS];
	u64 eptp;
	bool stale; /* needs an INVEPT before it runs again */
} guests[L2_MAX];

static u8 *pages, *bigs;
static u64 seed, digest, violations, accesses;

static u64 rnd(u64 n)
{
	return random_next(&seed) % n;
}

static u64 slot_gpa(u32 slot)
{
	if (slot < SMALL_SLOTS)
		return REGION + slot % 4 * 2 * MIB + slot / 4 * 37 * PAGE_SIZE;
	return REGION + 64 * MIB + (slot - SMALL_SLOTS) * 2 * MIB;
}

static void put(struct guest *g, u32 slot, u64 hpa, u64 permissions, bool large)
{
	u64 gpa = slot_gpa(slot);
	u64 flags = permissions | EPT_WB;
	u64 *pde = ept_entry(g->vm.ept, gpa, 2);
	u32 i;

	if (slot < SMALL_SLOTS) {
		*ept_entry(g->vm.ept, gpa, 1) = permissions ? hpa | flags : 0;
	} else if (!permissions || large) {
		*pde = permissions ? hpa | flags | EPT_PS : 0;
	} else {
		u64 *pt = *pde & EPT_PS || !(*pde & EPT_RWX) ? NULL : ptr_of(*pde & PTE_ADDR);
		/* One table for each big slot of each guest, used whenever it is split. */
		static u64 *tables[L2_MAX][BIG_SLOTS];
		u64 **own = &tables[g - guests][slot - SMALL_SLOTS];

		if (!pt) {
			if (!*own)
				*own = page_alloc();
			pt = *own;
		}
		for (i = 0; i < 512; i++)
			pt[i] = (hpa + i * PAGE_SIZE) | flags;
		*pde = addr_of(pt) | EPT_RWX;
	}
	g->slots[slot] = (struct slot){ permissions ? hpa : 0, permissions, large };
}

static u64 random_target(u32 slot)
{
	return slot < SMALL_SLOTS ? addr_of(pages) + rnd(PAGES) * PAGE_SIZE
				  : addr_of(bigs) + rnd(BIGS) * 2 * MIB;
}

static u64 random_permissions(void)
{
	return rnd(3) ? EPT_RWX : rnd(2) ? EPT_R : 0;
}

static void edit(struct guest *g)
{
	u32 slot = (u32)rnd(SLOTS);
	struct slot old = g->slots[slot];
	u64 permissions = random_permissions();
	bool large = rnd(2);
	/* More permission, or something where nothing was, needs no INVEPT. */
	bool upgrade = !old.permissions || rnd(3) == 0;
	u64 hpa = upgrade && old.hpa ? old.hpa : random_target(slot);

	if (upgrade)
		permissions |= old.permissions | (old.permissions ? 0 : EPT_R);
	if (upgrade && old.permissions)
		large = old.large;
	put(g, slot, hpa, permissions, large);
	if (!upgrade)
		g->stale = true;
}

static void enter_check(struct guest *g, u32 slot, u64 offset, bool write)
{
	const struct slot *s = &g->slots[slot];
	u64 gpa = slot_gpa(slot) + offset;
	u64 need = write ? EPT_W : EPT_R;
	u64 value = random_next(&seed);
	u64 *target = s->hpa ? ptr_of(s->hpa + offset) : NULL;
	u64 old = target ? *target : 0;
	u32 reason;

	vm_current(&g->vm);
	vm_set_code(&g->vm, write ? stress_write : stress_read);
	g->vm.regs.rdi = gpa;
	g->vm.regs.rax = value;
	reason = vm_run(&g->vm);
	digest = hash_add(hash_add(digest, reason), gpa);
	accesses++;
	if (need & ~s->permissions) {
		u64 want = (write ? 2 : 1) | s->permissions << 3 | BIT(7) | BIT(8);

		violations++;
		CHECK(reason == REASON_EPT_VIOLATION);
		CHECK((vmread(F_QUALIFICATION) & 0x1ff & ~BIT(6)) == want);
		CHECK(vmread(F_GUEST_PHYSICAL) == gpa && vmread(F_GUEST_LINEAR) == gpa);
		CHECK(!target || *target == old);
		digest = hash_add(digest, want);
		if (!rnd(2))
			return;
		/* Repaired: it goes on where it stopped. */
		put(g, slot, s->hpa ? s->hpa : random_target(slot), EPT_RWX, s->hpa ? s->large : rnd(2));
		target = ptr_of(s->hpa + offset);
		reason = vm_run(&g->vm);
		digest = hash_add(digest, reason);
	}
	CHECK(reason == REASON_VMCALL);
	if (write)
		CHECK(*target == value);
	else
		CHECK(g->vm.regs.rax == *target);
	digest = hash_add(digest, *target);
	if (g->eptp & EPTP_AD) {
		u64 e = *ept_entry(g->vm.ept, gpa, slot >= SMALL_SLOTS && s->large ? 2 : 1);

		CHECK((e & EPT_A) && (!write || (e & EPT_D)));
	}
}

static void create(struct guest *g, bool ad)
{
	u32 slot;
	u64 *pdpt;

	vm_create(&g->vm, VM_64, VM_EPT | VM_VPID, stress_read);
	vmwrite(F_VPID, 1 + (u64)(g - guests));
	g->eptp = g->vm.ept | EPTP_FLAGS | (ad ? EPTP_AD : 0);
	vmwrite(F_EPTP, g->eptp);
	pdpt = ptr_of(*ept_entry(g->vm.ept, 0, 4) & PTE_ADDR);
	pdpt[REGION / GIB] = 0;
	for (slot = 0; slot < SLOTS; slot++)
		put(g, slot, random_target(slot), random_permissions(), slot % 2);
	invept(INVEPT_ONE, g->eptp);
}

static void stress(u32 count, u32 rounds)
{
	u64 start, i;
	u32 k, round;

	pages = page_alloc_contig(PAGES);
	page_alloc_contig((2 * MIB - (addr_of(pages) + PAGES * PAGE_SIZE) % (2 * MIB)) / PAGE_SIZE);
	bigs = page_alloc_contig(BIGS * 512);
	CHECK(addr_of(bigs) % (2 * MIB) == 0);
	for (i = 0; i < PAGES * 512; i++)
		((u64 *)(void *)pages)[i] = random_next(&seed);
	for (i = 0; i < BIGS * 512 * 512; i += 64)
		((u64 *)(void *)bigs)[i] = random_next(&seed);
	for (k = 0; k < count; k++)
		create(&guests[k], (k & 1) && (caps.ept_vpid & EPT_CAP_AD));
	start = rdtsc();
	for (round = 0; round < rounds; round++)
		for (k = 0; k < count; k++) {
			struct guest *g = &guests[k];
			u64 edits = rnd(3);

			while (edits--)
				edit(g);
			if (g->stale && invept(rnd(8) ? INVEPT_ONE : 2, g->eptp) != VMX_OK)
				test_fail(__FILE__, __LINE__, "invept");
			g->stale = false;
			for (edits = rnd(4); edits; edits--) {
				u32 slot = (u32)rnd(SLOTS);

				enter_check(g, slot,
					    slot < SMALL_SLOTS ? rnd(512) * 8
							       : rnd(512) * 4096 + rnd(8) * 512,
					    rnd(2));
			}
		}
	info("l2=%u rounds=%u accesses=%lu violations=%lu cycles/access=%lu", count, rounds, accesses,
	     violations, (rdtsc() - start) / accesses);
	result("l2=%u rounds=%u accesses=%lu violations=%lu digest=%lx", count, rounds, accesses, violations,
	       digest);
}

TEST_VMX(eptstress)
{
	NEED(caps_proc2(PROC2_EPT | PROC2_VPID));
	NEED(caps.ept_vpid & EPT_CAP_INVEPT);
	seed = option_number("seed", 1);
	digest = violations = accesses = 0;
	stress((u32)option_number("l2", 14), (u32)option_number("rounds", 140));
}
