"""Bundles of shipped networks, each exported once, and pipelines that are closed in the end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pins.inside import Pipeline, other_versions, quick_export


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`bundle(classifier, purifier, **options)`: the folder of a bundle of shipped networks.

    Skips where other versions of PyTorch or ONNX may write other graphs than are pinned.
    """
    if differ := other_versions():
        pytest.skip(differ)
    folder = tmp_path_factory.mktemp("shipped")
    export = quick_export()

    def make(classifier: str, purifier: str, **options: Any) -> Path:
        path = folder / "-".join([classifier, purifier, *map(str, options.values())])
        if not path.exists():
            export(classifier, path, purifier=purifier, **options)
        return path

    return make


@pytest.fixture
def opened() -> Iterator[Callable[..., Pipeline]]:
    """`opened(bundle, ...)`: a `Pipeline`."""
    with ExitStack() as stack:
        yield lambda *given, **options: stack.enter_context(Pipeline(*given, **options))
