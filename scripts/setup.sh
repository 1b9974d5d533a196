#!/usr/bin/env bash
# Installs what the build needs beside the Rust toolchain: a C compiler with its headers (for
# secp256k1, blst, c-kzg, zstd, mimalloc, MDBX and the keccak assembly) and pkg-config, and npm for
# the clients that the tests drive a node with. Does nothing where they are present. Runs as root or
# through sudo; Debian and its derivatives.
set -euo pipefail

missing=()

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

if ! command -v apt-get >/dev/null; then
    echo "setup: please install: ${missing[*]} (no apt-get on this system)" >&2
    exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: please install as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "setup: installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
