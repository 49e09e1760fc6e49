/* SPDX-License-Identifier: MIT */
/*
 * Who looks at the port, and when. While the machine runs, each CPU looks at it by an exit of the
 * VMX-preemption timer: the one periodic event that needs no device, and that comes when a guest loops with
 * interrupts off. While the machine is stopped, the CPU whose turn it is looks all the time.
 * SDM: "VMX-Preemption Timer".
 */
#include "vmx/monitor/monitor.h"

#include "drivers/pit.h"
#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "vmx/hw/caps.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/guest/handlers.h"
#include "vmx/l1/l1.h"
#include "vmx/l1/ports.h"
#include "vmx/l1/rest.h"
#include "vmx/monitor/command.h"
#include "vmx/monitor/complete.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/live.h"
#include "vmx/monitor/output.h"
#include "vmx/monitor/show_exits.h"
#include "vmx/monitor/step.h"
#include "vmx/nested/entry/timer.h"
#include "vmx/nested/ept/ept12.h"
#include "vmx/nested/explain/held.h"

#define UART_PORTS 8
#define NOBODY (~0u)

static bool is_on; /* constant after monitor_open() */
/* Each its CPU's: an NMI has come, and the machine has not stopped for it yet. */
static bool nmi_waits[PERCPU_MAX];
static u32 owner = NOBODY; /* any CPU, atomic: who looks at the port, or has a complete line in hand */
static struct line line;   /* the owner's; while the machine is stopped, that of the CPU with the turn */

static void (*client)(struct vcpu *vcpu); /* constant after monitor_set_client(); NULL: nobody */

void monitor_set_client(void (*attend)(struct vcpu *vcpu))
{
	client = attend;
}

/* What arrives at once is taken at once: the next look may be 20 ms away, and a UART holds 16 characters. */
#define QUIET_PART 20

static bool is_possible(const struct uart_place *place)
{
	const char *fault = NULL;

	if (!(vmx_caps.pin.allowed1 & PIN_PREEMPTION_TIMER) ||
	    !(vmx_caps.exit.allowed1 & EXIT_SAVE_PREEMPTION_TIMER))
		fault = "the processor has no VMX-preemption timer whose value is saved";
	else if (!uart_is_console(place->base) && !output_open(place))
		fault = "no serial port answers there";
	if (fault)
		log_warn("monitor=: %s; there is no monitor", fault);
	return !fault;
}

void monitor_open(void)
{
	const struct console_option *wanted = &options.monitor;
	struct uart_place place = { .base = wanted->address, .baud = wanted->baud ? wanted->baud : 115200 };
	struct port_range range = { (u16)wanted->address, UART_PORTS, "monitor", NULL, NULL };
	bool is_console = uart_is_console(wanted->address), is_shared = is_console || wanted->shared;

	if (wanted->serial == SERIAL_NONE || !is_possible(&place)) {
		if (options.nmi_stops)
			log_warn("nmi=monitor: there is no monitor; NMIs are L1's");
		return;
	}
	is_on = true;
	control_init(pit_measure_20ms());
	if (is_shared) {
		output_share(is_console, options.monitor_key);
		log_info("monitor: port %llx, shared with L1; Ctrl-%c three times switches the keyboard",
			 LL(wanted->address), options.monitor_key + '@');
		return;
	}
	ports_add(&range);
	log_info("monitor: port %llx, hidden from L1", LL(wanted->address));
	output("socle: monitor; try help");
	output_prompt(control_is_stopped(), "");
}

