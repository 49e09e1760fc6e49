/* SPDX-License-Identifier: MIT */
/*
 * The checks at VM entry, each rule once: a valid vmcs12, one mutation, and the field and the rule that must
 * be named. A row without a rule is a mutation that must pass. SDM: "VM Entries".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/valid12.h"

enum base { LONG, PROTECTED, PAE, REAL, V86, LEGACY_HOST };

static struct vmcs12 v12;
static struct check_env env;

static void make(enum base base)
{
	valid12_init(&v12, &env);
	switch (base) {
	case LONG: break;
	case PROTECTED: valid12_protected(&v12); break;
	case PAE: valid12_pae(&v12); break;
	case REAL: valid12_real(&v12); break;
	case V86: valid12_v86(&v12); break;
	case LEGACY_HOST:
		valid12_protected(&v12);
		env.l1_long_mode = false;
		v12.exit_controls &= ~(u64)EXIT_HOST_64;
		v12.host_efer = 0;
		v12.host_rip = 0x100000;
		break;
	}
}

#define INJECT(type, vector) (INTR_INFO_VALID | (type) << INTR_INFO_TYPE_SHIFT | (vector))
#define PROC2(bits) (v12.proc2_controls |= (bits))
#define NO_PROC2(bits) (v12.proc2_controls &= ~(u64)(bits))
#define PROC(bits) (v12.proc_controls |= (bits))
#define PIN(bits) (v12.pin_controls |= (bits))
#define NO_PIN(bits) (v12.pin_controls &= ~(u64)(bits))
#define EXIT(bits) (v12.exit_controls |= (bits))
#define NO_EXIT(bits) (v12.exit_controls &= ~(u64)(bits))
#define ENTRY(bits) (v12.entry_controls |= (bits))
#define NO_ENTRY(bits) (v12.entry_controls &= ~(u64)(bits))
#define RESTRICTED() NO_PROC2(PROC2_UNRESTRICTED_GUEST)
#define VTPR(value) (valid12_memory[VALID12_VAPIC + 0x80] = (value))
#define TPR_SHADOW() (PROC(PROC_TPR_SHADOW), v12.virtual_apic_addr = VALID12_VAPIC)
#define VIRTUAL_INTERRUPTS() (TPR_SHADOW(), PROC2(PROC2_VIRTUAL_INTERRUPT), PIN(PIN_EXTERNAL_INTERRUPT))
#define POSTED()                                                                                             \
	(VIRTUAL_INTERRUPTS(), PIN(PIN_POSTED_INTERRUPTS), EXIT(EXIT_ACK_INTERRUPT),                         \
	 v12.posted_intr_desc_addr = 0x40)
#define NON_CANONICAL 0x0000800000000000ull
#define WIDE BIT(39) /* beyond the physical-address width */

/*
 * ROW(base, mutation, failing field or NULL, the rule's identifier, qualification). A mutation is plain C.
 */
