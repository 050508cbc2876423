#!/usr/bin/env bash
# Starts rank 1 of a run with --pp 2 under gdb, in this terminal; run_rank.sh says how.
exec "$(dirname "${BASH_SOURCE[0]}")/run_rank.sh" pp 1 "$@"
