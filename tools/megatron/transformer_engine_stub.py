"""TransformerEngine's interface as profile_overlap_case.py meets it, in the generations that differ. No GPU, no torch.

Names, signatures, what is positional, and by which name a module calls a function, are those of the source of versions
1.8, 1.10, 2.0, 2.7 and 2.18: pytorch/module/base.py, linear.py, layernorm_linear.py, cpp_extensions/gemm.py. Nothing
is computed: what would be launched goes to StubEngine.log: "TN", "NN" and "NT" for products, "+ub" behind those that
run with userbuffers, "gather", "reduce_scatter", "norm".
"""

import types

VERSIONS = ("1.8", "1.10", "2.0", "2.7", "2.18")
DEFAULT_METHODS = {
    **dict.fromkeys(("qkv_fprop", "fc1_fprop", "proj_dgrad", "fc2_dgrad"), "ring_exchange"),
    **dict.fromkeys(("proj_fprop", "fc2_fprop"), "pipeline"),
    **dict.fromkeys(("qkv_dgrad", "qkv_wgrad", "fc1_dgrad", "fc1_wgrad"), "bulk"),
}
FIELDS = {
    "method",
    "is_reduce_scatter",
    "num_sm",
    "cga_size",
    "set_sm_margin",
    "num_splits",
    "aggregate",
    "atomic_gemm",
    "use_ce",
    "fp8_buf",
}


class Userbuffers:
    """What the constructors return."""


def tex_1_8():
    def ring(sample, rank, size, tp_id, tp, num_sm, cga, margin, aggregate, streams, is_rs, atomic, use_ce, counters):
        return Userbuffers()

    def other(sample, rank, size, tp_id, tp, num_sm, cga, splits, margin, streams, atomic, counters):
        return Userbuffers()

    return types.SimpleNamespace(UbufP2PCommOverlap=ring, UbufCommOverlap=other)


def tex_1_9():
    def ring(
        sample,
        rank,
        size,
        local_rank,
        local_size,
        node,
        nodes,
        tp,
        num_sm,
        cga,
        margin,
        aggregate,
        streams,
        is_rs,
        atomic,
        use_ce,
        callbacks,
    ):
        return Userbuffers()

    def other(
        sample,
        rank,
        size,
        local_rank,
        local_size,
        node,
        nodes,
        tp,
        num_sm,
        cga,
        splits,
        margin,
        streams,
        atomic,
        callbacks,
    ):
        return Userbuffers()

    return types.SimpleNamespace(UbufP2PCommOverlap=ring, UbufCommOverlap=other, ubuf_built_with_mpi=lambda: False)


def tex_1_13():
    def ring(shape, dtype, helper, tp, comm_type, *, num_comm_sm, comm_cga_size, set_sm_margin, use_ce, aggregate):
        return Userbuffers()

    def other(shape, dtype, helper, tp, *, num_splits, comm_cga_size, num_comm_sm, set_sm_margin):
        return Userbuffers()

    return types.SimpleNamespace(CommOverlapP2P=ring, CommOverlap=other, ubuf_built_with_mpi=lambda: False)


def make_1_8(tex, method, num_sm, cga_size, set_sm_margin, num_splits, aggregate, use_ce, ranks=("s", 0, 4, 0, 4)):
    """As add_ub calls the constructors."""
    if method == "ring_exchange":
        tail = (num_sm, cga_size, set_sm_margin, aggregate, 3, False, False, use_ce, None)
        return tex.UbufP2PCommOverlap(*ranks, *tail)
    return tex.UbufCommOverlap(*ranks, num_sm, cga_size, num_splits, set_sm_margin, 3, False, None)


def make_1_9(*args, **kwargs):
    return make_1_8(*args, **kwargs, ranks=("s", 0, 4, 0, 4, 0, 1, 4))


def make_1_13(tex, method, num_sm, cga_size, set_sm_margin, num_splits, aggregate, use_ce):
    common = {"num_comm_sm": num_sm, "comm_cga_size": cga_size, "set_sm_margin": set_sm_margin}
    if method == "ring_exchange":
        return tex.CommOverlapP2P("shape", "bf16", "helper", 4, "AG", **common, use_ce=use_ce, aggregate=aggregate)
    return tex.CommOverlap("shape", "bf16", "helper", 4, **common, num_splits=num_splits)


