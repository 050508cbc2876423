# shellcheck shell=bash
# Sourced by the scripts beside it: starts the program on a number of ranks in each of the three ways.
#
# run_threads|run_processes|run_mpirun RANKS COMMAND [FLAG...]   e.g. run_mpirun 2 bench --tp 2
#
# `autodist bench` in one way or all:
# bench_main RANKS MESH_FLAGS [LAUNCHER] [FLAG...]
#   MESH_FLAGS  one word, such as "--tp 2 --pp 2"
#   LAUNCHER    threads    rank threads of one process
#               processes  one process per rank with torchrun's variables, started by this script
#               mpirun     one process per rank, started by Open MPI
#               all        the three, one after the other (default)
#   FLAG...     further flags of `autodist bench`
# The program is build/release/autodist, or $AUTODIST.

program=${AUTODIST:-$(dirname "${BASH_SOURCE[0]}")/../build/release/autodist}

run_threads() {
  "$program" "${@:2}"
}

run_processes() {
  local ranks=$1 port=${MASTER_PORT:-$((20000 + $$ % 20000))} pids=() status=0 rank pid
  for ((rank = 0; rank < ranks; ++rank)); do
    RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=$ranks LOCAL_WORLD_SIZE=$ranks \
      MASTER_ADDR=127.0.0.1 MASTER_PORT=$port "$program" "${@:2}" &
    pids+=($!)
  done
  trap 'kill "${pids[@]}" 2>/dev/null' INT TERM
  for pid in "${pids[@]}"; do
    wait "$pid" || status=$?
  done
  trap - INT TERM
  return "$status"
}

run_mpirun() {
  # Open MPI refuses to start ranks as root without these two; more ranks than cores it refuses without --oversubscribe.
  local as_root=()
  if ((EUID == 0)); then
    as_root=(env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1)
  fi
  "${as_root[@]}" mpirun --oversubscribe --bind-to none -n "$1" "$program" "${@:2}"
}

bench_main() {
  local ranks=$1 mesh launchers=(threads processes mpirun) launcher
  read -ra mesh <<<"$2"
  shift 2
  case "${1-}" in
    threads | processes | mpirun) launchers=("$1"); shift ;;
    all) shift ;;
  esac
  if [[ ! -x $program ]]; then
    echo "$program does not exist: run scripts/demo.sh, or set AUTODIST" >&2
    return 1
  fi
  for launcher in "${launchers[@]}"; do
    echo "== $ranks rank(s) as $launcher =="
    "run_$launcher" "$ranks" bench "${mesh[@]}" "$@"
  done
}
