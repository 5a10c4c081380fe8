"""Ten suspects for a bug hunt: pipelines with numbers that look right, and checks of what a sound run never breaks.

A :class:`Lab` runs the pipelines on the data and the backbone at hand. ``lab.case("A")`` is a :class:`Suspect`: what it
claims, what it reports, its source, and handles to examine it by. :data:`CHECKS` has one check for each kind of bug;
:func:`confirm` says whether an accusation holds, with evidence. Nothing here knows in advance what a check will find.
"""

from __future__ import annotations

import copy
import html
import inspect
import textwrap
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU
from torch import Tensor, nn

from rsnb import losses
from rsnb.data import PixelStore
from rsnb.errors import RsnbError
from rsnb.evaluation import embed, encode_captions, ranks, recalls
from rsnb.measures.similarity import recall_columns
from rsnb.surgery import transformers

FEW, STEPS, EPOCHS, AGAIN = 300, 5, 40, 8  # images, steps, epochs, and how much is embedded again
ROUNDING = 1e-4  # embeddings of unit length that differ by less are the same
HEALTHY = "healthy"
_CODE = "font-family:monospace;font-size:90%;line-height:1.4;white-space:pre;overflow-x:auto"


@dataclass(repr=False)
class Suspect:
    """A finished run and what it can be examined by. N images in the gallery, M captions, D the width.

    Fields:
        letter, claim, source: its name, what its paper says, its code.
        recalls: the six recalls that it reports, in percent (text_r1 is image to text, image_r1 text to image).
        image (N, D), text (M, D), owner (M,): what was ranked, and which image it took each caption to belong to.
        gallery: the names of the N images. test_pairs, train_pairs: (image name, caption), M of them and all that
            anything here was trained on.
        frozen: names of the weights that it says are frozen. before, after: {name: tensor}, all weights before and
            after training, of the base model and of what was added ("adapter...").
        history: of every epoch {"epoch", "val_mr", "test_mr"}, [] where no epoch was chosen. epoch: the reported one.
        again: ``again()`` embeds the first images and captions of test once more, as the model stood when it was
            evaluated: (n, D), (m, D).
        bare, published: embeddings of the first test images and captions, a pair of tensors each: by this run's base
            model, without the adapter and with CLIP's own weights put back in; and by CLIP as it was published.
    """

    letter: str
    claim: str
    recalls: dict[str, float]
    image: Tensor
    text: Tensor
    owner: Tensor
    gallery: list[str]
    test_pairs: list[tuple[str, str]]
    train_pairs: list[tuple[str, str]]
    frozen: tuple[str, ...]
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    again: Callable[[], tuple[Tensor, Tensor]]
    bare: tuple[Tensor, Tensor]
    published: tuple[Tensor, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)
    epoch: int | None = None
    source: str = ""

    @property
    def mr(self) -> float:
        """The mean of the six reported recalls, in percent."""
        return sum(self.recalls.values()) / len(self.recalls)

    @property
    def numbers(self) -> dict[str, float]:
        """The reported recalls under the names of a table's columns, and mR."""
        return recall_columns(self)

    def __repr__(self) -> str:
        numbers = "   ".join(f"{name} {value:.1f}" for name, value in self.numbers.items())
        return f"Suspect {self.letter}: {self.claim}\n{numbers}\n\n{self.source}".rstrip()

    def _repr_html_(self) -> str:
        cells = [(f"<th>{name}</th>", f"<td>{value:.1f}</td>") for name, value in self.numbers.items()]
        heads, values = ("".join(parts) for parts in zip(*cells))
        return (
            f"<p><b>Suspect {self.letter}.</b> {html.escape(self.claim)}</p>"
            f"<table><tr>{heads}</tr><tr>{values}</tr></table>"
            f'<pre style="{_CODE}">{html.escape(self.source)}</pre>'
        )


# --- what a sound run never breaks ------------------------------------------------------------------------------
def moved(suspect: Suspect) -> tuple[bool, str]:
    """A weight that is said to be frozen is the same after training, to the last bit."""
    names = suspect.frozen
    if not names:
        return False, "it says openly that the base model is trained: no weight is claimed to be frozen"
    changes = {name: (suspect.after[name].float() - suspect.before[name].float()).abs().max().item() for name in names}
    other = [name for name in names if not torch.equal(suspect.before[name], suspect.after[name])]
    worst = max(changes, key=changes.get)
    found = f"{len(other)} of {len(names)} frozen tensors changed"
    return bool(other), found + (f"; largest change {changes[worst]:.0e}, in {worst}" if other else "")


