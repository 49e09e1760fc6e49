/* SPDX-License-Identifier: MIT */
/*
 * What arrives at a shared port: whose it is, L1's or the monitor's, and what of it waits for each. Pure.
 */
#ifndef VMX_MONITOR_INPUT_H
#define VMX_MONITOR_INPUT_H

#include "kernel/types.h"

#define INPUT_L1_MAX 64u   /* more than a UART holds */
#define INPUT_OWN_MAX 128u /* more than a line */
#define INPUT_KEYS 3u	   /* the key, so often running, switches */

/* All members: whoever holds the port. Zeroed but for `key`: L1 has the keyboard, and nothing waits. */
struct input {
	u8 key;		      /* constant: a control character; 0: none switches */
	u8 keys;	      /* of them, running */
	u8 held;	      /* of these, not given to anybody yet */
	bool monitors;	      /* the keyboard is the monitor's */
	bool switched;	      /* that has changed: who says so clears it */
	bool l1_lost;	      /* L1's queue was full: an overrun for it */
	bool own_lost;	      /* the monitor's was */
	u16 l1[INPUT_L1_MAX]; /* from `l1_first` on, in a ring: a byte, and its errors (UART_LSR_OF_BYTE) << 8
			       */
	u32 l1_first, l1_count;
	u8 own[INPUT_OWN_MAX];
	u32 own_first, own_count;
};

/* A byte has arrived, with these errors: a break is a byte of 0 with one. */
void input_put(struct input *input, u8 byte, u8 errors);

/* L1's next byte and its errors; false: there is none. */
bool input_l1_peek(const struct input *input, u8 *byte, u8 *errors);
/* L1 has taken it, or (errors only) has been told of its errors. */
void input_l1_take(struct input *input);
void input_l1_told(struct input *input);
/* L1 clears its receiver: what waits for it is gone. */
void input_l1_clear(struct input *input);

/* The monitor's next byte; false: there is none. */
bool input_own_take(struct input *input, u8 *byte);

/* The keyboard is the monitor's from now on, as if the key had been pressed. */
void input_to_monitor(struct input *input);

#endif
