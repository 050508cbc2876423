#!/usr/bin/env python3
"""Measures one case of `autodist tune overlap` on GPUs: one linear operator of TransformerEngine, tensor-parallel.

usage: torchrun --standalone --nproc-per-node TP profile_overlap_case.py --case FILE.yaml --output DIR

NOT YET RUN ON HARDWARE: written against TransformerEngine's source (1.8 to 2.20) and tested with a stub of its
interface (profile_overlap_case_test.py). Read the first traces with care.

The case names operator, pass, shape, switches and userbuffers (written by `autodist tune overlap --emit` or `--run`).
Every rank builds exactly that operator, checks that the userbuffers it asked for are the ones that were made, warms up,
times `repeats` forward and backward passes without the profiler and as many with it, and writes rank<r>.json, a
profiler trace in which the passes lie in ranges called fc1_fprop, fc1_dgrad and fc1_wgrad. Rank 0 writes result.json
last: {"id", "applied", "profiler_ratio", "unprofiled_us"}. Any failure ends the program with a status other than 0.
"""
import argparse
import inspect
import json
import os
import pathlib

WARM_UPS = 5


def read_case(path):
    """The case file as dictionaries: case, setting, switches, userbuffers."""
    import yaml

    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    for part in ("case", "setting", "switches"):
        if not isinstance(document.get(part), dict):
            raise ValueError(f"{path}: part {part} is missing")
    document["userbuffers"] = document.get("userbuffers") or {}
    return document


def is_column(case):
    return case["operator"] in ("qkv", "fc1")


def site_of(case):
    return f'{case["operator"]}_{case["pass"]}'


class BufferRecorder:
    """Notes with which arguments TransformerEngine makes its userbuffers, while it is entered."""

    CLASSES = ("CommOverlapP2P", "CommOverlap")

    def __init__(self, tex):
        self._tex = tex
        self._originals = {}
        self.made = []  # (object, class name, keyword arguments)

    def __enter__(self):
        for name in self.CLASSES:
            self._originals[name] = getattr(self._tex, name)
            setattr(self._tex, name, self._wrapped(name))
        return self

    def __exit__(self, *_):
        for name, original in self._originals.items():
            setattr(self._tex, name, original)

    def _wrapped(self, name):
        def make(*args, **kwargs):
            made = self._originals[name](*args, **kwargs)
            self.made.append((made, name, kwargs))
            return made

        return make


def start_userbuffers(document, te, dtype):
    """Initialises userbuffers for the case; returns what was really made for its site, as a setting."""
    case, base = document["case"], te.module.base
    if document["setting"]["method"] == "sequential":
        return dict(document["setting"])
    hidden = case["inputs"] if is_column(case) else case["outputs"]
    arguments = {"dtype": dtype, "ub_cfgs": document["userbuffers"], "bootstrap_backend": "nccl"}
    known = inspect.signature(base.initialize_ub).parameters
    arguments = {name: value for name, value in arguments.items() if name in known}
    with BufferRecorder(base.tex) as recorder:
        base.initialize_ub([case["tokens"], hidden], case["tp"], **arguments)
    return applied_setting(document, base._ub_communicators, recorder.made)


def applied_setting(document, communicators, made):
    """Finds the site's communicator among those made; its keys are names, or (name, quantization) since 2.8."""
    site = site_of(document["case"])
    ours = [value for key, value in communicators.items() if (key[0] if isinstance(key, tuple) else key) == site]
    for communicator, kind, arguments in made:
        if not any(communicator is one for one in ours):
            continue
        ring = kind == "CommOverlapP2P"
        asked = document["setting"]["method"]
        method = "ring_exchange" if ring else (asked if asked in ("bulk", "pipeline") else "bulk")
        return {
            "method": method,
            "num_sm": 0 if ring else arguments["num_comm_sm"],
            "num_splits": arguments.get("num_splits", 0) if method == "pipeline" else 0,
            "aggregate": bool(arguments.get("aggregate", False)) if ring else False,
            "set_sm_margin": bool(arguments["set_sm_margin"]),
            "cga_size": 1 if ring else arguments["comm_cga_size"],
        }
    raise RuntimeError(f"TransformerEngine made no userbuffer for {site}")


def check_applied(document, applied):
    """Raises when the engine runs something else than the case."""
    asked = document["setting"]
    for name in ("method", "num_sm", "num_splits", "aggregate", "set_sm_margin", "cga_size"):
        if asked[name] != applied[name]:
            raise RuntimeError(f"{name} is {applied[name]} in effect, {asked[name]} was asked for")


