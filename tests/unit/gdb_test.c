/* SPDX-License-Identifier: MIT */
/*
 * gdb's stub: packets that are whole or refused, registers and memory of both levels, breakpoints and steps,
 * and a guest that notices nothing. What a real gdb makes of it is tests/system/test_gdb.py's.
 */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "tests/unit/uart_support.h"
#include "vmx/gdb/packet.h"
#include "vmx/gdb/registers.h"
#include "vmx/gdb/session.h"
#include "vmx/l1/closed.h"
#include "vmx/monitor/break.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/operand.h"
#include "vmx/monitor/step.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define L1_CODE 0x200000u
#define L2_CODE 0x400000u
#define FETCH (EPTV_FETCH | EPTV_LINEAR_VALID | EPTV_TRANSLATED)
#define STORE (EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED)
#define LOAD (EPTV_READ | EPTV_LINEAR_VALID | EPTV_TRANSLATED)
#define VIOLATION(bits, gpa)                                                                                 \
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = (bits), .guest_physical = (gpa))

static char typed[16384];

/* The packets, framed, as what gdb types, behind what stands there. */
static void type_packets(const char *before, const char *const *packets)
{
	size_t at = (size_t)sprintf(typed, "%s", before);

	for (; *packets; packets++) {
		u8 sum = 0;

		for (const char *c = *packets; *c; c++)
			sum = (u8)(sum + (u8)*c);
		at += (size_t)sprintf(typed + at, "$%s#%02x", *packets, sum);
	}
	uart_type(typed);
}

#define TYPE(...) type_packets("", (const char *const[]){ __VA_ARGS__, NULL })
#define INTERRUPT(...) type_packets("\x03", (const char *const[]){ __VA_ARGS__, NULL })
/* The machine is stopped, these packets are answered, and it goes on. */
#define ASK(...)                                                                                             \
	do {                                                                                                 \
		TYPE(__VA_ARGS__, "c");                                                                      \
		uart_attend();                                                                               \
	} while (0)

static void said(const char *text)
{
	if (!strstr(uart_said, text))
		fail_msg("not said: %s; but: %s", text, uart_said);
}

static void said_not(const char *text)
{
	if (strstr(uart_said, text))
		fail_msg("said: %s", uart_said);
}

static bool is_stepped(void)
{
	return machine_field(VMCS_proc_controls) & PROC_MTF;
}

/* ---- packets ---- */

static enum packet_event put(struct packet_input *input, const char *text)
{
	enum packet_event event = PACKET_NOTHING;

	for (; *text; text++)
		event = packet_put(input, (u8)*text);
	return event;
}

static void a_packet_is_whole_or_refused(void **state UNUSED)
{
	static struct packet_input input;

	assert_int_equal(put(&input, "+$m0,4#fd"), PACKET_COMPLETE);
	assert_string_equal(input.text, "m0,4");
	assert_int_equal(put(&input, "$m0,4#FD"), PACKET_COMPLETE);
	assert_int_equal(put(&input, "$m0,4#fc"), PACKET_BAD);
	assert_int_equal(put(&input, "$m0,4#fg"), PACKET_BAD);
	assert_int_equal(put(&input, "$#00"), PACKET_COMPLETE);
	/* one that was cut off is no harm to the next */
	assert_int_equal(put(&input, "$m0,4#f$?#3f"), PACKET_COMPLETE);
	assert_string_equal(input.text, "?");
	put(&input, "$m0,4");
	packet_spoil(&input);
	assert_int_equal(put(&input, "#fd"), PACKET_BAD);
	assert_int_equal(packet_put(&input, 3), PACKET_INTERRUPT);
	assert_int_equal(packet_put(&input, '-'), PACKET_REFUSED);
	assert_int_equal(packet_put(&input, '$'), PACKET_BEGUN);
	assert_int_equal(packet_put(&input, 3), PACKET_NOTHING);
}

static void a_packet_has_an_end(void **state UNUSED)
{
	static struct packet_input input;
	static struct packet_output output;
	u8 sum = 0;
	char tail[4];

	put(&input, "$");
	for (u32 i = 0; i < PACKET_SIZE; i++) {
		packet_put(&input, 'a');
		sum = (u8)(sum + 'a');
	}
	sprintf(tail, "#%02x", sum);
	assert_int_equal(put(&input, tail), PACKET_COMPLETE);
	assert_int_equal(strlen(input.text), PACKET_SIZE);
	put(&input, "$");
	for (u32 i = 0; i <= PACKET_SIZE; i++)
		packet_put(&input, 'a');
	sprintf(tail, "#%02x", (u8)(sum + 'a'));
	assert_int_equal(put(&input, tail), PACKET_BAD);
	packet_begin(&output);
	for (u32 i = 0; i < PACKET_SIZE; i++)
		packet_add(&output, "b");
	assert_false(output.full);
	packet_add(&output, "b");
	assert_true(output.full);
	packet_end(&output);
	assert_int_equal(output.length, PACKET_SIZE + 4);
}

