"""The classifier under attack, as the bundle deploys it and as the PyTorch network that the bundle was made of."""

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixelproof.attack import gradient_order
from pixelproof.attack.evaluation.screen import screen_or_none
from pixelproof.attack.evaluation.victims import Victim, bare_classifier, on_levels
from pixelproof.attack.methods.orders import Order
from pixelproof.errors import UsageError
from pixelproof.models import CLASSIFIERS, build_classifier, is_shipped
from pixelproof.runtime import Pipeline, read_bundle
from pixelproof.runtime.bundle import CLASSIFIER
from pixelproof.runtime.onnx_bytes import graph_sha256

if TYPE_CHECKING:
    from torch import nn


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
        _check_shipped(bundle, self.manifest["classifier"])

    @cached_property
    def deployed(self) -> Pipeline:
        """The bare classifier in the bundle's runtime; open until `close`."""
        return self._opened.enter_context(Pipeline(self.bundle, part="classifier", threads=self.threads))

    @cached_property
    def network(self) -> "nn.Module":
        """The classifier in PyTorch: float32 `(n, 3, H, W)` in 0..1 to logits `(n, classes)`."""
        return build_classifier(self.name)

    @cached_property
    def order(self) -> Order:
        """The ranking of candidates by the network's gradient."""
        return gradient_order(on_levels(None, self.network))

    @cached_property
    def searched(self) -> Victim:
        """The deployed classifier as `pixelproof attack` searches it: by windows where that is faster."""
        return bare_classifier(self.deployed)

    def screened(self, screen: str) -> Victim:
        """The deployed classifier, asked of what the screen of that name is not sure of; open until `close`."""
        if screen not in self._screened:
            behind = self._opened.enter_context(screen_or_none(screen, self.deployed))
            self._screened[screen] = behind(bare_classifier(self.deployed, windows=False), self.deployed.predict)
        return self._screened[screen]

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


def _check_shipped(bundle: Path, classifier: dict[str, Any]) -> None:
    if not is_shipped(classifier):
        raise UsageError(
            f"the classifier '{classifier['name']}' of bundle '{bundle}' is not one that is shipped with this version "
            f"({', '.join(CLASSIFIERS)}), so there is no PyTorch network to attack beside it. "
            "Next: pixelproof export lenet -o lenet-gated"
        )
