"""The table of methods, and saving and loading what a method added."""

from __future__ import annotations

import inspect
import json
import math
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from rsnb.adapted import CLIP_PART, Adapted
from rsnb.backbone import Clip, load_clip, starts_a_download
from rsnb.base.adapter_files import AND, FORMAT, FORMER_FORMAT, read_header, read_shapes, read_tensors
from rsnb.base.checkpoints import not_finite, unlike
from rsnb.base.fields import checked, fits, in_words
from rsnb.base.files import reason, replacing
from rsnb.base.own import digest_of_own
from rsnb.baselines.adapters import Adapter, AdaptFormer, Convpass, CrossModal, LoRA, UniAdapter
from rsnb.baselines.composed import Composed
from rsnb.baselines.heads import CLIPAdapter, LinearProbe
from rsnb.baselines.prompts import VPT, CoOp, VLPrompt
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.mrs import MRS
from rsnb.surgery import Method


class ZeroShot(Method):
    """CLIP as it is: nothing trains."""

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip):
        super().__init__()


class FullFineTuning(Method):
    """Every weight of a copy of the CLIP trains; the CLIP given stays as it is."""

    trains_backbone = True
    promises = {"tokenwise", "reads only"}

    def __init__(self, clip):
        super().__init__()


@dataclass(frozen=True)
class Entry:
    """A row of the table of methods.

    build, title: the class, and the name in figures and tables. family: "head", "prompt", "adapter", "weights", or
    "none". paper: its name in the paper's tables (None: not there); paper_millions: the parameters printed there.
    count_vit_b32: trainable parameters on ViT-B/32 with default options. identity: whether step 0 is zero-shot
    CLIP. loss, lr: to start from on the mini CLIP; what ``rsnb benchmark`` chose on the toy world's validation part.
    note: where the paper's count has no matching configuration.
    """

    build: Callable[..., Method]
    title: str
    family: str
    count_vit_b32: int
    paper: str | None
    paper_millions: float | None
    identity: bool
    loss: str = "clip"
    lr: float = 1e-3
    note: str = ""


METHODS: dict[str, Entry] = {
    "zero_shot": Entry(ZeroShot, "Zero-shot CLIP", "none", 0, "Zero-shot CLIP", 0.0, True),
    "linear_probe": Entry(LinearProbe, "Linear probe", "head", 1_048_576, "Linear probe", 1.05, False, lr=3e-3,
        note="the paper does not say its shape; two bias-free maps from 512 to 1,024 fit"),
    "clip_adapter": Entry(CLIPAdapter, "CLIP-Adapter", "head", 524_288, "CLIP-Adapter", 0.52, False, lr=3e-2),
    "coop": Entry(CoOp, "CoOp", "prompt", 8_192, "CoOp", 0.10, False, lr=3e-3,
        note="16 tokens are 0.01 M; the printed 0.10 M is 12 x 16 tokens (98,304) or a misprint"),
    "vpt": Entry(VPT, "VPT (deep)", "prompt", 460_800, "VPT", 0.46, False, lr=1e-2),
    "vl_prompt": Entry(VLPrompt, "VL-Prompt", "prompt", 468_992, "VL-Prompt", 0.47, False, lr=1e-2),
    "adapter": Entry(Adapter, "Adapter", "adapter", 165_248, "Adapter", 0.17, False, lr=1e-2,
        note="step 0 is near zero-shot CLIP"),
    "convpass": Entry(Convpass, "Convpass", "adapter", 136_064, "Convpass", 0.14, True, lr=1e-2),
    "adaptformer": Entry(AdaptFormer, "AdaptFormer", "adapter", 165_248, "AdaptFormer", 0.17, True, lr=1e-2),
    "cross_modal": Entry(CrossModal, "Cross-Modal Adapter", "adapter", 164_208, "Cross-Modal Adapter", 0.16, True,
        lr=3e-3),
    "uniadapter": Entry(UniAdapter, "UniAdapter", "adapter", 537_984, "UniAdapter", 0.55, False, lr=3e-2,
        note="no natural configuration gives 0.55 M; bottleneck 16 in each block comes nearest"),
    "mrs": Entry(MRS, "MRS-Adapter", "adapter", 161_088, "MRS-Adapter + HMMC (the paper)", 0.16, True, loss="hmmc",
        lr=3e-3),
    "lora": Entry(LoRA, "LoRA", "weights", 184_320, None, None, True, lr=1e-2),
    "full": Entry(FullFineTuning, "Full fine-tuning", "weights", 151_277_313, "Full fine-tuning", 151.0, True,
        lr=3e-4),
}  # fmt: skip


