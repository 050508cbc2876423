#!/usr/bin/env bash
# Runs shellcheck over every shell script of the tree, found by its first line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Only what could be committed: build folders hold scripts of others.
mapfile -t scripts < <(
  find . \( -name .git -o -name build \) -prune -o -type f -print0 |
    xargs -0 awk 'FNR == 1 && /^#!.*[\/ ](ba)?sh( |$)/ { print FILENAME } { nextfile }' | sort)
((${#scripts[@]} > 0)) || { echo "check_shell.sh: no script found" >&2; exit 1; }
shellcheck --norc --external-sources "${scripts[@]}"
echo "${#scripts[@]} scripts"
