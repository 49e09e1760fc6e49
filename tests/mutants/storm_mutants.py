# SPDX-License-Identifier: MIT
"""Wrong Socles that the storm must notice: what is left behind, and what is looked at twice."""
from mutant import Mutant

NESTED = "vmx/nested/nested.c"

MUTANTS = [
    Mutant("slot-kept-over-vmxoff", "vmx/nested/insn/insn.c",
           [("\tfor (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)\n\t\tif (nested->slots[i].gpa != NO_VMCS)\n"
             "\t\t\tslot_release(vcpu, &nested->slots[i]);",
             "\tfor (unsigned int i = 1; i < NESTED_VMCS_COUNT; i++)\n\t\tif (nested->slots[i].gpa != NO_VMCS)\n"
             "\t\t\tslot_release(vcpu, &nested->slots[i]);")],
           "exit: vmxoff_cancels_everything", "storm: storm"),
    Mutant("vpids-kept-over-vmxoff", "vmx/nested/insn/insn.c", [("\tvpid02_invvpid(vcpu, INVVPID_ALL, 0, 0);\n", "")],
           "exit: vmxoff_cancels_everything", "storm: storm"),
    Mutant("absent-page-of-l1s-remembers", "vmx/l1/absent.c",
           [("\tmemset(absent->scratch, 0xff, PAGE_SIZE);\n", "")],
           None, "storm: storm"),
    Mutant("ept02-kept-over-vmxoff", "vmx/nested/ept/ept02.c",
           [("\tdrop(vcpu->nested.ept, NULL);\n", "\tdrop(vcpu->nested.ept, vcpu->nested.ept->active);\n")],
           "exit: vmxoff_cancels_everything", "storm: storm"),
    Mutant("steps-of-l2-half-ended", "vmx/nested/ept/ept02_absent.c",
           [("\tfor (u32 i = 0; i < cache->step_count; i++)\n\t\tundo(vcpu, &cache->steps[i]);\n\tept01_step_end(vcpu);",
             "\tfor (u32 i = 1; i < cache->step_count; i++)\n\t\tundo(vcpu, &cache->steps[i]);\n\tept01_step_end(vcpu);")],
           "leave: left_by_one_way"),
    Mutant("store-list-of-three-aborts", "vmx/nested/exit/reflect.c",
           [("(u32)v12->exit_msr_store_count))", "(u32)v12->exit_msr_store_count) + (v12->exit_msr_store_count == 3))")],
           "msr_area: the_time_is_the_exits"),
    # The storm forgives a CPU that is shut down by a VMX abort, but only where its MSR list is bad. CPU 0 says so: it lives.
    Mutant("store-list-of-three-aborts-an-ap", "vmx/nested/exit/reflect.c",
           [('#include "vmx/nested/exit/reflect.h"\n', '#include "vmx/nested/exit/reflect.h"\n#include "kernel/percpu.h"\n'),
            ("(u32)v12->exit_msr_store_count))",
             "(u32)v12->exit_msr_store_count) + (v12->exit_msr_store_count == 3 && vcpu->cpu->id))")],
           None, "storm: storm"),
    # By L0's own map of memory, which can write it: the first page of the image, at its end.
    Mutant("code-is-written", "vmx/l1/absent.c",
           [("\tmemset(absent->scratch, 0xff, PAGE_SIZE);",
             "\t*(volatile u8 *)phys_to_ptr(HPA(image_phys + 0x200000 + 24)) ^= 1;\n"
             "\tmemset(absent->scratch, 0xff, PAGE_SIZE);")],
           None, "storm: storm"),
]
