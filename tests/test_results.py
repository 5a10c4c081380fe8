"""Every committed result has its command and its stamp, can be made again, and is what the texts quote."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex
import subprocess
import sys

import jupytext
import pytest

import rsnb
from rsnb.base import paths
from rsnb.commands import cli
from rsnb.errors import RsnbError
from rsnb.publishing import results
from rsnb.publishing.kept import Kept
from rsnb.publishing.listed import read_listing, results_arguments, results_command
from rsnb.publishing.quotes import PART, fill, fill_files, listings
from rsnb.publishing.results import compare_result, find_result
from rsnb.studies import keys

KINDS = (
    "random rows",
    "toy world (drawn)",
    "(real)",
    "drawn web world",
    "the toy world",
    "from rsitmd_precomp",
    "paper",
)
MODELS = ("no model", "mini", "ViT-", "captions alone")


@pytest.fixture(scope="module")
def kept():
    return results.kept()


def arguments(tmp_path, **given):
    return argparse.Namespace(
        **{"out": tmp_path, "root": None, "seeds": None, "confirm": False, "against": None, **given}
    )


def test_every_result_says_what_it_is_from_when_and_how(kept):
    names = [result.name for result in kept]
    assert len(set(names)) == len(names) and {"toy-mini/mrs", "ablations/loss", "mini", "toy", "audit"} <= set(names)
    for result in kept:
        assert any(kind in result.stamp for kind in KINDS), result
        assert any(model in result.stamp for model in MODELS) or result.name == "toy", result
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", result.date) or result.name == "toy", result
        assert result.numbers and all(allowed >= 0 for _, allowed in result.numbers.values()), result.name


def test_every_command_is_one_that_rsnb_takes(kept):
    for result in kept:
        words = shlex.split(result.command)
        args = cli.build_parser(words[1]).parse_args(words[1:])
        assert words[0] == "rsnb" and args.command == words[1], result.command


def test_no_result_file_is_without_a_result(kept):
    """A file that nothing lists is a result that nobody can make again."""
    listed = {result.name.split("/")[0] for result in kept}
    for path in paths.results_dir().iterdir():
        if path.name in ("confirmed.json", "made.json", "listing.json", "README.md"):  # what is said of results
            continue
        assert (path.stem if path.is_file() else path.name) in listed, path
    index = json.loads((paths.results_dir() / "ablations" / "studies.json").read_text(encoding="utf-8"))
    used = {name for study in index.values() for _, hashes in study["cells"] for name in hashes}
    there = {path.stem for path in (paths.results_dir() / "ablations").glob("*.json")} - {"studies"}
    assert there == used


@pytest.mark.check
def test_a_result_is_made_again_and_compared(kept, tmp_path, capsys):
    shipped = find_result("adapters/toy-mini-mrs-seed0")
    assert results.verify(shipped, arguments(tmp_path)) == 0
    assert "1 of 1 numbers come out as stated" in capsys.readouterr().out
    elsewhere = dataclasses.replace(shipped, numbers={"mR": (shipped.numbers["mR"][0] + 2, 0.5)})
    assert results.verify(elsewhere, arguments(tmp_path)) == 1
    assert "OUTSIDE" in capsys.readouterr().out


@pytest.mark.check
def test_a_benchmark_result_is_made_again_below_another_folder(tmp_path, capsys):
    """Zero-shot CLIP trains nothing, so its result is made again in seconds; the committed file is left alone."""
    before = (paths.results_dir() / "toy-mini" / "zero_shot-seed0.json").read_bytes()
    parser = argparse.ArgumentParser()
    results_arguments(parser)
    args = parser.parse_args(["--verify", "toy-mini/zero_shot", "--out", str(tmp_path), "--seeds", "1"])
    assert results_command(args) == 0 and "1 of 1 numbers" in capsys.readouterr().out
    assert (tmp_path / "toy-mini" / "zero_shot-seed0.json").is_file()
    assert (paths.results_dir() / "toy-mini" / "zero_shot-seed0.json").read_bytes() == before


@pytest.mark.filterwarnings("ignore::rsnb.errors.RsnbWarning")  # RSITMD's blank captions
def test_a_result_that_is_one_file_is_made_again(shared_data, tmp_path):
    before = paths.results_dir()
    assert results.verify(find_result("audit"), arguments(tmp_path, root=shared_data)) == 0
    assert (tmp_path / "results" / "audit.json").is_file() and paths.results_dir() == before


def test_what_is_allowed():
    assert results.allowed([50.0]) == results.allowed([50.0, 50.1, 50.2]) == results.NOISE
    assert results.allowed([50.0, 52.0, 54.0]) == pytest.approx(4.0)
    rows = compare_result({"a": (50.0, 1.0), "b": (10.0, 1.0)}, {"a": 51.0, "b": 8.9})
    assert [row["agrees"] for row in rows] == [True, False]
    with pytest.raises(RsnbError, match="c; stated: a"):
        compare_result({"a": (1.0, 1.0)}, {"c": 1.0})
    with pytest.raises(RsnbError, match="1 stated numbers were not made again: b"):
        compare_result({"a": (1.0, 1.0), "b": (1.0, 1.0)}, {"a": 1.0})
    assert len(compare_result({"a": (1.0, 1.0), "b": (1.0, 1.0)}, {"a": 1.0}, whole=False)) == 1
    with pytest.raises(RsnbError, match="no numbers"):
        compare_result({"a": (1.0, 1.0)}, {})
    assert results.leaves({"x": [1, {"y": 2.5}], "versions": {"a": 1}, "t": True, "s": "3"}) == {"x/0": 1, "x/1/y": 2.5}


def test_counts_are_exact_and_a_weight_has_no_room_of_one():
    numbers = find_result("composed/toy-mini").numbers
    weights = {name: allowed for name, (_, allowed) in numbers.items() if name.endswith("/lambda")}
    assert weights and set(weights.values()) == {0.051}
    assert {allowed for _, allowed in find_result("audit").numbers.values()} == {0.011}
    for name in ("composed/toy-mini", "best-epoch", "rehearsal"):
        loose = {n: pair for n, pair in find_result(name).numbers.items() if 0.05 < abs(pair[0]) < pair[1]}
        assert loose == {}, f"{name}: a number that could even change its sign"
    assert results.narrow("composed", "runs/images", 264.0) == 0 and results.narrow("composed", "a/map", 20.2) == 1.0


def test_a_wrong_name_is_answered(tmp_path):
    with pytest.raises(RsnbError, match="there are: ablations/loss"):
        find_result("loss")
    with pytest.raises(RsnbError, match="give --root"):
        find_result("audit").again(arguments(tmp_path))
    with pytest.raises(RsnbError, match="--seeds 9: toy-mini/mrs has 3"):
        results.verify(find_result("toy-mini/mrs"), arguments(tmp_path, seeds=9))


# --- the texts --------------------------------------------------------------------------------------------------
def test_every_text_agrees_with_the_results(repo):
    assert fill_files(repo, write=False) == [], "rsnb results --fill"


def test_the_kept_lists_are_those_of_today_and_answer_at_once(capsys):
    for path, text in listings().items():
        assert path.read_text(encoding="utf-8") == text, "rsnb results --fill"
    for words in (["results"], ["exercises"]):
        found = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "rsnb", *words], capture_output=True, text=True, check=True
        )
        assert len(found.stdout.splitlines()) > 50 and not re.search(
            r"\| +(torch|numpy|open_clip)$", found.stderr, re.M
        )
    assert cli.main(["results"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{row['name']}: " in shown and row["command"] in shown for row in read_listing())


def test_a_list_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    for text in ("", "{", "[1]", '[{"name": 1}]'):
        (tmp_path / "listing.json").write_text(text, encoding="utf-8")
        with pytest.raises(RsnbError, match="rsnb results --fill"):
            read_listing()


def test_a_text_that_disagrees_is_found_and_mended(tmp_path):
    text = fill("# A table\n\n<!-- results: speed -->\n<!-- end -->\n")
    assert "times as fast" in text and fill(text) == text
    (tmp_path / "README.md").write_text(text.replace("| 3.", "| 9.", 1), encoding="utf-8")
    assert [path.name for path in fill_files(tmp_path, write=False)] == ["README.md"]
    assert len(fill_files(tmp_path)) == 1 and fill_files(tmp_path) == []
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text


def test_marks_that_do_not_fit_are_named():
    with pytest.raises(RsnbError, match="no part is called nothing"):
        fill("<!-- results: nothing -->\nx\n<!-- end -->")
    with pytest.raises(RsnbError, match="one of them is missing"):
        fill("<!-- results: toy -->\nx\n")
    assert fill("no marks, 1.5") == "no marks, 1.5"


NUMBER = re.compile(r"(?<![\w.,/\-])\d+(?:,\d{3})*\.\d+(?![\w.])")
#: Decimals of the texts that no experiment made: facts of the paper, settings, sizes of files.
FACTS = {
    "README.md": {"0.11", "3.11", "0.15", "0.65"},
    "01": {"0.2", "0.0016"}, "02": {"0.2"}, "03": {"0.2", "0.5", "0.1"}, "05": {"0.1"}, "06": {"0.2"},
    "07": {"22.71", "55.71"}, "08": {"0.2", "0.5", "0.3", "12.26", "5.97", "24.83", "11.27", "14.44", "30.19"},
    "09": {"1.702"}, "11": {"0.01", "0.16", "98.9"},
}  # fmt: skip


def unbound(text: str) -> set[str]:
    """Decimal numbers outside of marked parts, code, formulas and links."""
    for pattern in (
        PART,
        re.compile(r"```.*?```", re.DOTALL),
        re.compile(r"\$\$.*?\$\$", re.DOTALL),
        re.compile(r"`[^`]*`|\$[^$\n]*\$|\]\([^)]*\)|\[(?:doi|arXiv):[^\]]*\]|^    .*$", re.MULTILINE),
    ):
        text = pattern.sub(" ", text)
    return set(NUMBER.findall(text))


def test_the_readme_quotes_no_number_but_facts_outside_of_its_marked_parts(repo):
    text = (repo / "README.md").read_text(encoding="utf-8")
    assert unbound(text) - FACTS["README.md"] == set()
    assert unbound(text + "\nIt gains 3.7 mR.") - FACTS["README.md"] == {"3.7"}, "the check does not see a number"


def test_notebooks_type_no_result(repo):
    """What a notebook says of a result, a cell prints; its text holds definitions, and made-up cases in the quiz."""
    for path in sorted((repo / "notebooks" / "source").glob("[0-9]*.py")):
        cells = [c.source for c in jupytext.read(path, fmt="py:percent").cells if c.cell_type == "markdown"]
        text = re.sub(r"^## Quiz$.*?(?=^\*\*Where the toy)", "", "\n".join(cells), flags=re.DOTALL | re.MULTILINE)
        assert unbound(text) - FACTS.get(path.name[:2], set()) == set(), path.name


# --- which code made it -----------------------------------------------------------------------------------------
def run_command(*words):
    parser = argparse.ArgumentParser()
    results_arguments(parser)
    return results_command(parser.parse_args(list(words)))


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Two results in a folder of results of their own: one that this code made, and one of version 0.1."""
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path / "results"))
    code = keys.code_of(keys.RUN)
    key = keys.key_of({"config": rsnb.TrainConfig().to_dict(), "share": 1.0}, {"test": "t"}, "w")
    beside = {"modules": code.modules, "versions": keys.versions()}
    flat = {"config": rsnb.TrainConfig().to_dict(), "backbone": "w", "test": "t"}
    again = {"mR, seed 0": 50.123}
    common = {
        "what": "?",
        "stamp": "toy",
        "date": "2026-11-26",
        "command": "rsnb toy",
        "again": lambda args: dict(again),
    }
    numbers = {"mR, seed 0": (50.12, 1.0), "mR, seed 1": (51.5, 1.0)}
    made = [
        Kept("new", numbers=numbers, pairs=lambda root: [(key, beside, key)], seeds=2, **common),
        Kept("old", numbers=numbers, pairs=lambda root: [(flat, {}, key)], seeds=2, **common),
    ]
    monkeypatch.setattr(results, "kept", lambda: made)
    return argparse.Namespace(key=key, code=code, beside=beside, again=again, made=made)


