"""The rsnb command: quick help, one clear line for bad input, and every command end to end on a tiny set."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time

import pytest

from rsnb.base.options import OPTIONS
from rsnb.commands import cli
from rsnb.commands.model import _set
from rsnb.errors import RsnbError
from rsnb.settings import settings_of, variables

RANDOM = ["--backbone", "mini", "--pretrained", "random"]


def rsnb(*argv: object) -> subprocess.CompletedProcess:
    """The command in a program of its own, as a user starts it."""
    words = [str(word) for word in argv]
    return subprocess.run([sys.executable, "-m", "rsnb", *words], capture_output=True, text=True, encoding="utf-8")


def call(capsys, *argv: object) -> tuple[int, str, str]:
    """The command in this process: exit code, stdout, stderr."""
    code = cli.main([str(word) for word in argv])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_help_is_instant_and_names_every_command():
    seconds = []
    for _ in range(3):  # the best of three: the machine may be busy
        start = time.perf_counter()
        shown = rsnb("--help")
        seconds.append(time.perf_counter() - start)
    assert shown.returncode == 0 and min(seconds) < 0.5, seconds
    for command in cli.COMMANDS:
        assert re.search(rf"^ +{command}\b", shown.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself_with_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0 and "examples:" in shown and f"  rsnb {command}" in shown


@pytest.mark.parametrize("command", ["run", "doctor", "data", "train", "evaluate", "search"])
def test_json_is_offered(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["run", "--only", "one"], "--only takes numbers"),
        (["run", "--only", "77"], "no notebook number 77"),
        (["run", "--root", "."], "say which data it holds"),
        (["run", "--data", "ucm"], "does not ship"),
        (["data", "no-such-set"], "known: toy, ucm"),
        (["data", "rsicd", "--root", "no-such-folder"], "does not exist"),
        (["train", "--data", "ucm", "--root", "no-such-folder"], "does not exist"),
        (["train", "--set", "bottleneck"], "KEY=VALUE"),
        (["train", "--seed", "-1"], "at least 0"),
        (["train", "--lr", "-1"], "lr"),
        (["train", "--method", "magic", *RANDOM], "magic"),
        (["evaluate", "--adapter", "no-such-file"], "no adapter at no-such-file"),
        (["evaluate", "--backbone", "ViT-Z"], "ViT-Z"),
        (["evaluate", "--split", "tset", *RANDOM], "tset"),
        (["search"], "give a sentence"),
        (["search", "boats", "--image", "x.png"], "not both"),
        (["search", "--image", "no-such.png"], "no image at"),
        (["search", "boats", "--k", "0"], "at least 1"),
        (["toy", "--out", "pyproject.toml"], "is a file"),
    ],
)
@pytest.mark.filterwarnings("ignore::rsnb.errors.RsnbWarning")
def test_bad_input_is_one_clear_message(argv, words, capsys, repo, monkeypatch):
    monkeypatch.chdir(repo)
    code, out, err = call(capsys, *argv)
    assert code == 2 and words in err and "Traceback" not in err and out == ""
    assert [line for line in err.splitlines() if line.startswith("rsnb: ")], err


def test_bad_input_as_json(capsys):
    code, out, _ = call(capsys, "data", "no-such-set", "--json")
    assert code == 2 and "no-such-set" in json.loads(out)["error"]


def test_a_sentence_without_quotes_is_said(capsys):
    for argv, said in (
        (["search", "a", "harbour", "with", "boats"], "harbour with boats; several words need quotes around them"),
        (["search", "a harbour", "--nonsense"], "arguments: --nonsense\n"),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(argv)
        assert ended.value.code == 2 and said in capsys.readouterr().err


def test_interrupted(capsys, monkeypatch):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("rsnb.commands.doctor.doctor_command", interrupt)
    code, _, err = call(capsys, "doctor")
    assert code == 130 and "run the same command again" in err


def test_options_win_over_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("RSNB_SEED", "3")
    monkeypatch.setenv("RSNB_BACKBONE", "ViT-B-32-quickgelu")
    args = cli.build_parser("run").parse_args(["run", "--seed", "5", "--data", "ucm", "--root", str(tmp_path)])
    given = settings_of(args)
    assert (given.seed, given.backbone, given.data, given.root) == (5, "ViT-B-32-quickgelu", "ucm", str(tmp_path))


def test_relative_folders_become_absolute(monkeypatch, tmp_path):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    args = cli.build_parser("run").parse_args(["run", "--data", "rsicd", "--root", "mine"])
    assert variables(args)["RSNB_ROOT"] == str((tmp_path / "mine").resolve())


def test_data_as_text_and_json(capsys, tiny_world):
    code, out, _ = call(capsys, "data", tiny_world)
    assert code == 0 and "24" in out
    code, out, _ = call(capsys, "data", tiny_world, "--json", "--no-images")
    found = json.loads(out)
    assert code == 0 and found["splits"]["test"]["images"] == 6 and found["splits"]["all"]["captions"] == 120


def test_data_with_a_missing_image_is_1_unless_skipped(capsys, tiny_world, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(tiny_world, broken)
    (broken / "images" / "sand_02.png").unlink()
    code, out, err = call(capsys, "data", broken)
    assert code == 1 and "sand_02.png" in out and "--skip-bad" in err
    assert call(capsys, "data", broken, "--skip-bad")[0] == 0


@pytest.fixture(scope="module")
def trained(tiny_world, tmp_path_factory):
    """One short training through the command line."""
    out = tmp_path_factory.mktemp("runs") / "short"
    argv = ["train", "--data", tiny_world, *RANDOM, "--epochs", 2, "--batch-size", 8, "--out", out]
    done = rsnb(*argv, "--set", "bottleneck=16", "--set", "shared=4", "--set", "margin=0.1", "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout), argv


def test_train_writes_adapter_history_and_report(trained):
    out, shown, _ = trained
    assert {"adapter.safetensors", "history.csv", "result.json"} <= {p.name for p in out.iterdir()}
    assert shown == json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert shown["config"]["options"] == {"bottleneck": 16, "shared": 4} and shown["config"]["margin"] == 0.1
    assert shown["config"]["epochs"] == 2 and len(shown["history"]) == 2
    assert shown["trainable"] > 0 and 0 <= shown["test"]["mr"] <= 100 and "RANDOM" in shown["stamp"]
    assert len((out / "history.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_finished_run_is_not_overwritten(trained, capsys):
    out, _, argv = trained
    before = (out / "adapter.safetensors").read_bytes()
    code, _, err = call(capsys, *argv)
    assert code == 2 and "--force" in err and (out / "adapter.safetensors").read_bytes() == before


@pytest.mark.filterwarnings("ignore::rsnb.errors.RsnbWarning")
def test_run_stopped_before_its_report_goes_on(trained, tiny_world, capsys):
    out, shown, argv = trained
    (out / "result.json").unlink()
    options = ["--set", "bottleneck=16", "--set", "shared=4", "--set", "margin=0.1"]
    assert call(capsys, *argv, *options)[0] == 0
    again = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert again["best_epoch"] == shown["best_epoch"] and len(again["history"]) == 2
    assert {k: v for k, v in again["test"].items() if k != "seconds"} == {
        k: v for k, v in shown["test"].items() if k != "seconds"
    }


@pytest.mark.filterwarnings("ignore::rsnb.errors.RsnbWarning")
def test_evaluate_zero_shot_and_search(tiny_world, capsys, monkeypatch):
    import torch

    torch.manual_seed(0)
    code, out, _ = call(capsys, "evaluate", "--data", tiny_world, *RANDOM, "--json")
    assert code == 0 and json.loads(out)["method"] == "zero_shot" and json.loads(out)["images"] == 6
    assert {"expected", "ties_mr", "interval_mr", "ceiling"} <= set(json.loads(out)["honest"])
    code, out, _ = call(capsys, "evaluate", "--data", tiny_world, *RANDOM)
    assert code == 0 and "ties lowest" in out and "in expectation over the order of ties" in out
    code, out, _ = call(capsys, "evaluate", "--data", tiny_world, *RANDOM, "--counting", "authors", "--json")
    assert code == 0 and json.loads(out)["counting"] == "authors"
    code, _, err = call(capsys, "evaluate", "--data", tiny_world, *RANDOM, "--counting", "luck")
    assert code == 2 and "expected, sort, authors, optimistic, pessimistic" in err
    code, out, _ = call(capsys, "search", "a white square", "--data", tiny_world, *RANDOM, "--k", 3, "--json")
    found = json.loads(out)["found"]
    assert code == 0 and len(found) == 3 and all(len(row["captions"]) == 5 for row in found)
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    picture = tiny_world / "images" / "sand_02.png"
    code, out, _ = call(capsys, "search", "--image", picture, "--data", tiny_world, *RANDOM, "--k", 2)
    assert code == 0 and len(out.splitlines()) == 3


OTHER_OUT = {"fetch", "bench", "search", "label", "dedupe"}  # whose --out is of another kind


@pytest.mark.parametrize("command", sorted(set(cli.COMMANDS) - OTHER_OUT))
def test_a_shared_option_means_the_same_in_every_command(command):
    parser = argparse.ArgumentParser()
    cli.functions_of(command, cli.COMMANDS[command][1])[0](parser)
    for action in parser._actions:
        if action.option_strings and action.dest in OPTIONS and (command, action.dest) != ("audit", "methods"):
            assert action.help.startswith(OPTIONS[action.dest]["help"]), action.dest


def test_set_reads_numbers_words_and_lists():

    settings, options = _set(["pairs=all", "weights=[1,0,1]", "share_layers=False", "towers=image"])
    assert settings == {"pairs": "all", "weights": [1, 0, 1]}
    assert options == {"share_layers": False, "towers": "image"}
    settings, options = _set(["pairs=one", "own=None", "other=null", "flag=True", "name='x y'", "a=b=c"])
    assert settings == {"pairs": "one"}
    assert options == {"own": None, "other": None, "flag": True, "name": "'x y'", "a": "b=c"}
    for text in ("=3", "margin", "margin=", "weights=1,0,1"):
        with pytest.raises(RsnbError, match=f"{text}.*KEY=VALUE.*--set bottleneck=32"):
            _set([text])
