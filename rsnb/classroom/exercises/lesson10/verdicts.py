"""A verdict on each of the ten suspects, from its code: what is broken, or that nothing is."""

from __future__ import annotations

from rsnb.classroom.bughunt import checks
from rsnb.classroom.exercises.choices import one_of
from rsnb.classroom.exercises.judging import Exercise

CHOICES = ", ".join(f'`"{name}"`' for name in checks.NAMES)
SPLIT, UNIT, DROPOUT = "captions of one image in both parts", "embeddings not normalised", "dropout left on"
SWAPPED, COUNTED, TRAINED = "directions swapped", "captions miscounted", "base model trained"
CHOSEN, OTHER = "best epoch chosen on test", "wrong activation"

#: What holds of each check, where a suspect breaks another one: said to who accuses it of this.
HOLDS = {
    TRAINED: "the weights that it says are frozen are the same after training, to the last bit",
    CHOSEN: "it chose no epoch, or the one that validation chooses: compare suspect.history with suspect.epoch",
    SPLIT: "the images of its train_pairs and those of its test_pairs are others",
    UNIT: "the rows of suspect.image and suspect.text have length 1",
    COUNTED: "counted again from its embeddings and pairs, the six recalls are the reported ones",
    OTHER: "without an adapter and with CLIP's weights it gives CLIP's embeddings: compare bare with published",
    DROPOUT: "the same inputs, embedded twice, give the same values: suspect.again() says so",
    SWAPPED: "its recalls from image to text are whole numbers of images, and stand where they belong",
}


def _verdict(letter: str, bug: str, why: str, says: dict[str, str], hint: str) -> Exercise:
    """The exercise to name the bug of a suspect.

    Args:
        why: the reason, in a line. says: what is said of some accusations instead of HOLDS; of "healthy", always.
    """
    name = f"verdict_{letter}"
    wrong = {other: says.get(other, f"{other} is not it: {HOLDS.get(other)}") for other in checks.NAMES if other != bug}
    return one_of(
        name,
        bug,
        f"{why[:1].upper()}{why[1:]}.",
        wrong,
        what="one of the names",
        lesson=10,
        title=f"Your verdict on suspect {letter.upper()}",
        aim="Name the bug, or say that there is none, before the examination.",
        minutes=2,
        task=f"Set `{name}` to one of these names: {CHOICES}.\n\nTry the probes that you have: "
        f'`probe_length(lab.case("{letter.upper()}"))`, and the others.',
        hint=hint,
    )


VERDICT_A = _verdict(
    "a",
    UNIT,
    "open_clip's own encode_image and encode_text do not normalise",
    {checks.HEALTHY: "it ranks by the dot product. Look at the length of the rows that go into it"},
    "which of the names in the line of lab.encode gives rows of length 1, and which does not?",
)
VERDICT_B = _verdict(
    "b",
    SPLIT,
    "each caption draws for itself, so an image has captions on both sides",
    {checks.HEALTHY: "every caption that asks is new. Is every image?"},
    "one random number is drawn: for each caption, or for each image?",
)
VERDICT_C = _verdict(
    "c",
    checks.HEALTHY,
    "odd, and right: rows are picked by sentence, owners follow the gallery's new order",
    {
        COUNTED: "every caption still asks: text[[distinct.index(c) for c in captions]] gives one row to each of the M "
        "captions, equal sentences the same row. Counted again, the recalls agree",
        SWAPPED: "ranks gives text_ranks first and recalls takes them first; the star passes on both in order. Image "
        "to text is a whole number of images",
        UNIT: "model.encode_image and model.encode_text normalise; picking rows and turning them to double precision "
        "changes no length",
        DROPOUT: "lab.model() gives a model in eval mode; the same inputs embed to the same values",
        SPLIT: "equal sentences are merged only within test, and no test image was trained on",
        OTHER: "the model is taken as it is; without its adapter it gives CLIP's embeddings",
    },
    "go through the checks one by one: what would have to be violated, and where in the code would it happen?",
)
VERDICT_D = _verdict(
    "d",
    DROPOUT,
    "the model is put in train mode and evaluated there",
    {
        checks.HEALTHY: "a few steps at a small learning rate hardly move an adapter, and its mR is far from that of "
        "suspect C. In which mode does the model embed the test part?",
        TRAINED: "only the adapter's weights are given to the optimizer, and those of CLIP are equal before and after",
    },
    "follow the model from its first line to lab.encode: what was switched on, and is it switched off again?",
)
VERDICT_E = _verdict(
    "e",
    SWAPPED,
    "ranks gives the ranks from image to text first",
    {
        checks.HEALTHY: "its mR is that of suspect C, its six recalls are not; both rank the same embeddings",
        COUNTED: "counted again, its recalls do not agree, that is true; but each of the counts is right. What is "
        "wrong is the name it is given: say which mistake does that",
    },
    "in which order does ranks return what it returns?",
)
VERDICT_F = _verdict(
    "f",
    TRAINED,
    "requires_grad_(True) on the whole model undoes the freezing",
    {
        checks.HEALTHY: "compare what it says is frozen with what the optimizer is given",
        DROPOUT: "the model learns in train mode and is evaluated after .eval(): " + HOLDS[DROPOUT],
    },
    "who has a gradient when the optimizer collects its parameters?",
)
VERDICT_G = _verdict(
    "g",
    CHOSEN,
    "the best epoch is the one with the highest test_mr",
    {
        checks.HEALTHY: "forty epochs, one is reported. Which column of the history decides?",
        SPLIT: "it learns only from the training part, whose images are not in test",
    },
    "by which number is the best epoch found?",
)
VERDICT_H = _verdict(
    "h",
    checks.HEALTHY,
    "all weights move, as it says; what counts is the claim",
    {
        TRAINED: "it is trained, and the claim says so: full fine-tuning. The bug of that name is a weight that moves "
        "although it is said to be frozen",
        CHOSEN: "it reports the model after its last step; no epoch was chosen",
        DROPOUT: "the model learns in train mode and is evaluated after .eval(); the same inputs embed to the same "
        "values",
        SPLIT: "its batches come from the train part, whose images are not in test",
        OTHER: "no module was replaced: with CLIP's weights put back in, it gives CLIP's embeddings",
    },
    "compare its code, and what it says of itself, with suspect F",
)
VERDICT_I = _verdict(
    "i",
    OTHER,
    "the blocks compute QuickGELU where CLIP computes GELU, or the other way round",
    {
        checks.HEALTHY: "all weights are CLIP's own. Is every function between them CLIP's own too?",
        TRAINED: "nothing is trained here, and the weights are CLIP's own to the last bit",
    },
    "the weights are put into modules of its own: is each module the one that CLIP has in this place?",
)
VERDICT_J = _verdict(
    "j",
    COUNTED,
    "an image is counted as found by text if any of its captions finds it",
    {
        checks.HEALTHY: "the embeddings are those of suspect C, the number is not. Who asks, and how often?",
        SWAPPED: "the ranks are taken in their order. Look at what is done to image_ranks afterwards",
    },
    "how many queries does each direction have after the second-to-last line?",
)
VERDICTS = [VERDICT_A, VERDICT_B, VERDICT_C, VERDICT_D, VERDICT_E, VERDICT_F, VERDICT_G, VERDICT_H, VERDICT_I,
            VERDICT_J]  # fmt: skip
