#!/usr/bin/env python3
"""Tests of profile_overlap_case.py against stubs of TransformerEngine's interfaces: no GPU, no torch."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import profile_overlap_case as launcher
from transformer_engine_stub import VERSIONS, StubEngine

CASE = """case:
  id: tp4_{site}_case
  tp: 4
  operator: {operator}
  pass: {which}
  tokens: 8192
  inputs: {inputs}
  outputs: {outputs}
  repeats: 7
setting:
  method: {method}
  num_sm: {num_sm}
  num_splits: {num_splits}
  aggregate: {aggregate}
  set_sm_margin: {set_sm_margin}
  cga_size: {cga_size}
switches:
  ub_overlap_ag: {ub_overlap_ag}
  ub_overlap_rs: {ub_overlap_rs}
  ub_overlap_rs_dgrad: {ub_overlap_rs_dgrad}
  ub_bulk_dgrad: {ub_bulk_dgrad}
  ub_bulk_wgrad: {ub_bulk_wgrad}
userbuffers:
  # What TransformerEngine is given:
"""
SITE = """  {site}:
    method: {method}
    num_sm: {num_sm}
    cga_size: {cga_size}
    set_sm_margin: {set_sm_margin}
    num_splits: {num_splits}
    aggregate: {aggregate}
    atomic_gemm: false
    use_ce: {use_ce}
    fp8_buf: false
"""
SETTINGS = {
    "sequential": {"num_sm": 0, "cga_size": 1},
    "ring_exchange": {"num_sm": 0, "cga_size": 1},
    "bulk": {"num_sm": 6, "cga_size": 2},
    "pipeline": {"num_sm": 24, "num_splits": 8, "cga_size": 2, "set_sm_margin": "true"},
}
SHAPES = {"qkv": (4096, 6144), "proj": (4096, 4096), "fc1": (4096, 24576), "fc2": (12288, 4096)}


def read_text(text):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "case.yaml"
        path.write_text(text, encoding="utf-8")
        return launcher.read_case(path)


def case_text(site, method, switch=None, **fields):
    """A case file as `autodist tune overlap` writes it: unused fields of a ring are 0 in the setting, real below."""
    operator, which = site.split("_")
    setting = {"num_splits": 0, "aggregate": "false", "set_sm_margin": "false", **SETTINGS[method], **fields}
    switches = ("ub_overlap_ag", "ub_overlap_rs", "ub_overlap_rs_dgrad", "ub_bulk_dgrad", "ub_bulk_wgrad")
    text = CASE.format(
        site=site,
        operator=operator,
        which=which,
        inputs=SHAPES[operator][0],
        outputs=SHAPES[operator][1],
        method=method,
        **setting,
        **{name: "true" if name == switch else "false" for name in switches},
    )
    if method == "sequential":
        return text + "  {}\n"
    ring = method == "ring_exchange"
    given = (
        {**setting, "num_sm": 1, "num_splits": 4} if ring else {**setting, "num_splits": max(setting["num_splits"], 1)}
    )
    names = [site]
    if site.endswith("wgrad"):
        names.append(site.replace("wgrad", "dgrad"))
    return text + "".join(SITE.format(site=name, method=method, use_ce=str(ring).lower(), **given) for name in names)


class Ranges:
    """Stands in for torch.profiler.record_function: writes "<fc1_fprop" and ">" to the stub's log."""

    def __init__(self, log):
        self._log = log

    def __call__(self, name):
        log = self._log

        class Range:
            def __enter__(self):
                log.append("<" + name)

            def __exit__(self, *_):
                log.append(">")

        return Range()


def run(version, text, override=None, capability=9):
    """The case on a stub: (setting in effect, what was launched, operator, stub)."""
    document, stub = read_text(text), StubEngine(version, override)
    engine = launcher.Engine(stub, version)
    made = engine.start_userbuffers(document, "bf16", "group")
    linear = engine.make_linear(document, "bf16", "group")
    case = document["case"]
    tracer = launcher.PassTracer(case["operator"], engine.has_norm(case), Ranges(stub.log))
    tracer.install(engine)
    linear.forward()
    linear.backward()
    applied = launcher.applied_setting(engine, document, made, tracer.products, capability)
    launcher.check_applied(engine, document, applied)
    return applied, " ".join(stub.log), linear, stub


