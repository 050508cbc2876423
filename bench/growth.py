#!/usr/bin/env python3
"""Measured speed beside the planner's cost model, over shapes, prompt lengths, batch sizes and tp.

usage: bench/growth.py [--autodist PROGRAM] [--prompts 128,1024] [--batches 1,8] [--tp 1,2,4] [--most-tokens N]
                       [--record FILE] MODEL_DIR...

For each model and tp: `autodist calibrate` on as many ranks, the cases one after the other (`autodist bench`, medians
of 2 to 7 repeats), and `autodist calibrate` again; a prediction (`autodist plan --cluster`) is the mean of the times that
both calibrations give. As the machine is not the same from one minute to the next, it is scaled by the limits that `bench`
measures beside each case and beside the calibrations: its GEMM rate for prefill, its read bandwidth for decode. Cases
beyond the context of a model, or with more prompt tokens than --most-tokens, are skipped and listed. With --record FILE
what was measured is added to FILE, and what it holds is predicted again, but not measured. Prints a Markdown table with
the error of each prediction, and their median.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile

OUTPUT = 8
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
        repeats = min(7, max(2, 8192 // (prompt * batch)))
        bench = json.loads(run(self.program, "bench", *self.flags(prompt, batch), "--output-length", OUTPUT, "--repeats",
                               repeats, "--cache-dir", os.path.join(self.scratch, "cache"), "--json"))
        return {"model": name_of(self.model), "prompt": prompt, "batch": batch, "tp": self.tp,
                "measured_s": [1 / bench["prefill_tokens_per_s"], 1 / bench["decode_tokens_per_s"]],
                "limits": [bench["gemm_gflop_per_s"], bench["read_gb_per_s"]], "phases": bench["phases"]}

    def measure_all(self, cases):
        """Seconds per token of each case, what was calibrated before and after, and the limits beside each."""
        if not cases:
            return []
        measured, clusters, limits = [], [], []
        for part in (cases, []):
            clusters.append(self.calibrate())
            limits.append(self.measure(*cases[0])["limits"])
            measured += [self.measure(*case) for case in part]
        beside = [statistics.mean(limit[p] for limit in limits) for p in range(2)]
        return [{**record, "clusters": clusters, "calibrated_beside": beside} for record in measured]

    def predict(self, record):
        predictions = [self.predicted_s(cluster, record["prompt"], record["batch"]) for cluster in record["clusters"]]
        return [statistics.mean(prediction[p] for prediction in predictions)
                * record["calibrated_beside"][p] / record["limits"][p] for p in range(2)]


def name_of(model):
    return os.path.basename(os.path.normpath(model))


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def context_of(model):
    config = load(os.path.join(model, "config.json"))
    return config.get("max_position_embeddings") or config["n_positions"]


def key(record):
    return record["model"], record["prompt"], record["batch"], record["tp"]


def print_table(records, skipped):
    print("| shape | prompt | batch | tp | prefill tokens/s | predicted | error | decode tokens/s | predicted | error |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    errors = {phase: [] for phase in PHASES}
    for record in sorted(records, key=key):
        cells = []
        for phase, measured, predicted in zip(PHASES, record["measured_s"], record["predicted_s"]):
            error = measured / predicted - 1  # predicted rate over measured rate, less 1
            errors[phase].append(abs(error))
            cells.append(f"{1 / measured:.4g} | {1 / predicted:.4g} | {100 * error:+.0f} %")
        print(f"| {' | '.join(str(part) for part in key(record))} | {' | '.join(cells)} |")
    for case in skipped:
        print(f"skipped: {case}")
    for name, values in [*errors.items(), ("both", sum(errors.values(), []))]:
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
                done = [key(record) for record in records]
                for record in bench.measure_all([case for case in fits if (name, *case, tp) not in done]):
                    records.append(record)
                    if arguments.record:
                        with open(arguments.record, "a", encoding="utf-8") as file:
                            file.write(json.dumps(record) + "\n")
                for record in records:
                    if record["model"] == name and record["tp"] == tp:
                        record["predicted_s"] = bench.predict(record)
    print_table([record for record in records if "predicted_s" in record], skipped)


if __name__ == "__main__":
    main()
