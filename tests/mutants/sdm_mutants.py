# SPDX-License-Identifier: MIT
"""Mutants of the EPT01 that a CPU has for itself while it steps over absent memory."""
from mutant import Mutant

STEP, PASSTHRU = "vmx/l1/ept01_step.c", "vmx/l1/passthru.c"

MUTANTS = [
    Mutant("step-not-flushed-at-its-end", STEP,
           [("\tvmcs_write(VMCS_ept_pointer, vm.ept01_pointer);\n\ttlb_flush_ept(pointer_of(step));\n",
             "\tvmcs_write(VMCS_ept_pointer, vm.ept01_pointer);\n")],
           "passthru: a_step_is_this_cpus_alone"),
    Mutant("step-never-ends", STEP,
           [("\tvmcs_write(VMCS_ept_pointer, vm.ept01_pointer);\n",
             "")],
           "passthru: a_step_is_this_cpus_alone", "hostile: absent_by_two"),
    Mutant("step-in-the-common-tables", STEP,
           [("\ttable = step->root + ++step->tables * ENTRIES;\n\tif (*entry)\n",
             "\tif (*entry)\n\t\treturn phys_to_ptr(HPA(*entry & PTE_ADDR));\n"
             "\ttable = step->root + ++step->tables * ENTRIES;\n\tif (*entry)\n")],
           "passthru: a_step_is_this_cpus_alone", "hostile: absent_by_two"),
    Mutant("step-over-memory", STEP,
           [("\telse if (!(table[page / PAGE_SIZE % ENTRIES] & EPT_WRITE))\n",
             "\telse\n")],
           "passthru: a_step_follows_what_is_mapped"),
    Mutant("step-finds-the-sleep-page", STEP,
           [("\telse if (!(table[page / PAGE_SIZE % ENTRIES] & EPT_WRITE))\n",
             "\telse if (!table[page / PAGE_SIZE % ENTRIES])\n")],
           "sleep_page: other_writes_are_dropped"),
    Mutant("step-does-not-follow", STEP,
           [("\tif (vcpu->l1.ept01_step.count)\n",
             "\tif (!vcpu->l1.ept01_step.root)\n")],
           "passthru: a_step_follows_what_is_mapped"),
    Mutant("step-without-tables-for-the-last", STEP,
           [("\twhile (!passthru_build_step(step, build_tables))\n\t\tforget_oldest(step);\n",
             "\tpassthru_build_step(step, build_tables);\n")],
           "passthru: any_pages_can_be_stepped"),
    Mutant("step-with-old-types", PASSTHRU,
           [("\t\ttake_up(step->pages[i]);\n",
             "\t\t(void)i;\n")],
           "passthru: a_step_has_the_types_as_they_are"),
    Mutant("step-of-l2-outlives-it", "vmx/nested/ept/ept02_absent.c",
           [("\tept01_step_end(vcpu);\n",
             "")],
           None, "hostile: absent_by_l1_and_l2"),
]
