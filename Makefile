# SPDX-License-Identifier: GPL-2.0-or-later
# Set-up, tests, the demonstration, installation and packages. What is made lies in the checkout.

PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
# Debian packages: each target installs what it needs, and nothing for the others.
PACKAGES_venv := python3 python3-venv
PACKAGES_deb := $(PACKAGES_venv) build-essential debhelper dh-python dpkg-dev pkgconf systemd
PACKAGES_rpm := $(PACKAGES_venv) rpm systemd
# What the generator reads and calls, and the machine of the tests.
PACKAGES_demo := $(PACKAGES_venv) busybox-static debootstrap e2fsprogs fdisk kexec-tools kmod libarchive13 \
	libdeflate0 liblzo2-2 libsnappy1v5 libzstd1 linux-image-amd64 makedumpfile qemu-system-x86 util-linux \
	xz-utils zlib1g zstd
PACKAGES_test := $(sort $(PACKAGES_demo) $(PACKAGES_deb) $(PACKAGES_rpm)) btrfs-progs bzip2 cpio dosfstools f2fs-tools \
	cryptsetup-bin fish git initramfs-tools-core jfsutils mtools xfsprogs lintian lz4 lzop man-db python3-jinja2 python3-libarchive-c python3-pyelftools python3-rpm qemu-system-arm shellcheck zsh
# The machines of other architectures, and a kernel of the tests' own.
PACKAGES_ports := bc bison flex gcc-aarch64-linux-gnu gcc-s390x-linux-gnu qemu-system-misc qemu-system-ppc qemu-user

VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' kdump_initrd/__init__.py)
.PHONY: help demo test test-full check bench setup clean groups test-debian-python
.PHONY: install uninstall completions dist deb rpm
help:
	@echo 'make demo       crash a Debian system in QEMU and read its dump back (about five minutes the first time)'
	@echo 'make test       all tests but the slow rows, QEMU ones included (about 14 minutes)'
	@echo 'make test-full  every test; GROUP=NAME for those of one group:'
	@echo '                $(sort $(GROUPS))'
	@echo 'make check      lint, types, unit tests (four minutes)'
	@echo 'make bench      the figures of docs/architecture.md, measured here and now'
	@echo 'make deb        dist/kdump-initrd_$(VERSION)_all.deb'
	@echo 'make rpm        dist/kdump-initrd-$(VERSION)-1.*.noarch.rpm, for Fedora and RHEL and for SUSE'
	@echo 'make install    into $$(DESTDIR)$$(PREFIX), with the hooks of FAMILY=arch, debian, redhat or suse;'
	@echo '                make uninstall, with the same words, takes it away'

setup: packages-test $(VENV)/ready

