# SPDX-License-Identifier: MIT
#
# Socle's build. `make help` lists the goals. One object list by wildcard, one set of flags (docs/testing.md says which
# goal tests what). Anything that needs more than a line of shell lives in tools/ and tests/, not here.

comma := ,
O ?= build
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CROSS_COMPILE ?=
TOOL_CC := $(if $(CROSS_COMPILE),$(if $(findstring clang,$(CC)),$(CC),$(CROSS_COMPILE)$(CC)),$(CC))
OBJCOPY ?= $(CROSS_COMPILE)objcopy
PYTHON ?= /usr/bin/python3
export O CC CROSS_COMPILE EXTRA_CFLAGS

# What `make run` and the images take; all are described by `make help`.
L1 ?=
L1_ARGS ?=
STEPS ?= selftest
MODULES ?=
CPUS ?= 1
MEM ?= 512
FIRMWARE ?= bios
GROUP ?=
MACHINE ?= auto
MODEL ?=
OPTIONS ?=
TIMEOUT ?=
UNTIL ?=
RULES ?=
# A variable of the user's may hold blanks and quotes: recipes take it from the environment, as "$$L1", never as $(L1).
export L1 L1_ARGS STEPS MODULES CPUS MEM FIRMWARE MACHINE MODEL OPTIONS TIMEOUT GROUP UNTIL RULES

# What NAME=VALUE may say to make. A name that is misspelt would be as good as not said, and is an error.
TAKEN := O CC CROSS_COMPILE OBJCOPY PYTHON HOST_CC EXTRA_CFLAGS WHY_EXTRA MUTANT COUNT DEBUG DESTDIR PREFIX BOCHS SHELL VERSION \
	L1 L1_ARGS STEPS MODULES CPUS MEM FIRMWARE MACHINE MODEL OPTIONS TIMEOUT GROUP UNTIL RULES SOURCE_DATE_EPOCH KIT_VERSION \
	KIT_MODELS KIT_IMAGES TIMES SAVE ARGS BENCH_OUT STORM_OPS RAISE PYTEST_ARGS MODELS IMAGES SHADOWING INTERCEPT \
	CONFORMANCE_SEEDS CONFORMANCE_CASES CONFORMANCE_TOGETHER CONFORMANCE_JOBS MODEL_STEPS FUZZ_SECONDS FUZZ_RUNS FUZZ_COUNTS \
	FUZZ_SANITIZE SANITIZE CLANG LINT_LINES CFLAGS CPPFLAGS LDFLAGS WARNINGS WHOLE TOOL_CC
MISSPELT := $(filter-out $(TAKEN),$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name))))
$(if $(MISSPELT),$(error $(MISSPELT:%=%=): there is no such variable; `make help` has them))

