"""The toy test images, for the page: small pictures, captions, and embeddings with the adapter's output at eleven
scales."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import torch

import rsnb
from rsnb.publishing.live.weights import halves
from rsnb.studies.runs import adapter_path

SCALES = tuple(k / 10 for k in range(11))  # of the adapter's output: zero-shot CLIP at 0, the trained model at 1
SIZE, COLUMNS = 60, 16  # pixels of a small picture, and how many lie side by side
NEAREST = 5  # captions kept for an image


def gallery() -> dict:
    """{"size", "columns": of the sheet of pictures; "images": [{"label", "captions": numbers of its own captions}];
    "captions": distinct texts; "scales"; "width": D; "halves": (scales, images, D) embeddings as 16-bit floats;
    "nearest": {0 and 1, the outer scales: for each image [[number of a caption, cosine], ...], best first}}."""
    test = rsnb.load_dataset("toy", "test")
    texts = list(dict.fromkeys(test.captions[0]))
    number = {text: k for k, text in enumerate(texts)}
    model = rsnb.load_adapter(adapter_path("toy", "mini"))
    pixels = torch.stack([model.clip.preprocess(test.image(k)) for k in range(len(test))])
    tokens, images, nearest = model.clip.tokenizer(texts), [], {}
    for scale in SCALES:
        with scaled(model, scale), torch.no_grad():
            images.append(model.encode_image(pixels))  # (N, D)
            if scale in (0, 1):
                cosines, found = (images[-1] @ model.encode_text(tokens).T).topk(NEAREST)  # (N, NEAREST) each
                nearest[int(scale)] = [
                    [[k, round(c, 4)] for k, c in zip(*row)] for row in zip(found.tolist(), cosines.tolist())
                ]
    return {
        "size": SIZE,
        "columns": COLUMNS,
        "images": [
            {"label": item.label, "captions": sorted({number[text] for text in item.captions})} for item in test
        ],
        "captions": texts,
        "scales": len(SCALES),
        "width": images[0].shape[1],
        "halves": halves(torch.stack(images).flatten()),
        "nearest": nearest,
    }


@contextmanager
def scaled(model, scale: float) -> Iterator[None]:
    """A model with MRS-Adapter whose output is multiplied by ``scale``: its last layers are linear, so they are."""
    last = [p for name, p in model.added.named_parameters() if ".up" in name]
    kept = [p.detach().clone() for p in last]
    try:
        with torch.no_grad():
            for p, own in zip(last, kept):
                p.copy_(scale * own)
        yield
    finally:
        with torch.no_grad():
            for p, own in zip(last, kept):
                p.copy_(own)


def sheet() -> bytes:
    """All pictures on one sheet, as a JPEG file."""
    from PIL import Image

    test = rsnb.load_dataset("toy", "test")
    whole = Image.new("RGB", (COLUMNS * SIZE, -(-len(test) // COLUMNS) * SIZE))
    for k in range(len(test)):
        picture = test.image(k).convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        whole.paste(picture, (k % COLUMNS * SIZE, k // COLUMNS * SIZE))
    file = io.BytesIO()
    whole.save(file, "JPEG", quality=85)
    return file.getvalue()
