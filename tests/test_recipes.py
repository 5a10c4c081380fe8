"""The page of recipes: its blocks are run as they stand there, and do what the page says."""

from __future__ import annotations

import json
import re
import shutil
import warnings

import huggingface_hub
import pytest
import torch

import rsnb
from rsnb.base.recalls import COLUMNS
from rsnb.errors import RsnbError
from rsnb.publishing.card import FILE, adapter_folder


@pytest.fixture(scope="module")
def page(repo) -> dict[str, list[str]]:
    """{section: its blocks of Python}."""
    text = (repo / "notebooks" / "recipes.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {
        title: re.findall(r"^```python\n(.+?)^```$", body, re.MULTILINE | re.DOTALL)
        for title, body in zip(parts[1::2], parts[2::2])
    }


def run(blocks: list[str]) -> dict:
    """What the blocks leave behind."""
    names: dict = {}
    for block in blocks:
        exec(compile(block, "recipes.md", "exec"), names)
    return names


def trained(clip, method: str, out, **options):
    """As if trained: an adapter far from where it starts, saved as `rsnb train` saves it. Returns the model."""
    model = rsnb.adapt(clip, method, seed=0, **options)
    rng = torch.Generator().manual_seed(1)
    for p in model.trainable().values():
        p.data = 0.05 * torch.randn(p.shape, generator=rng)
    rsnb.save_adapter(model, out / "adapter.safetensors")
    return model


def embeddings(model, rows: int = 3) -> dict[str, torch.Tensor]:
    """Of given pictures and captions, by tower."""
    clip = getattr(model, "clip", model)
    pixels, words = inputs(clip, rows).values()
    with torch.no_grad():
        return {"image": model.encode_image(pixels), "text": model.encode_text(words)}


def inputs(clip, rows: int) -> dict[str, torch.Tensor]:
    pixels = torch.randn(rows, 3, clip.image_size, clip.image_size, generator=torch.Generator().manual_seed(2))
    words = clip.tokenizer(["two planes", "a bridge over a river", "", "a beach", "some boats in a harbor"][:rows])
    return {"image": pixels, "text": words}


def backbone(name: str, folder):
    """The mini CLIP, or another one with random weights that lie in a file, so that an adapter can name them."""
    if name == "mini":
        return rsnb.load_clip("mini")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        torch.save(rsnb.load_clip(name).model.state_dict(), folder / "random.pt")
    return rsnb.load_clip(name, folder / "random.pt")


BACKBONES = ["mini", pytest.param("ViT-B-32-quickgelu", marks=pytest.mark.check)]


def test_recipes_are_short(page):
    """Counted with what they share with another one, and with the use of what they made."""
    merge, export, hub = page.values()
    for blocks in (merge, blocks_with(page, "onnx"), blocks_with(page, "torch.export."), hub):
        assert len([line for block in blocks for line in block.splitlines() if line.strip()]) <= 20, blocks


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("options", [{}, {"rank": 3, "alpha": 6.0, "share_layers": True}], ids=["default", "shared"])
def test_merged_lora_is_the_adapted_model(name, options, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = trained(backbone(name, tmp_path), "lora", tmp_path / "runs" / "lora", **options)
    wanted, before = embeddings(model), model.clip.fingerprint()
    plain = embeddings(model.detach())
    found = run(page["Merge LoRA into the weights"])
    merged = found["merged"]
    for tower, got in embeddings(merged).items():
        assert (got - wanted[tower]).abs().max() <= 1e-5
        assert (got - plain[tower]).abs().max() > 1e-3, "nothing was merged"
    assert merged.adapted_by is None and "merged.pt" in merged.stamp
    assert merged.fingerprint() == found["clip"].fingerprint() != before  # the one changed in place knows it too
    with pytest.raises(RsnbError, match="was trained on"):
        rsnb.load_adapter(tmp_path / "runs" / "lora" / "adapter.safetensors", merged)


def test_a_fingerprint_follows_the_weights():
    clip = rsnb.load_clip("mini")
    first, state = clip.fingerprint(), {k: v.clone() for k, v in clip.model.state_dict().items()}
    with torch.no_grad():
        clip.model.visual.proj += 1
    assert clip.fingerprint() != first
    clip.model.load_state_dict(state)
    assert clip.fingerprint() == first


def exported(name, method, blocks, folder, monkeypatch):
    """The example's names after the blocks ran, and the model's own embeddings."""
    monkeypatch.chdir(folder)
    model = trained(backbone(name, folder), method, folder / "runs" / "mrs")
    with warnings.catch_warnings():  # of torch's exporter about itself
        warnings.simplefilter("ignore")
        return run(blocks), model


def blocks_with(page, word: str) -> list[str]:
    first, *others = page["Export both encoders"]
    return [first, *(block for block in others if word in block)]


METHODS = ["mrs", "convpass", "vl_prompt", "lora", "linear_probe"]  # one for each kind of place
EXPORTED = [*(("mini", method) for method in METHODS), ("ViT-B-32-quickgelu", "mrs")]


@pytest.mark.check
@pytest.mark.parametrize("name, method", EXPORTED)
def test_onnxruntime_gives_what_torch_gives(name, method, page, tmp_path, monkeypatch):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason='the extra "export" is not installed')
    import onnxruntime

    found, model = exported(name, method, blocks_with(page, "onnx"), tmp_path, monkeypatch)
    assert found["embeddings"].shape == embeddings(model)["text"].shape
    for tower in ("image", "text"):
        session = onnxruntime.InferenceSession(tmp_path / "runs" / "mrs" / f"{tower}.onnx")
        for rows in (1, 5):
            (got,) = session.run(None, {"input": inputs(model.clip, rows)[tower].numpy()})
            assert abs(got - embeddings(model, rows)[tower].numpy()).max() <= 1e-4


