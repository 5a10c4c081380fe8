"""What a method leaves alone is computed once: going on from it gives the values and gradients of the whole pass."""

from __future__ import annotations

import pytest
import torch
from test_method_table import a_batch, mini, perturb  # noqa: F401

import rsnb
from rsnb import losses
from rsnb.fast import Begun
from rsnb.mrs import MRS
from rsnb.surgery import TOWERS, untouched_blocks

#: method and options -> what is untouched of (image, text); None is the whole tower
UNTOUCHED = {
    ("zero_shot", ()): (None, None),
    ("linear_probe", ()): (None, None),
    ("clip_adapter", ()): (None, None),
    ("coop", ()): (None, 0),
    ("vpt", ()): (0, None),
    ("vl_prompt", ()): (0, 0),
    ("lora", ()): (0, 0),
    ("full", ()): (0, 0),
    ("mrs", ()): (0, 0),
    ("mrs", (("towers", ("image",)),)): (0, None),
    ("mrs", (("towers", ("text",)), ("layers", (2, 3)))): (None, 2),
    ("mrs", (("layers", (3,)),)): (3, 3),
    ("mrs+linear_probe", (("mrs.layers", (1, 2)),)): (1, 1),
    ("coop+linear_probe", ()): (None, 0),
}


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method, options", UNTOUCHED)
def test_going_on_equals_the_whole_pass(mini, method, options, precision):  # noqa: F811
    """To rounding: a batch of other size may be multiplied in another order."""
    model = perturb(rsnb.adapt(mini, method, seed=0, **dict(options)))
    pixels, tokens = a_batch(mini)
    try:
        assert tuple(model.untouched(tower) for tower in TOWERS) == UNTOUCHED[method, options]
        found = []
        for begun in (False, True):
            model.eval().zero_grad(set_to_none=True)
            with torch.autocast("cpu", precision, enabled=precision != torch.float32):
                given = {"image": pixels, "text": tokens}
                for tower in TOWERS:
                    if begun and model.untouched(tower) != 0:
                        given[tower] = model.begin(tower, given[tower])
                        assert isinstance(given[tower], Begun) and not given[tower].stream.requires_grad
                both = model.encode_image(given["image"]), model.encode_text(given["text"])
            if model.trainable():
                losses.triplet(*both, margin=2.0).backward()
            grads = {n: p.grad for n, p in model.trainable().items() if p.grad is not None}
            found.append((torch.cat(both).detach(), grads))
        (whole, grads), (kept, kept_grads) = found
        rounding = precision == torch.bfloat16
        torch.testing.assert_close(kept, whole, atol=2e-2 if rounding else 1e-6, rtol=0)
        assert set(grads) == set(kept_grads)
        for name, grad in grads.items():
            near = (kept_grads[name] - grad).norm() <= (5e-2 if rounding else 1e-5) * grad.norm() + 1e-7
            assert near, f"{name}: {(kept_grads[name] - grad).norm() / grad.norm():.1e}"
    finally:
        model.detach()


def test_hooks_keep_whole_towers_alone(mini):  # noqa: F811
    model = perturb(rsnb.adapt(mini, "coop+linear_probe", seed=0)).fast(False)
    pixels, tokens = a_batch(mini)
    try:
        torch.testing.assert_close(model.encode_image(model.begin("image", pixels)), model.encode_image(pixels))
        with pytest.raises(rsnb.RsnbError, match="text tower"):
            model.begin("text", tokens)
        model.detach()
        model = rsnb.adapt(mini, "mrs", layers=(3,)).fast(False)
        assert model.untouched("image") == 0
    finally:
        model.detach()


def test_a_subclass_inherits_no_claim(mini):  # noqa: F811
    class More(MRS):
        def after_attention(self, out, normed, stream, tower, layer):
            return 2 * out

    method = More(mini, layers=(3,))
    assert untouched_blocks(method, "image") == 0 and method.first_block("image") == 3
    model = rsnb.adapt(mini, "linear_probe", unfreeze="ln_")
    assert model.untouched("image") == 0 == model.untouched("text")
    model.detach()
