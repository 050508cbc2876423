#!/usr/bin/env bash
# Ranks on two hosts exchange MPI messages: their logits are byte for byte those of rank threads. The hosts are two
# host names on this machine, which MPI believes in; it then uses TCP between them.
#
# usage: two_hosts.sh AUTODIST MODEL_DIR
# Exit code 77 (skipped): not Open MPI, or this user may not have a host name of its own.
set -euo pipefail
program=$1
model=$2
here=$(cd "$(dirname "$0")" && pwd)
mpirun --version 2>/dev/null | grep -q "Open MPI" || exit 77
unshare --uts true 2>/dev/null || exit 77

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(--model "$model" --token-ids "13,24,65,7,9,88,3" --dtype float32 --threads 1 --no-cache)
between_hosts=(--bind-to none --mca plm_rsh_agent "$here/host_agent.sh" --mca plm_rsh_no_tree_spawn 1
  --mca btl "tcp,vader,self" --mca btl_tcp_if_include lo --mca oob_tcp_if_include lo)

# compare TP PP HOST:RANKS,HOST:RANKS
compare() {
  "$program" logits "${flags[@]}" --tp "$1" --pp "$2" --output "$work/threads.npy" >/dev/null
  mpirun "${between_hosts[@]}" -H "$3" -n $(($1 * $2)) \
    "$program" logits "${flags[@]}" --tp "$1" --pp "$2" --output "$work/hosts.npy" >/dev/null
  cmp "$work/threads.npy" "$work/hosts.npy"
}

compare 2 1 node-a:1,node-b:1 # all-reduces between the hosts
compare 2 2 node-a:2,node-b:2 # stages on two hosts
compare 3 1 node-a:2,node-b:1
