/* SPDX-License-Identifier: MIT */
/* The guest's 8250 at COM1: output goes to stdout, there is no input, the transmitter is always empty. IRQ 4.
 */
#include "kvmlet.h"

#include <linux/kvm.h>
#include <stdio.h>

#define IER_THRI 0x02
#define IIR_NONE 0x01
#define IIR_THRI 0x02
#define IIR_FIFO 0xc0
#define LCR_DLAB 0x80
#define MCR_LOOP 0x10
#define LSR_EMPTY 0x60
#define MSR_READY 0xb0

static struct {
	uint8_t ier, lcr, mcr, scr, dll, dlm, fcr;
	bool empty_pending;
} uart;

static void update_irq(struct vm *vm)
{
	struct kvm_irq_level line = { .irq = 4, .level = (uart.ier & IER_THRI) && uart.empty_pending };

	vm_ioctl(vm->fd, KVM_IRQ_LINE, &line, "KVM_IRQ_LINE");
}

static uint8_t read_iir(struct vm *vm)
{
	uint8_t value = (uart.fcr & 1) ? IIR_FIFO : 0;

	if (!(uart.ier & IER_THRI) || !uart.empty_pending)
		return value | IIR_NONE;
	uart.empty_pending = false;
	update_irq(vm);
	return value | IIR_THRI;
}

uint8_t uart_in(struct vm *vm, unsigned int reg)
{
	bool latch = uart.lcr & LCR_DLAB;

	switch (reg) {
	case 0: return latch ? uart.dll : 0;
	case 1: return latch ? uart.dlm : uart.ier;
	case 2: return read_iir(vm);
	case 3: return uart.lcr;
	case 4: return uart.mcr;
	case 5: return LSR_EMPTY;
	case 6:
		if (uart.mcr & MCR_LOOP)
			return (uint8_t)((uart.mcr & 1) << 5 | (uart.mcr & 2) << 3 | (uart.mcr & 0xc) << 4);
		return MSR_READY;
	default: return uart.scr;
	}
}

static void write_data(struct vm *vm, uint8_t value)
{
	if (uart.lcr & LCR_DLAB) {
		uart.dll = value;
		return;
	}
	if (!(uart.mcr & MCR_LOOP)) {
		putchar(value);
		if (value == '\n')
			fflush(stdout);
	}
	uart.empty_pending = true;
	update_irq(vm);
}

static void write_ier(struct vm *vm, uint8_t value)
{
	if (uart.lcr & LCR_DLAB) {
		uart.dlm = value;
		return;
	}
	if ((value & IER_THRI) && !(uart.ier & IER_THRI))
		uart.empty_pending = true;
	uart.ier = value & 0xf;
	update_irq(vm);
}

void uart_out(struct vm *vm, unsigned int reg, uint8_t value)
{
	switch (reg) {
	case 0: write_data(vm, value); break;
	case 1: write_ier(vm, value); break;
	case 2: uart.fcr = value; break;
	case 3: uart.lcr = value; break;
	case 4: uart.mcr = value & 0x1f; break;
	case 7: uart.scr = value; break;
	default: break;
	}
}
