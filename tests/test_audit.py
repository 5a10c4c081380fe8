"""The audit of the printed tables: exact arithmetic, the lattice of possible recalls, ceilings, the choice of epoch."""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import warnings
from fractions import Fraction

import pytest

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.figures.png import picture
from rsnb.studies import paper
from rsnb.studies.audit.captions import above_ceiling, best_row, count, count_all
from rsnb.studies.audit.command import audit_arguments, audit_command
from rsnb.studies.audit.epochs import choice, gains
from rsnb.studies.audit.figures import ceilings, epoch_gains, image_counts, mean_gaps, pass_shares
from rsnb.studies.audit.findings import findings
from rsnb.studies.audit.printed import (
    KINDS,
    NAMES,
    SIZES,
    WAYS,
    chance_of_rounding,
    gap,
    granularity,
    means,
    mendable,
    one_digit,
    parameters,
    possible,
    tail,
    who_counted,
)
from rsnb.studies.audit.result_files import read_audit


def arguments(*words):
    parser = argparse.ArgumentParser()
    audit_arguments(parser)
    return parser.parse_args(list(words))


# --- the mean of six ---------------------------------------------------------------------------------------------
def test_rounding_explains_a_hundredth_and_no_more():
    """Whatever the true recalls are, a rounded or a cut table stays within the bound; it is reached nearly."""
    rng, widest = random.Random(0), 0
    for _ in range(3000):
        true = [rng.randrange(10**6) for _ in range(6)]  # in 1/10,000 of a per cent
        for shift in (0, 50):  # cut, or rounded
            shown = [(x + shift) // 100 / 100 for x in true]
            mr = (sum(true) + 6 * shift) // 600 / 100
            widest = max(widest, abs(gap(shown, mr)))
    assert 5 <= widest <= 6


def test_three_rows_are_off_and_by_how_much():
    table = means()
    beyond = {(line["dataset"], line["method"]): line["gap"] for line in table if line["verdict"] == "beyond"}
    assert len(table) == 86 and set(beyond) == {
        ("RSICD", "AMFMN-soft"),
        ("RSITMD", "AdaptFormer"),
        ("UCM", "Cross-Modal Adapter"),
    }
    assert beyond["RSITMD", "AdaptFormer"] == pytest.approx(34.81 - (16.71 + 30.16 + 42.91 + 14.27 + 41.53 + 61.46) / 6)
    for line, row in zip(table, paper.all_rows()):
        exact = Fraction(str(row.mr)) - sum(Fraction(str(v)) for v in row.recalls.values()) / 6
        assert line["gap"] == pytest.approx(float(exact), abs=1e-12)
        assert (line["verdict"] == "beyond") == (abs(exact) > Fraction(1, 100))
        assert (line["verdict"] == "exact") == (abs(exact) <= Fraction(1, 200))


def test_one_digit_finds_the_slip_that_was_made_and_only_slips_that_mend():
    sound = next(row for row in paper.all_rows("UCM") if row.method == "mrs")
    slipped = {**sound.recalls, "text_r5": 58.81}
    found = one_digit(slipped, sound.mr)
    assert ("text_r5", "58.81", "55.81") in found
    for name, old, new in found:
        assert sum(a != b for a, b in zip(old, new)) == 1 and len(old) == len(new)
        row = {**slipped, "mr": sound.mr, name: float(new)}
        assert abs(gap([v for n, v in row.items() if n != "mr"], row["mr"])) <= 6
    off = {line["method"]: line for line in means() if line["verdict"] == "beyond"}
    rows = {row.title: row for row in paper.all_rows() if row.title in off and row.mr == off[row.title]["printed"]}
    assert one_digit(rows["AdaptFormer"].recalls, rows["AdaptFormer"].mr) == [("mr", "34.81", "34.51")]
    assert 0.5 < mendable(off["AdaptFormer"]["gap"]) < 1, "a digit that fits is weak evidence"


# --- parameters --------------------------------------------------------------------------------------------------
def test_fewer_parameters():
    p = parameters()
    assert (p["trained"], p["all"]) == (161_088, 151_277_313)
    assert p["fewer"] == pytest.approx(99.8935, abs=1e-3) and p["claimed"] == 98.9
    assert p["least"] < p["fewer"] < p["most"] and round(p["least"], 1) == round(p["most"], 1) == 99.9
    assert p["trained"] / p["implied"] == pytest.approx(0.011)


# --- which recalls are possible ----------------------------------------------------------------------------------
@pytest.mark.parametrize("queries", [1, 3, 210, 452, 1050])
def test_every_count_passes_however_it_is_rounded(queries):
    for k in range(queries + 1):
        x = Fraction(10_000 * k, queries)
        for value in (x.numerator // x.denominator, round(x), -(-x.numerator // x.denominator)):
            assert possible(value / 100, queries), (k, value)


def test_the_lattice_is_no_wider_than_a_hundredth():
    for queries in (210, 1093, 5465):
        for value in range(0, 10_001, 7):
            k = value * queries // 10_000
            near = min(abs(Fraction(10_000 * other, queries) - value) for other in (k, k + 1))
            assert possible(value / 100, queries) == (near <= 1), (queries, value)
    assert chance_of_rounding(12_000) == 1 and chance_of_rounding(5465) == 1 and chance_of_rounding(210) < 0.05
    assert not possible(22.71, 210) and possible(22.38, 210) and possible(22.86, 210)


def test_means_of_runs_pass_at_their_number_of_runs():
    rng = random.Random(1)
    for runs in (2, 5):
        values = [round(100 * sum(rng.randrange(211) for _ in range(runs)) / (210 * runs), 2) for _ in range(200)]
        assert all(possible(value, 210 * runs) for value in values)
        shown = [[round(100 * rng.randrange(211) / 210, 2) for _ in range(runs)] for _ in range(200)]
        twice = [round(sum(own) / runs, 2) for own in shown]
        assert all(possible(value, 210 * runs) for value in twice), "rounded, averaged and rounded again"
        assert sum(possible(value, 210) for value in values) < 0.9 * len(values)


def test_random_numbers_pass_as_often_as_chance_says():
    rng = random.Random(2)
    for queries in (210, 452, 1093, 2260):
        passed = sum(possible(rng.randrange(10_001) / 100, queries) for _ in range(4000)) / 4000
        assert passed == pytest.approx(chance_of_rounding(queries), abs=0.03)


def test_tail_is_the_binomial_one():
    assert tail(0, 30, 0.04) == pytest.approx(1)
    assert tail(1, 30, 0.04) == pytest.approx(1 - 0.96**30)
    assert tail(30, 30, 0.5) == pytest.approx(0.5**30)


def test_the_test_finds_the_stated_size_and_sees_nothing_in_means():
    cited, own = KINDS["traditional"], KINDS["adapter"]
    for name in ("UCM", "RSITMD"):
        best = max(who_counted(name, cited), key=lambda cell: cell["passed"])
        assert best["images"] == SIZES[name][0] and best["share"] > 0.9 and best["luck"] < 1e-20
        assert granularity(name, own)["luck"] > 0.05
    rsicd = max(who_counted("RSICD", cited), key=lambda cell: cell["passed"])
    assert rsicd["images"] == 1094 and rsicd["luck"] * 263 < 1e-10
    assert granularity("UCM", own) == {
        "dataset": "UCM",
        "methods": own,
        "way": "text",
        "runs": 1,
        "queries": 210,
        "passed": 0,
        "total": 30,
        "share": 0,
        "chance": chance_of_rounding(210),
        "luck": pytest.approx(1),
    }


# --- ceilings ----------------------------------------------------------------------------------------------------
def test_count_on_a_small_set():
    from rsnb.data import CaptionDataset, Item

    test = CaptionDataset([Item("a", None, ("x", "x")), Item("b", None, ("x", "y"))])
    train = CaptionDataset([Item("c", None, ("x", "z"))])
    found = count(test, train, "small")
    assert {k: found[k] for k in ("images", "captions", "distinct", "shared", "in_train", "distinct_in_train")} == {
        "images": 2,
        "captions": 4,
        "distinct": 2,
        "shared": 3,
        "in_train": 3,
        "distinct_in_train": 1,
    }
    assert found["ceiling"]["image_r1"] == pytest.approx(100 * (3 / 2 + 1) / 4) and found["ceiling"]["image_r5"] == 100


def test_the_committed_counts_are_those_of_the_real_files(shared_data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RSITMD's blank captions
        found = count_all(shared_data)
    assert found == read_audit("audit")["sets"]
    assert {name: (s["images"], s["captions"]) for name, s in found.items()} == SIZES


def test_above_a_ceiling():
    sets = read_audit("audit")["sets"]
    assert above_ceiling(sets) == []
    lowered = {"UCM": {"ceiling": {**sets["UCM"]["ceiling"], "text_r1": 20.0}}}
    assert [(r["method"], r["recall"]) for r in above_ceiling(lowered)] == [
        ("MRS-Adapter + HMMC (the paper)", "text_r1")
    ]


def test_a_folder_without_the_sets_is_named(tmp_path):
    with pytest.raises(RsnbError, match="rsicd_precomp"):
        audit_command(arguments("--root", str(tmp_path)))


# --- the best epoch ----------------------------------------------------------------------------------------------
def made_up(quality, noise, images=300, seed=0):
    """A run whose epochs have the given true qualities (0 to 1), each hit drawn at random."""
    rng, rows = random.Random(seed), []
    for true in quality:
        hits = [float(rng.random() < true) if noise else true for _ in range(2 * images)]
        text, image = hits[:images], [5 * hit for hit in hits[images:]]
        mr = 50 * (sum(text) / images + sum(image) / (5 * images))
        rows.append({"val_mr": 100 * true, "test_mr": mr, "text": text, "image": image})
    return {"method": "made up", "seed": seed, "captions": [5] * images, "epochs": rows}


def test_choice_without_noise_gains_nothing_and_with_noise_is_luck():
    calm = choice(made_up([0.3, 0.5, 0.4], noise=False))
    assert calm["by_val"] == calm["by_test"] == 2
    assert [calm[n] for n in ("gain", "own_half", "other_half")] == pytest.approx([0, 0, 0])
    runs = [choice(made_up([0.5] * 12, noise=True, seed=seed), halves=60) for seed in range(12)]
    (line,) = gains({"trainings": runs})
    assert all(run["gain"] >= 0 for run in runs) and line["gain"] > 1
    assert line["half that chose"] > 2 and abs(line["other half"]) < 1.5, "equal epochs: all of the gain is luck"


def test_choice_where_validation_is_misled_is_a_gain_that_stays():
    run = made_up([0.3, 0.6], noise=True)
    run["epochs"][0]["val_mr"] = 99
    found = choice(run, halves=40)
    assert (found["by_val"], found["by_test"]) == (1, 2) and found["gain"] > 20 and found["other_half"] > 20


@pytest.mark.check
def test_best_epochs_trains_once_and_is_found_again(tmp_path, monkeypatch, capsys):
    words = (
        "--part",
        "best-epoch",
        "--methods",
        "linear_probe",
        "--seeds",
        "1",
        "--epochs",
        "2",
        "--limit",
        "44",
        "--out",
        str(tmp_path),
        "--json",
    )
    assert audit_command(arguments(*words)) == 0
    said = capsys.readouterr().out
    assert "linear_probe, seed 0: gain" in said
    kept = json.loads((tmp_path / "best-epoch" / "linear_probe-seed0.json").read_text(encoding="utf-8"))
    assert len(kept["epochs"]) == 2 and len(kept["epochs"][0]["text"]) == 44
    for row in kept["epochs"]:
        again = 50 * (sum(row["text"]) / 44 + sum(row["image"]) / sum(kept["captions"]))
        assert again == pytest.approx(row["test_mr"], abs=0.02)

    def never(*args, **kwargs):
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr("rsnb.train", never)
    assert audit_command(arguments(*words)) == 0 and capsys.readouterr().out == said
    with pytest.raises(AssertionError, match="trained again"):
        audit_command(arguments(*words[:7], "3", *words[8:]))


@pytest.mark.parametrize(
    "words, message",
    [
        (("--install",), "--root DIR or --part"),
        (("--part", "best-epoch", "--install", "--limit", "9"), "leave out --limit"),
        (("--part", "best-epoch", "--methods", "zero_shot"), "methods that train"),
        (("--part", "best-epoch", "--epochs", "1"), "2 epochs or more"),
    ],
)
def test_what_cannot_be_done_is_said(words, message):
    with pytest.raises(RsnbError, match=message):
        audit_command(arguments(*words))


# --- what follows ------------------------------------------------------------------------------------------------
def test_findings_follow_from_the_numbers():
    said = {finding.topic: finding for finding in findings()}
    assert list(said)[:4] == ["The mean of six", "Fewer parameters", "Possible recalls", "How many images"]
    assert "83 of 86" in said["The mean of six"].found and "99.89 %" in said["Fewer parameters"].found
    assert "0 of 30" in said["Possible recalls"].found and "1,094" in said["How many images"].found
    assert "377" in said["What could be reached"].found
    for finding in said.values():
        assert finding.but, f"no other side: {finding}"
        assert not {"nan", "None"} & set(finding.found.replace(",", " ").split()), finding


def test_findings_change_with_the_numbers(monkeypatch):
    mended = [
        dataclasses.replace(row, mr=round(row.mean, 2)) if row.title == "AMFMN-soft" else row
        for row in paper.all_rows()
    ]
    monkeypatch.setattr(paper, "all_rows", lambda name=None: [r for r in mended if name in (None, r.dataset)])
    first = findings()[0]
    assert "84 of 86" in first.found and "AMFMN" not in first.found


def test_the_command_prints_every_finding(capsys):
    assert audit_command(arguments()) == 0
    said = capsys.readouterr().out
    assert audit_command(arguments("--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(line["found"] in said and line["but"] in said for line in found) and len(found) >= 5


def test_result_files_say_where_they_come_from(tmp_path, monkeypatch):
    for name in ("audit", "best-epoch"):
        found = read_audit(name)
        if found:
            assert {"what", "command", "date", "stamp", "versions"} <= set(found) and "--install" in found["command"]
            assert {"python", "torch", "rsnb"} <= set(found["versions"])
    monkeypatch.setattr(paths, "results_dir", lambda: tmp_path)
    assert read_audit("audit") is None
    (tmp_path / "audit.json").write_text("[]", encoding="utf-8")
    with pytest.raises(RsnbError, match="not a result file"):
        read_audit("audit")


# --- figures -----------------------------------------------------------------------------------------------------
def test_every_figure_is_drawn():

    kinds = list(dict.fromkeys(KINDS.values()))
    cells = [granularity(name, kind, way) for name in paper.DATASETS for kind in kinds for way in WAYS]
    scans = {"UCM": {kind: who_counted("UCM", kind, 0.02) for kind in kinds}, "RSITMD": {kinds[0]: []}}
    scans["RSITMD"] = {kinds[0]: who_counted("RSITMD", kinds[0], 0.01)}
    limit = read_audit("audit")["sets"]["UCM"]["ceiling"]
    run = choice(made_up([0.3, 0.5], noise=True), halves=3)
    figures = (
        mean_gaps(means(), "T"),
        pass_shares(cells, kinds, WAYS, "T"),
        image_counts(scans, {name: n for name, (n, _) in SIZES.items()}, "T"),
        ceilings({"UCM": (limit, best_row("UCM").recalls, "best row"), "own": (limit, None, "")}, NAMES, "T"),
        epoch_gains([run], {}, "T"),
    )
    for figure in figures:
        assert all(text.get_fontsize() >= 11 for axis in figure.axes for text in axis.texts if text.get_text())
        assert len(picture(figure, "a figure", "stamp")) > 8_000
