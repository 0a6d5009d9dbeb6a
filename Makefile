# Luvalley: one Makefile, no recursion. Everything built lives in build/.
#   make run           install what is missing, build, boot Luvalley + dom0
#   make nested-test   everything tested, last line "N passed, N failed, N skipped"

B	:= build
CC	?= gcc
CFLAGS_WARN := -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Werror

all: $(B)/luvalley.elf

# --- the VMM: freestanding, linked twice to carry its own symbol table -------

VMM_CFLAGS := $(CFLAGS_WARN) -O2 -g -ffreestanding -mgeneral-regs-only \
	-mno-red-zone -mcmodel=kernel -fno-pic -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
	-fcf-protection=none -fno-common -ffunction-sections \
	-Ivmm -Iinclude -MMD -MP
VMM_C	:= $(filter-out %_test.c,$(wildcard vmm/*.c vmm/vmx/*.c vmm/svm/*.c))
VMM_S	:= $(wildcard vmm/*.S vmm/vmx/*.S vmm/svm/*.S)
VMM_OBJ	:= $(VMM_C:%.c=$(B)/%.o) $(VMM_S:%.S=$(B)/%.o)
VMM_LD	:= $(CC) -nostdlib -static -no-pie -Wl,-T,vmm/luvalley.lds -Wl,--build-id=none \
	-Wl,--gc-sections -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
	-Wl,--no-warn-rwx-segments
VERSION	:= $(shell git describe --always --dirty 2>/dev/null || echo unknown)

$(B)/vmm/%.o: vmm/%.c
	@mkdir -p $(@D)
	$(CC) $(VMM_CFLAGS) -DLUV_BUILD='"$(VERSION)"' -c $< -o $@

$(B)/vmm/%.o: vmm/%.S
	@mkdir -p $(@D)
	$(CC) $(VMM_CFLAGS) -D__ASSEMBLY__ -c $< -o $@

$(B)/luvalley.sym.elf: $(VMM_OBJ) vmm/luvalley.lds scripts/mksyms.sh
	: | sh scripts/mksyms.sh > $(B)/syms0.S
	$(CC) -c $(B)/syms0.S -o $(B)/syms0.o
	$(VMM_LD) $(VMM_OBJ) $(B)/syms0.o -o $(B)/luvalley.pass1.elf
	nm -n $(B)/luvalley.pass1.elf | sh scripts/mksyms.sh > $(B)/syms1.S
	$(CC) -c $(B)/syms1.S -o $(B)/syms1.o
	$(VMM_LD) $(VMM_OBJ) $(B)/syms1.o -o $@

$(B)/luvalley.elf: $(B)/luvalley.sym.elf
	objcopy -O elf32-i386 --strip-all $< $@

clean:
	rm -rf $(B)

.PHONY: all clean
-include $(VMM_OBJ:.o=.d)