def make_linear(document, te, dtype, group):
    """The operator alone: no norm, no activation, no bias."""
    case = document["case"]
    arguments = {
        "bias": False,
        "params_dtype": dtype,
        "parallel_mode": "column" if is_column(case) else "row",
        "sequence_parallel": case["tp"] > 1,
        "tp_group": group,
        "tp_size": case["tp"],
        "ub_name": case["operator"],
        "device": "cuda",
    }
    arguments.update({name: on for name, on in document["switches"].items() if on})
    return te.Linear(case["inputs"], case["outputs"], **arguments)


def input_shape(case):
    """Of one rank: sequence-parallel tokens into a column operator, a slice of the inputs into a row operator."""
    tp = case["tp"]
    if is_column(case):
        return [case["tokens"] // tp, case["inputs"]]
    return [case["tokens"], case["inputs"] // tp]


class PassRanges:
    """Turns the ranges that TransformerEngine's backward opens for nvtx into <operator>_dgrad and <operator>_wgrad.

    The wgrad begins with the first range of the reduce-scatter of dgrad or of the wgrad product, and ends with the
    latter. Where TransformerEngine has no such ranges, <operator>_backward around the whole call remains.
    """

    def __init__(self, operator, record_function):
        self._operator = operator
        self._record = record_function
        self._open = None
        self._pass = None

    def install(self, module):
        """Replaces nvtx_range_push and nvtx_range_pop in `module`; False when it has none."""
        if not hasattr(module, "nvtx_range_push"):
            return False
        push, pop = module.nvtx_range_push, module.nvtx_range_pop
        module.nvtx_range_push = lambda label, *rest: (self.push(label), push(label, *rest))[1]
        module.nvtx_range_pop = lambda label=None, *rest: (pop(label, *rest), self.pop(label))[0]
        return True

    def push(self, label):
        if "backward" not in label:
            return
        wgrad = label.endswith(("wgrad_gemm", "column_parallel_comm_dgrad"))
        self._switch("wgrad" if wgrad or self._pass == "wgrad" else "dgrad")

    def pop(self, label):
        if label is not None and "backward" in label and label.endswith("wgrad_gemm"):
            self._switch(None)

    def _switch(self, name):
        if name == self._pass:
            return
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None
        if name is not None:
            self._open = self._record(f"{self._operator}_{name}")
            self._open.__enter__()
        self._pass = name


def run_once(linear, make_input, gradient, operator, record_function):
    """One forward and one backward pass, each in its range."""
    x = make_input()
    with record_function(f"{operator}_fprop"):
        y = linear(x)
    with record_function(f"{operator}_backward"):
        y.backward(gradient(y))


def time_runs(run, repeats, torch, barrier):
    """Microseconds of each repeat on this rank."""
    times = []
    for _ in range(repeats):
        barrier()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 1e3)
    return times


def median(values):
    return sorted(values)[len(values) // 2]


def write_whole(path, text):
    """The file appears whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def profile(document, output, te, torch):
    case = document["case"]
    rank, local_rank = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    if int(os.environ["WORLD_SIZE"]) != case["tp"]:
        raise RuntimeError(f'{os.environ["WORLD_SIZE"]} ranks were started for tp {case["tp"]}')
    torch.cuda.set_device(local_rank)
    torch.distributed.init_process_group("nccl")
    group = torch.distributed.new_group(backend="nccl")
    dtype = torch.bfloat16
    torch.manual_seed(1234 + rank)
    applied = start_userbuffers(document, te, dtype)
    check_applied(document, applied)
    linear = make_linear(document, te, dtype, group)

    def make_input():
        return torch.randn(input_shape(case), dtype=dtype, device="cuda", requires_grad=True)

    def run():
        run_once(linear, make_input, torch.randn_like, case["operator"], torch.profiler.record_function)

    PassRanges(case["operator"], torch.profiler.record_function).install(te.module.linear)
    for _ in range(WARM_UPS):
        run()
    plain_us = time_runs(run, case["repeats"], torch, torch.distributed.barrier)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        profiled_us = time_runs(run, case["repeats"], torch, torch.distributed.barrier)
    trace = output / f"rank{rank}.json"
    profiler.export_chrome_trace(str(trace) + ".tmp")
    os.replace(str(trace) + ".tmp", trace)
    torch.distributed.barrier()
    if rank == 0:
        result = {
            "id": case["id"],
            "applied": applied,
            "profiler_ratio": median(profiled_us) / median(plain_us),
            "unprofiled_us": plain_us,
        }
        write_whole(output / "result.json", json.dumps(result, indent=2) + "\n")
    torch.distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", required=True, type=pathlib.Path)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    document = read_case(arguments.case)
    import torch
    import transformer_engine.pytorch as te

    arguments.output.mkdir(parents=True, exist_ok=True)
    profile(document, arguments.output, te, torch)


if __name__ == "__main__":
    main()
