# SPDX-License-Identifier: MIT
"""Wrong tools beside gdb: cores with the wrong level's memory, symbols and callers that are not the kernel's."""
from mutant import Mutant

CORE, RSP, ELF, ORC = "tools/core.py", "tools/rsp.py", "tools/linux_elf.py", "tools/orc.py"
CALLERS, PULLED = "test_linux_elf: test_symbols_and_callers", "test_core: test_what_is_pulled"

MUTANTS = [
    Mutant("core-mixes-levels", CORE, [("            if others:\n", "            if others and not data:\n")], None,
           host=PULLED),
    Mutant("core-of-the-other-level", CORE,
           [("level_of(one.number) != arguments.level", "level_of(one.number) == arguments.level")], None,
           host="test_core: test_whose_memory"),
    Mutant("core-takes-bad-packets", RSP, [("            if whole:\n", "            if whole or True:\n")], None, host=PULLED),
    Mutant("core-leaves-the-machine", CORE,
           [("        if not arguments.stay:\n", "        if arguments.stay:\n")], None, host=PULLED),
    Mutant("core-takes-what-nobody-asked-for", RSP,
           [("            elif taken and token", "            elif token != b\"+\" and token")], None,
           host="test_core: test_what_a_gdb_that_died_has_left"),
    Mutant("core-of-any-stub", CORE, [(" or not any(name.startswith(\"v12_\") for name, _ in rows)", "")], None,
           host="test_core: test_another_stub"),
    Mutant("symbols-count-up", ELF, [("text.address - 1 - offset, name", "text.address + 1 + offset, name")], None,
           host=CALLERS),
    Mutant("symbols-absolute-ones-moved", ELF,
           [("(offset if offset >= 0 else ", "(text.address + offset if offset >= 0 else ")], None, host=CALLERS),
    Mutant("callers-saved-registers-forgotten", ORC, [("    if kind == REGS:\n", "    if kind == PARTIAL_NEVER:\n"),
                                                      ("CALL, REGS, REGS_PARTIAL, NOTHING = range(4)",
                                                       "CALL, REGS, REGS_PARTIAL, NOTHING = range(4)\nPARTIAL_NEVER = 9")],
           None, host=CALLERS),
    Mutant("callers-interrupted-as-calls", ORC, [("cie = len(calls) if group(piece[0]) != CALL else 0", "cie = 0")], None,
           host=CALLERS),
    Mutant("callers-by-the-wrong-frame", ORC, [("DI: 5, BP: 6, SP: 7", "DI: 5, BP: 7, SP: 7")], None, host=CALLERS),
]
