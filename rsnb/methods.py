"""The table of methods, and saving and loading what a method added."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from rsnb.adapted import Adapted
from rsnb.backbone import Clip, load_clip
from rsnb.base.fields import checked, fits, in_words
from rsnb.base.files import replacing
from rsnb.baselines.adapters import Adapter, AdaptFormer, Convpass, CrossModal, LoRA, UniAdapter
from rsnb.baselines.heads import CLIPAdapter, LinearProbe
from rsnb.baselines.prompts import VPT, CoOp, VLPrompt
from rsnb.errors import RsnbError
from rsnb.mrs import MRS
from rsnb.surgery import Method


class ZeroShot(Method):
    """CLIP as it is: nothing trains."""

    def __init__(self, clip):
        super().__init__()


class FullFineTuning(Method):
    """Every weight of a copy of the CLIP trains; the CLIP given stays as it is."""

    trains_backbone = True

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
    "linear_probe": Entry(
        LinearProbe,
        "Linear probe",
        "head",
        1_048_576,
        "Linear probe",
        1.05,
        False,
        lr=3e-3,
        note="the paper does not say its shape; two bias-free maps from 512 to 1,024 fit",
    ),
    "clip_adapter": Entry(CLIPAdapter, "CLIP-Adapter", "head", 524_288, "CLIP-Adapter", 0.52, False, lr=3e-2),
    "coop": Entry(
        CoOp,
        "CoOp",
        "prompt",
        8_192,
        "CoOp",
        0.10,
        False,
        lr=3e-3,
        note="16 tokens are 0.01 M; the printed 0.10 M is 12 x 16 tokens (98,304) or a misprint",
    ),
    "vpt": Entry(VPT, "VPT (deep)", "prompt", 460_800, "VPT", 0.46, False, lr=1e-2),
    "vl_prompt": Entry(VLPrompt, "VL-Prompt", "prompt", 468_992, "VL-Prompt", 0.47, False, lr=1e-2),
    "adapter": Entry(
        Adapter, "Adapter", "adapter", 165_248, "Adapter", 0.17, False, lr=1e-2, note="step 0 is near zero-shot CLIP"
    ),
    "convpass": Entry(Convpass, "Convpass", "adapter", 136_064, "Convpass", 0.14, True, lr=1e-2),
    "adaptformer": Entry(AdaptFormer, "AdaptFormer", "adapter", 165_248, "AdaptFormer", 0.17, True, lr=1e-2),
    "cross_modal": Entry(
        CrossModal, "Cross-Modal Adapter", "adapter", 164_208, "Cross-Modal Adapter", 0.16, True, lr=3e-3
    ),
    "uniadapter": Entry(
        UniAdapter,
        "UniAdapter",
        "adapter",
        537_984,
        "UniAdapter",
        0.55,
        False,
        lr=3e-2,
        note="no natural configuration gives 0.55 M; bottleneck 16 in each block comes nearest",
    ),
    "mrs": Entry(
        MRS, "MRS-Adapter", "adapter", 161_088, "MRS-Adapter + HMMC (the paper)", 0.16, True, loss="hmmc", lr=3e-3
    ),
    "lora": Entry(LoRA, "LoRA", "weights", 184_320, None, None, True, lr=1e-2),
    "full": Entry(FullFineTuning, "Full fine-tuning", "weights", 151_277_313, "Full fine-tuning", 151.0, True, lr=3e-4),
}


def defaults(method: str, backbone: str = "mini") -> dict[str, str | float]:
    """Loss and learning rate to start from: the table's on the mini CLIP, the paper's 2e-4 on any other backbone."""
    if method not in METHODS:
        raise RsnbError(f"no method is called {method!r}; choose one of {', '.join(METHODS)}")
    entry = METHODS[method]
    return {"loss": entry.loss, "lr": entry.lr if backbone == "mini" else 2e-4}


def adapt(clip: Clip, method: str | type[Method] = "mrs", seed: int | None = None, **options) -> Adapted:
    """Attach a method to a CLIP.

    Args:
        clip: from :func:`rsnb.load_clip`. It is not rewritten: hooks are added, its weights are frozen, and
            ``model.detach()`` undoes both.
        method: a key of ``rsnb.METHODS``, or a class of your own that extends ``rsnb.surgery.Method``.
        seed: of the initial weights, at most 64 bits; None takes torch's present random state.
        options: the method's own (for "mrs": bottleneck, shared, dropout, share_layers, towers, layers).

    Returns:
        an :class:`rsnb.adapted.Adapted` with ``encode_image`` and ``encode_text``.
    """
    if not isinstance(clip, Clip):
        raise RsnbError(f"adapt needs a CLIP from rsnb.load_clip(...), found {type(clip).__name__}")
    own = isinstance(method, type) and issubclass(method, Method)
    if not own and method not in METHODS:
        raise RsnbError(
            f"no method is called {method!r}; choose one of {', '.join(METHODS)}, or give a class that "
            "extends rsnb.surgery.Method"
        )
    build, method = (method, method.__name__) if own else (METHODS[method].build, method)
    allowed = [p for p in inspect.signature(build).parameters if p != "clip"]
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise RsnbError(f"{method!r} has no option called {', '.join(unknown)}; it has: {', '.join(allowed) or 'none'}")
    _check_kinds(build, method, options)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):  # methods are built on the CPU
        if seed is not None:
            torch.manual_seed(checked("seed", seed))
        try:
            added = build(clip, **options)
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            if isinstance(error, RsnbError) or not options:
                raise
            raise RsnbError(f"{method} does not take the options {options}: {error}") from error
    return Adapted(clip, method, added.to(clip.device), options)


def _check_kinds(build: type[Method], method: str, options: dict) -> None:
    """Refuse an option of another kind than the constructor's annotation names."""
    try:
        hints = typing.get_type_hints(build.__init__)
    except (NameError, TypeError, AttributeError):  # annotations of your own that cannot be looked up
        return
    for name, value in options.items():
        if name in hints and not fits(value, hints[name]):
            raise RsnbError(f"{method} does not take {name} = {value!r}; it must be {in_words(hints[name])}")


