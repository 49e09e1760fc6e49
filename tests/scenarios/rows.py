# SPDX-License-Identifier: MIT
"""The scenarios: one row each; scenario.py says what the columns mean. A group is to take less than ten minutes on two cores;
run.py says which one took more."""
from scenario import Row, consoles

GUESTS = r"^(SELFTEST|L2 says|KVMLET guest end: \w+|L1 (PARAMETER|KVM PARAM|KILLED|RELOADED|STOPPED|(UN)?PLUGGED))"
LOG = "^LOG |^L1 (vmx|WARN) "
# Socle's paragraphs of what no hypervisor wants.
REFUSED = ("socle: cpu .* (refused|failed): ", "socle: cpu .* VMX abort", "socle: .*triple fault")
SHORT = {"^SELFTEST .* PASS": 4}

# Lines of L1's kernel log that may differ from the bare processor's, and why: tools/rules/linux.rules.
ALLOWED = consoles.load("linux")

# What L1's kernel warns of on the bare processor too; it warns of nothing else under Socle.
WARNINGS = (
    r"ENERGY_PERF_BIAS: Set to 'normal'", r"Failed to access perfctr msr", r"GPT:", r"PNP0A03:00: fail to add MMCONFIG",
    # OVMF on the emulator: no ACPI tables; haswell and later: an old microcode
    r"ACPI: OSL: System description tables not found", r"smpboot: Boot CPU .* not listed by BIOS",
    r"TSC_DEADLINE disabled due to Errata",
    # more than two CPUs that come up; a CPU that goes while a process is bound to it
    r"^L1 WARN  #\d$", r"process \d+ \(kvmlet\) no longer affine to cpu1",
    # KVM has not all bits of IA32_DEBUGCTL, and says so when Socle asks which there are
    r"^L1 WARN kvm \[\d+\]: vcpu\d+, guest rIP: \S+ Unhandled WRMSR\(0x1d9\)",
    # kvmlet's machine has neither RTC, ACPI, PCI nor keyboard controller
    r"^L2 WARN rtc_cmos rtc_cmos: broken or not accessible",
    r"^L2 WARN ACPI(:| Warning:) (Unable to enable ACPI|AcpiEnable failed)",
    r"^L2 WARN PCI: Fatal: No config space access function found", r"^L2 WARN i8042: (Can't read CTR|probe of i8042 failed)",
)

# Xen leaves out the first word of its command lines where the loader's name is not GRUB's.
XEN_WORDS = "Command line: com1=115200"

