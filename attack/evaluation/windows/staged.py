"""Opens the parts of a cut classifier in the runtime, and checks that together they say what the whole says."""

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from pixelproof.attack.evaluation.windows.costs import best_depth, costs, rest, rows_in_cache, share
from pixelproof.attack.evaluation.windows.cut import Cut, Part, cut
from pixelproof.attack.evaluation.windows.probes import probes
from pixelproof.attack.predictors.cache import Maps
from pixelproof.attack.predictors.windows.incremental import Incremental, Stage, Staged
from pixelproof.attack.search.protocol import Predict
from pixelproof.export.graph import serialized
from pixelproof.models.data import sample
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu

SIZES = (1, 3, 5, 9)  # pixels on a side of the boxes told apart; `gated` moves at most 9
WORTH = 0.85  # the reckoned share of the whole's time above which windows are left alone: ResNet-32's 0.89 is a loss
TIE = 1e-4  # two largest probabilities nearer to one another are looked at again by the whole network
_PROBES, _PROBED_IMAGES = 256, 20  # changed pixels that whole and parts have to agree on, to a tenth of a tie


def incremental(model: bytes, predict: Predict, *, threads: int | None) -> Incremental | None:
    """`predict` by windows; None where it would not be faster, or not be the same.

    Args:
        model: a bundle's `classifier.onnx`.
        predict: what runs it, uint8 `(n, H, W, 3)` to probabilities.
        threads: CPU threads a call may use.
    """
    parts = cut(onnx.load_from_string(model))
    if parts is None or not parts.parts or parts.shapes[parts.image][1:] != sample().images.shape[1:3]:
        return None
    depth, reckoned = best_depth(parts)
    if reckoned > WORTH:
        return None
    sizes = [size for size in SIZES if share(parts, costs(parts, size), depth) <= 1]
    rows = rows_in_cache(parts, costs(parts), depth)
    staged = open_parts(parts, model, depth, threads)
    opened = Incremental(predict, staged, batch_size=rows, sizes=sizes, tie=TIE)
    return opened if _agree(opened, predict) else None


def open_parts(cut: Cut, model: bytes, depth: int, threads: int | None) -> Staged:
    """The first `depth` parts as stages, and one session for what follows them."""
    version = onnx.load_from_string(model)
    opener = _Opener(cut, version.ir_version, list(version.opset_import), threads)
    kept = rest(cut, depth)
    needed = tuple(dict.fromkeys([*(name for part in cut.parts[:depth] for name in part.fields), *kept]))
    (given,), (classified,) = version.graph.input, version.graph.output
    head = [*cut.head, *(node for part in cut.parts[:depth] for node in part.nodes)]
    clean = opener.session(head, [given], needed)
    following = [*(node for part in cut.parts[depth:] for node in part.nodes), *cut.tail]
    finish = opener.session(following, [_map(cut, name, whole=True) for name in kept], [classified.name])

    def maps(images: NDArray[np.uint8]) -> Maps:
        return dict(zip(needed, clean.evaluate({given.name: images}, needed), strict=True))

    def probabilities(arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        (answer,) = finish.evaluate(dict(zip(kept, arrays, strict=True)), [classified.name])
        return answer

    return Staged(tuple(opener.stage(part) for part in cut.parts[:depth]), maps, kept, probabilities)


class _Opener:
    """Opens sessions of some of the nodes."""

    def __init__(
        self, cut: Cut, ir_version: int, opsets: Iterable[onnx.OperatorSetIdProto], threads: int | None
    ) -> None:
        self._cut, self._ir_version, self._opsets, self._threads = cut, ir_version, list(opsets), threads

    def stage(self, part: Part) -> Stage:
        inputs, outputs = part.wiring.inputs, part.outputs
        session = self.session(
            part.bare or part.nodes, [_map(self._cut, name, whole=False) for name in inputs], outputs
        )

        def run(maps: Sequence[NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
            return session.evaluate(dict(zip(inputs, maps, strict=True)), outputs)

        return Stage(part.wiring, run)

    def session(
        self, nodes: Sequence[onnx.NodeProto], inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[str]
    ) -> OnnxRuntimeCpu:
        constants = {
            name: self._cut.constants[name] for node in nodes for name in node.input if name in self._cut.constants
        }
        graph = helper.make_graph(
            list(nodes),
            "part",
            list(inputs),
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            initializer=list(constants.values()),
        )
        model = helper.make_model(graph, opset_imports=self._opsets, ir_version=self._ir_version)
        return OnnxRuntimeCpu(serialized(model), threads=self._threads)


def _map(cut: Cut, name: str, *, whole: bool) -> onnx.ValueInfoProto:
    """A map as an input: of its full size, or a window of any."""
    channels, height, width = cut.shapes[name]
    sides = (height, width) if whole else (f"{name}.height", f"{name}.width")
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, *sides])


def _agree(opened: Incremental, predict: Predict) -> bool:
    """Whether both say the same, to a tenth of a tie, of changed pixels all over images."""
    shown = probes(_PROBES, _PROBED_IMAGES)
    told = opened.predict_changes(shown.images, shown.which, shown.positions, shown.colors)
    return bool(np.abs(told - predict(shown.drawn)).max() <= TIE / 10)