# The rooms of the hypervisor; tests/lint/layers.py says which may use which.
ROOMS := boot kernel mm drivers vmx vmx/gdb vmx/monitor vmx/hw vmx/guest vmx/l1 vmx/nested $(addprefix vmx/nested/,vmcs12 explain insn entry exit ept)
C_FILES := $(sort $(wildcard $(ROOMS:%=%/*.c)))
S_FILES := $(sort $(wildcard $(ROOMS:%=%/*.S)))
OBJECTS := $(C_FILES:%.c=$(O)/%.o) $(S_FILES:%.S=$(O)/%.S.o)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wundef -Wvla -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes \
	-Wimplicit-fallthrough
# One program as a whole: a tenth less at each exit.  clang's way of it needs a linker of its own.  Without aligned jumps it is
# 8 KiB smaller, and no exit executes the padding.
WHOLE := $(if $(findstring clang,$(TOOL_CC)),,-flto=auto -fno-align-functions -fno-align-jumps -fno-align-labels -fno-align-loops)
CFLAGS := -std=gnu11 -O2 $(WHOLE) -g -ffreestanding -nostdlib -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-fno-strict-aliasing -fno-common -fno-pie -fno-pic -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fomit-frame-pointer $(WARNINGS)
CPPFLAGS := -I. $(if $(MUTANT),-DMUTANT_$(MUTANT)) $(if $(COUNT),-DCOUNT_HW) $(if $(DEBUG),-DDEBUG_SHORTCUTS) -MMD -MP
LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=sha1 -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	-Wl,--no-warn-rwx-segments
ifneq ($(findstring clang,$(TOOL_CC)),)
ifneq ($(CROSS_COMPILE)$(filter-out x86_64,$(shell uname -m)),)
CFLAGS += --target=x86_64-linux-gnu
LDFLAGS += --target=x86_64-linux-gnu -fuse-ld=lld
endif
# the linker that is there may be older or newer than the option
LDFLAGS := $(filter-out -no-pie -Wl$(comma)--no-warn-rwx-segments,$(LDFLAGS))
endif

.PHONY: vmcs-why trace-read all elf install uninstall iso run bare compare kit man dist deb site check test unit coverage fuzz model mutants soak conformance system lint format setup emulator l1 clean help guest-tests guests bench bench-kvm size FORCE
.DEFAULT_GOAL := all

all: $(O)/socle.elf $(O)/socle-disk.bin

# What runs once, or when something rare happens: small rather than fast.
RARE := $(wildcard boot/*.c drivers/*.c kernel/cmdline*.c) $(addprefix kernel/,main.c status.c report.c trap.c panic.c print.c log.c log_ring.c desc.c) \
	$(addprefix mm/,host_map.c page_alloc.c) $(addprefix vmx/,rehearsal.c counters.c read_out.c crash.c audit.c hw/caps.c hw/vmx_cpu.c) \
	$(addprefix vmx/l1/,vm.c hidden.c sleep.c sleep_page.c pm_config.c late.c ports.c exit_io.c task_switch.c tss.c ept01_types.c ept01_step.c exit_ept.c rest.c l1.c)
RARE += $(wildcard vmx/monitor/*.c vmx/gdb/*.c) vmx/l1/closed.c $(addprefix mm/,guest_walk.c ptab.c) $(addprefix vmx/,create.c hw/caps_join.c l1/absent.c)
$(RARE:%.c=$(O)/%.o): CFLAGS += -Os

# The exit path; all of it at -O3 would be larger than an image of Socle's may be.
$(O)/vmx/nested/%.o $(O)/vmx/run.o: CFLAGS += -O3
# Slots, permissions, lists and pages that L1 names: off the way of a common exit.
$(addprefix $(O)/vmx/nested/,nested.o insn/insn.o): CFLAGS += -O2
$(addprefix $(O)/vmx/nested/,entry/msr_area.o entry/timer.o vmcs12/addresses.o): CFLAGS += -Os
# What an L2 rarely ends by, a person's wishes, and memory that is not there.
$(addprefix $(O)/vmx/nested/,exit/triple_fault.o exit/gate.o exit/look.o exit/entry_failed.o wish.o ept/ept02_absent.o): CFLAGS += -Os
$(O)/vmx/nested/explain/%.o: CFLAGS += -Os
$(O)/vmx/nested/entry/check_host.o $(O)/vmx/nested/entry/check_guest_segments.o $(O)/vmx/nested/entry/check_controls.o \
	$(addprefix $(O)/vmx/nested/,vmcs12/caps12.o entry/check.o entry/check_event.o entry/judge.o ept/ve.o debug.o) $(addprefix $(O)/vmx/,l1/mtrr.o l1/passthru.o guest/watch.o guest/store_decode.o) \
	$(O)/kernel/pace.o $(O)/mm/memmap.o: CFLAGS += -Os

# The folder is written into the debug information, and so into the build id: under this name it is the same everywhere.
COMPILE := PWD=/proc/self/cwd $(TOOL_CC)

# A change of compiler or flags rebuilds everything.
FLAGS_NOW := $(TOOL_CC) $(CFLAGS) $(MUTANT) $(COUNT) $(DEBUG) $(EXTRA_CFLAGS) $(LDFLAGS)
$(O)/.flags: FORCE
	@mkdir -p $(O)
	@printf '%s\n' '$(FLAGS_NOW)' | cmp -s - $@ || printf '%s\n' '$(FLAGS_NOW)' > $@

$(O)/%.o: %.c $(O)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(COMPILE) $(CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -c -o $@ $<

# Only this file is compiled anew when the version changes.
VERSION := $(shell tools/version.sh)
$(O)/.version: FORCE
	@mkdir -p $(O)
	@printf '%s\n' '$(VERSION)' | cmp -s - $@ || printf '%s\n' '$(VERSION)' > $@
$(O)/kernel/version.o: CPPFLAGS += -DSOCLE_VERSION='"$(VERSION)"'
$(O)/kernel/version.o: $(O)/.version

$(O)/%.S.o: %.S $(O)/.flags
	@mkdir -p $(@D)
	@echo "  AS      $<"
	@$(COMPILE) $(CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -c -o $@ $<

# socle.debug keeps the symbols; socle.elf is what GRUB loads.
$(O)/socle.debug: $(OBJECTS) linker.ld $(O)/.flags
	@echo "  LD      $@"
	@$(COMPILE) $(CFLAGS) $(LDFLAGS) -T linker.ld -o $@ $(OBJECTS)

$(O)/socle.elf: $(O)/socle.debug
	@echo "  STRIP   $@"
	@$(OBJCOPY) --strip-all $< $@

# An L1 of its own, of a few hundred bytes: the boot sector of a disk (docs/guests.md).
$(O)/socle-disk.bin: tools/grub/disk.S $(O)/.flags
	@echo "  AS      $<"
	@$(TOOL_CC) $(filter --target=%,$(CFLAGS)) -c -o $(O)/socle-disk.o $<
	@$(OBJCOPY) -O binary -j .text $(O)/socle-disk.o $@

elf: $(O)/socle.elf

# ---- into the system -------------------------------------------------------------------------------------------------

# DESTDIR: in front of all names, for a package. PREFIX: of what is neither in /boot nor in /etc.
DESTDIR ?=
PREFIX ?= /usr/local
export DESTDIR PREFIX
install: $(O)/socle.elf $(O)/socle-disk.bin $(O)/socle.7 $(O)/vmcs-why $(O)/socle-trace-read
	@tools/install.sh install

uninstall:
	@tools/install.sh uninstall

-include $(OBJECTS:.o=.d)

# "Why did my VM entry fail?" for anybody's VMCS dump: the hypervisor's own checks, on the host, which all go
# on behind a rule that is broken.
HOST_CC ?= gcc
include tools/vmcs_why/sources.mk
WHY_FLAGS := -std=gnu11 -O1 -g -fno-strict-aliasing '-DCHECK_STOP(failed)=(void)(failed)' -Itests/fake -I. $(WARNINGS)

# One command compiles all of it: whatever header changes, it is made anew.
WHY_HEADERS := $(shell find tools/vmcs_why tests/fake vmx kernel mm -name '*.h' -o -name '*.def')

vmcs-why: $(O)/vmcs-why
trace-read: $(O)/socle-trace-read

$(O)/vmcs-why: $(WHY_SOURCES) $(WHY_HEADERS)
	@mkdir -p $(@D)
	@echo "  HOSTCC  $@"
	@$(HOST_CC) $(WHY_FLAGS) $(WHY_EXTRA) -o $@ $(WHY_SOURCES)

# For a Linux that is L1, whichever it is: so it needs nothing of that system.
$(O)/socle-trace-read: tools/trace/socle-trace-read.c
	@mkdir -p $(@D)
	@echo "  HOSTCC  $@"
	@$(HOST_CC) -std=gnu11 -O2 -static $(WARNINGS) $(WHY_EXTRA) -o $@ $<

# Its judgement against random dumps, and each rule broken once, for tests/system/test_vmcs_why.py.
$(O)/judge-test: tests/why/judge_test.c $(WHY_SOURCES) $(WHY_HEADERS)
	@mkdir -p $(@D)
	@$(HOST_CC) $(WHY_FLAGS) -O2 $(WHY_EXTRA) -o $@ tests/why/judge_test.c $(filter-out %/main.c,$(WHY_SOURCES))

$(O)/rules-test: tests/why/rules_test.c tests/unit/check_test.c tests/unit/valid12.c $(WHY_SOURCES) $(WHY_HEADERS)
	@mkdir -p $(@D)
	@$(HOST_CC) $(WHY_FLAGS) $(WHY_EXTRA) -o $@ $(filter-out %/main.c %/check_test.c,$(filter %.c,$^)) -lcmocka

# ---- images and runs -------------------------------------------------------------------------------------------------

iso: $(O)/socle.iso

$(O)/socle.iso: $(O)/socle.elf FORCE
	@$(PYTHON) tools/run.py --menu --save-iso $@ --elf $(O)/socle.elf --options "$$OPTIONS" $(WHICH_L1)
	@echo "  ISO     $@"

WHICH_L1 := --l1 "$$L1" --l1-args "$$L1_ARGS" --modules "$$MODULES" --steps "$$STEPS"
WHERE := --elf $(O)/socle.elf --machine "$$MACHINE" --model "$$MODEL" --cpus "$$CPUS" --mem "$$MEM" \
	--firmware "$$FIRMWARE" --timeout "$${TIMEOUT:-300}" $${UNTIL:+--until "$$UNTIL"} $(WHICH_L1)
RUN := tools/run.py --folder $(O)/run $(WHERE)

run: setup-run
	@$(MAKE) --no-print-directory $(O)/socle.elf
	@$(PYTHON) $(RUN) --options "$$OPTIONS"

# the same L1 without Socle
bare: setup-run
	@$(PYTHON) $(RUN) --bare

# the same L1 on both, and what its consoles have that differs
compare: setup-run
	@$(MAKE) --no-print-directory $(O)/socle.elf
	@$(PYTHON) tools/compare.py --folder $(O)/compare $(WHERE) --options "$$OPTIONS" --rules "$$RULES"

# The guest tests with what the bare processor says, in one archive that needs nothing of this tree. The images of the same
# sources are the same, byte by byte: their times are the last commit's.
EPOCH = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null || echo 1700000000))
kit: setup-dist
	@$(MAKE) --no-print-directory elf guest-tests
	@SOURCE_DATE_EPOCH=$(EPOCH) $(PYTHON) tools/kit/pack.py --build $(O) --version $(or $(KIT_VERSION),$(VERSION)) \
		$(if $(KIT_MODELS),--models $(KIT_MODELS)) $(if $(KIT_IMAGES),--images $(KIT_IMAGES))

# What a release consists of; Debian packages.
dist: setup-dist
	@$(MAKE) --no-print-directory all guest-tests man
	@SOURCE_DATE_EPOCH=$(EPOCH) tools/dist.sh $(O) $(VERSION)

deb: setup-deb kit
	@SOURCE_DATE_EPOCH=$(EPOCH) tools/deb.sh $(O)

# README.md and docs/ as pages of a site, with their pictures
site: setup-site
	@$(PYTHON) tools/site/make.py $(O)/site

man: $(O)/socle.7

$(O)/socle.7: tools/man.py kernel/options.def $(O)/.version
	@SOURCE_DATE_EPOCH=$(EPOCH) $(PYTHON) tools/man.py >$@

# what this (emulated) machine has and lacks
check: setup-run
	@$(MAKE) --no-print-directory $(O)/socle.elf
	@$(PYTHON) $(RUN) --no-l1 --options "check $$OPTIONS"

emulator: setup-run
	@tools/bochs/build.sh

l1: setup-run
	@tests/l1/build.sh

# ---- tests -----------------------------------------------------------------------------------------------------------

# The guest tests and the host tests have makefiles of their own, two folders down. The way there is relative: a name with
# a blank in it, above this folder, would be two names to make.
from_below = $(if $(filter /%,$(1)),$(1),../../$(1))
guest-tests:
	@$(MAKE) --no-print-directory -C tests/guest O=$(call from_below,$(O))/tests/guest

unit: setup-test
	@$(MAKE) --no-print-directory -C tests/unit O=$(call from_below,$(O))/unit run

# Line coverage of vmx/ by the host tests, held against its floors (RAISE=1 raises them); all fuzzers for FUZZ_SECONDS each;
# EPT02 against the model for MODEL_STEPS in each of its worlds.
coverage fuzz model: setup-test
	@$(MAKE) --no-print-directory -C tests/unit O=$(call from_below,$(O))/unit $@

# Real hypervisors as L1, real systems as L2 (tests/scenarios): all of it, or GROUP=...
guests: setup-run
	@$(MAKE) --no-print-directory elf guest-tests
	@$(PYTHON) tests/scenarios/run.py --build $(O) --times $(or $(TIMES),1) $(GROUP)

# What VMX costs an L1: bare, under Socle, and what Socle does for it (tests/bench.py). SAVE=1 writes the table that `make test`
# holds it against, ARGS=... are more of the script's arguments. bench-kvm: the same image on Linux' KVM, as a column.
BENCH_OUT := $(O)/bench
bench: setup-test
	@$(MAKE) --no-print-directory elf guest-tests
	@$(MAKE) --no-print-directory O=$(O)/count COUNT=1 elf
	@mkdir -p $(BENCH_OUT)
	@$(PYTHON) tests/bench.py --build $(O) --model "$$MODEL" --options "$$OPTIONS" --cpus "$$CPUS" \
		--kvm $(O)/scenarios/kvm-bench/socle/serial.txt --csv $(BENCH_OUT)/bench.csv --plot $(BENCH_OUT)/bench.png \
		$(if $(SAVE),--save) $(ARGS)

bench-kvm: setup-test
	@$(MAKE) --no-print-directory elf guest-tests
	@$(PYTHON) tests/scenarios/run.py --build $(O) kvm-bench
	@$(MAKE) --no-print-directory bench

# What it takes of memory: the image by section, a slot, a CPU, and a machine of CPUS and MEM.
size: setup-test
	@$(MAKE) --no-print-directory elf
	@$(MAKE) --no-print-directory -C tests/unit O=$(call from_below,$(O))/unit size
	@$(PYTHON) tools/size.py $(O)/socle.elf $(O)/unit/san/size_test "$$CPUS" "$$MEM"

mutants: setup-test
	@$(PYTHON) tests/mutants/run.py --out $(O)/mutants
	@$(PYTHON) tests/mutants/generated.py --out $(O)/generated host

# Every guest test image and many generated VM entries, bare and under Socle, on four models; hours.
conformance: setup-test
	@$(MAKE) --no-print-directory elf guest-tests
	@$(PYTHON) tests/conformance.py

# 14 PAE guests at once under Linux KVM on Socle, 140 iterations each, with OPTIONS; then the storm, a million operations on
# each model, which goes on where it was broken off.
soak: setup-test
	@$(MAKE) --no-print-directory $(O)/socle.elf
	@$(MAKE) --no-print-directory guest-tests
	@$(PYTHON) tests/soak.py $(if $(MODEL),--model "$$MODEL") --options "$$OPTIONS"
	@$(PYTHON) tests/storm.py $(if $(MODEL),--models "$$MODEL") $(if $(STORM_OPS),--ops $(STORM_OPS))

# What is tested at each change; the last line is `N passed, N failed`.
test: setup-test
	@tests/all.sh

system: setup-test
	@tests/all.sh system

lint:
	@tests/lint/lint.sh

format:
	clang-format -i $$(tests/lint/files.sh)

setup-%:
	@tools/setup.sh $*

setup: setup-test

clean:
	rm -rf $(O)

FORCE:

help:
	@sed -n 's/^#h \{0,1\}//p' Makefile

#h Goals
#h   make                 build/socle.elf, the multiboot2 image (build/socle.debug has the symbols)
#h   make run             Linux KVM as L1 on Socle, with small guests; ends with a summary
#h   make run L1=FILE     any L1: a multiboot or multiboot2 ELF, or a Linux bzImage
#h   make bare            the same L1 without Socle, to compare
#h   make compare L1=FILE  boots L1 bare and under Socle, and compares what it wrote: exit status, and a page with both
#h                        (RULES=FILE says what may differ; docs/compare.md)
#h   make kit             build/socle-kit-*.tar.gz: the guest tests for any machine that gives its guests VMX, with a runner
#h                        (tools/kit/README.md; the first time some minutes, to ask the bare processor; KIT_MODELS=haswell
#h                        for fewer models than four, KIT_IMAGES=basic for fewer images)
#h   make dist            a release: image, symbols, ISO, man page, checksums; the same sources make the same bytes
#h   make deb             Debian packages, socle and socle-tools, into build/deb
#h   make site            build/site/html: README.md and docs/ as pages, with pictures
#h   make man             build/socle.7, the manual page of all options
#h   make vmcs-why        build/vmcs-why: why a VM entry fails, from a dump of its VMCS (docs/debugging.md)
#h   make trace-read      build/socle-trace-read: for a Linux as L1, prints Socle's exit trace (docs/debugging.md)
#h   make check           Socle's report of what the (emulated) machine has and lacks
#h   make iso             build/socle.iso for a USB stick, a disk or a CD: a menu of the L1 that L1= and MODULES= name,
#h                        a demo (Linux with KVM as L1) and a look at the machine
#h   make install         to /boot, and entries for GRUB's menu (docs/hardware.md); DESTDIR= in front of all names, PREFIX=/usr/local
#h   make uninstall       removes it again
#h   make test            what is tested at each change: host unit tests, lint, system tests
#h   make unit | lint | system      parts of it
#h   make guests          real hypervisors as L1, real systems as L2, at length; GROUP=linux params life l2 l3 socle qemu xen kvm kit mixed,
#h                         TIMES=3
#h   make guest-tests     build the guest tests' images
#h   make coverage        of vmx/ by the host tests, file by file; RAISE=1 raises the floors
#h   make fuzz            all fuzzers, FUZZ_SECONDS=300 each
#h   make model           EPT02 against a model of TLBs, MODEL_STEPS=1000000
#h   make mutants         wrong Socles, each of which a test must notice (an hour and more), and thousands of generated ones
#h   make conformance     all guest tests on four models, and 200,000 generated VM entries on each; hours
#h                        (MODELS=a,b IMAGES=a,b CONFORMANCE_SEEDS=20 or 5-9; goes on where it was broken off)
#h   make bench           what VMX costs L1: bare, under Socle, and what Socle executes for it (MODEL= OPTIONS= CPUS=; SAVE=1:
#h                        the table that `make test` holds it against); make bench-kvm: with Linux' KVM as L0 beside it
#h   make size            memory: the image by section, a slot, a CPU, all of Socle on a machine of CPUS= and MEM=
#h   make soak            14 PAE guests at once under Linux KVM on Socle, 20 minutes at most; then a storm of hostile L1s and L2s,
#h                        a million operations on tigerlake and haswell (MODEL=a,b STORM_OPS=100000; goes on where it stopped)
#h   make emulator | l1   build the emulator, or the Linux L1, into the user's cache now
#h   make format          clang-format over the C files
#h   make setup           install all packages that any goal needs
#h   make clean | help    remove what was built; this text
#h
#h Variables
#h   L1=FILE              what runs on Socle; L1_ARGS='...' its command line
#h   MODULES='FILE ...'   further modules for L1 (for Linux the initrd); 'FILE ARGS; FILE ARGS' with command lines
#h   STEPS=selftest,...   what the Linux L1 runs: selftest linux64 linux64smp linux32 (linux64q: quiet)
#h   CPUS=1 MEM=512       the machine's processors, and its memory in MiB (or 2G)
#h   FIRMWARE=bios|uefi
#h   MACHINE=auto         kvm where KVM has nested VT-x, else bochs; tcg is QEMU without VT-x
#h   MODEL=ivy_bridge     Bochs: penryn arrandale sandy_bridge ivy_bridge haswell broadwell skylake_x icelake
#h                        tigerlake sapphire_rapids
#h   OPTIONS='...'        Socle's own, such as log=debug shadow-vmcs=off intercept=cr (README.md, "Options")
#h   UNTIL=PATTERN        a line of the console that ends the run (else DONE, L1 DONE, socle: halted)
#h   RULES=FILE           `make compare`: what may differ between the two consoles
#h   TIMEOUT=300          seconds of the emulator's processor time (with KVM: of the clock)
#h   O=build              the folder that is built in
#h   CC=gcc|clang  CROSS_COMPILE=prefix-  EXTRA_CFLAGS=...  MUTANT=name
#h   BOCHS=binary         an emulator of your own
