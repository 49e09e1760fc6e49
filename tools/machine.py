# SPDX-License-Identifier: MIT
"""The machines that Socle runs on when it does not run on a real one: Bochs, QEMU with KVM, QEMU without VT-x.

run_image() boots one image, hands every line of the serial console to the caller as it comes, and ends the emulator at
an end marker, when it ends itself, when the machine boots a second time, or at the timeout. It leaves no process behind.
An emulator that dies of its own is no end of a run but an error. The timeout counts the processor time of the emulator,
so that a busy host makes no run fail; wall time counts PATIENCE times as much, for an emulator that only waits. So is the
time that a run goes on after its end marker, for what still comes.
What goes into an image is image.py's business; what to say about a run is run.py's.
"""
import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

TOOLS = os.path.dirname(os.path.abspath(__file__))

MODELS = {
    "penryn": "core2_penryn_t9600",
    "arrandale": "corei5_arrandale_m520",
    "sandy_bridge": "corei7_sandy_bridge_2600k",
    "ivy_bridge": "corei7_ivy_bridge_3770k",
    "haswell": "corei7_haswell_4770",
    "broadwell": "broadwell_ult",
    "skylake_x": "corei7_skylake_x",
    "icelake": "corei7_icelake_u",
    "tigerlake": "tigerlake",
    "sapphire_rapids": "sapphire_rapids",
}
DEFAULT_MODEL = "ivy_bridge"
MACHINES = ("auto", "bochs", "kvm", "tcg")
FIRMWARES = ("bios", "uefi", "seabios")  # seabios: on Bochs, where the BIOS is its own otherwise

# A run is over at these lines. The first is what L1's init and the guest tests print, the second is L0's last word.
END_MARKERS = (r"^(L1 )?DONE\b", r"^socle: (error: )?(halted|stopped)\b")
BOOT_MARKER = "  Booting `"  # GRUB's; a second one is a reboot
BOCHS_CPU_MAX = 14  # more, and this emulator runs out of timers
PATIENCE = 6
GRACE_BOCHS, GRACE = 0.3, 1.0  # Bochs computes for nobody else, and halted CPUs let its time fly
# Bochs panics as well where a machine ends as machines do.
BOCHS_GOOD_ENDS = ("ACPI control: soft power off", "shutdown requested")


class MachineError(Exception):
    """Something the user can do something about; the text says what."""


class Result:
    """What a run left: its console lines, why it ended (marker, exit, reboot, timeout), seconds, log files."""

    def __init__(self, lines, ended, seconds, folder, machine):
        self.lines = lines
        self.ended = ended
        self.seconds = seconds
        self.folder = folder
        self.machine = machine

    def text(self):
        return "\n".join(self.lines)

    def having(self, pattern):
        """The console lines in which the pattern is found."""
        return [line for line in self.lines if re.search(pattern, line)]

    def own(self):
        """Socle's own lines, without the `socle: `."""
        return [line[len("socle: "):] for line in self.lines if line.startswith("socle: ")]


def cpus_in_vmx(result):
    """How many CPUs Socle says that it has in VMX operation: `cpu 0: in VMX operation`, or `cpu 0-7: ...`."""
    found = [re.match(r"cpu (\d+)(?:-(\d+))?: in VMX operation", line) for line in result.own()]
    return sum(int(match.group(2) or match.group(1)) - int(match.group(1)) + 1 for match in found if match)


def parse_size(text):
    """MiB from 512, 512M or 2G."""
    match = re.fullmatch(r"(\d+)\s*([MmGg]?)(?:i?[Bb])?", str(text).strip())
    if not match:
        raise MachineError("MEM=%s: say a size such as 512 (MiB), 512M or 2G" % text)
    size = int(match.group(1)) * (1024 if match.group(2) in ("G", "g") else 1)
    if size < 32:
        raise MachineError("MEM=%s: %d MiB is less than GRUB and Socle need; say 64 or more" % (text, size))
    return size


