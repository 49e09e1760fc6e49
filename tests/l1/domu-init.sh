#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# init of a guest of Xen's beside dom0: says that it is up and what it has, then keeps the vector registers busy until
# dom0 asks it to end: the kernel runs /sbin/poweroff then, which is this file too, and dom0 says a word on the console
# when it has read everything.
B=/bin/busybox
if [ "$0" = /sbin/poweroff ]; then
	exec </dev/hvc0 >/dev/hvc0 2>&1
	$B kill -TERM "$($B pidof ymm)"
	while $B pidof ymm >/dev/null; do $B usleep 10000; done
	echo "DOMU DOWN"
	read -r _
	$B poweroff -f
fi
$B mount -t devtmpfs none /dev
$B mount -t proc none /proc
exec >/dev/hvc0 2>&1
echo "DOMU UP $($B uname -rm) cpus=$($B nproc) avx=$($B grep -c -w avx /proc/cpuinfo)"
/bin/ymm "$($B sed -n 's/.*seed=\([0-9]*\).*/\1/p' /proc/cmdline)" || echo "DOMU FAILED: ymm rc=$?"
while :; do $B sleep 3600; done
