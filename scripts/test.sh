#!/usr/bin/env bash
# Proves this checkout: installs what is missing, builds, and runs every test that needs no GPU.
#
# usage: scripts/test.sh [--sanitizers]
#   (nothing)     the release preset and all of its tests
#   --sanitizers  the dev preset (ASan, UBSan) and the tsan preset with the unit and parity tests
# Exit status 0 only when every test passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stage=release
case "$#:${1-}" in
  0:) ;;
  1:--sanitizers) stage=sanitizers ;;
  *)
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

# build PRESET [cmake arguments]
build() {
  cmake --preset "$1" --log-level=WARNING "${@:2}"
  cmake --build --preset "$1"
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
  build release
  run_tests release
  echo "cuda: skipped: this version has no CUDA backend"
else
  # MPI is left out: Open MPI is not built with the sanitizers, and no unit or parity test uses it.
  for preset in dev tsan; do
    build "$preset" -DAUTODIST_WITH_MPI=OFF -DAUTODIST_BUILD_EXAMPLES=OFF
    run_tests "$preset" -L '^(unit|parity)$'
  done
fi
