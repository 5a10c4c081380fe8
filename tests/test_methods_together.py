"""Several methods on one CLIP, and parts of the CLIP that train beside them. That the fast forward and the hooks are
equal there is asked in test_own_methods.py."""

from __future__ import annotations

import pytest
import torch
from test_method_table import a_batch, a_loss, mini, perturb  # noqa: F401
from test_own_methods import Own

import rsnb
from rsnb.baselines.adapters import LoRA
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.mrs import MRS
from rsnb.surgery import Method


class ByHand(Method):
    """MRS, LoRA and a scale of the embedding, written as one class."""

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip):
        super().__init__()
        self.mrs, self.lora = MRS(clip, bottleneck=8, shared=8, dropout=0.0), LoRA(clip, rank=3)
        self.scale = Scale(clip)
        self.in_proj, self.after_mlp, self.head = self.lora.in_proj, self.mrs.after_mlp, self.scale.head


class Scale(Method):
    promises = {"tokenwise", "reads only"}

    def __init__(self, clip, start: float = 1.0):
        super().__init__()
        self.by = torch.nn.Parameter(torch.full((clip.embed_dim,), start))

    def head(self, x, tower):
        return x * self.by


class Logged(Own):
    """Writes down by whom a place is called."""

    log: list[str] = []

    def after_mlp(self, out, normed, stream, tower, layer):
        self.log.append(type(self).__name__)
        return 2 * out + 1

    def leave(self, x):
        self.log.append(type(self).__name__)
        return x


class LoggedToo(Logged):
    def after_mlp(self, out, normed, stream, tower, layer):
        return super().after_mlp(out, normed, stream, tower, layer) ** 2


@pytest.mark.parametrize("method", [["mrs", ("lora", {"rank": 3}), Scale], [("mrs", {}), "lora", Scale]])
def test_equal_to_one_class_written_by_hand(mini, method):  # noqa: F811
    pixels, tokens = a_batch(mini)
    options = {"mrs.bottleneck": 8, "mrs.shared": 8, "mrs.dropout": 0.0, "lora.rank": 3}
    found = []
    for build, more in ((ByHand, {}), (method, options)):
        model = perturb(rsnb.adapt(mini, build, seed=0, **more)).train()
        loss = (model.encode_image(pixels) @ model.encode_text(tokens).T).sum()
        loss.backward()
        found.append((model.encode_image(pixels), [p.grad for p in model.trainable().values()]))
        model.detach()
    assert torch.equal(found[0][0], found[1][0])
    assert len(found[0][1]) == len(found[1][1]) and all(torch.equal(p, q) for p, q in zip(found[0][1], found[1][1]))
    assert (model.method, model.options) == ("mrs+lora+Scale", options)


def test_the_order_of_the_parts(mini):  # noqa: F811
    model, log = rsnb.adapt(mini, [Logged, LoggedToo]), Logged.log
    x = torch.ones(1, 2, mini.widths["image"])
    log.clear()
    assert torch.equal(model.added.after_mlp(x, x, x, "image", 0), (2 * (2 * x + 1) + 1) ** 2)
    model.added.leave(x)
    assert log == ["Logged", "LoggedToo", "LoggedToo", "Logged"], "what entered last leaves first"
    model.detach()


def test_a_promise_is_made_if_all_parts_make_it(mini):  # noqa: F811
    for parts, tokenwise, reads_only in [
        (["mrs", "lora"], True, True),
        (["mrs", "convpass"], False, True),
        (["mrs", Logged], False, False),
    ]:
        model = rsnb.adapt(mini, parts)
        assert model.added.keeps_promise("tokenwise") == tokenwise != model.added.mixes_tokens("image")
        assert model.added.keeps_promise("reads only") == reads_only
        model.detach()


def test_in_words_and_in_a_config(mini):  # noqa: F811
    config = TrainConfig(method="mrs+lora", options={"lora.rank": 3, "unfreeze": ["ln_post", "ln_final"]})
    model = rsnb.adapt(mini, config.method, seed=0, **config.options)
    assert (model.method, model.options) == (config.method, config.options)
    listed = {"unfreeze": ["ln_post", "ln_final"]}
    model.detach()
    same = rsnb.adapt(mini, ["mrs", ("lora", {"rank": 3})], seed=0, **listed)
    assert all(torch.equal(a, b) for a, b in zip(model.state().values(), same.state().values()))
    same.detach()
    one = rsnb.adapt(mini, ("lora", {"rank": 3}))
    assert (one.method, one.options) == ("lora", {"rank": 3})
    one.detach()


