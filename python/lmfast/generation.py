"""Text from a model, token by token.

Every model is a *predictor* here: it is given tokens and answers with the logits of the next. A recurrent model keeps
its state between calls and a GPT-2 its keys and values, so a token costs one step whatever lies before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

__all__ = ["Decoder", "choose", "generate"]


class Decoder(Protocol):
    """What is asked of a tokenizer. `end_of_text` (an id or None) and `vocab_size` are used where they are there."""

    def encode(self, text: str, /) -> Sequence[int]:
        """The ids of a text."""

    def decode(self, ids: Sequence[int], /) -> str:
        """The text of ids."""


def generate(
    model: Any,
    tokenizer: Decoder,
    prompt: str,
    *,
    max_tokens: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    device: str | torch.device | None = None,
) -> str:
    """Continue a text.

    Where a GPT-2's context is full, it goes on from the newer half of it.

    Args:
        model: A neural model, or an n-gram model of the tokenizer's tokens.
        tokenizer: Whose ids the model was trained on.
        prompt: The beginning; an empty one is the end-of-text token, after which a document begins.
        max_tokens: Tokens to make at most; the end-of-text token ends the text before.
        temperature: Divides the logits; 0 always takes the likeliest token.
        top_k: Choose among this many likeliest tokens.
        top_p: Choose among the likeliest tokens that together have this probability (Holtzman et al. 2020).
        seed: The same seed gives the same text; None draws one.
        device: Where a neural model computes; by default the GPU where there is one. It is moved back afterwards.

    Returns:
        The continuation alone.

    Raises:
        ValueError: A setting out of its range, or nothing to begin with.
    """
    _check(max_tokens, temperature, top_k, top_p)
    ids = [int(token) for token in tokenizer.encode(prompt)]
    end_of_text: int | None = getattr(tokenizer, "end_of_text", None)
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    if hasattr(model, "generate_ids"):
        made = [int(token) for token in model.generate_ids(ids, max_tokens=max_tokens, seed=seed, **options)]
        if end_of_text in made:
            made = made[: made.index(end_of_text)]
        return _continuation(tokenizer, ids, made)
    if not ids and end_of_text is None:
        raise ValueError("the prompt is empty, and the tokenizer has no end-of-text token to begin with")
    from lmfast.models import interface

    random = np.random.default_rng(seed)
    made = []
    with interface.evaluating(model, interface.pick_device(device)) as place:
        predict = _predictor(model, place)
        new = ids if end_of_text is None else ids or [end_of_text]
        interface.check_ids(_tensor(new), interface.vocab_size(model), "the prompt's tokens")
        for _ in range(max_tokens):
            logits = predict(new)[: getattr(tokenizer, "vocab_size", None)]
            token = choose(logits, random, temperature=temperature, top_k=top_k, top_p=top_p)
            if token == end_of_text:
                break
            made.append(token)
            new = [token]
    return _continuation(tokenizer, ids, made)


def choose(
    logits: np.ndarray,
    random: np.random.Generator,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> int:
    """Draw one token.

    Args:
        logits: (V,) of any scale.
        random: Where the draw comes from.
        temperature: As for `generate`, and so the others.
        top_k: Ties at the edge go to the smaller id.
        top_p: The token that reaches the probability is among those kept.

    Returns:
        Its id.

    >>> choose(np.array([0.0, 2.0, 1.0]), np.random.default_rng(0), temperature=0)
    1
    """
    if temperature == 0:
        return int(np.argmax(logits))
    scaled = logits.astype(np.float64) / temperature
    everything = top_k is None and top_p is None
    order = np.arange(len(scaled)) if everything else np.argsort(-scaled, kind="stable")[:top_k]
    weights = np.exp(scaled[order] - scaled.max())
    cumulative = np.cumsum(weights)
    kept = len(order)
    if top_p is not None:
        kept = min(kept, int(np.searchsorted(cumulative, top_p * cumulative[-1])) + 1)
    drawn = random.random() * cumulative[kept - 1]
    return int(order[min(int(np.searchsorted(cumulative[:kept], drawn, side="right")), kept - 1)])


def _check(max_tokens: int, temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not isinstance(max_tokens, int) or max_tokens < 0:
        raise ValueError(f"max_tokens is a whole number of at least 0, not {max_tokens!r}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature is a finite number of at least 0, not {temperature!r}")
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise ValueError(f"top_k is a whole number of at least 1, not {top_k!r}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is a probability above 0, not {top_p!r}")


def _continuation(tokenizer: Decoder, given: list[int], made: list[int]) -> str:
    """The text that `made` adds, with the space that a tokenizer puts between words."""
    before, whole = tokenizer.decode(given), tokenizer.decode(given + made)
    return whole[len(before) :] if given and whole.startswith(before) else tokenizer.decode(made)


def _tensor(ids: list[int]) -> torch.Tensor:
    import torch

    return torch.tensor(ids, dtype=torch.long)


def _predictor(model: Any, device: torch.device) -> Callable[[list[int]], np.ndarray]:
    """A function from new tokens to the logits (V,) after them, which remembers the tokens before."""
    from lmfast.models import GPT2, interface

    past: list[int] = []
    memory: dict[str, Any] = {"state": None, "cache": model.new_cache() if isinstance(model, GPT2) else None}
    longest = interface.context_length(model)

    def predict(new: list[int]) -> np.ndarray:
        past.extend(new)
        given = new
        if memory["cache"] is not None:
            if memory["cache"][0].length + len(new) > model.context_length:
                memory["cache"] = model.new_cache()
                given = past[-max(1, model.context_length // 2) :]
            logits = model(_tensor(given).to(device)[None], memory["cache"])[0, -1]
        else:
            if not interface.carries_state(model):
                given = past if longest is None else past[-longest:]
            rows_first = interface.batch_first(model)
            ids = _tensor(given).to(device)
            answer, memory["state"] = interface.forward(
                model, ids[None] if rows_first else ids[:, None], memory["state"]
            )
            logits = answer[0, -1] if rows_first else answer[-1, 0]
        result: np.ndarray = logits.float().cpu().numpy()
        return result

    return predict
