#!/usr/bin/env bash
# Two hosts, one core each, joined by a link of 1 and of 10 Gbit/s: what TP and PP reach, beside what the cost model
# says after `autodist calibrate`, and which of the two `--ranks 2` picks. The hosts are two network namespaces of this
# machine, with a veth pair between them that `tc tbf` slows down. The share of communication is the part of rank 0's time
# in which it does not compute: it moves data, waits for the later rank, or has no call to work on (the bubble of pp).
#
# In each round every link is measured once in every case, and calibrated before and after both meshes of a case; the
# prediction is the mean of both. Figures are medians over the rounds, of ratios, too.
#
# usage: two_hosts_speed.sh AUTODIST MODEL_DIR [PROMPT_AND_OUTPUT_LENGTH [ROUNDS]]
# Exit code 0: the pick was the faster one in each case; 1: it was not; 77 (skipped): not Open MPI, or not permitted.
set -euo pipefail
program=$(realpath "$1")
model=$(realpath "$2")
length=${3:-64} rounds=${4:-7}
skip() { echo "skipped: $1" >&2; exit 77; }
mpirun --version 2>/dev/null | grep -q "Open MPI" || skip "mpirun is not Open MPI's"
((EUID == 0)) || skip "network namespaces need root"
[[ $(nproc) -ge 2 ]] || skip "two hosts need two cores"
a=autodist-a-$$ b=autodist-b-$$ work=$(mktemp -d)
trap 'ip netns del "$a" 2>/dev/null || true; ip netns del "$b" 2>/dev/null || true; rm -rf "$work"' EXIT
for host in "$a" "$b"; do
  ip netns add "$host" 2>/dev/null || skip "network namespaces are not permitted"
done
ip link add "va$$" netns "$a" type veth peer name "vb$$" netns "$b" || skip "veth pairs are not permitted"
ip -n "$a" addr add 10.77.0.1/24 dev "va$$"
ip -n "$b" addr add 10.77.0.2/24 dev "vb$$"
for host in "$a" "$b"; do ip -n "$host" link set lo up; done
ip -n "$a" link set "va$$" up
ip -n "$b" link set "vb$$" up

# What mpirun takes for ssh. One core for each host: 0 for the first, 1 for the second.
cat >"$work/agent.sh" <<AGENT
#!/usr/bin/env bash
shift
exec ip netns exec $b taskset -c 1 unshare --uts bash -c 'hostname node-b && exec sh -c "\$0"' "\$*"
AGENT
chmod +x "$work/agent.sh"
on_host_a() {
  # shellcheck disable=SC2016  # for the inner shell
  ip netns exec "$a" taskset -c 0 unshare --uts bash -c 'hostname node-a && exec "$0" "$@"' "$@"
}
on_both() {
  on_host_a env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --bind-to none \
    --mca plm_rsh_agent "$work/agent.sh" --mca plm_rsh_no_tree_spawn 1 --mca btl tcp,self \
    --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 \
    -H node-a:1,node-b:1 -n 2 "$program" "$@"
}

for ((round = 1; round <= rounds; ++round)); do
  for gbit in 1 10; do
    for end in "$a va$$" "$b vb$$"; do
      read -r host device <<<"$end"
      tc -n "$host" qdisc replace dev "$device" root tbf rate "${gbit}gbit" burst $((4 * gbit))kb latency 50ms ||
        skip "tc tbf is not permitted"
    done
    on_both calibrate --output "$work/after.json" >/dev/null
    for batch in 1 4; do
      mv "$work/after.json" "$work/before.json"
      flags=(--model "$model" --dtype bfloat16 --threads 1 --batch-size "$batch" --max-model-len $((2 * length)))
      case=$work/cases/$round-$gbit-$batch
      mkdir -p "$case"
      for mesh in tp pp; do
        on_both bench "${flags[@]}" "--$mesh" 2 --cache-dir "$work/cache" --prompt-length "$length" \
          --output-length "$length" --repeats 5 --json >"$case/$mesh.json"
      done
      on_both calibrate --output "$work/after.json" >/dev/null
      for when in before after; do
        for mesh in tp pp; do
          "$program" plan "${flags[@]}" "--$mesh" 2 --cluster "$work/$when.json" --json >"$case/$mesh.$when.json"
        done
        "$program" plan "${flags[@]}" --ranks 2 --cluster "$work/$when.json" --json >"$case/pick.$when.json"
      done
    done
  done
  echo "round $round of $rounds" >&2
done

python3 - "$work/cases" "$length" <<'COMPARE'
import json, pathlib, re, statistics, sys
length = int(sys.argv[2])
FIGURES = re.compile(r"\(([\d.]+) prompt tokens/s, ([\d.]+) generated tokens/s; ([\d.]+) % of")
cases = {}
for case in pathlib.Path(sys.argv[1]).iterdir():
    gbit, batch = map(int, case.name.split("-")[1:])
    load = lambda name: json.loads((case / f"{name}.json").read_text())
    picks = [load(f"pick.{when}")["tensor_parallel_size"] for when in ("before", "after")]
    for mesh in ("tp", "pp"):
        bench = load(mesh)
        reasons = [load(f"{mesh}.{when}")["reasons"][0] for when in ("before", "after")]
        prompt, generated, share = (
            statistics.mean(map(float, figures)) for figures in zip(*(FIGURES.search(r).groups() for r in reasons)))
        prefill, decode = bench["prefill_tokens_per_s"], bench["decode_tokens_per_s"]
        cases.setdefault((gbit, batch), {}).setdefault(mesh, []).append(dict(
            prefill=prefill, prefill_plan=prompt, decode=decode, decode_plan=generated,
            share=100 * bench["communication_fraction"], share_plan=share, ratio=share / bench["communication_fraction"] / 100,
            seconds=batch * length * (1 / prefill + 1 / decode),
            picked=picks == [2, 2] if mesh == "tp" else picks == [1, 1]))
print("| link | batch | mesh | prefill tokens/s | decode tokens/s | communication | predicted / measured | both phases, s | "
      "picked by `--ranks 2` |")
print("|---|---|---|---|---|---|---|---|---|")
near = total = right = 0
for (gbit, batch), meshes in sorted(cases.items()):
    seconds = {}
    for mesh, rounds in meshes.items():
        middle = lambda key: statistics.median(r[key] for r in rounds)
        spread = lambda key: f"{min(r[key] for r in rounds):.3g} to {max(r[key] for r in rounds):.3g}"
        both = lambda key: f"{middle(key):.3g}, {spread(key)} ({middle(key + '_plan'):.3g})"
        seconds[mesh] = middle("seconds")
        picked = sum(r["picked"] for r in rounds)
        print(f"| {gbit} Gbit/s | {batch} | {mesh} 2 | {both('prefill')} | {both('decode')} | {both('share')} % | "
              f"{middle('ratio'):.2f}, {spread('ratio')} | {seconds[mesh]:.2f} | {picked} of {len(rounds)} |")
        near += abs(middle("ratio") - 1) <= 0.15
        total += 1
    faster = min(seconds, key=seconds.get)
    right += all(r["picked"] for r in meshes[faster])
print(f"predicted shares of communication within 15 %: {near} of {total}; the pick was the faster mesh, in every round: "
      f"{right} of {len(cases)} cases")
sys.exit(right != len(cases))
COMPARE
