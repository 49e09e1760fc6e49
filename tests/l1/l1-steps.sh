# SPDX-License-Identifier: MIT
#
# The steps that init of the Linux L1 can take (l1-init.sh reads this file). A step NAME:A:B is step_NAME with the
# arguments A and B; other names are guests of kvmlet's.
# shellcheck shell=sh

PARAMETERS="ept vpid unrestricted_guest enable_shadow_vmcs preemption_timer flexpriority eptad pml"
L2="console=ttyS0 panic=-1 reboot=k nokaslr mitigations=off cryptomgr.notests"
L2="$L2 initcall_blacklist=load_system_certificate_list,trace_eval_init audit=0 apparmor=0 nowatchdog"
# several guests share a processor of some ten million instructions a second: an initcall can take half a minute
L2="$L2 rcupdate.rcu_cpu_stall_timeout=300"

run_step() {
	local name=${1%%:*}
	if type "step_$name" >/dev/null 2>&1; then
		local IFS=:
		set -- $1
		shift
		unset IFS
		"step_$name" "$@"
	else
		guest "$1"
	fi
}

# a guest of kvmlet's, to its end
guest() {
	case $1 in
	selftest) kvmlet selftest ;;
	soak) kvmlet soak ;;
	linux64) kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2" 128 1 ;;
	linux64q) kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2 quiet" 128 1 ;;
	linux64smp) kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2" 128 2 ;;
	linux64smpq) kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2 quiet" 128 2 ;;
	linux32) kvmlet linux /l2/vmlinux32 /l2/initrd32 "$L2" 128 1 ;;
	linux32v) kvmlet linux /l2/vmlinux32 /l2/initrd32 "$L2 earlyprintk=ttyS0" 128 1 ;;
	linux32q) kvmlet linux /l2/vmlinux32 /l2/initrd32 "$L2 quiet" 128 1 ;;
	*) echo "$me does not know the step $1"; return 1 ;;
	esac
}

step_dmesg() { $B dmesg; }

# the kernel's log for a comparison: each line marked, without its time
step_log() { $B dmesg | $B sed 's/^\[ *[0-9.]*\] //; s/^/LOG /'; }

# ---- the modules -----------------------------------------------------------------------------------------------------

load_kvm() {	# PARAMETER=VALUE...
	local module
	for module in irqbypass kvm; do
		$B grep -q "^$module " /proc/modules || $B insmod /m/$module.ko || echo "$me FAILED to load $module"
	done
	$B insmod /m/kvm-intel.ko "$@" || { echo "$me FAILED to load kvm-intel $*"; return 1; }
}

unload_kvm() {
	local module
	for module in kvm_intel kvm irqbypass; do
		$B rmmod $module || { echo "$me FAILED to unload $module"; return 1; }
	done
}

parameter() { $B tr YN 10 <"/sys/module/kvm_intel/parameters/$1"; }

kvm_parameters() {
	local p
	for p in $PARAMETERS; do echo -n "$p=$($B cat /sys/module/kvm_intel/parameters/$p) "; done
}

# kvm_intel unloaded, and loaded again with PARAMETER=VALUE...; what the processor does not have the module turns off
step_kvm() {
	local word
	$B rmmod kvm_intel && load_kvm "$@" || return 1
	for word; do echo "$me PARAMETER asked $word, is $(parameter "${word%%=*}")"; done
}

# each parameter off and on by itself, with the short guests
step_matrix() {
	local p value bad=0
	for p; do
		for value in 0 1; do
			step_kvm "$p=$value" && kvmlet selftest || bad=1
		done
	done
	return $bad
}

step_reload() {	# COUNT: the modules unloaded and loaded again so many times, a guest in between
	local i
	for i in $($B seq "$1"); do
		unload_kvm && load_kvm && kvmlet selftest >/tmp/reload || { $B cat /tmp/reload; return 1; }
		[ "$($B grep -c ' PASS ' /tmp/reload)" = 4 ] || return 1
	done
	echo "$me RELOADED $i times"
}

# ---- guests that are ended, stopped, many ----------------------------------------------------------------------------

# COUNT: the VMM of a Linux guest killed in mid-run, a little later each time
step_kill() {
	local i pid
	for i in $($B seq "$1"); do
		kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2" 128 1 >/tmp/kill &
		pid=$!
		$B usleep $((i * 200000))
		$B kill -9 $pid
		wait $pid
		echo "$me KILLED rc=$?"
	done
	kvmlet selftest
}

# GUEST...: all of these at once
step_several() {
	local name n=0 pids= bad=0
	for name; do
		n=$((n + 1))
		guest "$name" >/tmp/several.$n 2>&1 &
		pids="$pids $!"
	done
	n=0
	for name in $pids; do
		n=$((n + 1))
		wait "$name" || bad=1
		$B sed "s/^/$n| /" /tmp/several.$n
	done
	return $bad
}