def chosen_on_test(suspect: Suspect) -> tuple[bool, str]:
    """The reported epoch is the best by validation."""
    if not suspect.history:
        return False, "it chose no epoch: there is one model to report"
    by = {part: max(suspect.history, key=lambda row: row[f"{part}_mr"]) for part in ("val", "test")}
    own = next(row for row in suspect.history if row["epoch"] == suspect.epoch)
    said = f"epoch {own['epoch']} is reported (validation {own['val_mr']:.1f}, test {own['test_mr']:.1f})"
    if own["val_mr"] >= by["val"]["val_mr"]:
        return False, f"{said}, and validation chooses it too"
    best = " It is the best of all epochs on test" if own["test_mr"] >= by["test"]["test_mr"] else ""
    return True, (
        f"{said}, validation chooses epoch {by['val']['epoch']} (validation {by['val']['val_mr']:.1f}, test "
        f"{by['val']['test_mr']:.1f}).{best}"
    )


def leaks(suspect: Suspect) -> tuple[bool, str]:
    """No image is in training and in test."""
    train, test = ({name for name, _ in pairs} for pairs in (suspect.train_pairs, suspect.test_pairs))
    both = train & test
    return bool(both), f"{len(both)} of {len(test)} test images were trained on, with other captions" if both else (
        f"0 of {len(test)} test images were trained on"
    )


def not_unit(suspect: Suspect) -> tuple[bool, str]:
    """What is ranked by a dot product has length 1."""
    said, found = [], False
    for name in ("image", "text"):
        length = getattr(suspect, name).float().norm(dim=1)
        off = bool((length - 1).abs().max() > ROUNDING)
        found |= off
        said.append(
            f"{name} embeddings have "
            + (f"lengths from {length.min():.2f} to {length.max():.2f}" if off else "length 1, up to rounding")
        )
    return found, ", ".join(said)


def recount(suspect: Suspect) -> tuple[dict[str, float], int]:
    """The six recalls by the rule, from the suspect's own embeddings and pairs, and how many captions asked."""
    place = {name: i for i, name in enumerate(suspect.gallery)}
    owner = torch.tensor([place[name] for name, _ in suspect.test_pairs])
    if len(owner) != len(suspect.text):
        return {}, len(owner)
    return recalls(*ranks(suspect.image, suspect.text, owner)), len(owner)


def _gap(a: dict[str, float], b: dict[str, float]) -> float:
    return max((abs(a[name] - b[name]) for name in a), default=100.0)


def _exchanged(found: dict[str, float]) -> dict[str, float]:
    other = {"text": "image", "image": "text"}
    return {name: found[f"{other[name.split('_r')[0]]}_r{name.split('_r')[1]}"] for name in found}


def miscounted(suspect: Suspect) -> tuple[bool, str]:
    """Every caption asks once; the recalls follow from the embeddings and the pairs by the rule."""
    honest, asked = recount(suspect)
    if not honest:
        return True, f"{asked} captions belong to test, {len(suspect.text)} were ranked"
    gap, swapped = _gap(honest, suspect.recalls), _gap(_exchanged(honest), suspect.recalls)
    if gap < 0.05:
        return False, f"counted again, {asked} captions and {len(suspect.gallery)} images give the reported recalls"
    if swapped < 0.05:
        return False, "the counts are right, but they stand under other names than they belong to"
    worst = max(honest, key=lambda name: abs(honest[name] - suspect.recalls[name]))
    way = "image to text" if worst.startswith("text") else "text to image"
    return True, (
        f"counted again, {asked} captions and {len(suspect.gallery)} images give {way} "
        f"R@{worst.split('_r')[1]} {honest[worst]:.1f}, not {suspect.recalls[worst]:.1f}"
    )


