"""The texts, apart from what the package does (`make lint`; pytest does not collect this file by itself). Every master
of a notebook keeps to one template: what it opens with, what each section holds, how it closes; and the lecturers' plan
agrees with exercises and notebooks."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import jupytext
import nbformat
import pytest

from rsnb.classroom import exercises
from rsnb.classroom.alt_texts import ALT_TEXTS
from rsnb.commands import cli
from rsnb.studies.audit.findings import findings

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
SOURCE = FOLDER / "source"
NAMES = sorted(path.stem for path in SOURCE.glob("[0-9]*.py"))
NUMBERS = {int(re.match(r"\d+", name)[0]) for name in NAMES}
OPENING = ("# ", "**You will learn**", "**You need**", "**Minutes**", "**Runs on**")
CLOSING = ("## Recap", "## Quiz", "**Where the toy differs from the real thing.**", "**Try it.**", "## Further reading")
UNNUMBERED = [part.removeprefix("## ") for part in CLOSING if part.startswith("## ")]
PREDICT = "> **Predict.**"
SHOWS = ("lesson.show", "lesson.table", "lesson.touch", "display", "print")
STABLE = ("https://www.jmlr.org/papers/", "https://distill.pub/", "https://proceedings.mlr.press/",
          "https://proceedings.neurips.cc/", "https://aclanthology.org/", "https://openaccess.thecvf.com/",
          "https://pytorch.org/docs/", "https://docs.pytorch.org/", "https://docs.python.org/")  # fmt: skip
each = pytest.mark.parametrize("name", NAMES)


@cache
def cells(name: str) -> tuple[tuple[str, str], ...]:
    """("text" or "code", source) of every cell of the lesson, without the places of exercises."""
    read = jupytext.read(SOURCE / f"{name}.py", fmt="py:percent").cells
    kept = [cell for cell in read if "exercise" not in cell.metadata]
    return tuple(("code" if cell.cell_type == "code" else "text", cell.source) for cell in kept)


def words(name: str) -> str:
    """All text of a notebook."""
    return "\n\n".join(source for kind, source in cells(name) if kind == "text")


@cache
def sections(name: str) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """(heading, its texts and code) in order; a heading may stand in the middle of a cell."""
    found: list[tuple[str, list[tuple[str, str]]]] = [("", [])]
    for kind, source in cells(name):
        for part in [source] if kind == "code" else re.split(r"^(?=## )", source, flags=re.MULTILINE):
            if kind == "text" and part.startswith("## "):
                found.append((part.split("\n")[0].removeprefix("## "), []))
            found[-1][1].append((kind, part))
    return tuple((heading, tuple(parts)) for heading, parts in found)


def section(name: str, heading: str) -> str:
    """The text of one section."""
    (parts,) = [parts for found, parts in sections(name) if found == heading]
    return "\n\n".join(source for _, source in parts)


def calls(name: str, *functions: str) -> list[ast.Call]:
    """Calls such as lesson.show(...) in all code cells, in order."""
    trees = [ast.parse(source) for kind, source in cells(name) if kind == "code"]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node for node in nodes if ast.unparse(node.func) in functions]


def written(node: ast.expr | None) -> str:
    """A string as it stands in the code; what an f-string computes is a 0. Anything else: ''."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "0" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def given(call: ast.Call, keyword: str, place: int | None = None) -> str:
    """The text given for an argument, by its name or by its place."""
    named = {argument.arg: argument.value for argument in call.keywords}
    return written(named.get(keyword) or (call.args[place] if place is not None and place < len(call.args) else None))


# --- the opening and the body ------------------------------------------------------------------------------------
@each
def test_opens_with_what_it_teaches_needs_and_runs_on(name):
    kind, first = cells(name)[0]
    places = [first.find(part) for part in OPENING]
    assert kind == "text" and places[0] == 0 and -1 not in places and places == sorted(places), places