def defaults(method: str, backbone: str = "mini") -> dict[str, str | float]:
    """Loss and learning rate to start from: the table's on the mini CLIP, the paper's 2e-4 on any other backbone; of
    several methods ("mrs+lora") those of the first one.

    Raises:
        RsnbError: it is no method of the table.
    """
    name, _ = _named_build(method.split(AND)[0])
    return {"loss": METHODS[name].loss, "lr": METHODS[name].lr if backbone == "mini" else 2e-4}


def adapt(
    clip: Clip,
    method: str | type[Method] | Sequence = "mrs",
    seed: int | None = None,
    unfreeze: str | Sequence[str] | None = None,
    **options,
) -> Adapted:
    """Attach a method to a CLIP, or several at once.

    Args:
        clip: from :func:`rsnb.load_clip`. It is not rewritten: hooks are added, its weights are frozen, and
            ``model.detach()`` undoes both.
        method: a key of ``rsnb.METHODS``, or a class of your own that extends ``rsnb.surgery.Method``. Several are a
            list, ``["mrs", ("lora", {"rank": 2}), Mine]``, or a text, ``"mrs+lora"``; what follows what is said at
            :class:`rsnb.baselines.composed.Composed`.
        seed: of the initial weights, at most 64 bits; None takes torch's present random state.
        unfreeze: parts of the CLIP that train too, in a copy of it: ``"ln_"`` for its LayerNorms, or several words; see
            :func:`rsnb.adapted.named_parameters_of`.
        options: the method's own (for "mrs": bottleneck, shared, dropout, share_layers, towers, layers); of several
            methods each with the name of its method, ``**{"lora.rank": 2}``.

    Returns:
        an :class:`rsnb.adapted.Adapted` with ``encode_image`` and ``encode_text``. Its ``method`` and ``options`` are
        what a ``TrainConfig`` says: "mrs+lora+Mine" and ``{"lora.rank": 2, "unfreeze": "ln_"}``.

    Raises:
        RsnbError: an unknown method, option or part of the CLIP, or methods that do not go together.
    """
    if not isinstance(clip, Clip):
        raise RsnbError(f"adapt needs a CLIP from rsnb.load_clip(...), found {type(clip).__name__}")
    parts = _parts_of(method, options)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):  # methods are built on the CPU
        if seed is not None:
            torch.manual_seed(checked("seed", seed))
        built = {name: _built(clip, name, build, own) for name, (build, own) in parts.items()}
    if len(parts) == 1:
        ((name, (_, said)),) = parts.items()
        added = built[name]
    else:
        said = {f"{name}.{key}": value for name, (_, own) in parts.items() for key, value in own.items()}
        added = Composed(built)
    if unfreeze is not None:
        said = {**said, "unfreeze": unfreeze}
    return Adapted(clip, AND.join(parts), added.to(clip.device), said, unfreeze)


def with_own_classes(method: str, classes: Iterable[type[Method]]) -> list[str | type[Method]]:
    """What :func:`adapt` takes for a name that holds classes of your own: ["mrs", Mine] for "mrs+Mine"."""
    own = {build.__name__: build for build in classes}
    return [own.get(name, name) for name in method.split(AND)]


def _parts_of(method, options: dict) -> dict[str, tuple[Callable[..., Method], dict]]:
    """{name: (what builds the method, its options)} of all that :func:`adapt` takes as a method."""
    if isinstance(method, str):
        listed = method.split(AND)
    else:
        one = isinstance(method, type) or (isinstance(method, tuple) and isinstance(method[-1], Mapping))
        listed = [method] if one or not isinstance(method, Sequence) else list(method)
    parts: dict[str, tuple[Callable[..., Method], dict]] = {}
    for part in listed:
        part, own = part if isinstance(part, tuple) and len(part) == 2 else (part, {})
        name, build = _named_build(part)
        if name in parts:
            raise RsnbError(
                f"the method {name!r} is given twice; to have it twice, extend its class under another name"
            )
        parts[name] = build, dict(own)
    if not parts:
        raise RsnbError("no method is given; 'zero_shot' is CLIP as it is")
    for key, value in options.items():
        name, _, option = key.partition(".") if len(parts) > 1 else (next(iter(parts)), "", key)
        if name not in parts or not option:
            raise RsnbError(
                f"{AND.join(parts)!r} has no option {key!r}; of several methods an option is called METHOD.OPTION, "
                f"with METHOD one of {', '.join(parts)}"
            )
        parts[name][1][option] = value
    for name, (build, own) in parts.items():
        allowed = [p for p in inspect.signature(build).parameters if p != "clip"]
        unknown = sorted(set(own) - set(allowed))
        if unknown:
            known = ", ".join(allowed) or "none"
            raise RsnbError(f"{name!r} has no option called {', '.join(unknown)}; it has: {known}")
    return parts


