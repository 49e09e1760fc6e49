/* SPDX-License-Identifier: MIT */
/*
 * Guest test "fuzzentry": all that L1 may see after an entry, in one number: what the SDM gives a value of
 * the exit information, the guest area, now and then every other field, L1's own state as the exit loaded it,
 * L2's registers and the MSR lists. Left out is what the SDM leaves undefined, and the time.
 */
#include "tests/guest/fuzz.h"

static u64 hash_exit(u64 hash, struct template *t, u32 reason)
{
	u64 intr = t->intr = vmread(F_EXIT_INTR_INFO), idt = t->idt = vmread(F_IDT_INFO);

	t->length = vmread(F_EXIT_LENGTH);
	hash = hash_add(hash, intr & INTR_VALID ? intr : 0);
	hash = hash_add(hash, intr & INTR_VALID && intr & INTR_CODE ? vmread(F_EXIT_ERROR_CODE) : 0);
	hash = hash_add(hash, idt & INTR_VALID ? idt : 0);
	hash = hash_add(hash, idt & INTR_VALID && idt & INTR_CODE ? vmread(F_IDT_ERROR_CODE) : 0);
	if (idt & INTR_VALID && (idt & 0x700) >= INTR_SOFT && (idt & 0x700) != INTR_OTHER)
		hash = hash_add(hash, t->length);
	if (reason == REASON_EPT_VIOLATION || reason == REASON_EPT_MISCONFIG)
		hash = hash_add(hash, vmread(F_GUEST_PHYSICAL));
	if (reason == REASON_EPT_VIOLATION && vmread(F_QUALIFICATION) & BIT(7))
		hash = hash_add(hash, vmread(F_GUEST_LINEAR));
	if (reason == REASON_VMCALL)
		hash = hash_add(hash, t->length);
	return hash;
}

/* A failed entry writes exit reason and qualification only, VMfail neither. */
static u64 hash_failure(u64 hash, const struct template *t)
{
	hash = hash_add(hash, vmread(F_EXIT_INTR_INFO) == t->intr);
	hash = hash_add(hash, vmread(F_IDT_INFO) == t->idt);
	return hash_add(hash, vmread(F_EXIT_LENGTH) == t->length);
}

static u64 hash_fields(u64 hash, struct template *t, bool all)
{
	bool pae = vmread(F_GUEST_CR4) & CR4_PAE && vmread(F_GUEST_CR0) & CR0_PG &&
		   !(vmread(F_ENTRY) & ENTRY_IA32E);
	u32 i;

	for (i = 0; i < FIELDS; i++) {
		u32 f = all_fields[i];
		u64 v;

		if (!exists[i] || read_only(f) || f == F_HOST_RSP || (!is_guest(f) && !all))
			continue;
		v = vmread(f);
		if (is_guest(f)) {
			t->now[i] = v;
			t->known[i] = true;
		}
		if (f == F_GUEST_TIMER || (f >= F_GUEST_PDPTE0 && f <= F_GUEST_PDPTE3 && !pae))
			continue;
		hash = hash_add(hash, v);
	}
	return hash;
}

#define SELECTOR(name)                                                                                       \
	({                                                                                                   \
		u16 v_;                                                                                      \
		asm volatile(name " %0" : "=r"(v_));                                                         \
		(u64) v_;                                                                                    \
	})

static u64 hash_host(u64 hash, bool entered)
{
	static const u32 msrs[] = { MSR_EFER,		MSR_PAT,	 MSR_STAR,	   MSR_LSTAR,
				    MSR_CSTAR,		MSR_SFMASK,	 MSR_FS_BASE,	   MSR_GS_BASE,
				    MSR_KERNEL_GS_BASE, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
				    MSR_DEBUGCTL };
	struct table_register gdtr, idtr;
	u32 i;

	hash = hash_add(hash, cr0_read());
	hash = hash_add(hash, cr3_read());
	hash = hash_add(hash, cr4_read());
	hash = hash_add(hash, dr7_read());
	hash = hash_add(hash, dr6_read());
	hash = hash_add(hash, cr2_read());
	hash = hash_add(hash, rflags_read() & ~0x8d5ul);
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		hash = hash_add(hash, msr_read(msrs[i]));
	gdt_read(&gdtr);
	idt_read(&idtr);
	hash = hash_add(hash_add(hash, gdtr.base), gdtr.limit);
	hash = hash_add(hash_add(hash, idtr.base), idtr.limit);
	hash = hash_add(hash, SELECTOR("mov %%es,") | SELECTOR("mov %%cs,") << 16 |
				      SELECTOR("mov %%ss,") << 32 | SELECTOR("mov %%ds,") << 48);
	return hash_add(hash, SELECTOR("mov %%fs,") | SELECTOR("mov %%gs,") << 16 |
				      (entered ? SELECTOR("str") : 0) << 32 | SELECTOR("sldt") << 48);
}

u64 fuzz_hash(struct template *t, u32 reason, const struct msr_entry *lists, bool all)
{
	u64 hash = hash_add(0, reason);
	bool exited = !(reason & VM_FAIL);
	u32 i;

	if (exited)
		hash = hash_add(hash, vmread(F_QUALIFICATION));
	if (exited && !(reason & REASON_FAILED_ENTRY))
		hash = hash_exit(hash, t, reason);
	else
		hash = hash_failure(hash, t);
	hash = hash_add(hash, vmread(F_ENTRY_INTR_INFO));
	/* VMfail leaves everything as it was: looked at now and then */
	if (exited || all)
		hash = hash_host(hash_fields(hash, t, all), exited);
	for (i = 0; i < 16; i++)
		if (i != 4)
			hash = hash_add(hash, ((u64 *)&t->vm.regs)[i]);
	for (i = 0; i < 8; i++)
		hash = hash_add(hash, FUZZ_LIST(lists, FUZZ_STORE)[i].value);
	for (i = 0; all && i < 64; i++)
		hash = hash_add(hash, *(u32 *)ptr_of(t->values[FUZZ_VIRTUAL_APIC] + i * 16));
	return hash;
}