@each
def test_sections_are_numbered_without_gaps(name):
    headings = [heading for heading, _ in sections(name)][1:]
    numbers = [int(match[1]) for heading in headings if (match := re.match(r"(\d+)\. \S", heading))]
    assert numbers == list(range(1, len(numbers) + 1)) and numbers
    assert headings[-len(UNNUMBERED) :] == UNNUMBERED, "the last sections are not the closing ones"
    body = words(name).split("\n", 1)[1]
    assert not re.search(r"^#(?:##+)? ", body, flags=re.MULTILINE), "a heading of another level"


@each
def test_every_prediction_is_followed_by_code_of_its_section(name):
    for heading, parts in sections(name):
        for place, (kind, source) in enumerate(parts):
            if kind == "text" and PREDICT in source:
                assert any(later == "code" for later, _ in parts[place + 1 :]), f"{heading}: nothing runs after it"
    asked = [line for line in words(name).splitlines() if "**Predict.**" in line]
    assert all(line.startswith(f"{PREDICT} ") for line in asked), asked


@each
def test_every_section_with_a_result_asks_for_a_prediction_first(name):
    for heading, parts in sections(name):
        results = [
            place
            for place, (kind, source) in enumerate(parts)
            if kind == "code" and any(re.search(rf"(?<![\w.]){re.escape(show)}\(", source) for show in SHOWS)
        ]
        if re.match(r"\d+\. ", heading) and results:
            asked = [place for place, (kind, source) in enumerate(parts) if kind == "text" and PREDICT in source]
            assert asked and asked[0] < results[-1], f"{heading}: no prediction before its result"


@each
def test_what_it_refers_to_exists(name):
    text = words(name)
    assert {int(n) for n in re.findall(r"[Nn]otebooks? (\d+)", text)} <= NUMBERS
    last = sum(bool(re.match(r"\d+\. ", heading)) for heading, _ in sections(name))
    own = re.findall(r"(?<!\d, )\b[Ss]ection (\d+)(?! of notebook)", text)  # "notebook 1, section 2" is another one's
    assert [n for n in own if int(n) > last] == []


# --- figures and tables ------------------------------------------------------------------------------------------
@each
def test_every_figure_is_put_into_words(name):
    shown = [given(call, "name", 1) for call in calls(name, "lesson.show")]
    texts = [
        ALT_TEXTS[f"{name[:2]}/{figure}"] for figure in shown if figure
    ]  # a name that is computed has a figure with a label
    for text in texts:
        assert len(text) >= 40 and text[0].isupper() and text.endswith("."), f"no sentence of 40 characters: {text!r}"
    assert len(set(texts)) == len(texts), "two figures have one alternative text"


@each
def test_every_table_has_a_caption(name):
    captions = [given(call, "caption", 1) for call in calls(name, "lesson.table")]
    assert all(len(caption) >= 10 for caption in captions), captions


# --- the closing -------------------------------------------------------------------------------------------------
@each
def test_closes_in_order(name):
    text = words(name)
    places = [[match.start() for match in re.finditer(rf"^{re.escape(part)}", text, re.MULTILINE)] for part in CLOSING]
    assert all(len(found) == 1 for found in places), [part for part, found in zip(CLOSING, places) if len(found) != 1]
    assert places == sorted(places), "the parts of the closing are in another order"
    recap = next(i for i, (kind, source) in enumerate(cells(name)) if kind == "text" and "## Recap" in source)
    assert all(kind == "text" for kind, _ in cells(name)[recap:]), "code after the recap"
    assert cells(name)[-1][1].startswith("## Further reading\n"), "the last cell is not the further reading alone"
    following = [number for number in NUMBERS if number > int(re.match(r"\d+", name)[0])]
    assert "\n**Next:** " in text or not following, "it does not say what comes next"


@each
def test_recap_has_three_to_six_points(name):
    assert 3 <= len(re.findall(r"^- ", section(name, "Recap"), flags=re.MULTILINE)) <= 6


