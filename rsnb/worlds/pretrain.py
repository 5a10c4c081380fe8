"""Pre-train the mini CLIP on the drawn web world: ``rsnb pretrain``.

An ordinary contrastive pre-training (Radford et al. 2021) of an ordinary open_clip model. It sees pictures and
captions of ``rsnb.worlds.web`` only, never the toy set's. Everything is a function of the seed and the settings, and
the command can be interrupted and started again. This file imports torch only when it runs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import time

from rsnb.base import bars, paths
from rsnb.base.fields import Checked
from rsnb.base.files import make_folder, reason, replacing, write_bytes, write_json
from rsnb.base.locks import only
from rsnb.base.options import Own, add_options
from rsnb.errors import RsnbError

MARGIN = 6  # pictures are kept this much larger than the model's input, for random shifts


def pretrain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", action=Checked, default=100_000, help="pictures to draw (default: %(default)s)")
    parser.add_argument("--steps", action=Checked, default=3_000, help="training steps (default: %(default)s)")
    add_options(parser, "device", "install", seed=0, batch_size=256, out="outputs/pretrain")
    add_options(parser, precision=Own("bf16", choices=("bf16", "fp32")))
    parser.add_argument("--lr", action=Checked, default=1.5e-3, help="peak learning rate (default: %(default)s)")
    parser.add_argument("--weight-decay", action=Checked, default=0.05, help="of AdamW (default: %(default)s)")
    parser.add_argument("--stop-at", type=int, default=None, help=argparse.SUPPRESS)


def pretrain_command(args: argparse.Namespace) -> dict:
    """Draw, learn the vocabulary, train, evaluate on held-out pictures, write weights and model card."""
    import torch

    from rsnb.backbone import new_mini
    from rsnb.base.devices import pick_device

    make_folder(args.out)
    with only(args.out / "lock", "a pre-training"):
        device = pick_device(args.device)
        torch.manual_seed(args.seed)
        model = new_mini().to(device)
        size = model.visual.image_size[0]
        images, captions = _world(args, size)
        tokenizer = _tokenizer(args, captions, model)
        tokens = [tokenizer(alternatives) for alternatives in captions]
        started = time.perf_counter()
        _train(model, torch.from_numpy(images), tokens, args, device)
        seconds = time.perf_counter() - started
        card = _card(model, tokenizer, args, seconds, size)
        _write(model, card, args)
        return card


def _world(args, size: int):
    from rsnb.worlds.web.world import build_web

    return build_web(args.images, seed=args.seed, size=size + MARGIN, cache=args.out / "world.npz")


def _tokenizer(args, captions, model):
    """A byte-pair vocabulary from the pre-training captions alone, of the size the model's config asks for."""
    import open_clip

    from rsnb.worlds.web.bpe import train_bpe, write_bpe

    merges = train_bpe([c for alternatives in captions for c in alternatives], merges=model.vocab_size - 514)
    path = args.out / "bpe.txt.gz"
    write_bpe(path, merges)
    tokenizer = open_clip.SimpleTokenizer(bpe_path=str(path), context_length=model.context_length)
    if tokenizer.vocab_size != model.vocab_size:
        raise RsnbError(
            f"the captions gave {len(merges)} merges, so a vocabulary of {tokenizer.vocab_size}; the model's config "
            f"asks for {model.vocab_size}. Draw more pictures, or change vocab_size in rsnb/mini/rsnb-mini.json"
        )
    return tokenizer


def _groups(model):
    """Weight decay for matrices only, as in CLIP."""
    named = list(model.named_parameters())
    gains = [p for n, p in named if p.ndim < 2 or "embedding" in n]
    matrices = [p for n, p in named if not (p.ndim < 2 or "embedding" in n)]
    return matrices, gains


def _prepare(batch, size: int, mean, std, rng):
    """uint8 (B, S+6, S+6, 3) -> normalised floats (B, 3, S, S), shifted at random, brightness and contrast jittered."""
    import torch

    dx, dy = (int(v) for v in torch.randint(0, MARGIN + 1, (2,), generator=rng))
    x = batch[:, dy : dy + size, dx : dx + size].permute(0, 3, 1, 2).float().div(255)
    gain, bias = torch.rand(2, len(x), 1, 1, 1, generator=rng).to(x.device) - 0.5
    x = ((x - 0.5) * (1 + 0.6 * gain) + 0.5 + 0.2 * bias).clamp(0, 1)
    return (x - mean) / std


def _encode_text(model, tokens):
    """open_clip's encode_text on the batch's longest caption only: behind a causal mask, padding changes nothing."""
    import torch

    end = tokens.argmax(dim=-1)  # (B,) the end-of-text token has the largest id
    n = int(end.max()) + 1
    x = model.token_embedding(tokens[:, :n]) + model.positional_embedding[:n]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:n, :n]))
    return x[torch.arange(len(x), device=x.device), end] @ model.text_projection