# Asks apt only for what is missing: without network an equipped machine still works. One at a time.
packages-%:
	@mkdir -p build && exec 9>build/packages.lock && flock 9 && \
	missing=$$(for p in $(PACKAGES_$*); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "Installing" $$missing && apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; fi

# After the packages where both are wanted: a venv needs one of them.
$(VENV)/ready: pyproject.toml | packages-venv
	@echo 'Installing the test tools of pyproject.toml into $(VENV)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e '.[test]'
	@touch $@

demo: packages-demo $(VENV)/ready
	$(BIN)/python -m tests.vm.demo

PYTEST := $(BIN)/pytest --dist worksteal

# By another name: a line with that of make itself is run by `make -n`, too.
BESIDE := $(MAKE) --no-print-directory test-debian-python PROCESSES=1
# Three tests at a time for two processors, as many wait for a clock or a disk. The machines begin, two
# at a time (tests/conftest.py): more would wait for one another.
test: setup
	@mkdir -p build
	$(BESIDE) DEBIAN_TESTS='$(LIBRARIES_TESTS)' >build/debian-python.log 2>&1 & debian=$$!; \
	$(PYTEST) -n 3 -m 'not full'; status=$$?; \
	wait $$debian || status=1; cat build/debian-python.log; exit $$status

# The groups of `make test-full`: each can be run by itself.
GROUP ?=
GROUPS := units saver disks faults firstkernel profiles ports packages newcomer
TESTS_units := tests/roots tests/bootloaders tests/unit tests/config tests/grammar tests/golden_images $(wildcard tests/test_*.py)
TESTS_saver := tests/saver
TESTS_faults := $(wildcard tests/vm/test_fail*.py tests/vm/test_fault*.py)
TESTS_firstkernel := $(addprefix tests/vm/test_,firstkernel.py kernelline.py)
TESTS_profiles := tests/vm/test_profiles.py
# Whatever else a machine is crashed for.
TESTS_disks := $(filter-out $(TESTS_faults) $(TESTS_firstkernel) $(TESTS_profiles),$(wildcard tests/vm/test_*.py))
TESTS_ports := tests/ports
TESTS_packages := tests/packaging tests/install
TESTS_newcomer := tests/newcomer
ifneq ($(filter-out $(GROUPS),$(GROUP)),)
$(error GROUP=$(GROUP): expected one of $(sort $(GROUPS)))
endif

groups: # what tests/test_groups.py reads
	@$(foreach group,$(GROUPS),echo '$(group): $(TESTS_$(group))';)

test-full: setup $(if $(filter-out ports,$(GROUP)),,packages-ports)
	$(PYTEST) -n 2 $(TESTS_$(GROUP))
	$(if $(filter-out units,$(GROUP)),,$(MAKE) --no-print-directory test-debian-python)

check: setup
	$(PYTEST) -n 3 -m 'not qemu and not full' --ignore tests/packaging -q

bench: setup
	@missed=0; for script in size build saver restart reservation arming status; do \
		$(BIN)/python -m tests.bench.$$script || missed=1; done; exit $$missed

# What the .deb gets: Debian's own libarchive-c, pyelftools and Jinja; only the test tools are newer.
DEBIAN_VENV := build/debian-python
DEBIAN_TESTS := tests/unit tests/grammar tests/config tests/golden_images
# Those that are about the libraries, and whole images, but not what the same texts do when they run.
LIBRARIES_TESTS := $(filter-out %/test_runs.py,$(wildcard tests/golden_images/test_*.py)) \
	$(patsubst %,tests/unit/test_%.py,capture cpio elf listing render segments)
PROCESSES := 2
test-debian-python: setup $(DEBIAN_VENV)/ready
	$(DEBIAN_VENV)/bin/python -m pytest -n $(PROCESSES) -m 'not full and not qemu' -p tests.packaging.debian_libraries \
		$(DEBIAN_TESTS)

$(DEBIAN_VENV)/ready: Makefile
	/usr/bin/python3 -m venv --clear --system-site-packages $(DEBIAN_VENV)
	$(DEBIAN_VENV)/bin/pip install -q drgn hypothesis pytest pytest-timeout pytest-xdist
	@touch $@

# --- Installation: this is the one list of what is installed where; the packages use it, too. ---
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib/kdump-initrd
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/kdump-initrd
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
# systemd looks in /usr, /usr/local and /etc only; kernel-install and pacman in /usr and /etc.
UNITDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib,$(SYSCONFDIR))/systemd/system
UDEVDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/lib,$(SYSCONFDIR))/udev/rules.d
KERNELINSTALLDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/lib,$(SYSCONFDIR))/kernel/install.d
ALPMDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/share/libalpm,$(SYSCONFDIR)/pacman.d)/hooks
# The interpreter of the commands.
PYTHON3 ?= /usr/bin/python3
# A Python with shtab 1.13 or newer; empty: no completions.
SHTAB ?= $(SHTAB_VENV)/bin/python
SHTAB_VENV := build/shtab
# Whose hooks for new kernels; empty: none, the service is enough.
FAMILY ?=
FAMILIES := arch debian redhat suse

# What hooks and units call: by its place where no PATH of a package manager leads to it.
CALLED = $(if $(filter /usr/sbin /usr/bin /usr/local/sbin /usr/local/bin,$(SBINDIR)),,$(SBINDIR)/)
CALLS := command -v |! |^Exec[A-Za-z]+=

