"""Texts that quote results: the part between two marks is written by code, from the result files.

    <!-- results: toy -->
    ... what BLOCKS["toy"]() returns ...
    <!-- end -->

``rsnb results --fill`` writes every such part anew, ``rsnb results --check`` (and a test) says where text and results
disagree. Notebooks need no marks: what they say about a result, a cell prints.
"""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from safetensors.numpy import load_file

from rsnb.base import paths
from rsnb.base.files import write_text
from rsnb.base.text import markdown_table
from rsnb.beyond import published
from rsnb.classroom.exercises.table import LISTING, exercise_rows, rows_of_today
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.publishing.kept import kept
from rsnb.studies.ablation import paper_studies
from rsnb.studies.ablation.differences import difference_table
from rsnb.studies.ablation.story_studies import STORY
from rsnb.studies.benchmark import tables as benchmark_tables
from rsnb.studies.benchmark.tables import OURS, benchmark_rows, recall_table
from rsnb.studies.beyond.tables import later_methods_table, recipe_sentence, study_tables
from rsnb.studies.controls.result import read_controls
from rsnb.studies.controls.study import controls_table
from rsnb.studies.precision.command import ALL, load_precision
from rsnb.studies.precision.tables import class_table, precision_sentences, precision_table, wording_table
from rsnb.studies.reproduction.cells import full_size
from rsnb.studies.reproduction.figures import TITLES
from rsnb.studies.speed.tables import load_measurement, speed_table

