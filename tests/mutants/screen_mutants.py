# SPDX-License-Identifier: MIT
"""Wrong Socles: the console's serial port and screen."""
from mutant import Mutant

UART = "drivers/uart.c"
SCREEN = "drivers/screen.c"
CONSOLE = "drivers/console.c"

MUTANTS = [
    Mutant("screen-stuck-port-for-ever", UART, [("\treturn uart->late >= LATE_MAX;", "\treturn uart->late >= 1000000;")],
           "console: a_stuck_port_is_given_up"),
    Mutant("screen-stuck-port-stays-mute", UART,
           [("\tif (is_stuck(uart) && is_ready(uart))\n\t\tuart->late = 0;\n", "")],
           "console: a_stuck_port_is_given_up"),
    Mutant("screen-late-characters-add-up", UART,
           [("\tuart->late = ready ? 0 : uart->late + 1;", "\tuart->late += !ready;")],
           "console: a_stuck_port_is_given_up"),
    Mutant("screen-divisor-overwritten", UART, [("control & (u8)~UART_LCR_DLAB", "control")],
           "console: l1s_divisor_stays"),
    Mutant("screen-divisor-access-lost", UART,
           [("\t\twrite_register(uart, UART_LCR, control);\n", "\t\t(void)control;\n")],
           "console: l1s_divisor_stays"),
    Mutant("screen-spcr-speed-ignored", CONSOLE,
           [("\t\tplace.baud = spcr_baud(t[SPCR_BAUD]);", "\t\tplace.baud = spcr_baud(9);")],
           "console: acpi_names_the_port"),
    Mutant("screen-spcr-of-any-kind", CONSOLE, [("t[SPCR_INTERFACE] != INTERFACE_16550_GENERIC)\n", "!t)\n")],
           "console: acpi_names_the_port"),
    Mutant("screen-pci-port-that-is-off", CONSOLE,
           [("\tif (!(command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))\n\t\treturn false;\n", "\t(void)command;\n")],
           "console: pci_has_the_port"),
    Mutant("screen-written-while-l1s", SCREEN, [("void screen_close(void)\n{\n\tshown = false;", "void screen_close(void)\n{")],
           "console: the_screen_is_l1s"),
    Mutant("screen-reopened-anywhere", SCREEN,
           [("|| shown || !is_still_there())", "|| shown || (!is_still_there() && shown))")],
           "console: the_screen_is_l1s"),
    Mutant("screen-reopened-though-off", SCREEN, [("(pci_read(owner, PCI_COMMAND) & PCI_COMMAND_MEMORY) &&", "owner &&")],
           "console: the_screen_is_l1s"),
    Mutant("screen-vga-in-any-mode", SCREEN, [("(misc & VGA_MAP_AND_MODE) == VGA_TEXT_AT_B8000", "misc != 0xff")],
           "console: text_after_a_stop"),
    Mutant("screen-pitch-not-asked", SCREEN, [("m->pitch < line", "line == 0")], "console: modes_that_cannot_be"),
    Mutant("screen-old-letters-stay", SCREEN, [("\tmemmove(page, page[gone], (rows - gone) * sizeof(page[0]));\n", "")],
           "console: a_full_page_moves_up"),
]
