#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# init of the Linux KVM L1. Kernel command line: l1=STEP,STEP,... (selftest linux64 linux64smp linux32, a q at the end
# for a quiet L2; dmesg), out=com1|e9|tty.
B=/bin/busybox
export PATH=/bin
$B mount -t devtmpfs none /dev
$B mount -t proc none /proc
$B mount -t sysfs none /sys

out=com1 steps=selftest
for word in $($B cat /proc/cmdline); do
	case $word in
	out=*) out=${word#out=} ;;
	l1=*) steps=${word#l1=} ;;
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

echo "L1 SHELL up=$(up) cpus=$($B nproc) kernel=$($B uname -r)"
echo "L1 $($B grep -m1 '^vmx flags' /proc/cpuinfo | $B tr '\t' ' ')"
for module in irqbypass kvm kvm-intel; do
	$B insmod /m/$module.ko || echo "L1 FAILED to load $module"
done
$B dmesg | $B grep -i -E 'kvm|vmx'
echo "L1 kvm_intel: $(cd /sys/module/kvm_intel/parameters &&
	for p in ept vpid unrestricted_guest enable_shadow_vmcs preemption_timer flexpriority eptad pml; do
		echo -n "$p=$($B cat $p) "
	done)"
[ -e /dev/kvm ] && echo "L1 KVM LOADED up=$(up)" || echo "L1 FAILED: no /dev/kvm"

L2="console=ttyS0 panic=-1 reboot=k nokaslr mitigations=off cryptomgr.notests"
L2="$L2 initcall_blacklist=load_system_certificate_list,trace_eval_init audit=0 apparmor=0 nowatchdog"
IFS=,
for step in $steps; do
	unset IFS
	echo "L1 STEP $step up=$(up)"
	case $step in
	selftest) kvmlet selftest ;;
	linux64) kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2" 128 1 ;;
	linux64q) kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2 quiet" 128 1 ;;
	linux64smp) kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2" 128 2 ;;
	linux64smpq) kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2 quiet" 128 2 ;;
	linux32) kvmlet linux /l2/vmlinux32 /l2/initrd32 "$L2" 128 1 ;;
	linux32v) kvmlet linux /l2/vmlinux32 /l2/initrd32 "$L2 earlyprintk=ttyS0" 128 1 ;;
	linux32q) kvmlet linux /l2/vmlinux32 /l2/initrd32 "$L2 quiet" 128 1 ;;
	dmesg) $B dmesg ;;
	*) echo "L1 does not know the step $step"; false ;;
	esac
	echo "L1 STEP $step rc=$? up=$(up)"
done

finish_output
kvmlet counters
last_word "L1 DONE up=$(up)"
# Bochs ends when it sees these bytes
for c in S h u t d o w n; do
	echo -n $c | $B dd of=/dev/port bs=1 seek=35072 conv=notrunc 2>/dev/null
done
$B poweroff -f
