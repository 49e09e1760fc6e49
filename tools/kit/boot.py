# SPDX-License-Identifier: MIT
"""Boots an image of the kit: on QEMU with KVM, on Bochs, or under Socle on either of them.

QEMU loads an image itself. Else the machine boots the kit's one GRUB image, a copy of it in which the place that PLACE
marks holds GRUB's commands for this boot: so nothing has to be built.
"""
import os
import shutil

import machine

PLACE = b"#socle-kit-boot-commands"
PLACE_SIZE = 4096
ACCELS = ("kvm", "bochs", "socle")
MACHINES = ("auto", "kvm", "bochs")
MEM = 512


def placeholder():
    return PLACE.decode() + "." * (PLACE_SIZE - len(PLACE))


def patch(iso, out, commands):
    """A copy of the kit's image that does these commands of GRUB's."""
    with open(iso, "rb") as file:
        data = file.read()
    at = data.find(PLACE)
    if at < 0 or data.find(PLACE, at + 1) >= 0:
        raise machine.MachineError("%s is no boot image of the kit" % iso)
    text = ("\n" + "\n".join(commands) + "\n#").encode()
    if len(text) > PLACE_SIZE:
        raise machine.MachineError("the command line is too long")
    with open(out, "wb") as file:
        file.write(data[:at] + text.ljust(PLACE_SIZE, b".") + data[at + PLACE_SIZE:])
    return out


def quoted(words):
    return "".join(" '%s'" % word.replace("'", "'\\''") for word in words.split())


def run(iso, folder, **settings):
    """machine.run_image(), but an emulator that dies in a test is an end of that test's, if the image had begun."""
    try:
        return machine.run_image(iso, folder=folder, **settings)
    except machine.MachineError as error:
        try:
            with open(os.path.join(folder, "serial.txt"), encoding="utf-8", errors="replace") as file:
                lines = [machine.clean_line(line) for line in file.read().split("\n")]
        except OSError:
            lines = []
        if not any(line.startswith("BEGIN") for line in lines):
            raise
        return machine.Result(lines, str(error), 0, folder, "")


class Platform:
    """What the images run on: boot() is one run of one image."""

    def __init__(self, kit, accel, args):
        self.kit, self.accel, self.args = kit, accel, args
        self.qemu = args.qemu
        if accel == "kvm":
            self.machine = "kvm"
            reason = machine.nested_vmx_reason()
            if reason and not reason.startswith("qemu-"):
                raise machine.MachineError("--accel kvm: %s; it wants a machine whose KVM has nested VT-x: --accel bochs wants "
                                           "none" % reason)
            if not shutil.which(self.qemu):
                raise machine.MachineError("--qemu %s: there is no such program (package qemu-system-x86)" % self.qemu)
        else:
            self.machine = machine.choose_machine("bochs" if accel == "bochs" else args.machine)
        if self.machine == "bochs":
            machine.find_bochs(args.model)

    def describe(self):
        config = machine.make_config(cpus=self.args.cpus, mem=MEM, model=self.args.model)
        text = machine.describe(self.machine, config)
        return "Socle on " + text if self.accel == "socle" else text

    def boot(self, image, words, folder):
        """The machine.Result of the image with these words on its command line."""
        words = " ".join(filter(None, (image.words, words)))
        settings = {"machine": self.machine, "timeout": self.args.timeout, "model": self.args.model,
                    "cpus": min(image.cpus, self.args.cpus), "mem": MEM, "ips": 20_000_000}
        if self.accel == "kvm":
            path = os.path.join(self.kit, "images", image.name + ".elf")
            command = [self.qemu, "-machine", "pc", "-accel", "kvm", "-cpu", "host,+vmx", "-m", str(MEM // 2), "-smp",
                       str(settings["cpus"]), "-nodefaults", "-display", "none", "-no-reboot", "-serial", "file:serial.txt",
                       *self.args.qemu_args.split(), "-kernel", path, *(["-append", words] if words else [])]
            return run(None, folder, command=command, **settings)
        name = "/boot/%s.elf" % image.name
        if self.accel == "socle":
            # as text, for a mode of pixels is what the VGA BIOS of Debian's Bochs 2.7 does not survive; multiboot2 sets it, too
            commands = ["multiboot2 /boot/socle.elf" + quoted(self.args.options), "set gfxpayload=text",
                        "module2 " + name + quoted(words)]
        else:
            commands = ["multiboot " + name + quoted(words)]
        commands = ["terminal_output serial", "echo '%s'" % machine.BOOT_MARKER, *commands, "boot"]
        os.makedirs(folder, exist_ok=True)
        iso = patch(os.path.join(self.kit, "kit.iso"), os.path.join(folder, "boot-%d.iso" % os.getpid()), commands)
        try:
            result = run(iso, folder, **settings)
        finally:
            os.unlink(iso)
            link = os.path.join(folder, "boot.iso")  # Bochs' name for it
            if os.path.islink(link):
                os.unlink(link)
        refused = [] if result.having("^BEGIN") else result.having("^socle: error: (?!halted)")
        if refused:
            raise machine.MachineError(refused[0])
        return result
