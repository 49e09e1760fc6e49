/* SPDX-License-Identifier: MIT */
/*
 * A model of the processor for EPT02 (ept_model.h says which), with the stand-ins for all that ept*.c call.
 * SDM: "Caching Translation Information", "EPT Misconfigurations", "EPT Violations".
 */
#include "tests/unit/ept_model.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "mm/page_alloc.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/l1/closed.h"
#include "vmx/l1/sleep_page.h"
#include "vmx/nested/explain/explain.h"
#include "vmx/nested/explain/held.h"
#include "vmx/hw/tlb.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/ept/ept02.h"

/* ---- the world: L1's memory, EPT01, the rest that the code under test asks for ---- */

#define SLOTS MODEL_ROLES /* one for each role */
#define WINDOW_BASE 0x7f900000ull
#define WINDOW_END 0x7fc01000ull
#define PHYSICAL_BITS 39
#define PML_ADDRESS 0x30000000ull
#define PML_ENTRIES 512
#define ABSENT_BASE (WINDOW_BASE + 0x5000) /* the page of ones of each CPU: L0's own */

u64 model_memory[MODEL_TABLES][EPT_ENTRIES] ALIGNED(4096);
struct vcpu model_vcpus[MODEL_CPUS];
static struct nested_vmcs slots[MODEL_CPUS][SLOTS];
static u64 log_written, log_value; /* by page-modification logging */
static u64 random_state;
static const u8 *random_input; /* a fuzzer's; NULL: pseudo-random numbers */
static size_t random_left;
u64 model_now = 1;
static void *absent_pages[MODEL_CPUS];
static unsigned int absent_count;
static u64 last_l2gpa[MODEL_CPUS];

struct vmx_caps caps12, vmx_caps;
struct options options;
struct vm vm = { .ept01_pointer = 0x5000 };

static u64 rnd(u64 n)
{
	u64 z = 0;

	if (random_input) {
		for (u64 span = n - 1; span && random_left; span >>= 8, random_left--)
			z = z << 8 | *random_input++;
		return z % n;
	}
	z = (random_state += 0x9e3779b97f4a7c15ull);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % n;
}

#define CHECK(cond, ...)                                                                                     \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			printf("%s:%d: step %llu: %s: ", __FILE__, __LINE__, (unsigned long long)model_now,  \
			       #cond);                                                                       \
			printf(__VA_ARGS__);                                                                 \
			printf("\n");                                                                        \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

void explain_ept(struct vcpu *vcpu, enum rule rule, const struct explain_walk *walk)
{
	(void)vcpu, (void)rule, (void)walk;
}

bool held_take(struct vcpu *vcpu, bool misconfigured, u64 eptp, u64 l2gpa, u64 access)
{
	(void)vcpu, (void)misconfigured, (void)eptp, (void)l2gpa, (void)access;
	return true;
}

bool held_is_left(const struct vcpu *vcpu)
{
	(void)vcpu;
	return false;
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	abort();
}

/* A page behind each allocation is nobody's: who reads or writes there dies. */
#define GUARDS 16

static void *guards[GUARDS];
static unsigned int guard_count;

void *page_alloc_contig(size_t count)
{
	u8 *pages = aligned_alloc(PAGE_SIZE, (count + 1) * PAGE_SIZE);

	CHECK(guard_count < GUARDS, "too many allocations");
	memset(pages, 0, count * PAGE_SIZE);
	guards[guard_count] = pages + count * PAGE_SIZE;
	CHECK(!mprotect(guards[guard_count++], PAGE_SIZE, PROT_NONE), "a page behind pages");
	return pages;
}

static void open_guards(void)
{
	while (guard_count)
		CHECK(!mprotect(guards[--guard_count], PAGE_SIZE, PROT_READ | PROT_WRITE),
		      "a page behind pages");
}

/* Only the page of ones is a single one. */
void *page_alloc(void)
{
	return absent_pages[absent_count++] = page_alloc_contig(1);
}

/* The page of ones lies in the window, where L1 may guess it; tables are found by their pointers. */
hpa_t page_phys(const void *page)
{
	for (unsigned int i = 0; i < absent_count; i++)
		if (absent_pages[i] == page)
			return HPA(ABSENT_BASE + i * PAGE_SIZE);
	return HPA((u64)(uintptr_t)page);
}

static int table_of(u64 gpa)
{
	u64 i = (gpa - MODEL_TABLE_BASE) / PAGE_SIZE;

	return gpa >= MODEL_TABLE_BASE && i < MODEL_TABLES ? (int)i : -1;
}

void *guest_mem_page(struct vcpu *vcpu, gpa_t gpa)
{
	(void)vcpu;
	return table_of(gpa.v) >= 0 ? model_memory[table_of(gpa.v)] : NULL;
}

bool guest_mem_read(struct vcpu *vcpu, gpa_t gpa, void *to, size_t length)
{
	(void)vcpu;
	(void)gpa;
	memset(to, 0xff, length);
	return false;
}

static bool touches_window(u64 base, u64 size)
{
	return base < WINDOW_END && base + size > WINDOW_BASE;
}

static u64 uniform_size(u64 gpa)
{
	if (!touches_window(ALIGN_DOWN(gpa, SIZE_1G), SIZE_1G))
		return SIZE_1G;
	return touches_window(ALIGN_DOWN(gpa, SIZE_2M), SIZE_2M) ? PAGE_SIZE : SIZE_2M;
}

