#!/usr/bin/env bash
# Speed of two stages of two tensor-parallel ranks each.
#
# usage: bench/test_pp_tp_dist.sh [threads|processes|mpirun|all] [flags of autodist bench]
# For example: bench/test_pp_tp_dist.sh threads --model DIR --prompt-length 512 --output-length 128
set -euo pipefail
# shellcheck source=bench/launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
bench_main 4 "--tp 2 --pp 2 --batch-size 2" "$@"