def test_composed_on_a_command_line(tmp_path):
    from rsnb.commands import cli

    few = ["--limit", "8", "--epochs", "1", "--batch-size", "4", "--out", str(tmp_path), "--json"]
    more = ["--set", "lora.rank=1", "--set", "mrs.bottleneck=8", "--set", "unfreeze=ln_post", "--set", "mrs.shared=8"]
    assert cli.main(["train", "--method", "mrs+lora", *more, *few]) == 0
    model = rsnb.load_adapter(tmp_path / "adapter.safetensors")
    assert model.method == "mrs+lora" and model.options["lora.rank"] == 1 and len(model.unfrozen) == 2


@pytest.mark.parametrize(
    "method, options, message",
    [
        (["mrs", "mrs"], {}, "given twice"),
        ([], {}, "no method is given"),
        ("mrs+magic", {}, "no method is called 'magic'"),
        (["mrs", 3], {}, "no method is called 3"),
        (7, {}, "no method is called 7"),
        ("mrs+lora", {"rank": 3}, "no option 'rank'.*METHOD.OPTION"),
        ("mrs+lora", {"lora.rnk": 3}, "'lora' has no option called rnk; it has: rank"),
        ("mrs+lora", {"coop.tokens": 3}, "'coop.tokens'"),
        (["mrs", type("lora", (Scale,), {})], {}, "the name lora is taken"),
        (type("Lookup", (Scale,), {"at": lambda self, layer: layer}), {}, "Lookup has a 'at'"),
        (["vpt", "vl_prompt"], {}, "both override 'enter'"),
        (["coop", "vl_prompt"], {}, "both override 'tokens'"),
        ("mrs", {"unfreeze": "lm_"}, "unfreeze is 'lm_'.* ln_1"),
        ("mrs", {"unfreeze": ("ln_", "visual.prj")}, "'visual.prj'.* visual.proj"),
    ],
)
def test_what_does_not_go_together_is_said(mini, method, options, message):  # noqa: F811
    with pytest.raises(RsnbError, match=message):
        rsnb.adapt(mini, method, **options)
    assert mini.adapted_by is None


def test_prompts_in_the_way_of_a_convolution(mini):  # noqa: F811
    model = rsnb.adapt(mini, ["vpt", "convpass"])
    with pytest.raises(RsnbError, match="does not go with prompts"):
        model.encode_image(a_batch(mini)[0])
    model.detach()


# --- parts of the CLIP ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "words, ends, count",
    [
        ("ln_", {"weight", "bias"}, None),
        ("visual.proj", {"proj"}, 1),
        (["logit_scale", "text_projection"], {"logit_scale", "text_projection"}, 2),
        ("resblocks.1", None, 24),  # of both towers; not blocks 10, 11, ...
        ("visual.transformer.resblocks.1.mlp", {"weight", "bias"}, 4),
        ("", None, None),
        ((), set(), 0),
    ],
)
def test_a_part_is_named_by_the_beginning_of_a_name(mini, words, ends, count):  # noqa: F811
    from rsnb.adapted import named_parameters_of

    found = named_parameters_of(mini.model, words)
    assert count is None or len(found) == count
    assert ends is None or {name.split(".")[-1] for name in found} == ends
    if words == "ln_":
        assert found == {n for n, _ in mini.model.named_parameters() if ".ln_" in f".{n}"}
    if words == "":
        assert len(found) == len(list(mini.model.parameters()))