def exchanged(suspect: Suspect) -> tuple[bool, str]:
    """A recall is a count: R@K of N images times N / 100 is a whole number."""
    n, whole = len(suspect.gallery), lambda x: abs(x - round(x)) < 1e-3
    counts = [suspect.recalls[f"text_r{k}"] * n / 100 for k in (1, 5, 10)]
    shown = ", ".join(f"{x:.4g}" for x in counts)
    honest, _ = recount(suspect)
    swapped = bool(honest) and _gap(_exchanged(honest), suspect.recalls) < 0.05 <= _gap(honest, suspect.recalls)
    if swapped:
        part = "" if all(map(whole, counts)) else f"image to text would be {shown} of {n} images; "
        return True, f"{part}counted again, image to text gives what is printed under text to image"
    return False, f"image to text is {shown} of {n} images, and stands where it belongs"


def other_activation(suspect: Suspect) -> tuple[bool, str]:
    """With CLIP's weights and no adapter, the model gives CLIP's embeddings."""
    gap = max((a - b).abs().max().item() for a, b in zip(suspect.bare, suspect.published))
    found = f"with CLIP's own weights and no adapter, embeddings differ from CLIP's by up to {gap:.0e}"
    return gap > ROUNDING, found + (": another function with the same weights" if gap > ROUNDING else ", by rounding")


def changes_its_mind(suspect: Suspect) -> tuple[bool, str]:
    """The same input gives the same embedding."""
    gap = max((a - b).abs().max().item() for a, b in zip(suspect.again(), suspect.again()))
    if gap <= ROUNDING:
        return False, "the same inputs, embedded twice, give the same embeddings"
    return True, f"the same inputs, embedded twice, differ by up to {gap:.2f}"


#: The names to accuse with, and what each breaks.
CHECKS: dict[str, Callable[[Suspect], tuple[bool, str]]] = {
    "base model trained": moved,
    "best epoch chosen on test": chosen_on_test,
    "captions of one image in both parts": leaks,
    "embeddings not normalised": not_unit,
    "captions miscounted": miscounted,
    "wrong activation": other_activation,
    "dropout left on": changes_its_mind,
    "directions swapped": exchanged,
}
NAMES = (HEALTHY, *CHECKS)


@dataclass(frozen=True, repr=False)
class Finding:
    """What an examination says: whether the accusation holds, and the evidence."""

    ok: bool
    letter: str
    name: str
    evidence: tuple[str, ...]

    def __repr__(self) -> str:
        said = "confirmed" if self.ok else "not confirmed"
        return "\n".join((f"{'✓' if self.ok else '✗'} Suspect {self.letter}, {self.name}: {said}", *self.evidence))

    def _repr_html_(self) -> str:
        colour = "#029e73" if self.ok else "#d55e00"
        head, *rest = map(html.escape, repr(self).split("\n"))
        body = "<br>".join([f"<b>{head}</b>", *rest])
        return f'<div style="border-left:4px solid {colour};padding:.3em .8em">{body}</div>'


def confirm(suspect: Suspect, name: str) -> Finding:
    """Examine an accusation, one of NAMES: does the evidence bear it out?"""
    if name not in NAMES:
        raise RsnbError(f"no bug is called {name!r}; choose one of: {', '.join(NAMES)}")
    if name == HEALTHY:
        found = {bug: check(suspect) for bug, check in CHECKS.items()}
        broken = [f"{check.__doc__} Not here: {found[bug][1]}" for bug, check in CHECKS.items() if found[bug][0]]
        passed = f"it passes all {len(CHECKS)} checks"
        return Finding(not broken, suspect.letter, name, tuple(broken) or (passed,))
    violated, evidence = CHECKS[name](suspect)
    return Finding(violated, suspect.letter, name, (evidence,))


