/* SPDX-License-Identifier: MIT */
/*
 * What the tests of L2's entries and exits share: L1's VMREAD and VMWRITE as one word, the pages that an L1
 * uses, qualifications of CR accesses, an L2 in PAE paging, MSR lists, and what a VMX abort leaves.
 */
#ifndef TESTS_UNIT_L2_SUPPORT_H
#define TESTS_UNIT_L2_SUPPORT_H

#include "tests/unit/machine.h"

#define W(field, value) assert_int_equal(l1_vmwrite(VMCS_##field, value), 0)
#define R(field)                                                                                             \
	({                                                                                                   \
		u64 value_;                                                                                  \
		assert_int_equal(l1_vmread(VMCS_##field, &value_), 0);                                       \
		value_;                                                                                      \
	})

enum {
	P_IO_A = M_SPARE,
	P_IO_B = M_SPARE + 0x1000,
	P_MSR = M_SPARE + 0x2000,
	P_STORE = M_SPARE + 0x3000,
	P_LOAD = M_SPARE + 0x4000,
	P_ENTRY = M_SPARE + 0x5000,
	P_VMREAD = M_SPARE + 0x6000,
	P_VMWRITE = M_SPARE + 0x7000,
	P_EPT = M_SPARE + 0x10000
};

#define QUAL_MOV_TO(cr, gpr) ((cr) | (u64)(gpr) << 8)
#define QUAL_MOV_FROM(cr, gpr) ((cr) | 1u << 4 | (u64)(gpr) << 8)
#define QUAL_CLTS (2u << 4)
#define QUAL_LMSW(source) (3u << 4 | (u64)(source) << 16)
#define NMI_EXIT .reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI

/* The VMCS that L1 wrote for the L2 that is current. */
struct vmcs12 *l2_v12(void);
/* The same, to write in it behind L0's back: whoever does says so (slot->to_push). */
struct vmcs12 *l2_v12_to_write(void);
/* Processor-based controls in it: what must be 1, the secondary ones, and these bits. */
void l2_set_proc(u64 bits);
/* PAE paging with an EPT12 at P_EPT that maps 4 GiB as they are, and PDPTEs at M_SPARE. */
void l2_run_pae(void);
/* L2 executes the RDMSR or WRMSR of the first bit that is clear in this word of both bitmaps, L1's and L0's:
 * it goes on in L2. False: there is none. */
bool l2_uses_msr_of_word(u64 l1_bitmap, u32 word);
/* A valid VMCS with an MSR bitmap at P_MSR, whatever is there. */
void l2_prepare_msr_bitmap(void);
/* Entry n of a list. */
void l2_put_msr(u64 list, unsigned int n, u32 msr, u32 reserved, u64 value);
/* A valid VMCS with so many entries in the lists at P_ENTRY, P_STORE and P_LOAD. */
void l2_prepare_lists(u64 entry, u64 store, u64 load);
/* L1's processor is in shutdown, with this indicator in its VMCS. */
void l2_assert_aborted(u32 indicator);

#endif
