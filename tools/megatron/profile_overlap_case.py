#!/usr/bin/env python3
"""Measures one case of `autodist tune overlap` on GPUs: one linear operator of TransformerEngine, tensor-parallel.

usage: torchrun --standalone --nproc-per-node TP profile_overlap_case.py --case FILE.yaml --output DIR

NOT YET RUN ON HARDWARE: written against TransformerEngine's source (1.8, 1.9 to 2.0, 2.7, 2.18) and tested with stubs
of its interfaces (profile_overlap_case_test.py). Read the first traces with care.

The case names operator, pass, shape, switches and userbuffers (written by `autodist tune overlap --emit` or `--run`).
Every rank builds exactly that operator, warms up, checks that the product of the case's pass ran with the setting it
asks for, times `repeats` forward and backward passes without the profiler and as many with it, and writes rank<r>.json,
a profiler trace in which the passes lie in ranges called fc1_fprop, fc1_dgrad and fc1_wgrad. Rank 0 writes result.json
last: {"id", "applied", "profiler_ratio", "unprofiled_us": {"fprop": [...], "backward": [...]}, "environment"}.
 - applied: the setting in effect, every field as the case's `setting` has it. Read from what TransformerEngine gave to
   its userbuffers and to the product, not from what it was asked for.
 - unprofiled_us: one number a repeat, of the slowest rank, between events before and behind each pass; inputs are made
   before the first. dgrad and wgrad are one node of the autograd graph: only the trace tells them apart.
 - profiler_ratio: median of fprop + backward with the profiler, over the median without it.

Without userbuffers a case is TransformerEngine's own NCCL path. At fprop of all operators, and at dgrad of proj and
fc2, that is strictly one after the other. At qkv and fc1 it is not: the gather of the saved input runs beside the dgrad
product, and the reduce-scatter of dgrad beside the wgrad product (async_op=True). The baseline of these sites is NCCL's
overlap.

Where te.Linear of a column operator has no userbuffers (before 2.0), te.LayerNormLinear stands in, for the baseline
too; its norm lies outside of the ranges, but inside of unprofiled_us.

What cannot be measured ends the program with one sentence and status 1. SIGTERM ends it at once; torchrun passes it on
to all ranks.
"""

import argparse
import inspect
import json
import os
import pathlib
import sys

WARM_UPS = 5
SETTING_FIELDS = ("method", "num_sm", "num_splits", "aggregate", "set_sm_margin", "cga_size")
SEQUENTIAL = dict(zip(SETTING_FIELDS, ("sequential", 0, 0, False, False, 1)))


class CaseError(Exception):
    """Why the case cannot be measured, in one sentence."""


def read_case(path):
    """The case file as dictionaries: case, setting, switches, userbuffers."""
    import yaml

    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    for part in ("case", "setting", "switches"):
        if not isinstance(document.get(part), dict):
            raise CaseError(f"{path}: part {part} is missing")
    document["userbuffers"] = document.get("userbuffers") or {}
    return document


def is_column(case):
    return case["operator"] in ("qkv", "fc1")


def site_of(case):
    return f'{case["operator"]}_{case["pass"]}'


