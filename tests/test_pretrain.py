from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess

import pytest
import torch

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.worlds import pretrain
from rsnb.worlds.pretrain import pretrain_arguments, pretrain_command


def arguments(out, *more):
    parser = argparse.ArgumentParser()
    pretrain_arguments(parser)
    few = ["--images", "2000", "--steps", "6", "--batch-size", "32", "--device", "cpu", "--lr", "1e-3"]
    return parser.parse_args([*few, "--out", str(out), *more])


def test_short_text_is_exact():
    from rsnb.backbone import mini_tokenizer, new_mini

    model, tokens = new_mini().eval(), mini_tokenizer()(["a pond", "three red cars beside a very old house"])
    with torch.no_grad():
        torch.testing.assert_close(
            pretrain._encode_text(model, tokens), model.encode_text(tokens), atol=1e-5, rtol=1e-5
        )


@pytest.mark.check
def test_interrupted_and_started_again_it_ends_with_the_same_weights(tmp_path, monkeypatch):
    scores = pretrain.held_out_scores
    monkeypatch.setattr(pretrain, "held_out_scores", lambda *given: scores(*given, count=100))
    whole = tmp_path / "whole"
    card = pretrain_command(arguments(whole))
    assert card["parameters"] < 4e6 and set(card["held_out_retrieval"]) == {"abstract", "all", "natural", "overhead"}
    parts = tmp_path / "parts"
    parts.mkdir()
    (whole / "world.npz").rename(parts / "world.npz")  # the same pictures; drawing them is tested elsewhere
    pretrain_command(arguments(parts, "--stop-at", "3"))
    assert torch.load(parts / "state.pt", weights_only=True)["step"] == 3
    pretrain_command(arguments(parts))
    assert (parts / "mini.safetensors").read_bytes() == (whole / "mini.safetensors").read_bytes()
    with pytest.raises(RsnbError, match="other settings"):
        pretrain_command(arguments(parts, "--seed", "0", "--weight-decay", "0.1"))


@pytest.fixture
def in_small(tmp_path, monkeypatch):
    """A pre-training in very small, by a copy of this code; a function changes the copy."""
    from rsnb.publishing import in_small

    tree = tmp_path / "tree"
    shutil.copytree(paths.PACKAGE, tree / "rsnb", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(in_small, "tree_of", lambda revision: contextlib.nullcontext(tree))
    monkeypatch.setattr(in_small, "brought", lambda revision, path: revision == "the one")
    for name, few in (("PICTURES", 1500), ("STEPS", 3), ("BATCH", 16)):
        monkeypatch.setattr(in_small, name, few)

    def differing(change: tuple[str, str] | None = None) -> tuple[list[str], int]:
        path = tree / "rsnb" / "worlds" / "pretrain.py"
        code = path.read_text(encoding="utf-8")
        if change:
            assert code.count(change[0]) == 1
            path.write_text(code.replace(*change), encoding="utf-8")
        return in_small.differing("the one", tmp_path / "out")

    return differing


@pytest.mark.check
def test_the_same_code_makes_the_same_weights_in_small(in_small):
    wrong, compared = in_small()
    assert wrong == [] and compared > 300


@pytest.mark.check
def test_code_that_does_something_else_is_seen(in_small):
    wrong, _ = in_small(("(step + 1) / 200", "(step + 1) / 201"))
    assert "model: visual.conv1.weight" in wrong and not any(name.startswith("world") for name in wrong)


def test_only_the_code_that_made_the_weights_is_compared(tmp_path, monkeypatch):
    from rsnb.publishing import in_small

    monkeypatch.setattr(in_small, "brought", lambda revision, path: False)
    with pytest.raises(RsnbError, match="HEAD did not bring mini.safetensors"):
        in_small.differing("HEAD", tmp_path)


def test_what_a_revision_brought(tmp_path, monkeypatch):
    """In a repository of its own: weights that come, go, and come back."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    from rsnb.base import revisions

    package = tmp_path / "rsnb"
    package.mkdir()
    weights = package / "weights"

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    found = []
    for content in ("first", "second", "first", None):
        (package / "code").write_text(f"{len(found)}")
        if content:
            weights.write_text(content)
        git("add", ".")
        git("commit", "-q", "-m", "one more")
        found.append(git("rev-parse", "HEAD"))
    monkeypatch.setattr(paths, "PACKAGE", package)
    assert [revisions.brought(one, weights) for one in found] == [True, False, True, False]
    with revisions.tree_of(found[1]) as tree:
        assert (tree / "rsnb" / "weights").read_text() == "second" and (tree / "rsnb" / "code").read_text() == "1"
    assert not tree.exists()
    with pytest.raises(RsnbError, match="name a commit of this clone"), revisions.tree_of("nothing"):
        pass


def test_the_shipped_model_card():
    card = json.loads((paths.mini_dir() / "model_card.json").read_text(encoding="utf-8"))
    assert card["command"].startswith("rsnb pretrain") and card["settings"]["seed"] == 0
    scores = card["held_out_retrieval"]
    assert all(0 < scores[kind]["mr"] < 100 for kind in ("abstract", "natural", "overhead", "all"))