ROWS = (
    # ---- Linux as a plain L1: the machine is its own ----
    Row("plain", "linux", "selftest,clock:60,disk:4,log", compare=LOG + "|^SELFTEST", counts=SHORT),
    Row("plain-2cpu", "linux", "clock:60,disk:4,log", cpus=2, compare=LOG,
        must=(r"^L1 SHELL .* cpus=2 ", "^CLOCK rtc=60 monotonic=60.0")),
    Row("plain-uefi", "linux", "clock:60,disk:4,log", model="skylake_x", firmware="uefi", mem=1024, compare=LOG,
        must=(r"^L1 SHELL", "^CLOCK rtc=60 monotonic=(60.0|59.9)")),
    # the emulator's own BIOS does not survive a reset that keeps IA32_FEATURE_CONTROL: so too bare
    Row("reboot", "linux", "end:reboot", firmware="seabios", ended=("reboot",), must=("^L1 ENDS by reboot",), quick=True),
    Row("reboot-uefi", "linux", "end:reboot", model="skylake_x", firmware="uefi", mem=1024, ended=("reboot",),
        must=("^L1 ENDS by reboot",)),
    Row("poweroff", "linux", "end:poweroff", cpus=2, ended=("exit",), must=("^L1 ENDS by poweroff",), quick=True),

    # S3 would be a way out of Socle: not offered, and the rest as it was
    Row("sleep", "linux", "sleep", quick=True, compare="^L1 SLEEP state ",
        bare=(r"^L1 SLEEP supports .*S3", "^L1 SLEEP mem.*deep"),
        must=(r"^L1 SLEEP supports S0( S3)? S4 S5$", "^L1 SLEEP mem_sleep .*s2idle")),

    # ---- KVM's parameters, each off and on by itself, as the model has them ----
    Row("params-ivy", "params", "matrix:ept:vpid:unrestricted_guest:preemption_timer:flexpriority", compare=GUESTS,
        counts={"^SELFTEST .* PASS": 40}),
    Row("params-haswell", "params", "matrix:enable_shadow_vmcs:eptad:ept", model="haswell", compare=GUESTS,
        counts={"^SELFTEST .* PASS": 24}),
    Row("params-skylake", "params", "matrix:pml:enable_apicv", model="skylake_x", firmware="uefi", mem=1024, compare=GUESTS,
        counts={"^SELFTEST .* PASS": 16}),
    Row("shadow-paging-64", "params", "kvm:ept=0,linux64q", mem=768, must=("^L2 UP", "^KVMLET guest end: reset")),
    Row("shadow-paging-32", "params", "kvm:ept=0,linux32q", mem=768, must=("^L2 UP", "^KVMLET guest end: reset")),

    # ---- life and death of VMMs, modules and CPUs ----
    Row("reload", "life", "reload:20", must=("^L1 RELOADED 20 times",)),
    Row("kill", "life", "kill:5", mem=768, counts={**SHORT, "^L1 KILLED rc=137": 5}, quick=True),
    Row("stop", "life", "stop:3", mem=768, counts={r"^L1 STOPPED \d: T": 3}, must=("^L2 UP", "^KVMLET guest end: reset")),
    Row("unplug", "life", "unplug", cpus=2, mem=768, counts={"^SELFTEST .* PASS": 16, "^L1 UNPLUGGED cpus=1": 3,
        "^L1 PLUGGED cpus=2": 3}, must=("^L2 UP", "^KVMLET guest end: reset")),
    Row("four-cpus", "life", "selftest,several:selftest:selftest:selftest:selftest,linux64q", cpus=4, mem=768,
        counts={"SELFTEST .* PASS": 20}, must=(r"^L1 SHELL .* cpus=4 ", "^L2 UP", "^KVMLET guest end: reset")),

    # ---- whole systems as L2 ----
    Row("linux64", "l2", "linux64q", mem=768, must=("^L2 UP", "^KVMLET guest end: reset")),
    Row("linux64-haswell", "l2", "linux64q", model="haswell", mem=768, must=("^L2 UP", "^KVMLET guest end: reset")),
    # the one thing to explain of a healthy KVM: exits that it works by. Its own lines may be cut
    Row("linux64-explained", "l2", "linux64q", model="haswell", mem=768, options="explain=all", never=REFUSED,
        must=("L2 UP", "EPT violation, exit reason 48 to L1, which may want it")),
    Row("linux64-smp", "l2", "linux64smpq", cpus=2, mem=768, must=("^L2 UP .* cpus=2 ", "^KVMLET guest end: reset")),
    Row("linux32", "l2", "linux32q", mem=768, must=("^L2 UP", "^KVMLET guest end: reset")),
    Row("several", "l2", "several:linux64q:linux64q:linux32q:selftest", cpus=2, mem=1024, ips=100_000_000,
        counts={r"^\d\| L2 UP": 3, r"^\d\| KVMLET guest end: reset": 3, r"^\d\| SELFTEST .* PASS": 4}),

    # ---- gdb in a Linux L2, and in its L1, by the kernel's own symbols ----
    Row("gdb-linux", "gdb", "linux64q", model="haswell", mem=768, gdb="linux",
        must=("^L2 UP", "^KVMLET guest end: reset",
              r"^GDB Thread 2 hit Breakpoint 1, 0x\w+ in arch_call_rest_init \(\)", r"^GDB #1 .* in start_kernel \(\)",
              r"^GDB #\d .* in secondary_startup_64_no_verify \(\)", r"^GDB => 0x\w+ <arch_call_rest_init>:",
              r"^GDB => 0x\w+ <arch_call_rest_init\+5>:.* <rest_init>",
              r"^GDB Thread 2 hit Hardware watchpoint 2: \*\(int \*\)&system_state", "^GDB Old value = 0$",
              "^GDB New value = 1$", r"^GDB #0 .* in rest_init \(\)",
              r"^GDB Thread 2 hit Temporary breakpoint 3, 0x\w+ in kernel_init_freeable \(\)",
              r"^GDB #1 .* in kernel_init \(\)", r"^GDB #2 .* in ret_from_fork \(\)",
              r"^GDB Thread 1 hit Temporary breakpoint 4, 0x\w+ in __x64_sys_ioctl \(\)",
              r"^GDB #1 .* in do_syscall_64 \(\)",
              r"^GDB 0x\w+ in do_syscall_64 \(\)", r"^GDB \[Inferior 1 \(Remote target\) detached\]")),

    # ---- KVM in KVM: a guest of L2's ----
    Row("l3-no-shadow-vmcs", "l3", "kvm:nested=1,l3", mem=1024, compare="^L2 WARN|^SELFTEST",
        counts={"^SELFTEST .* PASS": 4, "^L2 DONE": 1}),
    Row("l3-shadow-vmcs", "l3", "kvm:nested=1,l3", model="haswell", mem=1024,
        counts={"^SELFTEST .* PASS": 4, "^L2 DONE": 1}),

    # ---- Socle in Socle ----
    Row("socle-2-linux", "socle", "selftest", l1="socle", counts={**SHORT, "^socle: level [01]: on": 2}, mem=768),
    Row("socle-3", "socle", l1="socle", modules=("socle", "basic counters"), model="haswell", ips=20_000_000,
        counts={"^socle: level [012]: on": 3}, must=("^DONE",), compare="^(RESULT|FAIL|SKIP|SUMMARY)"),

    # ---- another VMM in L1: QEMU, SeaBIOS in its `pc`; a sleep of its guest ----
    Row("qemu-poweroff", "qemu", "qemu:pc:poweroff,qemu:microvm", mem=1536,
        counts={"^L2 UP": 2, "^L1 QEMU .* ended": 2}),
    Row("qemu-suspend", "qemu", "qemu:pc:suspend", mem=1536,
        must=("^L2 UP", r"^L2 RESUMED rc=0 from .*\[deep\] suspends=1", "^L1 QEMU .* ended")),

    # ---- Xen: to its dom0's user space, with VMX and nested paging found ----
    Row("xen-pv", "xen", l1="xen", model="haswell", until="Dom0 (halted|shutdown|crashed)|^.XEN. Panic",
        must=(XEN_WORDS, "HVM: VMX enabled", "HVM: Hardware Assisted Paging .HAP. detected",
              "Hardware Dom0 halted: halting machine"),
        never=("XEN. Panic", "Dom0 crashed")),
    # dom0 as an L2 with two CPUs: HVM without devices (PVH), with nested paging and virtual-interrupt delivery
    Row("xen-pvh", "xen", l1="xen-pvh", model="haswell", cpus=2, mem=768, until="Dom0 (halted|shutdown|crashed)|^.XEN. Panic",
        ended=("marker", "exit"), never=("XEN. Panic", "Dom0 crashed"),
        must=(XEN_WORDS, "Building a PVH Dom0", "Linux version", "DOM0 UP .* cpus=2", "reboot: Power down")),

    # two PVH guests beside a dom0 with Xen's toolstack, AVX in both at once; dom0 ends the machine when both have ended
    Row("xen-domus", "xen", l1="xen-domus", model="haswell", cpus=2, mem=1536, ended=("marker", "exit"),
        compare=r"^DOM0 (UP|has|DOWN)|^d(awn|usk)\| DOMU UP|^Domain [12] has been shut down",
        until="Dom0 (halted|shutdown|crashed)|^.XEN. Panic|FAILED|Kernel panic",
        never=("XEN. Panic", "Dom0 crashed", "Aborted", "^libxl: error"),
        must=(XEN_WORDS, "^DOM0 UP .* cpus=2", "^DOM0 has 2 guests at once", "^DOM0 DOWN", "Entering ACPI S5"),
        counts={r"^d(awn|usk)\| DOMU UP .* avx=1": 2, r"^d(awn|usk)\| AVX kept its values in [1-9]\d* turns": 2,
                "^Domain [12] has been shut down, reason code 0": 2}),

    # ---- Socle as the guest of Linux KVM: each guest test by itself and on Socle, and a Linux L1 on it ----
    Row("kvm-basic", "kvm", "on_kvm:basic:1:0", model="haswell", mem=1536, on_kvm=True, quick=True),
    Row("kvm-basic-2cpu", "kvm", "on_kvm:basic:2:0", model="haswell", cpus=2, mem=1536, on_kvm=True),
    Row("kvm-ept", "kvm", "on_kvm:ept:1:1", model="haswell", mem=1536, on_kvm=True, timeout=1500),
    Row("kvm-events", "kvm", "on_kvm:events:1:2", model="haswell", mem=1536, on_kvm=True, timeout=1500),
    Row("kvm-exits", "kvm", "on_kvm:exits:1:3", model="haswell", mem=1536, on_kvm=True, timeout=1500),
    Row("kvm-exits-events", "kvm", "on_kvm:exits-events:1:5", model="haswell", mem=1536, on_kvm=True, timeout=1500),
    Row("kvm-shadowing", "kvm", "on_kvm:shadowing:1:4", model="haswell", mem=1536, on_kvm=True, timeout=1500),
    Row("kvm-bench", "kvm", "alone_on_kvm:bench:1", model="haswell", mem=1536, on_kvm=True, timeout=900,
        must=("^KVM INFO bench l2_cpuid ", "^KVM SUMMARY .* 0 failed")),
    Row("kvm-linux", "kvm", "socle_on_kvm:1:6", model="haswell", mem=1536, on_kvm=True, timeout=1500,
        counts={"^SOCLE SELFTEST .* PASS": 4}),

    # ---- the kit on KVM, as one runs it on a machine of one's own; what it finds wrong with KVM is in docs/kvm.md, and what
    # that KVM does not survive in tools/kit/suite.py ----
    Row("kit-basic", "kit", "kit:basic:exits.mtf:ept.misconfigurations", model="haswell", mem=1536, on_kvm=True, timeout=1500,
        must=("^KIT differs  basic.errors$", "^KIT differs  basic.fields$", "^KIT fail     basic.injection$",
              "^KIT ended rc=1"), counts={r"^KIT (differs|fail|ends|lost) ": 3}),
    Row("kit-insn", "kit", "kit:insn", model="haswell", cpus=2, mem=1536, on_kvm=True, timeout=3000,
        must=("^KIT BAD: 13 pass, 14 differs", "^KIT ended rc=1"),
        counts={r"^KIT differs  insn\.(outside|root_\w+|prefixes_\w+|watch_\w+|fixed_bits|not_canonical|encodings|"
                r"invalidations)$": 14}),
    Row("kit-modes", "kit", "kit:within=40:modes", model="haswell", mem=1536, on_kvm=True, timeout=1500,
        must=("^KIT BAD: 2 avoided, 5 differs$",)),
    Row("kit-ports", "kit", "kit:within=40:ports", model="haswell", mem=1536, on_kvm=True, timeout=1500,
        must=("^KIT BAD: 3 pass, 4 skip, 9 differs$",)),
    Row("kit-hostile", "kit", "kit:within=40:hostile", model="haswell", cpus=2, mem=1536, on_kvm=True, timeout=1500,
        must=("^KIT BAD: 14 pass, 7 skip, 4 avoided, 7 differs, 1 fail$", "^KIT fail     hostile.cost_user_call$")),
    Row("kit-eptsmp", "kit", "kit:within=40:eptsmp", model="haswell", cpus=2, mem=1536, on_kvm=True, timeout=1500,
        must=("^KIT good: 2 pass$",)),
    Row("kit-eptstress", "kit", "kit:within=40:eptstress", model="haswell", mem=1536, on_kvm=True, timeout=1500,
        must=("^KIT good: 1 pass$",)),
    Row("kit-eptcount", "kit", "kit:within=40:eptcount", model="haswell", mem=1536, on_kvm=True, timeout=1500,
        must=("^KIT good: 4 pass$",)),
    Row("kit-bios", "kit", "kit:within=40:bios", model="haswell", mem=1536, on_kvm=True, timeout=1500,
        must=("^KIT good: 3 pass$",)),

    # ---- ten minutes of everything, with all but 110 MiB of the memory that is free taken away ----
    Row("mixed", "mixed", "mixed:600:110:linux64q:linux32q:selftest", model="haswell", ips=20_000_000, compare="^L1 WARN ",
        must=(r"^L1 SWAPPED out [1-9]\d*, in [1-9]",), counts={r"^L1 MIXED \w+ ended well [1-9]\d* times": 3}),
)
