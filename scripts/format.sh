#!/usr/bin/env bash
# Formats the C++ sources with .clang-format.
#
# usage: scripts/format.sh [--check]
#   (nothing)  rewrites the files
#   --check    changes nothing, lists the files that differ, and fails if there are any
# Needs clang-format 14 or newer (Debian package clang-format).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v clang-format >/dev/null || { echo "format.sh: clang-format is not installed" >&2; exit 1; }
mapfile -t sources < <(git ls-files '*.h' '*.cc')
case "$#:${1-}" in
  0:) clang-format -i "${sources[@]}" ;;
  1:--check)
    status=0
    for source in "${sources[@]}"; do
      if ! clang-format --dry-run --Werror "$source" 2>/dev/null; then
        echo "$source"
        status=1
      fi
    done
    exit "$status"
    ;;
  *)
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