# COUNT: the VMM of a Linux guest stopped and continued so many times
step_stop() {
	local pid i
	kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2 quiet" 128 1 &
	pid=$!
	for i in $($B seq "$1"); do
		$B usleep 300000
		$B kill -STOP $pid || return 1
		$B usleep 500000
		echo "$me STOPPED $i: $($B cut -d' ' -f3 /proc/$pid/stat)"
		$B kill -CONT $pid
	done
	wait $pid
}

# CPU 1 taken away and given back, twice without a guest, then under one; guests on it in between
step_unplug() {
	local cpu=/sys/devices/system/cpu/cpu1/online pid i
	for i in 1 2; do
		echo 0 >$cpu || return 1
		kvmlet selftest || return 1
		echo 1 >$cpu || return 1
		$B taskset 2 kvmlet selftest || return 1
	done
	kvmlet linux /l2/vmlinuz64 /l2/initrd64 "$L2 quiet" 128 1 &
	pid=$!
	$B taskset -p 2 $pid >/dev/null
	for i in 1 2 3; do
		$B usleep 200000
		echo 0 >$cpu || return 1
		echo "$me UNPLUGGED cpus=$($B nproc)"
		$B usleep 200000
		echo 1 >$cpu || return 1
		echo "$me PLUGGED cpus=$($B nproc)"
		$B taskset -p 2 $pid >/dev/null
	done
	wait $pid
}

load_swap() {	# MIB of compressed memory to swap to
	local module
	for module in zsmalloc lzo-rle zram; do $B insmod /m/$module.ko || return 1; done
	echo "$1M" >/sys/block/zram0/disksize && $B mkswap /dev/zram0 >/dev/null && $B swapon /dev/zram0
}

# by the shell alone: where memory is short, starting a program for it costs a tenth of the processor
up_seconds() {
	local up
	read -r up _ </proc/uptime
	seconds=${up%.*}
}

# GUEST END: one after the other until that time, when step_mixed kills what still runs; counts those that ended well in
# /tmp/mixed.GUEST
until_end() {
	local good=0 rc
	while up_seconds && [ "$seconds" -lt "$2" ]; do
		guest "$1" >/tmp/mixed.out.$1 2>&1
		rc=$?
		$B grep -E 'WARNING|BUG:|Oops|rcu' /tmp/mixed.out.$1
		if [ $rc != 0 ]; then
			up_seconds
			[ $rc = 137 ] && [ "$seconds" -ge "$2" ] || echo "$1" >>/tmp/mixed.bad
			return
		fi
		good=$((good + 1))
		up_seconds
		echo "$good times, the last at up=$seconds" >/tmp/mixed.$1
	done
}

# SECONDS MIB GUEST...: these guests side by side, over and over, so long, with all memory but so much taken from them
step_mixed() {
	local free=$($B sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) span=$1 end pid name pids= bad=0 seconds
	load_swap 512 || return 1
	echo "$me MEMORY $((free / 1024)) MiB available"
	kvmlet hog $((free / 1024 - $2)) &
	shift 2
	up_seconds
	end=$((seconds + span))
	: >/tmp/mixed.bad
	for name; do
		until_end "$name" $end &
		pids="$pids $!"
	done
	$B sleep "$span"
	for pid in $($B pidof kvmlet); do [ "$pid" = "${copier:-}" ] || $B kill -9 "$pid"; done
	for pid in $pids; do wait "$pid"; done
	for name; do
		echo "$me MIXED $name ended well $($B cat /tmp/mixed.$name)"
		[ -s /tmp/mixed.$name ] && ! $B grep -qx "$name" /tmp/mixed.bad || { $B cat /tmp/mixed.out.$name; bad=1; }
	done
	echo "$me SWAPPED out $($B sed -n 's/^pswpout //p' /proc/vmstat), in $($B sed -n 's/^pswpin //p' /proc/vmstat) pages"
	return $bad
}

# a Linux with KVM as L2, the short guests in it as L3
step_l3() {
	kvmlet linux /l2/vmlinuz64 /l2/nest.cpio "$L2 quiet me=L2 end=reboot clearcpuid=aperfmperf l1=${1:-selftest}" 192 1
}

# MACHINE (pc, microvm) [END]: a Linux under QEMU; it ends by a triple fault, for microvm has no keyboard controller, or
# with END=poweroff by ACPI, with END=suspend so too after a sleep in S3
step_qemu() {
	/usr/bin/qemu-system-x86_64 -M "$1" -accel kvm -cpu host -m 128 -nodefaults -display none -no-reboot \
		-L /usr/share/qemu -L /usr/share/seabios -serial stdio -kernel /l2/vmlinuz64 -initrd /l2/initrd64 \
		-append "$L2 quiet reboot=t end=${2:-reboot}" </dev/null && echo "$me QEMU $* ended"
}

