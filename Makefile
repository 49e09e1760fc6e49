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
MODULES ?=
CPUS ?= 1
MEM ?= 512
FIRMWARE ?= bios
MACHINE ?= auto
MODEL ?=
OPTIONS ?=
TIMEOUT ?=

C_FILES := $(sort $(wildcard boot/*.c kernel/*.c mm/*.c drivers/*.c vmx/*.c vmx/nested/*.c))
S_FILES := $(sort $(wildcard boot/*.S kernel/*.S vmx/*.S))
OBJECTS := $(C_FILES:%.c=$(O)/%.o) $(S_FILES:%.S=$(O)/%.S.o)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wundef -Wvla -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes \
	-Wimplicit-fallthrough
CFLAGS := -std=gnu11 -O2 -g -ffreestanding -nostdlib -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-fno-strict-aliasing -fno-common -fno-pie -fno-pic -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer $(WARNINGS)
CPPFLAGS := -I. $(if $(MUTANT),-DMUTANT_$(MUTANT)) -MMD -MP
LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	-Wl,--no-warn-rwx-segments
ifneq ($(findstring clang,$(TOOL_CC)),)
ifneq ($(CROSS_COMPILE)$(filter-out x86_64,$(shell uname -m)),)
CFLAGS += --target=x86_64-linux-gnu
LDFLAGS += --target=x86_64-linux-gnu -fuse-ld=lld
endif
# the linker that is there may be older or newer than the option
LDFLAGS := $(filter-out -Wl$(comma)--no-warn-rwx-segments,$(LDFLAGS))
endif

.PHONY: all elf iso run check test unit system lint format setup emulator l1 clean help guests FORCE
.DEFAULT_GOAL := all

all: $(O)/socle.elf

# A change of compiler or flags rebuilds everything.
FLAGS_NOW := $(TOOL_CC) $(CFLAGS) $(MUTANT) $(EXTRA_CFLAGS) $(LDFLAGS)
$(O)/.flags: FORCE
	@mkdir -p $(O)
	@printf '%s\n' '$(FLAGS_NOW)' | cmp -s - $@ || printf '%s\n' '$(FLAGS_NOW)' > $@

$(O)/%.o: %.c $(O)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(TOOL_CC) $(CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -c -o $@ $<

$(O)/%.S.o: %.S $(O)/.flags
	@mkdir -p $(@D)
	@echo "  AS      $<"
	@$(TOOL_CC) $(CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -c -o $@ $<

# socle.debug keeps the symbols; socle.elf is what GRUB loads.
$(O)/socle.debug: $(OBJECTS) boot/socle.ld $(O)/.flags
	@echo "  LD      $@"
	@$(TOOL_CC) $(CFLAGS) $(LDFLAGS) -T boot/socle.ld -o $@ $(OBJECTS)

$(O)/socle.elf: $(O)/socle.debug
	@echo "  STRIP   $@"
	@$(OBJCOPY) --strip-all $< $@

elf: $(O)/socle.elf

-include $(OBJECTS:.o=.d)

# ---- images and runs -------------------------------------------------------------------------------------------------

iso: $(O)/socle.iso

$(O)/socle.iso: $(O)/socle.elf FORCE
	@tools/mkiso.sh -o $@ -k $(O)/socle.elf -a '$(OPTIONS)' $(if $(L1),-m '$(L1) $(L1_ARGS)') \
		$(foreach m,$(MODULES),-m '$(m)')

clean:
	rm -rf $(O)

FORCE:
