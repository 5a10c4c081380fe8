"""What is written is read back equal, and whatever bytes a file holds, reading it ends well or in an RsnbError."""

from __future__ import annotations

import csv
import io
import json
import math
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsnb.base.assignments import parse_assignment, parse_assignments
from rsnb.config import TrainConfig
from rsnb.data import load_dataset
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.settings import resolve

FEW, MANY = 10, 2000
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def tried(test):
    """The test with few examples, and in a campaign with many, the same ones each time."""
    few = settings(max_examples=FEW, derandomize=True, deadline=None, suppress_health_check=CHECKS)
    many = settings(few, max_examples=MANY)

    @pytest.mark.parametrize("profile", [few, pytest.param(many, marks=pytest.mark.campaign)], ids=["few", "many"])
    def run(profile):
        profile(test)()

    return run


# A caption or a name as people write it: no line breaks (a row is a line), and nothing that is not text.
LINE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Co", "Cn")), min_size=1, max_size=40)
CAPTION = LINE.map(lambda text: f"a {text} b".strip())
NAME = st.text("abcXYZ0189_- é机", min_size=1, max_size=12).map(str.strip).filter(bool)
SETS = st.lists(
    st.tuples(NAME, st.lists(CAPTION, min_size=1, max_size=3)),
    min_size=2,
    max_size=6,
    unique_by=lambda r: r[0].casefold(),
)


def read(folder: Path) -> dict[str, tuple[str, ...]]:
    """name -> captions of a folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RsnbWarning)
        return {item.name: item.captions for item in load_dataset(folder, "all", images=False)}


def written(files: dict[str, bytes]):
    """Read a folder of these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, raw in files.items():
            Path(folder, name).write_bytes(raw)
        return read(Path(folder))


def as_karpathy(rows) -> dict[str, bytes]:
    images = [
        {"filename": f"{name}.png", "split": "train", "sentences": [{"raw": c} for c in captions]}
        for name, captions in rows
    ]
    return {"dataset_own.json": json.dumps({"images": images}).encode()}


def as_harma(rows) -> dict[str, bytes]:
    entries = [{"image": f"train/{name}.png", "caption": captions} for name, captions in rows]
    return {"own_train.json": json.dumps(entries, ensure_ascii=False).encode()}


def as_table(rows, separator: str, encoding: str = "utf-8", first: str = "") -> dict[str, bytes]:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(("filename", "title"))
    writer.writerows((f"{name}.png", caption) for name, captions in rows for caption in captions)
    return {"own.csv": (first + text.getvalue()).encode(encoding)}


def as_precomp(rows) -> dict[str, bytes]:
    lines = [(f"{name}.png", captions[0]) for name, captions in rows]
    names, captions = ("".join(f"{line[i]}\n" for line in lines).encode() for i in (0, 1))
    return {"train_filename.txt": names, "train_caps.txt": captions}


