"""Weights files: safetensors, with a JSON of provenance beside each."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from pixelproof.errors import UsageError, WeightsError
from pixelproof.files import sha256_file, write_bytes, write_json


def save_weights(module: nn.Module, path: Path, provenance: dict[str, Any], *, half: bool = False) -> None:
    """Write `module`'s parameters and buffers to `path`, and `provenance` with their SHA-256 to `path` as `.json`.

    With `half` the weights of convolutions and linear layers are written as float16; see `halve`.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    if half:
        large = {name for name, parameter in module.named_parameters() if parameter.ndim > 1}
        tensors = {name: tensor.half() if name in large else tensor for name, tensor in tensors.items()}
    write_bytes(path, save(tensors))
    write_json(path.with_suffix(".json"), {**provenance, "weights_sha256": sha256_file(path)})


@torch.no_grad()
def halve(module: nn.Module) -> None:
    """Round the weights of convolutions and linear layers to float16, in place: what `half` writes, so measured."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            parameter.copy_(parameter.half())


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill `module` from the safetensors file `path`, every name and shape matching; float16 is widened.

    Raises:
        UsageError: the file is a pickle.
        WeightsError: the file is missing, damaged, or made for another network.
    """
    if not path.is_file():
        raise WeightsError(
            f"there is no weights file '{path}'. Next: --weights FILE, or, of a shipped network, pixelproof train NAME"
        )
    if path.suffix in {".pt", ".pth", ".pkl", ".ckpt", ".bin"}:
        raise UsageError(
            f"'{path}' is a pickle, which can run code when it is read; weights are safetensors. Next: convert it if "
            f"you trust it: python -c \"import torch, safetensors.torch as s; d = torch.load('{path}', "
            "weights_only=True); d = d.get('state_dict', d); s.save_file({k.removeprefix('module.'): "
            f"v.contiguous().clone() for k, v in d.items()}}, '{path.with_suffix('.safetensors')}')\""
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"the weights file '{path}' is damaged ({error}). Next: train or copy it again") from error
    _check_fit(module, tensors, path)
    module.load_state_dict(tensors)


def _check_fit(module: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    got = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected == got:
        return
    wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
    first = wrong[0]
    raise WeightsError(
        f"the weights in '{path}' do not fit {type(module).__name__}: {len(wrong)} tensors differ, the first is "
        f"'{first}': expected {expected.get(first, 'no such tensor')}, got {got.get(first, 'no such tensor')}. "
        "Next: give the weights of this network"
    )
