"""Opens the parts of a cut classifier in the runtime, and checks that together they say what the whole says."""

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from pixelproof.attack.incremental import Incremental, Stage, Staged
from pixelproof.attack.kept_maps import Maps
from pixelproof.attack.search import Predict
from pixelproof.benchmarks.probes import probes
from pixelproof.benchmarks.staging.costs import costs, likely_depths, rest, rows_in_cache, share
from pixelproof.benchmarks.staging.cut import Cut, Part, cut
from pixelproof.export.graph import serialised
from pixelproof.models.data import sample
from pixelproof.runtime.backends.onnxruntime_cpu import OnnxRuntimeCpu

SIZES = (1, 3, 5, 9)  # pixels on a side of the boxes told apart; `gated` moves at most 9
WORTH = 0.9  # the share of the whole's time above which windows are left alone
TIE = 1e-4  # two largest probabilities nearer to one another are looked at again by the whole network
_PROBES, _PROBED_IMAGES = 256, 20  # changed pixels that whole and parts have to agree on, to a tenth of a tie
_TIMED, _ROUNDS = 64, 3  # changed pixels that both are timed on, at least, and how often


def incremental(model: bytes, predict: Predict, *, threads: int | None) -> Incremental | None:
    """`predict` by windows; None where it would not be faster, or not be the same.

    Args:
        model: a bundle's `classifier.onnx`.
        predict: what runs it, uint8 `(n, H, W, 3)` to probabilities.
        threads: CPU threads a call may use.
    """
    parts = cut(onnx.load_from_string(model))
    if parts is None or parts.shapes[parts.image][1:] != sample().images.shape[1:3]:
        return None
    best, least = None, WORTH
    for depth in likely_depths(parts):
        opened = open_windows(parts, model, predict, depth, threads)
        if _agree(opened, predict) and (taken := _time_share(opened, predict)) <= least:
            best, least = opened, taken
    return best


def open_windows(cut: Cut, model: bytes, predict: Predict, depth: int, threads: int | None) -> Incremental:
    """`predict` with windows sent through the first `depth` parts, of all sizes that can be worth it."""
    first = share(cut, costs(cut), depth)
    sizes = [size for size in SIZES if share(cut, costs(cut, size), depth) * WORTH <= max(first, WORTH)]
    rows = rows_in_cache(cut, costs(cut), depth)
    return Incremental(predict, open_parts(cut, model, depth, threads), batch_size=rows, sizes=sizes, tie=TIE)


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
        return OnnxRuntimeCpu(serialised(model), threads=self._threads)


def _map(cut: Cut, name: str, *, whole: bool) -> onnx.ValueInfoProto:
    """A map as an input: of its full size, or a window of any."""
    channels, height, width = cut.shapes[name]
    sides = (height, width) if whole else (f"{name}.height", f"{name}.width")
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, *sides])


def _agree(opened: Incremental, predict: Predict) -> bool:
    """Whether both say the same, to a tenth of a tie, of changed pixels all over images."""
    shown = probes(_PROBES, _PROBED_IMAGES)
    told = opened.of_changes(shown.images, shown.which, shown.positions, shown.colours)
    return bool(np.abs(told - predict(shown.drawn)).max() <= TIE / 10)


def _time_share(opened: Incremental, predict: Predict) -> float:
    """The time that windows take, by the whole's: the best of a few rounds each, in turn."""
    shown = probes(max(_TIMED, opened.batch_size), 1)
    given = shown.images, shown.which, shown.positions, shown.colours
    ways: tuple[Callable[[], object], ...] = (lambda: opened.of_changes(*given), lambda: predict(shown.drawn))
    seconds = [[_seconds(way) for way in ways] for _ in range(_ROUNDS)]
    return min(by_windows for by_windows, _ in seconds) / min(whole for _, whole in seconds)


def _seconds(way: Callable[[], object]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started
