"""Fixtures for the tests of networks and training."""

import resource
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def limit_file_size() -> Iterator[Callable[[int], None]]:
    """`limit_file_size(nbytes)`: from then on the system refuses to write more to a file, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda nbytes: resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