static void numbers(void **state UNUSED)
{
	const char *text = "1fg";
	static struct packet_output output;
	u64 value;
	u8 byte;

	assert_true(packet_take_number(&text, &value) && value == 0x1f && *text == 'g');
	assert_false(packet_take_number(&text, &value));
	text = "ffffffffffffffff";
	assert_true(packet_take_number(&text, &value) && value == ~0ull);
	text = "10000000000000000";
	assert_false(packet_take_number(&text, &value));
	text = "a";
	assert_false(packet_take_byte(&text, &byte));
	packet_begin(&output);
	packet_add_number(&output, 0);
	packet_add_number(&output, 0x1000);
	packet_end(&output);
	assert_memory_equal(output.text, "$01000#", 7);
}

/* ---- the first words ---- */

static void without_it_nothing_is_intercepted(void **state UNUSED)
{
	assert_int_equal(machine_vcpu->wish.timer_ticks, 0);
	assert_false(machine_field01(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
	assert_false(machine_field01(VMCS_proc_controls) & PROC_IO_BITMAPS);
	assert_int_equal(machine_vcpu->looks, 0);
}

static void what_gdb_asks_first(void **state UNUSED)
{
	ASK("qSupported:multiprocess+;swbreak+", "vCont?", "?", "qfThreadInfo", "qsThreadInfo", "qC",
	    "qAttached", "qThreadExtraInfo,1", "vMustReplyEmpty", "Hg1", "Hc-1", "Hg3", "T1", "T2", "Hx1");
	said("+$PacketSize=800;qXfer:features:read+;swbreak+;hwbreak+;vContSupported+#");
	said("+$vCont;c;C;s;S#");
	said("+$T02thread:1;#");
	said("+$m1#9e+$l#6c+$QC1#c5+$1#31");
	said("$637075203" /* "cpu 0, L1" */);
	said("+$#00+$OK#9a+$OK#9a+$E01#a6+$OK#9a+$E01#a6+$E01#a6+");
	assert_false(control_is_stopped());
}

static void a_bad_packet_is_asked_for_again(void **state UNUSED)
{
	uart_type("$qC#00$qC#b4-$c#63");
	uart_attend();
	assert_string_equal(uart_said, "-+$QC1#c5$QC1#c5+");
	uart_type("x\x03-$c#63");
	uart_attend();
	assert_string_equal(uart_said, "$T02thread:1;#d4$T02thread:1;#d4+");
}

/* How often gdb was given the text whose hexadecimal begins so. */
static unsigned int times_told(const char *digits)
{
	unsigned int count = 0;

	for (const char *at = uart_said; (at = strstr(at, digits)); at++)
		count++;
	return count;
}

/* `monitor step 0` by a gdb that understands what it is told after so many times, then asks something else.
 */
#define REFUSE(answers) uart_type("$qRcmd,737465702030#8f" answers "$qC#b4$c#63"), uart_attend()

/* Nothing else is told before gdb has understood, and a reply is not taken for it. */
static void text_is_told_again_until_it_is_understood(void **state UNUSED)
{
	REFUSE("+");
	assert_int_equal(times_told("$O"), 2); /* $OK is one of them */
	REFUSE("-+");
	assert_int_equal(times_told("$O"), 3);
	REFUSE("---+");
	assert_int_equal(times_told("$O"), 4);
	assert_int_equal(times_told("$OK"), 1);
	/* another packet is none, and is not lost */
	REFUSE("");
	assert_int_equal(times_told("$O"), 2);
	assert_int_equal(times_told("$QC1#c5"), 1);
}

static void the_description_comes_in_pieces(void **state UNUSED)
{
	ASK("qXfer:features:read:target.xml:0,20", "qXfer:features:read:target.xml:20,7fff",
	    "qXfer:features:read:target.xml:ffffff,10", "qXfer:features:read:target.xml:0",
	    "qXfer:features:read:other:0,1");
	said("$m<?xml version=\"1.0\"?><!DOCTYPE t#");
	said("+$marget SYSTEM \"gdb-target.dtd\"><target><architecture>i386:x86-64</architecture>");
	said("<feature name=\"org.gnu.gdb.i386.core\"><reg name=\"rax\" bitsize=\"64\" type=\"int64\"/>");
	said("+$l#6c+$E01#a6+$#00+");
}

/* ---- registers ---- */

static void registers_of_l1(void **state UNUSED)
{
	char field[16];

	/* no VMCS of L1's is current */
	snprintf(field, sizeof(field), "p%x", registers_count() + V12_host_rip);
	ASK(field);
	said("$xxxxxxxxxxxxxxxx#80+");
	machine_vcpu->gpr[GPR_RAX] = 0x1122334455667788;
	machine_vcpu->gpr[GPR_RBX] = 0xb;
	ASK("g", "p10", "p18", "p2a", "pffff");
	said("$88776655443322110b00000000000000");
	said("+$0000200000000000#");
	said("+$00000000000000000000#");
	said("+$E01#a6");
	ASK("P1=0102030405060708", "P10=1000200000000000", "P11=d70f2400", "P2a=0000000000000000", "P1=01",
	    "P10=0000000000000080", "P1234=00");
	said("+$OK#9a+$OK#9a+$OK#9a+$E01#a6+$E01#a6+$E01#a6+$E01#a6+");
	assert_int_equal(machine_vcpu->gpr[GPR_RBX], 0x0807060504030201);
	assert_int_equal(machine_field(VMCS_guest_rip), L1_CODE + 0x10);
	/* results and IF; what would make an entry fail, or trap, does not change: TF, NT, VM, reserved bits
	 */
	assert_int_equal(machine_field(VMCS_guest_rflags), 0x240ed7);
}

static void sti_blocking_ends_with_interrupts(void **state UNUSED)
{
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI);
	ASK("P11=02000000");
	assert_int_equal(machine_field(VMCS_guest_rflags), RFLAGS_FIXED1);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
}

static void all_registers_at_once(void **state UNUSED)
{
	static char all[PACKET_SIZE + 1];
	char *end;

	machine_vcpu->gpr[GPR_R15] = 5;
	ASK("g");
	strcpy(all, "G");
	strcat(all, strchr(uart_said, '$') + 1);
	end = strchr(all, '#');
	*end = '\0';
	memcpy(all + 1, "7700000000000000", 16);
	ASK(all);
	said("+$OK#9a+");
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], 0x77);
	assert_int_equal(machine_vcpu->gpr[GPR_R15], 5);
	end[-1] = '\0';
	ASK(all);
	said("+$E01#a6+");
}