class Engine:
    """TransformerEngine as installed. Its versions are told apart by what they have, not by their number."""

    def __init__(self, te, version):
        self.te = te
        self.base = te.module.base
        self.name = f"TransformerEngine {version}"

    def has_norm(self, case):
        """Before 2.0 only te.LayerNormLinear overlaps the passes of a column operator."""
        return is_column(case) and "ub_bulk_dgrad" not in inspect.signature(self.te.Linear).parameters

    def make_linear(self, document, dtype, group):
        """The operator, without bias and activation."""
        case = document["case"]
        kind = "LayerNormLinear" if self.has_norm(case) else "Linear"
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
        if kind == "LayerNormLinear":
            arguments["normalization"] = "RMSNorm"
        arguments.update({name: on for name, on in document["switches"].items() if on})
        maker = getattr(self.te, kind)
        known = inspect.signature(maker).parameters
        for name in arguments:
            if name not in known:
                raise CaseError(f"{self.name}: te.{kind} has no argument {name}, which {site_of(case)} needs")
        return maker(case["inputs"], case["outputs"], **arguments)

    def start_userbuffers(self, document, dtype, group):
        """Initialises the userbuffers of the case; returns those that were made, see BufferRecorder."""
        case = document["case"]
        if document["setting"]["method"] == "sequential":
            return []
        self._check_bootstrap()
        hidden = case["inputs"] if is_column(case) else case["outputs"]
        offered = {
            "tp_group": group,  # 1.8
            "tp_size": case["tp"],
            "dtype": dtype,
            "ub_cfgs": document["userbuffers"],
            "bootstrap_backend": "nccl",  # since 1.9
        }
        known = inspect.signature(self.base.initialize_ub).parameters
        arguments = {name: value for name, value in offered.items() if name in known}
        with BufferRecorder(self) as recorder:
            try:
                self.base.initialize_ub([case["tokens"], hidden], **arguments)
            except Exception as error:
                why = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise CaseError(f"{self.name}: refuses the userbuffers of {site_of(case)}: {why}") from error
        return recorder.made

    def _check_bootstrap(self):
        """torchrun starts no MPI, so userbuffers whose ranks find each other through it cannot be made."""
        known = inspect.signature(self.base.initialize_ub).parameters
        if "tp_group" not in known and "bootstrap_backend" not in known:
            raise CaseError(f"{self.name}: its userbuffers need MPI, which torchrun does not start; 1.8 needs none")
        built_with_mpi = getattr(self.base.tex, "ubuf_built_with_mpi", lambda: False)
        if built_with_mpi() or ("tp_group" in known and os.environ.get("UB_MPI_BOOTSTRAP", "0") != "0"):
            raise CaseError(f"{self.name}: its userbuffers are told to use MPI, which torchrun does not start")


class BufferRecorder:
    """Notes which userbuffers TransformerEngine makes, and with what, while it is entered.

    `made` holds (object, whether it is a ring, arguments by their names in 1.13 and later).
    """

    RINGS = ("CommOverlapP2P", "UbufP2PCommOverlap")
    OTHERS = ("CommOverlap", "UbufCommOverlap")
    # Before 1.13 all arguments are positional; what stands in front of these grew with 1.9.
    RING_TAIL = ("num_comm_sm", "comm_cga_size", "set_sm_margin", "aggregate") + ("",) * 5
    OTHER_TAIL = ("num_comm_sm", "comm_cga_size", "num_splits", "set_sm_margin") + ("",) * 3

    def __init__(self, engine):
        self._tex = engine.base.tex
        names = [name for name in self.RINGS + self.OTHERS if hasattr(self._tex, name)]
        if len(names) != 2:
            raise CaseError(f"{engine.name}: has no userbuffers under a name that is known here (CommOverlap)")
        self._originals = {name: getattr(self._tex, name) for name in names}
        self.made = []

    def __enter__(self):
        for name, original in self._originals.items():
            setattr(self._tex, name, self._noting(original, name in self.RINGS))
        return self

    def __exit__(self, *_):
        for name, original in self._originals.items():
            setattr(self._tex, name, original)

    def _noting(self, original, is_ring):
        def make(*args, **kwargs):
            made = original(*args, **kwargs)
            tail = self.RING_TAIL if is_ring else self.OTHER_TAIL
            named = kwargs if kwargs else dict(zip(tail, args[-len(tail) :]))
            self.made.append((made, is_ring, named))
            return made

        return make


