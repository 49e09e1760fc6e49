# SPDX-License-Identifier: MIT
"""A disk with an installed GRUB, made of a folder without root's rights and without loop devices.

The disk has two partitions: UEFI's, with GRUB for UEFI, and one of its own for /boot. GRUB for BIOS lies in the first
sectors, as grub-install leaves it: boot.img loads the first sector of core.img, whose list of blocks says where the rest is.
"""
import os
import shutil
import struct
import subprocess

SECTOR = 512
CYLINDER = 516096  # the emulator wants whole ones
ESP_START, ESP_SIZE = 2048, 8192  # in sectors
LABEL = "socleboot"
UUID = "11111111-2222-3333-4444-555555555555"
FIND_BOOT = "search --no-floppy --label --set=root %s\nset prefix=($root)/grub\nnormal ($root)/grub/grub.cfg\n" % LABEL
MODULES = ("part_msdos ext2 search search_label search_fs_uuid normal configfile multiboot multiboot2 linux echo test serial "
           "terminal all_video cpuid loadenv halt").split()
# What stands before the entries in grub.cfg, as far as the entries need it (Debian's 00_header has the same names).
HEADER = """serial --unit=0 --speed=115200
terminal_output serial
set menuentry_id_option=--id
set timeout=0
function load_video { insmod all_video; }
"""


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def grub_image(folder, platform, modules):
    config = os.path.join(folder, "find_boot.cfg")
    with open(config, "w", encoding="ascii") as file:
        file.write(FIND_BOOT)
    out = os.path.join(folder, "core-" + platform)
    run("grub-mkimage", "-O", platform, "-c", config, "-p", "/grub", "-o", out, *modules)
    return out


def make_esp(folder):
    path = os.path.join(folder, "esp.img")
    with open(path, "wb") as file:
        file.truncate(ESP_SIZE * SECTOR)
    run("mformat", "-i", path, "-T", str(ESP_SIZE), "-h", "16", "-s", "63", "::")
    run("mmd", "-i", path, "::/EFI", "::/EFI/BOOT")
    run("mcopy", "-i", path, grub_image(folder, "x86_64-efi", MODULES), "::/EFI/BOOT/BOOTX64.EFI")
    return path


def make_boot_partition(folder, boot):
    used = sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(boot) for name in names)
    path = os.path.join(folder, "boot.img")
    with open(path, "wb") as file:
        file.truncate((used * 5 // 4 + (8 << 20)) // CYLINDER * CYLINDER)
    run("/sbin/mke2fs", "-q", "-F", "-t", "ext2", "-L", LABEL, "-U", UUID, "-d", boot, path)
    return path


def partition(active, kind, start, count):
    """An entry of the partition table; firmware of today looks at its 32-bit numbers only."""
    return struct.pack("<B3sB3sII", 0x80 if active else 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", start, count)


def make_disk(out, boot, config, firmware):
    """The disk `out`, with the files of folder `boot` in /boot's own partition and `config` as GRUB's menu."""
    folder = out + ".parts"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    os.makedirs(os.path.join(boot, "grub"), exist_ok=True)
    with open(os.path.join(boot, "grub", "grub.cfg"), "w", encoding="utf-8") as file:
        file.write(HEADER + config)
    system = make_boot_partition(folder, boot)
    start = ESP_START + ESP_SIZE
    table = partition(False, 0xEF, ESP_START, ESP_SIZE) + partition(True, 0x83, start, os.path.getsize(system) // SECTOR)
    with open(out, "wb") as disk:
        if firmware == "uefi":
            disk.write(bytes(446))
            write_at(disk, ESP_START, make_esp(folder))
        else:
            with open("/usr/lib/grub/i386-pc/boot.img", "rb") as file:
                disk.write(file.read()[:446])
            write_at(disk, 1, grub_image(folder, "i386-pc", ["biosdisk", *MODULES]))
        write_at(disk, start, system)
        disk.seek(446)
        disk.write(table + bytes(32) + b"\x55\xaa")
        disk.seek(0, os.SEEK_END)
        disk.truncate(-(-disk.tell() // CYLINDER) * CYLINDER)
    shutil.rmtree(folder)
    return out


def write_at(disk, sector, path):
    with open(path, "rb") as file:
        data = file.read()
    assert sector != 1 or len(data) <= (ESP_START - 1) * SECTOR
    disk.seek(sector * SECTOR)
    disk.write(data)
