#!/usr/bin/env python3
"""Counts the instructions of a decode step and compares them with the recorded budget.

usage: gate.py PROGRAM SOURCE_DIR COMPILER [--renew]
  PROGRAM     the autodist program, a release build
  SOURCE_DIR  the checkout: models and budget.json
  COMPILER    name and version, as recorded: other compilers emit other instructions
  --renew     write the counts into budget.json instead of comparing

Callgrind counts what one thread executes, so the figures do not depend on the machine or its load:
two runs differ by less than 1 in 10,000. Valgrind has no AVX-512, so the AVX2 path is counted. A step is
the difference between two output lengths over the number of tokens between them: start, load and prefill
cancel out. More than 3 % above the budget fails; after an intended change, renew.
Exit status: 0 within the budget, 1 not, 77 skipped.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

SKIPPED = 77
TOLERANCE = 0.03
SHORT, LONG = 4, 12  # generated tokens

# Model directory and flags, by the name of the budget.
CASES = {
    "bfloat16 llama": ("models/story-2m", []),
    "float32 llama": ("tests/golden/data/llama_plain", []),
    "float32 gpt2": ("tests/golden/data/gpt2", []),
    "bfloat16 llama, 4 sequences": ("models/story-2m", ["--batch-size", "4"]),
    "int8 llama": ("models/story-2m", ["--weights", "int8"]),
    "int4 llama": ("models/story-2m", ["--weights", "int4"]),
}


def instructions(program, model, flags, output_length, prompts):
    command = [
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "generate", str(model),
        "--max-output-length", str(output_length), "--ignore-eos", "--no-cache", "--threads", "1",
        "--no-stream", "--quiet", *prompts, *flags,
    ]
    environment = {**os.environ, "AUTODIST_ISA": "avx2"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    counted = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or counted is None:
        sys.exit(f"{' '.join(command)}: exit status {run.returncode}\n{run.stderr}")
    return int(counted[1])


def step(program, source, name):
    model, flags = CASES[name]
    prompts = ["--token-ids", "1,5,9,20,31"]
    if "--batch-size" in flags:
        prompts = ["--prompt-file", str(source / "tests/instructions/prompts.txt")]
    counts = [instructions(program, source / model, flags, n, prompts) for n in (SHORT, LONG)]
    return (counts[1] - counts[0]) // (LONG - SHORT)


def main():
    program, source, compiler = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    file = source / "tests/instructions/budget.json"
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (scripts/install_deps.sh installs it)")
        return SKIPPED
    if sys.argv[4:] == ["--renew"]:
        budget = {"compiler": compiler,
                  "instructions_per_decode_step": {name: step(program, source, name) for name in CASES}}
        file.write_text(json.dumps(budget, indent=2) + "\n")
        return 0
    budget = json.loads(file.read_text())
    if budget["compiler"] != compiler:
        print(f"skipped: the budget is for {budget['compiler']}, this build is by {compiler}")
        return SKIPPED
    status = 0
    for name, allowed in budget["instructions_per_decode_step"].items():
        counted = step(program, source, name)
        change = counted / allowed - 1
        verdict = "ok" if change <= TOLERANCE else "TOO MANY"
        if change < -TOLERANCE:
            verdict = "ok; fewer than recorded: renew the budget with --renew"
        print(f"{name}: {counted} instructions per decode step, budget {allowed} ({change:+.1%}): {verdict}")
        if change > TOLERANCE:
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