/* st0 is the register that TOP names; what FXSAVE's one bit cannot say follows from the value. */
static void floating_point(void **state UNUSED)
{
	static const u8 one[10] = { 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f };
	char field[8];

	memset(fake_fpu, 0, sizeof(fake_fpu));
	fake_fpu[0] = 0x7f;
	fake_fpu[1] = 3;
	fake_fpu[3] = 5 << 3; /* TOP */
	fake_fpu[4] = 0xe0;
	memcpy(fake_fpu + 32, one, sizeof(one)); /* register 5: valid */
	fake_fpu[48 + 8] = 0xff;		 /* 6: infinity */
	fake_fpu[48 + 9] = 0x7f;		 /* 7 is zero */
	fake_fpu[7] = 0x07;
	fake_fpu[6] = 0x22;
	memset(fake_fpu + 160 + 16 * 15, 0x5a, 16);
	fake_fpu[24] = 0x80;
	fake_fpu[25] = 0x1f;
	write_cr0(read_cr0() | CR0_TS | CR0_EM);
	ASK("p18", "p20", "p21", "p22", "p27", "p43", "p44");
	said("$0000000000000080ff3f#");
	said("+$7f030000#");
	said("+$00280000#");
	said("+$ff630000#"); /* 01 10 00 11 11 11 11 11 */
	said("+$22070000#");
	said("+$5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a#");
	said("+$801f0000#");
	assert_int_equal(read_cr0() & (CR0_TS | CR0_EM), CR0_TS | CR0_EM);
	write_cr0(read_cr0() & ~(u64)(CR0_TS | CR0_EM));
	assert_false(read_cr4() & CR4_OSFXSR);
	/* a level that waits has none, and L1's host state is in no row of these */
	l1_run_l2();
	snprintf(field, sizeof(field), "p%x", 0x18);
	ASK("Hg1", field, "p20", "p44");
	said("+$OK#9a+$xxxxxxxxxxxxxxxxxxxx#60+$xxxxxxxx#c0+$xxxxxxxx#c0+");
}

/* The halves of YMM registers are told and taken only where the guest has them. */
static void floating_point_is_written(void **state UNUSED)
{
	static const u8 ones[16] = { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
				     0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11 };

	memset(fake_fpu, 0, sizeof(fake_fpu));
	memset(fake_ymm_high, 0x77, sizeof(fake_ymm_high));
	fake_fpu[25] = 0x1f;
	fake_fpu[28] = 0xff; /* MXCSR_MASK */
	fake_fpu[29] = 0xff;
	write_cr0(read_cr0() | CR0_TS | CR0_EM);
	ASK("P18=0000000000000080ff3f", "P20=7f030000", "P22=ffcf0000",
	    "P3e=11111111111111111111111111111111", "P44=a01f01ff", "P45=22222222222222222222222222222222",
	    "p45");
	said("$OK#9a+$OK#9a+$OK#9a+$OK#9a+$OK#9a+$E01#a6+$xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx#00+");
	assert_int_equal(fake_fpu[32 + 7] | fake_fpu[32 + 8] << 8 | fake_fpu[32 + 9] << 16, 0x3fff80);
	assert_int_equal(fake_fpu[0] | fake_fpu[1] << 8, 0x37f);
	assert_int_equal(fake_fpu[4], 0x40); /* register 6 alone is not empty */
	assert_memory_equal(fake_fpu + 160 + 16 * 10, ones, sizeof(ones));
	/* reserved bits of MXCSR do not get there */
	assert_int_equal(fake_fpu[24] | fake_fpu[25] << 8 | fake_fpu[26] << 16, 0x1fa0);
	assert_int_equal(fake_ymm_high[0], 0x77);
	assert_true(xsetbv_safe(0, 7));
	fake_cpuid_set(0xd, 2, 256, 832, 0, 0);
	ASK("p45", "P45=22222222222222222222222222222222"); /* elsewhere than it ever was */
	said("$xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx#00+$E01#a6");
	fake_cpuid_set(0xd, 2, 256, 576, 0, 0);
	write_cr4(read_cr4() & ~(u64)CR4_OSXSAVE);
	ASK("p45"); /* XCR0 cannot be asked for */
	said("$xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx#00");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	assert_true(xsetbv_safe(0, 3));
	ASK("p45", "P45=22222222222222222222222222222222");
	said("$xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx#00+$E01#a6");
	assert_true(xsetbv_safe(0, 7));
	ASK("P45=22222222222222222222222222222222", "p45", "p54");
	said("$OK#9a+$22222222222222222222222222222222#");
	said("+$77777777777777777777777777777777#");
	assert_int_equal(fake_ymm_high[0], 0x22);
	assert_int_equal(fake_ymm_high[16], 0x77);
	/* "initial configuration", in which the processor saves no more than that it is so */
	memset(fake_ymm_high, 0, sizeof(fake_ymm_high));
	ASK("P54=33333333333333333333333333333333");
	assert_int_equal(fake_ymm_high[15 * 16], 0x33);
	assert_memory_equal(fake_fpu + 160 + 16 * 10, ones, sizeof(ones));
	assert_int_equal(read_cr0() & (CR0_TS | CR0_EM), CR0_TS | CR0_EM);
	write_cr0(read_cr0() & ~(u64)(CR0_TS | CR0_EM));
	assert_true(xsetbv_safe(0, 1));
}

