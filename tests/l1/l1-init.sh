#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# init of the Linux KVM L1. Kernel command line: l1=STEP,STEP,... (l1-steps.sh; a step's arguments follow it after
# colons), out=com1|e9|tty, end=poweroff|reboot|halt, and me=NAME where it is not L1: the same image is what an L2 with
# KVM of its own boots, as the nest of an L3.
B=/bin/busybox
export PATH=/bin
$B mount -t devtmpfs none /dev
$B mount -t proc none /proc
$B mount -t sysfs none /sys

out=com1 steps=selftest end=poweroff me=L1
for word in $($B cat /proc/cmdline); do
	case $word in
	out=*) out=${word#out=} ;;
	l1=*) steps=${word#l1=} ;;
	end=*) end=${word#end=} ;;
	me=*) me=${word#me=} ;;
	esac
done
up() { $B cut -d' ' -f1 /proc/uptime; }

# The tty's transmit interrupt can be lost on an emulator once a guest has run: write the port by polling.
if [ $out = tty ]; then
	exec >/dev/console 2>&1
else
	$B mkfifo /tmp/out
	kvmlet out $out </tmp/out &
	copier=$!
	exec >/tmp/out 2>&1
fi
# wait until all is written, then say a last word past the fifo
finish_output() {
	exec >/dev/null 2>&1
	if [ $out = tty ]; then $B sleep 1; else wait $copier; fi
}
last_word() { if [ $out = tty ]; then echo "$1" >/dev/console; else echo "$1" | kvmlet out $out; fi; }

. /l1-steps.sh
echo "$me SHELL up=$(up) cpus=$($B nproc) kernel=$($B uname -r)"
echo "$me $($B grep -m1 '^vmx flags' /proc/cpuinfo | $B tr '\t' ' ')"
load_kvm
$B dmesg | $B grep -i -E 'kvm|vmx'
echo "$me kvm_intel: $(kvm_parameters)"
[ -e /dev/kvm ] && echo "$me KVM LOADED up=$(up)" || echo "$me FAILED: no /dev/kvm"

IFS=,
for step in $steps; do
	unset IFS
	echo "$me STEP $step up=$(up)"
	run_step "$step"
	echo "$me STEP $step rc=$? up=$(up)"
done

# whatever the kernel warned of
$B dmesg -r | $B sed -n "s/^<[0-4]>\[ *[0-9.]*\] /$me WARN /p"
finish_output
kvmlet counters
last_word "$me DONE up=$(up)"
case $end in
reboot) $B reboot -f ;;
halt) $B halt -f ;;
esac
# Bochs ends when it sees these bytes
for c in S h u t d o w n; do
	echo -n $c | $B dd of=/dev/port bs=1 seek=35072 conv=notrunc 2>/dev/null
done
$B poweroff -f
