# SPDX-License-Identifier: MIT
"""vmcs-why, on the host: the forms of dumps that people have, public cases, and its judgement where fields are missing."""
import json
import os
import re
import subprocess

import pytest
from conftest import BUILD, machine

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"

LINUX_64 = """\
[ 1234.567890] kvm_intel: *** Guest State ***
[ 1234.567891] kvm_intel: CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=fffffffffffefff7
[ 1234.567892] kvm_intel: CR4: actual=0x0000000000362670, shadow=0x0000000000362630, gh_mask=ffffffffffffe871
[ 1234.567893] kvm_intel: CR3 = %(cr3)s
[ 1234.567894] kvm_intel: RSP = 0xffffc90000003e58  RIP = 0xffffffff81a02f08
[ 1234.567895] kvm_intel: RFLAGS=0x%(rflags)s         DR7 = 0x0000000000000400
[ 1234.567896] kvm_intel: CS:   sel=0x0010, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000
[ 1234.567897] kvm_intel: TR:   sel=0x0040, attr=%(tr)s, limit=0x00004087, base=0xfffffe0000003000
[ 1234.567898] kvm_intel: Interruptibility = %(blocking)s  ActivityState = 00000000
[ 1234.567899] kvm_intel: *** Control State ***
[ 1234.567900] kvm_intel: PinBased=0x0000003f EntryControls=000013ff ExitControls=000befff
[ 1234.567901] kvm_intel: VMEntry: intr_info=%(event)s errcode=00000000 ilen=00000000
"""
GOOD = {"cr3": "0x000000001a02f000", "rflags": "00000202", "tr": "0x0008b", "blocking": "00000000", "event": "00000000"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """This worker's own: what another one, or a mutant, has built is not what is tested."""
    return str(tmp_path_factory.mktemp("why"))


@pytest.fixture(scope="session")
def why(folder):
    made = subprocess.run(["make", "-s", "O=" + folder, "WHY_EXTRA=" + SANITIZE, "vmcs-why"], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    assert not made.returncode, made.stderr

    def run(text, *options):
        return subprocess.run([folder + "/vmcs-why", *options], input=text, capture_output=True, text=True, check=False)
    return run


def broken(done):
    return [row["rule"] for row in json.loads(done.stdout)["broken"]]


@pytest.mark.parametrize("changes, rules", (
    ({}, []),
    ({"cr3": "0x800000001a02f080"}, ["guest_cr3"]),
    ({"event": "800000d1", "rflags": "00000002"}, ["rflags_if"]),
    ({"tr": "0x08089"}, ["seg_g_clear", "tr_type"]),
    ({"blocking": "00000001", "rflags": "00000002"}, ["blocking_sti"]),
    ({"tr": "0x0018b"}, ["seg_reserved"]),
))
def test_public_cases_in_linux_form(why, changes, rules):
    done = why(LINUX_64 % dict(GOOD, **changes), "--json")
    # the limit of TR is 4087H: with G it must end in FFFH, or have no bit beyond
    assert sorted(broken(done)) == sorted(rules), done.stdout
    assert done.returncode == (1 if rules else 0), done.stderr


def test_fixed_bits(why):
    assert broken(why("guest_cr0=10\nguest_cr4=40\n", "--json")) == ["guest_cr0_set", "guest_cr4_set"]


def test_capabilities_decide(why, tmp_path):
    caps = tmp_path / "caps"
    caps.write_text("IA32_VMX_PROCBASED_CTLS = fff9fffe0401e172\n")
    done = why("4002=94006172\n", "--caps", str(caps))
    assert done.returncode == 1 and "bits 15 (CR3-load exiting), 16 (CR3-store exiting) must be 1" in done.stdout, done.stdout
    assert why("4002=94006172\n").returncode == 0
    caps.write_text("0x482: 0xfff9fffe0401e172\n")
    assert broken(why("CPU_BASED_VM_EXEC_CONTROL = 0x94006172\n", "--json", "--caps", str(caps))) == ["proc_allowed"]


def test_xens_form(why):
    text = """(XEN) *** Guest State ***
(XEN) CR0: actual=0x0000000080050033, shadow=0x0000000080050033, gh_mask=ffffffffffffffff
(XEN) RSP = 0xffff82d0801cfe58 (0xffff82d0801cfe58)  RIP = 0xffffffff81a02f08 (0xffffffff81a02f08)
(XEN) RFLAGS=0x00000000 (0x00000002)  DR7 = 0x0000000000000400
(XEN)        sel  attr  limit   base
(XEN)   CS: 0010 0e09b ffffffff 0000000000000000
(XEN) GDTR:            0001ffff ffff82d080000000
(XEN) *** Control State ***
(XEN) EntryControls=000013ff ExitControls=000befff
"""
    done = why(text, "--json")
    assert broken(done) == ["cs_d_and_l", "guest_gdtr_limit", "rflags_bit_1"], done.stdout
    assert json.loads(done.stdout)["fields"] == 15, done.stdout


def test_linux_more(why):
    text = """kernel: *** Guest State ***
kernel: S_CET = 0x0000000000000000, SSP = 0x0000000000001002, SSP TABLE = 0x0000000000000000
kernel: *** Host State ***
kernel: CS=0010 SS=0018 DS=0000 ES=0000 FS=0000 GS=0000 TR=0040
kernel: Sysenter RSP=fffffe00002c7000 CS:RIP=0010:ffffffffbd201d90
kernel: EFER= 0x0000000000000d01
kernel: *** Control State ***
kernel: SVI|RVI = 02|31 TPR Threshold = 0x10
kernel: APIC-access addr = 0x00000000fee00000 virt-APIC addr = 0x0000000123456000
"""
    done = why(text, "--show")
    for field, value in (("guest_ssp", "1002"), ("host_tr_selector", "40"), ("host_sysenter_eip", "ffffffffbd201d90"),
                         ("host_efer", "d01"), ("guest_intr_status", "231"), ("tpr_threshold", "10"),
                         ("apic_access_addr", "fee00000"), ("virtual_apic_addr", "123456000")):
        assert "took %s = %s from" % (field, value) in done.stdout, (field, done.stdout)


def test_haxms_form(why):
    text = """haxm_panic:vcpu->tr:8b
haxm_warning:4000 VMX_PIN_CONTROLS: 1f
[ 20026,827747] haxm_warning: 6820 GUEST_RFLAGS: 10080
[  2804,129902] 4804 GUEST_SS_LIMIT: ffffffff
Jun 16 15:07:09 localhost /netbsd: [ 1776.3439261] haxm_warning: 6804 GUEST_CR4: 26e0
localhost kernel[0]: (intelhaxm) haxm_warn: 6c16 HOST_RIP: <private>
"""
    done = why(text, "--json")
    assert json.loads(done.stdout)["fields"] == 4, done.stdout
    assert broken(done) == ["rflags_bit_1"], done.stdout


def test_virtualbox_form(why):
    text = """00:00:08.264120   Control:
00:00:08.264121     VPID                       = 0x0
00:00:08.264122     Pin ctls                   = 0x16
00:00:08.264123     CR3-target count           = 10
00:00:08.264124     VM-entry instr length      = 15 byte(s)
00:00:08.264125     CR0 guest/host mask        = 0xfff0
00:00:08.264126   Guest state:
00:00:08.264127     cs                         = {0010 base=0000000000000000 limit=ffffffff flags=e09b}
00:00:08.264128     gdtr                       = {base=ffff800000001000 limit=0001ffff}
00:00:08.264129     PDPTE 0                    = 0x5001
00:00:08.264130     rflags                     = 0x0
00:00:08.264131   Host state:
00:00:08.264132     cs                         = 0x8
00:00:08.264133     tr                         = {0040 base=ffff800000002000}
00:00:08.264134   Read-only data fields:
00:00:08.264135     Exit reason                = 33 (invalid)
"""
    done = why(text, "--show")
    for field, value in (("vpid", "0"), ("pin_controls", "16"), ("cr3_target_count", "a"), ("entry_instruction_length", "f"),
                         ("cr0_guest_host_mask", "fff0"), ("guest_cs_selector", "10"), ("guest_cs_ar", "e09b"),
                         ("guest_gdtr_base", "ffff800000001000"), ("guest_gdtr_limit", "1ffff"), ("guest_pdpte0", "5001"),
                         ("host_cs_selector", "8"), ("host_tr_selector", "40"), ("host_tr_base", "ffff800000002000"),
                         ("exit_reason", "21")):
        assert "took %s = %s from" % (field, value) in done.stdout, (field, done.stdout)
    assert broken(why(text, "--json")) == ["guest_gdtr_limit", "rflags_bit_1"], done.stdout


def test_bochs_saved_state(why):
    text = """cpu0 = {
  CR0 = 0x60000010
  VMX = {
    VMCS_CACHE = {
      VMEXEC_CTRLS = {
        vmexec_ctrls1 = 0x00000016
        vm_cr3_target_cnt = 10
        eptptr = 0x000000000000101e
      }
      HOST_STATE = {
        CR0 = 0x80010020
        TR = 0x0018
        efer_msr = 0x0000000000000d01
      }
    }
  }
  CR4 = 0x40
}
"""
    done = why(text, "--show")
    for field, value in (("pin_controls", "16"), ("cr3_target_count", "a"), ("ept_pointer", "101e"), ("host_cr0", "80010020"),
                         ("host_tr_selector", "18"), ("host_efer", "d01")):
        assert "took %s = %s from" % (field, value) in done.stdout, (field, done.stdout)
    assert json.loads(why(text, "--json").stdout)["fields"] == 6, done.stdout


def test_a_whole_dump_of_linux(why):
    done = why("", "--json", os.path.join(ROOT, "tests", "why", "linux.txt"))
    assert broken(done) == ["rflags_bit_1"] and json.loads(done.stdout)["fields"] == 104, done.stdout
    assert len(json.loads(done.stdout)["open"]) < 20, done.stdout


def taken(why, text):
    done = why(text, "--show")
    return re.findall("^took (.*?) from: ", done.stdout, re.M)


@pytest.mark.parametrize("text", (
    "guest_rflags=2\r\n", "x\rguest_rflags=2\r", "guest_rflags\t=\t0x2\n", "guest_rflags\t0x2\n", "GUEST_RFLAGS 0X2\n",
    "\x1b[32mguest_rflags\x1b[0m=\x1b[1;31m0x2\x1b[0m\n", "> guest_rflags: 0x2\n", "| guest_rflags | 0x2 |\n",
    '{"guest_rflags": "0x2",\n', ".guest_rflags = 0x2ull,\n", "guest_rflags -> 0x2\n", "guest_rflags:2\n", "6820h = 2h\n",
    "vmread(0x6820) = 0x2\n", "VMCS[0x6820]=0x2\n", "6820 2\n", "\ufeffguest_rflags=0000_0002\n",
    "guest_rflags=00000000`00000002",
    "guest_foo=7\nGUEST_RFLAGS=0x2\nguest_rip=\nguest_rsp=0x\nfrob 6804 8\n",
))
def test_forms_that_people_paste(why, text):
    assert taken(why, text) == ["guest_rflags = 2"], text


def test_utf_16(why, tmp_path):
    for coding in ("utf-16-le", "utf-16-be"):
        file = tmp_path / coding
        file.write_bytes("\ufeffguest_rflags=2\r\nguest_cr0=11\r\n".encode(coding))
        assert json.loads(why("", "--json", str(file)).stdout)["fields"] == 2


def test_negative_numbers(why):
    assert taken(why, "vmcs_link_pointer=-1\ntsc_offset = -2\n") == ["vmcs_link_pointer = ffffffffffffffff",
                                                                   "tsc_offset = fffffffffffffffe"]


def test_lines_that_are_cut(why):
    """The rest of a number may be anything: nothing is said of it."""
    text = """*** Guest State ***
CR0: actual=0x00000000800500
CR3 = 0x000000001a02f
guest_dr7 0x0000000000000
CS:   sel=0x0010, attr=0x0a09b, limit=0x00f
"""
    assert taken(why, text) == ["guest_cs_selector = 10", "guest_cs_ar = a09b"]
    assert taken(why, "guest_cr3=0x000012345000\n") == ["guest_cr3 = 12345000"]
    assert taken(why, "*** Guest State ***\nCR0: actual=fffffffffffef\n") == []
    assert taken(why, "CR4: actual=0000000000362670, shadow=0000000000362630, gh_mask=ffffffffffffe871\n") == [
        "guest_cr4 = 362670", "cr4_read_shadow = 362630", "cr4_guest_host_mask = ffffffffffffe871"]


@pytest.mark.parametrize("prefix", ("[Mon Nov 30 08:00:00 2026] kvm_intel: ", "Nov 30 08:00:00 host kernel: kvm_intel: ",
                                    "2026-11-30T08:00:00.1+00:00 host kernel: [  12.3] kvm_intel: ",
                                    "<3>[ 1234.5][ T1234] kvm_intel: ", "\x1b[32m[  12.3] \x1b[0m\x1b[33mkvm_intel: \x1b[0m"))
def test_prefixes_of_logs(why, prefix):
    lines = ("*** Guest State ***", "RFLAGS=0x00000202         DR7 = 0x0000000000000400",
             "CS:   sel=0x0010, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000")
    assert taken(why, "".join(prefix + line + "\n" for line in lines)) == [
        "guest_rflags = 202", "guest_dr7 = 400", "guest_cs_selector = 10", "guest_cs_ar = a09b", "guest_cs_limit = ffffffff",
        "guest_cs_base = 0"]


def test_virtualbox_log_as_capabilities(why, tmp_path):
    caps = tmp_path / "VBox.log"
    caps.write_text("00:00:06.506988 HM: MSR_IA32_VMX_TRUE_PROCBASED_CTLS  = 0xfff9fffe0401e172\n")
    assert broken(why("4002=94006172\n", "--json", "--caps", str(caps))) == ["proc_allowed"]


def test_models(why):
    # unrestricted guest needs EPT everywhere; VMFUNC is Haswell's, and not Ivy Bridge's
    text = "4002=84006172\n401e=2000\n"
    assert broken(why(text, "--json", "--model", "ivy_bridge")) == ["proc2_allowed"]
    assert broken(why(text, "--json", "--model", "haswell")) == []
    assert broken(why("guest_cr4=42000\n", "--json", "--model", "tigerlake")) == []
    # the width is the emulator's: 40 bits
    assert broken(why("201e=0\nmsr_bitmap=10000000000\n4002=94006172\n", "--json", "--model", "haswell")) == ["msr_bitmap"]
    done = why(text, "--model", "i486")
    assert done.returncode == 2 and done.stderr.split("say one of: ")[0], done.stderr
    assert set(machine.MODELS) <= set(done.stderr.split()), done.stderr


def test_a_model_is_what_the_processor_says():
    """tools/vmcs_why/models.py made the table; one of its ten rows is asked for again."""
    done = subprocess.run([os.path.join(ROOT, "tools", "vmcs_why", "models.py"), "--check", "skylake_x"], check=False,
                          capture_output=True, text=True, env={**os.environ, "O": BUILD})
    assert not done.returncode, done.stdout + done.stderr


def errors_of_the_sources():
    with open(os.path.join(ROOT, "vmx/hw/vmx.h"), encoding="utf-8") as file:
        return {int(number) for number in re.findall(r"\bVMXERR_\w+ = (\d+)", file.read())}


def test_errors(why):
    """Each error of the SDM has a text, those that Socle gives have their rules, of the others is said whose they are."""
    for number in range(0, 40):
        done = why("", "--error", str(number))
        assert done.returncode == (2 if number not in range(1, 29) or number in (14, 21, 27) else 0), done
        assert done.stdout.startswith("VM-instruction error %d: " % number), done.stdout
        of_smm = number in (16, 17, 18, 19, 20, 22, 23, 24, 25)
        assert ("only an SMM monitor" in done.stdout) == of_smm, done.stdout
        given = errors_of_the_sources() - {6, 7, 8}
        assert ("  rule   " in done.stdout) == (number in given), done.stdout
    assert why("", "--error", "seven").returncode == 2


def test_what_the_processor_said(why):
    done = why("4400=d\nVM_EXIT_REASON=80000021\nguest_rflags=0\n")
    assert "VM-instruction error 13: VMWRITE of a read-only field" in done.stdout, done.stdout
    assert "exit reason 33, and bit 31: the VM entry failed: the guest state is not valid" in done.stdout, done.stdout
    done = why("kvm: *** Control State ***\nkvm: VMExit: intr_info=00000000 errcode=00000000 ilen=00000000\n"
               "kvm:         reason=80000022 qualification=0000000000000003\n", "--show")
    assert "took exit_qualification = 3 from" in done.stdout and "could not be loaded" in done.stdout, done.stdout
    assert "failed" not in why("exit_reason=1e\nguest_rflags=2\n").stdout


def test_each_rule_alone(why, folder):
    """A dump for each rule, made of the host tests' valid VMCS; SHOW=1 names those that are never broken alone."""
    assert why("guest_rflags=0\n").returncode == 1
    subprocess.run(["make", "-s", "O=" + folder, "WHY_EXTRA=" + SANITIZE, folder + "/rules-test"], cwd=ROOT, check=True)
    done = subprocess.run([folder + "/rules-test"], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr


def test_what_cannot_be_read(why, tmp_path):
    for text, options in (("hello\n", ()), ("", ()), ("guest_cr0=1\n", ("--caps", str(tmp_path / "none"))),
                          ("guest_cr0=1\n", ("--nosuch",)), ("", (str(tmp_path / "none"),))):
        done = why(text, *options)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout, (text, options, done)


def test_help(why):
    for option in ("--help", "-h"):
        done = why("", option)
        assert done.returncode == 0 and done.stdout.startswith("usage: vmcs-why ") and not done.stderr, done


def test_what_is_missing_is_said(why):
    done = why("guest_rflags=0\n")
    assert done.returncode == 1
    assert "could not be judged, for want of memory or of these fields: " in done.stdout, done.stdout


def test_judgement_of_missing_fields(why, folder):
    """A rule that is called broken is so whatever the missing field holds; 1,000 values of each."""
    assert why("guest_rflags=0\n").returncode == 1
    subprocess.run(["make", "-s", "O=" + folder, folder + "/judge-test"], cwd=ROOT, check=True)
    done = subprocess.run([folder + "/judge-test"], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
