# rolloutd. `make help` lists what there is. Objects live in build/$(MODE)/; MODE is release, debug, asan or any name of
# your own, so that builds of different kinds stand beside each other. How things are compiled: conf/build.mk.
MODE ?= release
BUILD := build/$(MODE)
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
VERSION := $(shell cat VERSION)

.PHONY: all demo check lint format clean install uninstall unit e2e valgrind bench-quick bench bench-verdict
.PHONY: fuzz-quick fuzz-afl
.PHONY: check-host check-power check-memory fuzz-long check-faults coverage model deps objects unit-programs help
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

include conf/build.mk

# Installing packages changes what pkg-config says, which make has read already: so these begin again in a second make.
# It takes all cores, unless this make was given a -j of its own.
again = +@$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

all: $(PROGRAMS) ## build rolloutd, rolloutctl and rollout-localaws (the default)

demo: ## install what is missing, build, and show a service, its update and a rollback on this machine
	@conf/deps.sh build
	$(again) all hammer
	@ROLLOUT_BUILD=$(BUILD) tests/demo/run

check: ## install what is missing, build, and run every test
	@conf/deps.sh build check model host
	@tests/run

lint: ## install what is missing; formatting, layers, habits of form, clang-tidy, cppcheck
	@conf/deps.sh build lint
	$(again) lint-now
lint-now:
	@CFLAGS_LINT='$(filter-out -DROLLOUTD_VERSION%,$(CPPFLAGS_ALL)) -std=gnu17' tests/lint/run

format: ## let clang-format lay out every C file
	clang-format -i $(FORMAT_SRC)

unit: ## only the unit tests, under AddressSanitizer and UndefinedBehaviorSanitizer
	@tests/run unit
e2e: ## only the end-to-end tests: the real programs against rollout-localaws
	@tests/run e2e
valgrind: ## only the end-to-end run under valgrind
	@tests/run valgrind

check-faults: ## the programs killed at every system call, with failing disks, memory, clocks and networks (root)
	@conf/deps.sh build check
	$(again) all fault-programs
	@ROLLOUT_BUILD=$(abspath $(BUILD)) tests/faults/run

check-host: ## the units on a booted systemd, in a container: their behaviour, their sandbox, their restarts (root)
	@conf/deps.sh build host
	$(again) all
	@ROLLOUT_BUILD=$(BUILD) tests/host/run boot
check-power: ## rollouts in a virtual machine whose power is cut at 14 instants (root, QEMU, some minutes)
	@conf/deps.sh build host
	$(again) all
	@ROLLOUT_BUILD=$(BUILD) tests/host/run power
check-memory: ## a hook beyond the unit's MemoryMax=; 4,000 rollouts through one daemon under a limit of memory (root)
	@conf/deps.sh build host
	$(again) all
	@ROLLOUT_BUILD=$(BUILD) tests/host/run hungry
	@ROLLOUT_BUILD=$(BUILD) tests/host/run soak

bench-quick: ## control-plane calls a rollout; CPU of one UpdateAlias beside bare libcurl (about a minute)
	@conf/deps.sh build bench
	$(again) all bench-programs
	@ROLLOUT_BUILD=$(BUILD) tests/bench/run quick
bench-verdict: ## how often and how soon canaries are rolled back, by this judge and by four others (minutes)
	@conf/deps.sh build bench
	$(again) all bench-programs
	@$(BUILD)/bench/verdict $(RUNS)
bench: ## the same with more rounds, and a million requests through three stages over an update (some minutes)
	@conf/deps.sh build bench
	$(again) all bench-programs
	@ROLLOUT_BUILD=$(BUILD) tests/bench/run long

fuzz-quick: ## each fuzz target for FUZZ_SECONDS (8) with clang's libFuzzer
	@conf/deps.sh build fuzz
	$(again) MODE=fuzz CC=clang fuzz-programs
	@tests/fuzz/run build/fuzz $(or $(FUZZ_SECONDS),8)
fuzz-afl: ## the plan's target under AFL++ for FUZZ_SECONDS (60)
	@conf/deps.sh build afl
	$(again) MODE=afl CC=afl-clang-fast build/afl/fuzz/fuzz_plan
	@tests/fuzz/afl build/afl $(or $(FUZZ_SECONDS),60)
fuzz-long: ## the same for an hour each
	$(again) fuzz-quick FUZZ_SECONDS=$(or $(FUZZ_SECONDS),3600)

sim: ## simulate: SEEDS (250,000) fresh seeds, YEARS (25); SEED=N: one, made smaller if it fails; TRACE=1: all of it
	@conf/deps.sh build
ifdef SEED
	$(again) MODE=sim simulator
	@build/sim/sim/rollout-sim --seed $(SEED) $(if $(TRACE),--trace)
else
	@conf/deps.sh sim || echo "make sim: without libmimalloc it takes a little longer"
	$(again) MODE=sim simulator
	$(again) MODE=asan-sim simulator
	@tests/sim/run
endif
sim-planted: ## plant faults in the core, the engine and the store, one at a time; the simulator must find each
	@conf/deps.sh build
	$(again) MODE=sim simulator
	@tests/sim/planted.py
sim-hashes: ## the same 1,000 seeds give the same traces with gcc and clang, release and debug
	@conf/deps.sh build check
	@tests/sim/hashes

coverage: ## what the unit tests reach; fails unless that is every branch and condition (MC/DC) of lib/core
	@conf/deps.sh build coverage
	$(again) MODE=coverage CC=clang-19 say=@: core-decisions unit-programs
	@tests/coverage/run build/coverage

model: ## search the model of the alias protocol to its end with spin; its variants must break (two minutes)
	@conf/deps.sh model
	@tests/model/run

deps: ## install everything that building, checking, linting and fuzzing need
	@conf/deps.sh build check lint bench fuzz model host

install: all ## install under DESTDIR and PREFIX (/usr/local); an existing configuration is left as it is
	@BUILD=$(BUILD) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) SYSCONFDIR=$(SYSCONFDIR) conf/install.sh install
uninstall: ## remove what install put there; configuration and state stay
	@BUILD=$(BUILD) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) SYSCONFDIR=$(SYSCONFDIR) conf/install.sh uninstall

clean: ## remove build/
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo "  with MODE=release|debug|asan|NAME, CC=clang, Q= (show commands), WERROR=-Werror, CFLAGS=, LDFLAGS="
