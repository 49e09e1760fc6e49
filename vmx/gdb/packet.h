/* SPDX-License-Identifier: MIT */
/*
 * gdb's remote serial protocol as text: bytes become packets, words of hexadecimal become numbers and
 * memory. Pure.
 * GDB's manual: "Remote Protocol", "Overview".
 */
#ifndef VMX_GDB_PACKET_H
#define VMX_GDB_PACKET_H

#include "kernel/types.h"

#define PACKET_SIZE 2048u /* of what stands between $ and #, both ways */

/* All members: whoever has the port. Zeroed: outside a packet. */
struct packet_input {
	char text[PACKET_SIZE + 1]; /* PACKET_COMPLETE: the packet, with a zero behind it */
	u32 length;
	u8 state, sum, said; /* packet.c's */
	bool spoilt;	     /* too long, or a byte was lost */
};

enum packet_event {
	PACKET_NOTHING,
	PACKET_BEGUN,
	PACKET_COMPLETE,
	PACKET_BAD,	  /* its checksum is wrong, or not all of it arrived */
	PACKET_INTERRUPT, /* Ctrl-C outside a packet */
	PACKET_REFUSED,	  /* the other side did not understand the last reply */
};

enum packet_event packet_put(struct packet_input *input, u8 byte);
/* A byte has been lost before the next one. */
void packet_spoil(struct packet_input *input);

/* A reply in the making; what has no room is not added, and `full` says so. */
struct packet_output {
	char text[PACKET_SIZE + 4]; /* "$...#xx" */
	u32 length;
	bool full;
};

void packet_begin(struct packet_output *output);
void packet_add(struct packet_output *output, const char *text);
void packet_add_number(struct packet_output *output, u64 value);
/* Bytes as two digits each. */
void packet_add_bytes(struct packet_output *output, const void *bytes, size_t count);
/* Puts the checksum behind it. */
void packet_end(struct packet_output *output);

/* The text goes on behind what was taken. False: something else stands there. */
bool packet_take_number(const char **text, u64 *value); /* at least one digit, at most 16 */
bool packet_take_byte(const char **text, u8 *value);
bool packet_take(const char **text, char c);
/* Two numbers and a comma between them. */
bool packet_take_range(const char **text, u64 *first, u64 *second);
/* If the text begins with `word`. */
bool packet_take_word(const char **text, const char *word);

#endif
