"""A pixel never reaches its own prediction: every position, borders included, bit for bit, in each backend."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from pixelproof.models.purifiers.gated import REACH, WINDOW, BlindPredictor

Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
APART = REACH + 1


@pytest.fixture(scope="module")
def predictor(real_images: Tensor) -> BlindPredictor:
    """Whitened, so that every weight mixes all values of the window but the center's."""
    torch.manual_seed(0)
    predictor = BlindPredictor().requires_grad_(False).eval()
    predictor.whiten(real_images.to(torch.uint8))
    return predictor


@pytest.fixture(scope="module")
def in_torch(predictor: BlindPredictor) -> Predict:
    return lambda images: tuple(output.numpy() for output in predictor(torch.from_numpy(images)))


@pytest.fixture(scope="module")
def in_onnxruntime(predictor: BlindPredictor) -> Predict:
    class PredictionAndScale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.predictor = predictor

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            return self.predictor(images)

    sizes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    program = torch.onnx.export(
        PredictionAndScale().eval(),
        (torch.rand(2, 3, 32, 32) * 255,),
        dynamo=True,
        dynamic_shapes={"images": sizes},
        external_data=False,
        verbose=False,
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda images: tuple(session.run(None, {"images": images}))


def change(images: np.ndarray, at: tuple, which: int) -> np.ndarray:
    """`images` with other colors `at` some pixels: the opposite ends of the scale (0), or random ones."""
    random = np.random.default_rng(which).integers(0, 256, images[at].shape)
    changed = images.copy()
    changed[at] = random if which else np.where(images[at] > 127, 0, 255)
    return changed


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (9, 13)])
@pytest.mark.parametrize("backend", ["in_torch", "in_onnxruntime"])
def test_no_change_reaches_its_own_place(
    backend: str, size: tuple[int, int], real_images: Tensor, request: pytest.FixtureRequest
):
    """Pixels a window apart are changed at once: each sees none of the others, and must not see itself."""
    predict: Predict = request.getfixturevalue(backend)
    images = real_images[5:9, :, : size[0], : size[1]].numpy()
    before = predict(images)
    tested = np.zeros(size, int)
    for row, column in np.ndindex(APART, APART):
        place = (slice(row, None, APART), slice(column, None, APART))
        tested[place] += 1
        for which in range(4):
            after = predict(change(images, (..., *place), which))
            for old, new in zip(before, after, strict=True):
                np.testing.assert_array_equal(new[(..., *place)], old[(..., *place)])
                assert (new != old).any((1, 2, 3)).all()  # their neighbors do see them
    assert (tested == 1).all()


@torch.no_grad()
@pytest.mark.parametrize("backend", ["in_torch", "in_onnxruntime"])
def test_a_change_reaches_its_window_and_no_further(backend: str, real_images: Tensor, request: pytest.FixtureRequest):
    predict: Predict = request.getfixturevalue(backend)
    places = np.array([(0, 0), (0, 31), (31, 0), (31, 31), (0, 9), (2, 2), (16, 31), (15, 17)])
    images = np.repeat(real_images[3:4].numpy(), len(places), axis=0)
    changed = change(images, (np.arange(len(places)), slice(None), *places.T), 0)
    moved = (predict(changed)[0] != predict(images)[0]).any(1)
    distance = np.abs(np.indices((32, 32))[None] - places[:, :, None, None]).max(1)
    np.testing.assert_array_equal(moved, (distance > 0) & (distance < APART))


@torch.no_grad()
def test_some_positions_alone_are_predicted_alike(predictor: BlindPredictor, real_images: Tensor):
    images = real_images[:4, :, :9, :13]
    rows, columns = (positions.flatten().expand(4, -1) for positions in torch.from_numpy(np.indices((9, 13))))
    for some, everywhere in zip(predictor.at(images, rows, columns), predictor(images), strict=True):
        assert some.shape == (4, 3, 9 * 13, 1)
        torch.testing.assert_close(some.view(4, 3, 9, 13), everywhere)


@torch.no_grad()
def test_whitened_windows_are_uncorrelated_but_for_what_hardly_varies(real_images: Tensor):
    predictor = BlindPredictor()
    windows = torch.nn.functional.unfold((real_images - 128) / 64, WINDOW).movedim(1, -1).flatten(0, 1).double()
    seen = predictor.hole.expand(1, 3, -1, -1).flatten() == 1
    before = (windows.T @ windows / len(windows))[seen][:, seen]
    predictor.whiten(real_images.to(torch.uint8))
    whitened = windows[:, seen] @ predictor.whitening.double()[seen][:, seen]
    after = whitened.T @ whitened / len(whitened)
    assert torch.linalg.cond(before) > 1000
    variances = torch.linalg.eigvalsh(after)
    expected = torch.linalg.eigvalsh(before)
    torch.testing.assert_close(variances, expected / (expected + 1e-3), rtol=1e-2, atol=1e-3)
