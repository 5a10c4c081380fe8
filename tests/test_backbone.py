from __future__ import annotations

import pytest
import torch
from PIL import Image

import rsnb
from rsnb.errors import RsnbError, RsnbWarning


@pytest.fixture(scope="module")
def tiny_names():
    """Two tiny models under open_clip's naming rule: plain GELU and its -quickgelu twin."""
    from open_clip import factory

    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    for name, quick in (("rsnb-test-tiny", False), ("rsnb-test-tiny-quickgelu", True)):
        factory._MODEL_CONFIGS[name] = {"embed_dim": 32, "quick_gelu": quick, "vision_cfg": vision, "text_cfg": text}
    yield "rsnb-test-tiny", "rsnb-test-tiny-quickgelu"
    for name in ("rsnb-test-tiny", "rsnb-test-tiny-quickgelu"):
        factory._MODEL_CONFIGS.pop(name)


@pytest.fixture
def weights(tiny_names):
    import open_clip

    torch.manual_seed(0)
    return open_clip.create_model(tiny_names[1]).state_dict()


def test_mini_is_an_ordinary_open_clip_model_with_its_own_weights():
    import open_clip

    clip = rsnb.load_clip()
    assert isinstance(clip.model, open_clip.CLIP) and clip.name == "mini" and "RANDOM" not in clip.stamp
    assert "rsnb-mini" in open_clip.list_models()
    assert clip.fingerprint() == rsnb.load_clip("mini").fingerprint()
    pixels = clip.preprocess(Image.new("RGB", (200, 100), "green"))[None]
    tokens = clip.tokenizer(["a pond"])
    assert pixels.shape == (1, 3, 60, 60) and tokens.shape == (1, 32)
    assert int(tokens.argmax(-1)) == int((tokens != 0).sum()) - 1, "the end-of-text token has the largest id"
    for embedding in (clip.encode_image(pixels), clip.encode_text(tokens)):
        assert embedding.shape == (1, 128)
        torch.testing.assert_close(embedding.norm(), torch.tensor(1.0))


def test_the_mini_weights_are_small():
    from rsnb.base import paths

    assert (paths.mini_dir() / "mini.safetensors").stat().st_size < 8 * 2**20


def test_random_weights_are_said_aloud(tiny_names):
    with pytest.warns(RsnbWarning, match="RANDOM weights"):
        clip = rsnb.load_clip(tiny_names[0])
    assert "RANDOM" in clip.stamp
    with pytest.warns(RsnbWarning, match="RANDOM"):
        assert "RANDOM" in rsnb.load_clip("mini", "random").stamp


def test_a_plan_loads_no_weights(tmp_path):
    from rsnb.backbone import clip_of_a_plan

    state = torch.random.get_rng_state()
    clip = clip_of_a_plan("mini", tmp_path / "not-there-yet.safetensors")
    assert "not-there-yet.safetensors" in clip.stamp and "RANDOM" not in clip.stamp
    assert torch.equal(state, torch.random.get_rng_state()) and clip.fingerprint() != rsnb.load_clip().fingerprint()


@pytest.mark.parametrize("form", ["safetensors", "state_dict", "checkpoint"])
def test_weights_from_a_file(tiny_names, weights, tmp_path, form):
    from safetensors.torch import save_file

    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        save_file(weights, path)
    else:
        checkpoint = {"state_dict": {f"module.{k}": v for k, v in weights.items()}}
        torch.save(checkpoint if form == "checkpoint" else weights, path)
    clip = rsnb.load_clip(tiny_names[1], path)
    assert all(torch.equal(v, weights[k]) for k, v in clip.model.state_dict().items())
    assert "RANDOM" not in clip.stamp and path.name in clip.stamp


def test_openai_weights_in_a_plain_gelu_model(tiny_names, weights, tmp_path):
    """What only OpenAI's archives hold proves it; a name, or numbers like theirs, are a hint: the file is loaded."""
    plain, quick = tiny_names
    (tmp_path / "openai").mkdir()
    named, theirs = tmp_path / "openai" / "mine.pt", tmp_path / "ViT-X.pt"
    torch.save(weights, named)
    torch.save({**weights, "input_resolution": torch.tensor(32)}, theirs)
    with pytest.raises(RsnbError, match=f"load them as '{quick}'"):
        rsnb.load_clip(plain, theirs)
    with pytest.warns(RsnbWarning, match=f"by its name.*'{quick}'"):
        rsnb.load_clip(plain, named)
    for path in (named, theirs):
        rsnb.load_clip(quick, path)


def test_openai_torchscript_archive(tiny_names, weights, tmp_path):
    """OpenAI ships TorchScript files: read as tensors, refused by the plain-GELU model."""

    class Holder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, value in {**weights, "input_resolution": torch.tensor(32)}.items():
                *folders, leaf = name.split(".")
                place = self
                for folder in folders:
                    if not hasattr(place, folder):
                        place.add_module(folder, torch.nn.Module())
                    place = getattr(place, folder)
                place.register_buffer(leaf, value.detach().clone())

        def forward(self, x):
            return x

    path = tmp_path / "ViT-X-32.pt"
    torch.jit.save(torch.jit.trace(Holder(), torch.zeros(1)), str(path))
    with pytest.raises(RsnbError, match="QuickGELU"):
        rsnb.load_clip(tiny_names[0], path)
    clip = rsnb.load_clip(tiny_names[1], path)
    assert all(torch.equal(v, weights[k]) for k, v in clip.model.state_dict().items())


def test_faults_are_named(tiny_names, weights, tmp_path):
    with pytest.raises(RsnbError, match="knows no model called 'ViT-B-33'; similar names: .*ViT-B-32"):
        rsnb.load_clip("ViT-B-33")
    with pytest.raises(RsnbError, match="no checkpoint at"):
        rsnb.load_clip(tiny_names[0], tmp_path / "none.safetensors")
    torch.save({k: v for k, v in weights.items() if "visual" in k}, tmp_path / "half.pt")
    with pytest.raises(RsnbError, match="do not fit this model: .* missing"):
        rsnb.load_clip(tiny_names[1], tmp_path / "half.pt")
    (tmp_path / "noise.pt").write_bytes(b"\x80\x04noise")
    with pytest.raises(RsnbError, match="cannot be read as weights"):
        rsnb.load_clip(tiny_names[1], tmp_path / "noise.pt")
    with pytest.raises(RsnbError, match="could not load"):
        rsnb.load_clip("ViT-B-32-quickgelu", "no_such_tag")


def test_a_pickle_that_runs_code_is_not_run(tiny_names, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(RsnbError, match="cannot be read as weights"):
        rsnb.load_clip(tiny_names[0], tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()
