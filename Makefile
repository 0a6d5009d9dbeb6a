# Luvalley: one Makefile, no recursion. Everything built lives in build/.
#   make run           install what is missing, build, boot Luvalley + dom0
#   make nested-test   everything tested, last line "N passed, N failed, N skipped"
#   make test          unit tests on this machine, under 10 s
#   make lint          shellcheck, and the tree's own rules

B	:= build
CC	?= gcc
CFLAGS_WARN := -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Werror

all: $(B)/luvalley.elf dom0 guests trace

# --- the VMM: freestanding, linked twice to carry its own symbol table -------

# Small, but for the path of an exit, where instructions are counted.
VMM_OPT	:= -Os
$(addprefix $(B)/vmm/,vmx/run.o svm/svm.o cpuid.o hypercall.o domu_run.o domu_switch.o domu_fault.o \
	domu_cpuid.o stage2.o vlapic.o vmx/apic.o vmx/domu.o svm/domu.o \
	hist_exit.o vmx/trace.o svm/trace.o): VMM_OPT := -O2 -fno-align-functions -fno-align-jumps -fno-align-loops -fno-align-labels \
	-Wno-ignored-optimization-argument # clang has but the first
VMM_CFLAGS = $(CFLAGS_WARN) $(VMM_OPT) -g -ffreestanding -mgeneral-regs-only \
	-mno-red-zone -mcmodel=kernel -fno-pic -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer -momit-leaf-frame-pointer \
	-fcf-protection=none -fno-common -ffunction-sections \
	-Ivmm -Iinclude -MMD -MP
