#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mends the source of Bochs 3.0 where its processor is not the processor that the SDM describes.

    edits.py SRCDIR          mends the tree in place, all edits or none
    edits.py --list          names the edits

Each row of EDITS is keyed on a few tokens of the source, which must be found exactly so many times inside one region;
only lines of our own are in here. docs/testing.md says what an emulator without these edits gets wrong.
"""
import os
import sys
from collections import namedtuple

THIS = "BX_CPU_THIS_PTR "

# name: what it mends; file; how: 'token' replaces the key, 'after'/'before'/'instead' put text at each line with the
# key; count: how often the key must be found; region: (first token, token that ends it), or None for the whole file
Edit = namedtuple("Edit", "name file how key text count region", defaults=(1, None))


def member(name):
    """The region of one member function: from its name to the closing brace in column 0."""
    return ("BX_CPU_C::%s(" % name, "\n}\n")


REASONS = {
    "monitor": "a store by another CPU did not end MWAIT: MONITOR flushed the other CPUs' TLBs by a linear address "
               "equal to the physical one, and their cached write pointers survived",
    "smptime": "a halted CPU made time run faster for the others; with all halted, go to the next timer event",
    "seed": "RDRAND and RDSEED were seeded from the clock; now fixed, or from BOCHS_SEED, so that runs repeat",
    "extint": "external-interrupt exiting ignores RFLAGS.IF, also directly after VM entry",
    "hlt": "a guest in HLT wakes up for external-interrupt exits, interrupt windows and virtual interrupts",
    "init": "INIT while masked (VMX root) is held, not dropped",
    "storetsc": "IA32_TSC in the MSR-store list is the TSC without the offset",
    "apicen": "the local APIC may be enabled again after it was disabled",
    "cr0pdpte": "MOV to CR0 loads PDPTEs only if it changes CD, NW or PG",
    "cr0fixed": "MOV to CR0 in VMX non-root operation cannot clear PE or PG without 'unrestricted guest'",
    "debugctl": "IA32_DEBUGCTL exists, and VM entries and exits load, save and clear it",
    "vmcall": "VMCALL in VMX root operation fails with VM-instruction error 1 outside SMM also",
    "shadowlaunch": "VMLAUNCH and VMRESUME fail with a shadow VMCS current",
    "invtype": "bits 63:32 of the INVEPT and INVVPID types count only in 64-bit mode",
    "errcode": "consistency of deliver-error-code at VM entry where IA32_VMX_BASIC bit 56 is 0",
    "rip": "VM entry refuses a RIP that is not canonical",
    "eptad": "a page walk with EPT A/D on is a write to the paging structure: qualification bits 0 and 1",
    "eptleaf": "bit 12 of a large EPT leaf is reserved",
    "rf": "RFLAGS.RF saved by an EPT violation during event delivery is that of the event's image, not always 1",
    "smpfault": "with several CPUs, an instruction after a fault or VM exit saw the RIP and RSP before it as its own",
    "nmirip": "the first instruction of an NMI handler, if it faulted or exited, showed the interrupted RIP",
    "activity": "VM entry refuses events that HLT or shutdown do not allow",
    "vnmi": "VM entry with virtual NMIs refuses to inject an NMI while NMIs are blocked",
    "abort": "VMX-abort indicators begin with 1",
    "regdisp": "an exit by an instruction with a register operand has qualification 0, not a displacement left over",
    "nmirf": "RFLAGS.RF saved by an NMI exit is that of the interrupted program",
    "pendingdbg": "VM entry checks bits 63:32 of the pending debug exceptions too",
    "fetchlimit": "a CS limit that ends within a page holds for instructions that were decoded before, too",
    "posted": "process posted interrupts needs a TPR shadow; its descriptor is aligned to 64 bytes, not to a page",
    "smmentry": "entry to SMM from outside SMM fails with VM-instruction error 7",
    "ia32epg": "VM entry refuses a guest in IA-32e mode without CR0.PG",
    "v86real": "VM entry refuses RFLAGS.VM without CR0.PE",
    "ss64": "VM entry checks a usable SS in 64-bit mode also if its RPL is 0",
    "bstf": "VM entry checks BS of the pending debug exceptions against RFLAGS.TF and IA32_DEBUGCTL.BTF",
    "nmisti": "the exit qualification of a failed entry says that STI blocks the NMI to be injected",
    "hostcs": "IA32_SYSENTER_CS of the host has 32 bits",
    "failinfo": "a failed entry writes exit reason and qualification, no other exit information",
    "hltdbg": "pending debug exceptions end HLT at VM entry",
    "virtint": "an exit from the delivery of a virtual interrupt has it as IDT-vectoring information, not an older event",
    "virtif": "an external interrupt that exits while RFLAGS.IF is 0 delivered the virtual interrupt that IF holds back",
    "nopost": "a notification with no interrupt posted leaves the requesting virtual interrupt as it was",
    "serialfast": "no mistake: where BOCHS_SERIAL_FAST is set, a serial port sends a byte in a microsecond, so that tests need "
                  "not wait for the line",
    "cetdirty": "models with CET panicked under OVMF instead of leaving the dirty bit clear",
}

INVALIDATE = (
    "for (unsigned q = 0; q < BX_SMP_PROCESSORS; q++) { BX_CPU(q)->invalidate_stack_cache(); "
    "for (unsigned e = 0; e < BX_DTLB_SIZE; e++) if (BX_CPU(q)->DTLB.entry[e].ppf == PPFOf(paddr)) "
    "BX_CPU(q)->DTLB.entry[e].invalidate(); }")
COMMIT_RIP = (
    "          BX_CPU(processor)->prev_rip = BX_CPU(processor)->gen_reg[BX_64BIT_REG_RIP].rrx; "
    "BX_CPU(processor)->speculative_rsp = false;")
ACTIVITY_CHECK = (
    "    if (guest.activity_state == BX_ACTIVITY_STATE_HLT && event_type != BX_EXTERNAL_INTERRUPT && "
    "event_type != BX_NMI && event_type != 7 && (event_type != BX_HARDWARE_EXCEPTION || "
    "(vector != BX_DB_EXCEPTION && vector != BX_MC_EXCEPTION))) return VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE;")
VIRTUAL_NMI_CHECK = (
    "    if (event_type == BX_NMI && vm->pin_vmexec_ctrls.VIRTUAL_NMI() && "
    "(guest.interruptibility_state & BX_VMX_INTERRUPTS_BLOCKED_NMI_BLOCKED)) "
    "return VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE;")
TICK = (
    "unsigned busy = BX_SMP_PROCESSORS - idle; if (busy) { BX_TICKN(executed / busy); executed %= busy; } "
    "else BX_TICKN(bx_pc_system.getNumCpuTicksLeftNextEvent()); idle = 0;")
WAKE = (
    "(" + THIS + "in_vmx_guest && " + THIS + "activity_state != BX_ACTIVITY_STATE_SHUTDOWN && "
    "is_unmasked_event_pending(BX_EVENT_PENDING_INTR | BX_EVENT_PENDING_LAPIC_INTR)) ||\n"
    "(" + THIS + "in_vmx_guest && " + THIS + "activity_state == BX_ACTIVITY_STATE_HLT && "
    "is_unmasked_event_pending(BX_EVENT_VMX_INTERRUPT_WINDOW_EXITING | BX_EVENT_PENDING_VMX_VIRTUAL_INTR)) ||")
STORE_TSC = (
    "if (! rdmsr(index, &msr_hi) || (index == BX_MSR_TSC && (msr_hi = " + THIS + "get_TSC(), false))) {")
DEBUGCTL_READ = "    if (index == BX_MSR_DEBUGCTLMSR) { *msr = " + THIS + "msr.debugctl; return true; }"
DEBUGCTL_WRITE = (
    "    if (index == BX_MSR_DEBUGCTLMSR) { if (val_64 & ~Bit64u(0x7fc3)) return false; "
    + THIS + "msr.debugctl = val_64; return true; }")
DEBUGCTL_CHECK = (
    "  if (vm->vmentry_ctrls.LOAD_DBG_CTRLS() && (guest.ia32_debugctl_msr & ~Bit64u(0x7fc3))) "
    "return VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE;")
DEBUGCTL_LOAD = (
    "  if (vm->vmentry_ctrls.LOAD_DBG_CTRLS()) " + THIS + "msr.debugctl = VMread64(VMCS_64BIT_GUEST_IA32_DEBUGCTL);")
DEBUGCTL_SAVE = (
    "  if (vm->vmexit_ctrls1.SAVE_DBG_CTRLS()) VMwrite64(VMCS_64BIT_GUEST_IA32_DEBUGCTL, " + THIS + "msr.debugctl);")
SHADOW_CHECK = (
    "vmcsptr == BX_INVALID_VMCSPTR || (VMXReadRevisionID(" + THIS + "vmcsptr) & BX_VMCS_SHADOW_BIT_MASK))")
ERROR_CODE_CHECK = (
    "     if (push_error && (event_type != BX_HARDWARE_EXCEPTION || (vm->vmexec_ctrls2.UNRESTRICTED_GUEST() && "
    "! (VMread_natural(VMCS_GUEST_CR0) & BX_CR0_PE_MASK)))) return VMXERR_VMENTRY_INVALID_VM_CONTROL_FIELD;")
RIP_CHECK = (
    "  { Bit64s top = Bit64s(guest.rip) >> (is_cpu_extension_supported(BX_ISA_LA57) ? 57 : 48); "
    "if (top != 0 && top != -1) return VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE; }")
PID_CHECK = "(IsValidPhyAddr(vm->pid_addr) && (vm->pid_addr & 63) == 0)"
V86_CHECK = (
    "  if (v8086_guest && ! (guest.cr0 & BX_CR0_PE_MASK)) return VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE;")
BS_CHECK = (
    "  if ((guest.interruptibility_state & 3) || guest.activity_state == BX_ACTIVITY_STATE_HLT) { "
    "bool stepped = (guest.rflags & EFlagsTFMask) && ! (guest.ia32_debugctl_msr & 2); "
    "if (stepped != ((guest.tmpDR6 & 0x4000) != 0)) return VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE; }")
HLT_DEBUG = (
    "  if (guest.activity_state == BX_ACTIVITY_STATE_HLT && " + THIS + "debug_trap) "
    "guest.activity_state = BX_ACTIVITY_STATE_ACTIVE;")
ENTERED = "reason != VMX_VMEXIT_VMENTRY_FAILURE_GUEST_STATE && reason != VMX_VMEXIT_VMENTRY_FAILURE_MSR"
CHECK_CONTROLS, CHECK_GUEST = member("VMenterLoadCheckVmControls"), member("VMenterLoadCheckGuestState")
LIMITED = THIS + "eipPageWindowSize - 1 < 4095"  # the page's fetch window is known, and cut short by CS's limit

EDITS = [
    Edit("monitor", "cpu/mwait.cc", "token", "bx_pc_system.invlpg(paddr);", INVALIDATE, 2),
    Edit("smptime", "main.cc", "token", "if (n == 0) n = quantum;", "if (n == 0) idle++;"),
    Edit("smptime", "main.cc", "token", "static int quantum = SIM->get_param_num(BXPN_SMP_QUANTUM)->get();",
         "Bit32u idle = 0;"),
    Edit("smptime", "main.cc", "token", "BX_TICKN(executed / BX_SMP_PROCESSORS);", TICK),
    Edit("smptime", "main.cc", "instead", "executed %= BX_SMP_PROCESSORS;", ""),
    Edit("seed", "cpu/init.cc", "token", "srand(time(NULL))",
         'srand(getenv("BOCHS_SEED") ? atoi(getenv("BOCHS_SEED")) : 1)'),
    Edit("extint", "cpu/vmx.cc", "after", "in_vmx_guest = true;",
         "  handleInterruptMaskChange(); // external-interrupt exiting ignores RFLAGS.IF"),
    Edit("hlt", "cpu/event.cc", "after", "BX_ACTIVITY_STATE_MWAIT_IF)) ||", WAKE),
    Edit("init", "cpu/event.cc", "token", "if (! is_masked_event(BX_EVENT_INIT))",
         "if (" + THIS + "activity_state != BX_ACTIVITY_STATE_WAIT_FOR_SIPI)"),
    Edit("storetsc", "cpu/vmx.cc", "token", "if (! rdmsr(index, &msr_hi)) {", STORE_TSC),
    Edit("apicen", "cpu/msr.cc", "token", "if (apic_global_enable_on()) {", "if (true) { // EN may be set again",
         1, member("relocate_apic")),
    Edit("cr0pdpte", "cpu/crregs.cc", "token", "if (pg && ", "if (pg && ((oldCR0 ^ val_32) & 0xe0000000) && ",
         1, member("SetCR0")),
    Edit("cr0fixed", "cpu/crregs.cc", "token", "in_vmx_guest && !", "in_vmx || !", 1, member("check_CR0")),
    Edit("debugctl", "cpu/cpu.h", "after", "bx_phy_address apicbase;", "  Bit64u debugctl = 0;"),
    Edit("debugctl", "cpu/msr.cc", "before", "if (! msr_desc[index]) return handle_unknown_rdmsr(", DEBUGCTL_READ),
    Edit("debugctl", "cpu/msr.cc", "before", "if (! msr_desc[index]) return handle_unknown_wrmsr(", DEBUGCTL_WRITE),
    Edit("debugctl", "cpu/vmx.cc", "after", "guest.ia32_debugctl_msr = ", DEBUGCTL_CHECK),
    Edit("debugctl", "cpu/vmx.cc", "after", "in_vmx_guest = true;", DEBUGCTL_LOAD),
    Edit("debugctl", "cpu/vmx.cc", "before", "vmexit_ctrls1.SAVE_DBG_CTRLS()", DEBUGCTL_SAVE),
    Edit("debugctl", "cpu/vmx.cc", "after", "in_vmx_guest = false;", "  " + THIS + "msr.debugctl = 0;"),
    Edit("vmcall", "cpu/vmx.cc", "token", "in_smm /*||", "in_vmx /*||"),
    Edit("shadowlaunch", "cpu/vmx.cc", "token", "vmcsptr == BX_INVALID_VMCSPTR)", SHADOW_CHECK, 1, member("VMLAUNCH")),
    Edit("invtype", "cpu/vmx.cc", "token", "i->os64L()", THIS + "cpu_mode == BX_MODE_LONG_64", 1, member("INVEPT")),
    Edit("invtype", "cpu/vmx.cc", "token", "i->os64L()", THIS + "cpu_mode == BX_MODE_LONG_64", 1, member("INVVPID")),
    Edit("errcode", "cpu/vmx.cc", "before", "if (! BX_CPUID_SUPPORT_ISA_EXTENSION(BX_ISA_CET)) {", ERROR_CODE_CHECK,
         1, ("unsigned push_error_reference", "CET added new #CP")),
    Edit("rip", "cpu/vmx.cc", "after", "guest.rip = VMread_natural(", RIP_CHECK),
    Edit("eptad", "cpu/paging.cc", "token", "rw = BX_WRITE;",
         "{ rw = BX_WRITE; access_mask = BX_EPT_READ; } // bits 0 and 1", 1, member("translate_guest_physical")),
    Edit("eptleaf", "cpu/paging.cc", "token", "0x000fffffffffe000", "0x000ffffffffff000",
         1, member("translate_guest_physical")),
    Edit("rf", "cpu/vmx.cc", "token", "if (! BX_CPU_THIS_PTR in_event)",
         "if (! (VMread32(VMCS_32BIT_IDT_VECTORING_INFO) & 0x80000000))", 1, member("VMexitReadEFLAGS")),
    Edit("smpfault", "main.cc", "after", "BX_CPU(processor)->icount++;", COMMIT_RIP),
    # not volatile, it counts as 0 behind the setjmp(): every fault would be CPU 0's
    Edit("smpfault", "main.cc", "token", "Bit32u executed = 0, processor = 0;",
         "Bit32u executed = 0; volatile Bit32u processor = 0;"),
    Edit("nmirip", "cpu/event.cc", "after", "interrupt(2, BX_NMI, 0, 0);", "    " + THIS + "prev_rip = RIP; // commit new RIP"),
    Edit("activity", "cpu/vmx.cc", "before", "if (event_type == BX_EXTERNAL_INTERRUPT) {", ACTIVITY_CHECK,
         1, member("VMenterLoadCheckGuestState")),
    Edit("activity", "cpu/vmx.cc", "token", "event_type != BX_NMI && vector != BX_MC_EXCEPTION",
         "event_type != BX_NMI && (event_type != BX_HARDWARE_EXCEPTION || vector != BX_MC_EXCEPTION)"),
    Edit("vnmi", "cpu/vmx.cc", "before", "if (event_type == BX_EXTERNAL_INTERRUPT) {", VIRTUAL_NMI_CHECK,
         1, member("VMenterLoadCheckGuestState")),
    Edit("abort", "cpu/vmx.h", "token", "VMABORT_SAVING_GUEST_MSRS_FAILURE = 0", "VMABORT_SAVING_GUEST_MSRS_FAILURE = 1"),
    Edit("regdisp", "cpu/vmexit.cc", "before", "instr_info = gen_instruction_info(i, reason, rw_form);",
         "      if (i->modC0()) qualification = 0; // no displacement", 1, member("VMexit_Instruction")),
    Edit("nmirf", "cpu/vmx.cc", "token", "if (vector != BX_DB_EXCEPTION)", "if (vector != BX_DB_EXCEPTION && vector != 2)",
         1, member("VMexitReadEFLAGS")),
    Edit("pendingdbg", "cpu/vmx.cc", "token", "if (guest.tmpDR6 & BX_CONST64(0xFFFFFFFFFFFFAFF0))",
         "if (VMread_natural(VMCS_GUEST_PENDING_DBG_EXCEPTIONS) & BX_CONST64(0xFFFFFFFFFFFFAFF0))"),
    Edit("fetchlimit", "cpu/cpu.cc", "token", "if (entry == NULL)", "if (entry == NULL || " + LIMITED + ")",
         1, member("getICacheEntry")),
    Edit("fetchlimit", "cpu/cpu.cc", "before", "bxInstruction_c *next = ", "  if (" + LIMITED + ") return;",
         1, member("linkTrace")),
    Edit("fetchlimit", "cpu/cpu.cc", "before", "INC_ICACHE_STAT(iCacheLookups);", "  if (" + LIMITED + ") return;",
         1, member("linkTrace")),
    Edit("fetchlimit", "cpu/icache.cc", "token", "if (remainingInPage >= 15) {",
         "if (remainingInPage >= 15 && ! (" + LIMITED + ")) {", 1, member("serveICacheMiss")),
    Edit("virtint", "cpu/vapic.cc", "before", "interrupt(vector, BX_EXTERNAL_INTERRUPT, 0, 0);",
         "    vm->idt_vector_info = vector | (BX_EXTERNAL_INTERRUPT << 8);", 1, member("VMX_Deliver_Virtual_Interrupt")),
    Edit("virtif", "cpu/event.cc", "token", "is_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)",
         "is_unmasked_event_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR)", 1, member("HandleExtInterrupt")),
    Edit("nopost", "cpu/vapic.cc", "token", "if (vector >= vm->rvi)",
         "if ((virr[0] | virr[1] | virr[2] | virr[3] | virr[4] | virr[5] | virr[6] | virr[7]) && vector >= vm->rvi)",
         1, member("VMX_Posted_Interrupt_Processing")),
    Edit("posted", "cpu/vmx.cc", "token", "VIRTUALIZE_APIC_REGISTERS() ||",
         "VIRTUALIZE_APIC_REGISTERS() || vm->pin_vmexec_ctrls.PROCESS_POSTED_INTERRUPTS() ||", 1, CHECK_CONTROLS),
    Edit("posted", "cpu/vmx.cc", "token", "IsValidPageAlignedPhyAddr(vm->pid_addr)", PID_CHECK, 1, CHECK_CONTROLS),
    Edit("smmentry", "cpu/vmx.cc", "token", "vm->vmentry_ctrls.DEACTIVATE_DUAL_MONITOR_TREATMENT()",
         "vm->vmentry_ctrls.SMM_ENTER() || vm->vmentry_ctrls.DEACTIVATE_DUAL_MONITOR_TREATMENT()", 1, CHECK_CONTROLS),
    Edit("ia32epg", "cpu/vmx.cc", "token", "(guest.cr4 & BX_CR4_PAE_MASK) == 0",
         "(guest.cr4 & BX_CR4_PAE_MASK) == 0 || (guest.cr0 & BX_CR0_PG_MASK) == 0", 1, CHECK_GUEST),
    Edit("v86real", "cpu/vmx.cc", "after", "guest.cr0 = VMread_natural(", V86_CHECK, 1, CHECK_GUEST),
    Edit("ss64", "cpu/vmx.cc", "token", "n == BX_SEG_REG_SS && (selector", "false && (selector", 1, CHECK_GUEST),
    Edit("bstf", "cpu/vmx.cc", "before", "guest.interruptibility_state & ~BX_VMX_INTERRUPTIBILITY_STATE_MASK", BS_CHECK,
         1, CHECK_GUEST),
    Edit("nmisti", "cpu/vmx.cc", "before", "interrupts blocked when injecting NMI",
         "        if (guest.interruptibility_state & 1) "
         "*qualification = VMENTER_ERR_GUEST_STATE_INJECT_NMI_BLOCKING_EVENTS;", 1, CHECK_GUEST),
    Edit("hostcs", "cpu/vmx.cc", "token", "(Bit16u) VMread32(VMCS_32BIT_HOST", "VMread32(VMCS_32BIT_HOST"),
    Edit("failinfo", "cpu/vmx.cc", "token", "VMwrite32(VMCS_32BIT_VMEXIT_INSTRUCTION_LENGTH",
         "if (! (reason >> 31)) VMwrite32(VMCS_32BIT_VMEXIT_INSTRUCTION_LENGTH"),
    Edit("failinfo", "cpu/vmx.cc", "token", "if (reason != VMX_VMEXIT_EXCEPTION_NMI &&",
         "if (" + ENTERED + " && reason != VMX_VMEXIT_EXCEPTION_NMI &&"),
    Edit("failinfo", "cpu/vmx.cc", "token", "VMwrite32(VMCS_32BIT_IDT_VECTORING_INFO, 0)",
         "if (" + ENTERED + ") VMwrite32(VMCS_32BIT_IDT_VECTORING_INFO, 0)", 1, member("VMexit")),
    Edit("hltdbg", "cpu/vmx.cc", "before", "if (guest.activity_state) {", HLT_DEBUG, 1, CHECK_GUEST),
    Edit("serialfast", "iodev/serial.cc", "token", "activate_timer(BX_SER_THIS s[port].tx_timer_index,",
         'activate_timer(BX_SER_THIS s[port].tx_timer_index, getenv("BOCHS_SERIAL_FAST") ? 1 :', 2),
    Edit("cetdirty", "cpu/paging.cc", "token",
         'BX_PANIC(("PAE: asked to set dirty on paging leaf entry with R/W bit clear"))', "set_dirty = false"),
    Edit("cetdirty", "cpu/paging.cc", "token",
         'BX_PANIC(("Legacy Paging: asked to set dirty on paging leaf entry with R/W bit clear"))',
         "set_dirty = false"),
]


class Mismatch(Exception):
    """The source is not the one that an edit was written for."""


def find_region(text, region):
    """Start and end of the region, the whole text without one."""
    if not region:
        return 0, len(text)
    first, last = region
    if text.count(first) != 1:
        raise Mismatch("region %r found %d times" % (first, text.count(first)))
    start = text.index(first)
    end = text.find(last, start + 1)
    if end < 0:
        raise Mismatch("end %r of region %r not found" % (last, first))
    return start, end


def apply_edit(text, edit):
    """The text with one edit made; raises Mismatch and never edits in part."""
    start, end = find_region(text, edit.region)
    part = text[start:end]
    if edit.how == "token":
        found = part.count(edit.key)
        part = part.replace(edit.key, edit.text)
    else:
        lines, found = [], 0
        for line in part.split("\n"):
            if edit.key not in line:
                lines.append(line)
                continue
            found += 1
            lines += {"after": [line, edit.text], "before": [edit.text, line], "instead": [edit.text]}[edit.how]
        part = "\n".join(lines)
    if found != edit.count:
        raise Mismatch("%r found %d times, expected %d" % (edit.key, found, edit.count))
    return text[:start] + part + text[end:]


def mend(folder):
    texts, wrong = {}, []
    for edit in EDITS:
        path = os.path.join(folder, edit.file)
        try:
            if path not in texts:
                with open(path, encoding="latin1", newline="") as source:
                    texts[path] = source.read()
            texts[path] = apply_edit(texts[path], edit)
        except (Mismatch, OSError) as error:
            wrong.append("%s: %s: %s" % (edit.name, edit.file, error))
    if wrong:
        sys.exit("\n  ".join(["edits.py: not the source these edits were made for; nothing written:"] + wrong))
    for path, text in texts.items():
        with open(path, "w", encoding="latin1", newline="") as source:
            source.write(text)
    print("edits.py: %d edits in %d files" % (len(EDITS), len(texts)))


def main():
    assert {edit.name for edit in EDITS} == set(REASONS)
    if sys.argv[1:] == ["--list"]:
        for name, reason in REASONS.items():
            print("%-13s %s" % (name, reason))
    elif len(sys.argv) == 2 and os.path.isfile(os.path.join(sys.argv[1], "cpu", "vmx.cc")):
        mend(sys.argv[1])
    else:
        sys.exit("usage: edits.py SRCDIR (a Bochs 3.0 source tree) | --list")


main()
