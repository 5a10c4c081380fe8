"""Large batches in little memory: the gradient of a whole batch, from passes over its pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def cached_backward(
    encode: Callable[[Any], Sequence[Tensor]], pieces: Sequence[Any], loss: Callable[..., Tensor]
) -> Tensor:
    """The gradient of ``loss`` over all pieces together, as ``loss(*encode(whole)).backward()`` gives it, while the
    activations of one piece alone are in memory. Exact, dropout included: a piece is encoded twice with the same random
    numbers. Twice the forward work.

    Args:
        encode: of a piece, the embeddings of its pairs, each (b, D): such as of images and of captions.
        pieces: of the batch. loss: of the embeddings of the whole batch, each (B, D), a scalar.

    Returns:
        the loss, detached; gradients are added to the parameters.

    Source:
        Gao et al. 2021, Scaling deep contrastive learning batch size under memory limited setup (GradCache).
    """
    states, found = [], []
    with torch.no_grad():
        for piece in pieces:
            states.append(_random_state())
            found.append([x.detach() for x in encode(piece)])
    whole = [torch.cat(views).requires_grad_() for views in zip(*found)]
    value = loss(*whole)
    value.backward()
    after, start = _random_state(), 0
    for piece, state, views in zip(pieces, states, found):
        _set_random_state(state)
        end = start + len(views[0])
        again = encode(piece)
        torch.autograd.backward(again, [x.grad[start:end].to(own.dtype) for x, own in zip(whole, again)])
        start = end
    _set_random_state(after)
    return value.detach()


def _random_state() -> tuple[Tensor, list[Tensor]]:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def _set_random_state(state: tuple[Tensor, list[Tensor]]) -> None:
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])
