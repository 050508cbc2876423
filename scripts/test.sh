#!/usr/bin/env bash
# Proves this checkout: installs what is missing, builds, and runs every test. Those that need a GPU
# are skipped, and say so, where there is none.
#
# usage: scripts/test.sh [--sanitizers]
#   (nothing)     the release preset and all of its tests; where nvcc is installed, the cuda preset and its tests
#   --sanitizers  the dev preset (ASan, UBSan) with the unit and parity tests, and the tsan preset with those of
#                 them that have several threads
# Exit status 0 only when every test passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stage=release
case "$#:${1-}" in
  0:) ;;
  1:--sanitizers) stage=sanitizers ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

# build PRESET TARGET [cmake arguments]
build() {
  cmake --preset "$1" --log-level=WARNING "${@:3}"
  cmake --build --preset "$1" --target "$2"
}

# The cuda preset differs from release in few files: only the program and the tests of those are built.
check_cuda() {
  if ! command -v nvcc >/dev/null && [[ ! -x /usr/local/cuda/bin/nvcc ]]; then
    echo "cuda: skipped: no nvcc on this machine"
    return
  fi
  cmake --preset cuda --log-level=WARNING -DAUTODIST_BUILD_EXAMPLES=OFF
  cmake --build --preset cuda --target autodist_program accelerator_test nccl_communicator_test device_flag_test
  run_tests cuda -L '^cuda$'
}

# run_tests PRESET [ctest arguments]: prints as it goes, and leaves a copy in build/PRESET/ctest.log.
run_tests() {
  without_aslr ctest --preset "$1" -j 2 --output-log "build/$1/ctest.log" "${@:2}"
}

# ThreadSanitizer of g++ 12 cannot place its shadow memory under the address randomisation of newer
# kernels. Switching it off for the tests alone costs nothing where it is not needed.
without_aslr() {
  if setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
    setarch "$(uname -m)" --addr-no-randomize "$@"
  else
    "$@"
  fi
}

scripts/install_deps.sh
if [[ $stage == release ]]; then
  build release all
  run_tests release
  check_cuda
else
  # MPI is left out: Open MPI is not built with the sanitizers, and no unit or parity test uses it.
  without_mpi=(-DAUTODIST_WITH_MPI=OFF -DAUTODIST_BUILD_EXAMPLES=OFF)
  build dev unit_tests "${without_mpi[@]}"
  run_tests dev -L '^(unit|parity)$'
  build tsan threaded_tests "${without_mpi[@]}"
  run_tests tsan -L '^threads$'
fi