def _named_build(method) -> tuple[str, Callable[..., Method]]:
    """The name of one method, and what builds it."""
    if isinstance(method, type) and issubclass(method, Method):
        if method.__name__ in METHODS:
            raise RsnbError(f"the name {method.__name__} is taken by a method of rsnb; give your class another one")
        taken = [n for n in ("at", "keeps_promise", "mixes_tokens") if getattr(method, n) is not getattr(Method, n)]
        if taken:
            raise RsnbError(f"{method.__name__} has a {taken[0]!r} of its own, by which rsnb calls a method; rename it")
        return method.__name__, method
    if not isinstance(method, str) or method not in METHODS:
        raise RsnbError(
            f"no method is called {method!r}; choose one of {', '.join(METHODS)}, or give a class that "
            "extends rsnb.surgery.Method"
        )
    return method, METHODS[method].build


def _built(clip: Clip, name: str, build: Callable[..., Method], options: dict) -> Method:
    """A method; an option of another kind than the constructor's annotation names is refused."""
    try:
        hints = typing.get_type_hints(build.__init__)
    except (NameError, TypeError, AttributeError):  # annotations of your own that cannot be looked up
        hints = {}
    for option, value in options.items():
        if option in hints and not fits(value, hints[option]):
            raise RsnbError(f"{name} does not take {option} = {value!r}; it must be {in_words(hints[option])}")
    try:
        return build(clip, **options)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        if isinstance(error, RsnbError) or not options:
            raise
        raise RsnbError(f"{name} does not take the options {options}: {error}") from error


def save_adapter(model: Adapted, path: str | Path) -> Path:
    """Write all that was added or trained as safetensors: the method's parameters, frozen ones too, its buffers, and
    what was unfrozen of the CLIP, never what is frozen of it.

    The header holds the method, its options, the digest of each class of your own, and the backbone's name, weights
    and fingerprint.

    Raises:
        RsnbError: a number that is not finite, or an option that JSON cannot hold.
    """
    path = Path(path)
    parts = model.added.parts if isinstance(model.added, Composed) else {model.method: model.added}
    own = {name: _digest_of(type(part)) for name, part in parts.items() if name not in METHODS}
    try:
        options = json.dumps(model.options)
    except TypeError as error:
        raise RsnbError(f"the options {model.options} of {model.method!r} cannot be saved: {error}") from None
    header = {
        "format": FORMAT,
        "method": model.method,
        "options": options,
        "sources": json.dumps(own),
        "backbone": model.clip.name,
        "pretrained": json.dumps(model.clip.pretrained),
        "fingerprint": model.original[0].fingerprint(),
    }
    tensors = {name: x.detach().cpu().contiguous().clone() for name, x in model.state().items()}
    _refuse_infinite(tensors, "the model; its training diverged, and nothing is saved")
    with replacing(path) as scratch:
        scratch.write_bytes(save(tensors, metadata=header))
    return path


def _digest_of(own: type[Method]) -> str:
    """:func:`rsnb.base.own.digest_of_own`; "" where it cannot read a class: a trained model is saved all the same."""
    try:
        return digest_of_own(own)
    except RsnbError:
        return ""


