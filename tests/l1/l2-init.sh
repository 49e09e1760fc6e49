#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# init of a Linux L2: say that user space is reached, then reset the machine, which ends the guest, or (with
# end=poweroff on the kernel's command line) power it off. With end=suspend it sleeps to RAM (S3) before, the RTC wakes it.
B=/bin/busybox
$B mount -t devtmpfs none /dev
$B mount -t proc none /proc
$B mount -t sysfs none /sys
exec >/dev/console 2>&1
echo "L2 UP $($B uname -rm) cpus=$($B nproc) up=$($B cut -d' ' -f1 /proc/uptime)"
$B sleep 0.1
case $($B cat /proc/cmdline) in
*end=suspend*)
	echo +3 >/sys/class/rtc/rtc0/wakealarm
	echo mem >/sys/power/state
	echo "L2 RESUMED rc=$? from $($B cat /sys/power/mem_sleep) suspends=$($B cat /sys/power/suspend_stats/success)"
	$B poweroff -f
	;;
*end=poweroff*) $B poweroff -f ;;
esac
$B reboot -f
