# Luvalley: one Makefile, no recursion. Everything built lives in build/.
#   make run           install what is missing, build, boot Luvalley + dom0
#   make nested-test   everything tested, last line "N passed, N failed, N skipped"
#   make test          unit tests on this machine, under 10 s
#   make lint          shellcheck, and the tree's own rules

B	:= build
CC	?= gcc
CFLAGS_WARN := -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Werror

all: $(B)/luvalley.elf dom0 guests

# --- the VMM: freestanding, linked twice to carry its own symbol table -------

# Small, but for the path of an exit, where instructions are counted.
VMM_OPT	:= -Os
$(addprefix $(B)/vmm/,vmx/run.o svm/svm.o cpuid.o): VMM_OPT := -O2
VMM_CFLAGS = $(CFLAGS_WARN) $(VMM_OPT) -g -ffreestanding -mgeneral-regs-only \
	-mno-red-zone -mcmodel=kernel -fno-pic -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer -momit-leaf-frame-pointer \
	-fcf-protection=none -fno-common -ffunction-sections \
	-Ivmm -Iinclude -MMD -MP
VMM_C	:= $(filter-out %_test.c,$(wildcard vmm/*.c vmm/vmx/*.c vmm/svm/*.c))
VMM_S	:= $(wildcard vmm/*.S vmm/vmx/*.S vmm/svm/*.S)
VMM_OBJ	:= $(VMM_C:%.c=$(B)/%.o) $(VMM_S:%.S=$(B)/%.o)
VMM_LD	:= $(CC) -nostdlib -static -Wl,-T,vmm/luvalley.lds -Wl,--build-id=none \
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

# --- dom0: static programs in one initramfs per kernel ------------------------
# Position-independent: the low addresses that fuzz tries are then not its own.

CACHE	:= $(or $(LUV_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/luvalley)
KERNELS	:= cloud generic
DOM0_CFLAGS := $(CFLAGS_WARN) -D_GNU_SOURCE -O2 -g -fPIE -Iinclude -Idom0 -MMD -MP
DOM0_BIN := $(patsubst dom0/tests/%.c,$(B)/dom0/%,$(wildcard dom0/tests/*.c)) \
	$(patsubst dom0/%.c,$(B)/dom0/%,$(wildcard dom0/luvctl.c))
DOM0_LIB := $(B)/dom0/obj/libluv.o

dom0: dom0-bin $(KERNELS:%=$(B)/dom0/initrd-%.img)
dom0-bin: $(DOM0_BIN)

$(B)/dom0/obj/%.o: dom0/%.c
	@mkdir -p $(@D)
	$(CC) $(DOM0_CFLAGS) -c $< -o $@

$(B)/dom0/obj/%.o: dom0/tests/%.c
	@mkdir -p $(@D)
	$(CC) $(DOM0_CFLAGS) -c $< -o $@

$(DOM0_BIN): $(B)/dom0/%: $(B)/dom0/obj/%.o $(DOM0_LIB)
	$(CC) -static-pie -pthread -o $@ $^ -ljansson

$(B)/dom0/initrd-%.img: dom0/init scripts/mkinitrd.sh $(DOM0_BIN) $(CACHE)/kernel-%/version
	@mkdir -p $(@D)
	scripts/mkinitrd.sh $@ $(CACHE)/kernel-$* dom0/init $(DOM0_BIN)

$(CACHE)/kernel-%/version:
	scripts/deps.sh

# --- guests that are a boot sector --------------------------------------------

GUESTS	:= $(patsubst scenarios/guests/%.S,$(B)/guests/%.bin,$(wildcard scenarios/guests/*.S))

guests: $(GUESTS)

$(B)/guests/%.bin: scenarios/guests/%.S
	@mkdir -p $(@D)
	$(CC) -m32 -c $< -o $(@:.bin=.o)
	ld -m elf_i386 -Ttext=0x7c00 -e 0x7c00 --oformat=binary -o $@ $(@:.bin=.o)

# --- unit tests: vmm/X_test.c with vmm/X.c, if there is one, and UNIT_DEPS_X --------------------

UNIT	:= $(patsubst vmm/%.c,$(B)/unit/%,$(wildcard vmm/*_test.c))
UNIT_CFLAGS := $(CFLAGS_WARN) -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all -Ivmm -Iinclude -MMD -MP

.SECONDEXPANSION:
$(UNIT): $(B)/unit/%_test: vmm/%_test.c $$(wildcard vmm/$$*.c) $$(UNIT_DEPS_$$*)
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -MF $@.d $^ -o $@ -lcmocka

# dom0/kvm/X_test.c is kvm-X_test; without -Ivmm, whose string.h is not libc's.
UNIT_KVM := $(patsubst dom0/kvm/%.c,$(B)/unit/kvm-%,$(wildcard dom0/kvm/*_test.c))
UNIT_DEPS_kvm-pic_fuzz := dom0/kvm/pic.c
UNIT_DEPS_kvm-routing := dom0/kvm/pic.c dom0/kvm/ioapic.c
UNIT_DEPS_kvm-pit := dom0/kvm/pit_counter.c
UNIT_DEPS_kvm-pit_model := dom0/kvm/pit.c dom0/kvm/pit_counter.c
UNIT_DEPS_kvm-pit_state := dom0/kvm/pit.c dom0/kvm/pit_counter.c
UNIT_DEPS_kvm-wired := $(addprefix dom0/kvm/,pic.c ioapic.c pit.c pit_counter.c routing.c)

EMUL	:= $(filter-out %_test.c,$(wildcard dom0/kvm/emul*.c))
UNIT_KVM_EMUL := $(patsubst dom0/kvm/%_test.c,%,$(wildcard dom0/kvm/emul*_test.c))
$(foreach t,$(UNIT_KVM_EMUL),$(eval UNIT_DEPS_kvm-$(t) := \
	$(filter-out dom0/kvm/$(t).c,$(EMUL))))
UNIT_DEPS_kvm-emul_walk += vmm/gwalk.c
$(UNIT_KVM_EMUL:%=$(B)/unit/kvm-%_test): UNIT_LIBS := -lZydis

$(UNIT_KVM): $(B)/unit/kvm-%_test: dom0/kvm/%_test.c $$(wildcard dom0/kvm/$$*.c) $$(UNIT_DEPS_kvm-$$*)
	@mkdir -p $(@D)
	$(CC) $(filter-out -Ivmm,$(UNIT_CFLAGS)) -Idom0 -MF $@.d $^ -o $@ -lcmocka $(UNIT_LIBS)

UNIT	+= $(UNIT_KVM)

unit: $(UNIT)

test: unit
	scripts/unit-test.sh $(UNIT)

# --- whole machines -----------------------------------------------------------

run: deps all
	scripts/run-nested.sh -v -o $(B)/run linux-dom0

# Everything with both compilers; the machines run what gcc made.
nested-test: deps
	$(MAKE) CC=gcc all unit
	$(MAKE) CC=clang B=$(B)/clang $(B)/clang/luvalley.elf dom0-bin unit
	scripts/nested-test.sh scenarios/nested-test.list $(UNIT) $(UNIT:$(B)/%=$(B)/clang/%)

deps:
	scripts/deps.sh

lint:
	shellcheck scripts/*.sh .ci/run
	shellcheck -s dash dom0/init

clean:
	rm -rf $(B)

.PHONY: all clean deps dom0 dom0-bin guests lint nested-test run test unit
.DELETE_ON_ERROR:
-include $(VMM_OBJ:.o=.d) $(DOM0_BIN:$(B)/dom0/%=$(B)/dom0/obj/%.d) $(DOM0_LIB:.o=.d)

# --- numbers: results/SUITE/SUBSTRATE.csv ---------------------------------------

SUITE	?= dom0

bench: deps
	$(MAKE) all
	scripts/bench.sh $(if $(SUBSTRATE),-s "$(SUBSTRATE)") $(SUITE)

.PHONY: bench