# Site, method and the switch that turns it on.
OVERLAPPED = (
    ("qkv_fprop", "ring_exchange", "ub_overlap_ag"),
    ("fc2_fprop", "pipeline", "ub_overlap_rs"),
    ("proj_fprop", "ring_exchange", "ub_overlap_rs"),
    ("fc2_dgrad", "ring_exchange", "ub_overlap_ag"),
    ("fc1_dgrad", "bulk", "ub_bulk_dgrad"),
    ("fc1_wgrad", "bulk", "ub_bulk_wgrad"),
    ("qkv_dgrad", "pipeline", "ub_overlap_rs_dgrad"),
)
MARK = {"fprop": "TN+ub", "dgrad": "NN+ub", "wgrad": "NT+ub"}


class EveryVersionTest(unittest.TestCase):
    def test_the_setting_in_effect_is_that_of_the_case_field_by_field(self):
        for version in VERSIONS:
            for site, method, switch in OVERLAPPED:
                with self.subTest(version=version, site=site, method=method):
                    text = case_text(site, method, switch)
                    applied, log, _, _ = run(version, text)
                    self.assertEqual(applied, read_text(text)["setting"])
                    self.assertEqual(log.count("+ub"), 1)
                    self.assertIn(MARK[site.split("_")[1]], log)

    def test_pairs_first_is_seen(self):
        for version in VERSIONS:
            applied, _, _, _ = run(version, case_text("fc1_fprop", "ring_exchange", "ub_overlap_ag", aggregate="true"))
            self.assertEqual((applied["method"], applied["aggregate"], applied["num_sm"]), ("ring_exchange", True, 0))

    def test_without_overlap_no_userbuffers_are_made(self):
        for version in VERSIONS:
            for operator in SHAPES:
                applied, log, _, stub = run(version, case_text(operator + "_fprop", "sequential"))
                self.assertEqual(applied, launcher.SEQUENTIAL)
                self.assertNotIn("+ub", log)
                self.assertIsNone(stub.initialized)

    def test_what_userbuffers_are_started_with(self):
        text = case_text("fc1_dgrad", "bulk", "ub_bulk_dgrad")
        for version in VERSIONS:
            _, _, _, stub = run(version, text)
            started = dict(stub.initialized)
            self.assertEqual(started.pop("ub_cfgs"), read_text(text)["userbuffers"])
            ranks = {"tp_group": "group"} if version == "1.8" else {"tp_size": 4, "backend": "nccl"}
            self.assertEqual(started, {"shape": [8192, 4096], "dtype": "bf16", **ranks})

    def test_a_field_that_came_out_otherwise_ends_the_case(self):
        for version in VERSIONS:
            for name, value, asked in (("num_sm", 16, 6), ("set_sm_margin", True, False), ("cga_size", 1, 2)):
                with self.subTest(version=version, name=name):
                    why = f"TransformerEngine {version}: fc1_wgrad ran with {name} {value} where {asked} was asked for"
                    with self.assertRaisesRegex(launcher.CaseError, why):
                        run(version, case_text("fc1_wgrad", "bulk", "ub_bulk_wgrad"), {name: value})

    def test_a_site_whose_switch_is_off_ran_sequentially(self):
        for version in VERSIONS:
            with self.assertRaisesRegex(launcher.CaseError, "method sequential where ring_exchange was asked for"):
                run(version, case_text("fc2_fprop", "ring_exchange"))

    def test_a_userbuffers_file_without_the_site_leaves_it_to_the_default(self):
        text = case_text("fc1_dgrad", "bulk", "ub_bulk_dgrad").replace("  fc1_dgrad:\n", "  qkv_dgrad:\n")
        with self.assertRaisesRegex(launcher.CaseError, "num_sm 16 where 6 was asked for"):
            run("2.7", text)

    def test_there_are_no_clusters_before_capability_9(self):
        text = case_text("fc1_dgrad", "bulk", "ub_bulk_dgrad")
        with self.assertRaisesRegex(launcher.CaseError, "cga_size 1 where 2 was asked for"):
            run("2.0", text, capability=8)
        run("2.0", text.replace("cga_size: 2", "cga_size: 1"), capability=8)

    def test_the_constructors_are_put_back(self):
        for version in VERSIONS:
            stub = StubEngine(version)
            constructors = dict(vars(stub.module.base.tex))
            document = read_text(case_text("fc1_dgrad", "bulk", "ub_bulk_dgrad"))
            launcher.Engine(stub, version).start_userbuffers(document, "bf16", "group")
            self.assertEqual(vars(stub.module.base.tex), constructors)