# Each is SOURCE=TARGET; the commands' source is the module that they start.
COMMANDS := mkinitrd=$(SBINDIR)/mkinitrd-kdump admin=$(SBINDIR)/kdump-initrd vmcore=$(BINDIR)/vmcore-save
PAGES := $(foreach page,$(wildcard docs/man/*.[1-9]),$(page)=$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))
TEXTS := $(foreach text,README.md $(wildcard docs/*.md docs/examples/*),$(text)=$(DOCDIR)/$(text:docs/%=%))
COMPLETIONS := $(if $(SHTAB),$(foreach name,$(notdir $(COMMANDS)),build/completions/bash/$(name)=$(BASHDIR)/$(name) \
	build/completions/zsh/_$(name)=$(ZSHDIR)/_$(name) build/completions/fish/$(name).fish=$(FISHDIR)/$(name).fish))
UNITS := $(foreach unit,$(wildcard hooks/host/systemd/*),$(unit)=$(UNITDIR)/$(notdir $(unit)))
RULES := $(foreach rules,$(wildcard hooks/host/udev/*.rules),$(rules)=$(UDEVDIR)/$(notdir $(rules)))
# Programs.
HOOKS_arch := hooks/host/kernels-changed=$(LIBDIR)/kernels-changed
HOOKS_debian := hooks/host/debian/kernel-postinst=$(SYSCONFDIR)/kernel/postinst.d/zz-kdump-initrd \
	hooks/host/debian/kernel-postrm=$(SYSCONFDIR)/kernel/postrm.d/zz-kdump-initrd \
	hooks/host/debian/initramfs-post-update=$(SYSCONFDIR)/initramfs/post-update.d/kdump-initrd
HOOKS_redhat := hooks/host/redhat/95-kdump-initrd.install=$(KERNELINSTALLDIR)/95-kdump-initrd.install
# What the file triggers of its package call.
HOOKS_suse := hooks/host/kernels-changed=$(LIBDIR)/kernels-changed
TEXTS_arch := hooks/host/arch/95-kdump-initrd.hook=$(ALPMDIR)/95-kdump-initrd.hook

$(SHTAB_VENV)/ready: pyproject.toml | packages-venv
	$(PYTHON) -m venv $(SHTAB_VENV)
	$(SHTAB_VENV)/bin/pip install -q 'shtab>=1.13'
	@touch $@

completions: $(if $(filter $(SHTAB_VENV)/bin/python,$(SHTAB)),$(SHTAB_VENV)/ready)
	$(if $(SHTAB),$(SHTAB) docs/completions.py build/completions)

install: completions
	$(if $(filter-out $(FAMILIES),$(FAMILY)),$(error FAMILY=$(FAMILY): expected one of $(FAMILIES)))
	@install -d "$(DESTDIR)$(LIBDIR)"
	@umask 022; find kdump_initrd templates hooks distros -type f ! -path '*/__pycache__/*' ! -name '*~' \
		! -path 'hooks/host/*' ! -path 'distros/*/packaging/*' \
		| tar --create --files-from=- --mode=u=rwX,go=rX \
		| tar --extract --directory="$(DESTDIR)$(LIBDIR)" --preserve-permissions --no-same-owner --touch
	@for each in $(COMMANDS); do \
		install -D -m 755 distros/linux/packaging/starter "$(DESTDIR)$${each#*=}" && \
		sed -i "s|@PYTHON@|$(PYTHON3)|; s|@LIBDIR@|$(LIBDIR)|; s|@COMMAND@|$${each%%=*}|" \
			"$(DESTDIR)$${each#*=}" || exit 1; done
	@for each in $(HOOKS_$(FAMILY)); do install -D -m 755 "$${each%%=*}" "$(DESTDIR)$${each#*=}" || exit 1; done
	@for each in $(PAGES) $(TEXTS) $(TEXTS_$(FAMILY)) $(COMPLETIONS) $(UNITS) $(RULES); do \
		install -D -m 644 "$${each%%=*}" "$(DESTDIR)$${each#*=}" || exit 1; done
	@for each in $(HOOKS_$(FAMILY)) $(TEXTS_$(FAMILY)) $(UNITS) $(RULES); do \
		sed -E -i 's#($(CALLS))(mkinitrd-kdump|kdump-initrd) #\1$(CALLED)\2 #; s#/usr/lib/kdump-initrd/#$(LIBDIR)/#' \
			"$(DESTDIR)$${each#*=}" || exit 1; done
	@$(if $(DESTDIR),,echo 'Installed; now: systemctl enable $(notdir $(wildcard hooks/host/systemd/*.service)); $(CALLED)mkinitrd-kdump --refresh')

# What install would put there. Images that are still there are for mkinitrd-kdump --remove, before;
# key slots of LUKS volumes for kdump-initrd luks-remove --all.
uninstall:
	@set -eu; list=$$(mktemp -d); trap 'rm -rf "$$list"' EXIT; $(MAKE) -s install DESTDIR="$$list"; \
	find "$$list" -type f -printf '%P\n' | while read -r file; do rm -f "$(DESTDIR)/$$file"; done; \
	find "$$list" -depth -type d -printf '/%P/\n' | while read -r folder; do case $$folder in \
		"$(LIBDIR)/"*|"$(DOCDIR)/"*) rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$folder";; esac; done

# --- Packages: each is made from the archive of the sources, in build/, and lies in dist/. ---
DIST ?= dist
# The last commit's time (in an unpacked archive its files'): the same sources make the same packages.
dist deb rpm: export SOURCE_DATE_EPOCH ?= $(or $(shell git -c safe.directory='*' log -1 --format=%ct 2>/dev/null), \
	$(shell stat -c %Y kdump_initrd/__init__.py))
TREE := kdump-initrd-$(VERSION)
dist:
	@mkdir -p $(DIST)
	@tar --create --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=gnu \
		--mtime=@$(SOURCE_DATE_EPOCH) --exclude=__pycache__ --exclude='*~' --transform='s|^|$(TREE)/|' \
		kdump_initrd templates hooks distros docs tests Makefile LICENSE README.md pyproject.toml .gitignore \
		| gzip -n > $(DIST)/$(TREE).tar.gz

deb: packages-deb $(SHTAB_VENV)/ready dist
	rm -rf build/deb && mkdir -p build/deb && tar -C build/deb -xf $(DIST)/$(TREE).tar.gz
	cp -r distros/debian/packaging build/deb/$(TREE)/debian
	cd build/deb/$(TREE) && SHTAB=$(CURDIR)/$(SHTAB_VENV)/bin/python dpkg-buildpackage --build=binary --no-sign
	cp build/deb/*.deb $(DIST)/

# What tells the spec whose rpm it is for; the distributions' own rpm says that itself.
RPM_redhat := --define 'rhel 10' --define 'dist .redhat'
RPM_suse := --define 'suse_version 1600' --define 'dist .suse'
# Debian's rpm compresses manual pages by a script that wants bash, and asks for another shell.
RPM := rpmbuild -bb --nodeps --quiet --define '_topdir $(CURDIR)/build/rpm' \
	--define '_tmppath $(CURDIR)/build/rpm/tmp' --define '_sourcedir $(abspath $(DIST))' \
	--define '_rpmdir $(abspath $(DIST))' --define '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
	--define '_buildhost localhost' --define 'use_source_date_epoch_as_buildtime 1' \
	--define 'clamp_mtime_to_source_date_epoch 1' --define 'shtab $(CURDIR)/$(SHTAB_VENV)/bin/python' \
	--define '__brp_compress bash %{_rpmconfigdir}/brp-compress %{?_prefix}'
rpm: packages-rpm $(SHTAB_VENV)/ready dist
	rm -rf build/rpm && mkdir -p build/rpm/tmp
	$(RPM) $(RPM_redhat) distros/redhat/packaging/kdump-initrd.spec
	$(RPM) $(RPM_suse) distros/redhat/packaging/kdump-initrd.spec

clean:
	rm -rf $(VENV) build dist
