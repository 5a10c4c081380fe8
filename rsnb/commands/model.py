"""Commands that hold a model: train, evaluate. A function for the arguments and one that runs it, for each."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from rsnb.base.assignments import parse_assignment
from rsnb.base.fields import Checked
from rsnb.base.files import write_json, write_text
from rsnb.base.options import Own, add_options
from rsnb.base.recalls import recall_label
from rsnb.base.text import markdown_table
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.settings import Settings, settings_of, what_arguments


def train_arguments(parser: argparse.ArgumentParser) -> None:
    what_arguments(parser)
    group = parser.add_argument_group("method and training")
    group.add_argument(
        "--method",
        default="mrs",
        help="mrs (default), full, adaptformer, ...: a key of rsnb.METHODS; several at once: mrs+lora",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the method (bottleneck=32; of several: mrs.bottleneck=32), unfreeze=ln_ for parts of CLIP "
        "that train too, or an option of the training (margin=0.1, pairs=all); repeatable",
    )
    add_options(group, "epochs", "batch_size", "limit")
    group.add_argument("--lr", action=Checked, metavar="RATE")
    group.add_argument("--loss", action=Checked, metavar="{hmmc,clip,triplet}")
    add_options(group, device=Own(said="auto"), out=Own(said="runs/DATA-BACKBONE-METHOD-seedN"))
    group.add_argument("--force", action="store_true", help="redo a finished run")
    add_options(parser, "json")


def train_command(args: argparse.Namespace) -> int:
    """Train; the best epoch on val is kept and reported on test. A killed run goes on where it was."""
    if os.environ.get("WORLD_SIZE", "1") in ("", "0", "1"):
        return _train(args)
    from rsnb.base import distributed

    with distributed.together(args.device or "auto"):
        return _train(args, first=distributed.rank() == 0)


def _train(args: argparse.Namespace, first: bool = True) -> int:
    """``first``: whether this process writes and speaks; the others help it to train."""
    given = settings_of(args)
    name = f"{Path(given.data).stem}-{Path(given.backbone).name}-{args.method}-seed{given.seed}"
    out = args.out or Path("runs") / name
    result_file = out / "result.json"
    if result_file.exists() and not args.force:
        raise RsnbError(f"{out} holds a finished run; take another --out, or --force to do it again")
    foreign = [name for name in ("adapter.safetensors", "history.csv") if (out / name).exists()]
    if foreign and not args.force and not (out / "state.pt").exists():
        raise RsnbError(f"{out / foreign[0]} does not belong to a run begun here; take another --out, or --force")
    settings, options = _set(args.set)
    for key in ("epochs", "batch_size", "lr", "loss", "device"):
        if getattr(args, key) is not None:
            if key in settings and settings[key] != getattr(args, key):
                option = f"--{key.replace('_', '-')} {getattr(args, key)}"
                raise RsnbError(f"{key} is given twice: {option}, and --set {key}={settings[key]}")
            settings[key] = getattr(args, key)
    if given.epochs is not None:
        settings.setdefault("epochs", given.epochs)

    import rsnb
    from rsnb.base.devices import pick_device
    from rsnb.config import TrainConfig
    from rsnb.evaluation import evaluate
    from rsnb.methods import defaults
    from rsnb.publishing.runner import versions_of_run
    from rsnb.training import train

    if args.method.split("+")[0] in rsnb.METHODS:
        settings = {**defaults(args.method, given.backbone), **settings}
    config = TrainConfig().replace(**settings, method=args.method, options=options, seed=given.seed)
    pick_device(config.device)  # said before anything is loaded
    train_set, val_set, test_set = (given.dataset(split) for split in ("train", "val", "test"))  # before the long work
    model = rsnb.adapt(given.clip(), args.method, seed=given.seed, **options)
    stamp = f"{train_set.stamp} · {model.stamp} · seed {given.seed}"
    if first:
        print(f"{stamp}\n{args.method}: {rsnb.count_trainable(model):,} trainable parameters", file=sys.stderr)
    trained = train(model, train_set, val_set, config, out=out, force=args.force, take_finished=True)
    if not first:
        return 0
    rsnb.save_adapter(model, out / "adapter.safetensors")
    write_text(out / "history.csv", trained.frame().to_csv(index=False, lineterminator="\n"))
    report = evaluate(model, test_set, progress=True)
    result = {
        "stamp": stamp,
        "config": config.to_dict(),
        "trainable": rsnb.count_trainable(model),
        "best_epoch": trained.best_epoch,
        "best_val_mr": trained.best_val_mr,
        "seconds": round(trained.seconds, 2),
        "test": report.to_dict(),
        "history": trained.history,
        "view": train_set.view and dataclasses.asdict(train_set.view),
        "versions": versions_of_run(),
    }
    write_json(result_file, result)
    if args.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        print(f"best epoch {trained.best_epoch}, val mR {trained.best_val_mr:.2f}; on test:\n{report}\nin {out}")
    return 0


def _set(pairs: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """KEY=VALUE texts as settings of the training and options of the method."""
    from rsnb.config import TrainConfig

    fields = {field.name for field in dataclasses.fields(TrainConfig)} - {"method", "options", "seed", "loss_options"}
    settings, options = {}, {}
    for pair in pairs:
        key, value = parse_assignment(pair, "KEY=VALUE", "--set bottleneck=32")
        if key in ("method", "seed", "options", "loss_options", "clip"):
            raise RsnbError(f"--set takes no {key}; give --{key if key in ('method', 'seed') else 'set OPTION=VALUE'}")
        (settings if key in fields else options)[key] = value
    return settings, options


def model_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, adapter=Own(said="CLIP as it is"))
    parser.add_argument("--split", default="test", help="train, val, trainval, test (default) or all")
    add_options(parser, "limit", "device")


def model_of(args: argparse.Namespace, given: Settings):
    """The adapted model of --adapter, or an untrained method (zero_shot: CLIP as it is)."""
    import rsnb
    from rsnb.base.devices import pick_device

    if args.adapter is None:
        model = rsnb.adapt(given.clip(), getattr(args, "method", "zero_shot"), seed=given.seed)
    else:  # the file knows its backbone; one that was named must fit
        named = args.backbone or args.pretrained
        model = rsnb.load_adapter(args.adapter, given.clip() if named else None)
    return model.to(pick_device(args.device)).eval()


def warn_of_another_view(adapter: Path | None, dataset) -> None:
    """Warn if the run of an adapter, whose result.json lies beside it, saw images read in another way."""
    try:
        then = json.loads((adapter.parent / "result.json").read_text(encoding="utf-8"))["view"] or {}
        ends = [(float(low), float(high)) for _, low, high in then.get("ranges", ())]
    except (AttributeError, OSError, ValueError, KeyError, TypeError):
        return  # no such run, or one of before
    now = json.loads(json.dumps(dataclasses.asdict(dataset.view))) if dataset.view else {}
    given = [(low, high) for name, low, high in now.get("ranges", ()) if name == "any"]
    if then == now or (given and given[0] in ends and {**then, "ranges": 0} == {**now, "ranges": 0}):
        return
    remedy = " or ".join(f"--scale {low:g},{high:g}" for low, high in ends) or "--bands and --scale as in its run"
    warnings.warn(f"{adapter} was trained on images read in another way than these; give {remedy}", RsnbWarning, 2)


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    what_arguments(parser)
    model_arguments(parser)
    parser.add_argument("--method", default="zero_shot", help="without --adapter: zero_shot (default)")
    add_options(parser, batch_size=Own(said="64"))
    parser.add_argument(
        "--counting",
        metavar="NAME",
        help="a single way of counting ties: expected, sort, authors, "
        "optimistic or pessimistic (default: the expected recall, with what ties can do beside it)",
    )
    add_options(parser, "json")


def evaluate_command(args: argparse.Namespace) -> int:
    """The six recalls and mR: expected under random order of ties, the range of their orders, interval, ceiling."""
    from rsnb.evaluation import evaluate
    from rsnb.measures.summary import summary_of
    from rsnb.measures.ties import COUNTINGS, recall

    given = settings_of(args)
    if args.counting not in (None, *COUNTINGS):
        raise RsnbError(f"--counting {args.counting}: there are {', '.join(COUNTINGS)}")
    model, dataset = model_of(args, given), given.dataset(args.split)
    warn_of_another_view(args.adapter, dataset)
    found = evaluate(model, dataset, batch_size=given.batch_size, progress=True)
    head = f"{model.method} on {args.split} ({len(dataset):,} images), {found.stamp}"
    if args.counting:
        recalls = recall(found.image_embeddings, found.text_embeddings, found.owner, args.counting)
        said = {"counting": args.counting, **{name: round(value, 2) for name, value in recalls.items()}}
        text = f"{args.counting}: {COUNTINGS[args.counting]}\n"
        text += "  ".join(f"{recall_label(name)} {value:.1f}" for name, value in recalls.items())
    else:
        report = summary_of(found, dataset, tokenizer=model.clip.tokenizer)
        rows = report.table()
        shown = ([v if isinstance(v, str) else f"{v:.1f}" for v in row.values()] for row in rows)
        text = f"\n{markdown_table(list(rows[0]), shown)}\n\n{report.sentence()}"
        said = {"honest": report.to_dict()}
    if args.json:
        whole = {"method": model.method, "split": args.split, **found.to_dict(), **said}
        print(json.dumps(whole, ensure_ascii=False))
    else:
        print(f"{head}\n{text}")
    return 0