#define CONTROL_ROWS(ROW)                                                                                    \
	ROW(LONG, (void)0, NULL, "", 0)                                                                      \
	/* what looks like a breach and is none, and limits */                                               \
	ROW(LONG, v12.vmread_bitmap = 1, NULL, "", 0)                                                        \
	ROW(LONG, v12.vmwrite_bitmap = 1, NULL, "", 0)                                                       \
	ROW(LONG, v12.ve_info_addr = 1, NULL, "", 0)                                                         \
	ROW(LONG, v12.eptp_list_addr = 1, NULL, "", 0)                                                       \
	ROW(LONG, v12.pml_address = 1, NULL, "", 0)                                                          \
	ROW(LONG, (POSTED(), v12.posted_intr_nv = 0xff), NULL, "", 0)                                        \
	ROW(LONG, (PROC2(PROC2_VMFUNC), v12.eptp_list_addr = 8), NULL, "", 0)                                \
	ROW(LONG,                                                                                            \
	    (PROC2(PROC2_VMFUNC), valid12_caps.vmfunc |= 2, v12.vm_function_controls = 2,                    \
	     v12.eptp_list_addr = 8),                                                                        \
	    NULL, "", 0)                                                                                     \
	ROW(LONG, (v12.exit_msr_store_count = 2, v12.exit_msr_store_addr = ~0xfull), "exit_msr_store_addr",  \
	    "exit_store_aligned", 0)                                                                         \
	ROW(PROTECTED, (void)0, NULL, "", 0)                                                                 \
	ROW(PAE, (void)0, NULL, "", 0)                                                                       \
	ROW(REAL, (void)0, NULL, "", 0)                                                                      \
	ROW(V86, (void)0, NULL, "", 0)                                                                       \
	ROW(LONG, NO_PIN(BIT(1)), "pin_controls", "pin_allowed", 0)                                          \
	ROW(LONG, PIN(BIT(8)), "pin_controls", "pin_allowed", 0)                                             \
	ROW(LONG, v12.proc_controls &= ~BIT(1), "proc_controls", "proc_allowed", 0)                          \
	ROW(LONG, PROC(BIT(0)), "proc_controls", "proc_allowed", 0)                                          \
	ROW(LONG, PROC2(BIT(27)), "proc2_controls", "proc2_allowed", 0)                                      \
	ROW(LONG, (PROC2(BIT(31)), v12.proc_controls &= ~PROC_SECONDARY), NULL, "", 0)                       \
	ROW(LONG, v12.cr3_target_count = 4, NULL, "", 0)                                                     \
	ROW(LONG, v12.cr3_target_count = 5, "cr3_target_count", "cr3_targets", 0)                            \
	ROW(LONG, v12.io_bitmap_a = 1, NULL, "", 0)                                                          \
	ROW(LONG, (PROC(PROC_IO_BITMAPS), v12.io_bitmap_a = 0x800), "io_bitmap_a", "io_bitmap_a", 0)         \
	ROW(LONG, (PROC(PROC_IO_BITMAPS), v12.io_bitmap_a = WIDE), "io_bitmap_a", "io_bitmap_a", 0)          \
	ROW(LONG, (PROC(PROC_IO_BITMAPS), v12.io_bitmap_b = 1), "io_bitmap_b", "io_bitmap_b", 0)             \
	ROW(LONG, (PROC(PROC_IO_BITMAPS), v12.io_bitmap_b = WIDE), "io_bitmap_b", "io_bitmap_b", 0)          \
	ROW(LONG, (PROC(PROC_MSR_BITMAPS), v12.msr_bitmap = 0xfff), "msr_bitmap", "msr_bitmap", 0)           \
	ROW(LONG, (PROC(PROC_MSR_BITMAPS), v12.msr_bitmap = WIDE), "msr_bitmap", "msr_bitmap", 0)            \
	ROW(LONG, v12.msr_bitmap = 0xfff, NULL, "", 0)                                                       \
	ROW(LONG, PROC2(PROC2_VMCS_SHADOWING), NULL, "", 0)                                                  \
	ROW(LONG, (PROC2(PROC2_VMCS_SHADOWING), v12.vmread_bitmap = 8), "vmread_bitmap", "vmread_bitmap", 0) \
	ROW(LONG, (PROC2(PROC2_VMCS_SHADOWING), v12.vmwrite_bitmap = WIDE), "vmwrite_bitmap",                \
	    "vmwrite_bitmap", 0)                                                                             \
	ROW(LONG, PIN(PIN_NMI_EXITING | PIN_VIRTUAL_NMIS), NULL, "", 0)                                      \
	ROW(LONG, PIN(PIN_VIRTUAL_NMIS), "pin_controls", "virtual_nmis", 0)                                  \
	ROW(LONG, (PIN(PIN_NMI_EXITING), PROC(PROC_NMI_WINDOW)), "proc_controls", "nmi_window", 0)           \
	ROW(LONG, (PIN(PIN_NMI_EXITING | PIN_VIRTUAL_NMIS), PROC(PROC_NMI_WINDOW)), NULL, "", 0)             \
	ROW(LONG, TPR_SHADOW(), NULL, "", 0)                                                                 \
	ROW(LONG, (TPR_SHADOW(), v12.virtual_apic_addr |= 4), "virtual_apic_addr", "virtual_apic", 0)        \
	ROW(LONG, (TPR_SHADOW(), v12.virtual_apic_addr = WIDE), "virtual_apic_addr", "virtual_apic", 0)      \
	ROW(LONG, (TPR_SHADOW(), v12.tpr_threshold = 0x10), "tpr_threshold", "tpr_threshold_bits", 0)        \
	ROW(LONG, (TPR_SHADOW(), v12.tpr_threshold = 5, VTPR(0x40)), "tpr_threshold", "tpr_threshold_vtpr",  \
	    0)                                                                                               \
	ROW(LONG, (TPR_SHADOW(), v12.tpr_threshold = 5, VTPR(0x50)), NULL, "", 0)                            \
	ROW(LONG, (TPR_SHADOW(), v12.tpr_threshold = 15, v12.virtual_apic_addr = 0x20000), NULL, "", 0)      \
	ROW(LONG, (TPR_SHADOW(), v12.tpr_threshold = 5, PROC2(PROC2_APIC_ACCESS)), NULL, "", 0)              \
	ROW(LONG, v12.tpr_threshold = 0x123, NULL, "", 0)                                                    \
	ROW(LONG, (VIRTUAL_INTERRUPTS(), v12.tpr_threshold = 0x123), NULL, "", 0)                            \
	ROW(LONG, PROC2(PROC2_VIRTUAL_X2APIC), "proc2_controls", "x2apic_needs_tpr", 0)                      \
	ROW(LONG, PROC2(PROC2_APIC_REGISTER_VIRT), "proc2_controls", "apic_registers_need_tpr", 0)           \
	ROW(LONG, PROC2(PROC2_VIRTUAL_INTERRUPT), "proc2_controls", "interrupts_need_tpr", 0)                \
	ROW(LONG, (PROC2(PROC2_APIC_ACCESS), v12.apic_access_addr = 0x10), "apic_access_addr",               \
	    "apic_access", 0)                                                                                \
	ROW(LONG, (PROC2(PROC2_APIC_ACCESS), v12.apic_access_addr = WIDE), "apic_access_addr",               \
	    "apic_access", 0)                                                                                \
	ROW(LONG, (TPR_SHADOW(), PROC2(PROC2_APIC_ACCESS | PROC2_VIRTUAL_X2APIC)), "proc2_controls",         \
	    "apic_or_x2apic", 0)                                                                             \
	ROW(LONG, (TPR_SHADOW(), PROC2(PROC2_VIRTUAL_X2APIC)), NULL, "", 0)                                  \
	ROW(LONG, VIRTUAL_INTERRUPTS(), NULL, "", 0)                                                         \
	ROW(LONG, (VIRTUAL_INTERRUPTS(), NO_PIN(PIN_EXTERNAL_INTERRUPT)), "pin_controls",                    \
	    "interrupts_need_exiting", 0)                                                                    \
	ROW(LONG, POSTED(), NULL, "", 0)                                                                     \
	ROW(LONG, (POSTED(), NO_PROC2(PROC2_VIRTUAL_INTERRUPT)), "proc2_controls", "posted_need_virtual", 0) \
	ROW(LONG, PIN(PIN_POSTED_INTERRUPTS), "proc2_controls", "posted_need_virtual", 0)                    \
	ROW(LONG, (POSTED(), NO_EXIT(EXIT_ACK_INTERRUPT)), "exit_controls", "posted_need_ack", 0)            \
	ROW(LONG, (POSTED(), v12.posted_intr_nv = 0x100), "posted_intr_nv", "posted_vector", 0)              \
	ROW(LONG, (POSTED(), v12.posted_intr_desc_addr = 0x20), "posted_intr_desc_addr", "posted_aligned",   \
	    0)                                                                                               \
	ROW(LONG, (POSTED(), v12.posted_intr_desc_addr = WIDE), "posted_intr_desc_addr", "posted_width", 0)  \
	ROW(LONG, v12.vpid = 0, "vpid", "vpid", 0)                                                           \
	ROW(LONG, (v12.vpid = 0, NO_PROC2(PROC2_VPID)), NULL, "", 0)                                         \
	ROW(LONG, v12.ept_pointer ^= 7, "ept_pointer", "eptp_type", 0)                                       \
	ROW(LONG, v12.ept_pointer &= ~7ull, NULL, "", 0)                                                     \
	ROW(LONG, v12.ept_pointer ^= 1 << EPTP_WALK_SHIFT, "ept_pointer", "eptp_walk", 0)                    \
	ROW(LONG, v12.ept_pointer |= EPTP_AD, NULL, "", 0)                                                   \
	ROW(LONG, (v12.ept_pointer |= EPTP_AD, valid12_caps.ept_vpid &= ~BIT(21)), "ept_pointer", "eptp_ad", \
	    0)                                                                                               \
	ROW(LONG, v12.ept_pointer |= BIT(8), "ept_pointer", "eptp_reserved", 0)                              \
	ROW(LONG, v12.ept_pointer |= WIDE, "ept_pointer", "eptp_reserved", 0)                                \
	ROW(LONG, (v12.ept_pointer = 7, NO_PROC2(PROC2_EPT | PROC2_UNRESTRICTED_GUEST)), NULL, "", 0)        \
	ROW(LONG, NO_PROC2(PROC2_EPT), "proc2_controls", "unrestricted_needs_ept", 0)                        \
	ROW(LONG, (RESTRICTED(), NO_PROC2(PROC2_EPT), PROC2(PROC2_MODE_BASED_EXECUTE)), "proc2_controls",    \
	    "user_execute_needs_ept", 0)                                                                     \
	ROW(LONG, (RESTRICTED(), NO_PROC2(PROC2_EPT), PROC2(PROC2_SUB_PAGE_WRITE)), "proc2_controls",        \
	    "sub_page_needs_ept", 0)                                                                         \
	ROW(LONG, (RESTRICTED(), NO_PROC2(PROC2_EPT), PROC2(PROC2_PML)), "proc2_controls", "pml_needs_ept",  \
	    0)                                                                                               \
	ROW(LONG, (RESTRICTED(), NO_PROC2(PROC2_EPT), PROC2(PROC2_PT_GPA)), "proc2_controls",                \
	    "pt_needs_ept", 0)                                                                               \
	ROW(LONG, PROC2(PROC2_MODE_BASED_EXECUTE | PROC2_PML), NULL, "", 0)                                  \
	ROW(LONG, (PROC2(PROC2_PML), v12.pml_address = 2), "pml_address", "pml_address", 0)                  \
	ROW(LONG, (PROC2(PROC2_PML), v12.pml_address = WIDE), "pml_address", "pml_address", 0)               \
	ROW(LONG, (PROC2(PROC2_VE), v12.ve_info_addr = 0x1000), NULL, "", 0)                                 \
	ROW(LONG, (PROC2(PROC2_VE), v12.ve_info_addr = 0x1001), "ve_info_addr", "ve_info", 0)                \
	ROW(LONG, (PROC2(PROC2_VMFUNC), v12.vm_function_controls = 2), "vm_function_controls",               \
	    "vmfunc_reserved", 0)                                                                            \
	ROW(LONG, v12.vm_function_controls = 2, NULL, "", 0)                                                 \
	ROW(LONG, (PROC2(PROC2_VMFUNC), v12.vm_function_controls = 1), NULL, "", 0)                          \
	ROW(LONG, (PROC2(PROC2_VMFUNC), v12.vm_function_controls = 1, v12.eptp_list_addr = 8),               \
	    "eptp_list_addr", "eptp_list", 0)                                                                \
	ROW(LONG, (RESTRICTED(), NO_PROC2(PROC2_EPT), PROC2(PROC2_VMFUNC), v12.vm_function_controls = 1),    \
	    "proc2_controls", "eptp_switching_needs_ept", 0)                                                 \
	ROW(LONG, (PROC2(PROC2_TSC_SCALING), v12.tsc_multiplier = 0), "tsc_multiplier", "tsc_multiplier", 0) \
	ROW(LONG, PROC2(PROC2_TSC_SCALING), NULL, "", 0)                                                     \
	ROW(LONG, NO_EXIT(BIT(0)), "exit_controls", "exit_allowed", 0)                                       \
	ROW(LONG, EXIT(BIT(31)), "exit_controls", "exit_allowed", 0)                                         \
	ROW(LONG, EXIT(EXIT_SAVE_PREEMPTION_TIMER), "exit_controls", "save_timer", 0)                        \
	ROW(LONG, (EXIT(EXIT_SAVE_PREEMPTION_TIMER), PIN(PIN_PREEMPTION_TIMER)), NULL, "", 0)                \
	ROW(LONG, v12.exit_msr_store_addr = 1, NULL, "", 0)                                                  \
	ROW(LONG, (v12.exit_msr_store_count = 1, v12.exit_msr_store_addr = 8), "exit_msr_store_addr",        \
	    "exit_store_aligned", 0)                                                                         \
	ROW(LONG, (v12.exit_msr_store_count = 1, v12.exit_msr_store_addr = WIDE), "exit_msr_store_addr",     \
	    "exit_store_aligned", 0)                                                                         \
	ROW(LONG, (v12.exit_msr_store_count = 1, v12.exit_msr_store_addr = WIDE - 16), NULL, "", 0)          \
	ROW(LONG, (v12.exit_msr_store_count = 2, v12.exit_msr_store_addr = WIDE - 16),                       \
	    "exit_msr_store_addr", "exit_store_end", 0)                                                      \
	ROW(LONG, (v12.exit_msr_load_count = 1, v12.exit_msr_load_addr = 4), "exit_msr_load_addr",           \
	    "exit_load_aligned", 0)                                                                          \
	ROW(LONG, NO_ENTRY(BIT(0)), "entry_controls", "entry_allowed", 0)                                    \
	ROW(LONG, ENTRY(BIT(31)), "entry_controls", "entry_allowed", 0)                                      \
	ROW(LONG, ENTRY(ENTRY_SMM), "entry_controls", "entry_smm", 0)                                        \
	ROW(LONG, ENTRY(ENTRY_DEACTIVATE_DUAL_MONITOR), "entry_controls", "entry_dual_monitor", 0)           \
	ROW(LONG, (v12.entry_msr_load_count = 3, v12.entry_msr_load_addr = 2), "entry_msr_load_addr",        \
	    "entry_load_aligned", 0)                                                                         \
	ROW(LONG, (v12.entry_msr_load_count = 0xffffffff, v12.entry_msr_load_addr = WIDE - 16),              \
	    "entry_msr_load_addr", "entry_load_end", 0)