class PassTracer:
    """Opens a range around each pass of the operator, and notes the userbuffers that its products ran with.

    A pass is known by its product: TransformerEngine multiplies with layout TN in fprop, NN in dgrad, NT in wgrad.
    dgrad begins with the backward function and wgrad with the reduce-scatter of dgrad, or the wgrad product if there is
    none; so a collective belongs to the product that it runs beside. Ranges open and close on the thread that launches.
    With a norm in the module, fprop begins behind the norm, and wgrad ends in front of the norm's gradient.
    """

    PASSES = {"TN": "fprop", "NN": "dgrad", "NT": "wgrad"}

    def __init__(self, operator, has_norm, record_function):
        self._operator = operator
        self._has_norm = has_norm
        self._record = record_function
        self._function = None  # forward or backward, while it runs
        self._pass = None
        self._range = None
        self.products = {}  # by pass: (userbuffers or None, whether in bulk)

    def install(self, engine):
        """Wraps forward, backward, product and collectives where the module looks them up."""
        kind = "LayerNormLinear" if self._has_norm else "Linear"
        module = getattr(engine.te.module, "layernorm_linear" if self._has_norm else "linear")
        function = getattr(module, "_" + kind)
        function.forward = staticmethod(self._around(function.forward, "forward", None if self._has_norm else "fprop"))
        function.backward = staticmethod(self._around(function.backward, "backward", "dgrad"))
        places = ((module, "general_gemm"), (module, "gemm"), (getattr(module, "tex", None), "gemm"))
        place, name = next((p for p in places if hasattr(*p)), (None, None))
        if place is None:
            raise CaseError(f"{engine.name}: te.{kind} has no product under a name that is known here (general_gemm)")
        setattr(place, name, self._product(getattr(place, name)))
        for name, inside, opened in (
            ("gather_along_first_dim", "forward", "fprop"),
            ("reduce_scatter_along_first_dim", "backward", "wgrad"),
        ):
            setattr(module, name, self._collective(getattr(module, name), inside, opened))

    def _around(self, original, name, first_pass):
        def run(*args, **kwargs):
            self._function = name
            self._switch(first_pass)
            try:
                return original(*args, **kwargs)
            finally:
                self._switch(None)
                self._function = None

        return run

    def _product(self, original):
        def multiply(*args, **kwargs):
            which = self.PASSES[kwargs.get("layout", "TN")]
            algorithm = getattr(kwargs.get("ub_algo"), "name", "")  # before 2.0
            is_bulk = bool(kwargs.get("bulk_overlap")) or algorithm.startswith("BULK")
            self.products[which] = (kwargs.get("ub"), is_bulk)
            self._switch(which)
            result = original(*args, **kwargs)
            if self._has_norm and which == "wgrad":
                self._switch(None)
            return result

        return multiply

    def _collective(self, original, inside, opened):
        def communicate(*args, **kwargs):
            if self._function == inside:
                self._switch(opened)
            return original(*args, **kwargs)

        return communicate

    def _switch(self, name):
        if name == self._pass:
            return
        if self._range is not None:
            self._range.__exit__(None, None, None)
            self._range = None
        if name is not None:
            self._range = self._record(f"{self._operator}_{name}")
            self._range.__enter__()
        self._pass = name


def applied_setting(engine, document, made, products, capability):
    """The setting that the site's product ran with; fields that its method does not use are as in SEQUENTIAL.

    `capability` is the major compute capability: below 9 there are no clusters.
    """
    site = site_of(document["case"])
    if document["case"]["pass"] not in products:
        raise CaseError(f"{engine.name}: {site} ran no product")
    communicator, is_bulk = products[document["case"]["pass"]]
    if communicator is None:
        return dict(SEQUENTIAL)
    for one, is_ring, arguments in made:
        if one is not communicator:
            continue
        applied = {**SEQUENTIAL, "set_sm_margin": bool(arguments["set_sm_margin"])}
        if is_ring:
            return {**applied, "method": "ring_exchange", "aggregate": bool(arguments["aggregate"])}
        num_sm, cga_size = int(arguments["num_comm_sm"]), int(arguments["comm_cga_size"])
        applied["method"] = "bulk" if is_bulk else "pipeline"
        applied["num_sm"] = num_sm
        applied["num_splits"] = 0 if is_bulk else int(arguments["num_splits"])
        applied["cga_size"] = cga_size if capability >= 9 and num_sm % cga_size == 0 else 1
        return applied
    raise CaseError(f"{engine.name}: {site} ran with userbuffers that were not made for this case")


def check_applied(engine, document, applied):
    """Raises when the engine runs something else than the case."""
    for name in SETTING_FIELDS:
        asked = document["setting"][name]
        if asked != applied[name]:
            site = site_of(document["case"])
            raise CaseError(f"{engine.name}: {site} ran with {name} {applied[name]} where {asked} was asked for")


