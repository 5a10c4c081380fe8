"""Load a CLIP through open_clip, with the tokenizer and preprocessing that belong to it."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import logging
import math
import warnings
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn

from rsnb.base import paths
from rsnb.base.checkpoints import not_finite, read_checkpoint, refuse_programs, regular_file, unlike
from rsnb.base.files import reason
from rsnb.base.prefixes import names_in_file
from rsnb.base.shapes import need_pixels, need_tokens
from rsnb.base.towers import transformers
from rsnb.errors import RsnbError, RsnbWarning

MINI = "rsnb-mini"  # the name under which open_clip knows the mini CLIP
LOCAL = "local-dir:"  # before a folder that holds a model


class Clip(nn.Module):
    """An open_clip model with what it needs beside it. Made by :func:`load_clip`.

    ``model`` is the open_clip model, ``tokenizer(list of str)`` gives (N, context_length) ids, ``preprocess(PIL)``
    gives (3, S, S) floats. ``encode_image`` and ``encode_text`` return L2-normalised (N, D) embeddings.
    """

    def __init__(self, model: nn.Module, tokenizer, preprocess, name: str, pretrained: str | None, stamp: str):
        super().__init__()
        self.model, self.tokenizer, self.preprocess = model.eval(), tokenizer, preprocess
        self.name, self.pretrained, self.stamp = name, pretrained, stamp
        self.adapted_by: str | None = None
        config = model.visual.preprocess_cfg
        self.mean, self.std = tuple(config["mean"]), tuple(config["std"])
        size = model.visual.image_size
        self.image_shape: tuple[int, int] = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        self.image_size: int = self.image_shape[0]
        self.context_length: int = model.context_length
        self._embed_dim: int | None = getattr(model.visual, "output_dim", None)
        self._fingerprint: tuple[tuple, str] | None = None  # state of the weights, and what they had then

    @property
    def embed_dim(self) -> int:
        """D; a tower that does not say it (timm's) is asked with one black picture."""
        if self._embed_dim is None:
            with torch.no_grad():
                black = torch.zeros(1, 3, self.image_size, self.image_size, device=self.device)
                self._embed_dim = self.encode_image(black).shape[1]
        return self._embed_dim

    @property
    def widths(self) -> dict[str, int]:
        """Width of the stream in each tower, {"image": 768, "text": 512} for ViT-B/32."""
        return {tower: stack.width for tower, stack in transformers(self.model).items()}

    @property
    def depths(self) -> dict[str, int]:
        """Number of blocks in each tower."""
        return {tower: len(stack.resblocks) for tower, stack in transformers(self.model).items()}

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of image patches, (7, 7) for ViT-B/32."""
        found = getattr(self.model.visual, "grid_size", None)
        if found is None:
            raise RsnbError(f"the image tower of {self.name} has no grid of patches; take a ViT such as ViT-B-32")
        return tuple(found)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def logit_scale(self) -> Tensor:
        """The inverse temperature, at most 100."""
        return self.model.logit_scale.exp().clamp(max=100.0)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(N, 3, S, S) preprocessed pixels -> (N, D), L2-normalised."""
        need_pixels(pixels, self.image_shape)
        return F.normalize(self.model.encode_image(pixels.to(self.device)).float(), dim=-1)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """(N, context length) token ids -> (N, D), L2-normalised."""
        need_tokens(tokens, self.context_length)
        try:
            return F.normalize(self.model.encode_text(tokens.to(self.device)).float(), dim=-1)
        except IndexError as error:  # on a CPU: a token id that the vocabulary lacks
            raise RsnbError(f"encode_text: {error}; clip.tokenizer(list of sentences) makes token ids") from None

    def fingerprint(self) -> str:
        """16 hex digits of a SHA-256 over the names, shapes and values of all weights, which are read again only where
        torch has counted a change of them (it counts none that goes through ``.data``)."""
        weights = sorted(self.model.state_dict(keep_vars=True).items())
        counted = not any(value.is_inference() for _, value in weights)
        state = tuple((value._version, value.data_ptr(), value.device) for _, value in weights) if counted else None
        if not self._fingerprint or state is None or self._fingerprint[0] != state:
            digest = hashlib.sha256()
            for name, value in weights:
                digest.update(f"{name}{tuple(value.shape)}".encode())
                digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
            self._fingerprint = state, digest.hexdigest()[:16]
        return self._fingerprint[1]


def load_clip(name: str = "mini", pretrained: str | Path | None = None) -> Clip:
    """Load a CLIP.

    Args:
        name: "mini" (ships with the project, its own weights), or any open_clip name such as
            "ViT-B-32-quickgelu", "ViT-L-14-quickgelu", "hf-hub:org/repo", "local-dir:FOLDER" (with its weights,
            open_clip_config.json and, if it has one of its own, tokenizer).
        pretrained: a tag ("openai", "laion2b_s34b_b79k"; downloaded by open_clip), the path of a checkpoint
            (safetensors, a state dict, or OpenAI's own .pt file), or None: random weights, with a warning
            (for "mini" None means the shipped weights, and "random" means random).

    Raises:
        RsnbError: unknown name or tag, no such file, weights that do not fit, OpenAI weights (trained with
            QuickGELU) given to a plain-GELU model.
    """
    if name in ("mini", MINI):
        return _load_mini(pretrained)
    hub = name.startswith(("hf-hub:", LOCAL))
    if not hub and name not in open_clip.list_models():
        near = difflib.get_close_matches(name, open_clip.list_models(), n=5)
        raise RsnbError(
            f"open_clip knows no model called {name!r}; "
            + (f"similar names: {', '.join(near)}" if near else "see open_clip.list_models(), or take 'mini'")
        )
    path = _as_path(pretrained)
    random = not hub and (pretrained is None or pretrained == "random")
    weights = read_checkpoint(path) if path is not None else {}
    if path is not None:
        _refuse_openai_in_plain_gelu(name, path, weights)
    model, tokenizer = _from_open_clip(name, None if random or path is not None else pretrained, random, path)
    if path is not None:
        _load_weights(model, weights, path)
    if not random:
        _refuse_infinite(model, str(path or (name if hub else f"{name}, {pretrained}")))
    if random:
        stamp = f"{name}, RANDOM weights"
        warnings.warn(
            f"{name} has RANDOM weights: shapes and speed are real, retrieval quality means nothing. "
            "Give pretrained='openai' or a checkpoint path for real ones.",
            RsnbWarning,
            stacklevel=2,
        )
    else:
        stamp = name if hub else f"{name}, {path.name if path else pretrained}"
    preprocess = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    return Clip(model, tokenizer, preprocess, name, str(path or pretrained) if not random else None, stamp)


def clip_of_a_plan(name: str, pretrained: str | Path | None = None) -> Clip:
    """The CLIP of this name with random weights, whatever ``pretrained`` says: to count, time and measure what a run
    with these weights will take, before they are there. Its stamp names them."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", RsnbWarning)
        clip = load_clip(name, "random")
    weights = "its own weights" if pretrained is None else Path(pretrained).name
    clip.stamp = f"{name}, {weights} · a plan, for which no weights are loaded"
    return clip


def _from_open_clip(name: str, tag, random: bool, path: Path | None) -> tuple[nn.Module, Any]:
    """The model and its tokenizer; where neither ``random`` nor a path is given, its own weights must be there."""
    if name.startswith(LOCAL):
        _refuse_what_leads_out_of(Path(name.removeprefix(LOCAL)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            required = not random and path is None
            model = _quietly(open_clip.create_model, name, pretrained=tag, require_pretrained=required)
            text = (open_clip.get_model_config(name) or {}).get("text_cfg", {})
            own = {"trust_remote_code": False} if text.get("hf_tokenizer_name") else {}  # whatever its files ask for
            return model, open_clip.get_tokenizer(name, **own)
    except Exception as error:  # open_clip raises many kinds: network, unknown tag, hub errors
        if "transformers" in str(error) and importlib.util.find_spec("transformers") is None:
            raise RsnbError(
                f"{name} reads words with Hugging Face's transformers, which is not installed: "
                "pip install 'rsnb[siglip]'"
            ) from error
        raise RsnbError(
            f"open_clip could not load {name!r} with pretrained={str(path or tag)!r}: {_last_line(error)}. Check the "
            f"tag (open_clip.list_pretrained_tags_by_model({name!r})) and the network, or download the weights by hand "
            "and give the file's path as pretrained"
        ) from error


def _refuse_what_leads_out_of(folder: Path) -> None:
    """A folder may name its weights and its words, and not start a download, or a program, by what lies in it."""
    config = folder / "open_clip_config.json"
    regular_file(config, "open_clip_config.json")
    try:
        said = json.loads(config.read_text(encoding="utf-8"))["model_cfg"]
        text, vision = said["text_cfg"], said["vision_cfg"]
        elsewhere = [text.get("hf_model_name"), vision.get("timm_model_name") or ""]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RsnbError(f"{config} is no configuration of open_clip ({reason(error)}); get the folder again") from None
    if elsewhere[0] or not isinstance(elsewhere[1], str) or {":", "/"} & set(elsewhere[1]):
        raise RsnbError(
            f"{config} names a tower of the Hugging Face hub ({elsewhere[0] or elsewhere[1]!r}), which would be "
            "downloaded; take the model by its own name, such as hf-hub:ORG/REPOSITORY"
        )
    refuse_programs(folder)


def starts_a_download(name: str, pretrained: str | None) -> bool:
    """Whether :func:`load_clip` may look for anything outside this machine."""
    if name in ("mini", MINI):
        return not (pretrained is None or _on_this_machine(pretrained))
    if name.startswith(LOCAL):
        return not _on_this_machine(name.removeprefix(LOCAL))
    config = {} if name.startswith("hf-hub:") else open_clip.get_model_config(name) or {}
    elsewhere = config.get("text_cfg", {}).get("hf_model_name") or config.get("text_cfg", {}).get("hf_tokenizer_name")
    here = pretrained in (None, "random") or (_on_this_machine(pretrained) and Path(pretrained).expanduser().is_file())
    return not config or bool(elsewhere) or not here


def _on_this_machine(path: str) -> bool:
    """Whether a path stays here: on Windows one that begins with two slashes asks another machine."""
    return not path.startswith(("\\\\", "//"))


def register_mini() -> None:
    """Make the mini CLIP known to open_clip under the name "rsnb-mini"."""
    if MINI not in open_clip.list_models():
        open_clip.add_model_config(paths.mini_dir() / f"{MINI}.json")


def _quietly(create, *args, **options):
    """open_clip logs that random weights are random; we say it ourselves, once, where it matters."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        return create(*args, **options)
    finally:
        logging.root.setLevel(level)


def mini_tokenizer():
    """The mini CLIP's tokenizer: open_clip's, with a small vocabulary learned from the pre-training captions."""
    config = json.loads((paths.mini_dir() / f"{MINI}.json").read_text(encoding="utf-8"))
    length = config["text_cfg"]["context_length"]
    return open_clip.SimpleTokenizer(bpe_path=str(paths.mini_dir() / "bpe.txt.gz"), context_length=length)


def new_mini() -> nn.Module:
    """An untrained mini CLIP, weights from torch's current seed."""
    register_mini()
    return _quietly(open_clip.create_model, MINI)


def _load_mini(pretrained: str | Path | None) -> Clip:
    weights = paths.mini_dir() / "mini.safetensors" if pretrained is None else _as_path(pretrained)
    model = new_mini()
    if weights is not None:
        if pretrained is None and not weights.is_file():
            raise RsnbError(f"the mini CLIP's weights are missing at {weights}; run `rsnb pretrain`, or reinstall")
        _load_weights(model, read_checkpoint(weights), weights)
        _refuse_infinite(model, str(weights))
    elif pretrained == "random":
        warnings.warn("the mini CLIP has RANDOM weights: its retrieval means nothing", RsnbWarning, stacklevel=3)
    else:
        raise RsnbError(f"the mini CLIP has no weights called {pretrained!r}; give None, 'random' or a path")
    preprocess = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    stamp = "mini CLIP, RANDOM weights" if weights is None else "mini CLIP"
    if pretrained not in (None, "random"):
        stamp += f", {weights.name}"
    return Clip(model, mini_tokenizer(), preprocess, "mini", None if pretrained is None else str(pretrained), stamp)


def _as_path(pretrained: str | Path | None) -> Path | None:
    """The path of a checkpoint, or None where ``pretrained`` is a tag or nothing."""
    if pretrained is None:
        return None
    path = paths.user_path(pretrained)
    if path.is_file():
        return path
    looks_like_file = isinstance(pretrained, Path) or len(path.parts) > 1 or path.exists()
    if looks_like_file or path.suffix in (".pt", ".pth", ".bin", ".safetensors"):
        regular_file(path, "checkpoint")  # says what is wrong with it
    return None


def _load_weights(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Put the tensors of a file into a model, if they are exactly its own; nothing is cast into another kind."""
    own = model.state_dict()
    place = names_in_file(own, weights)
    found = weights if place is None else {name: weights[at] for name, at in place.items()}
    if unfit := unlike(found, own):
        kinds = {kind: [name for name, how in unfit.items() if how == kind] for kind in ("missing", "not known")}
        said = [f"{len(names)} {kind} (such as {names[0]})" for kind, names in kinds.items() if names]
        other = [f"{name} is {how}" for name, how in unfit.items() if how not in kinds]
        said += [f"{len(other)} of another kind or shape ({other[0]})"] if other else []
        hugging = any("vision_model." in name for name in weights)
        raise RsnbError(
            f"the weights in {path} do not fit this model: {'; '.join(said)}. "
            + ("They have the names of Hugging Face's CLIPModel: take open_clip's form of them" if hugging else "")
            + ("" if hugging else "Is the model's name right?")
        )
    model.load_state_dict({name: value.to(own[name].dtype) for name, value in found.items()})


def _refuse_infinite(model: nn.Module, what: str) -> None:
    bad = not_finite(model.state_dict())
    if bad:
        raise RsnbError(f"not all numbers of {', '.join(bad[:5])} are finite in {what}; get the weights again")


def _refuse_openai_in_plain_gelu(name: str, path: Path, state: dict[str, Tensor]) -> None:
    """OpenAI trained with QuickGELU; in a plain-GELU model its weights load and retrieve badly, silently.

    Only OpenAI's own archives hold ``input_resolution``, which proves it. The numbers and the name of a file are hints.
    """
    config = open_clip.get_model_config(name) or {}
    if config.get("quick_gelu") or not open_clip.get_model_config(f"{name}-quickgelu"):
        return
    if any(found.split(".")[-1] == "input_resolution" for found in state):
        raise RsnbError(
            f"{path} holds OpenAI's weights, trained with QuickGELU, but {name} is the plain-GELU model; "
            f"load them as {name + '-quickgelu'!r}"
        )
    hints = []
    if any("openai" in part.lower() for part in path.absolute().parts[-4:]):  # the file, and folders just above
        hints.append("by its name")
    floats = {found: x for found, x in state.items() if x.is_floating_point()}
    scale = next((x for found, x in floats.items() if found.endswith("logit_scale")), None)
    weight = next((x for found, x in floats.items() if found.endswith("conv1.weight")), None)
    openais_temperature = scale is not None and scale.numel() == 1 and abs(scale.item() - math.log(100)) < 1e-3
    if openais_temperature and weight is not None and torch.equal(weight.float(), weight.half().float()):
        hints.append("by its numbers (half precision, temperature 0.01)")
    if hints:
        warnings.warn(
            f"{path} looks like OpenAI's weights, {' and '.join(hints)}. If it is, load it as {name + '-quickgelu'!r}: "
            f"{name} is the plain-GELU model.",
            RsnbWarning,
            stacklevel=3,
        )


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
