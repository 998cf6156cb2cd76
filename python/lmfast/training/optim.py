"""Optimizers by name, as one thing with one learning rate.

- `sgd`: plain stochastic gradient descent.
- `adam`: Kingma and Ba 2015; `adamw`: with decoupled weight decay (Loshchilov and Hutter 2019).
- `muon`: Jordan et al. 2024 for the matrices between embedding and output layer, AdamW for everything else. Updates of
  matrices are scaled to the size of AdamW's (Liu et al. 2025, equation 4), so one learning rate serves both.

Weight decay of adamw and muon is on parameters of two or more dimensions only: not on biases and norms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OPTIMIZERS", "Optimizer", "build_optimizer"]

OPTIMIZERS = ("sgd", "adam", "adamw", "muon")

_DECOUPLED_DECAY = 0.1
_FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")


class Optimizer:
    """One or two of torch's optimizers that step together.

    Args:
        parts: The optimizers.
        names: The name of each parameter by its `id`, under which its state is saved.
    """

    def __init__(self, parts: list[torch.optim.Optimizer], names: Mapping[int, str]) -> None:
        self.parts = parts
        self.groups = [group for part in parts for group in part.param_groups]
        self.parameters: list[Tensor] = [parameter for group in self.groups for parameter in group["params"]]
        self._names = names

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next steps."""
        for group in self.groups:
            group["lr"] = rate

    def clip(self, largest_norm: float) -> None:
        """Scale all gradients down together so that their norm is at most this.

        As `torch.nn.utils.clip_grad_norm_`, for tensors of one device, in a third of its time for a small model.
        """
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if gradients:
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            torch._foreach_mul_(gradients, torch.clamp(largest_norm / (norm + 1e-6), max=1.0))

    def step(self) -> None:
        """Move the parameters against their gradients."""
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Moments and counts: 'parameter.figure' to tensor."""
        return {
            f"{self._names[id(parameter)]}.{figure}": torch.as_tensor(value)
            for part in self.parts
            for parameter, values in part.state.items()
            for figure, value in values.items()
            if value is not None
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Fill in what `state` gave.

        Raises:
            ValueError: It is the state of other parameters.
        """
        by_name: dict[str, dict[str, Tensor]] = {}
        for key, value in state.items():
            name, _, figure = key.rpartition(".")
            by_name.setdefault(name, {})[figure] = value
        for part in self.parts:
            groups = part.state_dict()["param_groups"]
            indices = [index for group in groups for index in group["params"]]
            parameters = [parameter for group in part.param_groups for parameter in group["params"]]
            values = {
                index: by_name.pop(self._names[id(parameter)])
                for index, parameter in zip(indices, parameters, strict=True)
                if self._names[id(parameter)] in by_name
            }
            part.load_state_dict({"state": values, "param_groups": groups})
        self.groups = [group for part in self.parts for group in part.param_groups]  # torch has made new ones
        if by_name:
            raise ValueError(f"the optimizer's state is that of other parameters: it has {min(by_name)!r}")


def build_optimizer(
    model: nn.Module, name: str, *, lr: float, betas: tuple[float, float], weight_decay: float | None
) -> Optimizer:
    """The optimizer of all parameters that take gradients.

    Args:
        model: The model, on the device it is trained on.
        name: One of `OPTIMIZERS`.
        lr: The learning rate to begin with.
        betas: Decay of the two moments of adam, adamw and muon's AdamW part.
        weight_decay: None is 0.1 for adamw and muon and none for sgd and adam, where it is a plain L2 penalty.

    Raises:
        ValueError: A model without parameters to train, or a torch without Muon.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("the model has no parameters to train: requires_grad is False for all")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    fused = all(each.device.type in _FUSED_DEVICES and each.is_floating_point() for each in trained)
    penalty, decay = weight_decay or 0.0, _DECOUPLED_DECAY if weight_decay is None else weight_decay
    if name == "sgd":
        return Optimizer([torch.optim.SGD(trained, lr=lr, weight_decay=penalty, fused=fused)], names)
    if name == "adam":
        return Optimizer([torch.optim.Adam(trained, lr=lr, betas=betas, weight_decay=penalty, fused=fused)], names)
    hidden = _hidden_matrices(model) if name == "muon" else []
    matrices = {id(parameter) for parameter in hidden}
    rest = [parameter for parameter in trained if id(parameter) not in matrices]
    decayed = [parameter for parameter in rest if parameter.dim() >= 2 and decay]
    undecayed = [parameter for parameter in rest if parameter.dim() < 2 or not decay]
    groups: list[dict[str, Any]] = [
        {"params": parameters, "weight_decay": amount}
        for parameters, amount in ((decayed, decay), (undecayed, 0.0))
        if parameters
    ]
    parts: list[torch.optim.Optimizer] = []
    if hidden:
        muon = getattr(torch.optim, "Muon", None)
        if muon is None:
            raise ValueError(f"optimizer='muon' needs torch 2.9 or newer, this is {torch.__version__}")
        parts.append(muon(hidden, lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    if rest:
        parts.append(torch.optim.AdamW(groups, lr=lr, betas=betas, fused=fused))
    return Optimizer(parts, names)


def _hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Matrices but the embeddings and the output layer, which has as many rows as the largest embedding."""
    embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    excluded = {id(module.weight) for module in embeddings}
    vocabulary = max((module.num_embeddings for module in embeddings), default=0)
    return [
        parameter
        for parameter in model.parameters()
        if parameter.requires_grad and parameter.dim() == 2
        if id(parameter) not in excluded and parameter.shape[0] != vocabulary
    ]