class LinearTest(unittest.TestCase):
    def test_the_operator_alone_with_the_switch_of_the_case(self):
        for version in VERSIONS:
            _, _, linear, _ = run(version, case_text("fc1_dgrad", "bulk", "ub_bulk_dgrad"))
            got = linear.arguments
            self.assertEqual((got["in_features"], got["out_features"]), (4096, 24576))
            self.assertEqual((got["parallel_mode"], got["ub_name"], got["tp_size"]), ("column", "fc1", 4))
            self.assertTrue(got["sequence_parallel"] and got["ub_bulk_dgrad"])
            self.assertFalse(got["bias"] or got["ub_bulk_wgrad"])

    def test_column_operators_have_a_norm_where_linear_cannot_overlap_them(self):
        for version, normalization in (("1.8", "RMSNorm"), ("1.10", "RMSNorm"), ("2.0", None)):
            for method in ("sequential", "bulk"):  # the baseline is the same operator
                _, _, linear, _ = run(
                    version, case_text("fc1_dgrad", method, "ub_bulk_dgrad" if method == "bulk" else None)
                )
                self.assertEqual(linear.arguments.get("normalization"), normalization)
            _, _, linear, _ = run(version, case_text("fc2_dgrad", "sequential"))
            self.assertNotIn("normalization", linear.arguments)

    def test_shapes_of_a_rank(self):
        case = read_text(case_text("fc1_dgrad", "sequential"))["case"]
        self.assertEqual(launcher.shapes_of(case), ([2048, 4096], [8192, 6144]))
        case = read_text(case_text("fc2_fprop", "sequential"))["case"]
        self.assertEqual(launcher.shapes_of(case), ([8192, 3072], [2048, 4096]))


class LackingTest(unittest.TestCase):
    """What a version lacks is one sentence that names version and thing."""

    def refusal(self, version, text, change):
        stub = StubEngine(version)
        change(stub)
        engine, document = launcher.Engine(stub, version), read_text(text)
        with self.assertRaises(launcher.CaseError) as caught:
            engine.start_userbuffers(document, "bf16", "group")
            engine.make_linear(document, "bf16", "group")
            launcher.PassTracer("fc1", False, Ranges([])).install(engine)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    BULK = case_text("fc1_dgrad", "bulk", "ub_bulk_dgrad")

    def test_a_field(self):
        text = self.BULK + "    pipeline_rs_overlap_first_gemm: false\n"
        why = self.refusal("1.10", text, lambda stub: None)
        self.assertRegex(why, "TransformerEngine 1.10: refuses the userbuffers of fc1_dgrad: .*pipeline_rs_overlap")
        self.assertEqual(run("1.8", text)[0]["method"], "bulk")  # 1.8 ignores it, and false is what it does

    def test_a_switch(self):
        text = case_text("fc2_dgrad", "bulk", "ub_bulk_dgrad")
        why = self.refusal("1.8", text, lambda stub: None)
        self.assertEqual(why, "TransformerEngine 1.8: te.Linear has no argument ub_bulk_dgrad, which fc2_dgrad needs")

    def test_a_way_for_ranks_to_meet(self):
        def before_1_8(stub):
            stub.module.base.initialize_ub = lambda shape, tp_size, use_fp8=False, dtype=None, ub_cfgs=None: None

        def built_with_mpi(stub):
            stub.module.base.tex.ubuf_built_with_mpi = lambda: True

        self.assertRegex(self.refusal("1.8", self.BULK, before_1_8), "userbuffers need MPI, .* 1.8 needs none")
        self.assertRegex(self.refusal("2.7", self.BULK, built_with_mpi), "TransformerEngine 2.7: .*told to use MPI")

    def test_a_constructor(self):
        def renamed(stub):
            del stub.module.base.tex.CommOverlap

        self.assertRegex(self.refusal("2.18", self.BULK, renamed), "TransformerEngine 2.18: has no userbuffers")

    def test_a_product(self):
        def renamed(stub):
            del stub.module.linear.general_gemm

        self.assertRegex(self.refusal("2.18", self.BULK, renamed), "TransformerEngine 2.18: te.Linear has no product")