def _train(model, images, tokens, args, device) -> None:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from rsnb.losses import clip_loss

    size = model.visual.image_size[0]
    config = model.visual.preprocess_cfg
    mean, std = (torch.tensor(config[k], device=device)[:, None, None] for k in ("mean", "std"))
    matrices, gains = _groups(model)
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": args.weight_decay}, {"params": gains, "weight_decay": 0.0}],
        lr=args.lr,
        betas=(0.9, 0.98),
        eps=1e-6,
    )
    first = _resume(model, optimizer, args)
    last = min(args.steps, args.stop_at or args.steps)
    backends = [SDPBackend.MATH] if device.type == "cpu" else [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
    model.train()
    average = None
    per_epoch = len(images) // args.batch_size
    bar = bars.bar(range(first, last), initial=first, total=args.steps, unit="step")
    for step in bar:
        rng = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        epoch, place = divmod(step, per_epoch)
        if place == 0 or step == first:
            order = torch.randperm(len(images), generator=torch.Generator().manual_seed(args.seed * 7919 + epoch))
        chosen = order[place * args.batch_size : (place + 1) * args.batch_size]
        pixels = _prepare(images[chosen].to(device), size, mean, std, rng)
        draws = torch.rand(len(chosen), generator=rng).tolist()
        text = torch.stack([tokens[i][int(u * len(tokens[i]))] for i, u in zip(chosen.tolist(), draws)]).to(device)
        warm, rest = min(1.0, (step + 1) / 200), (step + 1) / args.steps
        for group in optimizer.param_groups:
            group["lr"] = args.lr * warm * 0.5 * (1 + math.cos(math.pi * rest))
        bf16 = args.precision == "bf16"
        with sdpa_kernel(backends), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            image, words = model.encode_image(pixels), _encode_text(model, text)
        loss = clip_loss(image, words, model.logit_scale.exp())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        if step % 20 == 0:
            value = loss.item()
            if not math.isfinite(value):
                raise RsnbError(f"the loss became {value} at step {step}; lower --lr (now {args.lr:g})")
            average = value if average is None else 0.9 * average + 0.1 * value
            bar.set_postfix(loss=f"{average:.3f}")
        if (step + 1) % 200 == 0 or step + 1 == last:
            _save(model, optimizer, step + 1, args)


def _settings(args) -> dict:
    return {k: getattr(args, k) for k in ("images", "steps", "batch_size", "lr", "weight_decay", "seed", "precision")}


def _save(model, optimizer, step: int, args) -> None:
    import torch

    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    with replacing(args.out / "state.pt") as scratch:
        torch.save({**state, "settings": json.dumps(_settings(args))}, scratch)


def _resume(model, optimizer, args) -> int:
    import torch

    from rsnb.base.checkpoints import regular_file

    path = args.out / "state.pt"
    if not path.exists():
        return 0
    try:
        regular_file(path, "state of a run")
        state = torch.load(path, map_location="cpu", weights_only=True)
        same = json.loads(state["settings"]) == _settings(args)
        if same:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    except Exception as error:  # torch.load raises many kinds
        raise RsnbError(f"{path} cannot be read ({reason(error)}); take another --out, or delete it") from error
    if not same:
        raise RsnbError(f"{path} is from a run with other settings; take another --out, or delete it")
    return step


def held_out_scores(model, tokenizer, size: int, count: int = 1000) -> dict[str, dict[str, float]]:
    """mR (one caption a picture) on held-out pictures of the web world, for each kind of picture."""
    import torch

    from rsnb.evaluation import ranks, recalls
    from rsnb.worlds.web.world import held_out

    images, captions, kinds = held_out(count, size=size + MARGIN)
    config = model.visual.preprocess_cfg
    device = next(model.parameters()).device
    mean, std = (torch.tensor(config[k])[:, None, None] for k in ("mean", "std"))
    half = MARGIN // 2
    x = torch.from_numpy(images)[:, half : half + size, half : half + size].permute(0, 3, 1, 2).float().div(255)
    x = (x - mean) / std
    model.eval()
    with torch.no_grad():
        image = torch.cat([model.encode_image(part.to(device), normalize=True).cpu() for part in x.split(128)])
        tokens = tokenizer([alternatives[0] for alternatives in captions])
        text = torch.cat([model.encode_text(part.to(device), normalize=True).cpu() for part in tokens.split(128)])
    scores = {}
    for kind in (*sorted(set(kinds)), "all"):
        rows = torch.tensor([i for i, k in enumerate(kinds) if kind in (k, "all")])
        found = recalls(*ranks(image[rows], text[rows], torch.arange(len(rows))))
        scores[kind] = {"pictures": len(rows), "mr": round(sum(found.values()) / 6, 2)}
    return scores


def _card(model, tokenizer, args, seconds: float, size: int) -> dict:
    import torch

    import rsnb

    return {
        "name": "mini CLIP",
        "parameters": sum(p.numel() for p in model.parameters()),
        "image_size": size,
        "data": f"{args.images} pictures of the drawn web world (rsnb.worlds.web), seed {args.seed}; no picture, seed "
        "or caption of the toy world",
        "settings": _settings(args),
        "seconds": round(seconds),
        "held_out_retrieval": held_out_scores(model, tokenizer, size),
        "versions": {"rsnb": rsnb.__version__, "torch": torch.__version__.split("+")[0]},
        "date": datetime.date.today().isoformat(),
        "command": "rsnb pretrain --install "
        + " ".join(f"--{k.replace('_', '-')} {v}" for k, v in _settings(args).items()),
        "limits": "Knows drawn pictures only: for teaching and tests; of no use on photographs without training.",
    }


def _write(model, card: dict, args) -> None:
    import torch
    from safetensors.torch import save_file

    weights = {k: v.detach().cpu().to(torch.float16).contiguous() for k, v in model.state_dict().items()}
    with replacing(args.out / "mini.safetensors") as scratch:
        save_file(weights, scratch, metadata={"format": "pt"})
    write_json(args.out / "model_card.json", card)
    if args.install:
        for name in ("mini.safetensors", "model_card.json", "bpe.txt.gz"):
            write_bytes(paths.mini_dir() / name, (args.out / name).read_bytes())