static void memory_of_l1(void **state UNUSED)
{
	l1_write64(0x5ff8, 0x1122334455667788);
	ASK("m5ff8,8", "m5ffc,2", "m8000000000,4", "m0", "mffffffffffffffff,ffffffff", "m7fffffe,8",
	    "m8000000,4");
	said("+$8877665544332211#");
	said("+$4433#");
	said("+$E14#aa+$E14#aa+$E14#aa+$");
	ASK("M5ffe,4:01020304", "M5ffe,2:01", "M5ffe,1:0102", "M8000000,1:00", "M0,ffffffffffffffff:00");
	said("+$OK#9a+$E01#a6+$E14#aa+$E14#aa+$E01#a6+");
	/* not more than a packet holds */
	ASK("m0,1000");
	assert_in_range(strlen(uart_said), PACKET_SIZE, PACKET_SIZE + 40);
	assert_int_equal(l1_read64(0x5ff8) >> 48, 0x0201);
	assert_int_equal(l1_read64(0x6000) & 0xffff, 0x0403);
}

/* ---- both levels ---- */

static void threads_of_both_levels(void **state UNUSED)
{
	char field[16];

	l1_run_l2();
	machine_vcpu->gpr[GPR_RAX] = 0x77;
	snprintf(field, sizeof(field), "p%x", registers_count() + V12_host_rip);
	ASK("qfThreadInfo", "?", "p10", "p0", "Hg1", "p10", "p7", "p0", "P10=0000000000000000", field,
	    "m300000,4");
	said("+$m1,2#");
	said("+$T02thread:2;#");
	said("+$0000400000000000#04+$7700000000000000#0e+$OK#9a+$0000300000000000#03+$0000310000000000#04+"
	     "$xxxxxxxxxxxxxxxx#80+$E01#a6+$0000300000000000#03+$00000000#80+");
	ASK("Hg1", "G00");
	said("+$OK#9a+$E01#a6+");
	/* L1 runs: L2 as vmcs12 has it */
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	assert_false(machine_in_l2());
	ASK("Hg2", "p10", "p0", "qThreadExtraInfo,2", "m400000,4");
	said("+$OK#9a+$0000400000000000#04+$xxxxxxxxxxxxxxxx#80+");
	said("77686963682077616974" /* "which wait" */);
	l1_enter(EXIT_VMRESUME);
	assert_true(machine_in_l2());
}

/* ---- going on ---- */

static void a_breakpoint_of_gdbs(void **state UNUSED)
{
	ASK("Z0,200010,1", "Z0,200010,1", "Z0,8000000000,1", "Z5,200010,1", "Z0,200010", "z0,300000,1",
	    "z5,0,1", "Z3,200020,1");
	said("+$OK#9a+$OK#9a+$E02#a7+$#00+$E01#a6+$OK#9a+$#00+$E02#a7+");
	assert_int_equal(closed_count, 1);
	machine_set_field(VMCS_guest_rip, L1_CODE + 0x10);
	/* gdb takes it away, steps, and sets it again */
	TYPE("z0,200010,1", "vCont;s:1");
	VIOLATION(FETCH, L1_CODE + 0x10);
	said("$T05swbreak:;thread:1;#");
	assert_true(is_stepped());
	assert_int_equal(closed_count, 0);
	machine_set_field(VMCS_guest_rip, L1_CODE + 0x13);
	TYPE("Z0,200010,1", "vCont;c");
	EXIT_NOW(.reason = EXIT_MTF);
	said("$T05thread:1;#");
	assert_false(is_stepped());
	assert_false(control_is_stopped());
	assert_int_equal(closed_count, 1);
	TYPE("D");
	VIOLATION(FETCH, L1_CODE + 0x10);
	uart_attend();
	said_not("T05");
	said("+$OK#9a");
	assert_int_equal(closed_count, 0);
	assert_false(control_is_stopped());
}