LAYOUTS = {
    "karpathy": as_karpathy,
    "harma": as_harma,
    "comma": lambda rows: as_table(rows, ","),
    "semicolon": lambda rows: as_table(rows, ";"),
    "tab": lambda rows: as_table(rows, "\t"),
    "UTF-16": lambda rows: as_table(rows, ",", "utf-16"),
    "sep=": lambda rows: as_table(rows, ";", first="sep=;\r\n"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=FEW, derandomize=True, deadline=None, suppress_health_check=CHECKS)
@given(rows=SETS)
def test_captions_are_read_as_written(layout, rows):
    found = written(LAYOUTS[layout](rows))
    prefix = "train/" if layout == "harma" else ""
    assert found == {f"{prefix}{name}.png": tuple(c.strip() for c in captions) for name, captions in rows}


@tried
@given(rows=SETS)
def test_lines_are_read_as_written(rows):
    assert written(as_precomp(rows)) == {f"{name}.png": (captions[0].strip(),) for name, captions in rows}


NAMES = (
    "dataset_own.json", "own_train.json", "own.csv", "own.tsv", "train_caps.txt", "own_train.parquet", "metadata.jsonl",
)  # fmt: skip
HEADS = (
    b"", b"filename,title\n", b"\xff\xfe", b'{"images": [', b'[{"image": "a", "caption": "b"}', b"PAR1", b"sep=;\n",
)  # fmt: skip


@tried
@given(name=st.sampled_from(NAMES), head=st.sampled_from(HEADS), raw=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(name, head, raw):
    beside = {"train_filename.txt": b"a.png\n"} if name == "train_caps.txt" else {}
    try:
        written({name: head + raw, **beside})
    except RsnbError as error:
        assert str(error)


KEYS = (
    "images", "annotations", "filename", "file_name", "split", "sentences", "raw", "caption", "image", "id", "image_id",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@tried
@given(name=st.sampled_from(("dataset_own.json", "own_train.json", "captions_train2017.json")), value=JSON, more=JSON)
def test_any_json_is_read_or_refused(name, value, more):
    for text in (value, {"images": value}, {"images": [value, more]}, [value], {"images": value, "annotations": more}):
        try:
            written({name: json.dumps(text).encode()})
        except RsnbError as error:
            assert str(error)


# --- settings ---------------------------------------------------------------------------------------------------
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(st.integers())
)
KEY = st.text(st.characters(exclude_characters="=", exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)


@tried
@given(key=KEY, value=VALUES)
def test_an_assignment_is_read_as_written(key, value):
    assert parse_assignment(f"{key}={json.dumps(value)}", "KEY=VALUE", "a=1") == (key.strip(), value)


@tried
@given(text=st.text(max_size=40))
def test_any_text_is_an_assignment_or_refused(text):
    try:
        name, values = parse_assignments(text, "KEY=VALUE", "a=1")
    except RsnbError:
        return
    assert name and values


VARIABLES = ("SEED", "EPOCHS", "BATCH_SIZE", "LIMIT", "DPI", "QUICK", "DATA", "ROOT")
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 1000), "batch_size": st.integers(2, 4096), "seed": st.integers(0, 2**64 - 1),
        "lr": st.floats(1e-9, 1.0), "margin": st.floats(0, 2), "token_dropout": st.floats(0, 0.99),
        "loss": st.sampled_from(("hmmc", "clip", "triplet")), "pairs": st.sampled_from(("one", "all")),
        "weights": st.tuples(st.floats(0.1, 5), st.floats(0, 5), st.floats(0, 5)),
    },
)  # fmt: skip


@tried
@given(fields=CONFIGS)
def test_a_configuration_is_read_as_written(fields):
    config = TrainConfig(**fields)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@tried
@given(field=st.sampled_from(sorted(TrainConfig.__dataclass_fields__)), value=JSON)
def test_any_value_is_a_setting_or_refused(field, value):
    try:
        found = TrainConfig(**{field: value})
    except RsnbError:
        return
    numbers = [x for x in (found.lr, found.margin, found.token_dropout, *found.weights) if isinstance(x, float)]
    assert all(map(math.isfinite, numbers))


@tried
@given(
    name=st.sampled_from(("SEED", "EPOCHS", "BATCH_SIZE", "LIMIT", "DPI", "QUICK", "DATA", "ROOT")),
    text=st.text(max_size=12),
)
def test_any_variable_is_a_setting_or_refused(name, text):
    try:
        resolve({f"RSNB_{name}": text})
    except RsnbError as error:
        assert str(error)


# --- adapters ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    import rsnb

    clip = rsnb.load_clip("mini")
    return rsnb.save_adapter(rsnb.adapt(clip, "mrs"), tmp_path_factory.mktemp("adapter") / "a.safetensors")


@pytest.mark.parametrize("examples", [FEW, pytest.param(500, marks=pytest.mark.campaign)])
def test_any_header_is_read_or_refused(adapter, examples):
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    import rsnb

    with safe_open(adapter, "pt") as file:
        header = dict(file.metadata())
    tensors, clip = load_file(adapter), rsnb.load_clip("mini")
    other = adapter.with_name("other.safetensors")

    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=CHECKS)
    @given(name=st.sampled_from(sorted(header)), value=JSON.map(json.dumps) | st.text(max_size=12))
    def check(name, value):
        save_file(tensors, other, metadata={**header, name: value.encode("utf-8", "replace").decode()})
        try:
            rsnb.load_adapter(other, clip).detach()
        except RsnbError as error:
            assert str(error)

    check()


@pytest.mark.parametrize("examples", [FEW, pytest.param(2000, marks=pytest.mark.campaign)])
def test_any_bytes_are_an_adapter_or_refused(adapter, examples):
    from rsnb.methods import read_header

    whole, other = adapter.read_bytes(), adapter.with_name("other.safetensors")

    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=CHECKS)
    @given(at=st.integers(0, 2000), raw=st.binary(min_size=1, max_size=50), cut=st.booleans())
    def check(at, raw, cut):
        other.write_bytes(whole[:at] + raw + (b"" if cut else whole[at + len(raw) :]))
        try:
            read_header(other)
        except RsnbError as error:
            assert str(error)

    check()
