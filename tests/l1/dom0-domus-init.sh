#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# init of a dom0 with Xen's toolstack: starts two PVH guests, waits until both are in their user space and busy there,
# shows that both run at that moment, asks both to end, and ends the machine. Their consoles are shown with their names.
B=/bin/busybox
export PATH=/bin LD_LIBRARY_PATH=/lib
names="dawn dusk"
logs=/var/log/xen/console
# as in tools/l1.py
savings="nokaslr mitigations=off cryptomgr.notests initcall_blacklist=load_system_certificate_list,trace_eval_init"

say() { echo "DOM0 $*"; }

try() {
	"$@" || { say "FAILED: $* rc=$?"; $B poweroff -f; }
}

# NAME: that guest's console, line by line as they come; a file says that its last one was shown
show() {
	$B tail -f "$logs/guest-$1.log" | while read -r line; do
		echo "$1| $line"
		case $line in "DOMU DOWN"*) : >"/run/$1.shown" ;; esac
	done
}

# NAME SEED: its configuration, as a person writes it
configuration() {
	$B cat <<-END
		type = "pvh"
		name = "$1"
		memory = 192
		vcpus = 1
		kernel = "/domu/vmlinuz"
		ramdisk = "/domu/initrd"
		cmdline = "console=hvc0 panic=-1 quiet $savings seed=$2"
	END
}

$B mkdir -p /var/lib /var/log /run /dev /proc /sys
$B ln -s /run /var/run
$B mount -t devtmpfs none /dev
$B mkdir /dev/pts
$B mount -t devpts none /dev/pts
$B mount -t proc none /proc
$B mount -t sysfs none /sys
$B mkdir -p /run/xen /run/lock /var/lib/xen /var/lib/xenstored $logs
$B ln -s /run/lock /var/lock
exec </dev/null >/dev/hvc0 2>&1
for name in xen-privcmd xen-evtchn xen-gntdev xenfs; do try $B insmod /m/$name.ko; done
try $B mount -t xenfs none /proc/xen
say "UP $($B uname -rm) cpus=$($B nproc)"

try xenstored
try xen-init-dom0
try xenconsoled --log=guest --log-dir=$logs
seed=1
for name in $names; do
	configuration $name $seed >/run/$name.cfg
	: >$logs/guest-$name.log
	show $name &
	try xl create /run/$name.cfg
	say "created $name"
	seed=$((seed + 1))
done
for name in $names; do
	until $B grep -q "AVX begins" $logs/guest-$name.log; do $B usleep 100000; done
done
try xl list
say "has $(xl list | $B grep -c -E "^(dawn|dusk) ") guests at once"

# A guest's last words stay in its console's ring if it is gone before the console's daemon looks: it waits to be told.
try xl shutdown -a -w &
for name in $names; do
	until [ -e /run/$name.shown ]; do $B usleep 100000; done
	echo go >"$(xenstore-read "/local/domain/$(xl domid $name)/console/tty")"
done
wait $!
say "DOWN"
$B poweroff -f
