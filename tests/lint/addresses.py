#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each address of Socle's table (vmx/nested/vmcs12/addresses.def) that is used is aimed by the guest test, and no other.

The guest tests share no header with Socle: what they know is written a second time, and here the two are compared.
"""
import re
import sys

TABLE, TEST = "vmx/nested/vmcs12/addresses.def", "tests/guest/hostile_address.c"
# Nothing of these can be aimed: no address, or a feature that L1 does not have.
NOT_AIMED = ("NONE", "UNUSED")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main():
    rows = re.findall(r"^A\((\w+), (\w+)\)$", read(TABLE), re.M)
    wanted = {field for field, fate in rows if fate not in NOT_AIMED}
    aimed = set(re.findall(r"\bADDRESS\((?!name\b)(\w+)\)", read(TEST)))
    for field in sorted(wanted - aimed):
        print("%s: no use of %s" % (TEST, field))
    for field in sorted(aimed - wanted):
        print("%s: %s is no address that %s says is used" % (TEST, field, TABLE))
    return int(not rows or wanted != aimed)


sys.exit(main())
