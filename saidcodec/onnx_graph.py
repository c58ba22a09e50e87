"""A chain of integer layers as an ONNX graph of QGemm nodes (product, rescale, saturate in one kernel)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from saidcodec.integer import Chain


def serialised_chain(chain: Chain) -> bytes:
    """The model's bytes; input "x" uint8 [n, in], one output per wanted layer."""
    nodes, constants, outputs = [], [], []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    one = constant("one", np.array(1.0, np.float32))
    zero = constant("zero", np.array(0, np.uint8))
    current = "x"
    last = len(chain.layers) - 1
    for i, layer in enumerate(chain.layers):
        inputs = [
            current, one, zero,
            constant(f"weight{i}", layer.weight),
            constant(f"scale{i}", layer.scale),
            constant(f"signed_zero{i}", np.zeros(len(layer.scale), np.int8)),
            constant(f"bias{i}", layer.bias),
        ]  # fmt: skip
        raw = chain.raw_last and i == last
        if not raw:  # without an output scale the kernel returns the exact products as floats
            inputs += [one, zero]
        current = f"y{i}"
        nodes.append(helper.make_node("QGemm", inputs, [current], domain="com.microsoft"))
        if i in chain.outputs:
            kind = TensorProto.FLOAT if raw else TensorProto.UINT8
            outputs.append(helper.make_tensor_value_info(current, kind, [None, len(layer.bias)]))
    inputs_of_graph = [
        helper.make_tensor_value_info("x", TensorProto.UINT8, [None, len(chain.layers[0].weight)])
    ]
    graph = helper.make_graph(nodes, "chain", inputs_of_graph, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