bool vm_ept01_lookup(gpa_t gpa, struct ept01_mapping *out)
{
	if (touches_window(gpa.v, 1))
		return false;
	out->size = uniform_size(gpa.v);
	out->hpa = ALIGN_DOWN(gpa.v, out->size);
	out->rwx = EPT_RWX;
	out->memory_type = MEMTYPE_WB;
	out->ignore_pat = false;
	return true;
}

bool guest_mem_write(struct vcpu *vcpu, gpa_t gpa, const void *from, size_t length)
{
	(void)vcpu;
	(void)length;
	log_written = gpa.v;
	memcpy(&log_value, from, sizeof(log_value));
	return true;
}

void event_restore_nmi_blocking(struct vcpu *vcpu UNUSED, bool unblocked UNUSED)
{
}

void event_requeue_vectoring(struct vcpu *vcpu)
{
	(void)vcpu;
}

/* Nor is a page closed. */
u32 closed_count;

u32 closed_bits_of(u64 gpa UNUSED)
{
	return 0;
}

bool closed_may_pass(struct vcpu *vcpu UNUSED, gpa_t gpa UNUSED, u32 access UNUSED)
{
	return false;
}

/* There is no sleep register in this memory. */
bool sleep_page_is(u64 gpa UNUSED)
{
	return false;
}

bool sleep_page_store(struct vcpu *vcpu UNUSED, gpa_t gpa UNUSED)
{
	return false;
}

enum outcome outcome_gp(struct vcpu *vcpu, u32 error_code)
{
	(void)vcpu;
	(void)error_code;
	abort();
}

/* Every L2 of the model has EPT. */
bool ept01_step_add(struct vcpu *vcpu, gpa_t page, hpa_t scratch)
{
	(void)vcpu;
	(void)page;
	(void)scratch;
	abort();
}

void ept01_step_follow(struct vcpu *vcpu)
{
	(void)vcpu;
	abort();
}

void ept01_step_end(struct vcpu *vcpu)
{
	(void)vcpu;
}

u64 regcache_fill(struct regcache *cache, enum reg reg)
{
	(void)cache;
	CHECK(false, "register %d was read", reg);
	return 0;
}

static u64 proc_controls[MODEL_CPUS];
unsigned int model_cpu_count = MODEL_CPUS;
unsigned int model_cpu; /* that acts now */

void event_set_step(struct vcpu *vcpu, u32 why, bool on)
{
	(void)vcpu;
	CHECK(why == STEP_ABSENT, "step %x", why);
	proc_controls[model_cpu] = on ? PROC_MTF : 0;
}

static struct exit_record reflected;
static bool was_reflected;

struct exit_record exit_record_hardware(struct vcpu *vcpu)
{
	(void)vcpu;
	abort();
}

u64 hw_vmread_sure(u64 field)
{
	CHECK(false, "field %llx was read", (unsigned long long)field);
	return 0;
}

/* No #VE here. */
enum outcome nested_convert_violation(struct vcpu *vcpu, u64 entry12, u64 qualification)
{
	(void)vcpu;
	(void)entry12;
	(void)qualification;
	return OUTCOME_NONE;
}

enum outcome outcome_reflect(struct vcpu *vcpu, const struct exit_record *record)
{
	(void)vcpu;
	reflected = *record;
	was_reflected = true;
	return OUTCOME_REFLECT;
}

/* ---- the processor ---- */

struct translation {
	u64 hpa; /* of the 4 KiB page */
	u64 permissions;
	u64 memory_type; /* with ignore-PAT, as in the entry */
	unsigned int level;
};

#define TLB_SIZE 256
#define PSC_SIZE 32

struct tlb_entry {
	bool valid;
	u64 eptp, page;
	struct translation t;
};

/* A table that a walk passed: a later walk may start there. */
struct psc_entry {
	bool valid;
	u64 eptp, prefix, table, permissions;
	unsigned int level;
};

static struct processor {
	struct tlb_entry tlb[TLB_SIZE];
	struct psc_entry psc[PSC_SIZE];
	u64 eptp;
	struct nested_vmcs *slot;
	u64 invept_since[MODEL_ROLES]; /* by L1 */
} processors[MODEL_CPUS];

static u64 flushes;

void tlb_flush_ept(u64 eptp)
{
	struct processor *p = &processors[model_cpu];

	flushes++;
	for (int i = 0; i < TLB_SIZE; i++)
		if (!((p->tlb[i].eptp ^ eptp) & EPT_ADDRESS))
			p->tlb[i].valid = false;
	for (int i = 0; i < PSC_SIZE; i++)
		if (!((p->psc[i].eptp ^ eptp) & EPT_ADDRESS))
			p->psc[i].valid = false;
}

static u64 permission_mask(bool user_exec)
{
	return user_exec ? EPT_PERMISSIONS : EPT_RWX;
}

/* Entries of EPT02 must be right by the SDM themselves. */
static void check_entry02(u64 entry, unsigned int level, bool leaf)
{
	u64 type = (entry & EPT_MEMTYPE) >> EPT_MEMTYPE_SHIFT;

	CHECK((entry & (EPT_READ | EPT_WRITE)) != EPT_WRITE, "entry %llx", (unsigned long long)entry);
	if (leaf)
		CHECK(type != 2 && type != 3 && type != 7 && !(entry & (ept_span(level) - 1) & EPT_ADDRESS),
		      "entry %llx", (unsigned long long)entry);
	else
		CHECK(!(entry & (EPT_MEMTYPE | EPT_IGNORE_PAT | EPT_LEAF)), "entry %llx",
		      (unsigned long long)entry);
}