class PassTracerTest(unittest.TestCase):
    def test_linear_since_2_0(self):
        for version in ("2.0", "2.7", "2.18"):
            self.assertEqual(
                run(version, case_text("fc1_dgrad", "sequential"))[1],
                "<fc1_fprop gather TN > <fc1_dgrad gather NN > <fc1_wgrad reduce_scatter NT >",
            )
            self.assertEqual(
                run(version, case_text("fc1_wgrad", "bulk", "ub_bulk_wgrad"))[1],
                "<fc1_fprop gather TN > <fc1_dgrad gather NN > <fc1_wgrad NT+ub >",
            )

    def test_rows(self):
        for version in VERSIONS:
            self.assertEqual(
                run(version, case_text("fc2_dgrad", "sequential"))[1],
                "<fc2_fprop TN reduce_scatter > <fc2_dgrad gather NN > <fc2_wgrad NT >",
            )

    def test_norms_lie_outside(self):
        for version in ("1.8", "1.10"):
            self.assertEqual(
                run(version, case_text("fc1_dgrad", "sequential"))[1],
                "norm <fc1_fprop gather TN > <fc1_dgrad gather NN > <fc1_wgrad reduce_scatter NT > norm",
            )
            self.assertEqual(
                run(version, case_text("fc1_fprop", "ring_exchange", "ub_overlap_ag"))[1],
                "norm <fc1_fprop TN+ub > <fc1_dgrad gather NN > <fc1_wgrad reduce_scatter NT > norm",
            )

    def test_a_range_closes_when_its_pass_throws(self):
        stub = StubEngine("2.0")
        tracer = launcher.PassTracer("fc1", False, Ranges(stub.log))
        tracer.install(launcher.Engine(stub, "2.0"))
        with self.assertRaises(AttributeError):
            stub.module.linear._Linear.forward(None)
        self.assertEqual(stub.log, ["<fc1_fprop", ">"])


class StubTorch:
    """A clock in ms that passes advance, events that read it, and another rank in all_reduce."""

    def __init__(self, other_rank=None):
        self.now = 0.0
        self.float64 = "float64"
        self.cuda = types.SimpleNamespace(Event=self._event, synchronize=lambda: None)
        self.distributed = types.SimpleNamespace(
            barrier=lambda: self.work(100), ReduceOp=types.SimpleNamespace(MAX="max"), all_reduce=self._all_reduce
        )
        self._other_rank = other_rank

    def work(self, ms):
        self.now += ms

    def tensor(self, values, dtype, device):
        return types.SimpleNamespace(values=values, tolist=lambda: self._reduced)

    def _event(self, enable_timing):
        event = types.SimpleNamespace(at=None)
        event.record = lambda: setattr(event, "at", self.now)
        event.elapsed_time = lambda end: end.at - event.at
        return event

    def _all_reduce(self, tensor, op):
        assert op == "max"
        self._reduced = [list(map(max, mine, theirs)) for mine, theirs in zip(tensor.values, self._other_rank)]


