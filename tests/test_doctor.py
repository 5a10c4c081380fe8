"""The doctor finds what is broken and names a remedy."""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata

import pytest

from rsnb.base import paths
from rsnb.commands import cli, doctor


def states(checks) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def test_healthy_checks_are_ok(tmp_path):
    found = states(doctor.python() + doctor.packages() + doctor.one_torch_build() + doctor.writable(tmp_path))
    assert doctor.BROKEN not in found.values()
    assert {"Python", "torch", "open-clip-torch", "torch and torchvision", "outputs"} <= set(found)


def test_this_clone_is_healthy(tmp_path, capsys):
    code = cli.main(["doctor", "--json", "--out", str(tmp_path)])
    report = json.loads(capsys.readouterr().out)
    broken = [check for check in report["checks"] if check["state"] == doctor.BROKEN]
    assert not broken and code == 0 and report["ok"]


def test_wrong_and_missing_packages(monkeypatch):
    monkeypatch.setattr(doctor, "requirements", lambda: ["torch>=99", "no_such_package>=1", "tqdm"])
    torch, missing, tqdm = doctor.packages()
    assert torch.state == doctor.BROKEN and "needed >=99" in torch.found and "pip install" in torch.remedy
    assert missing.state == doctor.BROKEN and missing.found == "not installed"
    assert tqdm.state == doctor.OK


def test_package_not_installed(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", absent)
    (check,) = doctor.packages()
    assert check.state == doctor.BROKEN and "pip install" in check.remedy


def test_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    (check,) = doctor.python()
    assert check.state == doctor.BROKEN and "3.10" in check.remedy


def test_torchvision_of_another_build(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    (check,) = doctor.one_torch_build()
    assert check.state == doctor.BROKEN and "torchvision" in check.remedy


def test_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(*args, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    (check,) = doctor.writable(tmp_path / "a" / "b")
    assert check.state == doctor.BROKEN and "--out" in check.remedy and not (tmp_path / "a").exists()


def test_toy_world_missing_images(tmp_path, monkeypatch, tiny_world):
    import shutil

    shutil.copytree(tiny_world, tmp_path / "toy")
    listing = tmp_path / "toy" / "dataset_tiny.json"
    listing.rename(tmp_path / "toy" / "dataset_toy.json")
    monkeypatch.setattr(paths, "toy_dir", lambda: tmp_path / "toy")
    (check,) = doctor.toy_world()
    assert check.state == doctor.OK and check.found == "24 images, 120 captions"
    (tmp_path / "toy" / "images" / "sand_02.png").unlink()
    (check,) = doctor.toy_world()
    assert check.state == doctor.BROKEN and "1 of 24" in check.found and "rsnb toy" in check.remedy
    (tmp_path / "toy" / "dataset_toy.json").write_text("{", encoding="utf-8")
    assert doctor.toy_world()[0].state == doctor.BROKEN


def test_weights_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "mini_dir", lambda: tmp_path)
    found = doctor.diagnose(tmp_path)
    broken = [check for check in found if check.state == doctor.BROKEN]
    assert [check.name for check in broken] == ["mini CLIP"] or "mini" in broken[-1].name
    assert all(check.remedy for check in broken)


def test_a_check_that_raises_does_not_hide_the_others(tmp_path, monkeypatch):
    def explode():
        raise OSError("odd machine")

    monkeypatch.setattr(doctor, "memory", explode)
    found = doctor.diagnose(tmp_path)
    assert any(check.found == "OSError: odd machine" for check in found)
    assert states(found)["outputs"] == doctor.OK


def test_text_shows_remedies_below_problems():
    checks = [doctor.Check("a", doctor.OK, "fine"), doctor.Check("b", doctor.BROKEN, "bad", "do this")]
    fine, bad, remedy, last = doctor.as_text(checks).splitlines()
    assert fine.split() == [doctor.OK, "a", "fine"] and bad.split() == [doctor.BROKEN, "b", "bad"]
    assert remedy.endswith("do this") and re.findall(r"\d+", last) == ["1"]
    assert not re.search(r"\d", doctor.as_text(checks[:1])), "nothing is broken, and something is counted"
    assert doctor.as_dict(checks)["ok"] is False


@pytest.mark.parametrize("state", [doctor.OK, doctor.WARN])
def test_warnings_do_not_fail(state):
    assert doctor.as_dict([doctor.Check("a", state, "x")])["ok"]