static void said_exactly(const char *text)
{
	assert_string_equal(uart_said, text);
}

/* It was killed while it waited. What stops the machine then is no answer to the next one's first packet. */
static void another_gdb_comes(void **state UNUSED)
{
	ASK("Z0,200010,1");
	assert_int_equal(closed_count, 1);
	assert_false(control_is_stopped());
	TYPE("?", "qC", "D");
	uart_attend();
	said_exactly("+$T02thread:1;#d4+$QC1#c5+$OK#9a");
	assert_int_equal(closed_count, 0);
}

/* It begins as gdbs do: what the first one set has gone with it, its steps too. */
static void a_new_gdb_finds_nothing_of_the_old(void **state UNUSED)
{
	ASK("Z0,200010,1", "qRcmd,627265616b20657869742043505549" /* break exit CPUID */);
	assert_int_equal(closed_count, 1);
	TYPE("vCont;s:1");
	uart_attend();
	assert_true(is_stepped());
	TYPE("qSupported:swbreak+", "c");
	uart_attend();
	assert_ptr_equal(strstr(uart_said, "+$PacketSize="), uart_said);
	said_not("$T0");
	assert_false(is_stepped());
	assert_int_equal(closed_count, 0);
	assert_null(break_get(1));
	assert_null(break_get(2));
	/* nor is the stop at a breakpoint of the old one told, which nobody has heard */
	ASK("Z0,200010,1");
	machine_set_field(VMCS_guest_rip, L1_CODE + 0x10);
	TYPE("qSupported", "?", "c");
	VIOLATION(FETCH, L1_CODE + 0x10);
	said("+$T02thread:1;#d4+");
	/* who waits, and says Ctrl-C, is answered */
	INTERRUPT("c");
	uart_attend();
	said_exactly("$T02thread:1;#d4+");
}

/* The level is that of the thread for which the address was set first. */
static void a_breakpoint_keeps_its_level(void **state UNUSED)
{
	l1_run_l2();
	ASK("Z0,400000,1");
	said("+$OK#9a+");
	TYPE("z0,400000,1", "c");
	VIOLATION(FETCH, L2_CODE);
	said("$T05swbreak:;thread:2;#");
	machine_set_field(VMCS_guest_rip, L2_CODE + 1);
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	ASK("Hg1", "Z0,400000,1");
	/* L1 itself passes */
	machine_set_field(VMCS_guest_rip, L2_CODE);
	uart_type("");
	VIOLATION(FETCH, L2_CODE);
	said_not("T05");
	EXIT_NOW(.reason = EXIT_MTF);
	machine_set_field(VMCS_guest_rip, L1_CODE);
	l1_enter(EXIT_VMRESUME);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	TYPE("k");
	machine_set_field(VMCS_guest_rip, L2_CODE);
	VIOLATION(FETCH, L2_CODE);
	said("$T05swbreak:;thread:2;#");
	assert_int_equal(closed_count, 0);
}

static void a_watchpoint_of_gdbs(void **state UNUSED)
{
	ASK("Z2,5000,4", "Z2,5000,40");
	said("+$OK#9a+$E02#a7+");
	uart_type("");
	VIOLATION(STORE, 0x5000);
	l1_write32(0x5000, 9);
	TYPE("c");
	EXIT_NOW(.reason = EXIT_MTF);
	said("$T05watch:5000;thread:1;#");
}

/* cmp %al,(%rbx); mov (%rbx),%rax; mov %eax,(%rbx): where they begin and how much they take decides. */
static void reads_and_accesses(void **state UNUSED)
{
	l1_write64(L1_CODE, 0x90038948900338);
	l1_write32(L1_CODE + 8, 0x90038b48);
	ASK("Z3,5008,4", "Z4,6000,8", "Z3,6ffd,8", "Z4,6000,0");
	said("+$OK#9a+$OK#9a+$E02#a7+$E02#a7+");
	assert_int_equal(closed_count, 2);
	/* beside it */
	uart_type("");
	VIOLATION(LOAD, 0x5007);
	EXIT_NOW(.reason = EXIT_MTF);
	VIOLATION(LOAD, 0x500c);
	EXIT_NOW(.reason = EXIT_MTF);
	VIOLATION(STORE, 0x5008);
	EXIT_NOW(.reason = EXIT_MTF);
	/* the walk of L1's own tables */
	VIOLATION(EPTV_READ | EPTV_LINEAR_VALID, 0x5008);
	EXIT_NOW(.reason = EXIT_MTF);
	said_not("T05");
	/* told behind the instruction */
	VIOLATION(LOAD, 0x500b);
	said_not("T05");
	assert_true(is_stepped());
	machine_set_field(VMCS_guest_rip, L1_CODE + 8);
	TYPE("c");
	EXIT_NOW(.reason = EXIT_MTF);
	said("$T05rwatch:5008;thread:1;#");
	/* eight bytes from before it on */
	uart_type("");
	VIOLATION(LOAD, 0x5001);
	TYPE("c");
	EXIT_NOW(.reason = EXIT_MTF);
	said("$T05rwatch:5008;");
	/* a write that changes nothing, and one that another exit ends */
	uart_type("");
	VIOLATION(STORE, 0x6007);
	TYPE("c");
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	said("$T05awatch:6000;thread:1;#");
	/* code in the same page */
	ASK("Z0,5020,1", "z3,5008,4", "Z0,5020,1", "z0,5020,1", "z4,6000,8");
	said("+$E02#a7+$OK#9a+$OK#9a+$OK#9a+$OK#9a+");
	TYPE("D");
	uart_attend();
	assert_int_equal(closed_count, 0);
}