#define EVENT_ROWS(ROW)                                                                                      \
	ROW(LONG, v12.entry_intr_info = 0x7fffffff, NULL, "", 0)                                             \
	/* what looks like a breach and is none, and limits */                                               \
	ROW(LONG,                                                                                            \
	    (RESTRICTED(), v12.guest_cr0 &= ~(u64)CR0_PE, v12.entry_intr_info = INJECT(3, 13) | BIT(11)),    \
	    NULL, "", 0)                                                                                     \
	ROW(LONG, (v12.entry_intr_info = INJECT(3, 6), v12.entry_exception_error_code = BIT(16)), NULL, "",  \
	    0)                                                                                               \
	ROW(LONG, v12.entry_intr_info = INJECT(3, 31), NULL, "", 0)                                          \
	ROW(LONG, (v12.entry_intr_info = INJECT(3, 6), v12.guest_interruptibility = 2), NULL, "", 0)         \
	ROW(LONG, (v12.entry_intr_info = INJECT(6, 3), v12.entry_instruction_length = 16),                   \
	    "entry_instruction_length", "event_length", 0)                                                   \
	ROW(LONG, (v12.entry_intr_info = INJECT(4, 3), v12.entry_instruction_length = 16),                   \
	    "entry_instruction_length", "event_length", 0)                                                   \
	ROW(LONG, (TPR_SHADOW(), v12.tpr_threshold = 0x10), "tpr_threshold", "tpr_threshold_bits", 0)        \
	ROW(LONG, PIN(PIN_VIRTUAL_NMIS), "pin_controls", "virtual_nmis", 0)                                  \
	ROW(LONG, (v12.entry_intr_info = INJECT(0, 32), v12.guest_rflags |= RFLAGS_IF), NULL, "", 0)         \
	ROW(LONG, v12.entry_intr_info = INJECT(1, 32), "entry_intr_info", "event_type", 0)                   \
	ROW(LONG, v12.entry_intr_info = INJECT(2, 2), NULL, "", 0)                                           \
	ROW(LONG, v12.entry_intr_info = INJECT(2, 3), "entry_intr_info", "event_nmi_vector", 0)              \
	ROW(LONG, v12.entry_intr_info = INJECT(3, 6), NULL, "", 0)                                           \
	ROW(LONG, v12.entry_intr_info = INJECT(3, 32), "entry_intr_info", "event_exception_vector", 0)       \
	ROW(LONG, v12.entry_intr_info = INJECT(7, 0), NULL, "", 0)                                           \
	ROW(LONG, v12.entry_intr_info = INJECT(7, 1), "entry_intr_info", "event_mtf_vector", 0)              \
	ROW(LONG, (v12.entry_intr_info = INJECT(7, 0), valid12_caps.proc.allowed1 &= ~(u32)PROC_MTF),        \
	    "entry_intr_info", "event_mtf", 0)                                                               \
	ROW(LONG, v12.entry_intr_info = INJECT(3, 6) | BIT(12), "entry_intr_info", "event_reserved", 0)      \
	ROW(LONG, v12.entry_intr_info = INJECT(3, 6) | BIT(30), "entry_intr_info", "event_reserved", 0)      \
	ROW(LONG, v12.entry_intr_info = INJECT(3, 13), "entry_intr_info", "event_code_missing", 0)           \
	ROW(LONG, v12.entry_intr_info = INJECT(3, 13) | BIT(11), NULL, "", 0)                                \
	ROW(LONG, v12.entry_intr_info = INJECT(3, 6) | BIT(11), "entry_intr_info", "event_code_none", 0)     \
	ROW(LONG, v12.entry_intr_info = INJECT(3, 21) | BIT(11), "entry_intr_info", "event_code_none", 0)    \
	ROW(LONG, v12.entry_intr_info = INJECT(2, 2) | BIT(11), "entry_intr_info", "event_code_real", 0)     \
	ROW(LONG, (valid12_caps.basic |= BIT(56), v12.entry_intr_info = INJECT(3, 6) | BIT(11)), NULL, "",   \
	    0)                                                                                               \
	ROW(LONG, (valid12_caps.basic |= BIT(56), v12.entry_intr_info = INJECT(3, 13)), NULL, "", 0)         \
	ROW(LONG, (valid12_caps.basic |= BIT(56), v12.entry_intr_info = INJECT(2, 2) | BIT(11)),             \
	    "entry_intr_info", "event_code_real", 0)                                                         \
	ROW(REAL, v12.entry_intr_info = INJECT(3, 13) | BIT(11), "entry_intr_info", "event_code_real", 0)    \
	ROW(REAL, v12.entry_intr_info = INJECT(3, 13), NULL, "", 0)                                          \
	ROW(LONG, (v12.entry_intr_info = INJECT(3, 13) | BIT(11), v12.entry_exception_error_code = BIT(16)), \
	    "entry_exception_error_code", "error_code_high", 0)                                              \
	ROW(LONG, (v12.entry_intr_info = INJECT(3, 13) | BIT(11), v12.entry_exception_error_code = 0xffff),  \
	    NULL, "", 0)                                                                                     \
	ROW(LONG, v12.entry_intr_info = INJECT(4, 0x80), NULL, "", 0)                                        \
	ROW(LONG, (v12.entry_intr_info = INJECT(4, 0x80), valid12_caps.misc &= ~BIT(30)),                    \
	    "entry_instruction_length", "event_length_0", 0)                                                 \
	ROW(LONG, (v12.entry_intr_info = INJECT(5, 1), v12.entry_instruction_length = 16),                   \
	    "entry_instruction_length", "event_length", 0)                                                   \
	ROW(LONG, (v12.entry_intr_info = INJECT(6, 3), v12.entry_instruction_length = 15), NULL, "", 0)      \
	ROW(LONG, (v12.entry_intr_info = INJECT(3, 6), v12.entry_instruction_length = 99), NULL, "", 0)

