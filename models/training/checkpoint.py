"""Checkpoints: everything a run needs to go on after a full epoch, as safetensors with a JSON header (no pickle)."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pixelproof.errors import WeightsError
from pixelproof.files import write_bytes


@dataclass
class Checkpoint:
    """A training run between two epochs.

    Attributes:
        run: what makes the run what it is (name, seed, recipe, data); a checkpoint of another run is refused.
        epoch: full epochs done.
        history: one entry an epoch, as logged.
        tensors: module, moving average, optimizer state and random state, by prefixed name.
    """

    run: dict[str, Any]
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        header = {"run": self.run, "epoch": self.epoch, "history": self.history}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        write_bytes(path, save(tensors, metadata={"checkpoint": json.dumps(header)}))

    @classmethod
    def load(cls, path: Path, run: dict[str, Any]) -> "Checkpoint":
        """Read `path`; a fresh checkpoint where there is none.

        Raises:
            WeightsError: the file is damaged, or belongs to a run with other settings.
        """
        if not path.exists():
            return cls(run=run)
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads(file.metadata()["checkpoint"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
            kept = cls(run=header["run"], epoch=header["epoch"], history=header["history"], tensors=tensors)
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise WeightsError(
                f"the checkpoint '{path}' is damaged ({error}). Next: delete it and train again"
            ) from error
        if kept.run != run:
            differs = ", ".join(key for key in run if kept.run.get(key) != run[key])
            raise WeightsError(
                f"'{path}' belongs to a run with another {differs}. "
                "Next: give the same options, another --run folder, or delete this one"
            )
        return kept


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as flat tensors, named `optimizer.<parameter index>.<field>`."""
    return {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if value is not None
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `pack_optimizer` took; hyperparameters stay as the recipe gives them."""
    state: dict[int, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        kind, _, rest = full_name.partition(".")
        if kind in ("optimizer", "optimiser"):  # the spelling of earlier checkpoints
            index, _, name = rest.partition(".")
            state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def pack_module(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """The module's parameters and buffers, named `<prefix>.<name>`."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def unpack_module(prefix: str, module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put back what `pack_module` took."""
    start = prefix + "."
    module.load_state_dict({name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)})