def save_adapter(model: Adapted, path: str | Path) -> Path:
    """Write what the method added (never the frozen CLIP) as safetensors, with all that is needed to load it.

    The header holds the method, its options, and the backbone's name, weights and fingerprint.
    """
    path = Path(path)
    header = {
        "format": "rsnb adapter 1",
        "method": model.method,
        "options": json.dumps(model.options),
        "backbone": model.clip.name,
        "pretrained": json.dumps(model.clip.pretrained),
        "fingerprint": model.original[0].fingerprint(),
    }
    tensors = {name: p.detach().cpu().contiguous() for name, p in model.trainable().items()}
    with replacing(path) as scratch:
        scratch.write_bytes(save(tensors, metadata=header))
    return path


def read_header(path: str | Path) -> dict[str, str]:
    """The header of an adapter file."""
    path = Path(path)
    if not path.is_file():
        raise RsnbError(f"no adapter at {path}; `rsnb train --out DIR` writes DIR/adapter.safetensors")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise RsnbError(f"{path} is no adapter file ({error}); adapters are made by rsnb.save_adapter") from error
    if header.get("format") != "rsnb adapter 1":
        raise RsnbError(f"{path} is a safetensors file, but not one made by rsnb.save_adapter")
    return header


def load_adapter(path: str | Path, clip: Clip | None = None, method: type[Method] | None = None) -> Adapted:
    """Rebuild an adapted model from a file of :func:`save_adapter`.

    Args:
        clip: the backbone it was trained on; None loads it by the name and weights in the header.
        method: the class, if it is one of your own.

    Raises:
        RsnbError: the backbone is another one (other name, or other weights under the same name).
    """
    header = read_header(path)
    if clip is None:
        clip = load_clip(header["backbone"], json.loads(header["pretrained"]))
    if clip.fingerprint() != header["fingerprint"]:
        raise RsnbError(
            f"the adapter {path} was trained on {header['backbone']} with weights {header['fingerprint']}, but this "
            f"CLIP is {clip.name} with weights {clip.fingerprint()}; load the backbone it was trained on "
            f"(pretrained={json.loads(header['pretrained'])!r}) or train again"
        )
    if method is not None and method.__name__ != header["method"]:
        raise RsnbError(f"{path} holds a {header['method']}, not a {method.__name__}")
    model = adapt(clip, method or header["method"], **json.loads(header["options"]))
    own = model.trainable()
    with safe_open(path, "pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    unfit = sorted(n for n in set(own) | set(found) if n not in own or n not in found or own[n].shape != found[n].shape)
    if unfit:
        model.detach()
        raise RsnbError(f"the tensors in {path} do not fit {header['method']!r}: {', '.join(unfit[:10])}")
    for name, p in own.items():
        p.data.copy_(found[name])
    return model
