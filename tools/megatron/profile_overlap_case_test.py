#!/usr/bin/env python3
"""Tests of profile_overlap_case.py against a stub of TransformerEngine's interface: no GPU, no torch."""
import pathlib
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import profile_overlap_case as launcher

BULK = """case:
  id: tp4_fc1_dgrad_bulk_sm6
  tp: 4
  operator: fc1
  pass: dgrad
  tokens: 8192
  inputs: 4096
  outputs: 24576
  repeats: 7
setting:
  method: bulk
  num_sm: 6
  num_splits: 0
  aggregate: false
  set_sm_margin: false
  cga_size: 2
switches:
  ub_overlap_ag: false
  ub_overlap_rs: false
  ub_overlap_rs_dgrad: false
  ub_bulk_dgrad: true
  ub_bulk_wgrad: false
userbuffers:
  # What TransformerEngine is given:
  fc1_dgrad:
    method: bulk
    num_sm: 6
    cga_size: 2
    set_sm_margin: false
"""


def case_of(text):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "case.yaml"
        path.write_text(text, encoding="utf-8")
        return launcher.read_case(path)


class Userbuffer:
    """What tex.CommOverlap and tex.CommOverlapP2P return."""


def stub_engine(defaults=None, tuple_keys=False):
    """TransformerEngine's names as the launcher uses them; records the calls.

    initialize_ub makes a communicator for every key of ub_cfgs as that of TransformerEngine does: keyword arguments
    num_comm_sm, comm_cga_size, set_sm_margin and, for rings, aggregate, for others num_splits. `defaults` overrides
    what was asked for.
    """
    calls = types.SimpleNamespace(initialize=[], linear=[])
    base = types.SimpleNamespace(_ub_communicators={})
    base.tex = types.SimpleNamespace(
        CommOverlap=lambda *args, **kwargs: Userbuffer(), CommOverlapP2P=lambda *args, **kwargs: Userbuffer()
    )

    def initialize_ub(shape, tp_size, use_fp8=False, dtype=None, ub_cfgs=None, bootstrap_backend=None):
        calls.initialize.append((shape, tp_size, dtype, ub_cfgs, bootstrap_backend))
        for name, asked in ub_cfgs.items():
            fields = {**asked, **(defaults or {})}
            common = {
                "num_comm_sm": fields["num_sm"],
                "comm_cga_size": fields["cga_size"],
                "set_sm_margin": fields["set_sm_margin"],
            }
            if fields["method"] == "ring_exchange":
                made = base.tex.CommOverlapP2P(shape, dtype, aggregate=fields.get("aggregate", False), **common)
            else:
                made = base.tex.CommOverlap(shape, dtype, num_splits=fields.get("num_splits", 4), **common)
            base._ub_communicators[(name, "none") if tuple_keys else name] = made

    def linear(inputs, outputs, **kwargs):
        calls.linear.append((inputs, outputs, kwargs))

    base.initialize_ub = initialize_ub
    engine = types.SimpleNamespace(module=types.SimpleNamespace(base=base), Linear=linear)
    return engine, calls


