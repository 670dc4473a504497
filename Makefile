# rolloutd: see README.md. Objects live in build/$(MODE)/; MODE is release, debug, asan or any name of your own.
MODE ?= release
BUILD := build/$(MODE)
PREFIX ?= /usr/local
CC ?= cc
PKGS := libuv jansson libcurl libcrypto yaml-0.1 sqlite3 libsystemd libmicrohttpd
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.1.0)

include conf/build.mk

LIB_SRC := $(filter-out lib/sim/%,$(wildcard lib/*/*.c))
SIM_SRC := $(wildcard lib/sim/*.c)
DAEMON_SRC := $(wildcard daemon/*.c daemon/io/*.c daemon/control/*.c daemon/sd/*.c)
CLI_SRC := $(wildcard daemon/cli/*.c)
LOCALAWS_SRC := $(wildcard daemon/localaws/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

PROGRAMS := $(BUILD)/rolloutd $(BUILD)/rolloutctl $(BUILD)/rollout-localaws
UNIT_BIN := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))

.PHONY: all unit clean
.SECONDARY:
all: $(PROGRAMS)

$(BUILD)/librollout.a: $(call obj,$(LIB_SRC))
$(BUILD)/libsim.a: $(call obj,$(SIM_SRC))
$(BUILD)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/rolloutd: $(call obj,$(DAEMON_SRC)) $(BUILD)/librollout.a
$(BUILD)/rolloutctl: $(call obj,$(CLI_SRC)) $(BUILD)/librollout.a
$(BUILD)/rollout-localaws: $(call obj,$(LOCALAWS_SRC)) $(BUILD)/libsim.a $(BUILD)/librollout.a
$(BUILD)/tests/test_%: $(BUILD)/tests/unit/test_%.o $(BUILD)/libsim.a $(BUILD)/librollout.a

$(PROGRAMS):
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
$(BUILD)/tests/test_%:
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka -lm

$(BUILD)/%.o: %.c Makefile conf/build.mk
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(if $(filter lib/core/% lib/base/%,$<),-Wconversion) -MMD -MP -c -o $@ $<

# All unit tests of this MODE, one after the other.
unit: $(UNIT_BIN)
	@for t in $(UNIT_BIN); do echo "== $$t"; $$t || exit 1; done

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
