#!/usr/bin/env python3
"""Linear layers beside oneDNN's own rate for the same matrix products, and decode of several sequences beside its limit.

usage: bench/linear_layers.py [--rounds 7] [--prompt 512] [--batches 8,32] [--preload LIBRARY]
                              [--build build/release] MODEL_DIR

In each round, for the prompt and for each batch size: oneDNN's products of all layers (linear_layers_bench of the build
directory, which needs -DAUTODIST_BUILD_BENCHMARKS=ON), `autodist bench`, and oneDNN's products again; the limit is the mean
of the two. Weights come from memory on both sides. Prefill: FLOP/s of autodist's products, which in the model are
measured one by one, over oneDNN's. Decode: the limit of a step is the longer of bytes (weights and keys and values) over
the read rate, which `autodist bench` measures before and after each run, and oneDNN's time for the products. --preload:
for oneDNN alone, where the machine hides how AMX's tiles are made (show_amx_tiles.c).
"""
import argparse
import json
import os
import pathlib
import subprocess

from spread import spread

THREADS = "2"
CHUNK = 512  # prompt rows that autodist multiplies together


def last_json(command, environment=None):
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    return json.loads(done.stdout)


class Shape:
    """What the layers of a checkpoint multiply by: q, k and v in one product, gate and up in one."""

    def __init__(self, model):
        config = json.loads((pathlib.Path(model) / "config.json").read_text(encoding="utf-8"))
        hidden, ffn = config["hidden_size"], config["intermediate_size"]
        head = config.get("head_dim") or hidden // config["num_attention_heads"]
        queries = head * config["num_attention_heads"]
        keys = head * config["num_key_value_heads"]
        layers = config["num_hidden_layers"]
        self.layers = [f"{layers}x{n}x{k}" for n, k in
                       ((queries + 2 * keys, hidden), (hidden, queries), (2 * ffn, hidden), (hidden, ffn))]
        self.head = [f"1x{config['vocab_size']}x{hidden}"]


class Sides:
    def __init__(self, model, build, preload):
        self.model = model
        self.build = pathlib.Path(build)
        self.shape = Shape(model)
        self.preload = {"LD_PRELOAD": str(pathlib.Path(preload).resolve())} if preload else {}

    def one_dnn(self, rows, products):
        program = self.build / "libraries/measure/linear_layers_bench"
        return last_json([str(program), THREADS, str(rows), *products], self.preload)

    def bench(self, prompt, batch, output, repeats):
        return last_json([str(self.build / "autodist"), "bench", "--model", self.model, "--dtype", "bfloat16", "--threads", THREADS,
                          "--prompt-length", str(prompt), "--batch-size", str(batch), "--output-length", str(output),
                          "--repeats", str(repeats), "--json"])

    def prefill(self, prompt):
        rows = min(prompt, CHUNK)
        before = self.one_dnn(rows, self.shape.layers)
        result = self.bench(prompt, 1, 2, 5)
        after = self.one_dnn(rows, self.shape.layers)
        limit = (before["gflop_per_s"] + after["gflop_per_s"]) / 2
        products = op(result, "prefill", "gemm")
        rate = products["flops"] / products["step_s"] / 1e9
        return {"GFLOP/s": rate, "oneDNN": limit, "of oneDNN": rate / limit, "of the faster rate, cached": products["fraction"]}

    def decode(self, prompt, batch):
        products = self.shape.layers + self.shape.head
        before = self.one_dnn(batch, products)
        result = self.bench(prompt, batch, 24, 1)
        after = self.one_dnn(batch, products)
        one_dnn_ms = (before["seconds"] + after["seconds"]) / 2 * 1e3
        step_ms = 1e3 * batch / result["decode_tokens_per_s"]
        read_ms = result["decode_fraction"] * step_ms
        in_products = sum(op(result, "decode", kind)["step_s"] for kind in ("gemm", "matrix_vector")) * 1e3
        return {"tokens/s": result["decode_tokens_per_s"], "step, ms": step_ms, "reading, ms": read_ms,
                "oneDNN's products, ms": one_dnn_ms, "our products, ms": in_products,
                "of the limit": max(read_ms, one_dnn_ms) / step_ms, "of reading": read_ms / step_ms}


def op(result, phase, name):
    return next(o for o in result["phases"][phase]["ops"] if o["name"] == name)


def show(title, rounds):
    print(f"\n{title}: median (range) of {len(rounds)} rounds")
    for key in rounds[0]:
        values = [r[key] for r in rounds]
        digits = 2 if key.startswith("of ") else 1
        print(f"| {key} | {spread(values, f'{{:.{digits}f}}'.format)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--batches", default="8,32", help="'' for none")
    parser.add_argument("--preload")
    parser.add_argument("--build", default=pathlib.Path(__file__).resolve().parent.parent / "build/release")
    args = parser.parse_args()
    sides = Sides(args.model, args.build, args.preload)
    batches = [int(batch) for batch in args.batches.split(",") if batch]
    prompts, steps = [], {batch: [] for batch in batches}
    for _ in range(args.rounds):
        prompts.append(sides.prefill(args.prompt))
        for batch in batches:
            steps[batch].append(sides.decode(args.prompt, batch))
    show(f"prompt of {args.prompt}", prompts)
    for batch in batches:
        show(f"decode of {batch} sequences", steps[batch])


if __name__ == "__main__":
    main()
