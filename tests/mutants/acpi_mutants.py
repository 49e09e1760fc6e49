# SPDX-License-Identifier: MIT
"""Mutants of what ACPI says about sleep, and of the ways round the ports; the fields are explained in mutants.py."""
from mutant import Mutant

AML = "drivers/aml.c"
SLEEP = "drivers/acpi_sleep.c"
HIDE = "drivers/acpi_hide.c"
CHIPSET = "drivers/chipset.c"

MUTANTS = [
    Mutant("s3-value-allowed-if-s5s-too", SLEEP, [("return wanted & (u8)~both;", "return wanted;")],
           "sleep: a_value_of_s3_is_never_allowed"),
    Mutant("s2-value-allowed", SLEEP, [("#define STATES_REFUSED (BIT(2) | BIT(3))", "#define STATES_REFUSED BIT(3)")],
           "sleep: a_value_of_s3_is_never_allowed"),
    Mutant("ssdts-not-asked", SLEEP, [("i < found.count; i++)", "i < MIN(found.count, 1u); i++)")],
           "sleep: a_value_of_s3_is_never_allowed"),
    Mutant("old-pm1-field-forgotten", SLEEP, [("now->address != old->address))\n\t\treturn;\n",
                                               "now->address != old->address))\n\t\told->space = SLEEP_ABSENT;\n")],
           "sleep: both_fields_of_a_register_are_taken"),
    Mutant("sleep-control-unread", SLEEP, [("wide_register(fadt, length, FADT_SLEEP_CONTROL, 1)",
                                            "wide_register(fadt, MIN(length, 244u), FADT_SLEEP_CONTROL, 1)")],
           "sleep: the_control_register_of_reduced_hardware"),
    Mutant("fadt-length-unchecked", SLEEP, [("\tif (length < at + GAS_SIZE)\n", "\tif (!length)\n")],
           "sleep: a_damaged_fadt_is_none"),
    Mutant("aml-bytes-are-names", AML, [("r.found_count == occurrences && r.found_count <= max",
                                         "r.found_count <= occurrences && r.found_count <= max")],
           "sleep: unsure_is_unchanged"),
    Mutant("aml-names-of-a-failed-package-kept", AML, [("\t\t\tr->found_count = package->found;\n", "")],
           "sleep: unsure_is_unchanged"),
    Mutant("aml-package-longer-than-its-parent", AML, [("length < size ||\n\t    length > left(r))", "length < size)")],
           "sleep: every_form_is_passed"),
    Mutant("s3-renamed-in-some-tables", HIDE, [("\treturn *why ? 0 : count;", "\t*why = NULL;\n\treturn count;")],
           "sleep: unsure_is_unchanged"),
    Mutant("checksum-not-mended", HIDE, [("return put(block->table + CHECKSUM, sum) && done;", "return sum && done;")],
           "sleep: s3_gets_another_name"),
    Mutant("s4bios-offered", HIDE, [("#define FACS_S4BIOS BIT(0)", "#define FACS_S4BIOS BIT(2)")],
           "sleep: s3_gets_another_name"),
    Mutant("new-name-in-use", HIDE, [("if (!is_anywhere(found, name))", "if (name[0] || !is_anywhere(found, name))")],
           "sleep: the_new_name_is_free"),
    Mutant("piix4-s3-allowed", CHIPSET, [("#define PIIX4_ALLOWED BIT(0)", "#define PIIX4_ALLOWED (BIT(0) | BIT(1))")],
           "chipset: without_an_fadt_the_chipset_is_asked"),
    Mutant("chipset-by-name-alone", CHIPSET, [("\tif (sleep->pm1a.space == SLEEP_IO)\n", "\tif (is_piix4(function) && 0)\n")],
           "chipset: the_fadts_port_finds_the_function"),
    Mutant("config-address-left-changed", CHIPSET, [("\toutl(PCI_CONFIG_ADDRESS, saved);\n", "\t(void)saved;\n")],
           "chipset: the_fadts_port_finds_the_function"),
]
