"""The keys of kept results: the one in the file, and the one that the same command would have today.

Of today's key, a part that is not at hand (real data without their folder, weights that nobody has made) is None.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import rsnb
from rsnb.backbone import clip_of_a_plan
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.publishing.asked import parsed
from rsnb.settings import resolve
from rsnb.studies import keys
from rsnb.studies.ablation.lab import Lab
from rsnb.studies.ablation.paper_studies import base_spec
from rsnb.studies.ablation.story_studies import specs_again
from rsnb.studies.audit.captions import captions_key
from rsnb.studies.audit.epochs import best_epochs_key
from rsnb.studies.beyond.carried import UCM
from rsnb.studies.beyond.reproducing import recipe_for
from rsnb.studies.beyond.studies import STUDIES
from rsnb.studies.beyond.successors_study import CODE as SUCCESSORS
from rsnb.studies.beyond.successors_study import successors_key
from rsnb.studies.composed.command import composed_key, composed_settings
from rsnb.studies.controls import result as controls
from rsnb.studies.precision.command import precision_settings, precision_weights
from rsnb.studies.reproduction.cells import settings_of
from rsnb.studies.runs import adapter_path
from rsnb.studies.speed.command import SEARCH, bench_key, search_key

#: the key in a result (None: it has none), what stands beside it, today's key
Pair = tuple[Mapping[str, Any] | None, Mapping[str, Any], dict[str, Any]]


@cache
def _lab() -> Lab:
    """On the toy world and the mini CLIP."""
    return Lab(also=())


@cache
def _fingerprints(data: str, root: Path | None) -> dict[str, str] | None:
    """Of the three parts of a data set; None where they are not at hand."""
    if data == "toy":
        return dict(_lab().fingerprints)
    try:
        parts = {split: rsnb.load_dataset(data, split, root=root) for split in ("train", "val", "test")} if root else {}
    except RsnbError:
        return None
    return {split: part.fingerprint() for split, part in parts.items()} or None


def _key(settings, data, weights, roots: tuple[str, ...] = keys.RUN) -> dict[str, Any]:
    return {"settings": settings, "data": data, "weights": weights, "code": keys.code_of(roots).digest}


def _stated(result: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, Mapping[str, Any]]:
    return result.get("key"), result.get("made_by") or {"versions": result.get("versions", {})}


def of_benchmark(runs: Sequence[Mapping[str, Any]], root: Path | None) -> list[Pair]:
    """Of the seeds of one method: its learning rate is the one that was chosen then."""
    from rsnb.methods import defaults

    found = []
    for run in runs:
        asked, method = parsed(run["command"]), run["method"]
        settings = {name: getattr(asked, name) for name in ("epochs", "batch_size", "precision")}
        if not asked.search_epochs and method != "zero_shot":
            settings["lr"] = defaults(method, asked.backbone)["lr"]
        config = TrainConfig.from_dict(run["config"]).replace(**settings).to_dict()
        config = {name: value for name, value in config.items() if name != "device"}
        weights = _lab().weights if asked.backbone == "mini" and not asked.pretrained else None
        now = _key({"config": config, "share": 1.0}, _fingerprints(run["data"], root), weights)
        found.append((*_stated(run), now))
    return found


def of_ablation(name: str, study: Mapping[str, Any], root: Path | None) -> list[Pair]:
    asked = parsed(study["command"])
    cells = specs_again(name, study, base_spec("toy", "mini", asked.method, asked.epochs, asked.precision))
    made = [(label, run) for label, runs in study["done"].items() for run in runs if label in cells]
    today = _lab().keys((cells[label], run.seed) for label, run in made)
    return [(run.key, run.made_by, key) for (_, run), key in zip(made, today)]


def of_beyond(study: str, stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    """Of the runs of a study of recipes; a recipe that the study no longer holds has settings of none."""
    data, found = STUDIES[study].data, []
    name = {"toy": "toy", UCM: "ucm"}.get(data)
    fingerprints = _fingerprints(name, root) if name else None
    for label, runs in stated["runs"].items():
        recipe = STUDIES[study].recipes.get(label)
        for run in runs:
            settings = {"recipe": recipe.to_dict() if recipe else None, "seed": run["seed"], "precision": "bf16"}
            now = _key(json.loads(json.dumps(settings)), fingerprints, _lab().weights, keys.BEYOND)
            found.append((run["key"], run["made_by"], now))
    return found


def of_successors(stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    return [(*_stated(stated), successors_key(_lab()))]


def of_beyond_reproduction(stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    asked, chosen = parsed(stated["command"]), stated["recipe"]
    clip = clip_of_a_plan(asked.backbone, None)
    recipe = recipe_for(clip).replace(lr=chosen["lr"], epochs=chosen["epochs"]).to_dict()  # the rate chosen then
    settings = {"recipe": recipe, "seed": 0, "precision": asked.precision}
    return [(*_stated(stated), _key(json.loads(json.dumps(settings)), None, None, keys.BEYOND))]


def of_speed(stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    asked = parsed(stated["command"])
    if asked.parts == SEARCH:
        return [(*_stated(stated), search_key(asked))]
    now = bench_key(asked, asked.parts.split(","), None)
    return [(*_stated(stated), {**now, "data": None, "weights": None})]


def of_best_epoch(stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    asked = parsed(stated["command"])
    return [(*_stated(stated), best_epochs_key(_lab(), asked.methods.split(","), asked.seeds, asked.epochs))]


def of_composed(stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    root = root if "DIR" in stated["command"] else None  # the toy world ships
    asked = parsed(stated["command"], root=root)
    if asked.data != "toy" and _fingerprints(asked.data, root) is None:
        now = _key(composed_settings(asked.normalise), None, None, keys.COMPOSED)
    else:
        given = resolve({}, data=asked.data, root=root, backbone=asked.backbone)
        adapter = adapter_path(given.data, given.backbone)
        now = composed_key(given, adapter if adapter.is_file() else None, asked.normalise)
    return [(*_stated(stated), now)]


def of_controls(stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    root = root if "DIR" in stated["command"] else None  # the toy world ships
    asked = parsed(stated["command"], root=root)
    if asked.data != "toy" and _fingerprints(asked.data, root) is None:
        now = _key(controls.settings(), None, None, keys.CONTROLS)
    else:
        given = resolve({}, data=asked.data, root=root, backbone=asked.backbone)
        adapter = adapter_path(given.data, given.backbone)
        now = controls.controls_key(given, adapter if adapter.is_file() else None)
    return [(*_stated(stated), now)]


def of_captions(stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    try:
        now = captions_key(root) if root else _key({}, None, "", keys.CAPTIONS)
    except RsnbError:
        now = _key({}, None, "", keys.CAPTIONS)
    return [(*_stated(stated), now)]


def of_precision(stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    now = _key(precision_settings(), _fingerprints("ucm", root), precision_weights(), keys.PRECISION)
    return [(*_stated(stated), now)]


def of_rehearsal(stated: Mapping[str, Any], root: Path | None) -> list[Pair]:
    return [(*_stated(stated), _key(settings_of(parsed(stated["command"])), None, None, keys.REHEARSAL))]


def of_mini(card: Mapping[str, Any], root: Path | None) -> list[Pair]:
    return [(*_stated(card), _key({}, {}, _lab().weights, keys.PRETRAINING))]


def of_toy(root: Path | None) -> list[Pair]:
    return [(None, {}, _key({}, _fingerprints("toy", None), "", keys.TOY))]


#: Of those of ``rsnb beyond`` and ``rsnb reproduce --recipe beyond`` that are one file.
BEYOND = {
    "successors": (of_successors, SUCCESSORS),
    "rehearsal": (of_beyond_reproduction, keys.BEYOND),
    "reproduction": (of_beyond_reproduction, keys.BEYOND),
}
#: Results that are one file, by the first word of its name: their keys, and the modules that decide them.
SINGLE = {
    "audit": (of_captions, keys.CAPTIONS),
    "best": (of_best_epoch, keys.BEST_EPOCH),
    "composed": (of_composed, keys.COMPOSED),
    "controls": (of_controls, keys.CONTROLS),
    "rehearsal": (of_rehearsal, keys.REHEARSAL),
    "reproduction": (of_rehearsal, keys.REHEARSAL),
    "tiles": (of_precision, keys.PRECISION),
}