FILES = (
    "README.md", "data/results/README.md", "notebooks/README.md", "notebooks/lecturers.md", "data/README.md",
    "notebooks/successors.md", "data/adapters/README.md",
)  # fmt: skip
PART = re.compile(r"<!-- results: (?P<name>[\w-]+) -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)
WIDTH = 130


def fill(text: str) -> str:
    """The text with every marked part written anew.

    Raises:
        RsnbError: a mark that names no part, or that is not closed.
    """
    if text.count("<!-- results: ") != len(PART.findall(text)):
        raise RsnbError("a part begins with <!-- results: NAME --> and ends with <!-- end -->; one of them is missing")

    def written(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in BLOCKS:
            raise RsnbError(f"no part is called {name}; there are: {', '.join(BLOCKS)}")
        return f"<!-- results: {name} -->\n{BLOCKS[name]().strip()}\n<!-- end -->"

    return PART.sub(written, text)


def fill_files(root: Path | None = None, write: bool = True) -> list[Path]:
    """The files whose marked parts disagree with the results, and the lists that do; written anew, if ``write``."""
    changed: list[Path] = []

    def is_to_be(path: Path, new: str) -> None:
        if new != (path.read_text(encoding="utf-8") if path.is_file() else ""):
            changed.append(path)
            if write:
                write_text(path, new)

    for path, new in () if root else listings().items():  # texts quote them
        is_to_be(path, new)
    for path in ((root or paths.PACKAGE.parent) / name for name in FILES):
        is_to_be(path, fill(path.read_text(encoding="utf-8") if path.is_file() else ""))
    return changed


def listings() -> dict[Path, str]:
    """{file: what it should hold}: the lists of the results and of the exercises as they are today."""
    results = [result.listed for result in kept()]
    found = {paths.results_listing(): results, LISTING: rows_of_today()}
    return {path: json.dumps(rows, indent=1, ensure_ascii=False) + "\n" for path, rows in found.items()}


def paragraph(*sentences: str) -> str:
    """Sentences as one paragraph of lines that are not too long."""
    return textwrap.fill(" ".join(sentences), WIDTH, break_long_words=False, break_on_hyphens=False)


def listed(items: list[str]) -> str:
    """'a, b and c'."""
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else "none"


# --- the parts --------------------------------------------------------------------------------------------------
def toy_benchmark() -> str:
    """The benchmark on the toy world."""
    table = recall_table(benchmark_rows(benchmark_tables.load_results("toy", "mini")))
    return "\n\n".join([table, picture("toy-mini"), toy_reading()])


def picture(folder: str) -> str:
    """The picture that lies in a folder of results."""
    return f"![Trained parameters against test mR, a point per method]({folder}/table.png)"


def toy_reading() -> str:
    """How to read the benchmark on the toy world."""
    from rsnb.studies import paper

    results = benchmark_tables.load_results("toy", "mini")
    rows = {row["title"]: row for row in benchmark_rows(results)}
    mr = {title: row["mr"] for title, row in rows.items()}
    ours, crossed, full, zero = (
        mr[title] for title in ("MRS-Adapter + HMMC", "MRS-Adapter + CLIP loss", "Full fine-tuning", "Zero-shot CLIP")
    )
    own = sorted((t for t in mr if t not in ("Zero-shot CLIP", "Full fine-tuning") and " + " not in t), key=mr.get)
    ahead = listed([f"{title} ({mr[title]:.1f})" for title in reversed(own) if mr[title] > ours])
    behind = listed([f"{title} ({mr[title]:.1f})" for title in reversed(own) if mr[title] <= ours])
    starts = [paper.mr_of(d)["zero_shot"] / paper.mr_of(d)["full"] for d in paper.DATASETS]
    serves = losses_compared()
    return paragraph(
        f"**Read honestly.** On the toy world MRS-Adapter with HMMC has {ours:.1f}; ahead of it are {ahead};",
        f"behind it {behind}.",
        f"The spread over seeds is {max(row['mr_sd'] or 0 for row in rows.values()):.1f} at most.",
        f"Crossing loss and adapter: with CLIP's loss MRS-Adapter gets {crossed:.1f}, with HMMC AdaptFormer gets "
        f"{mr['AdaptFormer + HMMC']:.1f} (its own {mr['AdaptFormer']:.1f}).",
        f"So the adapter keeps up with its relatives, and in these short runs {serves}.",
        f"MRS-Adapter reaches {ours / full:.2f} of full fine-tuning with HMMC and {crossed / full:.2f} with CLIP's",
        f"loss; zero-shot starts at {zero / full:.2f} of full fine-tuning here",
        f"({min(starts):.2f} to {max(starts):.2f} in the paper). Nothing was tuned on test.",
        "Notebook 5 puts the paper's table beside ours.",
        "Seconds: one thread on a shared machine; compare them only within a table.",
    )


def losses_compared() -> str:
    """MRS-Adapter's two losses, by the verdict that is kept beside the results."""
    duels = benchmark_tables.load_duels("toy", "mini")
    gap = next(row for row in duels if row["against"] == "MRS-Adapter + CLIP loss")
    more = f"{abs(gap['difference']):.1f} mR"
    said = {
        "better": f"HMMC serves it better than CLIP's loss by {more}",
        "worse": f"CLIP's loss serves it better than HMMC by {more}",
    }.get(gap["verdict"], f"its two losses cannot be told apart (CLIP's has {-gap['difference']:+.1f} mR)")
    over = "over seeds and test images" if gap["images"] else "over the seeds"
    return (
        f"{said} (interval {over}: {-gap['high']:.1f} to {-gap['low']:.1f}; the verdict is adjusted for {len(duels)} "
        "comparisons)"
    )


def toy_sentence() -> str:
    """The same in short."""
    rows = {row["title"]: row["mr"] for row in benchmark_rows(benchmark_tables.load_results("toy", "mini"))}
    full = rows["Full fine-tuning"]
    return paragraph(
        f"**Read honestly.** MRS-Adapter reaches {rows[OURS] / full:.2f} of full fine-tuning with HMMC and",
        f"{rows['MRS-Adapter + CLIP loss'] / full:.2f} with CLIP's loss; in these short runs {losses_compared()}.",
        "The paper finds the adapter about as good as full fine-tuning; that is not what we see here.",
        recipe_sentence(),
        "Nothing was tuned on test.",
    )


def headline() -> str:
    """Five rows of the benchmark on the toy world, and how to read it."""
    wanted = ("Zero-shot CLIP", "Linear probe", OURS, "MRS-Adapter + CLIP loss", "Full fine-tuning")
    rows = {row["title"]: row for row in benchmark_rows(benchmark_tables.load_results("toy", "mini"))}
    table = recall_table([rows[title] for title in wanted])
    return f"{table}\n\n{toy_sentence()}"


def reproduced() -> str:
    """What of the paper has been run with pretrained weights, and what it takes."""
    paper, lengths = TrainConfig.paper(), {}
    step = load_measurement("step-cpu")["step"]["bf16"]["our_seconds"]
    gpu = load_measurement("step-cuda")
    for data in ("ucm", "rsitmd", "rsicd"):
        lengths[data] = paper.epochs * math.ceil(full_size(data)[1] / paper.batch_size)
    hours = listed([f"{steps * step / 3600:.0f} hours on {TITLES[data]}" for data, steps in lengths.items()])
    quick = min(gpu["step"][precision]["our_seconds"] for precision in ("fp32", "bf16"))
    minutes = listed([f"{steps * quick / 60:.0f}" for steps in lengths.values()])
    return paragraph(
        "**Reproduced with pretrained weights so far: nothing.** None could be downloaded where this was made; all",
        "results here come from our own mini CLIP, and say so. With a network, one command changes that:",
        "`rsnb reproduce --data ucm --root DIR --pretrained openai`: for each seed of MRS-Adapter about",
        f"{hours} on one CPU thread (a measured step of {step:.1f} s), or {minutes} minutes on an",
        f"{gpu['machine']['card']} (a measured step of {quick:.2f} s, without reading the images).",
    )


def story_studies() -> str:
    """The studies of where and why HMMC helps, one table each."""
    found = []
    for name, study in paper_studies.read_studies().items():
        if name in STORY:
            table = difference_table(study["rows"], study["axes"])
            cost = f"`{study['command']}`, {study['minutes']:.0f} minutes of training on one thread"
            stamp = f"{paper_studies.study_stamp(study)} · {cost}"
            found.append(f"### {study['question']}\n\n{table}\n\n{stamp}")
    return "\n\n".join(found)


def control_sets() -> str:
    """The controls: three sets before and after adaptation, and real images."""
    found = []
    for data in ("toy", "ucm"):
        run = read_controls(data, "mini")
        if run:
            found.append(f"{controls_table(run['sets'])}\n\n{run['stamp']} · `{run['command']}`")
    return "\n\n".join(found)


def folder_search() -> str:
    """Search in the folder of real images."""
    found = load_precision()
    alt = "Precision at 10 of each class before and after adaptation, by words and by images"
    parts = [precision_table(found), f"{found['stamp']} · `{found['command']}`", f"![{alt}](tiles.png)"]
    parts += [*map(paragraph, precision_sentences(found)), wording_table(found), class_table(found, ALL)]
    return "\n\n".join(parts)


def ucm_benchmark() -> str:
    """The benchmark on UCM-Captions with the mini CLIP."""

    results = benchmark_tables.load_results("ucm", "mini")
    rows = benchmark_rows(results)
    mr = {row["title"]: row["mr"] for row in rows}
    best = max((title for title in mr if title not in ("Zero-shot CLIP", "Full fine-tuning")), key=mr.get)
    share = mr["MRS-Adapter + HMMC"] / mr["Full fine-tuning"]
    said = [f"Best of the small methods: {best} ({mr[best]:.1f}); MRS-Adapter reaches {share:.2f} of full fine-tuning."]
    if rows[0]["counting"] == "expected":
        one = next(r for r in results if r["method"] == "mrs" and r["seed"] == 0)["honest"]
        top = one["ceiling"]
        said += [
            f"{one['shared_captions']} of the {results[0]['test']['captions']:,} test captions also describe another",
            "image. So the order of a sort decides much: *ties* is what it could make of mR. And no model can reach",
            "100: one that",
            f"ranks perfectly and can only guess among equals gets {top['text_r1']:.1f} (image to text) and",
            f"{top['image_r1']:.1f} (text to image) at R@1, {top['mr']:.1f} in mR (`rsnb.measures.ceiling.ceiling`).",
        ]
    return recall_table(rows) + "\n\n" + paragraph(f"{results[0]['config']['epochs']} epochs.", *said)


def loss_ablation() -> str:
    """The ablation of the loss."""
    study = paper_studies.read_studies()["loss"]
    return f"{difference_table(study['rows'])}\n\n{paper_studies.study_stamp(study)}"


def choices_of_the_paper() -> str:
    """What of the paper's choices the ablations bear out."""

    kinds = ("worse", "collapsed", "cannot be told", "better", "beside")
    head = ("the paper's choice", "on the toy world", "worse without it", "collapsed", "cannot be told", "better")
    head = (*head, "not alone")
    return markdown_table(
        head,
        [
            [row["choice"], row["verdict"], *("; ".join(row[kind]) for kind in kinds)]
            for row in paper_studies.conclusions(paper_studies.read_studies())
        ],
    )


def speed_ratios() -> str:
    """The table of `rsnb bench` on a CPU."""
    return speed_table()


def gpu_speed_ratios() -> str:
    """What `rsnb bench` measured on a GPU, and where the time of a step goes there."""
    step, growth = load_measurement("step-cuda"), load_measurement("evaluation-cuda")["growth"]
    ours = {precision: step["step"][precision] for precision in ("fp32", "bf16")}
    per_pair = growth["milliseconds_a_pair"]
    small, large = (size * per_pair[str(size)] for size in (16, 128))
    machine = f"{step['machine']['card']}, torch {step['machine']['torch']}"
    rate = [f"{ours[precision]['share_of_matmul_ceiling']:.0%}" for precision in ours]
    said = paragraph(
        f"{machine}, batches of 16, wall-clock time. A step of 16 takes {small:.0f} ms in bf16, and one of 128 takes",
        f"{large:.0f}: the time goes into launching thousands of small operations, not into computing them ({rate[0]}",
        f"of the rate of one large product in fp32, {rate[1]} in bf16). So fewer operations shorten such a step (both",
        "views in one batch), less arithmetic does not, and bf16, which adds casts, brings no gain at 16. Memory",
        "falls as on a CPU. Evaluation was timed twice without a warm-up: the first in bf16 also loads the kernels.",
    )
    return f"{said}\n\n{speed_table('cuda')}"


def search_beside_faiss() -> str:
    """What `rsnb bench --parts search` measured: exact search in a million tiles, beside FAISS on the same rows."""
    kept = load_measurement("search-cpu")
    rows = []
    for what, one in kept["search"].items():
        times = [f"{1000 * one[f'{name}_seconds']:,.0f} ms" for name in ("ours", "flat", "fp16")]
        ratio, memory = one["ratio"], "-" if one["search_mb"] is None else f"{one['search_mb']:.0f} MB"
        spread = f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"
        rows.append([what, *times, spread, memory, f"{one['index_mb']:,} MB"])
    head = [
        "a million rows",
        "ours",
        "FAISS flat",
        "FAISS fp16",
        "ours to flat",
        "ours beyond the map",
        "FAISS flat holds",
    ]
    machine = f"{kept['machine']['threads']} threads, torch {kept['machine']['torch']}, {kept['captions']}"
    return f"{markdown_table(head, rows)}\n\n{paragraph(f'{machine}, stored as fp16, the ten nearest; medians.')}"


def exercise_counts() -> str:
    """How many exercises there are, and what their checkers were tried on."""

    rows = exercise_rows()
    right, wrong = sum(r["right"] for r in rows), sum(r["wrong"] for r in rows)
    lessons = sorted({r["lesson"] for r in rows})
    return paragraph(
        f"`notebooks/student/` holds notebooks {listed([str(n) for n in lessons])} with {len(rows)} exercises",
        "between the sections; a checker judges each answer at once and names typical mistakes;",
        "`notebooks/solutions/` has them solved. `rsnb exercises` lists them; with `--check` the checkers judge",
        f"{right} right and {wrong} wrong answers.",
    )


def fault_cases() -> str:
    """How many cases of `make faults` are as they should be."""

    found = json.loads((paths.PACKAGE.parent / "tests" / "faults" / "result.json").read_text(encoding="utf-8"))
    minutes = found["seconds"] / 60
    return paragraph(
        f"`make faults` tries {found['tried']:,} damaged, unusual and hostile inputs of {len(found['kinds'])} kinds",
        "(files, values, checkpoints, kills, disks, streams, servers, links, encodings), each with its expected",
        f"outcome: {found['right']:,} behave as they should ({found['date']}, {minutes:.0f} minutes, two at a time).",
        "[`tests/faults/result.json`](../tests/faults/result.json) counts them by kind.",
    )


def shipped_adapters() -> str:
    """A row for each shipped adapter."""
    found = {result.name.removeprefix("adapters/"): result for result in kept() if result.name.startswith("adapters/")}
    rows = []
    for name, (file, what) in paths.ADAPTERS.items():
        path, result = paths.adapters_dir() / file, found.get(Path(file).stem)
        numbers = sum(held.size for held in load_file(path).values())
        mr = f"{result.numbers['mR'][0]:.1f}" if result else "test part not opened yet"
        again = f"`{result.command}`" if result else ""
        rows.append([f"`{name}`", what, f"{numbers:,}", f"{path.stat().st_size / 1000:.0f} kB", mr, again, f"`{file}`"])
    return markdown_table(["name", "what", "numbers", "size", "test mR", "read again by", "file"], rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "headline": headline, "reproduced": reproduced, "toy": toy_benchmark, "ucm": ucm_benchmark, "loss": loss_ablation,
    "conclusions": choices_of_the_paper, "story": story_studies, "controls": control_sets,
    "speed": speed_ratios, "gpu": gpu_speed_ratios, "exercises": exercise_counts,
    "search": search_beside_faiss, "faults": fault_cases, "tiles": folder_search,
    "successors": published.summary_table, "successors-recalls": published.recalls_table,
    "successors-sources": published.source_list, "successors-measured": later_methods_table,
    "beyond": study_tables, "adapters": shipped_adapters,
}  # fmt: skip
