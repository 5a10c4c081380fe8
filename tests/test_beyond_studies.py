"""Studies of recipes: kept, resumed, compared; the test part is read when it is opened, and not before."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

import rsnb
from rsnb.base import paths
from rsnb.base.files import write_text
from rsnb.base.sources import digest
from rsnb.beyond.recipe import Recipe, train_recipe
from rsnb.commands.cli import main
from rsnb.errors import RsnbError
from rsnb.publishing import kept
from rsnb.studies import keys
from rsnb.studies.beyond import carried, command, costing, figures, studies, tables, trying
from rsnb.studies.beyond.road import PAPER, PARTS
from rsnb.studies.beyond.studies import (
    ALL_PARTS,
    BESIDE,
    EVERY,
    FULL,
    HMMC,
    OURS,
    RECIPE,
    STUDIES,
    Study,
    with_clips_loss,
)
from rsnb.studies.beyond.trying import Tries
from rsnb.studies.runs import result_head

SMALL = Recipe("mrs", {"dropout": 0.1}, epochs=1, pairs="one", batch_size=16)


@pytest.fixture(scope="module")
def tries(tmp_path_factory):
    return Tries(folder=tmp_path_factory.mktemp("beyond"), precision="fp32", limit=32)


def test_a_run_is_kept_and_not_run_again(tries, monkeypatch):
    found = tries.run(SMALL)
    assert found["trainable"] == 37_248 and len(found["history"]) == 1 and found["best_epoch"] == 1
    monkeypatch.setattr(trying, "train_recipe", lambda *a, **k: pytest.fail("it was trained again"))
    assert tries.run(SMALL) == json.loads(json.dumps(found))
    assert tries.kept(SMALL.replace(turns=False), 0) is None
    assert tries.kept(SMALL, 1) is None


def test_the_seconds_of_a_resumed_run_are_not_known(tries, monkeypatch):
    train, stop = trying.train_recipe, []

    def killed(*args, **more):
        if not stop:
            stop.append(train(*args, **more))
            raise KeyboardInterrupt
        return train(*args, **more)

    monkeypatch.setattr(trying, "train_recipe", killed)
    with pytest.raises(KeyboardInterrupt):
        tries.run(SMALL, seed=3)
    assert tries.run(SMALL, seed=3)["cpu_seconds"] is None
    assert tries.run(SMALL, seed=4)["cpu_seconds"] > 0


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"val": {"plain": {}}}', '{"plain": 3}'])
def test_a_damaged_run_is_said(tries, text):
    path = tries.folder / f"{digest(tries.key(SMALL, 9))}.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RsnbError, match="delete it"):
        tries.run(SMALL, 9)


def test_the_test_part_is_read_only_when_opened(tries, monkeypatch):
    read, evaluate = [], rsnb.evaluate

    def noted(model, part, *args, **more):
        read.append(part.split)
        return evaluate(model, part, *args, **more)

    monkeypatch.setattr(rsnb, "evaluate", noted)
    tries.run(SMALL, seed=5)
    assert set(read) == {"val"}
    read.clear()
    first = tries.opened(SMALL, 5)
    assert set(read) == {"test"}
    read.clear()
    assert tries.opened(SMALL, 5) == first and not read


def test_what_is_kept_is_the_model_that_was_read(tries):
    found = tries.run(SMALL)
    again = tries.reads(tries.model(SMALL), "val")
    assert json.loads(json.dumps(again)) == found["val"]
    assert found["val"]["plain"]["mr"] != found["val"]["turns"]["mr"]


def test_the_differences_are_those_of_the_images(tries):
    runs = {seed: {**tries.run(SMALL, seed), "seed": seed} for seed in (0, 5)}
    one = runs[0]["val"]
    gaps = command.compared([runs[0]], [{**runs[5], "seed": 0}], "val")
    assert gaps.mean == pytest.approx(one["plain"]["mr"] - runs[5]["val"]["plain"]["mr"], abs=1e-3)
    assert command.compared([runs[0]], [runs[0]], "val").mean == 0
    both = [{**run, "seed": seed} for seed, run in ((0, runs[0]), (5, runs[5]))]
    assert command.compared(both, [runs[0]], "val").seeds == 1  # only seed 0 is common


def test_a_table_names_every_recipe(tries):
    study = Study("?", {"a": SMALL, "b": SMALL}, {"a": 1, "b": 1}, "a")
    run = {**command._kept_of(tries.run(SMALL), 0)}
    table = command.table_of(study, {"a": [run], "b": [run]}, "val").splitlines()
    assert len(table) == 4 and table[2].startswith("| a | 37,248 | 1 | 1 |") and "+0.0" in table[3]


def test_a_part_is_compared_with_what_it_needs(tries):
    study = Study("?", dict.fromkeys("abc", SMALL), dict.fromkeys("abc", 1), "a", against={"c": "b"})
    runs = {name: [command._kept_of(tries.run(SMALL, seed), 0)] for name, seed in (("a", 0), ("b", 5), ("c", 5))}
    rows = command.table_of(study, runs, "val").splitlines()[2:]
    assert "against" not in rows[1] and "+0.0" in rows[2] and "against b" in rows[2]


def test_the_studies_hold_together():
    """Within the budget on every side that claims it, equal lengths where parts are compared, three rates a side."""
    clip = rsnb.load_clip("mini")
    budget = rsnb.count_trainable(rsnb.adapt(clip, "mrs"))
    for name in ("search", "added", "left out"):
        for recipe in STUDIES[name].recipes.values():
            model = rsnb.adapt(rsnb.load_clip("mini"), recipe.method, **recipe.options)
            assert rsnb.count_trainable(model) <= budget, (name, recipe)
    for name in ("added", "left out"):
        assert len({(r.epochs, r.pairs) for r in STUDIES[name].recipes.values()}) == 1
    assert {name.split(", rate")[0] for name in STUDIES["rates"].recipes} == {
        "every part", "full fine-tuning", "MRS-Adapter + HMMC",
    }  # fmt: skip
    assert len(STUDIES["rates"].recipes) == 9
    for study in STUDIES.values():
        assert set(study.against) | set(study.against.values()) <= set(study.recipes)
    of = STUDIES["added"].recipes
    for part in PARTS:  # nothing but the part differs from what it is compared with
        base = of[STUDIES["added"].against.get(f"+ {part.name}", STUDIES["added"].baseline)].to_dict()
        differing = {name for name, value in of[f"+ {part.name}"].to_dict().items() if base[name] != value}
        assert differing and differing <= set(part.added), part.name
    assert list(STUDIES["steps"].recipes.values())[-1] == RECIPE  # the steps end where they claim to
    for study in STUDIES.values():
        assert study.baseline in study.recipes and set(study.seeds) == set(study.recipes)
    changed = [part.without_it(ALL_PARTS) for part in PARTS if part.left_out is not None]
    assert all(recipe != ALL_PARTS for recipe in changed) and len(set(map(str, changed))) == len(changed)
    assert HMMC.turns and FULL.turns and HMMC.schedule == FULL.schedule == RECIPE.schedule


def test_the_command_names_every_study():
    assert (*STUDIES, command.SUCCESSORS) == command.NAMES


def test_what_was_kept_of_pretraining(monkeypatch):
    monkeypatch.setattr(carried, "PICTURES", 40)
    one = rsnb.adapt(rsnb.load_clip("mini"), "zero_shot")
    found = carried.kept_of_pretraining({"as it is": one, "toy": rsnb.load_adapter("toy")})
    assert set(found) == set(carried.KINDS.values())
    for scores in found.values():
        assert 0 < scores["toy"] <= 100 and scores["as it is"] > 50
    with pytest.raises(RsnbError, match="--root"):
        carried.data_of(carried.UCM, None, None)
    with pytest.raises(RsnbError, match="drawn for the mini CLIP"):
        carried.pretraining_pictures(SimpleNamespace(name="ViT-B-32", image_size=32), count=2)


def test_what_training_takes():
    """Steps as they are run; the memory of what trains; HMMC's second pass takes longer than CLIP's loss."""
    train = rsnb.load_dataset("toy", "train", limit=70)
    recipes = {"hmmc": PAPER, BESIDE: with_clips_loss(), "full": FULL, "one": PAPER.replace(pairs="one", epochs=3)}
    recipes = {name: recipe.replace(batch_size=16) for name, recipe in recipes.items()}
    found = costing.costs_of(recipes, lambda: rsnb.load_clip("mini"), train, rounds=3)
    pairs = len(train.captions[0])
    assert found["hmmc"]["steps"] == 20 * (pairs // 16 + (pairs % 16 > 1)) and found["one"]["steps"] == 3 * 5
    assert found["hmmc"]["seconds"] > found[BESIDE]["seconds"] > 0
    assert found["full"]["memory"] > found[BESIDE]["memory"] + 12 * 2.5
    table = tables.training_table(found).splitlines()
    assert len(table) == 6 and "| 1.00 |" in next(row for row in table if row.startswith(f"| {BESIDE} |"))


def test_steps_are_those_of_a_run(monkeypatch):
    """As many as a training makes, with either schedule; a rest of one pair is no batch."""
    train, val = (rsnb.load_dataset("toy", part, limit=33) for part in ("train", "val"))
    made, zero_grad = [], torch.optim.Optimizer.zero_grad
    monkeypatch.setattr(torch.optim.Optimizer, "zero_grad", lambda *a, **k: made.append(zero_grad(*a, **k)))
    for recipe in (PAPER, SMALL.replace(loss="clip", learned=False, equal=False)):
        recipe = recipe.replace(epochs=2, batch_size=8, pairs="one")
        made.clear()
        train_recipe(recipe, rsnb.load_clip("mini"), train, val, precision="fp32", progress=False)
        assert costing.steps_of(recipe, train) == len(made) == 8


def test_a_kept_result_loses_nothing(tmp_path, monkeypatch):
    """Neither a run nor the test part, whatever is left out of the command; a recipe that the study dropped may go."""
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    study = Study("which?", {"a": SMALL, "b": SMALL}, {"a": 2, "b": 1}, "a")
    run, opened = {"seed": 0, "key": {}, "val": {}}, {"seed": 0, "key": {}, "val": {}, "test": {}}
    head = result_head("?", "rsnb beyond", "here")
    there = {"a": [opened], "b": [run], "dropped": [run]}
    write_text(command.result_file("added"), command._in_lines({**head, "baseline": "a", "runs": there}))
    command._lose_nothing("added", study, {"a": [opened, {**run, "seed": 1}], "b": [run]})
    for runs, said in (({"a": [run], "b": [run]}, "the test part of 'a'"), ({"a": [opened]}, "the run of 'b'")):
        with pytest.raises(RsnbError, match=said):
            command._lose_nothing("added", study, runs)
    command._lose_nothing("rates", study, {})


def test_where_a_run_was_trained_is_said(tries):
    run = command._kept_of(tries.run(SMALL), 0)
    assert run["device"] == trying.device_name(rsnb.load_clip("mini").device)
    older = {name: value for name, value in run.items() if name != "device"}
    card = {**run, "device": "NVIDIA H200"}
    said = tables.devices_line({"a": [older, {**run, "device": "CPU"}], "b": [card]})
    assert said == "Trained in bf16: 2 on CPU, 1 on NVIDIA H200."


def test_the_sentence_of_the_recipe(tmp_path, monkeypatch):
    """Nothing before the test part is opened; then the three means and the interval of ten seeds."""
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    assert tables.recipe_sentence() == ""
    hits = {"text": [1.0, 2.0], "image": [2.0, 4.0]}
    arms = {OURS: 70.0, "full fine-tuning, as in the benchmark": 68.0, "full fine-tuning, with the recipe": 75.0}
    runs = {
        name: [
            {"key": {}, "seed": n, "test": {"captions": [2, 2], "plain": {**hits, "mr": mr}, "turns": hits}}
            for n in range(2)
        ]
        for name, mr in arms.items()
    }
    head = result_head("?", "rsnb beyond", "here")
    write_text(command.result_file("corners"), command._in_lines({**head, "baseline": OURS, "runs": runs}))
    said = tables.recipe_sentence()
    assert all(part in said for part in ("70.0", "68.0", "75.0", "2 seeds each", "0.0 to 0.0"))
    elsewhere = command.result_file("carried to a second world")
    write_text(elsewhere, command._in_lines({**head, "baseline": OURS, "runs": {k: v[:1] for k, v in runs.items()}}))
    assert "second world" not in said and "second world 0.0 to 0.0, 1 seed)" in tables.recipe_sentence()
    runs[OURS][1].pop("test")
    write_text(command.result_file("corners"), command._in_lines({**head, "baseline": OURS, "runs": runs}))
    assert tables.recipe_sentence() == ""


def test_later_methods_stand_beside_the_benchmark(tmp_path, monkeypatch):
    row = {"title": "Later", "trainable": 1234, "lr": 0.01, "test_mr": {"mean": 58.8, "sd": 2.0}, "runs": [1, 2, 3]}
    head = result_head("?", "rsnb beyond --study successors --install", "toy world")
    benchmark = tables.load_results("toy", "mini")
    monkeypatch.setattr(tables, "load_results", lambda *_: benchmark)
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    assert tables.later_methods_table() == "Not trained yet."
    write_text(command.result_file(command.SUCCESSORS), json.dumps({**head, "rows": [row]}))
    rows = tables.later_methods_table().splitlines()
    assert rows[2] == "| Later | 1,234 | 0.01 | 3 | 58.8 ± 2.0 |"
    assert [any(f"| {title} |" in row for row in rows) for title in tables.BENCHMARK_ROWS] == [True] * 4
    write_text(command.result_file(command.SUCCESSORS), "{}")
    with pytest.raises(RsnbError, match="successors.json"):
        tables.later_methods_table()


def _scored(*scores):
    return [{"seed": n, "trainable": 9, "test": {"plain": {"mr": mr}}} for n, mr in enumerate(scores)]


def test_the_figures_show_every_run():
    found = {"baseline": "full", "runs": {"full": _scored(70.0, 72.0), "small": _scored(60.0)}}
    figure = figures.arms_figure({"here": found, "there": found})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["here", "there"]
    dots = [len(line.get_xdata()) for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert dots == [2, 1] and {text.get_text() for text in figure.axes[0].texts} == {"71.0", "60.0"}
    figure = figures.luck_figure({"a": 70.0, "b": 73.0}, {"again": [70.0, 72.0]}, 71.5, "b")
    said = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert "mean 71.0" in said and "b: 73.0" in said and "71.5" in said
    runs = {"1": _scored(70.0), "2": _scored(60.0), "1, lower rate": _scored(69.0), "2, lower rate": _scored(71.0)}
    figure = figures.budget_figure({"runs": runs}, {"both": 75.0}, split="test")
    assert {text.get_text() for text in figure.axes[0].texts} == {"70.0", "60.0", "69.0", "71.0", "× 1", "× 2"}
    figure = figures.between_figure((0.0, 1.0), {"data": [20.0, 70.0], "pictures": [76.0, 15.0]})
    assert {text.get_text() for text in figure.axes[0].texts} == {"20", "70", "76", "15"}


def test_parts_are_shown_without_the_half_that_was_not_run(tries):
    """Left out alone, or both; what was not run, and what the recipe never held, is called so."""
    run = command._kept_of(tries.run(SMALL), 0)
    left = {"baseline": EVERY, "against": {}, "runs": {EVERY: [run], "- CLIP's loss": [run]}}
    added = {"baseline": "p", "against": {}, "runs": {"p": [run], "+ CLIP's loss": [run], "+ LayerNorms": [run]}}
    (one,) = figures.parts_figure(None, left).axes
    assert [label.get_text() for label in one.get_yticklabels()] == ["CLIP's loss"]
    first, second = figures.parts_figure(added, left).axes
    assert len(first.texts) == 2 and {text.get_text() for text in second.texts} == {"+0.0", "not in the recipe"}
    added["runs"].pop("+ CLIP's loss")
    first, second = figures.parts_figure(added, left).axes
    assert {text.get_text() for text in first.texts} == {"+0.0", "not run"} and len(second.texts) == 2
    added["runs"]["+ eight turns"], added["against"] = [run], {"+ eight turns": "+ LayerNorms"}
    first, second = figures.parts_figure(added, left).axes
    assert {text.get_text() for text in first.texts} == {"+0.0", "+0.0*", "not run"} and "*" in first.get_xlabel()
    assert {text.get_text() for text in second.texts} == {"+0.0", "not in the recipe", "not run"}


def test_an_unknown_study_is_said(capsys):
    assert main(["beyond", "--study", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_damaged_result_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "result_file", lambda name: tmp_path / f"{name}.json")
    assert command.load_beyond("search") is None
    for damaged in ("[]", '{"runs": {"a": [{"seed": 0}]}}', '{"runs": {"a": [{"key": {}}]}}', '{"runs": {"a": [1]}}'):
        (tmp_path / "search.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(RsnbError, match="search.json"):
            command.load_beyond("search")


def test_a_study_so_far(tmp_path, monkeypatch, capsys):
    """Trains nothing: the runs of the folder, and those that the results hold with the same key."""
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(trying.Tries, "run", lambda *_, **__: pytest.fail("it was trained"))
    names = ("a", "b", "c")
    recipes = {name: SMALL.replace(lr=lr) for name, lr in zip(names, (1e-3, 2e-3, 3e-3))}
    study = Study("which?", recipes, {"a": 1, "b": 2, "c": 1}, "a")
    monkeypatch.setitem(studies.STUDIES, "added", study)
    monkeypatch.setattr(tables, "STUDIES", {"added": study})
    words = ["beyond", "--study", "added", "--so-far", "--install", "--out", str(tmp_path)]
    assert main(words) == 2 and "'a' is made" in capsys.readouterr().err
    tries, mr = Tries(folder=tmp_path), {"mr": 71.0, "text": [1.0, 2.0], "image": [2.0, 4.0]}
    val = {"captions": [2, 2], "plain": mr, "turns": mr}
    runs = {}
    for name, seed in (("a", 0), ("b", 1)):
        own = {"key": tries.key(recipes[name], seed), "made_by": keys.made_by(keys.BEYOND), "device": "CPU", "val": val}
        runs[name] = {"seed": seed, **own, "trainable": 9, "best_epoch": 1, "seconds": 1.0, "cpu_seconds": 1.0}
    here = {**runs["b"], "history": [{"val_mr": 71.0}]}
    write_text(tmp_path / f"{digest(here['key'])}.json", json.dumps(here))
    head = result_head("?", "rsnb beyond", "here")
    there = {**runs["a"], "val_mr": [71.0], "test": val}
    other = {**there, "key": {**there["key"], "code": "another"}}
    write_text(
        command.result_file("rates"), command._in_lines({**head, "baseline": "x", "runs": {"x": [there, other]}})
    )
    assert main(words) == 0
    kept_runs = command.load_beyond("added")["runs"]
    assert {name: [run["seed"] for run in own] for name, own in kept_runs.items()} == {"a": [0], "b": [1]}
    assert "test" not in kept_runs["a"][0]
    assert "So far 2 of 4 runs." in tables.study_table("added")
    later = command._in_lines({**head, "baseline": "x", "runs": {"x": [{**there, "device": "another"}]}})
    write_text(command.result_file("steps"), later)  # of a run that two studies made, each has its own
    assert main(words) == 0 and command.load_beyond("added")["runs"]["a"][0]["device"] == "CPU"


def test_a_kept_study_is_listed_and_goes_stale(tmp_path, monkeypatch):
    """As `rsnb results` sees it: numbers by recipe and seed, and today's key beside the one in the file."""
    key = Tries().key(ALL_PARTS, 0)
    mr = {"plain": {"mr": 71.0}, "turns": {"mr": 72.0}}
    run = {"seed": 0, "key": key, "made_by": keys.made_by(keys.BEYOND), "seconds": 1.0, "val": mr}
    head = result_head("a question", "rsnb beyond --study 'search' --install", "toy world")
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    write_text(command.result_file("search"), command._in_lines({**head, "baseline": EVERY, "runs": {EVERY: [run]}}))
    (found,) = kept._beyond()
    assert found.name == "beyond/search" and found.numbers == {f"{EVERY}, seed 0": (71.0, kept.NOISE)}
    ((then, made_by, now),) = found.pairs(None)
    code = keys.code_of(keys.BEYOND)
    assert keys.parts_changed(then, now, made_by["modules"], code) == []
    other = {**then, "settings": {**then["settings"], "recipe": {**then["settings"]["recipe"], "lr": 1.0}}}
    assert keys.parts_changed(other, now, made_by["modules"], code) == ["settings (lr)"]
    assert command.load_beyond("search")["runs"][EVERY][0]["val"] == mr