def test_an_unfrozen_part_trains_in_a_copy_and_the_clip_stays_as_it_was(mini):  # noqa: F811
    pixels, tokens = a_batch(mini)
    before = {name: x.clone() for name, x in mini.model.state_dict().items()}
    grads, print_before = [p.requires_grad for p in mini.parameters()], mini.fingerprint()
    frozen = sum(p.numel() for n, p in mini.model.named_parameters() if ".ln_" not in f".{n}")
    everything = sum(p.numel() for p in mini.model.parameters())
    alone = rsnb.adapt(mini, "mrs", seed=0)
    adapter = rsnb.count_trainable(alone)
    alone.detach()
    model = rsnb.adapt(mini, "mrs", seed=0, unfreeze="ln_").train()
    assert rsnb.count_trainable(model) == adapter + everything - frozen
    assert not model.clip.training, "as the frozen CLIP"
    start = {name: p.detach().clone() for name, p in model.trainable().items()}
    optimizer = torch.optim.Adam(model.trainable().values(), lr=1e-3)
    assert sum(p.numel() for g in optimizer.param_groups for p in g["params"]) == rsnb.count_trainable(model)
    perturb(model)
    a_loss(model, pixels, tokens).backward()
    optimizer.step()
    assert all(not torch.equal(start[name], p) for name, p in model.trainable().items())
    shared = dict(mini.model.named_parameters())["visual.proj"]
    assert dict(model.clip.model.named_parameters())["visual.proj"].data_ptr() == shared.data_ptr(), "no second copy"
    assert model.clip.fingerprint() != print_before == model.original[0].fingerprint()
    assert model.detach() is mini and [p.requires_grad for p in mini.parameters()] == grads
    assert all(torch.equal(before[name], x) for name, x in mini.model.state_dict().items())
    assert not any(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in mini.modules())


def test_a_model_with_a_copy_leaves_another_one_on_the_clip_alone(mini):  # noqa: F811
    copied = rsnb.adapt(mini, "mrs", seed=0, unfreeze="ln_")
    other = rsnb.adapt(mini, "mrs", seed=0)
    before = other.encode_image(a_batch(mini)[0])
    copied.detach()
    assert mini.adapted_by == "mrs" and not any(p.requires_grad for p in mini.parameters())
    assert torch.equal(other.encode_image(a_batch(mini)[0]), before)
    other.detach()
    assert mini.adapted_by is None and all(p.requires_grad for p in mini.parameters())


class Normed(Method):
    """Has a state that training moves and no optimizer does."""

    def __init__(self, clip):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(clip.embed_dim)

    def head(self, x, tower):
        return self.norm(x)


@pytest.mark.check
def test_the_best_epoch_comes_back_with_all_that_training_moved(mini, tmp_path):  # noqa: F811
    train, val = (rsnb.load_dataset("toy", split, limit=16) for split in ("train", "val"))
    config = TrainConfig("Normed", {"unfreeze": "ln_"}, "clip", epochs=3, batch_size=8, precision="fp32", lr=0.1)
    found = []
    for stop in (None, 1):
        model, seen = rsnb.adapt(mini, Normed, seed=0, unfreeze="ln_"), {}

        def remember(row, model=model, seen=seen, stop=stop):
            seen[row["epoch"]] = {name: x.detach().clone() for name, x in model.state().items()}, row["val_mr"]
            if row["epoch"] == stop:
                raise InterruptedError

        folder = tmp_path / str(stop)
        if stop:
            with pytest.raises(InterruptedError):
                rsnb.train(model, train, val, config, out=folder, progress=False, on_epoch=remember)
            model = rsnb.adapt(mini, Normed, seed=1, unfreeze="ln_")
        result = rsnb.train(
            model, train, val, config, out=folder, progress=False, on_epoch=remember if not stop else None
        )
        found.append({name: x.clone() for name, x in model.state().items()})
        if not stop:
            assert result.best_val_mr == max(mr for _, mr in seen.values())
            best, _ = seen[result.best_epoch]
            assert "norm.running_mean" in best and "clip:ln_final.weight" in best
            assert all(torch.equal(best[name], x) for name, x in found[0].items())
    assert all(torch.equal(found[1][name], x) for name, x in found[0].items()), "interrupted and continued"


def test_frozen_parts_of_a_method_and_a_shared_one_are_counted_as_they_move(mini):  # noqa: F811
    class Odd(Own):
        def __init__(self, clip):
            super().__init__(clip)
            self.again, self.frozen, self.clip = self.maps["text"], torch.nn.Linear(3, 3), clip.model
            self.frozen.requires_grad_(False)

        def head(self, x, tower):
            return x

    model = rsnb.adapt(mini, Odd, unfreeze="visual.proj")
    own = sum(width * width + width for width in mini.widths.values())
    assert rsnb.count_trainable(model) == own + mini.model.visual.proj.numel()
    assert set(model.state()) - set(model.trainable()) == {"frozen.weight", "frozen.bias"}, (
        "the CLIP is not the method's"
    )
    model.detach()
