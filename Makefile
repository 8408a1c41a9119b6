# SPDX-License-Identifier: GPL-2.0-or-later
# Set-up, tests and the demonstration. Everything lives in the checkout but Debian's packages.

PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := busybox-static bzip2 cpio debootstrap e2fsprogs fdisk git initramfs-tools-core kexec-tools kmod \
	libarchive13 libdeflate0 liblzo2-2 libsnappy1v5 libzstd1 linux-image-amd64 lz4 lzop makedumpfile man-db python3 \
	python3-venv qemu-system-x86 shellcheck util-linux xz-utils zlib1g zstd

.PHONY: help demo test test-full check bench setup packages clean
help:
	@echo 'make demo       crash a kernel in QEMU and read its dump back (about two minutes)'
	@echo 'make test       all tests but the slow rows, QEMU ones included (at most 20 minutes)'
	@echo 'make test-full  every test'
	@echo 'make check      lint, types, unit tests (a minute and a half)'
	@echo 'make bench      the figures of docs/architecture.md, measured here and now'

setup: packages $(VENV)/ready

# Asks apt only for what is missing: without network an equipped machine still works.
packages:
	@missing=$$(for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "Installing" $$missing && apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; fi

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e '.[test]'
	@touch $@

demo: setup
	$(BIN)/python -m tests.vm.demo

test: setup
	$(BIN)/pytest -m 'not full'

test-full: setup
	$(BIN)/pytest

check: setup
	$(BIN)/pytest -m 'not qemu and not full' -q

bench: setup
	@missed=0; for script in size build saver restart reservation arming; do \
		$(BIN)/python -m tests.bench.$$script || missed=1; done; exit $$missed

clean:
	rm -rf $(VENV) build dist