class UserbuffersTest(unittest.TestCase):
    def test_the_configuration_of_the_case_is_passed_and_read_back(self):
        for tuple_keys in (False, True):
            document = case_of(BULK)
            engine, calls = stub_engine(tuple_keys=tuple_keys)
            applied = launcher.start_userbuffers(document, engine, "bf16")
            self.assertEqual(calls.initialize[0][0], [8192, 4096])
            self.assertEqual(calls.initialize[0][1:], (4, "bf16", document["userbuffers"], "nccl"))
            self.assertEqual(applied, document["setting"])
            launcher.check_applied(document, applied)

    def test_another_setting_in_effect_ends_the_case(self):
        document = case_of(BULK)
        engine, _ = stub_engine(defaults={"num_sm": 16})
        with self.assertRaisesRegex(RuntimeError, "num_sm is 16 in effect, 6 was asked for"):
            launcher.check_applied(document, launcher.start_userbuffers(document, engine, "bf16"))

    def test_a_site_without_userbuffers_ends_the_case(self):
        document = case_of(BULK.replace("  fc1_dgrad:\n", "  qkv_dgrad:\n"))
        engine, _ = stub_engine()
        with self.assertRaisesRegex(RuntimeError, "made no userbuffer for fc1_dgrad"):
            launcher.start_userbuffers(document, engine, "bf16")

    def test_rings_report_no_blocks(self):
        text = BULK.replace("method: bulk", "method: ring_exchange").replace("pass: dgrad", "pass: fprop")
        document = case_of(text.replace("  fc1_dgrad:\n", "  fc1_fprop:\n"))
        engine, _ = stub_engine()
        applied = launcher.start_userbuffers(document, engine, "bf16")
        self.assertEqual((applied["method"], applied["num_sm"], applied["cga_size"]), ("ring_exchange", 0, 1))

    def test_without_overlap_there_are_none(self):
        document = case_of(BULK.replace("method: bulk\n  num_sm: 6", "method: sequential\n  num_sm: 0", 1))
        engine, calls = stub_engine()
        self.assertEqual(launcher.start_userbuffers(document, engine, "bf16")["method"], "sequential")
        self.assertEqual(calls.initialize, [])

    def test_the_constructors_are_put_back(self):
        engine, _ = stub_engine()
        before = engine.module.base.tex.CommOverlap
        launcher.start_userbuffers(case_of(BULK), engine, "bf16")
        self.assertIs(engine.module.base.tex.CommOverlap, before)


class LinearTest(unittest.TestCase):
    def test_the_operator_alone_with_the_switches_of_the_case(self):
        engine, calls = stub_engine()
        launcher.make_linear(case_of(BULK), engine, "bf16", "group")
        inputs, outputs, arguments = calls.linear[0]
        self.assertEqual((inputs, outputs), (4096, 24576))
        self.assertEqual(arguments["parallel_mode"], "column")
        self.assertEqual(arguments["ub_name"], "fc1")
        self.assertTrue(arguments["sequence_parallel"])
        self.assertTrue(arguments["ub_bulk_dgrad"])
        self.assertNotIn("ub_bulk_wgrad", arguments)
        self.assertFalse(arguments["bias"])

    def test_inputs_of_a_rank(self):
        case = case_of(BULK)["case"]
        self.assertEqual(launcher.input_shape(case), [2048, 4096])
        self.assertEqual(launcher.input_shape({**case, "operator": "fc2", "inputs": 12288}), [8192, 3072])


class PassRangesTest(unittest.TestCase):
    def ranges(self, labels):
        """The ranges opened and closed while TransformerEngine opens and closes `labels`."""
        log = []

        class Range:
            def __init__(self, name):
                self.name = name

            def __enter__(self):
                log.append("+" + self.name)

            def __exit__(self, *_):
                log.append("-" + self.name)

        module = types.SimpleNamespace(nvtx_range_push=lambda label: None, nvtx_range_pop=lambda label=None: None)
        self.assertTrue(launcher.PassRanges("fc1", Range).install(module))
        for label in labels:
            (module.nvtx_range_push if label[0] == "+" else module.nvtx_range_pop)(label[1:])
        return log

    def test_dgrad_then_wgrad(self):
        label = "transformer_engine._Linear.backward.fc1"
        self.assertEqual(
            self.ranges(
                [
                    f"+{label}.column_parallel_comm_input",
                    f"-{label}.column_parallel_comm_input",
                    f"+{label}.dgrad_gemm",
                    f"-{label}.dgrad_gemm",
                    f"+{label}.column_parallel_comm_dgrad",
                    f"-{label}.column_parallel_comm_dgrad",
                    f"+{label}.wgrad_gemm",
                    f"-{label}.wgrad_gemm",
                ]
            ),
            ["+fc1_dgrad", "-fc1_dgrad", "+fc1_wgrad", "-fc1_wgrad"],
        )

    def test_forward_is_left_alone(self):
        label = "transformer_engine._Linear.forward.fc1.gemm"
        self.assertEqual(self.ranges([f"+{label}", f"-{label}"]), [])

    def test_versions_without_ranges(self):
        self.assertFalse(launcher.PassRanges("fc1", None).install(types.SimpleNamespace()))


class CaseFileTest(unittest.TestCase):
    def test_what_is_missing_is_named(self):
        with self.assertRaisesRegex(ValueError, "part setting is missing"):
            case_of(BULK.replace("setting:", "settings:"))


if __name__ == "__main__":
    unittest.main()
