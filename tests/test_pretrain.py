from __future__ import annotations

import argparse
import json

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


def test_the_shipped_model_card():
    card = json.loads((paths.mini_dir() / "model_card.json").read_text(encoding="utf-8"))
    assert card["command"].startswith("rsnb pretrain") and card["settings"]["seed"] == 0
    scores = card["held_out_retrieval"]
    assert all(0 < scores[kind]["mr"] < 100 for kind in ("abstract", "natural", "overhead", "all"))
