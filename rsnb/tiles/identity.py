"""Which model made an index: a search asks with the same one, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from rsnb.adapted import Adapted
from rsnb.backbone import Clip, load_clip, starts_a_download
from rsnb.base.shapes import described
from rsnb.errors import RsnbError
from rsnb.methods import load_adapter

#: What two models must have in common, by key: what is said where they have not.
SAME = {"fingerprint": "other weights of the CLIP", "adapter": "another adapter"}


class AsItIs:
    """A CLIP that carries no method, with what an adapted one has of it; nothing is attached to it."""

    method = "zero_shot"

    def __init__(self, clip: Clip):
        self.clip, self.original, self.stamp = clip, [clip], clip.stamp
        self.encode_image, self.encode_text = clip.encode_image, clip.encode_text

    def state(self) -> dict[str, Any]:
        """Nothing was added."""
        return {}

    def to(self, device: Any) -> AsItIs:
        self.clip.to(device)
        return self


Encoder = Adapted | AsItIs


def adapted(model: Any) -> Encoder:
    """What encodes: an adapted CLIP in eval mode, or a CLIP as it is.

    Raises:
        RsnbError: it is neither, or a CLIP that carries a method.
    """
    if isinstance(model, AsItIs):
        return model
    if isinstance(model, Clip):
        if model.adapted_by not in (None, "zero_shot"):
            raise RsnbError(f"this CLIP carries the method {model.adapted_by!r}; give the adapted model itself")
        return AsItIs(model)
    if not isinstance(model, Adapted):
        raise RsnbError(
            f"a model of rsnb.load_clip, rsnb.adapt or rsnb.load_adapter is needed, found {described(model)}"
        )
    return model.eval()


def identity(model: Encoder, file: Path | None = None) -> dict[str, Any]:
    """What an index keeps of a model: names, the fingerprint of the CLIP's weights, the digest of all that was added or
    trained, and the file of the adapter, if it came out of one."""
    digest, state = hashlib.sha256(), model.state()
    for name, value in sorted(state.items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().double().contiguous().numpy().tobytes())
    clip = model.original[0]
    return {
        "backbone": clip.name,
        "pretrained": clip.pretrained if clip.pretrained is None else str(clip.pretrained),
        "fingerprint": clip.fingerprint(),
        "method": model.method,
        "adapter": digest.hexdigest()[:16] if state else None,
        "file": str(file.absolute()) if file else None,
        "stamp": model.stamp,
    }


def refuse_another(known: dict[str, Any], model: Encoder, where: Path, file: Path | str | None = None) -> None:
    """Raises:
    RsnbError: the model, out of ``file`` if there is one, is not the one of which ``known`` is the identity.
    """
    found = identity(model)
    for key, said in SAME.items():
        if known[key] != found[key]:
            out_of = f", which {file} holds now" if file else ""
            raise RsnbError(
                f"{where} was made with {in_words(known)}, this is {in_words(found)}{out_of}: {said}; search with the "
                "model of the index, or index again"
            )


def in_words(known: dict[str, Any]) -> str:
    """'mini CLIP 1234567890abcdef with mrs 0123456789abcdef'."""
    name = "the mini CLIP" if known["backbone"] == "mini" else known["backbone"]
    with_ = f" with {known['method']} {known['adapter']}" if known["adapter"] else " as it is"
    return f"{name} ({known['fingerprint']}){with_}"


def load(known: dict[str, Any], where: Path) -> Encoder:
    """The model of an index, from this machine.

    Raises:
        RsnbError: it would have to be downloaded, its adapter's file is gone, or holds another one now.
    """
    backbone, pretrained = known["backbone"], known["pretrained"]
    if starts_a_download(backbone, pretrained):
        raise RsnbError(
            f"{where} was made with {backbone} and the weights {pretrained!r}, which may have to be downloaded, and no "
            f"index may start that: name them yourself, --backbone {backbone} --pretrained TAG_OR_PATH"
        )
    if known["adapter"] is None:
        model = adapted(load_clip(backbone, pretrained))
    elif known["file"] is None:
        raise RsnbError(
            f"{where} was made with {in_words(known)}, which came out of no file; give the model, or --adapter"
        )
    elif not Path(known["file"]).is_file():
        raise RsnbError(
            f"{where} was made with the adapter {known['file']}, which is gone; give it with --adapter FILE"
        )
    else:
        model = adapted(load_adapter(known["file"]))
    refuse_another(known, model, where, known["file"])
    return model