#define HOST_ROWS(ROW)                                                                                       \
	ROW(LONG, (void)0, NULL, "", 0)                                                                      \
	/* what looks like a breach and is none, and limits */                                               \
	ROW(LONG, v12.host_ssp = 1, NULL, "", 0)                                                             \
	ROW(LONG, (EXIT(EXIT_LOAD_CET), v12.host_ssp = BIT(40), v12.host_s_cet = BIT(40)), NULL, "", 0)      \
	ROW(LONG, (EXIT(EXIT_LOAD_CET), v12.host_s_cet = BIT(10) | BIT(11) | 1), "host_s_cet",               \
	    "host_s_cet_bits", 0)                                                                            \
	ROW(LONG, v12.host_es_selector |= 1, "host_es_selector", "host_es", 0)                               \
	ROW(LONG, v12.host_es_selector |= 2, "host_es_selector", "host_es", 0)                               \
	ROW(LONG, v12.host_es_selector |= 4, "host_es_selector", "host_es", 0)                               \
	ROW(LONG, v12.host_cs_selector |= 1, "host_cs_selector", "host_cs", 0)                               \
	ROW(LONG, v12.host_cs_selector |= 2, "host_cs_selector", "host_cs", 0)                               \
	ROW(LONG, v12.host_cs_selector |= 4, "host_cs_selector", "host_cs", 0)                               \
	ROW(LONG, v12.host_ss_selector |= 1, "host_ss_selector", "host_ss", 0)                               \
	ROW(LONG, v12.host_ss_selector |= 2, "host_ss_selector", "host_ss", 0)                               \
	ROW(LONG, v12.host_ss_selector |= 4, "host_ss_selector", "host_ss", 0)                               \
	ROW(LONG, v12.host_ds_selector |= 1, "host_ds_selector", "host_ds", 0)                               \
	ROW(LONG, v12.host_ds_selector |= 2, "host_ds_selector", "host_ds", 0)                               \
	ROW(LONG, v12.host_ds_selector |= 4, "host_ds_selector", "host_ds", 0)                               \
	ROW(LONG, v12.host_fs_selector |= 1, "host_fs_selector", "host_fs", 0)                               \
	ROW(LONG, v12.host_fs_selector |= 2, "host_fs_selector", "host_fs", 0)                               \
	ROW(LONG, v12.host_fs_selector |= 4, "host_fs_selector", "host_fs", 0)                               \
	ROW(LONG, v12.host_gs_selector |= 1, "host_gs_selector", "host_gs", 0)                               \
	ROW(LONG, v12.host_gs_selector |= 2, "host_gs_selector", "host_gs", 0)                               \
	ROW(LONG, v12.host_gs_selector |= 4, "host_gs_selector", "host_gs", 0)                               \
	ROW(LONG, v12.host_tr_selector |= 1, "host_tr_selector", "host_tr", 0)                               \
	ROW(LONG, v12.host_tr_selector |= 2, "host_tr_selector", "host_tr", 0)                               \
	ROW(LONG, v12.host_tr_selector |= 4, "host_tr_selector", "host_tr", 0)                               \
	ROW(LEGACY_HOST, (void)0, NULL, "", 0)                                                               \
	ROW(PROTECTED, (void)0, NULL, "", 0)                                                                 \
	ROW(LEGACY_HOST, EXIT(EXIT_HOST_64), "exit_controls", "host_not_64", 0)                              \
	ROW(LEGACY_HOST, ENTRY(ENTRY_IA32E_GUEST), "entry_controls", "guest_not_64", 0)                      \
	ROW(LONG, NO_EXIT(EXIT_HOST_64), "exit_controls", "host_64", 0)                                      \
	ROW(LONG, v12.host_cr0 &= ~CR0_NE, "host_cr0", "host_cr0_set", 0)                                    \
	ROW(LONG, v12.host_cr0 &= ~CR0_PG, "host_cr0", "host_cr0_set", 0)                                    \
	ROW(LONG, v12.host_cr0 |= BIT(32), "host_cr0", "host_cr0_clear", 0)                                  \
	ROW(LONG, v12.host_cr4 &= ~CR4_VMXE, "host_cr4", "host_cr4_set", 0)                                  \
	ROW(LONG, v12.host_cr4 |= BIT(31), "host_cr4", "host_cr4_clear", 0)                                  \
	ROW(LONG, (v12.host_cr4 |= CR4_CET, v12.host_cr0 &= ~CR0_WP), "host_cr4", "host_cet_wp", 0)          \
	ROW(LONG, v12.host_cr4 |= CR4_CET, NULL, "", 0)                                                      \
	ROW(LONG, v12.host_cr3 |= WIDE, "host_cr3", "host_cr3", 0)                                           \
	ROW(LONG, v12.host_cr3 |= BIT(63), "host_cr3", "host_cr3", 0)                                        \
	ROW(LONG, v12.host_sysenter_esp = NON_CANONICAL, "host_sysenter_esp", "host_sysenter_esp", 0)        \
	ROW(LONG, v12.host_sysenter_eip = NON_CANONICAL, "host_sysenter_eip", "host_sysenter_eip", 0)        \
	ROW(LONG, v12.host_perf_global_ctrl = BIT(5), NULL, "", 0)                                           \
	ROW(LONG, (EXIT(EXIT_LOAD_PERF_GLOBAL), v12.host_perf_global_ctrl = BIT(5)),                         \
	    "host_perf_global_ctrl", "host_perf_global", 0)                                                  \
	ROW(LONG, (EXIT(EXIT_LOAD_PERF_GLOBAL), v12.host_perf_global_ctrl = 7), NULL, "", 0)                 \
	ROW(LONG, v12.host_pat = 2, NULL, "", 0)                                                             \
	ROW(LONG, (EXIT(EXIT_LOAD_PAT), v12.host_pat = 2), "host_pat", "host_pat", 0)                        \
	ROW(LONG, (EXIT(EXIT_LOAD_PAT), v12.host_pat = 3ull << 56), "host_pat", "host_pat", 0)               \
	ROW(LONG, (EXIT(EXIT_LOAD_PAT), v12.host_pat = 8ull << 24), "host_pat", "host_pat", 0)               \
	ROW(LONG, (EXIT(EXIT_LOAD_PAT), v12.host_pat = 0x0007060504010006), NULL, "", 0)                     \
	ROW(LONG, v12.host_efer |= BIT(1), "host_efer", "host_efer_reserved", 0)                             \
	ROW(LONG, v12.host_efer &= ~EFER_LMA, "host_efer", "host_efer_lma", 0)                               \
	ROW(LONG, v12.host_efer &= ~EFER_LME, "host_efer", "host_efer_lme", 0)                               \
	ROW(LONG, (v12.host_efer = 2, NO_EXIT(EXIT_LOAD_EFER)), NULL, "", 0)                                 \
	ROW(LEGACY_HOST, v12.host_efer = EFER_LMA, "host_efer", "host_efer_lma", 0)                          \
	ROW(LONG, EXIT(EXIT_LOAD_CET), NULL, "", 0)                                                          \
	ROW(LONG, (EXIT(EXIT_LOAD_CET), v12.host_s_cet = NON_CANONICAL), "host_s_cet", "host_s_cet", 0)      \
	ROW(LONG, (EXIT(EXIT_LOAD_CET), v12.host_s_cet = BIT(6)), "host_s_cet", "host_s_cet_bits", 0)        \
	ROW(LONG, (EXIT(EXIT_LOAD_CET), v12.host_s_cet = BIT(10) | BIT(11)), "host_s_cet",                   \
	    "host_s_cet_bits", 0)                                                                            \
	ROW(LONG, (EXIT(EXIT_LOAD_CET), v12.host_ssp = 2), "host_ssp", "host_ssp_aligned", 0)                \
	ROW(LONG, (EXIT(EXIT_LOAD_CET), v12.host_ssp = NON_CANONICAL), "host_ssp", "host_ssp", 0)            \
	ROW(LONG, (EXIT(EXIT_LOAD_CET), v12.host_intr_ssp_table = NON_CANONICAL), "host_intr_ssp_table",     \
	    "host_ssp_table", 0)                                                                             \
	ROW(LEGACY_HOST, (EXIT(EXIT_LOAD_CET), v12.host_ssp = BIT(32)), "host_ssp", "host_ssp_32", 0)        \
	ROW(LEGACY_HOST, (EXIT(EXIT_LOAD_CET), v12.host_s_cet = BIT(32)), "host_s_cet", "host_s_cet_32", 0)  \
	ROW(LONG, v12.host_es_selector |= 1, "host_es_selector", "host_es", 0)                               \
	ROW(LONG, v12.host_cs_selector |= 3, "host_cs_selector", "host_cs", 0)                               \
	ROW(LONG, v12.host_ss_selector |= 4, "host_ss_selector", "host_ss", 0)                               \
	ROW(LONG, v12.host_ds_selector |= 2, "host_ds_selector", "host_ds", 0)                               \
	ROW(LONG, v12.host_fs_selector |= 1, "host_fs_selector", "host_fs", 0)                               \
	ROW(LONG, v12.host_gs_selector |= 4, "host_gs_selector", "host_gs", 0)                               \
	ROW(LONG, v12.host_tr_selector |= 4, "host_tr_selector", "host_tr", 0)                               \
	ROW(LONG, v12.host_cs_selector = 0, "host_cs_selector", "host_cs_null", 0)                           \
	ROW(LONG, v12.host_tr_selector = 0, "host_tr_selector", "host_tr_null", 0)                           \
	ROW(LONG, v12.host_ss_selector = 0, NULL, "", 0)                                                     \
	ROW(LEGACY_HOST, v12.host_ss_selector = 0, "host_ss_selector", "host_ss_null", 0)                    \
	ROW(LONG, v12.host_fs_base = NON_CANONICAL, "host_fs_base", "host_fs_base", 0)                       \
	ROW(LONG, v12.host_gs_base = NON_CANONICAL, "host_gs_base", "host_gs_base", 0)                       \
	ROW(LONG, v12.host_gdtr_base = NON_CANONICAL, "host_gdtr_base", "host_gdtr", 0)                      \
	ROW(LONG, v12.host_idtr_base = NON_CANONICAL, "host_idtr_base", "host_idtr", 0)                      \
	ROW(LONG, v12.host_tr_base = NON_CANONICAL, "host_tr_base", "host_tr_base", 0)                       \
	ROW(LONG, v12.host_cr4 &= ~CR4_PAE, "host_cr4", "host_pae", 0)                                       \
	ROW(LONG, v12.host_rip = NON_CANONICAL, "host_rip", "host_rip", 0)                                   \
	ROW(LEGACY_HOST, v12.host_cr4 |= CR4_PCIDE, "host_cr4", "host_32_pcide", 0)                          \
	ROW(LEGACY_HOST, v12.host_rip = BIT(32), "host_rip", "host_32_rip", 0)                               \
	ROW(LEGACY_HOST, v12.host_cr4 &= ~CR4_PAE, NULL, "", 0)

