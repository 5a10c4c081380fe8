"""What a recipe is put together from, each part a function or a class that :func:`rsnb.train` takes as it is."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from rsnb.data.augment import flips, quarter_turns
from rsnb.errors import RsnbError


def turns(pixels: Tensor, generator: Generator) -> Tensor:
    """Each image of (B, 3, S, S) in one of its eight turns and mirror images: from above, none is the right one."""
    _need_squares(pixels)
    return quarter_turns(flips(pixels, generator, vertical=False), generator)


def eight_turns(pixels: Tensor) -> list[Tensor]:
    """The eight turns and mirror images of (B, 3, S, S), the image itself first."""
    _need_squares(pixels)
    return [side.rot90(turn, (2, 3)) for side in (pixels, pixels.flip(3)) for turn in range(4)]


def _need_squares(pixels: Tensor) -> None:
    height, width = pixels.shape[-2:]
    if height != width:
        raise RsnbError(f"the images are {height} x {width}; only squares can be turned: leave the turns out")


def both_ways(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of (B, B) logits from image to text and back, half of each, summed over the batch.

    Args:
        target: (B, B), each row a distribution: over the texts for an image, and over the images for a text.
    """
    target = target.to(logits.dtype)
    ways = F.cross_entropy(logits, target, reduction="sum") + F.cross_entropy(logits.T, target, reduction="sum")
    return ways / 2


def pairs_of_one_image(owners: Tensor) -> Tensor:
    """(B,) numbers of images -> (B, B), whether two pairs have the same one."""
    return owners[:, None] == owners[None, :]


class Contrast(nn.Module):
    r"""CLIP's loss with up to three changes; with none of them it is CLIP's, summed over the batch.

    .. math:: L = \tfrac12 \sum_i H(y_i, \tau s_i) + \tfrac12 \sum_j H(z_j, \tau s_{\cdot j})

    s are the cosines of B images and B captions, H(y, x) the cross-entropy of a target y and the softmax of x. CLIP's
    targets are the pair itself.

    Args:
        learned: the temperature learns: :math:`\tau` is CLIP's times ``change.exp()``, at most 100, as CLIP's own
            training bounds it.
        equal: the target is shared evenly by all that is as right as the pair itself: captions that are equal word for
            word, and captions of the same image.
        soft: this share of the target goes to what is similar: to the softmax of the mean of the cosines of two images
            and of their captions, at the same temperature and without a gradient.
        start: the temperature at the beginning, as a multiple of CLIP's.

    Source:
        Radford et al. 2021, figure 3; shared targets as in Khosla et al. 2020, Supervised contrastive learning, and
        soft ones as in Andonian et al. 2022, Robust cross-modal representation learning with progressive
        self-distillation, with the model as its own teacher.
    """

    def __init__(self, learned: bool = True, equal: bool = True, soft: float = 0.0, start: float = 1.0):
        super().__init__()
        if not 0 <= soft < 1 or start <= 0:
            raise RsnbError(f"soft is {soft} and start {start}; soft is a share from 0 to below 1, start above 0")
        self.change = nn.Parameter(torch.tensor(math.log(start)), requires_grad=learned)
        self.equal, self.soft = equal, soft

    def forward(self, batch) -> Tensor:
        """A :class:`rsnb.data.batches.Batch` -> the loss, summed over its pairs."""
        v, t = batch.image, batch.text
        scale = (batch.logit_scale * self.change.exp()).clamp(max=100)
        logits = scale * v @ t.T  # (B, B)
        target = self.alike(batch) if self.equal else torch.eye(len(batch), device=v.device)
        target = target / target.sum(dim=1, keepdim=True)  # symmetric before, so it serves both ways
        if self.soft:
            with torch.no_grad():
                near = (scale * (v @ v.T + t @ t.T) / 2).softmax(dim=1)
            target = (1 - self.soft) * target + self.soft * near
        return both_ways(logits, target)

    @staticmethod
    def alike(batch) -> Tensor:
        """(B, B): 1 where two pairs have the same caption or the same image, else 0."""
        number = {caption: n for n, caption in enumerate(batch.captions)}
        caption = torch.tensor([number[c] for c in batch.captions], device=batch.device)
        return ((caption[:, None] == caption[None, :]) | pairs_of_one_image(batch.owners)).float()


class AveragedAdamW(torch.optim.AdamW):
    """AdamW that also keeps a moving average of the weights, which is what is validated and saved.

    ``average``: after each step the average moves to the weights by 1 - average of the way (0: it is the weights). In
    the first steps the way is longer, 1 - (1 + steps) / (10 + steps), so that the start is forgotten.

    Source:
        Polyak and Juditsky 1992; the first steps as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, parameters, lr: float, weight_decay: float = 0.0, average: float = 0.0):
        if not 0 <= average < 1:
            raise RsnbError(f"average is {average}; it must be at least 0 and less than 1")
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)
        self.average = average

    def step(self, closure=None):
        loss = super().step(closure)
        if self.average:
            for p in self._moved():
                kept, steps = self.state[p], float(self.state[p]["step"])
                keep = min(self.average, (1 + steps) / (10 + steps))
                kept.setdefault("average", p.detach().clone()).lerp_(p.detach(), 1 - keep)
        return loss

    def _moved(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"] if p.grad is not None]

    @torch.no_grad()
    def eval(self) -> None:
        """The average and the weights change places, and back again."""
        for p in (p for group in self.param_groups for p in group["params"]):
            if "average" in self.state[p]:
                average, weights = self.state[p]["average"], p.detach().clone()
                p.copy_(average)
                average.copy_(weights)

    train = eval


class WarmUpAndCosine:
    """Makes :class:`AveragedAdamW` and its schedule for :func:`rsnb.train`: the rate rises over ``warm_up`` steps to
    ``lr`` and falls as a cosine to 0 after ``steps``."""

    def __init__(self, lr: float, steps: int, warm_up: int, weight_decay: float = 0.0, average: float = 0.0):
        self.lr, self.steps, self.warm_up = lr, steps, min(warm_up, max(steps - 1, 0))
        self.weight_decay, self.average = weight_decay, average

    def factor(self, step: int) -> float:
        """The rate of a step (from 0), as a share of ``lr``."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - self.warm_up) / (self.steps - self.warm_up))))

    def __call__(self, model):
        parameters = model.trainable().values()
        optimizer = AveragedAdamW(parameters, self.lr, self.weight_decay, self.average)
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, self.factor)


class TurnsAveraged:
    """A model whose image embedding is the mean over the eight turns of an image, to be evaluated, not trained: eight
    times the work for the images, nothing for the captions."""

    def __init__(self, model):
        self.model, self.clip, self.training = model, getattr(model, "clip", model), False
        self.stamp = f"{model.stamp} · eight turns averaged"

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, D), L2-normalised."""
        return F.normalize(sum(self.model.encode_image(turned) for turned in eight_turns(pixels)), dim=-1)

    def encode_text(self, tokens: Tensor) -> Tensor:
        return self.model.encode_text(tokens)

    def eval(self):
        self.model.eval()
        return self

    def train(self, mode: bool = True):
        return self if mode is False else self.model.train(mode)


@torch.no_grad()
def between(model, start: dict[str, Tensor], end: dict[str, Tensor], share: float) -> None:
    """Set what trains to ``start + share * (end - start)``: towards the weights before training (Wortsman et al. 2022,
    Robust fine-tuning of zero-shot models). start, end: as ``model.state()`` gives them."""
    for name, x in model.state().items():
        if x.is_floating_point():
            x.copy_(torch.lerp(start[name].to(x), end[name].to(x), share))
