#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# init of a Linux L2: say that user space is reached, then reset the machine, which ends the guest, or (with
# end=poweroff on the kernel's command line) power it off.
B=/bin/busybox
$B mount -t devtmpfs none /dev
$B mount -t proc none /proc
exec >/dev/console 2>&1
echo "L2 UP $($B uname -rm) cpus=$($B nproc) up=$($B cut -d' ' -f1 /proc/uptime)"
$B sleep 0.1
case $($B cat /proc/cmdline) in
*end=poweroff*) $B poweroff -f ;;
esac
$B reboot -f