def test_each_result_says_whether_this_code_made_it(few, capsys, monkeypatch):
    assert run_command("--where") == 0
    said = capsys.readouterr().out
    assert "new: made by this code\n" in said and f"made by code {few.code.digest}" in said
    assert "old: STALE: data (the key holds no images), code (the key holds none)" in said and "1 stale" in said
    assert run_command("--stale") == 1
    said = capsys.readouterr().out
    assert "old: STALE" in said and "new" not in said
    assert run_command("--json") == 0
    new, old = json.loads(capsys.readouterr().out)
    assert (new["stale"], old["stale"]) == (False, True) and f"made by code {few.code.digest}" in new["stamp"]
    results.kept().pop()
    assert run_command("--stale") == 0


def test_changed_code_is_named_by_its_modules(few, capsys, monkeypatch):
    changed = keys.Code("other", {**few.code.modules, "losses": "x"})
    monkeypatch.setattr(keys, "code_of", lambda roots: changed)
    assert run_command("--stale") == 1
    assert "new: STALE: code (losses)" in capsys.readouterr().out


def test_other_versions_are_reported_and_make_nothing_stale(few, capsys, monkeypatch):
    few.beside["versions"] = {"torch": "1.0", "open_clip": keys.versions()["open_clip"]}
    run_command("--where")
    said = capsys.readouterr().out
    assert f"new: made by this code; made with torch 1.0, here {keys.versions()['torch']}" in said


