# The commands that everyone uses; each is a script in scripts/ that can be run by hand as well.
#
# The build itself is CMake's and cargo's: see CMakeLists.txt and Cargo.toml.

PREFIX ?= /usr/local
# Given on the command line, it reaches the scripts (and so cmake --install).
export DESTDIR

.DEFAULT_GOAL := help
.PHONY: help demo install build setup test bench fmt lint clean

help: ## show this
	@echo "usage: make TARGET"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## install to ./dist, then show what the library does, program by program
	@scripts/setup --demo
	@scripts/demo

install: ## build and install below PREFIX (default /usr/local); DESTDIR is respected
	@scripts/setup
	@scripts/install "$(PREFIX)"

build: ## build the release libraries in build/release
	@scripts/setup
	@scripts/install --build-only

setup: ## install by apt and rustup what a build needs and this machine lacks
	@scripts/setup

test: ## run everything: lints, Rust, C and C++ tests, package, examples
	@scripts/setup --test
	@scripts/test

bench: ## measure, beside gRPC, a bare epoll loop, nginx and threads
	@scripts/setup --bench
	@scripts/bench

fmt: ## format the Rust, C and C++ sources
	@scripts/fmt

lint: ## the checks of `make test` that are quick
	@scripts/test fmt shell clippy layering version docs

clean: ## remove what builds have made
	rm -rf build dist target