class TimeTest(unittest.TestCase):
    def test_passes_are_timed_alone(self):
        torch = StubTorch()
        cleared = []

        def make_tensors():
            torch.work(1000)
            return "x", "gradient"

        class Linear:
            def zero_grad(self, set_to_none):
                cleared.append(set_to_none)

            def __call__(self, x):
                torch.work(2)
                return types.SimpleNamespace(backward=lambda gradient: torch.work(5))

        self.assertEqual(launcher.time_passes(Linear(), make_tensors, 3, torch), [[2000, 5000]] * 3)
        self.assertEqual(cleared, [True] * 3)

    def test_the_slowest_rank_of_each_repeat_counts(self):
        torch = StubTorch(other_rank=[[3, 4], [1, 9], [2, 2]])
        times = launcher.slowest([[2, 5], [2, 5], [2, 5]], torch)
        self.assertEqual(times, {"fprop": [3, 2, 2], "backward": [5, 9, 5]})
        self.assertEqual(launcher.median_of_sums(times), 8)


class EnvironmentTest(unittest.TestCase):
    def test_what_the_times_depend_on(self):
        device = types.SimpleNamespace(name="NVIDIA H100", multi_processor_count=132)
        cuda = types.SimpleNamespace(current_device=lambda: 0, get_device_properties=lambda _: device)
        torch = types.SimpleNamespace(__version__="2.9", cuda=cuda, version=types.SimpleNamespace(cuda="13.0"))
        engine = types.SimpleNamespace(name="TransformerEngine 2.18")
        seen = launcher.environment(engine, torch)
        self.assertEqual((seen["engine"], seen["device"], seen["multiprocessors"]), (engine.name, device.name, 132))
        self.assertIn("UB_SKIPMC", seen)


class ProgramTest(unittest.TestCase):
    def start(self, text, torch):
        """The program with a module `torch` of that text."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        root = pathlib.Path(directory.name)
        (root / "transformer_engine").mkdir()
        (root / "torch.py").write_text(torch, encoding="utf-8")
        (root / "transformer_engine" / "__init__.py").write_text('__version__ = "2.7"\n', encoding="utf-8")
        stub = "from transformer_engine_stub import StubEngine\nmodule = StubEngine('2.7').module\n"
        (root / "transformer_engine" / "pytorch.py").write_text(stub, encoding="utf-8")
        (root / "case.yaml").write_text(text, encoding="utf-8")
        here = pathlib.Path(__file__).parent
        paths = os.pathsep.join((str(root), str(here)))
        return subprocess.Popen(
            [sys.executable, here / "profile_overlap_case.py", "--case", root / "case.yaml", "--output", root / "out"],
            env={**os.environ, "PYTHONPATH": paths, "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_a_case_that_cannot_be_measured_is_one_sentence_and_status_1(self):
        text = case_text("fc1_dgrad", "sequential")
        for changed, why in (
            (text, "profile_overlap_case: 2 ranks were started for tp 4\n"),
            (text.replace("setting:", "settings:"), "part setting is missing\n"),
        ):
            process = self.start(changed, "bfloat16 = 'bf16'\n")
            _, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 1)
            self.assertEqual(errors.count("\n"), 1)
            self.assertTrue(errors.endswith(why), errors)

    def test_sigterm_ends_it(self):
        waiting = "import sys, time\nbfloat16 = 'bf16'\nclass cuda:\n  @staticmethod\n  def set_device(_):\n"
        waiting += "    print('runs', flush=True)\n    time.sleep(600)\n"
        process = self.start(case_text("fc1_dgrad", "sequential").replace("tp: 4", "tp: 2"), waiting)
        self.assertEqual(process.stdout.readline(), "runs\n")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, -signal.SIGTERM)


if __name__ == "__main__":
    unittest.main()
