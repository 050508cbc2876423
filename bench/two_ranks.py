#!/usr/bin/env python3
"""Two ranks of one thread beside one rank with two threads.

usage: bench/two_ranks.py [--rounds N] [--prompt N] [--output N] [--axis tp|pp] MODEL_DIR

Two tables of ratios to one rank with two threads: `--tp 2` as threads, processes and under mpirun, for one sequence, and
`--pp 2` as threads, for 4 sequences in 2 micro-batches on either side. All programs of a table run in turn in each round;
a ratio is taken within a round. Decode of one sequence, which the memory rate decides, is that of `autodist generate`, all
programs alive and in turn within the round, too (in_turn.py); the rest is what `autodist bench` says. The last line says what
pp gains over one sequence: decode of 4 sequences over that of one with `--pp 2`, divided by twice the ratio of the read
bandwidths of two threads and of one in the same round. The program is build/release/autodist, or $AUTODIST. MODEL_DIR is one
without a tokenizer, as the scripts that make models of a shape leave it: `generate` then prints ids.
"""
import argparse
import json
import pathlib
import subprocess

import in_turn
from spread import spread

LAUNCH = pathlib.Path(__file__).parent / "launch.sh"
LONG_OUTPUT = 4096  # more than is waited for
PREFILL, DECODE = "prefill_tokens_per_s", "decode_tokens_per_s"


def command(launcher, ranks, *arguments):
    return ["bash", "-c", f'source "{LAUNCH}"; run_{launcher} {ranks} "$@"', "run", *arguments]


def bench(launcher, ranks, flags):
    done = subprocess.run(command(launcher, ranks, "bench", *flags, "--json"), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def bench_flags(model, prompt, output):
    return [*model, "--prompt-length", str(prompt), "--output-length", str(output), "--repeats", "3"]


def rounds_of(count, sides):
    """[{side: result}], each side first in every other round."""
    return [{name: bench(*arguments) for name, *arguments in in_turn.order(sides, index)} for index in range(count)]


def table(results, base, names):
    print("| ranks | prefill | decode |\n|---|---|---|")
    for name in names:
        cells = [spread([r[name][metric] / r[base][metric] for r in results]) for metric in (PREFILL, DECODE)]
        print(f"| {name} | {' | '.join(cells)} |")
    rates = [spread([r[base][metric] for r in results], "{:.0f}".format) for metric in (PREFILL, DECODE)]
    print(f"\n{base}: prefill {rates[0]} and decode {rates[1]} tokens/s\n")


ONE, TP, PP = ["--threads", "2"], ["--tp", "2", "--threads", "1"], ["--pp", "2", "--threads", "1"]


def tp_table(rounds, model, prompt):
    sides = [("one rank", "threads", 1, ONE)]
    sides += [(f"tp 2, {name}", name, 2, TP) for name in ("threads", "processes", "mpirun")]
    flags = bench_flags(model, prompt, output=2)  # its decode is not used
    results = rounds_of(rounds, [(name, launcher, ranks, flags + mesh) for name, launcher, ranks, mesh in sides])
    text = ["generate", *model, "--token-ids", ",".join(map(str, range(1, prompt + 1))), "--max-output-length",
            str(LONG_OUTPUT), "--ignore-eos", "--stream", "--quiet"]
    programs = {name: command(launcher, ranks, *text, *mesh) for name, launcher, ranks, mesh in sides}
    for measured in results:
        for name, seconds in in_turn.seconds_per_token(programs, prompt + 4).items():
            measured[name][DECODE] = 1 / seconds
    table(results, "one rank", [side[0] for side in sides[1:]])


def pp_table(rounds, flags):
    batch = ["--batch-size", "4", "--micro-batch-size", "2"]
    sides = [("one rank", "threads", 1, flags + ONE + batch), ("pp 2", "threads", 2, flags + PP + batch),
             ("pp 2, one sequence", "threads", 2, flags + PP), ("one thread", "threads", 1, flags + ["--threads", "1"])]
    results = rounds_of(rounds, sides)
    table(results, "one rank", ["pp 2"])
    gains = [r["pp 2"][DECODE] / r["pp 2, one sequence"][DECODE] /
             (2 * r["one rank"]["read_gb_per_s"] / r["one thread"]["read_gb_per_s"]) for r in results]
    print(f"pp 2, four sequences over one, of 2 x B2/B1: {spread(gains)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--output", type=int, default=16, help="tokens of each sequence with pp (default 16)")
    parser.add_argument("--axis", choices=("tp", "pp"), help="one of the tables; default: both")
    args = parser.parse_args()
    if (pathlib.Path(args.model) / "tokenizer.json").exists():
        parser.error(f"{args.model} has a tokenizer: ids are counted, and text would come")
    model = ["--model", args.model]
    if args.axis != "pp":
        tp_table(args.rounds, model, args.prompt)
    if args.axis != "tp":
        pp_table(args.rounds, bench_flags(model, args.prompt, args.output))


if __name__ == "__main__":
    main()
