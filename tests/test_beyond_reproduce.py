"""`rsnb reproduce --recipe beyond`: within the budget on every backbone, hours first, a rehearsal that says so."""

from __future__ import annotations

import json

import pytest

import rsnb
from rsnb.backbone import clip_of_a_plan
from rsnb.commands.cli import main
from rsnb.errors import RsnbError
from rsnb.publishing import todays_keys
from rsnb.studies import keys, paper
from rsnb.studies.beyond import reproducing


@pytest.mark.parametrize("backbone", ["mini", "ViT-B-32-quickgelu", "ViT-B-16"])
def test_the_recipe_is_within_the_papers_count(backbone):
    clip = rsnb.load_clip("mini") if backbone == "mini" else clip_of_a_plan(backbone, "openai")
    recipe = reproducing.recipe_for(clip)
    budget = reproducing._count(clip, "mrs", {})
    count = reproducing._count(clip, recipe.method, recipe.options)
    assert 0.9 * budget < count <= budget
    if backbone == "ViT-B-32-quickgelu":
        assert (budget, count) == (161_088, 159_792)


def test_towers_of_two_depths_are_refused():
    with pytest.raises(RsnbError, match="24 and 12"):
        reproducing.recipe_for(clip_of_a_plan("ViT-L-14", "openai"))


def test_the_goals_are_those_of_the_tables():
    """The paper's own table says the same of the paper's two as the table of the later methods."""
    for data in ("rsitmd", "rsicd", "ucm"):
        found, of_paper = reproducing.goals(data), {row.method: row.mr for row in paper.rows(data.upper())}
        assert found["Full fine-tuning (the paper)"] == of_paper["full"]
        assert found["MRS-Adapter + HMMC (the paper)"] == of_paper["mrs"]
    assert reproducing.goals("rsitmd")["MPS-CLIP"] == 48.40 and reproducing.goals("rsicd")["MPS-CLIP"] == 35.18
    assert "MPS-CLIP" not in reproducing.goals("ucm") and reproducing.goals("toy") == {}


def test_a_rehearsal_runs_to_its_end_and_says_so(tmp_path, capsys):
    asked = ["reproduce", "--recipe", "beyond", "--data", "toy", "--backbone", "mini", "--pretrained", "untrained"]
    asked += ["--limit", "24", "--epochs", "1", "--precision", "fp32", "--device", "cpu", "--out", str(tmp_path)]
    assert main([*asked, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["estimate"]["runs"] == 2 and plan["estimate"]["hours"] > 0 and plan["estimate"]["memory_mb"] > 0
    ratio = plan["estimate"]["step_ratio"]
    assert 0.2 < ratio["min"] <= ratio["median"] <= ratio["max"] < 5
    assert not list(tmp_path.rglob("*.safetensors"))
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rates"]) == 2 and len(found["runs"]) == 1 and found["reasons"]
    assert found["recipe"]["lr"] == max(found["rates"], key=lambda pair: pair[1])[0]
    ((then, _, now),) = todays_keys.of_beyond_reproduction(found, None)
    assert keys.parts_changed(then, now, None, keys.code_of(keys.BEYOND)) == []
    other = {**found, "recipe": {**found["recipe"], "epochs": 9}}
    ((_, _, now),) = todays_keys.of_beyond_reproduction(other, None)
    assert keys.parts_changed(then, now, None, keys.code_of(keys.BEYOND)) == ["settings (epochs)"]
    assert main([*asked, "--methods", "full"]) == 2
    assert "--methods full" in capsys.readouterr().err
    assert main(asked) == 0  # everything is kept: only read again
    said = capsys.readouterr().out
    assert "REHEARSAL" in said and "to be beaten" not in said