# --- the pipelines ----------------------------------------------------------------------------------------------
# What a suspect shows is what runs: the text of its function below. Comments in it are its author's.
def suspect_a(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    owner = lab.owner("test")  # (M,) the image of each caption
    image, text = lab.encode(model.clip.model, "test")  # (N, D), (M, D)
    found = recalls(*ranks(image, text, owner))  # ranked by the dot product
    return lab.report(found, image, text, owner, model)


def suspect_b(lab):
    image, text, owner = lab.features("val", "test")  # frozen CLIP: (N, D), (M, D), (M,)
    draw = torch.rand(len(text), generator=lab.rng())  # (M,) a random number decides
    train, held = torch.where(draw < 0.75)[0], torch.where(draw >= 0.75)[0]
    probe = lab.probe()  # a linear map for each modality
    for _ in range(EPOCHS // 2):
        probe.learn(image, text, owner, train)
    gallery = lab.some(owner[held].unique(), len(image) // 4)  # the images to choose from, sorted
    asked = held[torch.isin(owner[held], gallery)]  # their captions, never trained on
    own = torch.searchsorted(gallery, owner[asked])
    a, b = probe(image[gallery], text[asked])
    found = recalls(*ranks(a, b, own))
    return lab.report(found, a, b, own, probe, parts=("val", "test"), gallery=gallery, asked=asked, train=train)


def suspect_c(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    captions, owner = lab.data["test"].captions
    distinct = sorted(set(captions))  # a sentence that comes twice is embedded once
    image, text = lab.encode(model, "test", captions=distinct)
    text = text[[distinct.index(caption) for caption in captions]]  # (M, D)
    order = torch.randperm(len(image), generator=lab.rng())  # the gallery in random order
    image, owner = image[order], order.argsort()[owner]
    found = recalls(*ranks(image.double(), text.double(), owner))
    return lab.report(found, image, text, owner, model, gallery=order)


def suspect_d(lab):
    model = lab.model().train()
    optimizer = torch.optim.Adam(model.trainable().values(), lr=1e-4)
    for pixels, tokens in lab.batches("train", steps=2):  # a last polish of the adapter
        loss = losses.triplet(model.encode_image(pixels), model.encode_text(tokens))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    owner = lab.owner("test")
    image, text = lab.encode(model, "test")  # (N, D), (M, D), without gradients
    found = recalls(*ranks(image, text, owner))
    return lab.report(found, image, text, owner, model)


def suspect_e(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    owner = lab.owner("test")
    image, text = lab.encode(model, "test")
    image_ranks, text_ranks = ranks(image, text, owner)  # 0-based, best first
    found = recalls(text_ranks, image_ranks)
    return lab.report(found, image, text, owner, model)


def suspect_f(lab):
    model = lab.model().train()
    model.requires_grad_(True)  # what is to learn needs gradients
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    for pixels, tokens in lab.batches("train", steps=STEPS):  # more epochs for the adapter
        loss = losses.triplet(model.encode_image(pixels), model.encode_text(tokens))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    owner = lab.owner("test")
    image, text = lab.encode(model.eval(), "test")
    found = recalls(*ranks(image, text, owner))
    return lab.report(found, image, text, owner, model)


def suspect_g(lab):
    image, text, owner = lab.features("few")  # frozen CLIP, few training images
    pairs = lab.one_caption(owner)  # one caption of each
    probe, history = lab.probe(), []  # a linear map for each modality
    for epoch in range(1, EPOCHS + 1):
        probe.learn(image, text, owner, pairs)
        history.append({"epoch": epoch, "val_mr": lab.mr(probe, "val"), "test_mr": lab.mr(probe, "test")})
        if history[-1] is max(history, key=lambda row: row["test_mr"]):
            best, kept = epoch, copy.deepcopy(probe)  # the best so far
    image, text, owner = lab.features("test")
    a, b = kept(image, text)
    found = recalls(*ranks(a, b, owner))
    return lab.report(found, a, b, owner, kept, history=history, epoch=best, trained_on="few")


def suspect_h(lab):
    model = lab.model().train()
    model.requires_grad_(True)  # CLIP and adapter, all of it
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    for pixels, tokens in lab.batches("train", steps=STEPS):
        loss = losses.triplet(model.encode_image(pixels), model.encode_text(tokens))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    owner = lab.owner("test")
    image, text = lab.encode(model.eval(), "test")
    found = recalls(*ranks(image, text, owner))
    return lab.report(found, image, text, owner, model, frozen=())


def suspect_i(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    for stack in transformers(model.clip.model).values():
        for block in stack.resblocks:  # our own MLP, with CLIP's weights
            block.mlp = nn.Sequential(OrderedDict(c_fc=block.mlp.c_fc, gelu=QuickGELU(), c_proj=block.mlp.c_proj))
    owner = lab.owner("test")
    image, text = lab.encode(model, "test")
    found = recalls(*ranks(image, text, owner))
    return lab.report(found, image, text, owner, model)


def suspect_j(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    owner = lab.owner("test")
    image, text = lab.encode(model, "test")
    text_ranks, image_ranks = ranks(image, text, owner)  # 0-based, best first
    image_ranks = torch.stack([image_ranks[owner == i].min() for i in range(len(image))])
    found = recalls(text_ranks, image_ranks)
    return lab.report(found, image, text, owner, model)


_ADAPTER = "MRS-Adapter on a frozen CLIP"
CLAIMS = {
    "A": f"{_ADAPTER}, ranked by similarity.",
    "B": "A linear probe on frozen CLIP embeddings, tested on captions that it was never trained on.",
    "C": f"{_ADAPTER}, with an evaluation of our own that embeds every sentence once.",
    "D": f"{_ADAPTER}, polished for a few more steps at a small learning rate.",
    "E": f"{_ADAPTER}, strong from text to image.",
    "F": f"{_ADAPTER}, trained a little longer. Only the adapter learns.",
    "G": "A linear probe on frozen CLIP embeddings, few training images, best epoch reported.",
    "H": "Full fine-tuning: CLIP and its adapter are both trained a little longer.",
    "I": f"{_ADAPTER}, in our own implementation of the blocks.",
    "J": f"{_ADAPTER}. Each of an image's five captions is used.",
}
#: What to change, (these words, those words), so that the pipeline is sound; the healthy ones need nothing.
REPAIRS = {
    "A": ("lab.encode(model.clip.model, ", "lab.encode(model, "),
    "B": ("torch.rand(len(text), generator=lab.rng()) ", "torch.rand(len(image), generator=lab.rng())[owner] "),
    "D": ("lab.encode(model, ", "lab.encode(model.eval(), "),
    "E": ("image_ranks, text_ranks = ranks", "text_ranks, image_ranks = ranks"),
    "F": ("model.requires_grad_(True)", "model.added.requires_grad_(True)"),
    "G": ('row["test_mr"]', 'row["val_mr"]'),
    "I": ("gelu=QuickGELU()", "gelu=block.mlp.gelu"),
    "J": ("    image_ranks = torch.stack([image_ranks[owner == i].min() for i in range(len(image))])\n", ""),
}
LETTERS = tuple(CLAIMS)


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


class Lab:
    """Where the suspects run: the data sets, CLIP as it was published, and a model with a trained adapter.

    Args:
        settings: of the notebook (:func:`rsnb.classroom.lesson.setup`). model: from ``rsnb.load_adapter`` or trained live on the
            train part; it is copied, never changed.
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
        self,
        found: dict[str, float],
        image: Tensor,
        text: Tensor,
        owner: Tensor,
        model: nn.Module,
        parts: tuple[str, ...] = ("test",),
        gallery: Tensor | None = None,
        asked: Tensor | None = None,
        train: Tensor | None = None,
        trained_on: str = "train",
        frozen: tuple[str, ...] | None = None,
        history: Sequence[dict] = (),
        epoch: int | None = None,
    ) -> Suspect:
        """All that there is to know about a run. gallery, asked, train: indices of images and captions of the parts,
        where they are not all of test and of the train part."""
        names, pairs = [item.name for part in parts for item in self.data[part]], self.pairs(*parts)
        head = isinstance(model, Probe)
        base = self.clip if head else model.clip
        weights = self.clip.model.state_dict()
        before, after = dict(weights), dict(base.model.state_dict())
        if not head:  # and what was added
            before |= {f"adapter.{name}": value for name, value in self._model.added.state_dict().items()}
            after |= {f"adapter.{name}": value for name, value in model.added.state_dict().items()}
        first = self.features("test")[:2] if head else None
        return Suspect(
            letter="",
            claim="",
            recalls=found,
            image=image,
            text=text,
            owner=owner,
            gallery=names if gallery is None else [names[i] for i in gallery],
            test_pairs=pairs if asked is None else [pairs[i] for i in asked],
            train_pairs=self.pairs(trained_on) if train is None else [pairs[i] for i in train],
            frozen=tuple(weights) if frozen is None else frozen,
            before=before,
            after=after,
            again=(lambda: model(*(x[:AGAIN] for x in first)))
            if head
            else (lambda: self.encode(model, "test", first=AGAIN)),
            bare=self._bare(base),
            published=self.encode(self.clip, "test", first=AGAIN),
            history=list(history),
            epoch=epoch,
        )

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
        text = textwrap.dedent(inspect.getsource(globals()[f"suspect_{letter.lower()}"]))
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
            space: dict[str, Any] = dict(globals())
            exec(compile(source, f"<suspect {letter}>", "exec"), space)  # our own text, above
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
