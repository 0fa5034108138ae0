"""What is attacked, and what the attacker knows: a bundle's bare classifier (transfer), or all of it (adaptive)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack import Incremental, Memoized, gradient_ranking, sweep_ranking
from pixelproof.attack.evaluation.device import device_network
from pixelproof.attack.evaluation.known import Passes, own_passes, passes_of, shipped_purifier, told_sha256
from pixelproof.attack.evaluation.windows.purifier import windowed
from pixelproof.attack.methods.ranking import Ranking, SweepRanking
from pixelproof.errors import UsageError
from pixelproof.models import build_classifier, is_shipped
from pixelproof.runtime import Pipeline
from pixelproof.runtime.onnx_bytes import graph_sha256

if TYPE_CHECKING:
    from torch import nn

    from pixelproof.attack.cuda.networks import DeviceNetwork

BATCH_SIZE = 256  # whole runs of the runtime: rows are computed alike whatever else is in the batch

SAMPLE_SIZE = (32, 32)  # of the images on which windows are compared with the whole

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def _no_network(_candidates: int) -> "DeviceNetwork":
    raise UsageError("this victim does not run on the GPU. Next: --attack-backend cpu")


def _itself(classify: Predict) -> Predict:
    return classify


@dataclass(frozen=True)
class Victim:
    """A network under attack.

    Attributes:
        predict: uint8 `(n, H, W, 3)` to probabilities `(n, classes)`.
        order: ranks candidates, by the gradient where the network is a shipped one, else by a sweep of queries.
        passes: the extreme colors that the purifier accepts; None where no purifier states them.
        identity: for the record of what was attacked: what the graph computes (see `graph_sha256`), and on what.
        on_device: makes the same network for a search on a GPU, of so many candidates.
        around: what the victim would be with another bare classifier, `predict` from `predict`; a purified image
            reaches that as whole pixel values, 0 to 255.
    """

    predict: Predict
    order: Ranking
    passes: Passes | None
    identity: str
    on_device: "Callable[[int], DeviceNetwork]" = _no_network
    around: Callable[[Predict], Predict] = _itself

    @property
    def swept(self) -> bool:
        """Whether `order` ranks by a sweep, which finds others first than a gradient does."""
        return isinstance(self.order, SweepRanking)


def bare_classifier(classifier: Pipeline, *, windows: bool = True) -> Victim:
    """The bundle's classifier without its purifier; by `windows` where that pays."""
    module = _classifier_module(classifier)
    order = sweep_ranking(classifier.predict) if module is None else gradient_ranking(on_levels(None, module))
    predict = (_by_windows(classifier) if windows else None) or classifier.predict
    return Victim(predict, order, None, _identity(classifier), partial(device_network, classifier, None, module))


def purified_pipeline(
    pipeline: Pipeline, classifier: Pipeline, *, windows: bool = True, own_code: bool = False
) -> Victim:
    """The bundle's purifier and classifier as one, the classifier by `windows` where that pays.

    Where the purifier yields whole pixel values, the classifier's answer depends on the purified image alone, and an
    image that was purified before is not classified again. Of an image with a changed pixel only the part that the
    pixel can influence is purified anew, where that gives the same bytes.

    With `own_code` a purifier of one's own is built by the function that the manifest names, and states which colors
    it accepts; see `own_passes`.
    """
    shipped, module = shipped_purifier(pipeline), _classifier_module(pipeline)
    passes, identity = passes_of(shipped), _identity(pipeline)
    if shipped is None and own_code and (passes := own_passes(pipeline)) is not None:
        identity = f"{identity}, told to let pass {told_sha256(pipeline, passes)}"
    predict: Predict = pipeline.predict
    around = _purified_by(pipeline.purify)
    if shipped is not None and passes is not None:
        by_window, near = None, None
        if pipeline.image_size == SAMPLE_SIZE and pipeline.backend == "cpu":
            name = pipeline.manifest["purifier"]["name"]
            by_window = windowed(name, pipeline.purify, threads=pipeline.threads, batch_size=BATCH_SIZE)
        if windows and by_window is not None and (parts := _by_windows(classifier)) is not None:
            near = parts.near
        around = partial(Memoized, pipeline.purify, purify_changes=by_window)
        predict = Memoized(pipeline.purify, classifier.predict, purify_changes=by_window, classify_near=near)
    if shipped is None or module is None:
        known: tuple[nn.Module | None, nn.Module | None] = None, None
        order: Ranking = sweep_ranking(predict)
    else:
        known = shipped, module
        order = gradient_ranking(on_levels(shipped, module))
    return Victim(predict, order, passes, identity, partial(device_network, pipeline, *known), around)


def _identity(network: Pipeline) -> str:
    """What it computes, and where that is not the CPU, by what: another provider may round a decision the other way."""
    graph, provider = graph_sha256(network.graph), network.provider
    return graph if provider == "CPUExecutionProvider" else f"{graph}, on {provider}"


def _purified_by(purify: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Callable[[Predict], Predict]:
    return lambda classify: lambda images: classify(purify(images))


def _by_windows(classifier: Pipeline) -> Incremental | None:
    """The bare classifier by windows; None where that is not the same, or not faster."""
    try:
        from pixelproof.attack.evaluation.windows import incremental
    except ModuleNotFoundError:  # the extra `export`
        return None
    if classifier.image_size != SAMPLE_SIZE or classifier.backend != "cpu":  # windows run there
        return None
    return incremental(classifier.graph, classifier.predict, threads=classifier.threads)


def _classifier_module(bundle: Pipeline) -> "nn.Module | None":
    made_of = bundle.manifest["classifier"]
    return build_classifier(made_of["name"]) if is_shipped(made_of) else None


def on_levels(purifier: "nn.Module | None", classifier: "nn.Module") -> "nn.Module":
    """Purifier, if any, and classifier as one module: float32 `(n, 3, H, W)` on the 0..255 scale to logits."""
    from torch import Tensor, nn

    class OnLevels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.purifier, self.classifier = purifier, classifier  # registered: some ask a module for its parameters

        def forward(self, levels: Tensor) -> Tensor:
            purified = levels if self.purifier is None else self.purifier(levels).clamp(0, 255)
            logits: Tensor = self.classifier(purified / 255)
            return logits

    return OnLevels().eval()
