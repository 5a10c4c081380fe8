"""Model, data and tools that the suspects share."""

from __future__ import annotations

import copy
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU
from torch import Tensor, nn

from rsnb import losses
from rsnb.base.towers import transformers
from rsnb.classroom.bughunt import pipelines
from rsnb.classroom.bughunt.pipelines import AGAIN, CLAIMS, FEW, LETTERS, REPAIRS
from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.data import PixelStore
from rsnb.errors import RsnbError
from rsnb.evaluation import embed, encode_captions, ranks, recalls


class Probe(nn.Module):
    """A linear map without bias for each modality, from frozen embeddings (.., D) to a common space of 2 D."""

    def __init__(self, dim: int, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.image, self.text = (nn.Linear(dim, 2 * dim, bias=False) for _ in range(2))
        self.rng = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return self.maps(image, text)

    def maps(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Both, of length 1."""
        return F.normalize(self.image(image), dim=-1), F.normalize(self.text(text), dim=-1)

    def learn(self, image: Tensor, text: Tensor, owner: Tensor, pairs: Tensor, batch_size: int = 64) -> None:
        """One epoch over these captions (their indices) and their images, with CLIP's loss."""
        for part in pairs[torch.randperm(len(pairs), generator=self.rng)].split(batch_size):
            loss = losses.clip_loss(*self.maps(image[owner[part]], text[part]), 50.0)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


@dataclass(frozen=True)
class Said:
    """What a pipeline says of its run, where it is not the plain one: trained on train, evaluated on all of test.

    Fields:
        parts: of the data that the indices below count through, one part after the other.
        gallery, asked, train: (n,) the images ranked, the captions ranked and those trained on; None: all of them.
        trained_on: the part, where ``train`` is None. frozen: names of weights; None: all of CLIP's.
        history: rows of epoch, val_mr, test_mr. epoch: the one reported.
    """

    parts: tuple[str, ...] = ("test",)
    gallery: Tensor | None = None
    asked: Tensor | None = None
    train: Tensor | None = None
    trained_on: str = "train"
    frozen: tuple[str, ...] | None = None
    history: Sequence[dict] = ()
    epoch: int | None = None


class Workbench:
    """Where the suspects run: the data sets, CLIP as it was published, and a model with a trained adapter.

    Args:
        settings: of the notebook (:func:`rsnb.classroom.lesson.setup`).
        model: from ``rsnb.load_adapter`` or trained live on the train part; it is copied, never changed.
    """

    def __init__(self, settings, model):
        self.seed, self.quick = settings.seed, settings.quick
        self.data = {part: settings.dataset(part) for part in ("train", "val", "test")}
        self.data["few"] = self.data["train"].limited(FEW, self.seed)
        self.clip = settings.clip()
        self._model = model
        self._stores: dict[str, PixelStore] = {}
        self._features: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        self._cases: dict[str, Suspect] = {}

    # what the pipelines use
    def rng(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def model(self):
        """A copy of the adapted model, in eval mode."""
        return copy.deepcopy(self._model).eval()

    def probe(self) -> Probe:
        return Probe(self.clip.embed_dim, self.seed)

    def store(self, part: str) -> PixelStore:
        return self._stores.setdefault(part, PixelStore(self.data[part], self.clip))

    def owner(self, part: str) -> Tensor:
        """(M,) the image of each caption."""
        return torch.tensor(self.data[part].captions[1])

    @torch.no_grad()
    def encode(self, model, part: str, captions: Sequence[str] | None = None, first: int | None = None):
        """Images (N, D) and captions (M, D) of a part as the model stands, in train or eval mode; ``first`` so many."""
        count = min(len(self.data[part]), first or len(self.data[part]))
        tokens = self.clip.tokenizer(list(captions or self.data[part].captions[0])[:first])
        pixels = (self.store(part).batch(index, self.clip.device) for index in torch.arange(count).split(64))
        image = torch.cat([model.encode_image(batch).float().cpu() for batch in pixels])
        return image, encode_captions(model, tokens, batch_size=128).float().cpu()

    def features(self, *parts: str) -> tuple[Tensor, Tensor, Tensor]:
        """Frozen CLIP's embeddings of several parts together: images (N, D), captions (M, D), owner (M,)."""
        for part in parts:
            if part not in self._features:
                self._features[part] = embed(self.clip, self.data[part], store=self.store(part))
        image, text, owner = zip(*(self._features[part] for part in parts))
        starts = torch.tensor([0, *map(len, image)]).cumsum(0)
        return torch.cat(image), torch.cat(text), torch.cat([own + start for own, start in zip(owner, starts)])

    def some(self, values: Tensor, count: int) -> Tensor:
        """At most so many of them, drawn at random, sorted."""
        return values[torch.randperm(len(values), generator=self.rng())[:count]].sort().values

    def one_caption(self, owner: Tensor) -> Tensor:
        """(N,) the first caption of each image."""
        return torch.tensor([int(torch.where(owner == i)[0][0]) for i in owner.unique()])

    def mr(self, probe: Probe, part: str) -> float:
        image, text, owner = self.features(part)
        found = recalls(*ranks(*probe(image, text), owner))
        return sum(found.values()) / len(found)

    def batches(self, part: str, steps: int, batch_size: int = 64) -> Iterator[tuple[Tensor, Tensor]]:
        """Random pairs: pixels (B, 3, S, S) and tokens (B, L), one caption of each image."""
        rng, (captions, owner) = self.rng(), self.data[part].captions
        chosen = self.one_caption(torch.tensor(owner))
        tokens, size = self.clip.tokenizer(captions), min(batch_size, len(chosen))
        for _ in range(2 if self.quick else steps):
            index = torch.randperm(len(chosen), generator=rng)[:size]
            yield self.store(part).batch(index, self.clip.device), tokens[chosen[index]].to(self.clip.device)

    def pairs(self, *parts: str) -> list[tuple[str, str]]:
        return [(item.name, caption) for part in parts for item in self.data[part] for caption in item.captions]

    def report(
        self, found: dict[str, float], image: Tensor, text: Tensor, owner: Tensor, model: nn.Module, **said: Any
    ) -> Suspect:
        """All that there is to know about a run: its recalls, its embeddings, the model it ran, and what else it said.

        Args:
            said: fields of :class:`Said`, by name.
        """
        run = Said(**said)
        names, pairs = [item.name for part in run.parts for item in self.data[part]], self.pairs(*run.parts)
        head = isinstance(model, Probe)
        base = self.clip if head else model.clip
        weights = tuple(self.clip.model.state_dict())
        before, after = self._weights(base, None if head else model)
        first = self.features("test")[:2] if head else None
        return Suspect(
            letter="",
            claim="",
            recalls=found,
            image=image,
            text=text,
            owner=owner,
            gallery=names if run.gallery is None else [names[i] for i in run.gallery],
            test_pairs=pairs if run.asked is None else [pairs[i] for i in run.asked],
            train_pairs=self.pairs(run.trained_on) if run.train is None else [pairs[i] for i in run.train],
            frozen=weights if run.frozen is None else run.frozen,
            before=before,
            after=after,
            again=(lambda: model(*(x[:AGAIN] for x in first)))
            if head
            else (lambda: self.encode(model, "test", first=AGAIN)),
            bare=self._bare(base),
            published=self.encode(self.clip, "test", first=AGAIN),
            history=list(run.history),
            epoch=run.epoch,
        )

    def _weights(self, base, adapted) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """All weights by name before training and after; those of an adapted model with what was added to it."""
        before, after = dict(self.clip.model.state_dict()), dict(base.model.state_dict())
        if adapted is not None:
            before |= {f"adapter.{name}": value for name, value in self._model.added.state_dict().items()}
            after |= {f"adapter.{name}": value for name, value in adapted.added.state_dict().items()}
        return before, after

    def _bare(self, base) -> tuple[Tensor, Tensor]:
        """The first test images and captions by the modules of this base model, with CLIP's own weights."""
        if base is self.clip:
            return self.encode(base, "test", first=AGAIN)
        copied = copy.deepcopy(base)
        for module in copied.modules():  # the adapter's places
            module._forward_hooks.clear()
            module._forward_pre_hooks.clear()
        copied.model.load_state_dict(self.clip.model.state_dict())
        return self.encode(copied, "test", first=AGAIN)

    # what the notebook uses
    def source(self, letter: str, repaired: bool = False) -> str:
        """The text of a pipeline. (Where CLIP has QuickGELU, as OpenAI's, plain GELU is the wrong activation.)"""
        if letter not in LETTERS:
            raise RsnbError(f"there is no suspect {letter!r}; there are {', '.join(LETTERS)}")
        text = textwrap.dedent(inspect.getsource(getattr(pipelines, f"suspect_{letter.lower()}")))
        if repaired and letter in REPAIRS:
            old, new = REPAIRS[letter]
            text = text.replace(old, new)
        own = transformers(self.clip.model)["image"].resblocks[0].mlp.gelu
        return text.replace("QuickGELU()", "nn.GELU()") if isinstance(own, QuickGELU) else text

    def case(self, letter: str, repaired: bool = False) -> Suspect:
        """The suspect of that letter, run at the first call; ``repaired``: the same with its repair."""
        repaired = repaired and letter in REPAIRS
        source, key = self.source(letter, repaired), letter + "*" * repaired
        if key not in self._cases:
            space: dict[str, Any] = dict(vars(pipelines))
            exec(compile(source, f"<suspect {letter}>", "exec"), space)  # our own text, in pipelines.py
            with torch.random.fork_rng(devices=[]):  # dropout, the same in every run
                torch.manual_seed(self.seed)
                found = space[f"suspect_{letter.lower()}"](self)
            found.letter, found.claim, found.source = letter, CLAIMS[letter], source
            self._cases[key] = found
        return self._cases[key]

    def diff(self, letter: str) -> str:
        """The lines that the repair changes, - before and + after."""
        old, new = (self.source(letter, repaired).splitlines() for repaired in (False, True))
        gone, come = ([line.split("#")[0].rstrip() for line in a if line not in b] for a, b in ((old, new), (new, old)))
        return "\n".join([f"- {line}" for line in gone] + [f"+ {line}" for line in come]) or "nothing to repair"