static bool hardware_walk(struct processor *p, u64 l2gpa, struct translation *t)
{
	bool user_exec = v12_has_proc2(&p->slot->v12, PROC2_MODE_BASED_EXECUTE);
	unsigned int level = ((p->eptp & EPTP_WALK) >> EPTP_WALK_SHIFT) + 1;
	u64 table = p->eptp & EPT_ADDRESS;
	u64 permissions = permission_mask(user_exec);

	if (rnd(2))
		for (int i = 0; i < PSC_SIZE; i++) {
			const struct psc_entry *c = &p->psc[i];

			if (c->valid && !((c->eptp ^ p->eptp) & EPT_ADDRESS) && c->level < level &&
			    c->prefix == l2gpa >> (12 + 9 * c->level)) {
				level = c->level;
				table = c->table;
				permissions = c->permissions;
			}
		}
	for (;; level--) {
		u64 *entry = &((u64 *)(uintptr_t)table)[ept_index(l2gpa, level)];

		if (!(*entry & permission_mask(user_exec)))
			return false;
		check_entry02(*entry, level, ept_is_leaf(*entry, level));
		permissions &= *entry;
		if (ept_is_leaf(*entry, level)) {
			t->level = level;
			t->permissions = permissions;
			t->memory_type = *entry & (EPT_MEMTYPE | EPT_IGNORE_PAT);
			t->hpa =
				((*entry & EPT_ADDRESS) | (l2gpa & (ept_span(level) - 1))) & ~(PAGE_SIZE - 1);
			return true;
		}
		table = *entry & EPT_ADDRESS;
		p->psc[rnd(PSC_SIZE)] =
			(struct psc_entry){ true,  p->eptp,	l2gpa >> (12 + 9 * (level - 1)),
					    table, permissions, level - 1 };
	}
}

/* What an access finds: in the TLB, or by a walk. */
static bool hardware_translate(struct processor *p, u64 l2gpa, struct translation *t)
{
	u64 page = l2gpa / PAGE_SIZE;

	for (int i = 0; i < TLB_SIZE; i++)
		if (p->tlb[i].valid && p->tlb[i].page == page &&
		    !((p->tlb[i].eptp ^ p->eptp) & EPT_ADDRESS)) {
			*t = p->tlb[i].t;
			return true;
		}
	if (!hardware_walk(p, l2gpa, t))
		return false;
	p->tlb[rnd(TLB_SIZE)] = (struct tlb_entry){ true, p->eptp, page, *t };
	return true;
}

/* SDM: an EPT violation invalidates what would be used to translate its address. */
static void hardware_violation(struct processor *p, u64 l2gpa)
{
	for (int i = 0; i < TLB_SIZE; i++)
		if (p->tlb[i].page == l2gpa / PAGE_SIZE && !((p->tlb[i].eptp ^ p->eptp) & EPT_ADDRESS))
			p->tlb[i].valid = false;
	for (int i = 0; i < PSC_SIZE; i++)
		if (p->psc[i].prefix == l2gpa >> (12 + 9 * p->psc[i].level) &&
		    !((p->psc[i].eptp ^ p->eptp) & EPT_ADDRESS))
			p->psc[i].valid = false;
}

/* ---- the model: EPT12 and its past ---- */

static struct {
	u64 from, value;
} * history[MODEL_TABLES][EPT_ENTRIES];
static u32 history_count[MODEL_TABLES][EPT_ENTRIES], history_room[MODEL_TABLES][EPT_ENTRIES];

static void note(int table, unsigned int index)
{
	u32 count = history_count[table][index];

	if (count && history[table][index][count - 1].value == model_memory[table][index])
		return;
	if (count == history_room[table][index]) {
		history_room[table][index] = count ? 2 * count : 4;
		history[table][index] = realloc(history[table][index],
						history_room[table][index] * sizeof(*history[table][index]));
	}
	history[table][index][count].from = model_now;
	history[table][index][count].value = model_memory[table][index];
	history_count[table][index]++;
}

struct model_role model_roles[MODEL_ROLES];