def shapes_of(case):
    """Input and gradient of the output on one rank: sequence-parallel tokens on one side, a slice on the other."""
    tp, tokens, inputs, outputs = case["tp"], case["tokens"], case["inputs"], case["outputs"]
    if is_column(case):
        return [tokens // tp, inputs], [tokens, outputs // tp]
    return [tokens, inputs // tp], [tokens // tp, outputs]


def time_passes(linear, make_tensors, repeats, torch):
    """Microseconds of each repeat on this rank: [[fprop, backward], ...]."""
    times = []
    for _ in range(repeats):
        linear.zero_grad(set_to_none=True)  # or gradients would be added up
        x, gradient = make_tensors()
        torch.distributed.barrier()
        torch.cuda.synchronize()
        begin, between, end = (torch.cuda.Event(enable_timing=True) for _ in range(3))
        begin.record()
        y = linear(x)
        between.record()
        y.backward(gradient)
        end.record()
        torch.cuda.synchronize()
        times.append([begin.elapsed_time(between) * 1e3, between.elapsed_time(end) * 1e3])
    return times


def slowest(times, torch):
    """Of the slowest rank in each repeat and pass: {"fprop": [...], "backward": [...]}. Called by all ranks."""
    gathered = torch.tensor(times, dtype=torch.float64, device="cuda")
    torch.distributed.all_reduce(gathered, op=torch.distributed.ReduceOp.MAX)
    fprop, backward = zip(*gathered.tolist())
    return {"fprop": list(fprop), "backward": list(backward)}


def median_of_sums(times):
    sums = sorted(map(sum, zip(times["fprop"], times["backward"])))
    return sums[len(sums) // 2]


def write_whole(path, text):
    """The file appears whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def start_ranks(case, torch):
    """The group of all ranks, on this rank's device."""
    if int(os.environ["WORLD_SIZE"]) != case["tp"]:
        raise CaseError(f'{os.environ["WORLD_SIZE"]} ranks were started for tp {case["tp"]}')
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl")
    return torch.distributed.new_group(backend="nccl")


def environment(engine, torch):
    """What the times depend on and no case says."""
    device = torch.cuda.get_device_properties(torch.cuda.current_device())
    variables = ("CUDA_DEVICE_MAX_CONNECTIONS", "UB_SKIPMC")
    return {
        "engine": engine.name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "device": device.name,
        "multiprocessors": device.multi_processor_count,
        **{name: os.environ.get(name) for name in variables},
    }


def profile(document, output, engine, torch):
    case, dtype = document["case"], torch.bfloat16
    group = start_ranks(case, torch)
    rank = torch.distributed.get_rank()
    torch.manual_seed(1234 + rank)
    made = engine.start_userbuffers(document, dtype, group)
    linear = engine.make_linear(document, dtype, group)
    tracer = PassTracer(case["operator"], engine.has_norm(case), torch.profiler.record_function)
    tracer.install(engine)

    def make_tensors():
        x_shape, gradient_shape = shapes_of(case)
        x = torch.randn(x_shape, dtype=dtype, device="cuda", requires_grad=True)
        return x, torch.randn(gradient_shape, dtype=dtype, device="cuda")

    time_passes(linear, make_tensors, WARM_UPS, torch)
    applied = applied_setting(engine, document, made, tracer.products, torch.cuda.get_device_capability()[0])
    check_applied(engine, document, applied)
    plain_us = time_passes(linear, make_tensors, case["repeats"], torch)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        profiled_us = time_passes(linear, make_tensors, case["repeats"], torch)
    trace = output / f"rank{rank}.json"
    profiler.export_chrome_trace(str(trace) + ".tmp")
    os.replace(str(trace) + ".tmp", trace)
    plain_us, profiled_us = slowest(plain_us, torch), slowest(profiled_us, torch)
    if rank == 0:  # all traces are there: slowest() was waited for
        result = {
            "id": case["id"],
            "applied": applied,
            "profiler_ratio": median_of_sums(profiled_us) / median_of_sums(plain_us),
            "unprofiled_us": plain_us,
            "environment": environment(engine, torch),
        }
        write_whole(output / "result.json", json.dumps(result, indent=2) + "\n")
    torch.distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", required=True, type=pathlib.Path)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    # Before CUDA starts: bulk collectives are launched in the order that overlaps them.
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "1")
    try:
        document = read_case(arguments.case)
        import torch
        import transformer_engine
        import transformer_engine.pytorch as te

        arguments.output.mkdir(parents=True, exist_ok=True)
        profile(document, arguments.output, Engine(te, transformer_engine.__version__), torch)
    except CaseError as error:
        print(f"profile_overlap_case: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