#define GUEST_ROWS(ROW)                                                                                      \
	ROW(LONG, v12.guest_cr0 &= ~CR0_NE, "guest_cr0", "guest_cr0_set", 0)                                 \
	/* what looks like a breach and is none, and limits */                                               \
	ROW(LONG, v12.guest_efer = 0, "guest_efer", "guest_efer_lma", 0)                                     \
	ROW(PROTECTED, v12.guest_efer = EFER_LMA | EFER_LME, "guest_efer", "guest_efer_lma", 0)              \
	ROW(LONG, (ENTRY(ENTRY_LOAD_CET), v12.guest_ssp = BIT(40), v12.guest_s_cet = BIT(40)), NULL, "", 0)  \
	ROW(LONG, (ENTRY(ENTRY_LOAD_CET), v12.guest_s_cet = BIT(10) | BIT(11) | 1), "guest_s_cet",           \
	    "guest_s_cet_bits", 0)                                                                           \
	ROW(LONG, (v12.guest_dr7 = BIT(32), v12.guest_debugctl = ~0ull), NULL, "", 0)                        \
	ROW(LONG, (ENTRY(ENTRY_LOAD_DEBUG), valid12_caps.debugctl_valid = 3, v12.guest_debugctl = 1), NULL,  \
	    "", 0)                                                                                           \
	ROW(LONG, v12.guest_perf_global_ctrl = ~0ull, NULL, "", 0)                                           \
	ROW(LONG, v12.guest_bndcfgs = NON_CANONICAL | BIT(3), NULL, "", 0)                                   \
	ROW(LONG, v12.guest_fs_base = BIT(40), NULL, "", 0)                                                  \
	ROW(LONG, v12.guest_cs_ar = 0xa09f, NULL, "", 0)                                                     \
	ROW(REAL, (v12.guest_cs_ar = 0xfb, v12.guest_ss_ar = 0xf3), "guest_ss_ar", "ss_dpl_0", 0)            \
	ROW(LONG, v12.guest_ds_ar = 0xc091, NULL, "", 0)                                                     \
	ROW(LONG, (v12.guest_ldtr_selector = 8, v12.guest_ldtr_ar = 0x82), NULL, "", 0)                      \
	ROW(LONG, (v12.guest_ldtr_selector = 12, v12.guest_ldtr_ar = 0x82), "guest_ldtr_selector",           \
	    "ldtr_ti", 0)                                                                                    \
	ROW(LONG, v12.guest_cr0 |= BIT(40), "guest_cr0", "guest_cr0_clear", 0)                               \
	ROW(PROTECTED, v12.guest_cr0 &= ~CR0_PE, "guest_cr0", "guest_pg_pe", 0)                              \
	ROW(PROTECTED, v12.guest_cr0 &= ~CR0_PG, NULL, "", 0)                                                \
	ROW(PROTECTED, (RESTRICTED(), v12.guest_cr0 &= ~CR0_PG), "guest_cr0", "guest_cr0_protected", 0)      \
	ROW(REAL, RESTRICTED(), "guest_cr0", "guest_cr0_protected", 0)                                       \
	ROW(LONG, v12.guest_cr4 &= ~CR4_VMXE, "guest_cr4", "guest_cr4_set", 0)                               \
	ROW(LONG, v12.guest_cr4 |= BIT(28), "guest_cr4", "guest_cr4_clear", 0)                               \
	ROW(LONG, v12.guest_cr4 |= CR4_CET, NULL, "", 0)                                                     \
	ROW(LONG, (v12.guest_cr4 |= CR4_CET, v12.guest_cr0 &= ~CR0_WP), "guest_cr4", "guest_cet_wp", 0)      \
	ROW(LONG, (v12.guest_cr0 &= ~CR0_PG), "guest_cr0", "guest_64_pg", 0)                                 \
	ROW(LONG, (v12.guest_cr4 &= ~CR4_PAE), "guest_cr4", "guest_64_pae", 0)                               \
	ROW(PAE, v12.guest_cr4 |= CR4_PCIDE, "guest_cr4", "guest_pcide", 0)                                  \
	ROW(LONG, v12.guest_cr4 |= CR4_PCIDE, NULL, "", 0)                                                   \
	ROW(LONG, v12.guest_cr3 |= WIDE, "guest_cr3", "guest_cr3", 0)                                        \
	ROW(LONG, v12.guest_cr3 |= BIT(63), "guest_cr3", "guest_cr3", 0)                                     \
	ROW(LONG, (ENTRY(ENTRY_LOAD_DEBUG), v12.guest_debugctl = BIT(3)), "guest_debugctl",                  \
	    "guest_debugctl", 0)                                                                             \
	ROW(LONG, (ENTRY(ENTRY_LOAD_DEBUG), v12.guest_dr7 = BIT(32)), "guest_dr7", "guest_dr7", 0)           \
	ROW(LONG, v12.guest_sysenter_esp = NON_CANONICAL, "guest_sysenter_esp", "guest_sysenter_esp", 0)     \
	ROW(LONG, v12.guest_sysenter_eip = NON_CANONICAL, "guest_sysenter_eip", "guest_sysenter_eip", 0)     \
	ROW(LONG, (ENTRY(ENTRY_LOAD_PERF_GLOBAL), v12.guest_perf_global_ctrl = BIT(60)),                     \
	    "guest_perf_global_ctrl", "guest_perf_global", 0)                                                \
	ROW(LONG, (ENTRY(ENTRY_LOAD_PAT), v12.guest_pat = 2), "guest_pat", "guest_pat", 0)                   \
	ROW(LONG, v12.guest_pat = 2, NULL, "", 0)                                                            \
	ROW(LONG, (ENTRY(ENTRY_LOAD_BNDCFGS), v12.guest_bndcfgs = BIT(2)), "guest_bndcfgs",                  \
	    "guest_bndcfgs_bits", 0)                                                                         \
	ROW(LONG, (ENTRY(ENTRY_LOAD_BNDCFGS), v12.guest_bndcfgs = NON_CANONICAL), "guest_bndcfgs",           \
	    "guest_bndcfgs", 0)                                                                              \
	ROW(LONG, (ENTRY(ENTRY_LOAD_BNDCFGS), v12.guest_bndcfgs = 0x1003), NULL, "", 0)                      \
	ROW(LONG, ENTRY(ENTRY_LOAD_CET), NULL, "", 0)                                                        \
	ROW(LONG, (v12.guest_s_cet = NON_CANONICAL, v12.guest_ssp = 1), NULL, "", 0)                         \
	ROW(LONG, (ENTRY(ENTRY_LOAD_CET), v12.guest_s_cet = BIT(9)), "guest_s_cet", "guest_s_cet_bits", 0)   \
	ROW(LONG, (ENTRY(ENTRY_LOAD_CET), v12.guest_s_cet = NON_CANONICAL), "guest_s_cet", "guest_s_cet", 0) \
	ROW(LONG, (ENTRY(ENTRY_LOAD_CET), v12.guest_ssp = 1), "guest_ssp", "guest_ssp_aligned", 0)           \
	ROW(LONG, (ENTRY(ENTRY_LOAD_CET), v12.guest_ssp = NON_CANONICAL), "guest_ssp", "guest_ssp", 0)       \
	ROW(LONG, (ENTRY(ENTRY_LOAD_CET), v12.guest_intr_ssp_table = NON_CANONICAL), "guest_intr_ssp_table", \
	    "guest_ssp_table", 0)                                                                            \
	ROW(PROTECTED, (ENTRY(ENTRY_LOAD_CET), v12.guest_ssp = BIT(40)), "guest_ssp", "guest_ssp_32", 0)     \
	ROW(PROTECTED, (ENTRY(ENTRY_LOAD_CET), v12.guest_s_cet = BIT(40)), "guest_s_cet", "guest_s_cet_32",  \
	    0)                                                                                               \
	ROW(LONG, v12.guest_efer |= BIT(2), "guest_efer", "guest_efer_reserved", 0)                          \
	ROW(LONG, v12.guest_efer = EFER_LME, "guest_efer", "guest_efer_lma", 0)                              \
	ROW(LONG, v12.guest_efer = EFER_LMA, "guest_efer", "guest_efer_lme", 0)                              \
	ROW(PROTECTED, v12.guest_efer = EFER_LME, "guest_efer", "guest_efer_lme", 0)                         \
	ROW(REAL, v12.guest_efer = EFER_LME, NULL, "", 0)                                                    \
	ROW(LONG, (NO_ENTRY(ENTRY_LOAD_EFER), v12.guest_efer = 2), NULL, "", 0)                              \
	/* segments: selectors and bases */                                                                  \
	ROW(LONG, v12.guest_tr_selector |= 4, "guest_tr_selector", "tr_ti", 0)                               \
	ROW(LONG, v12.guest_ldtr_selector |= 4, NULL, "", 0)                                                 \
	ROW(LONG, (v12.guest_ldtr_ar = 0x82, v12.guest_ldtr_selector = 4), "guest_ldtr_selector", "ldtr_ti", \
	    0)                                                                                               \
	ROW(LONG, v12.guest_ldtr_ar = 0x82, NULL, "", 0)                                                     \
	ROW(LONG, v12.guest_ss_selector |= 3, NULL, "", 0)                                                   \
	ROW(LONG, (RESTRICTED(), v12.guest_ss_selector |= 3), "guest_ss_selector", "ss_rpl", 0)              \
	ROW(LONG, RESTRICTED(), NULL, "", 0)                                                                 \
	ROW(LONG, v12.guest_tr_base = NON_CANONICAL, "guest_tr_base", "seg_base_canonical", 0)               \
	ROW(LONG, v12.guest_fs_base = NON_CANONICAL, "guest_fs_base", "seg_base_canonical", 0)               \
	ROW(LONG, (v12.guest_gs_base = NON_CANONICAL, v12.guest_gs_ar = AR_UNUSABLE), "guest_gs_base",       \
	    "seg_base_canonical", 0)                                                                         \
	ROW(LONG, v12.guest_ldtr_base = NON_CANONICAL, NULL, "", 0)                                          \
	ROW(LONG, (v12.guest_ldtr_ar = 0x82, v12.guest_ldtr_base = NON_CANONICAL), "guest_ldtr_base",        \
	    "seg_base_canonical", 0)                                                                         \
	ROW(LONG, v12.guest_cs_base = BIT(32), "guest_cs_base", "seg_base_32", 0)                            \
	ROW(LONG, v12.guest_ss_base = BIT(32), "guest_ss_base", "seg_base_32", 0)                            \
	ROW(LONG, v12.guest_ds_base = BIT(32), "guest_ds_base", "seg_base_32", 0)                            \
	ROW(LONG, v12.guest_es_base = BIT(32), "guest_es_base", "seg_base_32", 0)                            \
	ROW(LONG, (v12.guest_es_base = BIT(32), v12.guest_es_ar = AR_UNUSABLE), NULL, "", 0)                 \
	/* v86 */                                                                                            \
	ROW(V86, v12.guest_es_base += 1, "guest_es_base", "v86_base", 0)                                     \
	ROW(V86, v12.guest_cs_limit = 0xfffe, "guest_cs_limit", "v86_limit", 0)                              \
	ROW(V86, v12.guest_gs_ar = 0x93, "guest_gs_ar", "v86_rights", 0)                                     \
	ROW(V86, v12.guest_ss_ar |= AR_UNUSABLE, "guest_ss_ar", "v86_rights", 0)                             \
	/* access rights of CS */                                                                            \
	ROW(LONG, v12.guest_cs_ar = 0xa09a, "guest_cs_ar", "cs_type", 0)                                     \
	ROW(LONG, v12.guest_cs_ar = 0xa099, NULL, "", 0)                                                     \
	ROW(PROTECTED, v12.guest_cs_ar = 0xc093, NULL, "", 0)                                                \
	ROW(PROTECTED, (RESTRICTED(), v12.guest_cs_ar = 0xc093), "guest_cs_ar", "cs_type", 0)                \
	ROW(PROTECTED, v12.guest_cs_ar = 0xc0b3, "guest_cs_ar", "cs_data_dpl", 0)                            \
	ROW(PROTECTED, v12.guest_cs_ar = 0xc0fb, "guest_cs_ar", "cs_dpl", 0)                                 \
	ROW(PROTECTED, v12.guest_cs_ar = 0xc0ff, "guest_cs_ar", "cs_conforming_dpl", 0)                      \
	ROW(PROTECTED, (v12.guest_cs_ar = 0xc09f, v12.guest_ss_ar = 0xc0f3, v12.guest_ss_selector = 3),      \
	    NULL, "", 0)                                                                                     \
	ROW(LONG, v12.guest_cs_ar &= ~AR_S, "guest_cs_ar", "seg_s_code", 0)                                  \
	ROW(LONG, v12.guest_cs_ar &= ~AR_P, "guest_cs_ar", "seg_present", 0)                                 \
	ROW(LONG, v12.guest_cs_ar |= BIT(8), "guest_cs_ar", "seg_reserved", 0)                               \
	ROW(LONG, v12.guest_cs_ar |= BIT(17), "guest_cs_ar", "seg_reserved", 0)                              \
	ROW(LONG, v12.guest_cs_ar |= AR_DB, "guest_cs_ar", "cs_d_and_l", 0)                                  \
	ROW(PROTECTED, v12.guest_cs_ar |= AR_L, NULL, "", 0)                                                 \
	ROW(LONG, v12.guest_cs_limit = 0xfffffffe, "guest_cs_ar", "seg_g_clear", 0)                          \
	ROW(LONG, v12.guest_cs_ar &= ~AR_G, "guest_cs_ar", "seg_g_set", 0)                                   \
	ROW(LONG, (v12.guest_cs_ar &= ~AR_G, v12.guest_cs_limit = 0xffffe), NULL, "", 0)                     \
	/* of SS */                                                                                          \
	ROW(LONG, v12.guest_ss_ar = 0xc097, NULL, "", 0)                                                     \
	ROW(LONG, v12.guest_ss_ar = 0xc091, "guest_ss_ar", "ss_type", 0)                                     \
	ROW(LONG, v12.guest_ss_ar = 0xc09b, "guest_ss_ar", "ss_type", 0)                                     \
	ROW(LONG, v12.guest_ss_ar = AR_UNUSABLE, NULL, "", 0)                                                \
	ROW(LONG, (RESTRICTED(), v12.guest_cs_ar = 0xa0fb, v12.guest_ss_ar = 0xc0f3), "guest_ss_ar",         \
	    "ss_dpl_rpl", 0)                                                                                 \
	ROW(REAL, (v12.guest_ss_ar = 0xf3), "guest_ss_ar", "ss_dpl_0", 0)                                    \
	ROW(PROTECTED, (v12.guest_cs_ar = 0xc093, v12.guest_ss_ar = 0xc0b3), "guest_ss_ar", "ss_dpl_0", 0)   \
	ROW(LONG, v12.guest_ss_ar = 0xc013, "guest_ss_ar", "seg_present", 0)                                 \
	ROW(LONG, v12.guest_ss_ar |= BIT(11), "guest_ss_ar", "seg_reserved", 0)                              \
	ROW(LONG, v12.guest_ss_ar = 0xc083, "guest_ss_ar", "seg_s_code", 0)                                  \
	ROW(LONG, v12.guest_ss_limit = 0, "guest_ss_ar", "seg_g_clear", 0)                                   \
	/* of the data segments */                                                                           \
	ROW(LONG, v12.guest_ds_ar = 0xc092, "guest_ds_ar", "data_accessed", 0)                               \
	ROW(LONG, v12.guest_es_ar = 0xc099, "guest_es_ar", "data_readable", 0)                               \
	ROW(LONG, v12.guest_es_ar = 0xc09b, NULL, "", 0)                                                     \
	ROW(LONG, v12.guest_fs_ar = 0xc083, "guest_fs_ar", "seg_s_code", 0)                                  \
	ROW(LONG, v12.guest_gs_ar = 0xc013, "guest_gs_ar", "seg_present", 0)                                 \
	ROW(LONG, v12.guest_ds_ar |= BIT(31), "guest_ds_ar", "seg_reserved", 0)                              \
	ROW(LONG, v12.guest_ds_limit = 0x12345, "guest_ds_ar", "seg_g_clear", 0)                             \
	ROW(LONG, v12.guest_ds_selector |= 3, NULL, "", 0)                                                   \
	ROW(LONG, (RESTRICTED(), v12.guest_ds_selector |= 3), "guest_ds_ar", "data_dpl", 0)                  \
	ROW(LONG, (RESTRICTED(), v12.guest_ds_selector |= 3, v12.guest_ds_ar = 0xc09f), NULL, "", 0)         \
	ROW(LONG, (RESTRICTED(), v12.guest_ds_selector |= 3, v12.guest_ds_ar = AR_UNUSABLE), NULL, "", 0)    \
	/* TR and LDTR */                                                                                    \
	ROW(LONG, v12.guest_tr_ar = AR_UNUSABLE, "guest_tr_ar", "tr_usable", 0)                              \
	ROW(LONG, v12.guest_tr_ar = 0x83, "guest_tr_ar", "tr_type_64", 0)                                    \
	ROW(PROTECTED, v12.guest_tr_ar = 0x83, NULL, "", 0)                                                  \
	ROW(LONG, v12.guest_tr_ar = 0x89, "guest_tr_ar", "tr_type", 0)                                       \
	ROW(LONG, v12.guest_tr_ar = 0x9b, "guest_tr_ar", "seg_s_system", 0)                                  \
	ROW(LONG, v12.guest_tr_ar = 0x0b, "guest_tr_ar", "seg_present", 0)                                   \
	ROW(LONG, v12.guest_tr_ar |= BIT(9), "guest_tr_ar", "seg_reserved", 0)                               \
	ROW(LONG, v12.guest_tr_limit = 0x100000, "guest_tr_ar", "seg_g_set", 0)                              \
	ROW(LONG, v12.guest_ldtr_ar = 0x83, "guest_ldtr_ar", "ldtr_type", 0)                                 \
	ROW(LONG, v12.guest_ldtr_ar = 0x92, "guest_ldtr_ar", "seg_s_system", 0)                              \
	ROW(LONG, v12.guest_ldtr_ar = 0x02, "guest_ldtr_ar", "seg_present", 0)                               \
	ROW(LONG, v12.guest_ldtr_ar = 0x8082, "guest_ldtr_ar", "seg_g_clear", 0)                             \
	/* tables */                                                                                         \
	ROW(LONG, v12.guest_gdtr_base = NON_CANONICAL, "guest_gdtr_base", "guest_gdtr", 0)                   \
	ROW(LONG, v12.guest_idtr_base = NON_CANONICAL, "guest_idtr_base", "guest_idtr", 0)                   \
	ROW(LONG, v12.guest_gdtr_limit = 0x10000, "guest_gdtr_limit", "guest_gdtr_limit", 0)                 \
	ROW(LONG, v12.guest_idtr_limit = 0x10000, "guest_idtr_limit", "guest_idtr_limit", 0)