@pytest.mark.check
@pytest.mark.parametrize("name, method", EXPORTED)
def test_an_exported_program_gives_what_torch_gives(name, method, page, tmp_path, monkeypatch):
    found, model = exported(name, method, blocks_with(page, "torch.export"), tmp_path, monkeypatch)
    assert len(found["embeddings"]) == 5
    for tower in ("image", "text"):
        encode = torch.export.load(tmp_path / "runs" / "mrs" / f"{tower}.pt2").module()
        for rows in (1, 5):
            got = encode(inputs(model.clip, rows)[tower])
            assert (got - embeddings(model, rows)[tower]).abs().max() <= 1e-5


class Hub:
    """The hub as a folder."""

    def __init__(self, folder):
        self.folder = folder

    def create_repo(self, name, exist_ok=False):
        (self.folder / name).mkdir(parents=True, exist_ok=exist_ok)

    def upload_folder(self, repo_id, folder_path):
        shutil.copytree(folder_path, self.folder / repo_id, dirs_exist_ok=True)


def test_an_adapter_goes_to_the_hub_and_back(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, hub = tmp_path / "runs" / "mrs", tmp_path / "there"
    model = trained(rsnb.load_clip("mini"), "mrs", out, bottleneck=16, shared=8)
    recalls = {name: 10.0 + i for i, name in enumerate(COLUMNS)}
    test = {**recalls, "images": 264, "captions": 1320, "stamp": "toy world (drawn) · mini CLIP"}
    result = {"stamp": "toy world (drawn) · mini CLIP · seed 0", "best_epoch": 7, "best_val_mr": 57.4, "test": test}
    (out / "result.json").write_text(json.dumps(result), encoding="utf-8")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: Hub(hub))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda repo, file: str(hub / repo / file))
    back = run(page["Put an adapter on the Hugging Face hub"])["model"]
    wanted, got = embeddings(model), embeddings(back)
    assert all(torch.equal(wanted[tower], got[tower]) for tower in wanted)
    (folder,) = hub.glob("*/*")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", FILE]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n") and card.index("\n---\n", 4) < card.index("# MRS-Adapter")
    for fact in ("bottleneck: 16", "mini", model.clip.fingerprint(), "toy world (drawn)", "57.4", "1,320"):
        assert fact in card, fact
    assert f"{rsnb.count_trainable(model):,} numbers" in card
    assert "| 10.0 | 11.0 | 12.0 | 13.0 | 14.0 | 15.0 | 16.0 |" in card


class Nudge(rsnb.surgery.Method):
    """A method of one's own."""

    def __init__(self, clip):
        super().__init__()
        self.by = torch.nn.Parameter(torch.zeros(clip.embed_dim))

    def head(self, embedding, tower):
        return embedding + self.by


def test_a_card_of_what_is_not_known(tmp_path):
    """No result, a class of one's own, weights of a file: nothing invented, and no folder of this machine told."""
    clip = rsnb.load_clip("mini")
    clip.pretrained = str(tmp_path / "secret" / "weights.pt")
    rsnb.save_adapter(rsnb.adapt(clip, Nudge), tmp_path / "own.safetensors")
    card = (adapter_folder(tmp_path / "own.safetensors", tmp_path / "hub") / "README.md").read_text(encoding="utf-8")
    assert "Not measured." in card and "weights.pt" in card and "secret" not in card and str(tmp_path) not in card
    (use,) = re.findall(r"^```python\n(.+?)^```$", card, re.MULTILINE | re.DOTALL)
    compile(use, "card", "exec")
    assert "method=" in use and "load_clip(" in use
    with pytest.raises(RsnbError, match="no adapter"):
        adapter_folder(tmp_path / "none.safetensors", tmp_path / "hub")
    (tmp_path / "result.json").write_text("{", encoding="utf-8")
    with pytest.raises(RsnbError, match="result.json"):
        adapter_folder(tmp_path / "own.safetensors", tmp_path / "hub")


def test_a_card_of_a_report(tmp_path, tiny_world):
    model = trained(rsnb.load_clip("mini"), "mrs", tmp_path)
    report = rsnb.evaluate(model, rsnb.load_dataset(str(tiny_world), "test"))
    card = (adapter_folder(tmp_path / "adapter.safetensors", tmp_path / "hub", report) / "README.md").read_text("utf-8")
    assert report.stamp in card and f"{report.mr:.1f} |" in card
