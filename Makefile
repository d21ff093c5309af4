# SPDX-License-Identifier: GPL-2.0-or-later
# "make help" lists the targets. V=1 shows the commands, SAN=1 builds with ASan and UBSan,
# WERROR=1 turns warnings into errors (as CI does).

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
SBINDIR = $(PREFIX)/sbin
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
BASHCOMPDIR = $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR = $(PREFIX)/share/zsh/site-functions
DOCDIR = $(PREFIX)/share/doc/ipv6nat
UNITDIR = $(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(PREFIX)/lib/tmpfiles.d
SYSCONFDIR ?= /etc

CC ?= cc
PKG_CONFIG ?= pkg-config
PYTEST ?= /usr/bin/pytest-3
# -r: what failed, and what was skipped for which reason
PYTESTFLAGS := -q -p no:cacheprovider -rfEs
B := build$(if $(SAN),/san)

# ------------------------------------------------------------------- flags
LAYERS := base model wire io daemon
DAEMON_PKGS := libsystemd libcurl libmnl libnftnl jansson libmicrohttpd inih
CTL_PKGS := libsystemd libcurl jansson smartcols
ALL_PKGS := $(sort $(DAEMON_PKGS) $(CTL_PKGS))

WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wundef -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wwrite-strings -Wimplicit-fallthrough $(if $(WERROR),-Werror)
CFLAGS ?= -O2 -g
ifdef SAN
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
override CPPFLAGS += -D_GNU_SOURCE -DIPV6NAT_VERSION='"$(VERSION)"' -Iinclude -Isrc
override CFLAGS += -std=gnu17 $(WARNINGS) $(SANFLAGS)
override LDFLAGS += $(SANFLAGS)
ifneq ($(filter-out help deps deb clean,$(or $(MAKECMDGOALS),all)),)
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(ALL_PKGS) 2>/dev/null)
DAEMON_LIBS = $(shell $(PKG_CONFIG) --libs $(DAEMON_PKGS))
CTL_LIBS = $(shell $(PKG_CONFIG) --libs $(CTL_PKGS))
endif

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$1' '$2')

