#!/bin/sh
# Makes the block fixtures in testdata/ again. They follow from the arguments below, so that the
# result differs from what is committed only when the generator or its contracts changed.
set -eu
cd "$(dirname "$0")/.."

cargo build --bin warpline

make() { # FILE WORKLOAD TRANSACTIONS [OPTION…]
    file=testdata/$1.json.zst workload=$2 txs=$3
    shift 3
    "${CARGO_TARGET_DIR:-target}/debug/warpline" bench "$workload" --txs "$txs" --hot-ratio 0.3 --seed 1 --emit "$file" "$@"
}

make transfers transfers 300
make erc20 erc20 200
make dex dex 150
make dex-ticks dex-ticks 80
make lending lending 120
make mixed mixed 200
make homestead erc20 40 --rules homestead