# Its one frame is between a handler's and the guest's.
$(B)/vmm/vmx/run.o: VMM_CFLAGS += -fomit-frame-pointer
VMM_C	:= $(filter-out %_test.c,$(wildcard vmm/*.c vmm/vmx/*.c vmm/svm/*.c))
VMM_S	:= $(wildcard vmm/*.S vmm/vmx/*.S vmm/svm/*.S)
VMM_OBJ	:= $(VMM_C:%.c=$(B)/%.o) $(VMM_S:%.S=$(B)/%.o)
VMM_LD	:= $(CC) -nostdlib -static -Wl,-T,vmm/luvalley.lds -Wl,--build-id=none \
	-Wl,--gc-sections -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
	-Wl,--no-warn-rwx-segments

# What it says it is: the file changes when that does, and these objects with it.
VERSION	:= $(shell git describe --always --dirty 2>/dev/null || echo unknown)
SAYS_VERSION := $(addprefix $(B)/vmm/,hypercall.o main.o trace.o)
$(SAYS_VERSION): VMM_CFLAGS += -DLUV_BUILD='"$(VERSION)"'
$(SAYS_VERSION): $(B)/version
$(B)/version: always
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@

$(B)/vmm/%.o: vmm/%.c
	@mkdir -p $(@D)
	$(CC) $(VMM_CFLAGS) -c $< -o $@

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
CLIENTS	:= apic descriptors errors kvm signals state
DOM0_BIN := $(patsubst dom0/tests/%.c,$(B)/dom0/%,$(filter-out $(CLIENTS:%=dom0/tests/%.c),$(wildcard dom0/tests/*.c))) \
	$(patsubst dom0/%.c,$(B)/dom0/%,dom0/luvctl.c) $(B)/dom0/luvtrace
DOM0_LIB := $(B)/dom0/obj/libluv.o

dom0: dom0-bin kvm $(KERNELS:%=$(B)/dom0/initrd-%.img) $(B)/dom0/domu.img
dom0-bin: $(DOM0_BIN)

$(B)/dom0/obj/%.o: dom0/%.c
	@mkdir -p $(@D)
	$(CC) $(DOM0_CFLAGS) -c $< -o $@

$(B)/dom0/obj/%.o: dom0/tests/%.c
	@mkdir -p $(@D)
	$(CC) $(DOM0_CFLAGS) -c $< -o $@

# luvtrace, as far as it needs no library.
$(B)/dom0/obj/luvtrace.o $(B)/dom0/obj/record.o $(B)/dom0/obj/metadata.o: DOM0_CFLAGS += -Itrace
$(B)/dom0/obj/%.o: trace/%.c
	@mkdir -p $(@D)
	$(CC) $(DOM0_CFLAGS) -c $< -o $@
$(B)/dom0/luvctl: $(B)/dom0/obj/luvctl_hist.o
$(B)/dom0/luvtrace: $(B)/dom0/obj/record.o $(B)/dom0/obj/metadata.o

$(DOM0_BIN): $(B)/dom0/%: $(B)/dom0/obj/%.o $(DOM0_LIB)
	$(CC) -static-pie -pthread -o $@ $^ -ljansson

# --- dom0: the KVM API, for programs that are dynamic -------------------------

# Everything in dom0/kvm but tests; one symbol table for a lot of programs:
# only what replaces libc's functions is visible.
KVM_C	:= $(filter-out %_test.c dom0/kvm/luvkvm.c,$(wildcard dom0/kvm/*.c))
KVM_OBJ	:= $(KVM_C:dom0/%.c=$(B)/dom0/pic/%.o) $(B)/dom0/pic/libluv.o
KVM_CFLAGS := $(DOM0_CFLAGS) -fPIC -fvisibility=hidden -pthread
CLIENT_BIN := $(CLIENTS:%=$(B)/dom0/%)
KVM_BIN	:= $(B)/dom0/libluvkvm.so $(B)/dom0/luvkvm $(CLIENT_BIN) $(B)/dom0/micro
LTTNG_BIN := $(B)/dom0/libluvkvm-lttng.so

kvm: $(KVM_BIN) $(LTTNG_BIN)

$(B)/dom0/pic/%.o: dom0/%.c
	@mkdir -p $(@D)
	$(CC) $(KVM_CFLAGS) -c $< -o $@

$(B)/dom0/libluvkvm.so: $(KVM_OBJ)
	$(CC) -shared -pthread -Wl,-z,defs -Wl,-z,now -Wl,--no-undefined -o $@ $^ -ldl -lZydis

# The library's trace points for LTTng: beside it, only where it is wanted.
$(LTTNG_BIN): dom0/lttng/provider.c dom0/lttng/points.h dom0/kvm/tp.h
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(DOM0_CFLAGS)) -fPIC -shared -o $@ $< -llttng-ust -ldl

# Programs that the library can be loaded into: dynamic.
$(CLIENT_BIN): $(B)/dom0/%: $(B)/dom0/obj/%.o
	$(CC) -o $@ $<

# The micro benchmarks: a flat guest inside its client, which is dynamic too.
$(B)/dom0/obj/micro/guest.o: dom0/micro/guest.S
	@mkdir -p $(@D)
	$(CC) -MMD -MP -c $< -o $@

$(B)/dom0/obj/micro/image.o: $(B)/dom0/obj/micro/guest.o
	ld -Ttext=0x10000 -e 0x10000 --oformat=binary -o $(@D)/guest.bin $<
	cd $(@D) && ld -r -b binary -z noexecstack -o $(@F) guest.bin

$(B)/dom0/micro: $(B)/dom0/obj/micro/client.o $(B)/dom0/obj/micro/image.o
	$(CC) -o $@ $^

$(B)/dom0/luvkvm: $(B)/dom0/obj/kvm/luvkvm.o $(B)/dom0/obj/kvm/process.o $(DOM0_LIB)
	$(CC) -static -pthread -o $@ $^

$(B)/dom0/initrd-%.img: dom0/init scripts/mkinitrd.sh $(DOM0_BIN) $(KVM_BIN) $(CACHE)/kernel-%/version
	@mkdir -p $(@D)
	scripts/mkinitrd.sh $@ $(CACHE)/kernel-$* dom0/init $(DOM0_BIN) $(KVM_BIN)

$(B)/dom0/guest/cost: dom0/guest/cost.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_WARN) -D_GNU_SOURCE -O2 -static -s -o $@ $<

$(B)/dom0/domu.img: scripts/mkdomu.sh scripts/mkimage.sh dom0/guest/init dom0/guest/serve $(KVM_BIN) $(LTTNG_BIN) \
		$(B)/dom0/guest/cost $(B)/trace/luvtop $(CACHE)/kernel-cloud/version
	@mkdir -p $(@D)
	scripts/mkdomu.sh -g $(B)/dom0/guest/cost $@ $(CACHE)/kernel-cloud dom0/guest/init dom0/guest/serve $(KVM_BIN) $(LTTNG_BIN) $(B)/trace/luvtop

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

UNIT_DEPS_trace := vmm/trace_read.c vmm/hist.c vmm/hist_exit.c vmm/svm/trace.c
$(B)/unit/trace_test: UNIT_CFLAGS += -DLUV_BUILD='"test"'

.SECONDEXPANSION:
$(UNIT): $(B)/unit/%_test: vmm/%_test.c $$(wildcard vmm/$$*.c) $$(UNIT_DEPS_$$*)
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -MF $@.d $^ -o $@ -lcmocka

# dom0/kvm/X_test.c is kvm-X_test; without -Ivmm, whose string.h is not libc's.
UNIT_KVM := $(patsubst dom0/kvm/%.c,$(B)/unit/kvm-%,$(wildcard dom0/kvm/*_test.c))
UNIT_DEPS_kvm-ioctl := dom0/kvm/tp.c dom0/kvm/lock.c
UNIT_DEPS_kvm-memory := dom0/kvm/lock.c
UNIT_DEPS_kvm-pin := dom0/kvm/huge.c
UNIT_DEPS_kvm-pic_fuzz := dom0/kvm/pic.c
UNIT_DEPS_kvm-routing := dom0/kvm/pic.c dom0/kvm/ioapic.c
UNIT_DEPS_kvm-pit := dom0/kvm/pit_counter.c
UNIT_DEPS_kvm-pit_model := dom0/kvm/pit.c dom0/kvm/pit_counter.c
UNIT_DEPS_kvm-pit_state := dom0/kvm/pit.c dom0/kvm/pit_counter.c
UNIT_DEPS_kvm-irqchip := $(addprefix dom0/kvm/,tp.c irqchip_state.c wakeup.c quiet.c \
	pic.c ioapic.c pit.c pit_counter.c routing.c)
UNIT_DEPS_kvm-eventfds := $(UNIT_DEPS_kvm-irqchip) \
	$(addprefix dom0/kvm/,irqchip.c eventfds_irqfd.c eventfds_io.c)
UNIT_DEPS_kvm-irqchip_threads := $(UNIT_DEPS_kvm-irqchip) dom0/kvm/irqchip.c
UNIT_DEPS_kvm-stats := dom0/kvm/fds.c
UNIT_DEPS_kvm-wakeup := dom0/kvm/quiet.c
UNIT_DEPS_kvm-wired := $(addprefix dom0/kvm/,pic.c ioapic.c pit.c pit_counter.c routing.c)

EMUL	:= $(filter-out %_test.c,$(wildcard dom0/kvm/emul.c dom0/kvm/emul_*.c))
UNIT_KVM_EMUL := $(patsubst dom0/kvm/%_test.c,%,$(wildcard dom0/kvm/emul*_test.c))
$(foreach t,$(UNIT_KVM_EMUL),$(eval UNIT_DEPS_kvm-$(t) := \
	$(filter-out dom0/kvm/$(t).c,$(EMUL))))
UNIT_DEPS_kvm-emul_walk += vmm/gwalk.c
UNIT_DEPS_kvm-run := $(filter-out dom0/kvm/hyper.c dom0/kvm/interpose.c dom0/kvm/run.c,$(KVM_C)) dom0/libluv.c
$(UNIT_KVM_EMUL:%=$(B)/unit/kvm-%_test) $(B)/unit/kvm-run_test: UNIT_LIBS := -lZydis

$(UNIT_KVM): $(B)/unit/kvm-%_test: dom0/kvm/%_test.c $$(wildcard dom0/kvm/$$*.c) $$(UNIT_DEPS_kvm-$$*)
	@mkdir -p $(@D)
	$(CC) $(filter-out -Ivmm,$(UNIT_CFLAGS)) -Idom0 -MF $@.d $^ -o $@ -lcmocka $(UNIT_LIBS)

# dom0/X_test.c is dom0-X_test.
UNIT_DOM0 := $(patsubst dom0/%.c,$(B)/unit/dom0-%,$(wildcard dom0/*_test.c))
$(UNIT_DOM0): $(B)/unit/dom0-%_test: dom0/%_test.c dom0/%.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -Ivmm,$(UNIT_CFLAGS)) -Idom0 -MF $@.d $^ -o $@ -lcmocka

UNIT	+= $(UNIT_KVM) $(UNIT_DOM0)

# --- trace/: tools for captures, and sanitized copies of them for the tests ------
# trace/X_test.c is trace-X_test; it runs the programs in BIN.

TRACE_BIN := luvtop luvtrace synth
TRACE_READ := bt.o bt_apart.o bt_event.o capture.o events.o histogram.o merge.o metadata.o \
	native.o rows.o worlds.o
TRACE_luvtrace := luvtrace.o record.o libluv.o extract.o tool.o diff.o export.o export_chrome.o \
	export_perfetto.o flame.o protobuf.o repair.o report.o report_page.o page.o bins.o \
	detail.o sample.o stacks.o stat.o stat_print.o symbols.o $(TRACE_READ)
TRACE_LIBS_luvtrace := -lbabeltrace2 -lelf -ljansson -lz -lm
TRACE_luvtop := luvtop.o libluv.o symbols.o tool.o top.o top_live.o top_screen.o $(TRACE_READ)
TRACE_LIBS_luvtop := -lbabeltrace2 -lelf -lncurses -ltinfo -lm
TRACE_PAGE := $(wildcard trace/report/*) $(CACHE)/charts/version
TRACE_synth := synth.o metadata.o
TRACE_LIBS_synth := -lm
TRACE_CFLAGS := $(CFLAGS_WARN) -D_GNU_SOURCE -O2 -g -Itrace -Iinclude -Idom0 -MMD -MP
UNIT_TRACE := $(patsubst trace/%.c,$(B)/unit/trace-%,$(wildcard trace/*_test.c))
UNIT_DEPS_trace-histogram := histogram.o
UNIT_DEPS_trace-metadata := metadata.o
UNIT_DEPS_trace-native := events.o native.o
UNIT_DEPS_trace-rows := events.o histogram.o rows.o
UNIT_DEPS_trace-sample := sample.o
UNIT_DEPS_trace-symbols := symbols.o
UNIT_DEPS_trace-worlds := worlds.o

trace: $(TRACE_BIN:%=$(B)/trace/%)

$(B)/trace/libluv.o: dom0/libluv.c
	@mkdir -p $(@D)
	$(CC) $(TRACE_CFLAGS) -c $< -o $@
$(B)/unit/trace/libluv.o: dom0/libluv.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -Ivmm,$(UNIT_CFLAGS)) -Idom0 -c $< -o $@

$(B)/trace/%.o: trace/%.c
	@mkdir -p $(@D)
	$(CC) $(TRACE_CFLAGS) -c $< -o $@

$(B)/unit/trace/%.o: trace/%.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -Ivmm,$(UNIT_CFLAGS)) -Itrace -Idom0 -DBIN='"$(abspath $(@D))"' \
		-DSAMPLE='"$(abspath trace/sample/boot.tar.xz)"' \
		-DSAMPLE_KVM='"$(abspath trace/sample/kvm.tar.xz)"' -c $< -o $@

$(CACHE)/charts/version:
	scripts/deps.sh

$(B)/trace/page.o $(B)/unit/trace/page.o: trace/page.S $(TRACE_PAGE)
	@mkdir -p $(@D)
	$(CC) -Itrace -I$(CACHE)/charts -c $< -o $@

$(TRACE_BIN:%=$(B)/trace/%): $(B)/trace/%: $$(addprefix $(B)/trace/,$$(TRACE_$$*))
	$(CC) -o $@ $^ $(TRACE_LIBS_$*)

$(TRACE_BIN:%=$(B)/unit/trace/%): $(B)/unit/trace/%: $$(addprefix $(B)/unit/trace/,$$(TRACE_$$*))
	$(CC) -fsanitize=address,undefined -o $@ $^ $(TRACE_LIBS_$*)

# luvtop, and a VMM that it shows.
$(B)/unit/trace/luvtop-live: $(addprefix $(B)/unit/trace/,$(subst libluv.o,luvtop_vmm.o,$(TRACE_luvtop)))
	$(CC) -fsanitize=address,undefined -o $@ $^ $(TRACE_LIBS_luvtop)
$(B)/unit/trace-luvtop_test: | $(B)/unit/trace/luvtop-live

$(UNIT_TRACE): $(B)/unit/trace-%_test: $(B)/unit/trace/%_test.o \
		$$(addprefix $(B)/unit/trace/,$$(UNIT_DEPS_trace-$$*)) | $(TRACE_BIN:%=$(B)/unit/trace/%)
	$(CC) -fsanitize=address,undefined -o $@ $^ -lcmocka -lelf -ljansson -lutil -lm

$(B)/unit/trace-report_test: trace/report_test.js $(B)/unit/trace/luvtrace $(B)/unit/trace/synth
	printf "#!/bin/sh\nexec node '%s' '%s'\n" $(abspath $< $(B)/unit/trace) > $@
	chmod 755 $@

# libFuzzer, by clang whoever CC is; the test is a short run from a real stream.
FUZZ_C	:= $(addprefix trace/,native_fuzz.c events.c histogram.c metadata.c native.c rows.c \
	stacks.c symbols.c worlds.c)
$(B)/unit/trace/native_fuzz: $(FUZZ_C) $(wildcard trace/*.h trace/*.def)
	@mkdir -p $(@D)
	clang $(CFLAGS_WARN) -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -Itrace -Iinclude $(FUZZ_C) -o $@ -lelf -lm

$(B)/unit/trace-fuzz_test: scripts/fuzz-test.sh $(B)/unit/trace/native_fuzz $(B)/unit/trace/synth
	printf "#!/bin/sh\nexec '%s' '%s'\n" $(abspath $< $(B)/unit/trace) > $@
	chmod 755 $@

# The provider for LTTng, by lttng-tools, with a client that needs no VMM.
$(B)/unit/lttng/client: dom0/lttng/client.c trace/metadata.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -fPIE -MMD -MP,$(DOM0_CFLAGS)) -rdynamic -Itrace -o $@ $^

$(B)/unit/lttng_test: scripts/lttng-test.sh $(B)/unit/lttng/client $(LTTNG_BIN)
	printf "#!/bin/sh\nexec '%s' '%s' '%s'\n" $(abspath $^) > $@
	chmod 755 $@

# These take seconds: not in "make test".
UNIT_SLOW := $(B)/unit/lttng_test $(B)/unit/trace-fuzz_test $(B)/unit/trace-report_test
UNIT	+= $(UNIT_TRACE) $(UNIT_SLOW)
-include $(wildcard $(B)/trace/*.d $(B)/unit/trace/*.d)

# A model is a test: checked by Spin.
$(B)/unit/%_model: vmm/%.pml scripts/model-test.sh
	@mkdir -p $(@D)
	printf '#!/bin/sh\nexec "%s" "%s"\n' $(abspath scripts/model-test.sh) $(abspath $<) > $@
	chmod 755 $@

UNIT	+= $(patsubst vmm/%.pml,$(B)/unit/%_model,$(wildcard vmm/*.pml))

# The table in the documentation is what the launcher prints.
$(B)/unit/kvm-api_table: $(B)/dom0/luvkvm
	@mkdir -p $(@D)
	printf '#!/bin/sh\n"%s" --table | diff "%s" - || { echo "run: make docs"; exit 1; }\n' \
		$(abspath $<) $(abspath dom0/kvm/API.md) > $@
	chmod 755 $@

UNIT	+= $(B)/unit/kvm-api_table

docs: $(B)/dom0/luvkvm
	$< --table > dom0/kvm/API.md

unit: $(UNIT)

test: unit
	scripts/unit-test.sh $(filter-out $(UNIT_SLOW),$(UNIT))

# --- whole machines -----------------------------------------------------------

run: deps all
	scripts/run-nested.sh -v -o $(B)/run two-domus

# Everything with both compilers; the machines run what gcc made.
nested-test: deps
	$(MAKE) CC=gcc all unit
	$(MAKE) CC=clang B=$(B)/clang $(B)/clang/luvalley.elf dom0-bin kvm unit
	scripts/nested-test.sh scenarios/nested-test.list $(UNIT) $(UNIT:$(B)/%=$(B)/clang/%)

deps:
	scripts/deps.sh

lint:
	shellcheck scripts/*.sh .ci/run
	shellcheck -s dash dom0/init

clean:
	rm -rf $(B)

.PHONY: all always clean deps docs dom0 dom0-bin guests kvm lint nested-test run test trace unit
.DELETE_ON_ERROR:
-include $(CLIENTS:%=$(B)/dom0/obj/%.d) $(VMM_OBJ:.o=.d) $(DOM0_BIN:$(B)/dom0/%=$(B)/dom0/obj/%.d) $(DOM0_LIB:.o=.d) $(KVM_OBJ:.o=.d) \
	$(B)/dom0/obj/micro/client.d $(B)/dom0/obj/micro/guest.d

# --- numbers: results/SUITE/SUBSTRATE.csv ---------------------------------------

SUITE	?= dom0

bench: deps
	$(MAKE) all
	$(if $(filter reader,$(SUITE)),scripts/bench-reader.sh, \
		scripts/bench.sh $(if $(SUBSTRATE),-s "$(SUBSTRATE)") $(SUITE))

.PHONY: bench
