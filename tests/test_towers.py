"""Heads train and evaluate on every kind of tower that open_clip builds: timm's ViT, EVA and ConvNeXt, ResNets, CoCa,
SigLIP. All are small, or take few pictures, and have random weights."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import torch

import rsnb
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError, RsnbWarning

TEXT = {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
TIMM = {"timm_model_pretrained": False, "timm_pool": "", "timm_proj": "linear"}
#: name -> (vision_cfg, whether the text tower is a module of its own)
TOWERS = {
    "timm-vit": ({**TIMM, "timm_model_name": "test_vit", "image_size": 160, "timm_pool": "token"}, False),
    "convnext": ({**TIMM, "timm_model_name": "test_convnext", "image_size": 160}, False),
    "timm-resnet": ({**TIMM, "timm_model_name": "test_resnet", "image_size": 160, "timm_pool": "avg"}, True),
    "eva": ({**TIMM, "timm_model_name": "eva02_tiny_patch14_224", "image_size": 224, "timm_pool": "token"}, True),
    "resnet": ({"image_size": 64, "layers": [1, 1, 1, 1], "width": 16}, False),
    "vit": ({"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32}, True),
}


@pytest.fixture(scope="module")
def parts():
    return rsnb.load_dataset("toy", "train", limit=8), rsnb.load_dataset("toy", "val", limit=6)


@pytest.fixture(scope="module")
def any_clip():
    """any_clip(name of a tower): a small CLIP of that kind, through open_clip's table of models."""
    from open_clip import factory

    def load(name: str):
        vision, custom = TOWERS[name]
        factory._MODEL_CONFIGS[f"rsnb-test-{name}"] = copy.deepcopy(
            {"embed_dim": 24, "vision_cfg": vision, "text_cfg": TEXT, "custom_text": custom}
        )
        torch.manual_seed(0)
        with pytest.warns(RsnbWarning, match="RANDOM"):
            return rsnb.load_clip(f"rsnb-test-{name}")

    yield load
    for name in TOWERS:
        factory._MODEL_CONFIGS.pop(f"rsnb-test-{name}", None)


def train_and_come_back(clip, method, parts, tmp_path):
    """One epoch, an evaluation, a file and back; a learning rate at which every head moves."""
    before = {name: x.clone() for name, x in clip.model.state_dict().items()}
    model = rsnb.adapt(clip, method, seed=0)
    start = {name: x.detach().clone() for name, x in model.trainable().items()}
    config = TrainConfig(method, loss="clip", epochs=1, batch_size=4, lr=0.01, precision="fp32", device="cpu")
    rsnb.train(model, *parts, config, progress=False)
    assert all(not torch.equal(start[name], x) for name, x in model.trainable().items())
    report = rsnb.evaluate(model, parts[1])
    assert math.isfinite(report.mr)
    path = rsnb.save_adapter(model, tmp_path / "a.safetensors")
    model.detach()
    again = rsnb.load_adapter(path, clip)
    assert torch.equal(rsnb.evaluate(again, parts[1]).image_embeddings, report.image_embeddings)
    again.detach()
    assert all(torch.equal(before[name], x) for name, x in clip.model.state_dict().items())


@pytest.mark.filterwarnings("ignore:open_clip's own forward is used")
@pytest.mark.parametrize("method", ["linear_probe", "clip_adapter"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.check] * (n == "eva")) for n in TOWERS])
def test_heads_on_any_tower(any_clip, parts, tmp_path, name, method):
    clip = any_clip(name)
    assert clip.embed_dim == 24 == clip.encode_text(clip.tokenizer(["a pond"])).shape[1]
    assert clip.context_length == 32 and clip.image_size == TOWERS[name][0]["image_size"]
    train_and_come_back(clip, method, parts, tmp_path)


@pytest.mark.filterwarnings("ignore:open_clip's own forward is used")
def test_a_part_of_any_tower_trains_beside_a_head(any_clip):
    clip = any_clip("convnext")
    model = rsnb.adapt(clip, "linear_probe", unfreeze="visual.head").train()
    assert any(name.startswith("clip:visual.head") for name in model.trainable())
    model.encode_image(torch.randn(2, 3, 160, 160)).sum().backward()
    assert all(p.grad is not None for name, p in model.trainable().items() if "visual" in name)


@pytest.mark.filterwarnings("ignore:open_clip's own forward is used")
@pytest.mark.parametrize("name", ["eva", "resnet"])
def test_what_needs_blocks_says_so(any_clip, name):
    clip = any_clip(name)
    for method in ("mrs", "coop", "vpt", "lora"):
        with pytest.raises(RsnbError, match="image tower .* no stack"):
            rsnb.adapt(clip, method)
    model = rsnb.adapt(clip, "linear_probe")
    with pytest.raises(RsnbError, match="loss='clip'"):
        model.encode_twice("image", torch.zeros(2, 3, clip.image_size, clip.image_size))


# --- SigLIP -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def siglip_folder(tmp_path_factory) -> Path:
    """A small SigLIP with a tokenizer of its own, as open_clip and transformers keep them on a disk."""
    pytest.importorskip("transformers", reason="SigLIP's tokenizer needs transformers: pip install 'rsnb[siglip]'")
    import open_clip
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("siglip")
    captions, _ = rsnb.load_dataset("toy", "train", limit=8).captions
    words = ["<pad>", "</s>", "<unk>", *sorted({word for caption in captions for word in caption.split()})]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    config = copy.deepcopy(open_clip.get_model_config("ViT-B-16-SigLIP"))
    config["embed_dim"] = 64
    config["vision_cfg"] |= {"image_size": 160, "timm_model_name": "test_vit"}
    config["text_cfg"] |= {"context_length": 16, "vocab_size": len(words), "width": 64, "heads": 2, "layers": 1}
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    whole = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(whole), encoding="utf-8")
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(**{k: v for k, v in config.items() if k != "custom_text"})
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    return folder


@pytest.mark.filterwarnings("ignore:open_clip's own forward is used")
@pytest.mark.parametrize("method", ["linear_probe", "clip_adapter"])
def test_heads_on_siglip(siglip_folder, parts, tmp_path, method):
    clip = rsnb.load_clip(f"local-dir:{siglip_folder}")
    assert clip.embed_dim == 64 and clip.context_length == 16 and type(clip.tokenizer).__name__ == "HFTokenizer"
    train_and_come_back(clip, method, parts, tmp_path)


@pytest.mark.parametrize("part", ["hf_tokenizer_name", "hf_model_name"])
def test_what_needs_transformers_says_what_to_install(monkeypatch, part):
    import sys

    from open_clip import factory

    text = {**TEXT, part: "somebody/words"}
    monkeypatch.setitem(
        factory._MODEL_CONFIGS, "words", {"embed_dim": 24, "vision_cfg": TOWERS["vit"][0], "text_cfg": text}
    )
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if it were not installed
    monkeypatch.setattr("open_clip.hf_model.transformers", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RsnbError, match=r"transformers.*rsnb\[siglip\]"):
        rsnb.load_clip("words")


def test_a_folder_without_weights_is_refused(tmp_path):
    vision, _ = TOWERS["vit"]
    config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": TEXT}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    with pytest.raises(RsnbError, match="could not load"):
        rsnb.load_clip(f"local-dir:{tmp_path}")
