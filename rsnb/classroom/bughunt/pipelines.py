"""Ten suspects for a bug hunt: pipelines with numbers that look right.

The workbench runs them on the data and the backbone at hand; what is shown of a suspect is the text below.
"""

from __future__ import annotations

import copy
from collections import OrderedDict

import torch
from open_clip.transformer import QuickGELU
from torch import nn

from rsnb import losses
from rsnb.base.towers import transformers
from rsnb.evaluation import ranks, recalls

FEW, STEPS, EPOCHS, AGAIN = 300, 5, 40, 8  # images, steps, epochs, and how much is embedded again


# --- the pipelines ----------------------------------------------------------------------------------------------
# What a suspect shows is what runs: the text of its function below. Comments in it are its author's.
def suspect_a(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    owner = lab.owner("test")  # (M,) the image of each caption
    image, text = lab.encode(model.clip.model, "test")  # (N, D), (M, D)
    found = recalls(*ranks(image, text, owner))  # ranked by the dot product
    return lab.report(found, image, text, owner, model)


def suspect_b(lab):
    image, text, owner = lab.features("val", "test")  # frozen CLIP: (N, D), (M, D), (M,)
    draw = torch.rand(len(text), generator=lab.rng())  # (M,) a random number decides
    train, held = torch.where(draw < 0.75)[0], torch.where(draw >= 0.75)[0]
    probe = lab.probe()  # a linear map for each modality
    for _ in range(EPOCHS // 2):
        probe.learn(image, text, owner, train)
    gallery = lab.some(owner[held].unique(), len(image) // 4)  # the images to choose from, sorted
    asked = held[torch.isin(owner[held], gallery)]  # their captions, never trained on
    own = torch.searchsorted(gallery, owner[asked])
    a, b = probe(image[gallery], text[asked])
    found = recalls(*ranks(a, b, own))
    return lab.report(found, a, b, own, probe, parts=("val", "test"), gallery=gallery, asked=asked, train=train)


def suspect_c(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    captions, owner = lab.data["test"].captions
    distinct = sorted(set(captions))  # a sentence that comes twice is embedded once
    image, text = lab.encode(model, "test", captions=distinct)
    text = text[[distinct.index(caption) for caption in captions]]  # (M, D)
    order = torch.randperm(len(image), generator=lab.rng())  # the gallery in random order
    image, owner = image[order], order.argsort()[owner]
    found = recalls(*ranks(image.double(), text.double(), owner))
    return lab.report(found, image, text, owner, model, gallery=order)


def suspect_d(lab):
    model = lab.model().train()
    optimizer = torch.optim.Adam(model.trainable().values(), lr=1e-4)
    for pixels, tokens in lab.batches("train", steps=2):  # a last polish of the adapter
        loss = losses.triplet(model.encode_image(pixels), model.encode_text(tokens))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    owner = lab.owner("test")
    image, text = lab.encode(model, "test")  # (N, D), (M, D), without gradients
    found = recalls(*ranks(image, text, owner))
    return lab.report(found, image, text, owner, model)


def suspect_e(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    owner = lab.owner("test")
    image, text = lab.encode(model, "test")
    image_ranks, text_ranks = ranks(image, text, owner)  # 0-based, best first
    found = recalls(text_ranks, image_ranks)
    return lab.report(found, image, text, owner, model)


def suspect_f(lab):
    model = lab.model().train()
    model.requires_grad_(True)  # what is to learn needs gradients
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    for pixels, tokens in lab.batches("train", steps=STEPS):  # more epochs for the adapter
        loss = losses.triplet(model.encode_image(pixels), model.encode_text(tokens))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    owner = lab.owner("test")
    image, text = lab.encode(model.eval(), "test")
    found = recalls(*ranks(image, text, owner))
    return lab.report(found, image, text, owner, model)


def suspect_g(lab):
    image, text, owner = lab.features("few")  # frozen CLIP, few training images
    pairs = lab.one_caption(owner)  # one caption of each
    probe, history = lab.probe(), []  # a linear map for each modality
    for epoch in range(1, EPOCHS + 1):
        probe.learn(image, text, owner, pairs)
        history.append({"epoch": epoch, "val_mr": lab.mr(probe, "val"), "test_mr": lab.mr(probe, "test")})
        if history[-1] is max(history, key=lambda row: row["test_mr"]):
            best, kept = epoch, copy.deepcopy(probe)  # the best so far
    image, text, owner = lab.features("test")
    a, b = kept(image, text)
    found = recalls(*ranks(a, b, owner))
    return lab.report(found, a, b, owner, kept, history=history, epoch=best, trained_on="few")


def suspect_h(lab):
    model = lab.model().train()
    model.requires_grad_(True)  # CLIP and adapter, all of it
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    for pixels, tokens in lab.batches("train", steps=STEPS):
        loss = losses.triplet(model.encode_image(pixels), model.encode_text(tokens))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    owner = lab.owner("test")
    image, text = lab.encode(model.eval(), "test")
    found = recalls(*ranks(image, text, owner))
    return lab.report(found, image, text, owner, model, frozen=())


def suspect_i(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    for stack in transformers(model.clip.model).values():
        for block in stack.resblocks:  # our own MLP, with CLIP's weights
            block.mlp = nn.Sequential(OrderedDict(c_fc=block.mlp.c_fc, gelu=QuickGELU(), c_proj=block.mlp.c_proj))
    owner = lab.owner("test")
    image, text = lab.encode(model, "test")
    found = recalls(*ranks(image, text, owner))
    return lab.report(found, image, text, owner, model)


def suspect_j(lab):
    model = lab.model()  # frozen CLIP with a trained MRS-Adapter
    owner = lab.owner("test")
    image, text = lab.encode(model, "test")
    text_ranks, image_ranks = ranks(image, text, owner)  # 0-based, best first
    image_ranks = torch.stack([image_ranks[owner == i].min() for i in range(len(image))])
    found = recalls(text_ranks, image_ranks)
    return lab.report(found, image, text, owner, model)


_ADAPTER = "MRS-Adapter on a frozen CLIP"
CLAIMS = {
    "A": f"{_ADAPTER}, ranked by similarity.",
    "B": "A linear probe on frozen CLIP embeddings, tested on captions that it was never trained on.",
    "C": f"{_ADAPTER}, with an evaluation of our own that embeds every sentence once.",
    "D": f"{_ADAPTER}, polished for a few more steps at a small learning rate.",
    "E": f"{_ADAPTER}, strong from text to image.",
    "F": f"{_ADAPTER}, trained a little longer. Only the adapter learns.",
    "G": "A linear probe on frozen CLIP embeddings, few training images, best epoch reported.",
    "H": "Full fine-tuning: CLIP and its adapter are both trained a little longer.",
    "I": f"{_ADAPTER}, in our own implementation of the blocks.",
    "J": f"{_ADAPTER}. Each of an image's five captions is used.",
}
#: What to change, (these words, those words), so that the pipeline is sound; the healthy ones need nothing.
REPAIRS = {
    "A": ("lab.encode(model.clip.model, ", "lab.encode(model, "),
    "B": ("torch.rand(len(text), generator=lab.rng()) ", "torch.rand(len(image), generator=lab.rng())[owner] "),
    "D": ("lab.encode(model, ", "lab.encode(model.eval(), "),
    "E": ("image_ranks, text_ranks = ranks", "text_ranks, image_ranks = ranks"),
    "F": ("model.requires_grad_(True)", "model.added.requires_grad_(True)"),
    "G": ('row["test_mr"]', 'row["val_mr"]'),
    "I": ("gelu=QuickGELU()", "gelu=block.mlp.gelu"),
    "J": ("    image_ranks = torch.stack([image_ranks[owner == i].min() for i in range(len(image))])\n", ""),
}
LETTERS = tuple(CLAIMS)