def test_a_result_that_comes_out_equal_is_confirmed(few, capsys, monkeypatch, tmp_path):
    assert run_command("--verify", "old", "--confirm", "--out", str(tmp_path)) == 0
    entry = json.loads((tmp_path / "results" / "confirmed.json").read_text(encoding="utf-8"))["old"]
    assert {"date", "machine", "digest", "versions"} <= set(entry) and entry["made again"] == "1 of 2 seeds"
    assert run_command("--stale") == 0
    capsys.readouterr()
    run_command("--where")
    said = capsys.readouterr().out
    assert (
        "old: confirmed by this code on" in said and f"confirmed by code {few.code.digest} on {entry['date']}" in said
    )
    assert "made by code that was not recorded" in said
    changed = keys.Code("other", {**few.code.modules, "losses": "x"})
    monkeypatch.setattr(keys, "code_of", lambda roots: changed)
    assert run_command("--stale") == 1, "other code than the one that confirmed it"


@pytest.mark.parametrize("wrong", [[], ["model: a"]])
def test_mini_is_confirmed_in_small_by_the_code_that_made_it(kept, wrong, tmp_path, monkeypatch, capsys):
    from rsnb.publishing import in_small
    from rsnb.publishing.confirmed import read_confirmed
    from rsnb.publishing.verifying import verify

    mini = next(result for result in kept if result.name == "mini")
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    monkeypatch.setattr(in_small, "differing", lambda revision, out: (wrong, 7))
    asked = arguments(tmp_path, confirm=True, against="0123abc")
    assert verify(mini, asked) == len(wrong)
    assert ("none differs by a bit" in capsys.readouterr().out) == (not wrong)
    entry = read_confirmed().get("mini")
    assert (entry is None) == bool(wrong)
    if not wrong:
        assert entry["numbers"] == 7 and "0123abc" in entry["how"] and "in small" in entry["made again"]
        assert "in small equal to the bit" in results.standing(mini).sentence and not results.standing(mini).stale
    with pytest.raises(RsnbError, match="goes with mini"):
        verify(next(result for result in kept if result.name == "audit"), asked)