def test_the_recipes_first_seed_is_shipped(tries, tmp_path, monkeypatch):
    """As a file of its short name, and among the results, with the mR that its study states."""
    monkeypatch.setattr(paths, "adapters_dir", lambda: tmp_path)
    monkeypatch.setattr(studies, "RECIPE", SMALL)
    tries.run(SMALL, 0)
    command._ship(tries)
    (file,) = tmp_path.glob("*.safetensors")
    assert file.name == paths.ADAPTERS["beyond"][0] and rsnb.load_adapter("beyond").method == SMALL.method
    runs = [{"key": {}, "seed": seed, "test": {"plain": {"mr": 60.0 + seed}}} for seed in range(2)]
    head = result_head("a question", "rsnb beyond --study corners --final --install", "toy world")
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    write_text(command.result_file("corners"), command._in_lines({**head, "baseline": OURS, "runs": {OURS: runs}}))
    assert kept._adapter_beyond().numbers == {"mR": (60.0, 0.5)}


def test_kept_studies_are_written_out(tries, tmp_path, monkeypatch):
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    study = Study("which?", {"a": SMALL, "b": SMALL}, {"a": 1, "b": 1}, "a")
    monkeypatch.setattr(tables, "STUDIES", {"search": study, "rates": study, "added": study})
    assert tables.study_tables() == ""
    run = command._kept_of(tries.run(SMALL), 0)
    opened = {**run, "test": tries.opened(SMALL, 0)}
    for name, runs in (("search", {"a": [run], "b": [run]}), ("rates", {"a": [opened], "b": [opened]})):
        head = result_head("which?", f"rsnb beyond --study {name}", "here")
        more = {"pretraining": {"natural pictures": {"a": 12.34}}} if name == "rates" else {}
        write_text(command.result_file(name), command._in_lines({**head, "baseline": "a", **more, "runs": runs}))
    search, rates = (tables.study_table(name) for name in ("search", "rates"))
    assert "mR, val" in search and "mR, test" in rates and "| a | 12.3 |" in rates and "natural pictures" in rates
    assert tables.study_tables() == f"{search}\n\n{rates}"