class StubEngine:
    """transformer_engine.pytorch of one version. `override` replaces fields of every userbuffers that is made."""

    def __init__(self, version, override=None):
        self.version = tuple(map(int, version.split(".")))
        self.log = []
        self.initialized = None  # what initialize_ub was called with
        self.override = override or {}
        self.communicators = {}
        old = self.version < (2, 0)
        tex, self._make = (
            (tex_1_13(), make_1_13)
            if not old
            else (tex_1_9(), make_1_9) if self.version > (1, 8) else (tex_1_8(), make_1_8)
        )
        base = types.SimpleNamespace(tex=tex, initialize_ub=initializer(self))
        self.module = types.SimpleNamespace(base=base)
        if old:
            self.module.linear, self.Linear = linear_1(self)
            self.module.layernorm_linear, self.LayerNormLinear = layernorm_linear_1(self)
        else:
            self.module.linear, self.Linear = linear_2(self)

    def initialize(self, ub_cfgs, **arguments):
        """Userbuffers for every site, those that ub_cfgs does not name by default."""
        self.initialized = {"ub_cfgs": ub_cfgs, **arguments}
        for site, method in DEFAULT_METHODS.items():
            asked = {"method": method, **ub_cfgs.get(site, {}), **self.override}
            known = FIELDS | ({"pipeline_rs_overlap_first_gemm"} if self.version >= (2, 0) else set())
            unknown = set(asked) - known
            if unknown and self.version > (1, 8):  # 1.8 looks up the fields that it knows
                raise TypeError(f"add_ub() got an unexpected keyword argument '{min(unknown)}'")
            fields = {"num_sm": 16, "cga_size": 2, "set_sm_margin": False, "num_splits": 4, "aggregate": False}
            fields.update({name: asked[name] for name in {*fields, "method", "use_ce"} & set(asked)})
            fields.setdefault("use_ce", True)
            self.communicators[site] = self._make(self.module.base.tex, **fields)

    def multiply(self, layout, userbuffers):
        self.log.append(layout + ("+ub" if userbuffers else ""))

    def collective(self, name):
        return lambda *_, **__: self.log.append(name)


def initializer(engine):
    """initialize_ub of the engine's version."""

    def of_1_8(shape, tp_group, use_fp8=False, dtype=None, ub_cfgs=None):
        engine.initialize(ub_cfgs, shape=shape, tp_group=tp_group, dtype=dtype)

    def of_1_9(shape, tp_size, use_fp8=False, dtype=None, ub_cfgs=None, bootstrap_backend=None):
        engine.initialize(ub_cfgs, shape=shape, tp_size=tp_size, dtype=dtype, backend=bootstrap_backend)

    def of_2_8(
        shape,
        tp_size,
        use_fp8=False,
        quantization_modes=None,
        dtype=None,
        ub_cfgs=None,
        bootstrap_backend=None,
        with_cublasmp=False,
    ):
        engine.initialize(ub_cfgs, shape=shape, tp_size=tp_size, dtype=dtype, backend=bootstrap_backend)

    return of_2_8 if engine.version >= (2, 8) else of_1_9 if engine.version > (1, 8) else of_1_8


def module_of(engine, **products):
    """The namespace in which an autograd function finds its product and collectives when it runs."""
    return types.SimpleNamespace(
        gather_along_first_dim=engine.collective("gather"),
        reduce_scatter_along_first_dim=engine.collective("reduce_scatter"),
        **products,
    )


class Operator:
    """What te.Linear and te.LayerNormLinear return; the tests call forward and backward."""

    def __init__(self, module, function, arguments):
        self._module, self._function = module, function
        self.arguments = {name: value for name, value in arguments.items() if name != "module"}
        self.__dict__.update(self.arguments)

    def forward(self):
        getattr(self._module, self._function).forward(self)

    def backward(self):
        getattr(self._module, self._function).backward(self)


def linear_1(engine):
    """te.Linear before 2.0: userbuffers in rows only, no name for the range of a product."""

    def gemm(a, b, dtype, workspace, grad=False, layout="TN", ub_algo=None, ub=None):
        engine.multiply(layout, ub)

    module = module_of(engine, gemm=gemm)

    class _Linear:
        @staticmethod
        def forward(op):
            ub = engine.communicators[op.ub_name + "_fprop"] if op.ub_overlap_rs else None
            if op.parallel_mode == "column":
                module.gather_along_first_dim("x")
            module.gemm("w", "x", "bf16", "workspace", ub_algo="SPLIT_PIPELINED_RS" if ub else None, ub=ub)
            if op.parallel_mode == "row" and ub is None:
                module.reduce_scatter_along_first_dim("y")

        @staticmethod
        def backward(op):
            column = op.parallel_mode == "column"
            ub = engine.communicators[op.ub_name + "_dgrad"] if op.ub_overlap_ag else None
            if column or ub is None:
                engine.collective("gather")()  # of the gradient, in base.py; of the input, in linear.py
            module.gemm("w", "dy", "bf16", "workspace", layout="NN", grad=True, ub=ub)
            if column:
                module.reduce_scatter_along_first_dim("dx", async_op=True)
            module.gemm("x", "dy", "bf16", "workspace", layout="NT", grad=True)

    module._Linear = _Linear

    def Linear(
        in_features,
        out_features,
        sequence_parallel=False,
        tp_group=None,
        tp_size=1,
        bias=True,
        params_dtype=None,
        parallel_mode=None,
        device="cuda",
        ub_overlap_rs=False,
        ub_overlap_ag=False,
        ub_name=None,
    ):
        return Operator(module, "_Linear", locals())

    return module, Linear