#define HOT_ROWS(ROW)                                                                                        \
	ROW(LONG, (void)0, NULL, "", 0)                                                                      \
	/* what looks like a breach and is none, and limits */                                               \
	ROW(LONG,                                                                                            \
	    (v12.guest_interruptibility = 2, v12.guest_rflags |= RFLAGS_TF, v12.guest_debugctl = 1,          \
	     v12.guest_pending_debug = BIT(14)),                                                             \
	    NULL, "", 0)                                                                                     \
	ROW(LONG, (v12.guest_activity_state = 1, v12.entry_intr_info = INJECT(7, 1)),                        \
	    "guest_activity_state", "activity_event", 0)                                                     \
	ROW(LONG, (v12.guest_activity_state = 2, v12.entry_intr_info = INJECT(3, 1)),                        \
	    "guest_activity_state", "activity_event", 0)                                                     \
	ROW(LONG,                                                                                            \
	    (v12.guest_activity_state = 1, v12.guest_interruptibility = 1, v12.guest_rflags |= RFLAGS_IF),   \
	    "guest_activity_state", "activity_shadow", 0)                                                    \
	ROW(LONG, (v12.guest_activity_state = 1, v12.guest_interruptibility = 8), NULL, "", 0)               \
	ROW(LONG, (v12.guest_interruptibility = 1, v12.guest_rflags |= RFLAGS_IF | RFLAGS_TF),               \
	    "guest_pending_debug", "pending_bs_missing", 0)                                                  \
	ROW(LONG, (v12.guest_interruptibility = 8, v12.guest_rflags |= RFLAGS_TF), NULL, "", 0)              \
	ROW(LONG, (v12.guest_activity_state = 1, v12.entry_intr_info = 0x306), NULL, "", 0)                  \
	ROW(LONG, v12.entry_intr_info = 0x20, NULL, "", 0)                                                   \
	ROW(LONG,                                                                                            \
	    (v12.entry_intr_info = INJECT(0, 32), v12.guest_rflags |= RFLAGS_IF,                             \
	     v12.guest_interruptibility = 8),                                                                \
	    NULL, "", 0)                                                                                     \
	ROW(LONG, (v12.entry_intr_info = INJECT(2, 2), PIN(PIN_NMI_EXITING | PIN_VIRTUAL_NMIS)), NULL, "",   \
	    0)                                                                                               \
	ROW(LONG,                                                                                            \
	    (v12.entry_intr_info = INJECT(2, 2), PIN(PIN_NMI_EXITING | PIN_VIRTUAL_NMIS),                    \
	     env.has_sgx = true, v12.guest_interruptibility = 16),                                           \
	    NULL, "", 0)                                                                                     \
	ROW(LONG,                                                                                            \
	    (env.has_rtm = true, v12.guest_pending_debug = BIT(16) | BIT(12),                                \
	     v12.guest_interruptibility = 8),                                                                \
	    NULL, "", 0)                                                                                     \
	ROW(PAE,                                                                                             \
	    (NO_PROC2(PROC2_EPT), v12.guest_cr3 = VALID12_PDPTES | 8,                                        \
	     valid12_memory[VALID12_PDPTES + 32] = 3),                                                       \
	    NULL, "", 0)                                                                                     \
	ROW(PROTECTED, (v12.guest_rip = BIT(32), v12.guest_cs_ar |= AR_L), "guest_rip", "guest_rip_32", 0)   \
	ROW(LONG, v12.guest_rflags = RFLAGS_IF, "guest_rflags", "rflags_bit_1", 0)                           \
	ROW(PROTECTED, (void)0, NULL, "", 0)                                                                 \
	ROW(PAE, (void)0, NULL, "", 0)                                                                       \
	ROW(REAL, (void)0, NULL, "", 0)                                                                      \
	ROW(V86, (void)0, NULL, "", 0)                                                                       \
	ROW(LONG, v12.guest_cr3 |= WIDE, "guest_cr3", "guest_cr3", 0)                                        \
	ROW(PROTECTED, v12.guest_rip = BIT(32), "guest_rip", "guest_rip_32", 0)                              \
	ROW(LONG, (v12.guest_rip = BIT(32), v12.guest_cs_ar = 0xc09b), "guest_rip", "guest_rip_32", 0)       \
	ROW(LONG, v12.guest_rip = BIT(32), NULL, "", 0)                                                      \
	ROW(LONG, v12.guest_rip = BIT(48), "guest_rip", "guest_rip_64", 0)                                   \
	ROW(LONG, v12.guest_rip = NON_CANONICAL, NULL, "", 0)                                                \
	ROW(LONG, v12.guest_rip = 0xffff800000000000, NULL, "", 0)                                           \
	ROW(LONG, v12.guest_rip = 0xfffe800000000000, "guest_rip", "guest_rip_64", 0)                        \
	ROW(LONG, v12.guest_rflags |= BIT(22), "guest_rflags", "rflags_reserved", 0)                         \
	ROW(LONG, v12.guest_rflags |= BIT(15), "guest_rflags", "rflags_reserved", 0)                         \
	ROW(LONG, v12.guest_rflags |= BIT(5), "guest_rflags", "rflags_reserved", 0)                          \
	ROW(LONG, v12.guest_rflags |= BIT(3), "guest_rflags", "rflags_reserved", 0)                          \
	ROW(LONG, v12.guest_rflags |= BIT(63), "guest_rflags", "rflags_reserved", 0)                         \
	ROW(LONG, v12.guest_rflags = 0, "guest_rflags", "rflags_bit_1", 0)                                   \
	ROW(V86, (ENTRY(ENTRY_IA32E_GUEST), v12.guest_cr4 |= CR4_PAE, v12.guest_efer = EFER_LME | EFER_LMA), \
	    "guest_rflags", "rflags_vm_64", 0)                                                               \
	ROW(V86, v12.guest_cr0 = CR0_NE, "guest_rflags", "rflags_vm_real", 0)                                \
	/* activity */                                                                                       \
	ROW(LONG, v12.guest_activity_state = 1, NULL, "", 0)                                                 \
	ROW(LONG, v12.guest_activity_state = 2, NULL, "", 0)                                                 \
	ROW(LONG, v12.guest_activity_state = 3, NULL, "", 0)                                                 \
	ROW(LONG, v12.guest_activity_state = 4, "guest_activity_state", "activity_known", 0)                 \
	ROW(LONG, (v12.guest_activity_state = 3, valid12_caps.misc &= ~BIT(8)), "guest_activity_state",      \
	    "activity_supported", 0)                                                                         \
	ROW(LONG,                                                                                            \
	    (v12.guest_interruptibility = 2, v12.guest_rflags |= RFLAGS_TF,                                  \
	     v12.guest_pending_debug = BIT(12) | BIT(0)),                                                    \
	    "guest_pending_debug", "pending_bs_missing", 0)                                                  \
	ROW(LONG, (v12.guest_interruptibility = 2, v12.guest_pending_debug = BIT(12) | BIT(0)), NULL, "", 0) \
	ROW(LONG, (v12.guest_activity_state = 2, valid12_caps.misc &= ~BIT(7)), "guest_activity_state",      \
	    "activity_supported", 0)                                                                         \
	ROW(LONG, (v12.guest_activity_state = 1, v12.guest_ss_ar = 0xc0f3, v12.guest_cs_ar = 0xa0fb),        \
	    "guest_activity_state", "activity_hlt", 0)                                                       \
	ROW(LONG, (v12.guest_activity_state = 2, v12.guest_interruptibility = 2), "guest_activity_state",    \
	    "activity_shadow", 0)                                                                            \
	ROW(LONG,                                                                                            \
	    (v12.guest_activity_state = 1, v12.entry_intr_info = INJECT(0, 32),                              \
	     v12.guest_rflags |= RFLAGS_IF),                                                                 \
	    NULL, "", 0)                                                                                     \
	ROW(LONG, (v12.guest_activity_state = 1, v12.entry_intr_info = INJECT(2, 2)), NULL, "", 0)           \
	ROW(LONG, (v12.guest_activity_state = 1, v12.entry_intr_info = INJECT(3, 1)), NULL, "", 0)           \
	ROW(LONG, (v12.guest_activity_state = 1, v12.entry_intr_info = INJECT(3, 18)), NULL, "", 0)          \
	ROW(LONG, (v12.guest_activity_state = 1, v12.entry_intr_info = INJECT(7, 0)), NULL, "", 0)           \
	ROW(LONG, (v12.guest_activity_state = 1, v12.entry_intr_info = INJECT(3, 6)),                        \
	    "guest_activity_state", "activity_event", 0)                                                     \
	ROW(LONG, (v12.guest_activity_state = 1, v12.entry_intr_info = INJECT(4, 1)),                        \
	    "guest_activity_state", "activity_event", 0)                                                     \
	ROW(LONG, (v12.guest_activity_state = 2, v12.entry_intr_info = INJECT(2, 2)), NULL, "", 0)           \
	ROW(LONG, (v12.guest_activity_state = 2, v12.entry_intr_info = INJECT(3, 18)), NULL, "", 0)          \
	ROW(LONG, (v12.guest_activity_state = 2, v12.entry_intr_info = INJECT(0, 18)),                       \
	    "guest_activity_state", "activity_event", 0)                                                     \
	ROW(LONG, (v12.guest_activity_state = 3, v12.entry_intr_info = INJECT(2, 2)),                        \
	    "guest_activity_state", "activity_event", 0)                                                     \
	/* interruptibility */                                                                               \
	ROW(LONG, v12.guest_interruptibility = BIT(5), "guest_interruptibility", "blocking_reserved", 0)     \
	ROW(LONG, v12.guest_interruptibility = BIT(31), "guest_interruptibility", "blocking_reserved", 0)    \
	ROW(LONG, (v12.guest_interruptibility = 3, v12.guest_rflags |= RFLAGS_IF), "guest_interruptibility", \
	    "blocking_both", 0)                                                                              \
	ROW(LONG, v12.guest_interruptibility = 1, "guest_interruptibility", "blocking_sti", 0)               \
	ROW(LONG, (v12.guest_interruptibility = 1, v12.guest_rflags |= RFLAGS_IF), NULL, "", 0)              \
	ROW(LONG, v12.guest_interruptibility = 2, NULL, "", 0)                                               \
	ROW(LONG, v12.guest_interruptibility = 8, NULL, "", 0)                                               \
	ROW(LONG, v12.guest_interruptibility = 4, "guest_interruptibility", "blocking_smi", 0)               \
	ROW(LONG, v12.guest_interruptibility = 16, "guest_interruptibility", "blocking_enclave", 0)          \
	ROW(LONG, (env.has_sgx = true, v12.guest_interruptibility = 16), NULL, "", 0)                        \
	ROW(LONG, (env.has_sgx = true, v12.guest_interruptibility = 18), "guest_interruptibility",           \
	    "blocking_enclave_mov_ss", 0)                                                                    \
	ROW(LONG, v12.entry_intr_info = INJECT(0, 32), "guest_rflags", "rflags_if", 0)                       \
	ROW(LONG,                                                                                            \
	    (v12.entry_intr_info = INJECT(0, 32), v12.guest_rflags |= RFLAGS_IF,                             \
	     v12.guest_interruptibility = 1),                                                                \
	    "guest_interruptibility", "blocking_external", 0)                                                \
	ROW(LONG,                                                                                            \
	    (v12.entry_intr_info = INJECT(0, 32), v12.guest_rflags |= RFLAGS_IF,                             \
	     v12.guest_interruptibility = 2),                                                                \
	    "guest_interruptibility", "blocking_external", 0)                                                \
	ROW(LONG, (v12.entry_intr_info = INJECT(2, 2), v12.guest_interruptibility = 2),                      \
	    "guest_interruptibility", "blocking_nmi_mov_ss", 0)                                              \
	ROW(LONG, (v12.entry_intr_info = INJECT(2, 2), v12.guest_interruptibility = 8), NULL, "", 0)         \
	ROW(LONG,                                                                                            \
	    (v12.entry_intr_info = INJECT(2, 2), v12.guest_interruptibility = 8,                             \
	     PIN(PIN_NMI_EXITING | PIN_VIRTUAL_NMIS)),                                                       \
	    "guest_interruptibility", "blocking_nmi", 0)                                                     \
	ROW(LONG,                                                                                            \
	    (v12.entry_intr_info = INJECT(2, 2), v12.guest_interruptibility = 1,                             \
	     v12.guest_rflags |= RFLAGS_IF),                                                                 \
	    "guest_interruptibility", "blocking_nmi_sti", ENTRY_FAIL_NMI)                                    \
	ROW(LONG,                                                                                            \
	    (v12.entry_intr_info = INJECT(2, 2), v12.guest_interruptibility = 5,                             \
	     v12.guest_rflags |= RFLAGS_IF),                                                                 \
	    "guest_interruptibility", "blocking_nmi_sti", ENTRY_FAIL_NMI)                                    \
	/* pending debug exceptions */                                                                       \
	ROW(LONG, v12.guest_pending_debug = BIT(4), "guest_pending_debug", "pending_reserved", 0)            \
	ROW(LONG, v12.guest_pending_debug = BIT(13), "guest_pending_debug", "pending_reserved", 0)           \
	ROW(LONG, v12.guest_pending_debug = BIT(15), "guest_pending_debug", "pending_reserved", 0)           \
	ROW(LONG, v12.guest_pending_debug = BIT(63), "guest_pending_debug", "pending_reserved", 0)           \
	ROW(LONG, v12.guest_pending_debug = 0x500f, NULL, "", 0)                                             \
	ROW(LONG, v12.guest_pending_debug = BIT(11), "guest_pending_debug", "pending_bus_lock", 0)           \
	ROW(LONG, (env.has_bus_lock_detect = true, v12.guest_pending_debug = BIT(11)), NULL, "", 0)          \
	ROW(LONG, (v12.guest_interruptibility = 2, v12.guest_rflags |= RFLAGS_TF), "guest_pending_debug",    \
	    "pending_bs_missing", 0)                                                                         \
	ROW(LONG, (v12.guest_interruptibility = 2, v12.guest_pending_debug = BIT(14)),                       \
	    "guest_pending_debug", "pending_bs", 0)                                                          \
	ROW(LONG,                                                                                            \
	    (v12.guest_interruptibility = 2, v12.guest_rflags |= RFLAGS_TF,                                  \
	     v12.guest_pending_debug = BIT(14)),                                                             \
	    NULL, "", 0)                                                                                     \
	ROW(LONG, (v12.guest_interruptibility = 2, v12.guest_rflags |= RFLAGS_TF, v12.guest_debugctl = 2),   \
	    NULL, "", 0)                                                                                     \
	ROW(LONG, (v12.guest_activity_state = 1, v12.guest_rflags |= RFLAGS_TF), "guest_pending_debug",      \
	    "pending_bs_missing", 0)                                                                         \
	ROW(LONG, v12.guest_rflags |= RFLAGS_TF, NULL, "", 0)                                                \
	ROW(LONG, v12.guest_pending_debug = BIT(16) | BIT(12), "guest_pending_debug", "pending_rtm", 0)      \
	ROW(LONG, (env.has_rtm = true, v12.guest_pending_debug = BIT(16) | BIT(12)), NULL, "", 0)            \
	ROW(LONG, (env.has_rtm = true, v12.guest_pending_debug = BIT(16)), "guest_pending_debug",            \
	    "pending_rtm_bits", 0)                                                                           \
	ROW(LONG,                                                                                            \
	    (env.has_rtm = true, v12.guest_pending_debug = BIT(16) | BIT(12),                                \
	     v12.guest_interruptibility = 2),                                                                \
	    "guest_pending_debug", "pending_rtm_mov_ss", 0)                                                  \
	/* the link pointer */                                                                               \
	ROW(LONG, v12.vmcs_link_pointer = VALID12_ORDINARY, NULL, "", 0)                                     \
	ROW(LONG, v12.vmcs_link_pointer = VALID12_ORDINARY + 8, "vmcs_link_pointer", "link_page",            \
	    ENTRY_FAIL_LINK_POINTER)                                                                         \
	ROW(LONG, v12.vmcs_link_pointer = WIDE, "vmcs_link_pointer", "link_page", ENTRY_FAIL_LINK_POINTER)   \
	ROW(LONG, v12.vmcs_link_pointer = 0x1000, "vmcs_link_pointer", "link_revision",                      \
	    ENTRY_FAIL_LINK_POINTER)                                                                         \
	ROW(LONG, v12.vmcs_link_pointer = VALID12_SHADOW, "vmcs_link_pointer", "link_revision",              \
	    ENTRY_FAIL_LINK_POINTER)                                                                         \
	ROW(LONG, (PROC2(PROC2_VMCS_SHADOWING), v12.vmcs_link_pointer = VALID12_SHADOW), NULL, "", 0)        \
	ROW(LONG, (PROC2(PROC2_VMCS_SHADOWING), v12.vmcs_link_pointer = VALID12_ORDINARY),                   \
	    "vmcs_link_pointer", "link_revision", ENTRY_FAIL_LINK_POINTER)                                   \
	ROW(LONG, v12.vmcs_link_pointer = VALID12_SELF, "vmcs_link_pointer", "link_self",                    \
	    ENTRY_FAIL_LINK_POINTER)                                                                         \
	ROW(LONG, v12.vmcs_link_pointer = 0x100000, "vmcs_link_pointer", "link_revision",                    \
	    ENTRY_FAIL_LINK_POINTER)                                                                         \
	/* PDPTEs */                                                                                         \
	ROW(PAE, v12.guest_pdpte0 = BIT(1) | 1, "guest_pdpte0", "pdpte0", ENTRY_FAIL_PDPTE)                  \
	ROW(PAE, v12.guest_pdpte1 = BIT(5) | 1, "guest_pdpte1", "pdpte1", ENTRY_FAIL_PDPTE)                  \
	ROW(PAE, v12.guest_pdpte2 = BIT(8) | 1, "guest_pdpte2", "pdpte2", ENTRY_FAIL_PDPTE)                  \
	ROW(PAE, v12.guest_pdpte3 = WIDE | 1, "guest_pdpte3", "pdpte3", ENTRY_FAIL_PDPTE)                    \
	ROW(PAE, v12.guest_pdpte3 = BIT(63) | 1, "guest_pdpte3", "pdpte3", ENTRY_FAIL_PDPTE)                 \
	ROW(PAE, v12.guest_pdpte3 = ~1ull, NULL, "", 0)                                                      \
	ROW(PAE, v12.guest_pdpte2 = 0xe19, NULL, "", 0)                                                      \
	ROW(LONG, v12.guest_pdpte0 = ~0ull, NULL, "", 0)                                                     \
	ROW(PROTECTED, v12.guest_pdpte0 = ~0ull, NULL, "", 0)                                                \
	ROW(REAL, (v12.guest_cr4 |= CR4_PAE, v12.guest_pdpte0 = ~0ull), NULL, "", 0)                         \
	ROW(PAE, (NO_PROC2(PROC2_EPT), v12.guest_pdpte0 = ~0ull, v12.guest_cr3 = VALID12_PDPTES), NULL, "",  \
	    0)                                                                                               \
	ROW(PAE, (NO_PROC2(PROC2_EPT), v12.guest_cr3 = VALID12_PDPTES, valid12_memory[VALID12_PDPTES] = 3),  \
	    "guest_cr3", "pdptes_memory", ENTRY_FAIL_PDPTE)                                                  \
	ROW(PAE, (NO_PROC2(PROC2_EPT), v12.guest_cr3 = 0x20000), "guest_cr3", "pdptes_memory",               \
	    ENTRY_FAIL_PDPTE)

