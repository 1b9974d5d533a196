#!/usr/bin/env bash
# Installs what the build needs beside the Rust toolchain: a C compiler with its headers (for
# secp256k1, blst, c-kzg, zstd, mimalloc, MDBX and the keccak assembly) and pkg-config, and npm for
# the clients that the tests drive a node with. `setup.sh browser` installs Chromium instead, for the
# tests that need it: where that fails they are skipped, and say so. Does nothing where the packages
# are present. Runs as root or through sudo; Debian and its derivatives.
set -euo pipefail

missing=()

# Installs packages; says what to do and fails where it cannot.
install() {
    if ! command -v apt-get >/dev/null; then
        echo "setup: please install: $* (no apt-get on this system)" >&2
        return 1
    fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "setup: please install as root: apt-get install $*" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "setup: installing $*" >&2
    "${as_root[@]}" apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq \
            --no-install-recommends "$@" >/dev/null
}

if [ "${1-}" = browser ]; then
    for name in chromium-headless-shell chromium chromium-browser google-chrome; do
        if command -v "$name" >/dev/null; then
            exit 0
        fi
    done
    install chromium-headless-shell || install chromium ||
        echo "setup: THERE IS NO CHROMIUM: the tests of the dapp will be skipped" >&2
    exit 0
fi

compiles_c() {
    printf '#include <stdio.h>\nint main(void) { return 0; }\n' |
        cc -x c -fsyntax-only - 2>/dev/null
}

if ! command -v cc >/dev/null || ! compiles_c; then
    missing+=(build-essential)
fi
command -v pkg-config >/dev/null || missing+=(pkg-config)

command -v npm >/dev/null || missing+=(nodejs npm)

if ! command -v cargo >/dev/null; then
    echo "setup: cargo is not on the path; install Rust from https://rustup.rs first" >&2
    exit 1
fi

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

install "${missing[@]}"
