#!/usr/bin/env bash
# Speed of one rank: the yardstick of the other three.
#
# usage: bench/test_single.sh [threads|processes|mpirun|all] [flags of autodist bench]
# For example: bench/test_single.sh threads --model DIR --prompt-length 512 --output-length 128
set -euo pipefail
# shellcheck source=bench/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
bench_main 1 "" "$@"
