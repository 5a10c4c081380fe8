"""The examples of the page "Your own idea: methods" run as they stand, in at most 20 lines each."""

from __future__ import annotations

import linecache
import re

import pytest

import rsnb
from rsnb.errors import RsnbWarning

PAGE = "notebooks/own_idea_methods.md"
NUMBERS = range(3)


def example(repo, number: int) -> str:
    found = re.findall(r"^```python\n(.*?)^```$", (repo / PAGE).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(found) == len(NUMBERS)
    return found[number]


@pytest.mark.filterwarnings("ignore:open_clip's own forward is used")
@pytest.mark.parametrize("number", NUMBERS)
def test_an_example_runs(repo, tmp_path, monkeypatch, capsys, number):
    from open_clip import factory

    def load_clip(name: str, pretrained: str | None = None):
        """Their weights are not here: a ConvNeXt of another size, with random ones."""
        if name != "convnext_base":
            return load(name, pretrained)
        config = {**factory._MODEL_CONFIGS[name], "embed_dim": 32}
        config["vision_cfg"] = {**config["vision_cfg"], "timm_model_name": "test_convnext", "image_size": 160}
        config["text_cfg"] = {**config["text_cfg"], "width": 64, "heads": 2, "layers": 1}
        monkeypatch.setitem(factory._MODEL_CONFIGS, "small-convnext", config)
        with pytest.warns(RsnbWarning, match="RANDOM"):
            return load("small-convnext")

    load = rsnb.load_clip
    monkeypatch.setattr(rsnb, "load_clip", load_clip, raising=False)
    monkeypatch.chdir(tmp_path)
    text = example(repo, number)
    assert len(text.splitlines()) <= 20
    name = f"<example {number}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), {"__name__": "example"})
    said = capsys.readouterr().out
    assert ["mrs+lora+Gate {'lora.rank': 2}", "numbers train", "mR"][number] in said