def nested_vmx_reason():
    """None if this machine's KVM gives a guest VT-x, else why it does not. /dev/kvm alone proves nothing."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
            if not re.search(r"^flags\s*:.*\bvmx\b", info.read(), re.M):
                return "the processor shows no VT-x (flag vmx in /proc/cpuinfo)"
        with open("/sys/module/kvm_intel/parameters/nested", encoding="ascii") as nested:
            if nested.read().strip() not in ("Y", "1"):
                return "kvm_intel is loaded with nested=N (modprobe kvm_intel nested=1)"
    except OSError:
        return "the module kvm_intel is not loaded"
    if not os.path.exists("/dev/kvm"):
        return "/dev/kvm is not here (a container must be given it)"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not ours to open (group kvm)"
    if not shutil.which("qemu-system-x86_64"):
        return "qemu-system-x86_64 is not installed (package qemu-system-x86)"
    return None


def choose_machine(name):
    """bochs, kvm or tcg from what the user said."""
    if name not in MACHINES:
        raise MachineError("MACHINE=%s: say one of %s" % (name, ", ".join(MACHINES)))
    reason = nested_vmx_reason() if name in ("auto", "kvm") else None
    if name == "kvm" and reason:
        raise MachineError("MACHINE=kvm: no nested VT-x here: %s; say MACHINE=bochs" % reason)
    if name == "auto":
        return "bochs" if reason else "kvm"
    if name == "tcg" and not shutil.which("qemu-system-x86_64"):
        raise MachineError("qemu-system-x86_64 is not installed (package qemu-system-x86); run tools/setup.sh")
    return name


def first_file(what, package, *paths):
    for path in paths:
        if os.path.exists(path):
            return path
    setup = "; run tools/setup.sh" if os.path.exists(os.path.join(TOOLS, "setup.sh")) else ""
    raise MachineError("no %s found (package %s)%s" % (what, package, setup))


def find_bochs(model=None):
    """The emulator's binary, which must know the model; builds it at the first call. In the kit there is nothing to build."""
    if not os.path.exists(os.path.join(TOOLS, "bochs", "build.sh")):
        # Socle's own tree keeps its mended one here
        built = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "socle", "bochs", "bochs")
        binary = shutil.which(os.environ.get("BOCHS") or built) or (None if os.environ.get("BOCHS") else shutil.which("bochs"))
        if not binary:
            raise MachineError("no emulator: say BOCHS=/path/to/bochs, or install the package bochs")
        check_model(binary, model)
        return binary
    done = subprocess.run([os.path.join(TOOLS, "bochs", "build.sh")], stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode:
        raise MachineError("no emulator: tools/bochs/build.sh failed (see above)")
    binary = done.stdout.strip()
    check_model(binary, model)
    return binary


def bochs_model(model):
    """The emulator's name of the model; its own names are taken as well."""
    return MODELS.get(model, model)


def default_model(firmware):
    """OVMF wants a newer processor than the tests' usual one."""
    return "skylake_x" if firmware == "uefi" else DEFAULT_MODEL


def check_model(binary, model):
    """An unknown model ends the emulator before it has said a word on the console."""
    known = subprocess.run([binary, "--help", "cpu"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           stdin=subprocess.DEVNULL, check=False, text=True).stdout.split()
    if known and model and bochs_model(model) not in known:
        raise MachineError("MODEL=%s: say one of %s, or a name of Bochs' own" % (model, ", ".join(MODELS)))


def bochs_command(folder, iso, config):
    # Its configuration cannot say every name that a folder may have: all are names in the folder where it runs.
    link = os.path.join(folder, "boot.iso")
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(iso, link)
    model = config["model"] or default_model(config["firmware"])
    binary = find_bochs(model)
    if config["cpus"] > BOCHS_CPU_MAX:
        raise MachineError("CPUS=%d: this emulator takes at most %d; say CPUS=%d" % (
            config["cpus"], BOCHS_CPU_MAX, BOCHS_CPU_MAX))
    banner = subprocess.run([binary, "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            stdin=subprocess.DEVNULL, check=False, text=True).stdout
    old = re.search(r"Bochs x86 Emulator 2\.", banner) is not None
    if config["firmware"] == "uefi":
        rom = "file=" + first_file("OVMF", "ovmf", "/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF.fd")
    elif config["firmware"] == "seabios":
        rom = "file=%s, address=0xfffe0000" % first_file("SeaBIOS", "seabios", "/usr/share/seabios/bios.bin")
    else:
        rom = "file=" + first_file("Bochs BIOS", "bochsbios", "/usr/share/bochs/BIOS-bochs-latest")
    lines = [
        "config_interface: textconfig",
        "display_library: " + ('rfb, options="timeout=0"' if old else "nogui"),
        "romimage: " + rom,
        "vgaromimage: file=" + first_file("VGA BIOS", "vgabios", "/usr/share/vgabios/vgabios.bin",
                                          "/usr/share/bochs/VGABIOS-lgpl-latest"),
        "cpu: model=%s, count=%d, ips=%d, reset_on_triple_fault=0, ignore_bad_msrs=%d" % (
            bochs_model(model), config["cpus"], config["ips"],
            old or config["firmware"] == "uefi" or config["ignore_bad_msrs"]),
        "memory: guest=%d, host=%d" % (config["mem"], min(config["mem"], 1024)),
    ]
    if config["firmware"] == "uefi" and config["media"] == "cd":
        lines.append("ata0-master: type=cdrom, path=boot.iso, status=inserted")
        lines.append("boot: cdrom")
    else:
        lines.append("ata0-master: type=disk, path=boot.iso, mode=volatile, journal=journal")
        lines.append("boot: disk")
    lines += [
        "com1: enabled=1, " + ("mode=term, dev=" + config["com1"] if config["com1"] else "mode=file, dev=serial.txt"),
        *(["com2: enabled=1, mode=term, dev=" + config["com2"]] if config["com2"] else []),
        "clock: sync=none, time0=1700000000",
        "log: bochs.log",
        "panic: action=fatal",
        "error: action=report",
        "info: action=ignore",
    ]
    if old:
        lines += ["speaker: enabled=0", "sound: waveoutdrv=dummy, waveout=none, waveindrv=dummy, wavein=none"]
    with open(os.path.join(folder, "bochsrc"), "w", encoding="ascii") as rc:
        rc.write("\n".join(lines) + "\n")
    command = [binary, "-q", "-f", "bochsrc"]
    if old:  # Debian's binary has the debugger compiled in, and dies where there is no sound
        with open(os.path.join(folder, "commands"), "w", encoding="ascii") as commands:
            commands.write("c\n")
        command += ["-rc", "commands"]
    return command


def qemu_command(machine, iso, config):
    accel = ["-accel", "tcg", "-cpu", "max"]
    if machine == "kvm":
        accel = ["-accel", "kvm", "-cpu", "host,migratable=off,+invtsc,+vmx"]
    if machine == "tcg" and config["model"]:
        accel[-1] = config["model"]
    firmware = []
    if config["firmware"] == "uefi":
        firmware = ["-bios", first_file("OVMF", "ovmf", "/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF.fd")]
    medium = ["-cdrom", iso.replace(",", ",,"), "-boot", "d"]
    if config["media"] == "disk":
        medium = ["-drive", "format=raw,snapshot=on,file=" + iso.replace(",", ",,")]
    return ["qemu-system-x86_64", "-machine", "q35", *accel, "-smp", str(config["cpus"]), "-m", str(config["mem"]),
            *firmware, *medium, "-serial", "file:serial.txt", "-display", "none",
            "-net", "none", "-no-reboot", "-monitor", "none",
            *(["-qmp", "unix:%s,server,nowait" % config["monitor"].replace(",", ",,")] if config["monitor"] else []),
            *config["more"]]


def die_with_parent():
    """In the child: be killed when the runner is, however it ends (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def cpu_seconds(pid):
    """Processor time that the process has used; None where it cannot be told."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Limit:
    """So many seconds from now, of the emulator's own time, or PATIENCE times as many on the clock."""

    def __init__(self, process, machine, seconds):
        self.process = process
        self.seconds = seconds
        self.start = time.monotonic()
        # KVM's and TCG's processes wait for the guest's time; Bochs has none but what it computes
        self.used = cpu_seconds(process.pid) if machine == "bochs" else None

    def passed(self):
        return time.monotonic() - self.start

    def is_over(self):
        used = None if self.used is None else cpu_seconds(self.process.pid)
        if used is None:
            return self.passed() > self.seconds
        return used - self.used > self.seconds or self.passed() > self.seconds * PATIENCE


def emulator_accident(folder, lines, returncode):
    """Why the emulator ended, if that was no end of the machine's: its last words. None if all is well."""
    said = []
    for name in ("bochs.log", "emulator.txt"):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                said += [line.strip() for line in file if line.strip()]
    panics = [re.sub(r".*>>PANIC<< *", "", line) for line in said if ">>PANIC<<" in line]
    panics = [line for line in panics if not any(good in line for good in BOCHS_GOOD_ENDS)]
    if panics:
        return panics[0]
    if returncode < 0:
        return "killed by signal %d" % -returncode
    if not lines:
        return said[-1] if said else "exit status %d" % returncode
    return None


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class SerialTail:
    """Complete lines of a growing file."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.rest = ""

    def read(self, last=False):
        if self.file is None:
            if not os.path.exists(self.path):
                return []
            self.file = open(self.path, "rb")
        self.rest += self.file.read().decode("utf-8", errors="replace")
        parts = self.rest.split("\n")
        self.rest = "" if last else parts.pop()
        return [clean_line(part) for part in parts if part or not last]


def clean_line(text):
    """A console line without carriage returns and the escape sequences that GRUB's terminal sends."""
    text = re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1bc", "", text)
    return text.replace("\r", "").replace("\0", "")


def make_config(cpus=1, mem=512, firmware="bios", model=None, ips=50_000_000, ignore_bad_msrs=0,
                media="cd", monitor=None, more=(), com1=None, com2=None):
    """Checks what the user said about the machine. media: what the image is to UEFI and QEMU, cd or disk. monitor: the
    name of a socket for QEMU's machine protocol. more: further arguments for QEMU. com1, com2: in Bochs, the terminals behind
    the serial ports; whoever reads the first one's writes what it reads to serial.txt in the run's folder."""
    if firmware not in FIRMWARES:
        raise MachineError("FIRMWARE=%s: say bios or uefi" % firmware)
    try:
        cpus = int(cpus)
    except ValueError:
        cpus = 0
    if not 1 <= cpus <= 64:
        raise MachineError("CPUS: say a number from 1 to 64")
    return {"cpus": cpus, "mem": parse_size(mem), "firmware": firmware, "model": model or None, "ips": int(ips),
            "ignore_bad_msrs": int(ignore_bad_msrs), "media": media, "monitor": monitor,
            "more": list(more), "com1": com1, "com2": com2}


def describe(machine, config):
    name = {"bochs": "Bochs", "kvm": "QEMU/KVM", "tcg": "QEMU/TCG (no VT-x)"}[machine]
    if machine == "bochs":
        name += ", " + bochs_model(config["model"] or default_model(config["firmware"]))
    return "%s, %d CPU%s, %d MiB, %s" % (name, config["cpus"], "s" if config["cpus"] > 1 else "", config["mem"],
                                         config["firmware"].upper())


def run_image(iso, machine="auto", timeout=300, until=END_MARKERS, grace=None, on_line=None, folder=None, command=None,
              **settings):
    """Boots the image; see the module's head. grace: seconds after an end marker for what still comes, as the timeout's.
    command: QEMU's, in place of the one that boots `iso`; its serial console must be the file serial.txt."""
    machine = choose_machine(machine)
    config = make_config(**settings)
    folder = folder or tempfile.mkdtemp(prefix="socle-run-")
    os.makedirs(folder, exist_ok=True)
    folder = os.path.abspath(folder)
    serial = os.path.join(folder, "serial.txt")
    for stale in ("serial.txt", "journal", "journal.lock", "bochs.log"):
        if os.path.exists(os.path.join(folder, stale)):
            os.unlink(os.path.join(folder, stale))
    iso = os.path.abspath(iso) if iso else None
    if command:
        pass
    elif machine == "bochs":
        command = bochs_command(folder, iso, config)
    else:
        command = qemu_command(machine, iso, config)

    lines, ended, marked, boots = [], None, None, 0
    ends = [re.compile(pattern) for pattern in until]
    tail = SerialTail(serial)
    with open(os.path.join(folder, "emulator.txt"), "wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                                   start_new_session=True, preexec_fn=die_with_parent)
    limit = Limit(process, machine, timeout)
    grace = grace or (GRACE_BOCHS if machine == "bochs" else GRACE)
    try:
        while ended is None:
            finished = process.poll() is not None
            for line in tail.read(last=finished):
                lines.append(line)
                if on_line:
                    on_line(line)
                boots += BOOT_MARKER in line
                if marked is None and any(end.search(line) for end in ends):
                    marked = Limit(process, machine, grace)
            if boots > 1:
                ended = "reboot"
            elif finished:
                ended = "marker" if marked else "exit"
            elif marked and marked.is_over():
                ended = "marker"
            elif limit.is_over():
                ended = "timeout"
            else:
                time.sleep(0.05)
        seconds = limit.passed()
    finally:
        kill_group(process)
        if os.path.exists(os.path.join(folder, "journal")):
            os.unlink(os.path.join(folder, "journal"))
    accident = emulator_accident(folder, lines, process.returncode) if ended == "exit" else None
    if accident:
        raise MachineError("the emulator ended by itself: %s (more in %s/emulator.txt)" % (accident, folder))
    return Result(lines, ended, seconds, folder, describe(machine, config))
