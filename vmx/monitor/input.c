/* SPDX-License-Identifier: MIT */
/*
 * The key counts whoever has the keyboard. A key that is not followed by enough others is whoever's has the
 * keyboard, before what follows it.
 */
#include "vmx/monitor/input.h"

#include "kernel/bits.h"

static void give(struct input *input, u8 byte, u8 errors)
{
	if (input->monitors) {
		if (input->own_count == INPUT_OWN_MAX)
			input->own_lost = true;
		else
			input->own[(input->own_first + input->own_count++) % INPUT_OWN_MAX] = byte;
	} else if (input->l1_count == INPUT_L1_MAX) {
		input->l1_lost = true;
	} else {
		input->l1[(input->l1_first + input->l1_count++) % INPUT_L1_MAX] =
			(u16)(byte | (u32)errors << 8);
	}
}

static void switch_over(struct input *input)
{
	input->keys = 0;
	input->held = 0;
	input->monitors = !input->monitors;
	input->switched = true;
}

void input_put(struct input *input, u8 byte, u8 errors)
{
	if (input->key && byte == input->key && !errors) {
		input->held++;
		if (++input->keys == INPUT_KEYS)
			switch_over(input);
		return;
	}
	input->keys = 0;
	for (; input->held; input->held--)
		give(input, input->key, 0);
	give(input, byte, errors);
}

bool input_l1_peek(const struct input *input, u8 *byte, u8 *errors)
{
	u16 first = input->l1[input->l1_first];

	*byte = (u8)first;
	*errors = (u8)(first >> 8);
	return input->l1_count;
}

void input_l1_take(struct input *input)
{
	input->l1_first = (input->l1_first + 1) % INPUT_L1_MAX;
	input->l1_count--;
}

void input_l1_told(struct input *input)
{
	input->l1[input->l1_first] &= 0xff;
}

void input_l1_clear(struct input *input)
{
	input->l1_first = input->l1_count = 0;
	if (!input->monitors)
		input->held = 0;
	input->l1_lost = false;
}

bool input_own_take(struct input *input, u8 *byte)
{
	if (!input->own_count)
		return false;
	*byte = input->own[input->own_first];
	input->own_first = (input->own_first + 1) % INPUT_OWN_MAX;
	input->own_count--;
	return true;
}

void input_to_monitor(struct input *input)
{
	if (!input->monitors)
		switch_over(input);
}