# Socle as a guest of KVM's: QEMU's processor has what this Linux' KVM can nest. TESTS are words of the guest test's own
# command line, joined by blanks; a word of the machine's ends it: DONE, or what Socle says when it halts.
run_on_kvm() {	# MARK CPUS QEMU-ARGUMENT...
	local mark=$1 cpus=$2 pid i shown=0
	shift 2
	# what KVM has to say would stand in the middle of a line of the guest's
	$B dmesg -n 1
	: >/tmp/console
	/usr/bin/qemu-system-x86_64 -M pc -accel kvm -cpu host,+vmx -m 192 -smp "$cpus" -nodefaults -display none -no-reboot \
		-L /usr/share/qemu -L /usr/share/seabios -serial file:/tmp/console "$@" </dev/null &
	pid=$!
	for i in $($B seq 1000); do
		$B kill -0 $pid 2>/dev/null || break
		show_guest "$mark" "$($B wc -l </tmp/console)"
		$B grep -q -E '^((L1 )?DONE|socle: (error: )?halted)' /tmp/console && break
		$B sleep 1
	done
	$B kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	show_guest "$mark" $(($($B wc -l </tmp/console) + 1))
	$B grep -q -E '^(L1 )?DONE' /tmp/console
}

# MARK LAST: what its console has up to that line, and was not shown; a second `Booting' would be a reboot of this machine
show_guest() {
	[ "$2" -gt $shown ] || return 0
	$B tr -d '\r' </tmp/console | $B sed -n "/Booting/d; s/^/$1 /; $((shown + 1)),$2p"
	shown=$2
}

# NAME CPUS NUMBER: the guest test by itself on KVM, and on Socle on KVM, where it is so many in the menu of the image
step_on_kvm() {
	local rc=0
	run_on_kvm KVM "$2" -kernel "/socle/$1.elf" -append "$($B cat "/socle/$1.words")" || rc=1
	step_socle_on_kvm "$2" "$3" && return $rc
}

# NAME CPUS: the guest test by itself on KVM
step_alone_on_kvm() { run_on_kvm KVM "$2" -kernel "/socle/$1.elf"; }

# CPUS NUMBER: that entry of the menu: Socle with an L1
step_socle_on_kvm() {
	echo "set default=$2" >/tmp/choice.cfg
	$B tar -C /tmp -cf /tmp/choice.tar choice.cfg
	run_on_kvm SOCLE "$1" -cdrom /socle/socle.iso -boot d -drive if=ide,index=0,format=raw,file=/tmp/choice.tar
}

# [within=SECONDS] WORD...: the kit (tools/kit) on KVM, with these images or tests, each run of an image so long at most
step_kit() {
	local rc seconds=600
	case $1 in within=*) seconds=${1#within=}; shift ;; esac
	$B dmesg -n 1
	PATH=/usr/bin:$PATH /usr/bin/python3 /kit/socle-kit run --accel kvm --only "$@" --out /tmp/kit \
		--timeout "$seconds" \
		--qemu-args "-L /usr/share/qemu -L /usr/share/seabios" >/tmp/kit.txt 2>&1
	rc=$?
	$B sed 's/^/KIT /' /tmp/kit.txt
	echo "KIT ended rc=$rc"
}

# ---- the machine -----------------------------------------------------------------------------------------------------

load_disk() {
	local module
	for module in scsi_common scsi_mod libata ata_piix sd_mod cdrom sr_mod; do
		$B grep -q "^$module " /proc/modules || $B insmod /m/$module.ko || return 1
	done
}

# MIB: the boot disk's checksum, read past the page cache's first use
step_disk() {
	local i disk=
	load_disk || return 1
	for i in 1 2 3 4 5 6 7 8 9 10; do
		for disk in sda sr0; do [ -b /dev/$disk ] && break 2; done
		$B sleep 1
	done
	echo "$me DISK $disk $($B dd if=/dev/$disk bs=1M count="$1" 2>/dev/null | $B sha256sum | $B cut -d' ' -f1)"
}

# SECONDS: the RTC against the kernel's clock, the TSC and a timer's ticks
step_clock() { kvmlet clock "$1"; }

# the sleep states that ACPI offers, as the kernel has taken them
step_sleep() {
	local states=$($B dmesg | $B sed -n 's/.*ACPI: .*(supports \(.*\))/\1/p') file
	echo "$me SLEEP supports $states"
	for file in state mem_sleep; do echo "$me SLEEP $file $($B cat /sys/power/$file)"; done
}

# the end by the machine: no last word of kvmlet's
step_end() {
	finish_output
	last_word "$me ENDS by $1"
	$B "$1" -f
	$B sleep 10
}
