#!/usr/bin/env python3
"""Measured speed beside the planner's cost model, over shapes, prompt lengths, batch sizes and tp.

usage: bench/growth.py [--autodist PROGRAM] [--prompts 128,1024] [--batches 1,8] [--tp 1,2,4] [--most-tokens N]
                       [--rounds 3] [--record FILE] MODEL_DIR...

For each model and tp, in rounds: `autodist calibrate` on as many ranks, every case (`autodist bench`), and `autodist
calibrate` again, which begins the next round. A round's prediction (`autodist plan --cluster`) is the mean of the times
that both of its calibrations give. What is measured is a mean over steps and repeats, as calibrations take means too:
moments in which the machine takes cores away belong to both. Measured and predicted stand as medians over the rounds, and
the error is the median of the rounds' own, as the machine is not the same from one round to the next. Cases beyond the
context of a model, or with more prompt tokens than --most-tokens, are skipped and listed. With --record FILE what was
measured is added to FILE, and rounds that it holds are predicted again, but not measured. Prints a Markdown table, and the
median of all errors.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile

OUTPUT = 24
PHASES = ("prefill", "decode")


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def numbers(text):
    return [int(number) for number in text.split(",")]


def threads_of(tp):
    return max(1, len(os.sched_getaffinity(0)) // tp)


class Bench:
    """The program's commands for one model and tp."""

    def __init__(self, program, model, tp, scratch):
        self.program = program
        self.model = model
        self.tp = tp
        self.scratch = scratch

    def calibrate(self):
        file = os.path.join(self.scratch, "cluster.json")
        run(self.program, "calibrate", "--ranks", self.tp, "--threads", threads_of(self.tp), "--output", file)
        return load(file)

    def flags(self, prompt, batch):
        return ["--model", self.model, "--dtype", "bfloat16", "--tp", self.tp, "--threads", threads_of(self.tp),
                "--batch-size", batch, "--max-model-len", prompt + OUTPUT, "--prompt-length", prompt]

    def predicted_s(self, cluster, prompt, batch):
        file = os.path.join(self.scratch, "cluster.json")
        with open(file, "w", encoding="utf-8") as written:
            json.dump(cluster, written)
        plan = json.loads(run(self.program, "plan", *self.flags(prompt, batch), "--cluster", file, "--json"))
        match = re.search(r"\(([\d.]+) prompt tokens/s, ([\d.]+) generated tokens/s", plan["reasons"][0])
        return [1 / float(match.group(1)), 1 / float(match.group(2))]

    def measure(self, prompt, batch):
        repeats = min(5, max(1, 4096 // (prompt * batch)))
        bench = json.loads(run(self.program, "bench", *self.flags(prompt, batch), "--output-length", OUTPUT, "--repeats",
                               repeats, "--cache-dir", os.path.join(self.scratch, "cache"), "--json"))
        prefill_s, decode_s = (bench["phases"][phase]["step_s"] for phase in PHASES)
        return {"prompt": prompt, "batch": batch, "phases": bench["phases"],
                "measured_s": [prefill_s / (prompt * batch), decode_s / batch]}

    def measure_rounds(self, cases, numbers):
        before = self.calibrate() if numbers else None
        for number in numbers:
            measured = [self.measure(*case) for case in cases]
            after = self.calibrate()
            yield {"model": name_of(self.model), "tp": self.tp, "round": number, "clusters": [before, after],
                   "cases": measured}
            before = after

    def predict(self, record):
        for case in record["cases"]:
            predictions = [self.predicted_s(cluster, case["prompt"], case["batch"]) for cluster in record["clusters"]]
            case["predicted_s"] = [statistics.mean(times) for times in zip(*predictions)]


def name_of(model):
    return os.path.basename(os.path.normpath(model))


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def context_of(model):
    config = load(os.path.join(model, "config.json"))
    return config.get("max_position_embeddings") or config["n_positions"]


def print_table(records, skipped):
    print("| shape | prompt | batch | tp | prefill tokens/s | predicted | error | decode tokens/s | predicted | error |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rounds = {}
    for record in records:
        for case in record["cases"]:
            rounds.setdefault((record["model"], case["prompt"], case["batch"], record["tp"]), []).append(case)
    errors = {}
    for key, cases in sorted(rounds.items()):
        cells = []
        for i, phase in enumerate(PHASES):
            measured, predicted = ([case[name][i] for case in cases] for name in ("measured_s", "predicted_s"))
            # Predicted rate over measured rate, less 1.
            error = statistics.median(m / p for m, p in zip(measured, predicted)) - 1
            for group in ("all", phase, f"tp {key[3]}"):
                errors.setdefault(group, []).append(abs(error))
            cells.append(f"{1 / statistics.median(measured):.4g} | {1 / statistics.median(predicted):.4g} | "
                         f"{100 * error:+.0f} %")
        print(f"| {' | '.join(str(part) for part in key)} | {' | '.join(cells)} |")
    for case in skipped:
        print(f"skipped: {case}")
    for name, values in sorted(errors.items()):
        values.sort()
        print(f"|error| of {name}: median {100 * statistics.median(values):.1f} %, 90th percentile "
              f"{100 * values[int(0.9 * (len(values) - 1))]:.0f} %, largest {100 * values[-1]:.0f} %, "
              f"{len(values)} predictions")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL_DIR")
    parser.add_argument("--autodist", default="build/release/autodist")
    parser.add_argument("--prompts", type=numbers, default=[128, 1024, 8192])
    parser.add_argument("--batches", type=numbers, default=[1, 8, 32])
    parser.add_argument("--tp", type=numbers, default=[1, 2, 4])
    parser.add_argument("--most-tokens", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", metavar="FILE")
    arguments = parser.parse_args()
    records, skipped = [], []
    if arguments.record and os.path.exists(arguments.record):
        with open(arguments.record, encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
    grid = [(prompt, batch) for prompt in arguments.prompts for batch in arguments.batches]
    with tempfile.TemporaryDirectory() as scratch:
        for model in arguments.models:
            name = name_of(model)
            fits = [case for case in grid if case[0] + OUTPUT <= context_of(model)
                    and case[0] * case[1] <= arguments.most_tokens]
            skipped += [f"{name}, prompt {p}, batch {b}" for p, b in grid if (p, b) not in fits]
            for tp in arguments.tp:
                bench = Bench(arguments.autodist, model, tp, scratch)
                if not fits:
                    continue
                own = [record for record in records if (record["model"], record["tp"]) == (name, tp)]
                for record in bench.measure_rounds(fits, range(len(own), arguments.rounds)):
                    own.append(record)
                    records.append(record)
                    if arguments.record:
                        with open(arguments.record, "a", encoding="utf-8") as file:
                            file.write(json.dumps(record) + "\n")
                for record in own:
                    bench.predict(record)
    print_table([record for record in records if "predicted_s" in record["cases"][0]], skipped)


if __name__ == "__main__":
    main()
