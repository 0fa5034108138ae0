"""The attacks whose speed is compared: to add one, write a function and list it in `CONTENDERS`.

Such a function makes a contender for a target and a budget, or raises `Absent` with the reason why there is none.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack import attack, gradient_ranking
from pixelproof.attack.evaluation.cascades import open_cascade
from pixelproof.attack.evaluation.half_precision import pytorch_threads
from pixelproof.attack.evaluation.victims import BATCH_SIZE, Predict, Victim, bare_classifier, on_levels
from pixelproof.attack.methods.ranking import Ranking
from pixelproof.attack.search.protocol import as_predictor
from pixelproof.benchmarks.attack_speed_peers import Budget, Contender, Found, art_pixel_attack, torchattacks_one_pixel
from pixelproof.benchmarks.latency_ways import Absent
from pixelproof.benchmarks.process import measured_apart, peak_mib
from pixelproof.errors import UsageError
from pixelproof.models import CLASSIFIERS, build_classifier, is_shipped
from pixelproof.runtime import Pipeline, read_bundle
from pixelproof.runtime.bundle import CLASSIFIER
from pixelproof.runtime.onnx_bytes import graph_sha256

if TYPE_CHECKING:
    from torch import nn

# with one image at a time, and few candidates of a late generation new, more would be rows that fill a batch
_BATCH_SIZE = 64
_OF_CHANGES = 200  # half a published generation: a `Predictor` that takes changes fills no batch


class Target:
    """A bundle's classifier; each of its forms is made when it is first asked for, so that none costs memory unasked.

    Args:
        bundle: the bundle's folder.
        threads: CPU threads a call of the deployed classifier may use; None: one a core.

    Raises:
        BundleError: no whole bundle there.
        UsageError: its classifier is not a shipped network with the shipped weights.
    """

    def __init__(self, bundle: Path, threads: int | None) -> None:
        self.bundle, self.threads = bundle, threads
        opened = read_bundle(bundle)
        self.manifest: dict[str, Any] = opened.manifest
        self.identity: str = graph_sha256(opened.files[CLASSIFIER])
        """Of the classifier's graph; see `graph_sha256`."""
        self.name: str = self.manifest["classifier"]["name"]
        self._opened = ExitStack()
        self._screened: dict[str, Victim] = {}
        if not is_shipped(self.manifest["classifier"]):
            raise UsageError(
                f"the classifier '{self.name}' of bundle '{bundle}' is not one that is shipped with this version "
                f"({', '.join(CLASSIFIERS)}), so there is no PyTorch network to attack beside it. "
                "Next: pixelproof export lenet -o lenet-gated"
            )

    @cached_property
    def deployed(self) -> Pipeline:
        """The bare classifier in the bundle's runtime; open until `close`."""
        return self._opened.enter_context(Pipeline(self.bundle, part="classifier", threads=self.threads))

    @cached_property
    def network(self) -> "nn.Module":
        """The classifier in PyTorch: float32 `(n, 3, H, W)` in 0..1 to logits `(n, classes)`."""
        return build_classifier(self.name)

    @cached_property
    def order(self) -> Ranking:
        """The ranking of candidates by the network's gradient."""
        return gradient_ranking(on_levels(None, self.network))

    @cached_property
    def searched(self) -> Victim:
        """The deployed classifier as `pixelproof attack` searches it: by windows where that is faster."""
        return bare_classifier(self.deployed)

    def screened(self, cascade: str) -> Victim:
        """The deployed classifier, asked of what the cheaper network `cascade` is not sure of; open until `close`."""
        if cascade not in self._screened:
            behind = self._opened.enter_context(open_cascade(cascade, self.deployed))
            self._screened[cascade] = behind(bare_classifier(self.deployed, windows=False), self.deployed.predict)
        return self._screened[cascade]

    def close(self) -> None:
        """Close what was opened."""
        self._opened.close()

    def predict_in_pytorch(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images `(n, H, W, 3)` to probabilities `(n, classes)`, by the PyTorch network."""
        import torch

        network = self.network  # made outside: what is made in inference mode never has a gradient
        with torch.inference_mode():
            levels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
            probabilities: NDArray[np.float32] = network(levels / 255).softmax(1).numpy()
        return probabilities


def own(name: str, provider: str, predict: Predict, method: str, seed: int, parameters: dict[str, Any]) -> Contender:
    """A method of `pixelproof.attack`; `parameters` are the method's."""

    def run(image: NDArray[np.uint8], label: int) -> Found:
        found = attack(predict, image[None], np.array([label]), method=method, seed=seed, **parameters)
        looks = 1 + int(found.success[0])  # at the unchanged image, and at the winner once more
        return Found(found.images[0], int(found.evaluated[0]) + looks, bool(found.exhausted[0]))

    return Contender(name, run, provider)


def corners(target: Target, budget: Budget) -> Contender:
    """All positions and corners of the color cube in gradient order, as `pixelproof attack` runs them."""
    return _as_searched("corners", target, target.searched, budget)


def corners_screened(target: Target, budget: Budget) -> Contender:
    """The same, candidates that the network in int8 is sure of left out; what is left after them is not exhausted."""
    return _screened("int8", target, budget)


def corners_screened_in_bf16(target: Target, budget: Budget) -> Contender:
    """The same by the network in bfloat16."""
    deployed = _screened("bf16", target, budget)
    return replace(deployed, provider=f"PyTorch, CPU, and {deployed.provider}")


def corners_in_pytorch(target: Target, budget: Budget) -> Contender:
    """The same on the network that the other projects attack: what the search alone is worth."""
    parameters = {"order": target.order, "batch_size": _BATCH_SIZE}
    return own("corners, PyTorch", "PyTorch, CPU", target.predict_in_pytorch, "corners", budget.seed, parameters)


def de(target: Target, budget: Budget) -> Contender:
    """Differential evolution as `pixelproof attack` runs it, within the budget."""
    return _evolution("de", target.deployed.provider, target.searched.predict, budget)


def de_in_pytorch(target: Target, budget: Budget) -> Contender:
    """The same on the network that the other projects attack."""
    return _evolution("de, PyTorch", "PyTorch, CPU", target.predict_in_pytorch, budget)


def _screened(cascade: str, target: Target, budget: Budget) -> Contender:
    name = f"corners, screened in {cascade}"
    if (precision := target.manifest["precision"]) != "fp32":
        raise Absent(f"{name}: left out, since a classifier in {precision} has no cascade")
    return _as_searched(name, target, target.screened(cascade), budget)


def _as_searched(name: str, target: Target, victim: Victim, budget: Budget) -> Contender:
    parameters = {"order": victim.order, "batch_size": BATCH_SIZE}
    return own(name, target.deployed.provider, victim.predict, "corners", budget.seed, parameters)


def _evolution(name: str, provider: str, predict: Predict, budget: Budget) -> Contender:
    parameters = {
        "generations": budget.generations,
        "population": budget.population,
        "batch_size": _OF_CHANGES if as_predictor(predict).takes_changes else _BATCH_SIZE,
    }
    return own(name, provider, predict, "de", budget.seed, parameters)


Make = Callable[[Target, Budget], Contender]
CONTENDERS: tuple[Make, ...] = (
    corners,
    corners_screened,
    corners_screened_in_bf16,
    corners_in_pytorch,
    de,
    de_in_pytorch,
    art_pixel_attack,
    torchattacks_one_pixel,
)


def peak_memory(make: Make, target: Target, budget: Budget, image: NDArray[np.uint8], label: int) -> float | None:
    """The largest resident set of an attack on `image` `(H, W, 3)`, in MiB, interpreter and libraries included.

    None where the system does not report it, or the process fails.
    """
    task = [CONTENDERS.index(make), str(target.bundle), target.threads, asdict(budget), image.tolist(), label]
    peak: float | None = measured_apart(f"'{make.__name__}'", f"{__name__}:measure_memory", task)
    return peak


def measure_memory(
    index: int, bundle: str, threads: int | None, budget: dict[str, int], image: list[Any], label: int
) -> float:
    """What the measuring process does; the peak in MiB."""
    target = Target(Path(bundle), threads)
    contender = CONTENDERS[index](target, Budget(**budget))
    with pytorch_threads(threads, purpose="comparing attacks"):
        contender.attack(np.array(image, np.uint8), label)
    target.close()
    return peak_mib()