/* An L2's, where EPT12 has its own say: L1's page is L2's, and closed to L2 in EPT02 as well. */
static void reads_of_l2s(void **state UNUSED)
{
	l1_run_l2();
	l1_write32(L2_CODE, 0x90900338);
	ASK("Z3,5008,4");
	said("+$OK#9a+");
	uart_type("");
	VIOLATION(LOAD, 0x5008);
	TYPE("c");
	EXIT_NOW(.reason = EXIT_MTF);
	said("$T05rwatch:5008;thread:2;#");
	assert_true(machine_in_l2());
}

static void sizes_of_operands(void **state UNUSED)
{
	static const struct {
		u8 code[6];
		u32 wide, narrow; /* in 64-bit code, and outside */
	} rows[] = {
		{ { 0x38, 0x03 }, 1, 1 },
		{ { 0x39, 0x03 }, 4, 4 },
		{ { 0x66, 0x39, 0x03 }, 2, 4 },
		{ { 0x48, 0x8b, 0x03 }, 8, OPERAND_UNKNOWN },
		{ { 0x66, 0x48, 0x8b, 0x03 }, 8, OPERAND_UNKNOWN },
		{ { 0xf3, 0xa4, 0x90 }, 1, 1 },
		{ { 0xff, 0x33 }, 8, 4 },
		{ { 0xff, 0x03 }, 4, 4 },
		{ { 0x66, 0xff, 0x0b }, 2, 4 },
		{ { 0xff, 0x13 }, 8, 4 },
		{ { 0xff, 0x1b }, OPERAND_UNKNOWN, OPERAND_UNKNOWN },
		{ { 0x48, 0xff, 0x2b }, OPERAND_UNKNOWN, OPERAND_UNKNOWN },
		{ { 0xc3, 0x90 }, 8, 4 },
		{ { 0x0f, 0xb6, 0x03 }, 1, 1 },
		{ { 0x0f, 0xb7, 0x03 }, 2, 2 },
		{ { 0xf0, 0x0f, 0xc1, 0x03 }, 4, 4 },
		{ { 0x0f, 0x28, 0x03 }, OPERAND_UNKNOWN, OPERAND_UNKNOWN },
		{ { 0x8e, 0x1b }, 2, 2 },
		{ { 0x63, 0x03 }, 4, 4 },
		{ { 0x64, 0x8a, 0x03 }, 1, 1 },
		{ { 0xd7, 0x90 }, 1, 1 },
		{ { 0xc5, 0xf9 }, OPERAND_UNKNOWN, OPERAND_UNKNOWN },
		{ { 0x48, 0x69, 0x03 }, 8, OPERAND_UNKNOWN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(operand_size(rows[i].code, 6, true), rows[i].wide);
		assert_int_equal(operand_size(rows[i].code, 6, false), rows[i].narrow);
	}
	assert_int_equal(operand_size(rows[0].code, 1, true), OPERAND_UNKNOWN);
	assert_int_equal(operand_size(rows[0].code, 0, true), OPERAND_UNKNOWN);
}

#define EXCEPTION(vector, type) (INTR_INFO_VALID | (vector) | (type) << INTR_INFO_TYPE_SHIFT)
/* monitor break exception db, bp */
#define WISH_DB "qRcmd,627265616b20657863657074696f6e206462"
#define WISH_BP "qRcmd,627265616b20657863657074696f6e206270"

/* Its step, L0's wish and L1's own are three: each has what is its, while L2 runs. */
static void a_step_beside_debug_exceptions(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(exception_bitmap, BIT(VEC_BP));
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(machine_field(VMCS_exception_bitmap), BIT(VEC_BP));
	TYPE(WISH_DB, "vCont;s:2");
	uart_attend();
	assert_int_equal(machine_field(VMCS_exception_bitmap), BIT(VEC_BP) | BIT(VEC_DB));
	assert_int_equal(machine_field01(VMCS_exception_bitmap), BIT(VEC_DB));
	/* L2's own single step, of which L1 knows nothing: gdb is told, L2 gets it, and DR6 with it */
	write_dr6(DR6_FIXED1);
	machine_set_field(VMCS_guest_rip, L2_CODE + 1);
	TYPE("?", "vCont;s:2");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .qualification = DR6_BS,
		 .intr_info = EXCEPTION(VEC_DB, INTR_TYPE_HARD_EXCEPTION));
	said("$T05thread:2;#");
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending() & 0xff, VEC_DB);
	assert_int_equal(read_dr6(), DR6_FIXED1 | DR6_BS);
	assert_true(is_stepped());
	/* the handler's first instruction is where the step ends */
	machine_set_field(VMCS_guest_rip, L2_CODE + 0x100);
	TYPE(WISH_BP, "c");
	EXIT_NOW(.reason = EXIT_MTF);
	said("$T05thread:2;#");
	assert_false(is_stepped());
	assert_int_equal(machine_field01(VMCS_exception_bitmap), BIT(VEC_DB) | BIT(VEC_BP));
	/* #BP is L1's: gdb is told of L2's, and L1 has its exit as ever, whose step is not L2's */
	TYPE("c");
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .length = 1,
		 .intr_info = EXCEPTION(VEC_BP, INTR_TYPE_SOFT_EXCEPTION));
	said("$T05thread:1;#");
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
	assert_int_equal(R(exit_intr_info), EXCEPTION(VEC_BP, INTR_TYPE_SOFT_EXCEPTION));
	assert_int_equal(R(exit_instruction_length), 1);
	assert_int_equal(R(proc_controls) & PROC_MTF, 0);
	/* gdb goes, and with it its wishes; L1's stays */
	TYPE("D");
	uart_attend();
	assert_int_equal(machine_field(VMCS_exception_bitmap), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_exception_bitmap), BIT(VEC_BP));
}