class Markup(HTMLParser):
    """Tags that were opened and not closed, or closed and not opened."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        self.open.pop() if self.open[-1:] == [tag] else self.open.append(f"/{tag}")


@each
def test_every_quiz_question_has_a_folded_answer(name):
    text = section(name, "Quiz").split("**Where the toy differs", 1)[0]
    _, *questions = re.split(r"^(?=\d+\. )", text, flags=re.MULTILINE)
    assert [int(q.split(".")[0]) for q in questions] == list(range(1, len(questions) + 1)) and 4 <= len(questions) <= 6
    for question in questions:
        asked, *folded = re.split(r"\n\s*\n\s*(?=<details>)", question.strip())
        assert "?" in asked and len(folded) == 1, f"not one answer behind a blank line: {question!r}"
        (answer,) = re.findall(r"^<details><summary>Answer</summary>(.+)</details>$", folded[0], flags=re.DOTALL)
        assert not re.search(r"\n\s*\n", answer), f"a blank line ends the HTML: {answer!r}"
        assert not re.search(r"[$`]|\*\*|\]\(", answer), f"Markdown is not rendered in HTML: {answer!r}"
        assert Markup(folded[0]).open == [], f"tags do not close: {answer!r}"
        assert len(re.sub(r"<[^>]+>", " ", answer).split()) >= 25, f"the answer does not say why: {answer!r}"


def sources(name: str) -> list[str]:
    """The entries of the further reading, each on one line."""
    entries = re.split(r"^- ", section(name, "Further reading"), flags=re.MULTILINE)[1:]
    return [" ".join(entry.split()) for entry in entries]


ENTRY = re.compile(
    r"(?P<who>[^*]+)\. \*(?P<title>[^*]+)\*\.? (?P<where>.*?) ?\[(?P<label>[^\]]+)\]\((?P<link>[^)]+)\)"
    r"\. (?P<why>.+\.)"
)


@each
def test_every_source_can_be_found(name):
    found = [ENTRY.fullmatch(entry) for entry in sources(name)]
    assert all(found), [entry for entry, match in zip(sources(name), found) if not match]
    assert 3 <= len(found) <= 6
    for match in found:
        assert re.match(r"(?:[a-z]+ )*[A-Z]\w", match["who"]), f"no author: {match[0]}"
        assert re.search(r"\b(?:19|20)\d\d\b", match["where"]), f"no year: {match[0]}"
        link = match["link"]
        known = re.fullmatch(r"https://doi\.org/10\.\d{4,}/\S+|https://arxiv\.org/abs/\d{4}\.\d{4,5}", link)
        assert known or link.startswith(STABLE), f"no DOI, no arXiv number, no stable site: {link}"
        if known:
            assert match["label"].split(":", 1)[1] == link.split("/", 3 if "doi.org" in link else 4)[-1], match[0]
        assert len(match["why"].split()) >= 4, f"nothing on what to read it for: {match[0]}"


def test_a_source_is_cited_alike_everywhere():
    cited: dict[str, set[tuple[str, str, str]]] = {}
    for name in NAMES:
        for match in filter(None, map(ENTRY.fullmatch, sources(name))):
            cited.setdefault(match["link"].lower(), set()).add((match["who"], match["title"], match["where"]))
    assert {link: ways for link, ways in cited.items() if len(ways) > 1} == {}


# --- the lecturers' plan -----------------------------------------------------------------------------------------
PLAN = (FOLDER / "lecturers.md").read_text(encoding="utf-8")
GIVEN = re.compile(r"`(\w+)` \((\d+)\)")  # `hinge` (12): an exercise with its minutes
HEADING = re.compile(r"^#{2,3} (.+?) \((\d+) minutes.*$", re.MULTILINE)


def parts() -> dict[str, tuple[int, str]]:
    """{heading: (minutes stated in it, the text below it up to the next heading)}."""
    found = {}
    for match in HEADING.finditer(PLAN):
        below = PLAN[match.end() :]
        end = re.search(r"^##", below, re.MULTILINE)
        found[match[1]] = int(match[2]), below[: end.start() if end else None]
    return found


def timed_rows(text: str) -> list[tuple[int, str]]:
    """Rows of a table that begin with minutes."""
    return [(int(m[1]), m[2]) for m in re.finditer(r"^\| (\d+) \|(.+)\|$", text, re.MULTILINE)]


def plan_of(text: str) -> str:
    """The time table: the first table of a part."""
    return text.split("| notebook | ask the room")[0]


SESSIONS = {name: part for name, part in parts().items() if name.startswith("Session")}


def test_the_plan_has_three_sessions_and_other_forms():
    assert len(SESSIONS) == 3 and len(parts()) >= 5
    assert f"three sessions of {parts()[next(iter(SESSIONS))][0]} minutes" in PLAN


@pytest.mark.parametrize("name", parts())
def test_the_minutes_of_a_plan_add_up(name):
    stated, text = parts()[name]
    rows = timed_rows(plan_of(text))
    assert sum(minutes for minutes, _ in rows) == stated
    for minutes, row in rows:
        asked = sum(int(given) for _, given in GIVEN.findall(row))
        assert asked <= minutes, f"{asked} minutes of exercises in {minutes}: {row}"


def test_every_exercise_is_planned_once_with_its_minutes():
    planned = Counter(key for key, _ in GIVEN.findall(PLAN))
    assert set(exercises.every()) - set(planned) == set(), "lecturers.md plans each exercise, in class or at home"
    assert set(planned) - set(exercises.every()) == set(), "there are no such exercises"
    assert [key for key, times in planned.items() if times > 1] == []
    stated = {key: int(minutes) for key, minutes in GIVEN.findall(PLAN)}
    assert stated == {key: e.minutes for key, e in exercises.every().items()}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_has_the_exercises_of_its_notebooks(name):
    text = SESSIONS[name][1]
    numbers = {int(number) for number in re.findall(r"`(\d\d)_\w+\.ipynb`", text)}
    assert {exercises.find(key).lesson for key, _ in GIVEN.findall(text)} == numbers
    (home,) = re.findall(r"^At home, (\d+) minutes: (.+?)\.$", text, re.MULTILINE | re.DOTALL)
    assert int(home[0]) == sum(int(minutes) for _, minutes in GIVEN.findall(home[1]))


def test_the_mistakes_named_are_those_the_checkers_know():
    lessons = re.split(r"^### Lesson (\d+)$", PLAN, flags=re.MULTILINE)
    assert lessons[1:10:2] == ["1", "2", "3", "4", "5"]
    for number, text in zip(lessons[1::2], lessons[2::2]):
        named = re.findall(r"^\| `(\w+)`: \*(.+?)\* \|", text.split("\n## ")[0], re.MULTILINE)
        assert len(named) >= 5
        for key, mistake in named:
            assert exercises.find(key).lesson == int(number), key
            assert mistake in exercises.find(key).mistakes, f"{key} knows no mistake {mistake!r}"


def outputs(number: int) -> str:
    """All text that the saved notebook of that number puts out."""
    (path,) = FOLDER.glob(f"{number:02d}_*.ipynb")
    texts = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts += [output.get("text", ""), data.get("text/plain", ""), data.get("text/markdown", "")]
    return "\n".join(texts).replace(" %", "%")


#: (notebook, question, answer) of the tables below "ask the room".
ASKED = "".join(re.findall(r"^\| notebook \| ask the room .*?\n\n", PLAN, re.MULTILINE | re.DOTALL))
ANSWERS = re.findall(r"^\| (\d+) \| (.+?) \| .+? \| (.+?) \|$", ASKED, re.MULTILINE)


@pytest.mark.parametrize("number, question, answer", ANSWERS, ids=[f"{n}: {q[:40]}" for n, q, _ in ANSWERS])
def test_answers_to_predictions_are_what_the_notebook_puts_out(number, question, answer):
    figures = re.findall(r"\d[\d,]*\.\d+%?|\d+,\d{3}|\d+%", answer.replace(" %", "%").replace("1%", ""))
    shown = re.findall(r"\d[\d,]*\.\d+%?|\d+,\d{3}|\d+%", outputs(int(number)))
    known = set(shown) | {figure.rstrip("%") for figure in shown}
    assert [figure for figure in figures if figure not in known and figure.rstrip("%") not in known] == []


def test_there_are_answers_with_numbers_for_every_session():
    assert {int(number) for number, _, _ in ANSWERS} == {1, 2, 3, 4, 5} and len(ANSWERS) > 12


def test_figures_named_in_the_plan_are_drawn():
    named = set(re.findall(r"`(\d\d_\w+)-([\w-]+)`", PLAN))
    assert len(named) >= 8
    for stem, figure in named:
        assert f'"{figure}"' in (FOLDER / "source" / f"{stem}.py").read_text(encoding="utf-8"), f"{stem}-{figure}"


@pytest.mark.parametrize("page", ["lecturers.md", "README.md"])
def test_links_and_commands_of_the_pages_exist(page):
    text = (FOLDER / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (FOLDER / target).exists(), target
    commands = set(re.findall(r"(?:^    |`)rsnb ([a-z]+)", text, re.MULTILINE))
    assert {"doctor", "figures", "pack", "exercises"} <= commands <= set(cli.COMMANDS)


# --- the audit of the paper --------------------------------------------------------------------------------------
def test_a_finding_has_another_side_and_blames_nobody():
    for finding in findings():
        assert len(finding.but.split()) >= 15, f"no other side: {finding}"
        blame = ("fraud", "wrong", "false", "invented", "cheat", "mislead")
        assert not any(word in str(finding).lower() for word in blame), finding


# --- minutes -----------------------------------------------------------------------------------------------------
MINUTES = re.compile(r"\*\*Minutes\*\* (\d+) to work through(?:, (\d+) more for its exercises)?; .+ to run\.")


def counted(name: str) -> int:
    """Minutes to work through a lesson, to the nearest 5: see notebooks/README.md."""
    cells = jupytext.read(SOURCE / f"{name}.py", fmt="py:percent").cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    code = sum(bool(line.strip()) for cell in cells if cell.cell_type == "code" for line in cell.source.splitlines())
    asked = text.count("**Predict.**") + text.count("<details>")
    return 5 * round((len(re.findall(r"\w+", text)) / 150 + code / 20 + asked / 2) / 5)


@pytest.mark.parametrize("name", NAMES)
def test_the_minutes_are_those_of_the_text_and_the_exercises(name):
    number = int(name[:2])
    stated = MINUTES.search((SOURCE / f"{name}.py").read_text(encoding="utf-8"))
    asked = sum(e.minutes for e in exercises.every().values() if e.lesson == number)
    assert int(stated[1]) == counted(name) and int(stated[2] or 0) == asked
    both = f"{int(stated[1]) + asked}" if asked else ""
    row = re.search(
        rf"^\| {number} \|.*\| (\d+) \| (\d*) ?\|$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert row and (row[1], row[2]) == (stated[1], both)


# --- code --------------------------------------------------------------------------------------------------------
WIDTH = 88  # of a line of code, in a cell of a page


@each
def test_no_line_of_code_is_cut_on_a_page(name):
    code = [line for kind, source in cells(name) if kind == "code" for line in source.splitlines()]
    assert [line for line in code if len(line) > WIDTH] == []


def test_no_line_of_an_exercise_is_cut_on_a_page():
    code = [line for e in exercises.every().values() for line in f"{e.stub}{e.solution}".splitlines()]
    assert [line for line in code if len(line) > WIDTH] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_red_line_and_no_stray_value_is_shown(name):
    for number, cell in enumerate(nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells):
        for output in cell.get("outputs", ()):
            assert output.get("name") != "stderr", f"cell {number}: {output.text[:200]}"
            assert output.output_type not in ("error", "execute_result"), f"cell {number}: {output}"
