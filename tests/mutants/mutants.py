# SPDX-License-Identifier: MIT
"""The mutants: each is Socle with one naive behaviour put in, and names the tests that must notice. run.py runs them.

Mutant(name, file, [(old text, new text), ...], unit="binary: test" or None, guest="image: test" or None, options)
Each old text must stand in the file exactly once: a mutant that no longer fits the code is an error.
unit: a test of tests/unit; guest: a test of tests/guest, whose results under Socle must differ from those of the bare
processor, with `options` on Socle's command line.
"""
from collections import namedtuple

Mutant = namedtuple("Mutant", "name file edits unit guest options", defaults=(None, None, ""))

REFLECT, MERGE, ENTRY = "vmx/nested/reflect.c", "vmx/nested/merge.c", "vmx/nested/entry.c"
EXIT, EVENT, INSN = "vmx/nested/exit.c", "vmx/nested/event.c", "vmx/nested/insn.c"

# The founding invariants: one for each naive behaviour of the seeds.
SEEDS = [
    Mutant("pdpte-dropped-at-reset", REFLECT,
           [("\tcache->available = available;\n\tv12->guest_interruptibility",
             "\tcache->dirty &= ~REG_MASK_PDPTE;\n\tcache->available = available & ~REG_MASK_PDPTE;\n"
             "\tv12->guest_interruptibility")],
           "exit: new_pdptes_survive_a_reflected_exit", "invariants: pdpte_update_ept", "intercept=cr"),
    Mutant("pdptes-saved-always", REFLECT,
           [("\tif (v12_has_proc2(v12, PROC2_EPT) && vcpu_is_pae_paging(vcpu)) {\n\t\tv12->guest_pdpte0",
             "\t{\n\t\tv12->guest_pdpte0")],
           "merge: pdptes_only_when_they_mean_something", "invariants: pdpte_meaning"),
    Mutant("pdptes-loaded-always", MERGE,
           [("\tif (!v12_has_proc2(v12, PROC2_EPT) || !vcpu_is_pae_paging(vcpu))\n\t\treturn;\n", "")],
           "merge: pdptes_only_when_they_mean_something"),
    Mutant("pdptes-loaded-never", MERGE,
           [("\tif (!v12_has_proc2(v12, PROC2_EPT) || !vcpu_is_pae_paging(vcpu))\n\t\treturn;\n", "\treturn;\n")],
           "merge: pdptes_only_when_they_mean_something", "invariants: pdpte_meaning"),
    Mutant("cr3-skipped-in-hlt", MERGE,
           [("\tvcpu_set_reg(vcpu, REG_CR3, v12->guest_cr3);",
             "\tif (v12->guest_activity_state != ACTIVITY_HLT)\n\t\tvcpu_set_reg(vcpu, REG_CR3, v12->guest_cr3);")],
           "exit: cr3_reaches_vmcs02_in_hlt_too", "invariants: cr3_in_hlt"),
    Mutant("cr3-skipped-in-guest-mode", MERGE,
           [("\tvcpu_set_reg(vcpu, REG_CR3, v12->guest_cr3);",
             "\tif (!vcpu->nested.in_l2 || !slot->entered)\n\t\tvcpu_set_reg(vcpu, REG_CR3, v12->guest_cr3);")],
           "exit: cr3_reaches_vmcs02_in_hlt_too", "invariants: cr3_in_hlt"),
    Mutant("role-without-pae", "mm/guest_walk.c", [("(cr4 & CR4_PAE ? WALK_PAE : 0)", "(efer & EFER_LMA ? WALK_PAE : 0)")],
           "walk: the_role_has_every_bit", "legacy: toggle_pae"),
    Mutant("role-without-pse", "mm/guest_walk.c", [("(cr4 & CR4_PSE ? WALK_PSE : 0)", "0u")],
           "walk: the_role_has_every_bit"),
    Mutant("pf-bitmaps-ored", MERGE,
           [("\tif (pf_intercept_is_empty(l0))\n",
             "\treturn (struct pf_intercept){ l0.eb || l1.eb, l1.mask, l1.match };\n\tif (pf_intercept_is_empty(l0))\n")],
           "table: pf_merge_gives_at_least_both", "invariants: page_fault_value", "intercept=pf"),
    Mutant("pf-mask-left-in-l1", REFLECT,
           [("\tvmcs_write_fast(VMCS_guest_debugctl, 0);",
             "\tvmcs_write_fast(VMCS_guest_debugctl, 0);\n\tvmcs_write(VMCS_exception_bitmap, v12->exception_bitmap);\n"
             "\tvmcs_write(VMCS_pf_mask, v12->pf_mask);\n\tvmcs_write(VMCS_pf_match, v12->pf_match);")],
           "merge: pf_intercept_leaves_nothing_in_l1"),
    Mutant("pf-wish-of-l0-late", MERGE, [("\tif (vcpu->nested.in_l2)\n\t\tmerge_exception_bitmap",
                "\tif (!vcpu->nested.in_l2)\n"
                                          "\t\tmerge_exception_bitmap")],
           "merge: pf_intercept_follows_l0s_wish"),
    Mutant("pdptes-through-l1s-tables", "vmx/nested/pdpte.c",
           [("\tif (vcpu->nested.in_l2)\n\t\treturn nested_translate",
                       "\tif (!vcpu->nested.vmxon)\n\t\treturn nested_translate")],
           "exit: an_unmapped_pdpte_page_is_l1s_violation", "invariants: pdpte_bad", "intercept=cr"),
]