static bool model_valid(const struct model_role *role, u64 e, unsigned int level)
{
	bool leaf = level == 1 || (level < 4 && (e & BIT(7)));
	unsigned int type = (e >> 3) & 7;

	if (!(e & 7) && !(role->user_exec && (e & BIT(10))))
		return false;
	if ((e & 3) == 2)
		return false;
	if (!(caps12.ept_vpid & 1) && !(e & 1))
		return false;
	if (e & GENMASK(51, PHYSICAL_BITS))
		return false;
	if (level >= 4)
		return !(e & 0xf8);
	if (!leaf)
		return !(e & 0x78);
	if (level == 3 && ((e & 0x3ffff000) || !(caps12.ept_vpid & BIT(17))))
		return false;
	if (level == 2 && ((e & 0x1ff000) || !(caps12.ept_vpid & BIT(16))))
		return false;
	return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

static bool model_is_leaf(u64 e, unsigned int level)
{
	return level == 1 || (level < 4 && (e & BIT(7)));
}

/* EPT12 as it is: 48, 49, or 0 for a translation. */
static u32 model_walk(const struct model_role *role, u64 l2gpa, u64 need, u64 *permissions, u64 *gpa,
		      u64 *leaf, unsigned int *leaf_level)
{
	u64 table = role->eptp & EPT_ADDRESS;
	bool bad = false;

	*permissions = EPT_PERMISSIONS;
	for (unsigned int level = 4;; level--) {
		int t = table_of(table);
		u64 e = t < 0 ? ~0ull : model_memory[t][ept_index(l2gpa, level)];

		if (!(e & permission_mask(role->user_exec))) {
			*permissions = 0;
			return 48;
		}
		*permissions &= e;
		if (!model_valid(role, e, level))
			return 49;
		bad = need & ~*permissions;
		if (model_is_leaf(e, level)) {
			*gpa = (e & EPT_ADDRESS) + (l2gpa & (ept_span(level) - 1));
			*leaf = e;
			*leaf_level = level;
			return bad ? 48 : 0;
		}
		table = e & EPT_ADDRESS;
	}
}

/* Has the walk of this address a flag to set? `dirty`: the leaf's dirty flag is one. Only where it succeeds.
 */
static bool model_sets_flags(const struct model_role *role, u64 l2gpa, u64 need, bool *dirty)
{
	u64 table = role->eptp & EPT_ADDRESS, e = ~0ull;
	bool accessed = false;
	unsigned int level = 5;

	*dirty = false;
	if (!(role->eptp & EPTP_AD))
		return false;
	do {
		e = table_of(table) < 0 ? ~0ull : model_memory[table_of(table)][ept_index(l2gpa, --level)];
		accessed |= !(e & EPT_ACCESSED);
		table = e & EPT_ADDRESS;
	} while (!model_is_leaf(e, level));
	*dirty = (need & EPT_WRITE) && !(e & EPT_DIRTY);
	return accessed || *dirty;
}

/* A/D flags that the walk may have set. */
static void note_path(const struct model_role *role, u64 l2gpa)
{
	u64 table = role->eptp & EPT_ADDRESS;

	for (unsigned int level = 4; level; level--) {
		int t = table_of(table);
		unsigned int index = ept_index(l2gpa, level);

		if (t < 0)
			return;
		note(t, index);
		if (!model_valid(role, model_memory[t][index], level) ||
		    model_is_leaf(model_memory[t][index], level))
			return;
		table = model_memory[t][index] & EPT_ADDRESS;
	}
}

/* What is not there: this CPU's page of ones, writable only for the instruction that is being stepped. */
static bool model_leads_to(u64 gpa, const struct translation *t)
{
	struct ept02_cache *cache = model_vcpus[model_cpu].nested.ept;

	gpa = ALIGN_DOWN(gpa, PAGE_SIZE);
	if (!touches_window(gpa, 1))
		return t->hpa == gpa;
	return t->hpa == page_phys(cache->absent).v && (!(t->permissions & EPT_WRITE) || cache->step_count);
}

/* Was there, since the last INVEPT, a value of each entry on the way so that the translation is theirs? */
static bool model_allows(const struct model_role *role, u64 since, u64 table, unsigned int level, u64 l2gpa,
			 u64 permissions, const struct translation *t)
{
	unsigned int index = ept_index(l2gpa, level);
	int n = table_of(table);
	u64 until = ~0ull;

	if (n < 0)
		return false;
	for (u32 i = history_count[n][index]; i-- && until > since; until = history[n][index][i].from) {
		u64 e = history[n][index][i].value;
		u64 p = permissions & e;

		if (!model_valid(role, e, level))
			continue;
		if ((role->eptp & EPTP_AD) && !(e & EPT_ACCESSED))
			continue;
		if (!model_is_leaf(e, level)) {
			if (model_allows(role, since, e & EPT_ADDRESS, level - 1, l2gpa, p, t))
				return true;
			continue;
		}
		if ((role->eptp & EPTP_AD) && !(e & EPT_DIRTY))
			p &= ~EPT_WRITE;
		if (t->permissions & ~p)
			continue;
		if (t->level > level ||
		    !model_leads_to((e & EPT_ADDRESS) + (l2gpa & (ept_span(level) - 1)), t))
			continue;
		if (t->memory_type == (e & (EPT_MEMTYPE | EPT_IGNORE_PAT)) || touches_window(t->hpa, 1))
			return true;
	}
	return false;
}

/* ---- steps ---- */

/* Entries that are used in each table: a few, and in the lowest ones a run that is filled to the last. */
#define RUN_FIRST 64
#define RUN 64
static const unsigned int indices[] = { 0, 1, 2, 3, 300, 511 };
#define USED (ARRAY_SIZE(indices) + RUN)

static unsigned int used_index(unsigned int i)
{
	return i < ARRAY_SIZE(indices) ? indices[i] : RUN_FIRST + i - (unsigned int)ARRAY_SIZE(indices);
}

static unsigned int random_index(unsigned int level)
{
	return used_index((unsigned int)rnd(level == 1 && rnd(2) ? USED : ARRAY_SIZE(indices)));
}

/* Near the last one of this CPU more often than not: below a table that is in use already. */
static u64 random_l2gpa(void)
{
	unsigned int new_levels = rnd(4) ? (unsigned int)rnd(4) + 1 : 4;
	u64 gpa = rnd(PAGE_SIZE);

	for (unsigned int level = 1; level <= 4; level++) {
		unsigned int shift = 12 + 9 * (level - 1);

		gpa |= level <= new_levels ? (u64)random_index(level) << shift
					   : last_l2gpa[model_cpu] & GENMASK(shift + 8, shift);
	}
	return last_l2gpa[model_cpu] = gpa;
}

/* Tables 0-7 are roots, 8-15 stand below them, and so on; now and then L1 mixes them up. */
static unsigned int level_of_table(int table)
{
	return table < 8 ? 4 : table < 16 ? 3 : table < 28 ? 2 : 1;
}

static u64 random_table(unsigned int level)
{
	static const unsigned int first[] = { 0, 28, 16, 8, 0 }, count[] = { 0, 20, 12, 8, 8 };
	u64 table = rnd(20) ? first[level] + rnd(count[level]) : rnd(MODEL_TABLES + 1);

	return MODEL_TABLE_BASE + table * PAGE_SIZE;
}

static u64 random_page(unsigned int level)
{
	switch (rnd(3)) {
	case 0:
		if (!rnd(4))
			return ALIGN_DOWN(ABSENT_BASE + rnd(model_cpu_count) * PAGE_SIZE, ept_span(level));
		return ALIGN_DOWN(WINDOW_BASE - 0x3000 + rnd(0x310) * PAGE_SIZE, ept_span(level));
	case 1: return ALIGN_DOWN(0x20000000 + rnd(64) * PAGE_SIZE, ept_span(level));
	}
	return ALIGN_DOWN(rnd(1ull << (PHYSICAL_BITS - 12)) * PAGE_SIZE, ept_span(level));
}

static u64 random_permissions(void)
{
	return rnd(4) ? EPT_RWX | EPT_USER_EXEC : rnd(8) | (rnd(2) ? EPT_USER_EXEC : 0);
}

static u64 random_entry(unsigned int level, u64 old)
{
	static const u64 types[] = { MEMTYPE_UC, MEMTYPE_WC, MEMTYPE_WT, MEMTYPE_WP,
				     MEMTYPE_WB, MEMTYPE_WB, 2,		 7 };
	u64 leaf = random_permissions() | types[rnd(rnd(10) ? 6 : 8)] << EPT_MEMTYPE_SHIFT |
		   (rnd(8) ? 0 : EPT_IGNORE_PAT) | rnd(4) << 8 | (rnd(4) ? 0 : BIT(11));

	switch (rnd(20)) {
	case 0: return 0;
	case 1: return old ^ BIT(rnd(3));
	case 2: return old & ~(u64)EPT_WRITE;
	case 3: return old & ~(u64)EPT_ACCESSED;
	case 4: return old & ~(u64)EPT_DIRTY;
	case 5: return old ^ BIT(52 + rnd(10));
	case 6: return rnd(4) ? old : rnd(~0ull);
	case 7: return old ^ EPT_USER_EXEC;
	}
	if (level == 1)
		return leaf | random_page(1);
	if (level < 4 && !rnd(3))
		return leaf | random_page(level) | EPT_LEAF;
	return random_permissions() | rnd(4) << 8 | random_table(level - 1);
}

/* Pages one after the other, with all flags set: what a processor that looks around finds at once. */
static void edit_run(int table)
{
	u64 entry = EPT_RWX | EPT_USER_EXEC | EPT_ACCESSED | EPT_DIRTY | MEMTYPE_WB << EPT_MEMTYPE_SHIFT |
		    random_page(2);

	for (unsigned int index = RUN_FIRST; index < RUN_FIRST + RUN; index++) {
		model_memory[table][index] = entry + index * PAGE_SIZE;
		note(table, index);
	}
}

void model_edit(void)
{
	int table = (int)rnd(MODEL_TABLES);
	unsigned int index = random_index(rnd(4) ? 2 : level_of_table(table));

	if (level_of_table(table) == 1 && !rnd(8)) {
		edit_run(table);
		return;
	}
	model_memory[table][index] = random_entry(level_of_table(table), model_memory[table][index]);
	/* Back to what it was before: what remembers only one of the two must not be fooled. */
	if (!rnd(6))
		model_memory[table][index] = history[table][index][rnd(history_count[table][index])].value;
	note(table, index);
}

/*
 * "No freed table still reachable": L2 is about to run, and each table from which the processor may start a
 * walk still stands where it was when it was passed.
 */
static void check_structure_caches(void)
{
	const struct ept02_cache *cache = model_vcpus[model_cpu].nested.ept;

	for (int i = 0; i < PSC_SIZE; i++) {
		const struct psc_entry *c = &processors[model_cpu].psc[i];
		unsigned int level = c->level;
		u64 prefix = c->prefix;
		u32 table = (u32)((c->table - cache->pages_phys) / PAGE_SIZE);

		if (!c->valid)
			continue;
		for (; cache->tables[table].parent != EPT02_NONE && level < 4; prefix >>= 9, level++) {
			CHECK(cache->tables[table].level == level &&
				      cache->tables[table].index == prefix % EPT_ENTRIES,
			      "table %u of level %u", table, level);
			table = cache->tables[table].parent;
		}
		CHECK(level == 4 && cache->tables[table].level == 4 &&
			      ept02_phys(cache, table) == (c->eptp & EPT_ADDRESS),
		      "table %u, level %u, is no root", table, level);
	}
}

static u32 role_index(const struct nested_vmcs *slot)
{
	for (u32 i = 0; i < MODEL_ROLES; i++)
		if (model_roles[i].eptp == slot->v12.ept_pointer &&
		    model_roles[i].user_exec == v12_has_proc2(&slot->v12, PROC2_MODE_BASED_EXECUTE))
			return i;
	abort();
}

static const struct guest model_guest = { .level = 2, .uses_ept02 = true };

static void enter(unsigned int slot)
{
	struct processor *p = &processors[model_cpu];

	p->slot = &slots[model_cpu][slot];
	model_vcpus[model_cpu].nested.current = p->slot;
	model_vcpus[model_cpu].guest = &model_guest;
	p->eptp = ept02_pointer(&model_vcpus[model_cpu], p->slot);
	check_structure_caches();
}

static void step_invept(void)
{
	struct processor *p = &processors[model_cpu];
	u64 eptp = model_roles[rnd(MODEL_ROLES)].eptp;
	bool all = !rnd(4);

	ept02_invept(&model_vcpus[model_cpu], all ? INVEPT_ALL : INVEPT_SINGLE, eptp);
	for (unsigned int i = 0; i < MODEL_ROLES; i++)
		if (all || !((model_roles[i].eptp ^ eptp) & EPT_ADDRESS))
			p->invept_since[i] = model_now;
	enter((unsigned int)(p->slot - slots[model_cpu]));
}

static u64 steps_ok, steps_violation, steps_misconfig, steps_absent, steps_log_full;

static void set_register(struct vcpu *vcpu, enum reg reg, u64 value)
{
	vcpu->vmcs01.cache.available |= BIT(reg);
	vcpu->vmcs01.cache.value[reg] = value;
}

/* SDM "Page-Modification Logging": what the violation in hand wrote to the log, `index` being that of before.
 */
static void check_log(const struct nested_vmcs *slot, u64 index, bool dirty, u64 l2gpa)
{
	bool logs = dirty && v12_has_proc2(&slot->v12, PROC2_PML);

	CHECK(slot->v12.guest_pml_index == (logs ? (u16)(index - 1) : index), "index %llx",
	      (unsigned long long)slot->v12.guest_pml_index);
	if (logs)
		CHECK(log_written == PML_ADDRESS + index * 8 && log_value == ALIGN_DOWN(l2gpa, PAGE_SIZE),
		      "%llx at %llx", (unsigned long long)log_value, (unsigned long long)log_written);
	else
		CHECK(!log_written, "%llx", (unsigned long long)log_written);
}

static void check_translation(const struct model_role *role, u64 l2gpa, const struct translation *t,
			      u64 since)
{
	CHECK(model_allows(role, since, role->eptp & EPT_ADDRESS, 4, l2gpa, permission_mask(role->user_exec),
			   t),
	      "eptp %llx l2gpa %llx hpa %llx permissions %llx level %u", (unsigned long long)role->eptp,
	      (unsigned long long)l2gpa, (unsigned long long)t->hpa, (unsigned long long)t->permissions,
	      t->level);
}

/* The instruction that wrote to absent memory is over. */
static void finish_step(struct vcpu *vcpu)
{
	struct ept02_cache *cache = vcpu->nested.ept;

	if (!cache->step_count)
		return;
	steps_absent++;
	CHECK(proc_controls[model_cpu] & PROC_MTF, "no monitor trap flag");
	memset(cache->absent, 0, PAGE_SIZE);
	vcpu->exit_reason = EXIT_MTF;
	CHECK(ept02_absent_finish(vcpu), "the step's exit is L0's");
	CHECK(!(proc_controls[model_cpu] & PROC_MTF) && cache->absent[0] == 0xff &&
		      cache->absent[4095] == 0xff,
	      "not restored");
}

/* L1 looks after a violation: it may allow more on the way there, then goes on with this L2 or another. */
static void after_reflection(u64 l2gpa, u64 need)
{
	u64 table = model_roles[role_index(processors[model_cpu].slot)].eptp & EPT_ADDRESS;

	for (unsigned int level = 4; level && rnd(4); level--) {
		unsigned int index = ept_index(l2gpa, level);
		int t = table_of(table);

		if (t < 0)
			break;
		if (model_memory[t][index])
			model_memory[t][index] |= need | EPT_READ | (rnd(2) ? EPT_ACCESSED | EPT_DIRTY : 0);
		else
			model_memory[t][index] = random_entry(level, 0);
		note(t, index);
		if (model_is_leaf(model_memory[t][index], level))
			break;
		table = model_memory[t][index] & EPT_ADDRESS;
	}
	model_now++;
	enter(rnd(4) ? (unsigned int)(processors[model_cpu].slot - slots[model_cpu])
		     : (unsigned int)rnd(SLOTS));
}

static void access_at(u64 l2gpa)
{
	struct processor *p = &processors[model_cpu];
	struct vcpu *vcpu = &model_vcpus[model_cpu];
	struct model_role *role = &model_roles[role_index(p->slot)];
	u64 since = p->invept_since[role_index(p->slot)];
	u64 permissions, gpa, leaf = 0, need, access;
	unsigned int leaf_level;
	struct translation t;
	bool sets_flags, dirty;
	u64 log_index;
	u32 expected;

	switch (rnd(4)) {
	case 0: access = EPTV_READ | EPTV_LINEAR_VALID | EPTV_TRANSLATED; break;
	case 1: access = EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED; break;
	case 2: access = EPTV_FETCH | EPTV_LINEAR_VALID | EPTV_TRANSLATED | (rnd(2) ? EPTV_USER : 0); break;
	default: /* the guest's paging structures: a write if EPT12 has A/D flags on */
		access = EPTV_READ | EPTV_LINEAR_VALID | (p->eptp & EPTP_AD ? EPTV_WRITE : 0);
		CHECK(!((p->eptp ^ role->eptp) & EPTP_AD), "vmcs02's pointer %llx",
		      (unsigned long long)p->eptp);
	}
	/* What hardware tells of the guest's own paging goes through. */
	if (access & EPTV_TRANSLATED)
		access |= (rnd(2) ? EPTV_RW_PAGE : 0) | (rnd(2) ? EPTV_NX_PAGE : 0);
	need = access & (EPTV_READ | EPTV_WRITE);
	if (access & EPTV_FETCH)
		need |= role->user_exec && (access & EPTV_USER) ? EPT_USER_EXEC : EPT_EXEC;

	for (int attempt = 0; attempt < 3; attempt++) {
		if (hardware_translate(p, l2gpa, &t) && !(need & ~t.permissions)) {
			check_translation(role, l2gpa, &t, since);
			steps_ok++;
			finish_step(vcpu);
			return;
		}
		hardware_violation(p, l2gpa);
		vcpu->exit_reason = EXIT_EPT_VIOLATION;
		set_register(vcpu, REG_EXIT_QUALIFICATION, access | rnd(8) << EPTV_PERM_SHIFT | rnd(2) << 6);
		set_register(vcpu, REG_GUEST_PHYSICAL_ADDRESS, l2gpa);
		set_register(vcpu, REG_GUEST_LINEAR_ADDRESS, 0);
		set_register(vcpu, REG_EXIT_INSTRUCTION_LENGTH, 0);
		was_reflected = false;
		log_written = 0;
		log_index = p->slot->v12.guest_pml_index;
		expected = model_walk(role, l2gpa, need, &permissions, &gpa, &leaf, &leaf_level);
		sets_flags = dirty = false;
		if (!expected)
			sets_flags = model_sets_flags(role, l2gpa, need, &dirty);
		if (sets_flags && v12_has_proc2(&p->slot->v12, PROC2_PML) && log_index >= PML_ENTRIES) {
			expected = EXIT_PML_FULL;
			dirty = false;
		}
		ept02_violation(vcpu);
		check_log(p->slot, log_index, dirty, l2gpa);
		note_path(role, l2gpa);
		CHECK(was_reflected == (expected != 0), "expected %u at %llx", expected,
		      (unsigned long long)l2gpa);
		if (expected == 48) {
			u64 user = role->user_exec && (permissions & EPT_USER_EXEC) ? EPTV_PERM_USER_EXEC : 0;

			CHECK(reflected.reason == EXIT_EPT_VIOLATION &&
				      reflected.qualification ==
					      (access | (permissions & EPT_RWX) << EPTV_PERM_SHIFT | user),
			      "reason %u qualification %llx permissions %llx", reflected.reason,
			      (unsigned long long)reflected.qualification, (unsigned long long)permissions);
			steps_violation++;
			after_reflection(l2gpa, need);
			return;
		}
		if (expected == EXIT_PML_FULL) {
			CHECK(reflected.reason == EXIT_PML_FULL && !reflected.qualification, "reason %u",
			      reflected.reason);
			CHECK(model_sets_flags(role, l2gpa, need, &dirty), "no flag was set");
			p->slot->v12.guest_pml_index = rnd(4) ? rnd(3) : PML_ENTRIES + rnd(2);
			steps_log_full++;
			enter((unsigned int)(p->slot - slots[model_cpu]));
			return;
		}
		if (expected == 49) {
			CHECK(reflected.reason == EXIT_EPT_MISCONFIG, "reason %u", reflected.reason);
			steps_misconfig++;
			after_reflection(l2gpa, need);
			return;
		}
		check_structure_caches();
		/* What was just made is as large as both sides allow. */
		CHECK(hardware_walk(p, l2gpa, &t) &&
			      ept_span(t.level) ==
				      MIN(ept_span(leaf_level),
					  touches_window(gpa, 1) ? PAGE_SIZE : uniform_size(gpa)),
		      "level %u of %u", t.level, leaf_level);
	}
	CHECK(false, "no progress at %llx", (unsigned long long)l2gpa);
}

static void step_access(void)
{
	access_at(random_l2gpa());
}

/* A loop over the pages of a run. */
static void step_sweep(void)
{
	u64 run = random_l2gpa() & ~(u64)(SIZE_2M - 1);

	for (u64 index = RUN_FIRST; index < RUN_FIRST + RUN; index += 4)
		access_at(run | index << 12);
}

/* Every table is free or in one place. */
static u32 count_tables(struct ept02_cache *cache, u32 table)
{
	const struct ept02_table *t = &cache->tables[table];
	u32 count = 1;

	CHECK(t->level >= 1 && t->level <= 4, "level %u", t->level);
	for (unsigned int i = 0; i < EPT_ENTRIES; i++) {
		u64 entry = ept02_entries(cache, table)[i];

		CHECK(ept02_is_filled(t, i) || !entry, "entry %llx is not filled", (unsigned long long)entry);
		CHECK((t->links[i / 64] >> i % 64 & 1) ==
			      (ept02_is_filled(t, i) && !ept_is_leaf(entry, t->level)),
		      "entry %llx is a link, or is not", (unsigned long long)entry);
		if (!ept02_is_filled(t, i) || ept_is_leaf(entry, t->level))
			continue;
		u32 child = ept02_child(cache, entry);

		CHECK(cache->tables[child].parent == table && cache->tables[child].index == i &&
			      cache->tables[child].level == t->level - 1,
		      "child %u", child);
		count += count_tables(cache, child);
	}
	return count;
}

void model_check_cache(struct ept02_cache *cache)
{
	u32 count = 0, free = 0;

	for (u32 i = cache->free; i != EPT02_NONE; i = cache->tables[i].parent) {
		for (unsigned int j = 0; j < EPT_ENTRIES; j++)
			CHECK(!ept02_entries(cache, i)[j] || ept02_is_filled(&cache->tables[i], j),
			      "an entry of a free table would not be cleared");
		free++;
	}
	for (unsigned int i = 0; i < EPT02_ROOTS; i++)
		if (cache->roots[i].used)
			count += count_tables(cache, cache->roots[i].table);
	CHECK(free == cache->free_count && count + free == cache->count, "%u + %u of %u", count, free,
	      cache->count);
}

/* Pairs that share a root table differ in their A/D flag (4 and 7, 5 and 6) or in the mode-based control. */
static u64 root_of_role(u64 role)
{
	static const u8 roots[MODEL_ROLES] = { 0, 1, 2, 3, 4, 5, 5, 4, 2, 3 };

	return roots[role];
}

void model_build(u64 seed, u64 tables, u32 share)
{
	memset(model_memory, 0, sizeof(model_memory));
	memset(processors, 0, sizeof(processors));
	memset(model_vcpus, 0, sizeof(model_vcpus));
	memset(slots, 0, sizeof(slots));
	for (int t = 0; t < MODEL_TABLES; t++)
		for (unsigned int i = 0; i < USED; i++)
			history_count[t][used_index(i)] = 0;
	random_input = NULL;
	random_state = seed;
	absent_count = 0;
	memset(last_l2gpa, 0, sizeof(last_l2gpa));
	model_now = 1;
	caps12.ept_vpid = BIT(0) | BIT(6) | BIT(8) | BIT(14) | BIT(16) | BIT(17) | BIT(21) | BIT(22);
	caps12.physical_bits = PHYSICAL_BITS;
	options.ept_large = true;
	options.ept02_budget = tables * (2 * PAGE_SIZE + sizeof(struct ept02_table));
	for (u64 i = 0; i < MODEL_ROLES; i++)
		model_roles[i] = (struct model_role){
			.eptp = (MODEL_TABLE_BASE + root_of_role(i) * PAGE_SIZE) | MEMTYPE_WB |
				3 << EPTP_WALK_SHIFT | (i & 1 ? EPTP_AD : 0),
			.user_exec = i == 3 || i == 8,
		};
	for (int t = 0; t < MODEL_TABLES; t++)
		for (unsigned int i = 0; i < USED; i++)
			note(t, used_index(i));
	for (model_cpu = 0; model_cpu < model_cpu_count; model_cpu++) {
		struct vcpu *vcpu = &model_vcpus[model_cpu];

		vcpu->vmcs = &vcpu->vmcs01;
		vcpu->vm = &vm;
		set_register(vcpu, REG_IDT_VECTORING_INFO, 0);
		set_register(vcpu, REG_INTERRUPTIBILITY, 0);
		ept02_init(vcpu);
		vcpu->nested.ept->sync_share = share;
		for (unsigned int s = 0; s < SLOTS; s++) {
			struct vmcs12 *v12 = &slots[model_cpu][s].v12;

			v12->proc_controls = PROC_SECONDARY;
			v12->proc2_controls =
				PROC2_EPT | (model_roles[s].user_exec ? PROC2_MODE_BASED_EXECUTE : 0);
			v12->ept_pointer = model_roles[s].eptp;
			if (s == 5 || s == 7) {
				v12->proc2_controls |= PROC2_PML;
				v12->pml_address = PML_ADDRESS;
				v12->guest_pml_index = 3;
			}
		}
		enter(0);
	}
}

void model_free(void)
{
	open_guards();
	for (model_cpu = 0; model_cpu < model_cpu_count; model_cpu++) {
		struct ept02_cache *cache = model_vcpus[model_cpu].nested.ept;

		free(cache->pages);
		free(cache->snapshots);
		free(cache->tables);
		free(cache->absent);
		free(cache);
	}
}

/* One step of L1, L2 or L0. */
void model_step(bool alone)
{
	model_now++;
	model_cpu = (unsigned int)rnd(model_cpu_count);
	switch (rnd(100)) {
	case 0 ... 27: model_edit(); break;
	case 28 ... 32: step_invept(); break;
	case 33 ... 38: enter(alone && rnd(500) ? 0 : (unsigned int)rnd(SLOTS)); break;
	case 39:
		if (!rnd(8))
			step_sweep();
		if (!rnd(50))
			nested_ept01_changed(&model_vcpus[model_cpu]);
		break;
	default: step_access();
	}
}

/* A fuzzer's bytes choose the steps; returns when they are used up. */
void model_run_input(const u8 *data, size_t size)
{
	random_input = data;
	random_left = size;
	while (random_left)
		model_step(false);
}

void model_print_counts(void)
{
	printf("accesses %llu, violations %llu, misconfigurations %llu, absent %llu, full logs %llu, flushes "
	       "%llu\n",
	       (unsigned long long)steps_ok, (unsigned long long)steps_violation,
	       (unsigned long long)steps_misconfig, (unsigned long long)steps_absent,
	       (unsigned long long)steps_log_full, (unsigned long long)flushes);
}
