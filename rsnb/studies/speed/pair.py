"""The two versions that are compared: ours, and the plain one of ``plain.py``, with the same weights and data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rsnb.errors import RsnbError


def random_clip(backbone: str):
    """The CLIP of this name with random weights, the same each time."""
    import warnings

    import torch

    import rsnb

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        return rsnb.load_clip(backbone, "random" if backbone == "mini" else None)


class Pair:
    """One CLIP with random weights, the same adapter weights in both versions, the same images and captions."""

    def __init__(self, args):
        import torch

        import rsnb
        from rsnb import fast
        from rsnb.base.devices import pick_device
        from rsnb.studies.speed import plain

        self.plain, self.device = plain, pick_device(args.device)
        args.device = str(self.device)
        self.clip = random_clip(args.backbone).to(self.device)
        reason = fast.why_not(self.clip.model)
        if reason or not hasattr(self.clip.model, "token_embedding"):
            raise RsnbError(
                f"{args.backbone} cannot be compared: {reason or 'its text tower is a module of its own'}; "
                "take a plain CLIP such as ViT-B-32-quickgelu"
            )
        self.sentences = _sentences(args.captions)
        widths = self.clip.widths
        self.adapter = self.plain.Adapter(widths["image"], widths["text"]).to(self.device)
        self.model = rsnb.adapt(self.clip, "mrs", seed=0).to(self.device)
        rng = torch.Generator().manual_seed(0)
        for p in self.adapter.parameters():
            p.data = 0.02 * torch.randn(p.shape, generator=rng).to(self.device)
        self.model.added.adapters[0].load_state_dict(self.adapter.state_dict())

    def batch(self, count: int, captions: int | None = None):
        import torch

        rng = torch.Generator().manual_seed(1)
        size = self.clip.image_size
        pixels = torch.randn(count, 3, size, size, generator=rng)
        tokens = self.clip.tokenizer([self.sentences[i % len(self.sentences)] for i in range(captions or count)])
        return pixels.to(self.device), tokens.to(self.device)

    def plain_step(self, pixels, tokens) -> Callable:
        import torch

        optimizer = torch.optim.Adam(self.adapter.parameters(), lr=0.0)
        return lambda: self.plain.step(self.clip.model, self.adapter, optimizer, pixels, tokens)

    def our_step(self, pixels, tokens, precision: str) -> Callable:
        import torch

        from rsnb.config import TrainConfig
        from rsnb.measures.costs import loss_of_batch

        config = TrainConfig(precision=precision)
        tokens = tokens.cpu()  # as in training: no step waits for the device to say how long its captions are
        optimizer = torch.optim.Adam(self.model.trainable().values(), lr=0.0)

        def one():
            loss = loss_of_batch(self.model.train(), pixels, tokens, config)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return loss

        return one


def _sentences(path: str | None) -> list[str]:
    if path:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise RsnbError(f"{path} cannot be read ({error.strerror}); give --captions a text file") from None
        lines = [line.strip() for line in lines if line.strip()]
        if not lines:
            raise RsnbError(f"{path} has no caption; give --captions a text file with one per line")
        return lines
    import rsnb

    return list(rsnb.load_dataset("toy", "test", images=False).captions[0])