@pytest.mark.parametrize("now", [50.126, 50.11])
def test_another_digit_confirms_nothing(few, now, tmp_path, capsys):
    few.again["mR, seed 0"] = now
    assert run_command("--verify", "old", "--confirm", "--out", str(tmp_path)) == 1
    assert "not confirmed: 1 of 1" in capsys.readouterr().out and not (tmp_path / "results" / "confirmed.json").exists()
    assert run_command("--verify", "old", "--seeds", "1", "--out", str(tmp_path)) == 0, "within what is allowed"
    with pytest.raises(RsnbError, match="go with --verify"):
        run_command("--confirm")


def test_times_are_confirmed_within_a_ratio(few, tmp_path):
    speed = dataclasses.replace(few.made[1], name="speed/x", numbers={"step": (3.0, 0.75)}, seeds=1)
    few.made.append(dataclasses.replace(speed, again=lambda args: {"step": 2.6}))
    assert run_command("--verify", "speed/x", "--confirm", "--out", str(tmp_path)) == 0
    few.made[-1] = dataclasses.replace(speed, again=lambda args: {"step": 2.2})
    assert run_command("--verify", "speed/x", "--confirm", "--out", str(tmp_path)) == 1


def test_changed_settings_are_not_confirmed_by_a_run(few, tmp_path, capsys):
    """A confirmation speaks for the code; what the command would do with other settings is another result."""
    now = {**few.key, "settings": {**few.key["settings"], "share": 0.5}}
    few.made[0] = dataclasses.replace(few.made[0], pairs=lambda root: [(few.key, few.beside, now)])
    assert run_command("--verify", "new", "--confirm", "--out", str(tmp_path)) == 0
    assert run_command("--stale") == 1 and "new: STALE: settings (share)" in capsys.readouterr().out


@pytest.mark.check
def test_every_committed_result_can_be_judged(kept, capsys):
    for result in kept:
        where = results.standing(result)
        assert where.changed or where.made, result.name
        assert all(now["code"] == keys.code_of(result.roots).digest for _, _, now in result.pairs(None)), result.name