/* L1's thread is stepped: L2 runs on, unwatched, until L1 does. */
static void a_step_of_the_other_level(void **state UNUSED)
{
	l1_run_l2();
	TYPE("Hg1", "vCont;s:1;c");
	uart_attend();
	assert_false(is_stepped());
	said_not("T05");
	TYPE("c");
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	said("$T05thread:1;#");
	assert_int_equal(machine_field(VMCS_guest_rip), 0x300000);
}

static void a_guest_that_waits_is_interrupted(void **state UNUSED)
{
	TYPE("vCont;s:1");
	uart_attend();
	assert_true(is_stepped());
	assert_true(control_goes_alone());
	uart_type("\x03$c#63");
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	said("$T02thread:1;#");
	assert_false(is_stepped());
	assert_false(control_is_stopped());
}

/* L1's thread is to be stepped, L2 runs on. */
static void step_l1_behind_l2(void)
{
	l1_run_l2();
	TYPE("Hg1", "vCont;s:1;c");
	uart_attend();
	said_not("T05");
	assert_false(control_is_stopped());
	assert_int_equal(machine_vcpu->debugged.steps, 1);
}

static void a_step_does_not_outlast_a_stop(void **state UNUSED)
{
	step_l1_behind_l2();
	INTERRUPT("vCont;c");
	uart_attend();
	said("$T02thread:2;#");
	uart_type("");
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	assert_false(machine_in_l2());
	said_not("T05");
	assert_false(control_is_stopped());
}

/* Nobody would let it go on. */
static void leaves_while_l1_is_to_be_stepped(const char *way)
{
	step_l1_behind_l2();
	INTERRUPT(way);
	uart_attend();
	said("$T02thread:2;#");
	uart_type("");
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	assert_false(machine_in_l2());
	assert_false(control_is_stopped());
}

static void a_step_does_not_outlast_a_detach(void **state UNUSED)
{
	leaves_while_l1_is_to_be_stepped("D");
}

static void a_step_does_not_outlast_a_kill(void **state UNUSED)
{
	leaves_while_l1_is_to_be_stepped("k");
}

/* What another CPU has been told meanwhile counts for this one too. */
static void an_order_is_for_all_cpus(void **state UNUSED)
{
	step_l1_behind_l2();
	machine_vcpu->debugged.order--;
	uart_type("");
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(machine_vcpu->debugged.steps, 0);
	EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	assert_false(control_is_stopped());
	said_not("T05");
	machine_vcpu->debugged.order--;
	machine_vcpu->debugged.hit = HIT_STEP;
	step_look(machine_vcpu);
	assert_false(control_is_stopped());
	assert_int_equal(machine_vcpu->debugged.hit, 0);
}

/* A step was over as the machine stopped for something else. */
static void a_step_that_nobody_waits_for(void **state UNUSED)
{
	assert_true(control_stop(machine_vcpu));
	machine_vcpu->debugged.hit = HIT_STEP;
	TYPE("c");
	uart_attend();
	assert_false(control_is_stopped());
	uart_type("");
	uart_attend();
	said_not("T05");
}

/* gdb's scheduler-locking: nobody is left who could send the SIPI, and nobody else reads the port. */
static void alone_into_the_wait_for_a_sipi(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_APIC_BASE, fake_msr_get(MSR_IA32_APIC_BASE) & ~(u64)APIC_BASE_BSP);
	TYPE("vCont;c:1");
	uart_attend();
	assert_true(control_goes_alone());
	/* a long way is no wait */
	uart_type("");
	for (int i = 0; i < 100; i++)
		EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_true(control_goes_alone());
	/* and it is not let go alone again */
	TYPE("vCont;c:1", "c");
	EXIT_NOW(.reason = EXIT_INIT);
	said("$T05thread:1;#");
	said("+$T05thread:1;#");
	assert_false(control_goes_alone());
	assert_false(control_is_stopped());
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 7);
	assert_false(machine_vcpu->looks & LOOK_BREAKS);
}

