"""The frozen network as an ONNX graph, run by ONNX Runtime on one thread.

The graph is built in memory from the arrays of a verified model and is never a file of its own authority.
Bins are looked up outside of it (`frozen_network.places_of`): `searchsorted` has no ONNX operator, and
counting edges in the graph costs more. Where ONNX Runtime is not installed, the numpy pass takes its place:
`fastest` chooses, and says why.

Shapes and names are those of `frozen_network`.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loan_default.models.features import Inputs
from loan_default.models.frozen_network import EPSILON, Floats, FrozenBlock, FrozenNetwork, Logits, places_of

if TYPE_CHECKING:
    import onnx

_OPSET, _IR = 17, 8
"""Versions of the standard that every ONNX Runtime of the extra `serving` reads."""


def fastest(network: FrozenNetwork) -> tuple[Logits, str]:
    """The fastest way to compute a network that is installed here, and the reason in words."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        return network.logits, f"numpy, as {' and '.join(missing)} cannot be imported"
    return graph_logits(
        network
    ), "ONNX Runtime, on one thread: for few rows it takes two thirds of the time of numpy"


def graph_logits(network: FrozenNetwork) -> Logits:
    """The network by ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415 (of the extra `serving`)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors
    content = network_graph(network).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def logits(inputs: Inputs) -> Floats:
        feeds = dict(zip(_INPUTS, places_of(network, inputs), strict=True))
        result: Floats = session.run(None, {name: feeds[name] for name in names})[0]
        return result

    return logits


_INPUTS = ("numbers", "bins", "position", "codes", "levels")


def network_graph(network: FrozenNetwork) -> "onnx.ModelProto":
    """The graph from the places of rows to their logits, for any number of rows."""
    graph = _Graph()
    tokens = _tokens(graph, network)
    seen = _cls_after_blocks(graph, network, tokens)
    if network.reads_tokens:
        seen = graph.add("Concat", seen, tokens, axis=2)
    x = graph.add("Relu", _first_layer(graph, network, seen))
    for weight, bias in network.layers:
        hidden = network.first.shape[-1]
        flat = graph.reshape(x, network.members, -1, hidden)
        flat = graph.add("Relu", graph.add("Add", graph.add("MatMul", flat, weight), bias))
        x = graph.reshape(flat, network.members, network.last.shape[1], -1, hidden)
    logits = graph.add("MatMul", x, network.last[..., None])
    logits = graph.reshape(logits, network.members, network.last.shape[1], -1)
    return graph.model(graph.add("Add", logits, network.last_bias[..., None]))


def _tokens(graph: "_Graph", network: FrozenNetwork) -> str:
    """Tokens `(M, B, T, d)` before attention."""
    tokens = []
    if len(network.left):
        table = np.concatenate([network.base, network.increment], axis=2)
        gathered = graph.add("Gather", table, graph.input("bins", np.int64, len(network.left)), axis=1)
        base, increment = graph.add_all("Split", 2, gathered, axis=-1)
        last = np.array([-1])
        position = graph.add("Unsqueeze", graph.input("position", np.float32, len(network.left)), last)
        numbers = graph.add("Unsqueeze", graph.input("numbers", np.float32, len(network.left)), last)
        known = graph.add("Add", base, graph.add("Mul", increment, position))
        tokens.append(graph.add("Add", known, graph.add("Mul", network.slope[:, None], numbers)))
    if n_columns := len(network.first_code):
        codes = graph.input("codes", np.int64, n_columns)
        categories = graph.add("Gather", network.categories, codes, axis=1)
        if len(network.rated):
            levels = graph.input("levels", np.int64, len(network.rated))
            rates = graph.add("Gather", network.rates, levels, axis=1)
            rates = graph.add("Unsqueeze", rates, np.array([-1]))
            # Columns without rates get those of the first one, times zero.
            weight = np.zeros((network.members, 1, n_columns, network.cls.shape[1]), np.float32)
            weight[:, 0, network.rated] = network.rate_weight
            of_column = np.zeros(n_columns, np.int64)
            of_column[network.rated] = np.arange(len(network.rated))
            rates = graph.add("Gather", rates, of_column, axis=2)
            categories = graph.add("Add", categories, graph.add("Mul", rates, weight))
        tokens.append(categories)
    return tokens[0] if len(tokens) == 1 else graph.add("Concat", *tokens, axis=2)


def _cls_after_blocks(graph: "_Graph", network: FrozenNetwork, tokens: str) -> str:
    """[CLS] `(M, B, 1, d)` after all blocks."""
    width = network.cls.shape[1]
    first = graph.first_token(tokens)
    cls = graph.add("Add", graph.add("Mul", first, np.float32(0)), network.cls[:, None, None])
    x = graph.add("Concat", cls, tokens, axis=2)
    for number, block in enumerate(network.blocks):
        normed = graph.normed(x, width) if number else x
        query = normed
        if number == len(network.blocks) - 1:
            x, query = graph.first_token(x), graph.first_token(normed)
        x = graph.add("Add", x, _attention(graph, network, block, query, normed))
        x = graph.add("Add", x, _feed_forward(graph, block, graph.normed(x, width)))
    gained = graph.add("Mul", graph.normed(x, width), network.cls_gain[:, None, None])
    return graph.add("Add", gained, network.cls_bias[:, None, None])


def _attention(graph: "_Graph", network: FrozenNetwork, block: FrozenBlock, query: str, normed: str) -> str:
    """What attention adds `(M, B, queries, d)`."""
    width, members = network.cls.shape[1], network.members
    n_tokens = 1 + len(network.left) + len(network.first_code)

    def split(flat: str, n_rows: int) -> str:
        """(M, B queries, d) -> (M, B, H, queries, d / H)"""
        heads = graph.reshape(flat, members, -1, n_rows, network.heads, width // network.heads)
        return graph.add("Transpose", heads, perm=[0, 1, 3, 2, 4])

    if query == normed:
        q, k, v = graph.add_all("Split", 3, graph.linear(normed, block.mix, block.mix_bias), axis=-1)
        n_queries = n_tokens
    else:
        q = graph.linear(query, block.mix[..., :width], block.mix_bias[..., :width])
        k, v = graph.add_all(
            "Split", 2, graph.linear(normed, block.mix[..., width:], block.mix_bias[..., width:]), axis=-1
        )
        n_queries = 1
    keys = graph.add("Transpose", split(k, n_tokens), perm=[0, 1, 2, 4, 3])
    weights = graph.add("Softmax", graph.add("MatMul", split(q, n_queries), keys), axis=-1)
    mixed = graph.add("MatMul", weights, split(v, n_tokens))
    mixed = graph.add("Transpose", mixed, perm=[0, 1, 3, 2, 4])
    added = graph.linear(graph.reshape(mixed, members, -1, width), block.out, block.out_bias)
    return graph.reshape(added, members, -1, n_queries, width)


def _feed_forward(graph: "_Graph", block: FrozenBlock, normed: str) -> str:
    value, gate = graph.add_all("Split", 2, graph.linear(normed, block.up, block.up_bias), axis=-1)
    hidden = graph.add("Mul", value, graph.add("Relu", gate))
    added = graph.linear(hidden, block.down, block.down_bias)
    shape = graph.add("Shape", normed)
    return graph.add("Reshape", added, shape)


def _first_layer(graph: "_Graph", network: FrozenNetwork, seen: str) -> str:
    """The first layer of the head `(M, k, B, hidden)` before its activation."""
    members, width, hidden = network.members, network.cls.shape[1], network.first.shape[-1]
    k = network.last.shape[1]
    if not network.scales_tokens:
        size = network.first.shape[1]
        x = graph.normed(graph.reshape(seen, members, -1, size), size)
        scaled = graph.add("Mul", graph.reshape(x, members, 1, -1, size), network.scales[:, :, None])
        product = graph.add("MatMul", scaled, network.first[:, None])
        return graph.add("Add", product, network.first_bias)
    n_seen = network.first.shape[1]
    x = graph.normed(graph.reshape(seen, members, -1, n_seen * width), n_seen * width)
    x = graph.add("Transpose", graph.reshape(x, members, -1, n_seen, width), perm=[0, 2, 1, 3])
    projected = graph.add("MatMul", x, network.first)
    # All rows and units of a token become one row of the matrix that the predictors mix.
    flat = graph.add("Reshape", projected, np.array([members, n_seen, -1]))
    mixed = graph.add("MatMul", network.scales, flat)
    return graph.add("Add", graph.reshape(mixed, members, k, -1, hidden), network.first_bias)


class _Graph:
    """A graph that grows node by node; arrays among the inputs of a node become its constants."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper  # noqa: PLC0415 (of the extra `serving`)

        self._helper, self._numpy_helper = helper, numpy_helper
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._count = 0

    def input(self, name: str, kind: type, columns: int) -> str:
        """An input of the whole graph `(B, columns)`."""
        tensor_type = self._helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        self._inputs.append(self._helper.make_tensor_value_info(name, tensor_type, ["rows", columns]))
        return name

    def add(self, operator: str, *inputs: "str | NDArray[Any] | np.generic", **attributes: Any) -> str:
        """A node with one output; returns the output's name."""
        return self.add_all(operator, 1, *inputs, **attributes)[0]

    def add_all(
        self, operator: str, outputs: int, *inputs: "str | NDArray[Any] | np.generic", **attributes: Any
    ) -> list[str]:
        """A node with several outputs; returns their names."""
        names = [each if isinstance(each, str) else self._constant(np.asarray(each)) for each in inputs]
        made = [self._new_name() for _ in range(outputs)]
        self._nodes.append(self._helper.make_node(operator, names, made, **attributes))
        return made

    def reshape(self, x: str, *shape: int) -> str:
        """`x` in a shape in which one size may be -1."""
        return self.add("Reshape", x, np.array(shape))

    def normed(self, x: str, size: int) -> str:
        """Mean 0 and variance 1 over the last axis, of `size` numbers."""
        ones = np.ones(size, np.float32)
        return self.add("LayerNormalization", x, ones, axis=-1, epsilon=float(EPSILON))

    def first_token(self, x: str) -> str:
        """Of tokens `(M, B, T, d)` the first one, `(M, B, 1, d)`."""
        return self.add("Gather", x, np.array([0]), axis=2)

    def linear(self, x: str, weight: Floats, bias: Floats) -> str:
        """A layer of each member on `(M, …, in)`: `(M, rows, out)`."""
        flat = self.reshape(x, weight.shape[0], -1, weight.shape[1])
        return self.add("Add", self.add("MatMul", flat, weight), bias)

    def model(self, output: str) -> "onnx.ModelProto":
        """The whole graph, whose output is that of the last node."""
        tensor_type = self._helper.np_dtype_to_tensor_dtype(np.dtype(np.float32))
        result = self._helper.make_tensor_value_info(output, tensor_type, None)
        graph = self._helper.make_graph(
            self._nodes, "network", self._inputs, [result], initializer=self._constants
        )
        opset = self._helper.make_opsetid("", _OPSET)
        return self._helper.make_model(graph, opset_imports=[opset], ir_version=_IR)

    def _constant(self, array: NDArray[Any]) -> str:
        name = self._new_name()
        self._constants.append(self._numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _new_name(self) -> str:
        self._count += 1
        return f"x{self._count}"
