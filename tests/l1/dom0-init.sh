#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# init of Xen's dom0: it has no console of its own, so that its only word is the machine's end.
/bin/busybox poweroff -f