static void actions_are_their_threads(void **state UNUSED)
{
	static const char *const of_the_other[] = { "vCont;c:3", "vCont;C05:3", "vCont;s:3;c",
						    "vCont;S05:3" };
	static const char *const of_none[] = { "vCont;c", "vCont;c:-1", "vCont;c:1", "vCont;c:9",
					       "vCont;C:3" };
	static struct percpu other_cpu = { .id = 1 };
	static struct vcpu other;

	TYPE("vCont;c:9", "vCont;C:1", "vCont;t:1", "vCont;c:1x", "c");
	uart_attend();
	said("+$E01#a6+$E01#a6+$E01#a6+$E01#a6+");
	assert_true(control_stop(machine_vcpu));
	other = *machine_vcpu;
	other.cpu = &other_cpu;
	other_cpu.vcpu = &other;
	fake_other_cpu = &other_cpu;
	assert_true(control_stay(&other));
	for (size_t i = 0; i < ARRAY_SIZE(of_the_other); i++)
		assert_int_equal(serve_cpu(of_the_other[i]), 1);
	for (size_t i = 0; i < ARRAY_SIZE(of_none); i++)
		assert_int_equal(serve_cpu(of_none[i]), 0);
	serve_packet(&other, "vCont;c:3");
	assert_true(control_is_alone(&other));
	assert_int_equal(session.cpu, 1);
	assert_true(control_end_alone(&other));
	control_go();
}

/* ---- the monitor's commands ---- */

static void commands_by_gdb(void **state UNUSED)
{
	/* "regs l1", "go", "break exit CPUID", "x" + 80 times, an odd digit */
	ASK("qRcmd,72656773206c31", "qRcmd,676f", "qRcmd,6272656b0d",
	    "qRcmd,627265616b2065786974204350554944", "qRcmd,7");
	said("$O" /* cpu 0: L1 */ "63707520303a204c31");
	said("$O6572726f723a20676f20697320746865206465627567676572" /* error: go is the debugger */);
	said("$O6572726f723a20746865206c696e6520776173" /* error: the line was */);
	said("$O3120657869742043505549" /* 1 exit CPUI */);
	TYPE("c");
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	/* gdb's console is told which it was */
	said("$O627265616b706f696e7420313a20637075" /* breakpoint 1: cpu */);
	said("$T05thread:1;#");
}

/* It would stop a machine that nobody is told of. */
static void a_break_of_gdbs_monitor_goes_with_it(void **state UNUSED)
{
	ASK("qRcmd,627265616b2065786974204350554944");
	said("$O3120657869742043505549" /* 1 exit CPUI */);
	TYPE("D");
	uart_attend();
	uart_type("");
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_false(control_is_stopped());
	assert_null(break_get(1));
}

static void the_port_is_not_there(void **state UNUSED)
{
	machine_vcpu->gpr[GPR_RAX] = 0;
	uart_type("x");
	EXIT_NOW(.reason = EXIT_IO, .qualification = (u64)UART_PORT << 16 | BIT(3), .length = 1);
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], 0xff);
	assert_string_equal(uart_typed, "x");
}

#define WITH(test) MACHINE_TEST_BEFORE(test, "gdb=com2", uart_plug)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_is_whole_or_refused),
		cmocka_unit_test(a_packet_has_an_end),
		cmocka_unit_test(numbers),
		MACHINE_TEST_BEFORE(without_it_nothing_is_intercepted, "gdb=off", uart_plug),
		WITH(what_gdb_asks_first),
		WITH(a_bad_packet_is_asked_for_again),
		WITH(text_is_told_again_until_it_is_understood),
		WITH(the_description_comes_in_pieces),
		WITH(registers_of_l1),
		WITH(sti_blocking_ends_with_interrupts),
		WITH(all_registers_at_once),
		WITH(floating_point),
		WITH(floating_point_is_written),
		WITH(memory_of_l1),
		WITH(threads_of_both_levels),
		WITH(a_breakpoint_of_gdbs),
		WITH(another_gdb_comes),
		WITH(a_new_gdb_finds_nothing_of_the_old),
		WITH(a_breakpoint_keeps_its_level),
		WITH(a_watchpoint_of_gdbs),
		WITH(reads_and_accesses),
		WITH(reads_of_l2s),
		cmocka_unit_test(sizes_of_operands),
		WITH(a_step_of_the_other_level),
		WITH(a_step_beside_debug_exceptions),
		WITH(a_guest_that_waits_is_interrupted),
		WITH(a_step_does_not_outlast_a_stop),
		WITH(a_step_does_not_outlast_a_detach),
		WITH(a_step_does_not_outlast_a_kill),
		WITH(an_order_is_for_all_cpus),
		WITH(a_step_that_nobody_waits_for),
		WITH(alone_into_the_wait_for_a_sipi),
		WITH(actions_are_their_threads),
		WITH(commands_by_gdb),
		WITH(a_break_of_gdbs_monitor_goes_with_it),
		WITH(the_port_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
