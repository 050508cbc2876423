#!/usr/bin/env bash
# From a fresh Debian 12 machine to text: installs what is missing, builds, and runs the bundled model on
# four ranks, tensor-parallel over two and pipeline-parallel over two: the plan, the text, the timing.
#
# usage: scripts/demo.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if (($# != 0)); then
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

scripts/install_deps.sh
if [[ ! -e build/release/CMakeCache.txt ]]; then
  cmake --preset release --log-level=WARNING >&2
fi
cmake --build --preset release --target autodist_program >&2

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}
run build/release/autodist plan models/story-2m --tp 2 --pp 2
run build/release/autodist generate models/story-2m --tp 2 --pp 2 --prompt "Once upon a time,"