def load_adapter(
    path: str | Path, clip: Clip | None = None, method: type[Method] | Iterable[type[Method]] = ()
) -> Adapted:
    """Rebuild an adapted model from a file of :func:`save_adapter`.

    Args:
        clip: the backbone it was trained on; None loads it by the name and weights in the header, if they are on this
            machine.
        method: the class, or the classes, if it was made with some of your own. That one has changed since is said
            with a warning.

    Raises:
        RsnbError: the file is no adapter, or damaged; the backbone is another one (other name, or other weights under
            the same name), or would have to be downloaded; a class of your own is not given; the tensors are not
            exactly those of the method, in shape and kind, or not finite.
    """
    path, classes = Path(path), (method,) if isinstance(method, type) else tuple(method or ())
    header = read_header(path)
    backbone, pretrained = header["backbone"], json.loads(header["pretrained"])
    if clip is None:
        if starts_a_download(backbone, pretrained):
            raise RsnbError(
                f"{path} wants the CLIP {backbone!r} with the weights {pretrained!r}, which may have to be downloaded, "
                "and no file may start that: name it yourself, --backbone NAME --pretrained TAG_OR_PATH (in Python "
                "rsnb.load_adapter(path, clip=rsnb.load_clip(NAME, TAG_OR_PATH)))"
            )
        clip = load_clip(backbone, pretrained)
    elif not isinstance(clip, Clip):
        raise RsnbError(f"load_adapter needs a CLIP from rsnb.load_clip(...), found {type(clip).__name__}")
    if clip.fingerprint() != header["fingerprint"]:
        raise RsnbError(
            f"the adapter {path} was trained on {backbone} with weights {header['fingerprint']}, but this "
            f"CLIP is {clip.name} with weights {clip.fingerprint()}; load the backbone it was trained on "
            f"(pretrained={pretrained!r}) or train again"
        )
    names = header["method"].split(AND)
    other = [own.__name__ for own in classes if own.__name__ not in names]
    if other:
        raise RsnbError(f"{path} holds a {header['method']}, not a {', '.join(other)}")
    missing = [name for name in names if name not in METHODS and name not in {own.__name__ for own in classes}]
    if missing:
        raise RsnbError(
            f"{path} was made with {', '.join(missing)}, which is no method of rsnb; give the class: "
            f"rsnb.load_adapter(path, clip, method={missing[0]})"
        )
    for own in classes:
        then = json.loads(header.get("sources", "{}")).get(own.__name__, "")
        if then and then != _digest_of(own):
            message = f"the class {own.__name__} has changed since {path} was made; the model may not be the one saved"
            warnings.warn(message, RsnbWarning, stacklevel=2)
    model = _built_as_in(path, header, clip, classes)
    try:
        _fill(model, path, header["format"])
    except RsnbError:
        model.detach()
        raise
    return model


def _built_as_in(path: Path, header: dict[str, str], clip: Clip, classes: Sequence[type[Method]]) -> Adapted:
    """The model that a header describes, without its tensors; what the file says is not trusted to be sensible."""
    method, options = with_own_classes(header["method"], classes), json.loads(header["options"])
    reserved = sorted(set(options) & set(inspect.signature(adapt).parameters) - {"unfreeze", "options"})
    if reserved:
        raise RsnbError(f"the header of {path} has {reserved[0]!r} for an option, which no method has; it is damaged")
    try:
        _refuse_larger_than(path, header["method"], clip, method, options)
        return adapt(clip, method, **options)
    except Exception as error:  # what options out of a file can cause has no end
        raise RsnbError(f"{path} cannot be loaded as {header['method']!r} with its options: {reason(error)}") from error


def _refuse_larger_than(path: Path, name: str, clip: Clip, method, options: dict) -> None:
    """Build the methods without their numbers first: an adapter that is larger than its file never takes memory."""
    own = {key: value for key, value in options.items() if key != "unfreeze"}
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            parts = _parts_of(method, own)
            wanted = [x for part, (build, said) in parts.items() for x in _built(clip, part, build, said).parameters()]
    except (NotImplementedError, RuntimeError):  # a class that looks at its numbers while it is built
        return
    count, held = sum(x.numel() for x in wanted if x.is_meta), sum(math.prod(x) for x in read_shapes(path).values())
    if count > 2 * held + 100_000:  # the former format left out what was frozen
        raise RsnbError(f"{name} with these options has {count:,} numbers and the file {held:,}: they do not fit")


def _fill(model: Adapted, path: Path, form: str) -> None:
    """Put the tensors of a file into a model, if they are exactly those that it has."""
    wanted = model.state()
    if form == FORMER_FORMAT:  # what trained alone, and of the CLIP under its plain name
        rest = sorted(set(wanted) - set(model.trainable()))
        wanted = {name.removeprefix(CLIP_PART): p for name, p in model.trainable().items()}
        if rest:
            message = f"{path} was made by a version that did not save {', '.join(rest[:5])}: they are as newly made"
            warnings.warn(message, RsnbWarning, stacklevel=3)
    found = read_tensors(path)
    if unfit := unlike(found, wanted):
        said = ", ".join(f"{name} ({how})" for name, how in list(unfit.items())[:10])
        raise RsnbError(f"the tensors in {path} do not fit {model.method!r}: {said}")
    found = {name: found[name].to(x.dtype) for name, x in wanted.items()}
    _refuse_infinite(found, f"{path}; train again, or take another file")
    with torch.no_grad():  # counted as a change, unlike writing through .data
        for name, x in wanted.items():
            x.copy_(found[name])


def _refuse_infinite(tensors: Mapping[str, Tensor], where: str) -> None:
    if bad := not_finite(tensors):
        raise RsnbError(f"not all numbers of {', '.join(bad[:10])} are finite in {where}")