def layernorm_linear_1(engine):
    """te.LayerNormLinear before 2.0, of a column operator: calls the product through its name for cpp_extensions."""

    def gemm(a, b, dtype, workspace, grad=False, layout="TN", ub_algo=None, ub=None):
        engine.multiply(layout, ub)

    tex = types.SimpleNamespace(gemm=gemm)
    module = module_of(engine, tex=tex)

    def algorithm(name):
        return types.SimpleNamespace(name=name)  # an enum of pybind

    class _LayerNormLinear:
        @staticmethod
        def forward(op):
            engine.log.append("norm")
            ub = engine.communicators[op.ub_name + "_fprop"] if op.ub_overlap_ag else None
            if ub is None:
                module.gather_along_first_dim("x")
            tex.gemm("w", "x", "bf16", "workspace", ub_algo=algorithm("SPLIT_PIPELINED_AG_P2P") if ub else None, ub=ub)

        @staticmethod
        def backward(op):
            dgrad_ub = wgrad_ub = dgrad_algorithm = wgrad_algorithm = None
            if op.ub_overlap_rs_dgrad or op.ub_bulk_dgrad:
                dgrad_ub = engine.communicators[op.ub_name + "_dgrad"]
                dgrad_algorithm = algorithm("SPLIT_PIPELINED_RS" if op.ub_overlap_rs_dgrad else "BULK_OVERLAP_AG")
            if op.ub_bulk_wgrad:
                wgrad_ub = engine.communicators[op.ub_name + "_wgrad"]
                wgrad_algorithm = algorithm("BULK_OVERLAP_RS")
            if not op.ub_bulk_dgrad:
                module.gather_along_first_dim("x", async_op=True)
            tex.gemm("w", "dy", "bf16", "workspace", layout="NN", grad=True, ub_algo=dgrad_algorithm, ub=dgrad_ub)
            if not op.ub_bulk_wgrad and not op.ub_overlap_rs_dgrad:
                module.reduce_scatter_along_first_dim("dx", async_op=True)
            tex.gemm("x", "dy", "bf16", "workspace", layout="NT", grad=True, ub_algo=wgrad_algorithm, ub=wgrad_ub)
            engine.log.append("norm")

    module._LayerNormLinear = _LayerNormLinear

    def LayerNormLinear(
        in_features,
        out_features,
        sequence_parallel=False,
        tp_group=None,
        tp_size=1,
        bias=True,
        normalization="LayerNorm",
        params_dtype=None,
        parallel_mode=None,
        device="cuda",
        ub_bulk_wgrad=False,
        ub_bulk_dgrad=False,
        ub_overlap_ag=False,
        ub_overlap_rs_dgrad=False,
        ub_name=None,
    ):
        return Operator(module, "_LayerNormLinear", locals())

    return module, LayerNormLinear


def linear_2(engine):
    """te.Linear since 2.0."""

    def general_gemm(a, b, *workspace, layout="TN", grad=False, ub=None, ub_type=None, bulk_overlap=False):
        engine.multiply(layout, ub)

    module = module_of(engine, general_gemm=general_gemm)

    class _Linear:
        @staticmethod
        def forward(op):
            column = op.parallel_mode == "column"
            overlapped = op.ub_overlap_ag if column else op.ub_overlap_rs
            ub = engine.communicators[op.ub_name + "_fprop"] if overlapped else None
            if column and ub is None:
                module.gather_along_first_dim("x")
            module.general_gemm("w", "x", ub=ub, ub_type="RS")
            if not column and ub is None:
                module.reduce_scatter_along_first_dim("y")

        @staticmethod
        def backward(op):
            column = op.parallel_mode == "column"
            bulk_dgrad = column and op.ub_bulk_dgrad and not op.ub_overlap_rs_dgrad
            bulk_wgrad = column and op.ub_bulk_wgrad and not op.ub_overlap_rs_dgrad
            scatters = column and op.ub_overlap_rs_dgrad
            overlapped = bulk_dgrad or scatters or (not column and op.ub_overlap_ag)
            ub = engine.communicators[op.ub_name + "_dgrad"] if overlapped else None
            if not column and ub is None:
                engine.collective("gather")()  # in base.py
            if column and not bulk_dgrad:
                module.gather_along_first_dim("x", async_op=True)
            module.general_gemm("w", "dy", layout="NN", grad=True, ub=ub, bulk_overlap=bulk_dgrad)
            if column and not bulk_wgrad and not scatters:
                module.reduce_scatter_along_first_dim("dx", async_op=True)
            ub = engine.communicators[op.ub_name + "_wgrad"] if bulk_wgrad else None
            module.general_gemm("x", "dy", **{"layout": "NT", "grad": True, "ub": ub, "bulk_overlap": bulk_wgrad})

    module._Linear = _Linear

    def Linear(
        in_features,
        out_features,
        sequence_parallel=False,
        tp_group=None,
        tp_size=1,
        bias=True,
        params_dtype=None,
        parallel_mode=None,
        device="cuda",
        ub_overlap_ag=False,
        ub_overlap_rs=False,
        ub_overlap_rs_dgrad=False,
        ub_bulk_dgrad=False,
        ub_bulk_wgrad=False,
        ub_name=None,
    ):
        return Operator(module, "_Linear", locals())

    return module, Linear