struct row {
	enum base base;
	const char *text, *field, *rule;
	u64 qualification;
};

/* The rows' mutations are the cases of a switch, numbered by their order, which is that of the table. */
#define MUTATION(base, mutation, field, rule, qualification)                                                 \
	case __COUNTER__ - FIRST:                                                                            \
		mutation;                                                                                    \
		break;
#define EXPECTATION(base, mutation, field, rule, qualification)                                              \
	{ base, #base ": " #mutation, field, rule, qualification },

static const char *const rule_names[RULE_COUNT] = {
#define RULE(id, section, field, set, text) #id,
#define REFUSAL(id, outcome, section, text) #id,
#include "vmx/nested/explain/rules.def"
#undef REFUSAL
#undef RULE
};

typedef bool (*check_function)(const struct vmcs12 *, const struct check_env *, struct check_failure *);

static unsigned int count_bad(check_function check, const struct row *row, void (*mutate)(size_t n), size_t n,
			      const char *who)
{
	struct check_failure failure = { .rule = RULE_COUNT };
	struct vmx_caps caps = valid12_caps;
	bool passed;

	make(row->base);
	mutate(n);
	passed = check(&v12, &env, &failure);
	valid12_caps = caps;
	if (passed ? !row->field
		   : row->field && !strcmp(vmcs12_fields[failure.field].name, row->field) &&
			     !strcmp(rule_names[failure.rule], row->rule) &&
			     failure.qualification == row->qualification)
		return 0;
	print_error("%s: %s: %s, rule '%s', field %s, qualification %llu\n", who, row->text,
		    passed ? "passed" : "failed", passed ? "" : rule_names[failure.rule],
		    passed ? "" : vmcs12_fields[failure.field].name,
		    (unsigned long long)failure.qualification);
	return 1;
}

#define TABLE_TEST(name, check, ROWS)                                                                        \
	static void name##_mutate(size_t n)                                                                  \
	{                                                                                                    \
		enum { FIRST = __COUNTER__ + 1 };                                                            \
                                                                                                             \
		switch (n) {                                                                                 \
			ROWS(MUTATION)                                                                       \
		}                                                                                            \
	}                                                                                                    \
	static void name(void **state)                                                                       \
	{                                                                                                    \
		static const struct row rows[] = { ROWS(EXPECTATION) };                                      \
		unsigned int bad = 0;                                                                        \
                                                                                                             \
		(void)state;                                                                                 \
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)                                                \
			bad += count_bad(check, &rows[i], name##_mutate, i, #check);                         \
		assert_int_equal(bad, 0);                                                                    \
	}
TABLE_TEST(controls_each_rule, check_controls, CONTROL_ROWS)
TABLE_TEST(events_each_rule, check_controls, EVENT_ROWS)
TABLE_TEST(events_alone_each_rule, check_event_injection, EVENT_ROWS)
TABLE_TEST(host_each_rule, check_host, HOST_ROWS)
TABLE_TEST(guest_each_rule, check_guest, GUEST_ROWS)
TABLE_TEST(guest_non_register_each_rule, check_guest, HOT_ROWS)
TABLE_TEST(guest_hot_each_rule, check_guest_hot, HOT_ROWS)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(controls_each_rule),	  cmocka_unit_test(events_each_rule),
		cmocka_unit_test(events_alone_each_rule), cmocka_unit_test(host_each_rule),
		cmocka_unit_test(guest_each_rule),	  cmocka_unit_test(guest_non_register_each_rule),
		cmocka_unit_test(guest_hot_each_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