/* The timer counts down by 1 each time that bit X of the TSC changes. SDM: "IA32_VMX_MISC", bits 4:0. */
void monitor_start_cpu(struct vcpu *vcpu)
{
	u64 ticks;

	if (!control_period())
		return;
	exits_start_cpu(vcpu);
	vcpu->wish.nmi = is_on && options.nmi_stops;
	ticks = control_period() >> (rdmsr(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_RATE);
	vcpu_set_timer_wish(vcpu, (u32)MIN(MAX(ticks, (u64)1), (u64)UINT32_MAX));
	rest_init(vcpu);
}

static void erase(u32 count)
{
	while (count--)
		output_text("\b \b", 3);
}

static void show(enum line_event event, u8 byte)
{
	switch (event) {
	case LINE_ECHO: output_text(&(char){ (char)byte }, 1); break;
	case LINE_ERASE: erase(1); break;
	case LINE_REPLACED:
		erase(line.erased);
		output_text(line_text(&line), line.length);
		break;
	case LINE_COMPLETE:
		if (complete_line(&line))
			output_prompt(control_is_stopped(), line_text(&line));
		break;
	case LINE_CANCEL:
		output_text("^\n", 2);
		output_prompt(control_is_stopped(), "");
		break;
	case LINE_DONE: output_text("\n", 1); break;
	default: break;
	}
}

/* A byte from the port into the line, and its echo. True: the line is complete. */
static bool take(u8 byte)
{
	enum line_event event;

	if (output_is_cut())
		output_prompt(control_is_stopped(), line_text(&line));
	event = line_put(&line, byte);
	show(event, byte);
	return event == LINE_DONE;
}

/* Somebody has pressed the key. */
static void greet(void)
{
	if (!output_has_switched())
		return;
	if (output_has_keyboard()) {
		output_notice(
			"socle: the keyboard is the monitor's; Ctrl-%c three times gives it back; try help",
			options.monitor_key + '@');
		output_prompt(control_is_stopped(), line_text(&line));
	} else {
		output_notice("socle: the keyboard is L1's");
	}
}

/*
 * What has arrived. True: a complete line. Bounded: a line has an end, and who sends more without one waits.
 * Another CPU looks behind an INIT.
 */
static bool gather(struct vcpu *vcpu, u64 quiet)
{
	u64 last = rdtsc();
	u32 count = 0;
	u8 byte;

	do {
		enum uart_input input = output_receive(&byte);

		greet();
		if (input == UART_NOTHING) {
			if (rest_a_moment(vcpu))
				return false;
			continue;
		}
		if (input == UART_OVERRUN)
			line_spoil(&line);
		if (take(byte))
			return true;
		last = rdtsc();
		count++;
	} while (count && count < 2 * LINE_SIZE && rdtsc() - last < quiet);
	return false;
}

/*
 * An AP in L0 could lose a SIPI, the BSP needs none: while that is awake it looks, and nobody else. It does
 * so once in a period, but may be a bit late.
 */
static bool bsp_looks(u32 id)
{
	static u64 looked; /* any CPU, atomic: when it did last */

	if (id)
		return rdtsc() - READ_ONCE(looked) < 2 * control_period();
	WRITE_ONCE(looked, rdtsc());
	return false;
}

/* The machine runs: one CPU looks. */
static void poll(struct vcpu *vcpu)
{
	u32 nobody = NOBODY;

	if (__atomic_load_n(&owner, __ATOMIC_RELAXED) == vcpu->cpu->id || control_is_stopped() ||
	    nmi_waits[vcpu->cpu->id]) {
		control_request_this(vcpu);
		return;
	}
	if (bsp_looks(vcpu->cpu->id))
		return;
	if (!__atomic_compare_exchange_n(&owner, &nobody, vcpu->cpu->id, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return;
	if (gather(vcpu, control_period() / QUIET_PART))
		control_request_this(vcpu);
	else
		__atomic_store_n(&owner, NOBODY, __ATOMIC_RELEASE);
}

enum outcome exit_preemption_timer(struct vcpu *vcpu)
{
	if (unlikely(vcpu->nested.aborted)) {
		/* Not to be woken, whatever the exit has saved. */
		l1_shut_down(vcpu);
		held_watch(vcpu, false);
	} else if (vcpu->guest->level == 1 && held_looked(vcpu)) {
		ept12_explain_left(vcpu);
	}
	if (!vcpu->wish.timer_ticks) {
		if (vcpu->guest->level != 1)
			panic("exit that nobody asked for: the preemption timer's");
		exit_trace_forget(vcpu);
		return OUTCOME_RESUME;
	}
	if (vcpu->guest->level == 2)
		nested_timer_again(vcpu);
	else
		vmcs_write(VMCS_preemption_timer_value, vcpu->wish.timer_ticks);
	live_send(vcpu);
	if (is_on)
		poll(vcpu);
	if (client)
		control_request_this(vcpu);
	return OUTCOME_RESUME;
}

/* Commands change the VMCS, which nobody may in the middle of such a step: it is over at the next exit. */
static bool is_stepping(struct vcpu *vcpu)
{
	return vcpu->vmcs->steps & STEP_ABSENT;
}

static void converse(struct vcpu *vcpu, bool *prompted)
{
	u8 byte;
	enum uart_input input;

	/* Whatever has stopped it, somebody is to say what comes now: here, if not by gdb. */
	if (!*prompted) {
		if (!client)
			output_take_keyboard();
		output_has_switched();
		output_prompt(control_is_stopped(), "");
	}
	*prompted = true;
	input = output_receive(&byte);
	greet();
	if (input == UART_OVERRUN)
		line_spoil(&line);
	if (input != UART_NOTHING && take(byte))
		command_execute(vcpu, &line);
}

void monitor_take_nmi(struct vcpu *vcpu)
{
	nmi_waits[vcpu->cpu->id] = true;
}

/* A command may have stopped the machine just now, for its own time: it stays stopped then. */
static void stop_by_nmi(struct vcpu *vcpu)
{
	if (!nmi_waits[vcpu->cpu->id])
		return;
	nmi_waits[vcpu->cpu->id] = false;
	if (!control_end_alone(vcpu) && !control_stop(vcpu)) {
		control_keep();
		return;
	}
	step_note_stop(vcpu);
	output_notice("socle: stopped by an NMI on cpu %u", vcpu->cpu->id);
}

void monitor_attend(struct vcpu *vcpu)
{
	u32 id = vcpu->cpu->id;
	bool prompted = false;

	/* Nor is a CPU held up that is about to wait for a SIPI. */
	if (is_stepping(vcpu) || (!control_is_stopped() && control_waits_for_sipi(vcpu)))
		return;
	if (__atomic_load_n(&owner, __ATOMIC_RELAXED) == id && !control_is_stopped()) {
		command_execute(vcpu, &line);
		prompted = control_turn() == id;
		__atomic_store_n(&owner, NOBODY, __ATOMIC_RELEASE);
	}
	stop_by_nmi(vcpu);
	if (client)
		client(vcpu);
	while (control_stay(vcpu)) {
		if (control_turn() == id && control_is_going()) {
			control_go();
			continue;
		}
		if (client)
			client(vcpu);
		if (control_turn() != id) {
			prompted = false;
			control_rest(vcpu);
		} else if (is_on) {
			converse(vcpu, &prompted);
		}
		cpu_pause();
	}
}
