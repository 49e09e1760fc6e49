/* SPDX-License-Identifier: MIT */
/*
 * Copies stdin to COM1 by polling, or to the emulator's debug port 0xe9, past the interrupt-driven tty layer:
 * a lost transmit interrupt stalls the tty for good.
 */
#include "kvmlet.h"

#include <string.h>
#include <sys/io.h>
#include <unistd.h>

#define PORT_E9 0xe9
#define LSR_THR_EMPTY 0x20

static void put_com1(char c)
{
	while (!(inb(COM1 + 5) & LSR_THR_EMPTY))
		;
	outb((unsigned char)c, COM1);
}

int console_copy(const char *port)
{
	bool e9 = !strcmp(port, "e9");
	char buffer[4096];
	ssize_t count, i;

	if (ioperm(COM1, COM1_PORTS, 1) || ioperm(PORT_E9, 1, 1))
		die("ioperm");
	while ((count = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0) {
		for (i = 0; i < count; i++) {
			if (e9) {
				outb((unsigned char)buffer[i], PORT_E9);
				continue;
			}
			if (buffer[i] == '\n')
				put_com1('\r');
			put_com1(buffer[i]);
		}
	}
	return 0;
}