# ----------------------------------------------------------------- sources
objects = $(patsubst src/%.c,$(B)/%.o,$(wildcard $(foreach l,$1,src/$l/*.c)))
DAEMON_OBJS := $(call objects,$(LAYERS))
CTL_OBJS := $(call objects,base ctl)
# Tests link everything but the daemon's main(); those of pure layers link these layers alone,
# so that the link proves their purity.
TEST_OBJS := $(filter-out $(B)/daemon/main.o,$(DAEMON_OBJS))
PURE_OBJS := $(call objects,base model wire)
PURE_TESTS := inet vec facts plan decide publish sysctl-plan native leftovers refuse world ruleset ruleset-diff nft-text nft docker-json conf-ini ndppd-conf api-json api-events metrics rtnl sock-diag status strtab answers nd
TESTS := $(patsubst tests/unit/test-%.c,%,$(wildcard tests/unit/test-*.c))
FUZZERS := $(patsubst tests/fuzz/fuzz-%.c,%,$(wildcard tests/fuzz/fuzz-*.c))
BENCHES := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c))

.PHONY: all help deps check check-programs check-unit check-corpus check-rules check-net check-machine check-package check-qemu check-san \
	demo bench analyze format install uninstall deb image clean
.DELETE_ON_ERROR:

all: $(B)/ipv6natd $(B)/ipv6natctl ## build the daemon and the inspection tool

$(B)/ipv6natd: $(DAEMON_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(DAEMON_LIBS)

# From an archive, so that of wire only the part that the ctl speaks is linked.
$(B)/wire.a: $(call objects,wire)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/ipv6natctl: $(CTL_OBJS) $(B)/wire.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CTL_LIBS)

$(B)/%.o: src/%.c Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/%.o: tests/%.c Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itests $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(addprefix $(B)/test-,$(filter $(PURE_TESTS),$(TESTS))): $(B)/test-%: $(B)/tests/unit/test-%.o $(PURE_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(DAEMON_LIBS)

$(addprefix $(B)/test-,$(filter-out $(PURE_TESTS),$(TESTS))): $(B)/test-%: $(B)/tests/unit/test-%.o $(TEST_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(DAEMON_LIBS)

# Without libFuzzer a fuzzer is a program that replays the files given to it.
$(addprefix $(B)/replay-,$(FUZZERS)): $(B)/replay-%: $(B)/tests/fuzz/fuzz-%.o $(B)/tests/fuzz/replay.o $(PURE_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(DAEMON_LIBS)

$(addprefix $(B)/bench-,$(BENCHES)): $(B)/bench-%: $(B)/tests/bench/%.o $(TEST_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(DAEMON_LIBS)

$(B)/lab-fake-engine: $(B)/tests/lab/guest/fake-engine.o $(PURE_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(DAEMON_LIBS)

-include $(wildcard $(B)/*/*.d $(B)/tests/*/*.d $(B)/tests/*/*/*.d)

# ------------------------------------------------------------------- tests
# What follows on a fresh system first installs what is missing; the second make sees it.
deps: ## install what building and testing needs (apt; elsewhere: print the list)
	$(Q)contrib/install-deps

check: deps ## all tests, as root; installs what is missing
	$(Q)$(MAKE) --no-print-directory -j $$(nproc) all check-programs
	$(Q)$(MAKE) --no-print-directory check-rules check-unit check-corpus check-net check-machine

demo: deps ## shows the main job with real traffic, as root; installs what is missing
	$(Q)$(MAKE) --no-print-directory -j $$(nproc) all
	$(Q)tests/lab/demo.py

bench: deps ## the numbers, as ratios measured side by side (QUICK=1: in two minutes)
	$(Q)$(MAKE) --no-print-directory all $(addprefix $(B)/bench-,$(BENCHES))
	$(Q)IPV6NATD=$(or $(IPV6NATD),$(abspath $(B)/ipv6natd)) \
		tests/bench/bench.py $(if $(QUICK),--quick) --programs $(B)

check-programs: $(addprefix $(B)/test-,$(TESTS)) $(addprefix $(B)/replay-,$(FUZZERS))

check-unit: $(addprefix $(B)/test-,$(TESTS)) ## unit tests, some of them on the real kernel
	$(Q)for t in $^; do $$t >$(B)/test.log 2>&1 || { cat $(B)/test.log; exit 1; }; \
		awk -v test=$$t '/^.  PASSED/ || /^SKIP/ { print test, $$0 } \
			/^.  SKIPPED . test_/ && reason !~ /SKIPPED/ { print "   ", $$4, "skipped:", reason } \
			{ reason = $$0 }' $(B)/test.log; done

check-corpus: $(addprefix $(B)/replay-,$(FUZZERS)) ## the fuzzers' corpora
	$(Q)for f in $(FUZZERS); do $(B)/replay-$$f tests/fuzz/corpus/$$f/* || exit 1; done

check-rules: all ## layers, names, documents, shell scripts
	$(Q)tests/check/run

check-net: all ## network tests on a real Docker Engine (ENGINE=20.10, 26.1 or 28.5)
	$(Q)cd tests/net && IPV6NATD=$(or $(IPV6NATD),$(abspath $(B)/ipv6natd)) \
		IPV6NATCTL=$(or $(IPV6NATCTL),$(abspath $(B)/ipv6natctl)) \
		$(PYTEST) $(PYTESTFLAGS) --engine $(or $(ENGINE),20.10) $(TESTARGS)

check-machine: all ## as a service in a Debian with systemd (nspawn) and a real Docker Engine
	$(Q)cd tests/machine && $(PYTEST) $(PYTESTFLAGS) --ignore=test_package.py $(TESTARGS)

check-package: ## the Debian package: built, installed, upgraded and removed on Debian 12 and 13
	$(Q)cd tests/machine && $(PYTEST) $(PYTESTFLAGS) test_package.py $(TESTARGS)

QEMU_TESTS := $(addprefix $(B)/test-,nft-text $(filter %-kernel,$(TESTS)))
check-qemu: all $(B)/lab-fake-engine $(QEMU_TESTS) ## kernel tests, and odd uplinks, on Debian's kernels in qemu
	$(Q)tests/lab/qemu.sh --programs $(B) $(KERNEL)

check-san: deps ## unit tests, corpora and network tests under ASan and UBSan
	$(Q)$(MAKE) --no-print-directory -j $$(nproc) SAN=1 all check-programs
	$(Q)$(MAKE) --no-print-directory SAN=1 check-unit check-corpus check-net

analyze: ## clang-format, clang-tidy, cppcheck
	$(Q)contrib/install-deps analyze
	$(Q)tests/check/analyze

format: ## format all C files
	clang-format -i $$(git ls-files '*.c' '*.h')

# -------------------------------------------------------------- installing
UNITS := ipv6natd.service ipv6natd-off.service
EXAMPLES := grafana prometheus

install: all ## install below $(DESTDIR)$(PREFIX)
	install -D -m 755 $(B)/ipv6natd $(DESTDIR)$(SBINDIR)/ipv6natd
	install -D -m 755 $(B)/ipv6natctl $(DESTDIR)$(BINDIR)/ipv6natctl
	install -D -m 644 man/ipv6natd.8 $(DESTDIR)$(MANDIR)/man8/ipv6natd.8
	install -D -m 644 man/ipv6natctl.1 $(DESTDIR)$(MANDIR)/man1/ipv6natctl.1
	install -D -m 644 man/ipv6nat.conf.5 $(DESTDIR)$(MANDIR)/man5/ipv6nat.conf.5
	install -D -m 644 contrib/completion/ipv6natctl.bash $(DESTDIR)$(BASHCOMPDIR)/ipv6natctl
	ln -sf ipv6natctl $(DESTDIR)$(BASHCOMPDIR)/ipv6natd
	install -D -m 644 contrib/completion/_ipv6natctl $(DESTDIR)$(ZSHCOMPDIR)/_ipv6natctl
	for directory in $(EXAMPLES); do \
		install -D -m 644 -t $(DESTDIR)$(DOCDIR)/examples/$$directory contrib/$$directory/* || exit 1; done
	install -d $(DESTDIR)$(UNITDIR)
	for unit in $(UNITS); do \
		sed 's|/usr/sbin/|$(SBINDIR)/|; s|/usr/bin/|$(BINDIR)/|' systemd/$$unit \
			>$(DESTDIR)$(UNITDIR)/$$unit && chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; done
	install -D -m 644 systemd/ipv6nat.sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/ipv6nat.conf
	install -D -m 644 systemd/ipv6nat.tmpfiles.conf $(DESTDIR)$(TMPFILESDIR)/ipv6nat.conf
	install -d $(DESTDIR)$(SYSCONFDIR)/ipv6nat/ipv6nat.conf.d
	test -e $(DESTDIR)$(SYSCONFDIR)/ipv6nat/ipv6nat.conf || \
		install -D -m 644 contrib/ipv6nat.conf $(DESTDIR)$(SYSCONFDIR)/ipv6nat/ipv6nat.conf

uninstall: ## remove what install has put there, but for the configuration
	rm -f $(DESTDIR)$(SBINDIR)/ipv6natd $(DESTDIR)$(BINDIR)/ipv6natctl \
		$(DESTDIR)$(MANDIR)/man8/ipv6natd.8 $(DESTDIR)$(MANDIR)/man1/ipv6natctl.1 \
		$(DESTDIR)$(MANDIR)/man5/ipv6nat.conf.5 $(UNITS:%=$(DESTDIR)$(UNITDIR)/%) \
		$(DESTDIR)$(SYSUSERSDIR)/ipv6nat.conf $(DESTDIR)$(TMPFILESDIR)/ipv6nat.conf \
		$(DESTDIR)$(BASHCOMPDIR)/ipv6natctl $(DESTDIR)$(BASHCOMPDIR)/ipv6natd $(DESTDIR)$(ZSHCOMPDIR)/_ipv6natctl
	rm -rf $(DESTDIR)$(DOCDIR)

# The whole tree with contrib/debian as debian/, so that the source package builds anywhere.
DEB_TREE := build/deb/ipv6nat-$(VERSION)
deb: ## Debian packages, binary and source, in build/deb (DEBFLAGS: for dpkg-buildpackage)
	$(Q)contrib/install-deps package
	$(Q)rm -rf build/deb
	$(Q)mkdir -p $(DEB_TREE)
	$(Q)tar -c --exclude=__pycache__ COPYING Makefile README.md contrib include man src systemd tests | \
		tar -x -C $(DEB_TREE)
	$(Q)mv $(DEB_TREE)/contrib/debian $(DEB_TREE)/debian
	$(Q)cd $(DEB_TREE) && env -u MAKEFLAGS -u MAKELEVEL dpkg-buildpackage -us -uc $(DEBFLAGS)

image: all ## container image, loaded into the local engine (IMAGE=FILE.tar: a file for docker load)
	$(Q)contrib/docker/image $(VERSION) $(B)/ipv6natd $(B)/ipv6natctl $(or $(IMAGE),$(B)/image.tar)
	$(if $(IMAGE),,$(Q)docker load --input $(B)/image.tar)

clean: ## remove build products
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