# And others across vmx/.
OTHERS = [
    Mutant("check-skipped", "vmx/nested/check_host.c",
           [("\tREQUIRE(!(v12->host_cr4 & ~caps->cr4_fixed1), host_cr4);\n", "")], "check: host_each_rule"),
    Mutant("check-of-dpl-skipped", "vmx/nested/check_guest_segments.c",
           [("\t\tREQUIRE_SEGMENT(dpl_of(s) == ss_dpl, ar);\n", "\t\t;\n")], "check: guest_each_rule"),
    Mutant("check-of-hot-fields-skipped", "vmx/nested/check_guest.c",
           [("\treturn check_rip_rflags(v12, env, failure) && check_non_register(v12, env, failure);\n}\n\nbool check_guest(",
             "\treturn check_rip_rflags(v12, env, failure);\n}\n\nbool check_guest(")], "check: guest_hot_each_rule"),
    Mutant("qualification-forgotten", "vmx/nested/check_guest.c",
           [("REQUIRE_QUALIFIED(memory_pdptes_valid(v12, env), guest_cr3, ENTRY_FAIL_PDPTE)",
             "REQUIRE(memory_pdptes_valid(v12, env), guest_cr3)")], "check: guest_hot_each_rule", "invariants: pdpte_meaning"),
    Mutant("wrong-error-number", ENTRY,
           [("insn_fail(vcpu, VMXERR_VMRESUME_NOT_LAUNCHED)", "insn_fail(vcpu, VMXERR_VMLAUNCH_NOT_CLEAR)")],
           "insn: launch_state_is_kept", "insn: entry_order"),
    Mutant("mov-ss-not-checked", ENTRY, [("if (vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & INTERRUPTIBILITY_MOV_SS)", "if (0)")],
           "insn: entries_fail_in_order"),
    Mutant("error-not-stored", INSN, [("\tcurrent->v12.vm_instruction_error = error;\n", "")],
           "insn: vmclear_and_vmptrld_number_their_errors"),
    Mutant("vectoring-lost", REFLECT,
           [("\tv12->idt_vectoring_info = vcpu_reg(vcpu, REG_IDT_VECTORING_INFO);", "\tv12->idt_vectoring_info = 0;")],
           "exit: vectoring_reaches_l1", "exits: idt_vectoring"),
    Mutant("vectoring-lost-by-l0", "vmx/event.c",
           [("\t*event = (struct event){\n\t\t.vector = info & INTR_INFO_VECTOR,", "\treturn;\n\t*event = (struct event){\n"
             "\t\t.vector = info & INTR_INFO_VECTOR,")],
           "exit: vectoring_survives_l0s_own_exits"),
    Mutant("invept-ignored", "vmx/nested/ept02.c", [("\t\t\troot->stale = true;\n", "\t\t\troot->stale = root->stale;\n")],
           "ept02: test_model_large_budget"),
    Mutant("bitmap-not-merged", "vmx/nested/bitmaps.c", [("|= l0[l0_words[i]];", "|= 0 & l0[l0_words[i]];")],
           "merge: bitmaps_follow_l1s_pages"),
    Mutant("bitmap-of-l1-raw", MERGE,
           [("vmcs_write(VMCS_msr_bitmap, page_phys(slot->msr_bitmap02).v);", "vmcs_write(VMCS_msr_bitmap, v12->msr_bitmap);")],
           "merge: no_page_of_l1s_is_there_raw"),
    Mutant("nmi-exiting-not-added", MERGE, [("#define PIN_L0 (PIN_NMI_EXITING | PIN_VIRTUAL_NMIS)", "#define PIN_L0 0")],
           "merge: l0s_minimum_is_there"),
    Mutant("touched-field-not-written", "vmx/nested/insn_vmcs.c", [("\tslot->dirty |= f->group;\n", "")],
           "merge: every_touched_field_is_written"),
    Mutant("shadowed-write-not-seen", "vmx/nested/shadow.c",
           [("\t\t*vmcs12_slot(&slot->v12, rows[i].row) = value;\n", "\t\t(void)value;\n")], "insn: vmcs_lives_in_memory"),
    Mutant("msr-list-reserved-bits", "vmx/nested/msr_area.c",
           [("\tif (e->reserved || is_x2apic(e->index))\n\t\treturn false;\n\tswitch", "\tif (is_x2apic(e->index))\n"
             "\t\treturn false;\n\tswitch")], "exit: entry_list_fails_with_its_index", "exits: msr_lists"),
    Mutant("abort-without-indicator", REFLECT,
           [("\tguest_mem_write(vcpu, GPA(slot->gpa + offsetof(struct vmcs12, abort)), &indicator, sizeof(indicator));\n", "")],
           "exit: a_bad_store_list_aborts", "exits: vmx_abort"),
    Mutant("mtf-forgotten-after-emulation", EVENT,
           [("\tif (!v12_has_proc(&vcpu->nested.current->v12, PROC_MTF))\n\t\treturn ACTION_RESUME;\n"
             "\treturn nested_reflect(vcpu, &record);",
             "\t(void)record;\n\t(void)vcpu;\n\treturn ACTION_RESUME;")],
           "exit: emulation_skips_and_honours_mtf"),
    Mutant("cr-mask-ignored", EXIT, [("\treturn (value ^ shadow) & mask;", "\treturn mask && (value ^ shadow) & 1;")],
           "exit: cr0_and_cr4_by_mask_and_shadow", "exits: cr_masks"),
    Mutant("write-bitmap-for-reads", EXIT, [("v12->msr_bitmap + (write ? 0x800 : 0)",
                "v12->msr_bitmap + (write ? 0x800 : 0x800)")],
           "exit: msrs_by_bitmap", "exits: msr_bitmap"),
    Mutant("init-in-root-lost", "vmx/exit.c", [("\t\tvcpu->nested.init_pending = true;",
                "\t\tvcpu->nested.init_pending = false;")],
           "exit: init_in_root_waits_for_the_next_entry"),
    Mutant("double-fault-missed", EVENT,
           [("\tif (first == CLASS_PAGE_FAULT)\n", "\tif (first == CLASS_PAGE_FAULT && second == CLASS_PAGE_FAULT)\n")],
           "exit: exceptions_combine"),
    Mutant("vmcs-not-written-back", "vmx/nested/nested.c",
           [("\tguest_mem_write(vcpu, GPA(slot->gpa + first), (u8 *)&slot->v12 + first, sizeof(slot->v12) - first);\n",
             "\t(void)first;\n")], "insn: vmcs_lives_in_memory"),
    Mutant("tss-limit-of-the-host", REFLECT, [("#define HOST_LIMIT_TSS 0x67", "#define HOST_LIMIT_TSS 0xffff")],
           "exit: host_state_is_loaded"),
    Mutant("write-dropped-if-equal-once", "vmx/regcache.h",
           [("\tif ((cache->available & BIT(reg)) && cache->value[reg] == value)\n", "\tif (cache->value[reg] == value)\n")],
           "regcache: a_million_steps_like_a_plain_copy"),
    Mutant("cache-kept-over-an-exit", "vmx/regcache.h", [("\tcache->available = 0;", "\tcache->available &= BIT(REG_RFLAGS);")],
           "regcache: a_million_steps_like_a_plain_copy"),
    Mutant("dirty-lost-at-a-switch", "vmx/vcpu.c",
           [("\t\tregcache_flush(&vcpu->vmcs->cache);\n\t\tASSERT", "\t\tvcpu->vmcs->cache.dirty = 0;\n\t\tASSERT")],
           "regcache: a_dirty_register_is_never_lost"),
    Mutant("bios-map-shows-the-window", "boot/int15.c", [("\t\tmemcpy(e + 16, &r->type, 4);", "\t\te[16] = 1;")],
           guest="bios: e820"),
    Mutant("elf-size-unchecked", "boot/elf.c",
           [("\t\tif (s.offset > size || s.filesz > size - s.offset)\n", "\t\tif (s.offset > size)\n")],
           "boot: damaged_elfs_are_a_status"),
]

MUTANTS = SEEDS + OTHERS
