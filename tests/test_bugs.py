"""The bug hunt: every suspect breaks what it is said to break and nothing else, and its repair makes it sound."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from open_clip.transformer import QuickGELU
from torch import nn

import rsnb
from rsnb.base.towers import transformers
from rsnb.classroom import exercises
from rsnb.classroom.bughunt.checks import CHECKS, HEALTHY, NAMES, chosen_on_test, confirm, leaks, moved
from rsnb.classroom.bughunt.figures import epoch_choice, shown_and_honest
from rsnb.classroom.bughunt.pipelines import LETTERS, REPAIRS
from rsnb.classroom.bughunt.workbench import Workbench
from rsnb.classroom.exercises import lesson10
from rsnb.errors import RsnbError
from rsnb.settings import resolve
from rsnb.studies.runs import adapter_path

CULPRITS = {
    "A": "embeddings not normalised", "B": "captions of one image in both parts", "D": "dropout left on",
    "E": "directions swapped", "F": "base model trained", "G": "best epoch chosen on test", "I": "wrong activation",
    "J": "captions miscounted",
}  # fmt: skip
SOUND = [letter for letter in LETTERS if letter not in CULPRITS]
PROBES = {"probe_length": "A", "probe_split": "B", "probe_repeat": "D", "probe_counts": "E", "probe_frozen": "F",
          "probe_choice": "G", "probe_function": "I", "probe_recount": "J"}  # fmt: skip


@pytest.fixture(scope="module")
def lab():
    settings = resolve({"RSNB_LIMIT": "40"})
    return Workbench(settings, rsnb.load_adapter(adapter_path("toy", "mini"), settings.clip()))


def expected(letter: str) -> list[str]:
    """What the checks find: recalls under the names of the other direction do not come out when counted again."""
    also = {"E": ["captions miscounted"]}
    return also.get(letter, []) + ([CULPRITS[letter]] if letter in CULPRITS else [])


def broken(suspect) -> list[str]:
    return [name for name, check in CHECKS.items() if check(suspect)[0]]


# --- the suspects ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("letter", LETTERS)
def test_a_suspect_breaks_what_it_is_said_to_break_and_its_repair_nothing(lab, letter):
    suspect, repaired = lab.case(letter), lab.case(letter, repaired=True)
    assert broken(suspect) == expected(letter)
    assert broken(repaired) == []
    assert all(0 <= value <= 100 for value in suspect.recalls.values()) and suspect.mr > 15
    assert len(suspect.image) == len(suspect.gallery) and len(suspect.text) == len(suspect.test_pairs)


def test_there_are_eight_bugs_and_two_sound_runs_in_no_order():
    assert set(CULPRITS.values()) == set(CHECKS) and len(SOUND) == 2
    order = [list(CHECKS).index(CULPRITS[letter]) for letter in LETTERS if letter in CULPRITS]
    assert order != sorted(order) and set(REPAIRS) == set(CULPRITS)


@pytest.mark.parametrize("letter", LETTERS)
def test_what_is_shown_is_what_runs_and_does_not_tell(lab, letter):
    suspect = lab.case(letter)
    assert suspect.source == lab.source(letter) and suspect.source.startswith(f"def suspect_{letter.lower()}(lab):")
    assert 6 <= len(suspect.source.splitlines()) <= 16
    text = f"{suspect.claim} {suspect.source}".lower()
    assert [word for word in ("bug", "wrong", "leak", "mistake", "healthy", "repair", "honest") if word in text] == []
    shown = repr(suspect), suspect._repr_html_()
    assert all(f"{suspect.mr:.1f}" in text for text in shown) and suspect.source.rstrip() in shown[0]
    assert "<pre " in shown[1]


@pytest.mark.parametrize("letter", CULPRITS)
def test_a_repair_is_one_change(lab, letter):
    old, _ = REPAIRS[letter]
    assert lab.source(letter).count(old) == 1
    lines = lab.diff(letter).splitlines()
    assert 1 <= len(lines) <= 2 and lines[0].startswith("- ")


def test_sound_runs_need_no_repair(lab):
    for letter in SOUND:
        assert lab.diff(letter) == "nothing to repair" and lab.case(letter, repaired=True) is lab.case(letter)


def test_the_numbers_say_what_the_lesson_says(lab):
    mr = {letter: lab.case(letter).mr for letter in LETTERS}
    honest = {letter: lab.case(letter, repaired=True).mr for letter in LETTERS}
    assert mr["E"] == pytest.approx(honest["E"]) and lab.case("E").recalls != lab.case("E", repaired=True).recalls
    assert mr["F"] == mr["H"]  # the same training, another claim
    assert mr["G"] >= honest["G"] and mr["J"] > honest["J"] + 2 and mr["B"] > honest["B"]
    for letter in "AEIJ":  # repaired, all are the plain evaluation
        assert honest[letter] == pytest.approx(mr["C"], abs=0.2)


def test_a_repaired_number_is_that_of_evaluate(lab):
    settings = resolve({"RSNB_LIMIT": "40"})
    model = rsnb.load_adapter(adapter_path("toy", "mini"), settings.clip())
    report = rsnb.evaluate(model, settings.dataset("test"))
    assert lab.case("A", repaired=True).mr == pytest.approx(report.mr, abs=0.2)
    assert lab.case("C").mr == pytest.approx(report.mr, abs=0.2)


@pytest.mark.check
def test_no_run_changes_what_it_was_given(lab):
    before = copy.deepcopy(lab._model.state_dict()), copy.deepcopy(lab.clip.state_dict())
    fresh = Workbench(resolve({"RSNB_QUICK": "1"}), lab._model)
    random = torch.random.get_rng_state()
    first = fresh.case("F").mr, fresh.case("D").mr
    assert torch.equal(random, torch.random.get_rng_state())
    fresh._cases.clear()
    assert (fresh.case("F").mr, fresh.case("D").mr) == first  # dropout included
    for kept, now in zip(before, (lab._model.state_dict(), lab.clip.state_dict())):
        assert all(torch.equal(kept[name], now[name]) for name in kept)
    assert not lab._model.training and not any(p.requires_grad for p in lab._model.clip.parameters())


def test_where_clip_has_quickgelu_the_other_one_is_wrong(lab):
    other = copy.copy(lab)
    other.clip = copy.deepcopy(lab.clip)
    for stack in transformers(other.clip.model).values():
        for block in stack.resblocks:
            block.mlp.gelu = QuickGELU()
    assert "gelu=nn.GELU()" in other.source("I") and "gelu=QuickGELU()" in lab.source("I")
    assert "gelu=block.mlp.gelu" in other.source("I", repaired=True)
    assert isinstance(transformers(lab.clip.model)["image"].resblocks[0].mlp.gelu, nn.GELU)


def test_an_unknown_letter_is_named(lab):
    with pytest.raises(RsnbError, match="no suspect 'Z'"):
        lab.case("Z")


@pytest.mark.check
def test_the_suspects_on_real_images(shared_data):
    settings = resolve({"RSNB_LIMIT": "40"}, data="ucm", root=str(shared_data / "ucm_precomp"))
    if not (shared_data / "ucm_precomp").is_dir():
        pytest.skip("no ucm_precomp in the real data")
    real = Workbench(settings, rsnb.load_adapter(adapter_path("ucm", "mini"), settings.clip()))
    found = {letter: broken(real.case(letter)) for letter in LETTERS if letter != "G"}  # chance may agree with G
    assert found == {letter: expected(letter) for letter in found}


# --- the verdicts ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("letter", LETTERS)
def test_only_the_right_accusation_is_confirmed(lab, letter):
    suspect = lab.case(letter)
    right = CULPRITS.get(letter, HEALTHY)
    for name in NAMES:
        finding = confirm(suspect, name)
        assert finding.ok == (name == right or name in expected(letter)), finding
        assert repr(finding).startswith("✓" if finding.ok else "✗") and len(finding.evidence[0]) > 20
        assert f"Suspect {letter}" in finding._repr_html_() and name in str(finding)


def test_the_evidence_counts(lab):
    frozen = len(lab.clip.model.state_dict())
    assert f"0 of {frozen} frozen tensors changed" in moved(lab.case("D"))[1]
    assert f"of {frozen} frozen tensors changed; largest change" in moved(lab.case("F"))[1]
    assert not lab.case("H").frozen and not moved(lab.case("H"))[0], "it claims nothing of the base model"
    assert "validation chooses epoch" in chosen_on_test(lab.case("G"))[1]
    names = {name for name, _ in lab.case("B").test_pairs}
    assert f" of {len(names)} test images were trained on" in leaks(lab.case("B"))[1]
    (evidence,) = confirm(lab.case("J"), HEALTHY).evidence
    assert "Not here: counted again" in evidence and "text to image" in evidence


def test_an_unknown_accusation_lists_the_names(lab):
    with pytest.raises(RsnbError, match="choose one of: healthy, base model trained"):
        confirm(lab.case("A"), "bad luck")


# --- the small suspects of the exercises -------------------------------------------------------------------------
@pytest.mark.parametrize("exercise", [e for e in lesson10.EXERCISES if e.kind == "code"], ids=lambda e: e.key)
def test_an_exercise_has_sound_and_broken_suspects_of_its_bug_alone(exercise):
    bugs = expected(PROBES[exercise.key])
    found = [broken(suspect) for (suspect,) in exercise.cases()]
    assert all(names in ([], bugs) for names in found), found
    assert found.count([]) >= 2 and found.count(bugs) >= 2
    mr = {state: [s.mr for (s,) in exercise.cases() if bool(broken(s)) == state] for state in (True, False)}
    assert all(min(values) < 60 < max(values) for values in mr.values())  # the number does not tell


def test_the_solutions_find_the_suspects_of_the_notebook(lab):
    from rsnb.classroom.exercises.judging import run_source

    for key, letter in PROBES.items():
        exercise = exercises.find(key)
        for source in (exercise.solution, *exercise.right):
            probe = run_source(exercise, source)
            caught = [x for x in LETTERS if probe(lab.case(x))]
            assert set(caught) == ({"E", "J"} if key == "probe_recount" else {letter}), (key, caught)


def test_an_exercise_tells_neither_letter_nor_name_of_the_bug():
    for exercise in lesson10.EXERCISES:
        head = f"{exercise.title} {exercise.aim} {exercise.stub}"
        assert [name for name in CHECKS if name in head] == []
    assert not any("suspect " in f"{e.title} {e.aim}" for e in lesson10.PROBES)
    tasks = {e.task.replace(e.key, "").replace(f'"{e.key[-1].upper()}"', "") for e in lesson10.VERDICTS}
    assert len(tasks) == 1, "all ten are asked in the same words"


def test_the_verdicts_are_those_of_the_examination(lab):
    for exercise in lesson10.VERDICTS:
        letter = exercise.key[-1].upper()
        assert exercise.truth() == CULPRITS.get(letter, HEALTHY)
        assert confirm(lab.case(letter), exercise.truth()).ok
        assert set(exercise.mistakes) == set(NAMES) - {exercise.truth()}


@pytest.mark.parametrize("exercise", lesson10.PROBES, ids=lambda e: e.key)
def test_drawn_suspects_are_sound_or_break_this_one_thing(exercise):
    rng = random.Random(3)
    found = [broken(suspect) for (suspect,) in (exercise.draw(rng) for _ in range(25))]
    assert all(names == [] or CULPRITS[PROBES[exercise.key]] in names for names in found), found
    assert 3 <= sum(map(bool, found)) <= 22


# --- the figures -------------------------------------------------------------------------------------------------
def smallest(figure) -> float:
    figure.canvas.draw()
    return min(text.get_fontsize() for text in figure.findobj(lambda x: hasattr(x, "get_fontsize")) if text.get_text())


def test_the_pairs_are_drawn_with_their_difference():
    rows = [("A · one", 50.0, 60.0), ("B · two", 70.0, 61.5), ("C · three", 40.0, 40.0)]
    figure = shown_and_honest(rows, "What did each bug do?")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["B · two", "C · three", "A · one"]
    assert {text.get_text() for text in axis.texts} == {"+8.5", "0.0", "−10.0"}
    honest, shown = (points.get_offsets()[:, 0].tolist() for points in axis.collections)
    assert honest == [61.5, 40.0, 60.0] and shown == [70.0, 40.0, 50.0]
    assert "%" in axis.get_xlabel() and smallest(figure) >= 11


def test_the_curves_mark_both_choices():
    val, test = [30, 41, 46, 44], [31, 47, 43, 45]
    history = [{"epoch": i, "val_mr": v, "test_mr": t} for i, (v, t) in enumerate(zip(val, test), start=1)]
    figure = epoch_choice(history, "Who chose?")
    (axis,) = figure.axes
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert "validation chooses epoch 3: test mR 43.0" in names and "test chooses epoch 2: test mR 47.0" in names
    assert axis.get_xlabel() == "epoch" and "%" in axis.get_ylabel() and smallest(figure) >= 11


def test_the_damage_of_a_bug_has_an_interval_where_images_can_be_paired(lab):
    from rsnb.classroom.bughunt.damage import damage

    said = {letter: damage(lab.case(letter), lab.case(letter, repaired=True)) for letter in "BCI"}
    assert "no interval" in said["B"], "its list of images is another one"
    assert "no image's rank changes" in said["C"]
    shown, honest = lab.case("I"), lab.case("I", repaired=True)
    assert f"{shown.mr - honest.mr:+.1f}" in said["I"] and "with other test images" in said["I"]
