#!/usr/bin/env bash
# Starts one rank of two under gdb, in this terminal. The scripts beside it call it:
#
#   terminal 1: scripts/debug/run_tp_rank0.sh        terminal 2: scripts/debug/run_tp_rank1.sh
#
# and likewise run_pp_rank0.sh and run_pp_rank1.sh. Then `run` in both, in any order; the ranks meet through
# MASTER_ADDR and MASTER_PORT. Both have a day of patience with a peer that stands at a breakpoint.
#
# usage: run_rank.sh tp|pp RANK [flags of autodist generate]
# Without flags it continues "Once upon a time," with the bundled model; both ranks need the same flags.
# The program is built for debugging in build/debug. $GDB is the debugger, with flags if you like.
set -euo pipefail

if (($# < 2)) || [[ $1 != tp && $1 != pp ]] || [[ $2 != 0 && $2 != 1 ]]; then
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
axis=$1
rank=$2
shift 2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if (($# == 0)); then
  set -- --prompt "Once upon a time,"
fi

# Both terminals build; the second one waits and finds nothing to do.
mkdir -p "$root/build"
(
  flock 9
  cd "$root"
  if [[ ! -e build/debug/CMakeCache.txt ]]; then
    cmake --preset debug --log-level=WARNING
  fi
  cmake --build --preset debug --target autodist_program
) 9>"$root/build/debug.lock"

export RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=2 LOCAL_WORLD_SIZE=2
export MASTER_ADDR=${MASTER_ADDR:-127.0.0.1} MASTER_PORT=${MASTER_PORT:-29500}
read -ra debugger <<<"${GDB:-gdb -quiet}"
exec "${debugger[@]}" --args "$root/build/debug/autodist" generate "--$axis" 2 \
  --collective-timeout 86400 "$@"
