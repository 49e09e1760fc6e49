# SPDX-License-Identifier: MIT
"""`make install`: what it puts where, GRUB's entries for it, and that they boot from a disk's own GRUB, on BIOS and UEFI."""
import os
import shutil
import stat
import subprocess

import disk
import pytest
from conftest import BUILD, ROOT, RUNS, assert_no_accident, guest_image, l1, machine, show

SCRIPT = "etc/grub.d/21_linux_socle"
SETTINGS = "etc/default/grub.d/socle.cfg"
# grub-probe's answers for a /boot that is the disk's second partition
PROBE = """#!/bin/sh
for word; do case $word in
--target=partmap) echo msdos ;;
--target=fs) echo ext2 ;;
--target=compatibility_hint) echo hd0,msdos2 ;;
--target=fs_uuid) echo %s ;;
esac; done
""" % disk.UUID


def make(goal, target):
    return subprocess.run(["make", "-s", "-C", ROOT, "O=" + BUILD, goal, "DESTDIR=%s" % target], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def entries(target, settings="", own_boot=True, **variables):
    """What the installed script puts on the menu. own_boot: /boot is a file system of its own."""
    probe, relative = os.path.join(target, "probe"), os.path.join(target, "mkrelpath")
    write(probe, PROBE, 0o755)
    write(relative, '#!/bin/sh\necho "${1#"$SOCLE_ROOT%s"}"\n' % ("/boot" if own_boot else ""), 0o755)
    if settings:
        write(os.path.join(target, SETTINGS), settings)
    environment = {"PATH": os.environ["PATH"], "SOCLE_ROOT": str(target), "grub_probe": probe, "grub_mkrelpath": relative,
                   "GRUB_DEVICE": "/dev/nowhere1", "GRUB_DEVICE_BOOT": "/dev/nowhere2", "LANG": "C", **variables}
    done = subprocess.run([os.path.join(target, SCRIPT)], env=environment, check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.stdout:
        subprocess.run(["grub-script-check"], input=done.stdout, check=True, text=True)
    return done.stdout


def words_of(text, command):
    """The lines of a command in GRUB's script."""
    return [line.strip() for line in text.splitlines() if line.strip().startswith(command + " ")]


@pytest.fixture(name="target")
def fixture_target(tmp_path):
    """An installed system in a folder whose name has a blank in it."""
    target = str(tmp_path / "dest dir")
    make("install", target)
    return target


def test_install_and_uninstall(target):
    assert os.path.getsize(os.path.join(target, "boot/socle.elf")) > 100_000
    assert stat.S_IMODE(os.stat(os.path.join(target, SCRIPT)).st_mode) == 0o755
    make("install", target)
    make("uninstall", target)
    assert not [name for _, _, names in os.walk(target) for name in names]


def test_changed_settings_are_kept(target):
    write(os.path.join(target, SETTINGS), "GRUB_CMDLINE_SOCLE=cpus=1\n")
    assert "KEEP" in make("install", target) and "KEEP" in make("uninstall", target)
    with open(os.path.join(target, SETTINGS), encoding="utf-8") as file:
        assert file.read() == "GRUB_CMDLINE_SOCLE=cpus=1\n"


def test_an_entry_per_kernel_and_one_for_check(target):
    for name in ("vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-10-amd64", "vmlinuz-6.1.0-10-amd64.dpkg-new", "vmlinuz-5.9.0",
                 "initrd.img-6.1.0-10-amd64", "initramfs-5.9.0.img", "intel-uc.img"):
        write(os.path.join(target, "boot", name), "")
    text = entries(target, GRUB_CMDLINE_LINUX="ro quiet", GRUB_EARLY_INITRD_LINUX_STOCK="no-such.img intel-uc.img")
    titles = [line.split("'")[1] for line in words_of(text, "menuentry")]
    assert titles == ["Linux, Linux 6.1.0-10-amd64 on Socle", "Linux, Linux 6.1.0-9-amd64 on Socle",
                      "Linux, Linux 5.9.0 on Socle", "Socle: check what this machine has and lacks"], text
    modules = words_of(text, "module2")
    assert modules == ["module2 '/vmlinuz-6.1.0-10-amd64' root=/dev/nowhere1 ro ro quiet", "module2 '/intel-uc.img'",
                       "module2 '/initrd.img-6.1.0-10-amd64'",
                       "module2 '/vmlinuz-6.1.0-9-amd64' root=/dev/nowhere1 ro ro quiet",
                       "module2 '/intel-uc.img'", "module2 '/vmlinuz-5.9.0' root=/dev/nowhere1 ro ro quiet",
                       "module2 '/intel-uc.img'", "module2 '/initramfs-5.9.0.img'"], text
    assert words_of(text, "multiboot2")[-1] == "multiboot2 '/socle.elf' 'check'"
    assert all("--fs-uuid --set=root %s" % disk.UUID in line for line in words_of(text, "search")), text
    assert text.count("load_video; set gfxpayload=keep") == text.count("set gfxpayload=text") == 4, text


def test_boot_on_the_root_file_system(target):
    write(os.path.join(target, "boot/vmlinuz-6.1"), "")
    text = entries(target, own_boot=False)
    assert "multiboot2 '/boot/socle.elf'" in words_of(text, "multiboot2"), text
    assert "module2 '/boot/vmlinuz-6.1' root=/dev/nowhere1 ro" in words_of(text, "module2"), text


def test_settings_and_quotes(target):
    """Socle's words reach it whatever is in them; Linux' are for GRUB's shell, as those of the ordinary entries are."""
    write(os.path.join(target, "boot/vmlinuz-6.1"), "")
    settings = """GRUB_CMDLINE_SOCLE='log=debug  x=$a;b *'\nGRUB_CMDLINE_LINUX_SOCLE='dyndbg="file ec.c +p"'\n"""
    text = entries(target, settings, GRUB_DISTRIBUTOR="O'Brien's", GRUB_CMDLINE_LINUX_DEFAULT="quiet")
    assert "multiboot2 '/socle.elf' 'log=debug' 'x=$a;b' '*'" in words_of(text, "multiboot2"), text
    assert """module2 '/vmlinuz-6.1' root=/dev/nowhere1 ro quiet dyndbg="file ec.c +p\"""" in words_of(text, "module2"), text
    assert "menuentry 'O'\\''Brien'\\''s, Linux 6.1 on Socle'" in text, text
    text = entries(target, "GRUB_CMDLINE_LINUX_SOCLE_REPLACE=single\nGRUB_SOCLE_BOOT_DISK=hd1\n", GRUB_CMDLINE_LINUX="quiet")
    assert words_of(text, "module2") == ["module2 '/vmlinuz-6.1' root=/dev/nowhere1 ro single",
                                         "module2 '/socle-disk.bin' 'hd1'"], text


def test_nothing_on_the_menu_without_the_image(target):
    os.unlink(os.path.join(target, "boot/socle.elf"))
    assert entries(target) == ""


def boot_disk(name, target, config, firmware="bios", **settings):
    folder = os.path.join(RUNS, name)
    os.makedirs(folder, exist_ok=True)
    made = disk.make_disk(os.path.join(folder, "disk.img"), os.path.join(target, "boot"), config, firmware)
    try:
        return machine.run_image(made, "bochs", timeout=180, folder=folder, firmware=firmware, media="disk",
                                 until=(*machine.END_MARKERS, "^socle-disk: "), **settings)
    finally:
        os.unlink(made)


def test_installed_entry_boots_linux_on_bios(target):
    what, settings = l1.linux("dmesg", more="word='a b' long=" + "0123456789" * 12)
    shutil.copy(what["l1"], os.path.join(target, "boot/vmlinuz-6.1"))
    shutil.copy(what["modules"][0], os.path.join(target, "boot/initrd.img-6.1"))
    text = entries(target, "GRUB_CMDLINE_SOCLE='log=info counters=on'\n", GRUB_CMDLINE_LINUX=what["l1_args"])
    result = boot_disk("install-linux", target, text, **settings)
    assert_no_accident(result)
    assert result.having("^L1 DONE"), show(result)
    assert result.having(r"^socle: Socle \d\S*, .*build id [0-9a-f]{40}$"), show(result)
    assert result.having("^socle: options 'log=info counters=on'"), show(result)
    assert result.having("0123456789'$"), show(result)


@pytest.mark.parametrize("firmware", ("bios", "uefi"))
def test_installed_entries_boot(target, firmware):
    """A guest test in a kernel's place, from the entry that is there by default."""
    shutil.copy(guest_image("basic"), os.path.join(target, "boot/vmlinuz-6.1"))
    result = boot_disk("install-" + firmware, target, entries(target), firmware, mem=256)
    assert_no_accident(result)
    assert result.having("^DONE"), show(result)
    assert result.having("^socle: L1's command line 'root=/dev/nowhere1 ro'"), show(result)
    assert not result.having("no console will be available"), show(result)


# GRUB starts the disk's boot sector on Socle, and so itself; the second time, as L1's boot loader, it starts a guest test.
TWICE = """
load_env -f /grub/grubenv
if [ "$second" = 1 ]; then
	multiboot /image
else
	set second=1
	save_env -f /grub/grubenv second
	multiboot2 /socle.elf
	module2 /socle-disk.bin %s
fi
boot
"""


def boot_sector(target, name, words):
    shutil.copy(guest_image("bios"), os.path.join(target, "boot/image"))
    os.makedirs(os.path.join(target, "boot/grub"))
    subprocess.run(["grub-editenv", os.path.join(target, "boot/grub/grubenv"), "create"], check=True)
    return boot_disk(name, target, TWICE % words)


def test_boot_sector_of_a_disk_as_l1(target):
    """What the BIOS and GRUB do in real mode goes on under Socle; the map of memory that they find has a hole for Socle."""
    result = boot_sector(target, "install-sector", "")
    assert_no_accident(result)
    assert result.having("^socle: L1: multiboot1"), show(result)
    assert result.having(r"^SUMMARY \d+ passed, 0 failed") and result.having("^DONE"), show(result)
    window = result.having("^socle: memory: window ")[0].split("window ")[1].split("-")[0]
    assert result.having(r"^INFO e820 %s\+\w+ type 2" % window), show(result)


def test_boot_sector_of_no_disk(target):
    result = boot_sector(target, "install-no-sector", "hd9")
    assert result.having("^socle-disk: the disk cannot be read: name another one by hd0"), show(result)
