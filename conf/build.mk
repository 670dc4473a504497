# What is compiled from what, and with which flags. Read by the Makefile.
PKGS := libuv jansson libcurl libssl libcrypto yaml-0.1 sqlite3 libsystemd libmicrohttpd expat

# --- sources: a new file in one of these folders needs no entry anywhere ---

LIB_SRC := $(filter-out lib/sim/% lib/simulate/%,$(wildcard lib/*/*.c))
SIM_SRC := $(wildcard lib/sim/*.c lib/simulate/*.c)
DAEMON_SRC := $(wildcard daemon/*.c daemon/io/*.c daemon/control/*.c daemon/sd/*.c)
CLI_SRC := $(wildcard daemon/cli/*.c)
LOCALAWS_SRC := $(wildcard daemon/localaws/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_HELPER_SRC := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))
# The simulator's parts that unit tests look at by themselves.
SIMULATOR_LIB_SRC := tests/sim/disk.c tests/sim/disk_vfs.c tests/sim/image.c
SIMULATOR_SRC := $(wildcard tests/sim/*.c)
BENCH_SRC := $(wildcard tests/bench/*.c)
TOOL_SRC := $(wildcard tests/tools/*.c)
FAULT_SRC := $(wildcard tests/fault/*.c)
PRELOAD_SRC := $(wildcard tests/faults/*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_HELPER_SRC := $(filter-out $(FUZZ_SRC),$(wildcard tests/fuzz/*.c))
ALL_SRC := $(LIB_SRC) $(SIM_SRC) $(DAEMON_SRC) $(CLI_SRC) $(LOCALAWS_SRC) $(UNIT_SRC) $(UNIT_HELPER_SRC) $(BENCH_SRC) \
	$(SIMULATOR_SRC) $(FAULT_SRC) $(PRELOAD_SRC) $(TOOL_SRC)
FORMAT_SRC = $(ALL_SRC) $(FUZZ_SRC) $(FUZZ_HELPER_SRC) $(wildcard lib/*/*.h daemon/*.h daemon/*/*.h tests/*/*.h)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIBROLLOUT := $(BUILD)/librollout.a
LIBSIM := $(BUILD)/libsim.a
LIBDAEMON := $(BUILD)/libdaemon.a
PROGRAMS := $(BUILD)/rolloutd $(BUILD)/rolloutctl $(BUILD)/rollout-localaws
UNIT_BIN := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
BENCH_BIN := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SRC))
# Parts of the daemon by themselves, for end-to-end tests.
TOOL_BIN := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(TOOL_SRC))
# rolloutd with a part of it broken on purpose, for tests that must see it.
FAULT_BIN := $(patsubst tests/fault/%.c,$(BUILD)/fault/%/rolloutd,$(FAULT_SRC))
# What the programs are loaded with, to make their allocations fail or their clocks jump.
PRELOAD_LIB := $(patsubst tests/faults/%.c,$(BUILD)/faults/%.so,$(PRELOAD_SRC))
HAMMER := $(BUILD)/bench/hammer
SIMULATOR := $(BUILD)/sim/rollout-sim
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))
# The same targets with a main that only reads files, for every compiler.
REPLAY_BIN := $(patsubst tests/fuzz/%.c,$(BUILD)/replay/%,$(FUZZ_SRC))

# --- flags ---

Q ?= @
say = @printf '  %-4s %s\n'

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wundef -Wvla -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wformat=2
# Sentences for people are cut at their cap on purpose. clang has no such warning, and no switch for it.
WARN += $(if $(findstring clang,$(CC)),,-Wno-format-truncation)
WERROR ?= $(if $(CI),-Werror)

CPPFLAGS_ALL := -Ilib -I. -D_GNU_SOURCE -DROLLOUTD_VERSION='"$(VERSION)"' \
	$(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CPPFLAGS)
CFLAGS_BASE := -std=gnu17 -g $(WARN) -fno-common -fvisibility=hidden
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm

ifneq ($(filter asan asan-%,$(MODE)),)
# Simulated seeds are many: what can be quick there is.
CFLAGS_MODE := $(if $(filter asan-sim,$(MODE)),-O2,-O1) -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
LDFLAGS_MODE := -fsanitize=address,undefined
else ifneq ($(filter debug debug-%,$(MODE)),)
CFLAGS_MODE := -O0
else ifneq ($(filter sim sim-%,$(MODE)),)
# Many seeds, and nobody to be defended against.
CFLAGS_MODE := -O2 -fno-plt
else ifneq ($(filter fuzz,$(MODE)),)
CFLAGS_MODE := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_MODE := -fsanitize=fuzzer,address,undefined
else ifneq ($(filter afl,$(MODE)),)
# With CC=afl-clang-fast, whose own driver calls the targets many times in one process.
CFLAGS_MODE := -O1 -fno-omit-frame-pointer
LDFLAGS_MODE := -fsanitize=fuzzer
else ifneq ($(filter coverage,$(MODE)),)
# As it is written: nothing is optimised away. MC/DC is asked of the core.
CFLAGS_MODE := -O0 -fprofile-instr-generate -fcoverage-mapping
LDFLAGS_MODE := -fprofile-instr-generate
CFLAGS_CORE := -fcoverage-mcdc
else
# Stack variables start as zero where the compiler can do it (gcc 12, clang 16).
ZERO_INIT := $(shell $(CC) -ftrivial-auto-var-init=zero -fsyntax-only -x c /dev/null 2>/dev/null \
	&& echo -ftrivial-auto-var-init=zero)
CFLAGS_MODE := -O2 -fPIE -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 $(ZERO_INIT)
LDFLAGS_MODE := -pie -Wl,-z,relro,-z,now,--as-needed
endif

CFLAGS_ALL := $(CFLAGS_BASE) $(CFLAGS_MODE) $(CFLAGS)
LDFLAGS_ALL := $(LDFLAGS_MODE) $(LDFLAGS)

# --- stamps: rewritten only when their text changes, so that other flags, another compiler or a removed file rebuild
# exactly what they must ---

flags_text := $(CC) $(WERROR) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(CFLAGS_CORE) $(LDFLAGS_ALL) $(LIBS)
flags_quoted := '$(subst ','\'',$(flags_text))'
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@pkg-config --exists --print-errors $(PKGS) || { \
		echo "rolloutd: libraries to build with are missing (above); 'make deps' installs them" >&2; exit 1; }
	@printf '%s\n' $(flags_quoted) | cmp -s - $@ || printf '%s\n' $(flags_quoted) >$@
$(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@echo $(ALL_SRC) | cmp -s - $@ || echo $(ALL_SRC) >$@
FORCE:
.PHONY: FORCE core-decisions lint-now bench-programs fault-programs fuzz-programs replay-programs hammer simulator tools

# --- rules ---

# A decision that is too much for the compiler has no MC/DC: it says so and goes on, whatever -Werror says. So whatever
# it says here about the core is an error: that decision is to be written as several.
core-decisions:
	@! for source in $(filter lib/core/%,$(LIB_SRC)); do \
		$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(CFLAGS_CORE) -S -o /dev/null $$source; done 2>&1 | grep .
objects: $(call obj,$(ALL_SRC))
unit-programs: $(UNIT_BIN)
bench-programs: $(BENCH_BIN)
fault-programs: $(FAULT_BIN) $(PRELOAD_LIB)
hammer: $(HAMMER)
tools: $(TOOL_BIN)
simulator: $(SIMULATOR)
fuzz-programs: $(FUZZ_BIN)
replay-programs: $(REPLAY_BIN)

$(LIBROLLOUT): $(call obj,$(LIB_SRC))
$(LIBSIM): $(call obj,$(SIM_SRC))
$(LIBDAEMON): $(call obj,$(filter-out daemon/main.c,$(DAEMON_SRC)))
$(BUILD)/rolloutd: $(BUILD)/daemon/main.o $(LIBDAEMON) $(LIBROLLOUT)
$(BUILD)/rolloutctl: $(call obj,$(CLI_SRC)) $(LIBSIM) $(LIBROLLOUT)
$(BUILD)/rollout-localaws: $(call obj,$(LOCALAWS_SRC)) $(LIBSIM) $(LIBROLLOUT)
UNIT_HELPER_OBJ := $(call obj,$(UNIT_HELPER_SRC))
$(UNIT_BIN): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(UNIT_HELPER_OBJ) $(LIBSIM) $(LIBROLLOUT)
$(addprefix $(BUILD)/tests/,test_sim_disk test_store_crash test_store_crash_schema): $(call obj,$(SIMULATOR_LIB_SRC))
$(BENCH_BIN): $(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(LIBDAEMON) $(LIBROLLOUT)
$(TOOL_BIN): $(BUILD)/tools/%: $(BUILD)/tests/tools/%.o $(LIBDAEMON) $(LIBROLLOUT)
# Before the library, so that what it has of the same names is not taken.
$(PRELOAD_LIB): $(BUILD)/faults/%.so: tests/faults/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) -std=gnu17 -O2 -g $(CPPFLAGS_ALL) $(WARN) $(WERROR) -fPIC -shared -o $@ $<
$(FAULT_BIN): $(BUILD)/fault/%/rolloutd: $(BUILD)/tests/fault/%.o $(BUILD)/daemon/main.o $(LIBDAEMON) $(LIBROLLOUT)
# In front of the libraries for what they define in place of them. rolloutctl without its socket: fuzz_ctl.c is that.
FUZZ_OBJ := $(call obj,tests/fuzz/support.c)
FUZZ_CTL_SRC := $(filter-out daemon/cli/main.c daemon/cli/client.c daemon/cli/follow.c,$(CLI_SRC))
$(BUILD)/fuzz/fuzz_ctl $(BUILD)/replay/fuzz_ctl: $(call obj,$(FUZZ_CTL_SRC))
# Targets whose inputs have JSON in them.
$(patsubst %,$(BUILD)/fuzz/fuzz_%,aws control ctl hook localaws record): $(call obj,tests/fuzz/json_mutator.c)
$(SIMULATOR): $(call obj,$(SIMULATOR_SRC)) $(LIBSIM) $(LIBROLLOUT)
# The simulator with one fault planted in one file. Before the library, so that what it has of that file is not taken.
$(BUILD)/planted/%/rollout-sim: tests/sim/planted.py $(call obj,$(SIMULATOR_SRC)) $(LIBSIM) $(LIBROLLOUT)
	@mkdir -p $(@D)
	$(Q)tests/sim/planted.py --write $* >$(@D)/planted.c
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -w -c -o $(@D)/planted.o $(@D)/planted.c
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(call obj,$(SIMULATOR_SRC)) $(@D)/planted.o \
		$(LIBSIM) $(LIBROLLOUT) $(LIBS)
$(FUZZ_BIN): $(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_OBJ) $(LIBDAEMON) $(LIBSIM) $(LIBROLLOUT)
$(REPLAY_BIN): $(BUILD)/replay/%: $(BUILD)/tests/fuzz/%.o $(call obj,tests/fuzz/replay.c) $(FUZZ_OBJ) $(LIBDAEMON) \
	$(LIBSIM) $(LIBROLLOUT)

link = $(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o %.a,$^) $(LIBS)
$(LIBROLLOUT) $(LIBSIM) $(LIBDAEMON): $(BUILD)/sources
	$(say) AR $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)
$(PROGRAMS): $(BUILD)/sources
	$(say) LD $@
	$(link)
$(UNIT_BIN) $(BENCH_BIN) $(TOOL_BIN) $(FAULT_BIN) $(FUZZ_BIN) $(REPLAY_BIN) $(SIMULATOR): $(BUILD)/sources
	@mkdir -p $(@D)
	$(say) LD $@
	$(link) $(if $(filter $(UNIT_BIN),$@),-lcmocka)

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(WERROR) $(if $(filter lib/core/% lib/base/%,$<),-Wconversion) \
		$(if $(filter lib/core/%,$<),$(CFLAGS_CORE)) \
		-MMD -MP -c -o $@ $<

-include $(patsubst %.o,%.d,$(call obj,$(ALL_SRC) $(FUZZ_SRC) $(FUZZ_HELPER_SRC)))
