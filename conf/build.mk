# Compiler flags of each MODE. Q=  shows the commands.
Q ?= @
say = @printf '  %-4s %s\n'

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wundef -Wvla -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wformat=2
WERROR ?= $(if $(CI),-Werror)

CPPFLAGS_ALL := -Ilib -I. -D_GNU_SOURCE -DROLLOUTD_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CPPFLAGS)
CFLAGS_BASE := -std=gnu17 -g $(WARN) $(WERROR) -fno-common -fvisibility=hidden
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm

ifeq ($(MODE),asan)
CFLAGS_MODE := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_MODE := -fsanitize=address,undefined
else ifeq ($(MODE),debug)
CFLAGS_MODE := -O0
else
CFLAGS_MODE := -O2 -fPIE -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 -ftrivial-auto-var-init=zero
LDFLAGS_MODE := -pie -Wl,-z,relro,-z,now,--as-needed
endif

CFLAGS_ALL := $(CFLAGS_BASE) $(CFLAGS_MODE) $(CFLAGS)
LDFLAGS_ALL := $(LDFLAGS_MODE) $(LDFLAGS)
