"""What SECURITY.md promises of files of strangers, a check a sentence where there is one. Others: test_checkpoints.py,
test_adapter_files.py, and of data and downloads the tests of rsnb.data."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import rsnb
from rsnb.errors import RsnbError

PACKAGE = Path(rsnb.__file__).parent
CALLS = [
    (path.relative_to(PACKAGE).as_posix(), node)
    for path in sorted(PACKAGE.rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
]


def calls(name: str) -> list[tuple[str, ast.Call]]:
    return [(file, call) for file, call in CALLS if ast.unparse(call.func) == name]


def test_no_file_is_unpickled_or_run():
    for name in ("torch.jit.load", "pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "yaml.load"):
        found = [
            file for file, _ in calls(name) if file != "studies/ablation/executors.py"
        ]  # between its own processes
        assert found == [], name
    found = calls("torch.load")
    assert found
    for file, call in found:
        said = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert said.get("weights_only") == "True", f"{file}: torch.load"
    for file, call in [*calls("numpy.load"), *calls("np.load")]:
        said = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert said.get("allow_pickle", "False") == "False", file


def test_the_page_names_what_it_speaks_of(repo):
    page = (repo / "SECURITY.md").read_text(encoding="utf-8")
    assert "SECURITY.md" in (repo / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"`(rsnb/[\w/]+\.py)`", page):
        assert (repo / path).is_file(), path


@pytest.mark.parametrize(
    "change, word",
    [
        (lambda c: c["text_cfg"].update(hf_model_name="somebody/words"), "somebody/words"),
        (lambda c: c["vision_cfg"].update(timm_model_name="hf-hub:somebody/tower"), "somebody/tower"),
        (lambda c: c.pop("text_cfg"), "no configuration"),
        (lambda c: c.update(vision_cfg=[]), "no configuration"),
    ],
)
def test_a_folder_starts_no_download(tmp_path, change, word):
    config = json.loads((PACKAGE / "mini" / "rsnb-mini.json").read_text(encoding="utf-8"))
    change(config)
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}), encoding="utf-8")
    with pytest.raises(RsnbError, match=word):
        rsnb.load_clip(f"local-dir:{tmp_path}")


def test_a_folder_runs_no_program(tmp_path):
    import torch

    config = json.loads((PACKAGE / "mini" / "rsnb-mini.json").read_text(encoding="utf-8"))
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}), encoding="utf-8")
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1)), str(tmp_path / "open_clip_model.bin"))
    with pytest.raises(RsnbError, match="TorchScript"):
        rsnb.load_clip(f"local-dir:{tmp_path}")
