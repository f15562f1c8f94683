#!/usr/bin/env bash
# All tests with AddressSanitizer: what is unsafe here (the map and its guard) and in the
# dependencies (libyaml, ciphers, tables).
#
#   tests/asan.sh [ARGUMENTS OF cargo test]
#
# Needs a nightly toolchain. Builds in a folder of its own.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${ASAN_TARGET_DIR:-target/asan}
export RUSTFLAGS=-Zsanitizer=address CARGO_PROFILE_DEV_DEBUG=line-tables-only
# The program has a handler of its own for SIGBUS, which is under test. What threads on
# their way out still hold would count as a leak.
export ASAN_OPTIONS=handle_sigbus=0:detect_leaks=0:${ASAN_OPTIONS:-}
exec cargo +nightly test --no-fail-fast --target "$triple" --lib --bins --tests "$@"
