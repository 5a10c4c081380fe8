"""C and H: nothing is broken, though it looks odd."""

from __future__ import annotations

from rsnb.classroom.bughunt import checks
from rsnb.classroom.exercises.judging import Exercise, Mistake

CHOICES = ", ".join(f'`"{name}"`' for name in checks.NAMES)


def _verdict(letter: str, says: dict[str, str], why: str, right: tuple[str, ...], wrong: dict[str, str]) -> Exercise:
    return Exercise(
        key=f"verdict_{letter}",
        lesson=10,
        title=f"Your verdict on suspect {letter.upper()}",
        aim="Name the bug, or say that there is none, before the examination.",
        difficulty=2,
        importance=3,
        minutes=5,
        task=f"Set `verdict_{letter}` to one of these names: {CHOICES}.\n\nNo probe is asked for: you may run those "
        f'that you have on `lab.case("{letter.upper()}")`.',
        name=f"verdict_{letter}",
        stub=f"verdict_{letter} = ...  # one of the names, as a text\n",
        solution=f'verdict_{letter} = "healthy"  # {why}\n',
        kind="prediction",
        truth=lambda: checks.HEALTHY,
        mistakes={name: Mistake(lambda name=name: name, text) for name, text in says.items()},
        hint="go through the checks one by one: what would have to be violated, and where in the code would it happen?",
        errors={"NameError": 'the name is a text and needs quotes: "healthy", for example'},
        right=right,
        wrong=wrong,
    )


VERDICT_C = _verdict(
    "c",
    {
        "captions miscounted": "every caption still asks: text[[distinct.index(c) for c in captions]] gives one row to "
        "each of the M captions, equal sentences the same row. Counted again, the recalls agree",
        "directions swapped": "ranks gives text_ranks first and recalls takes them first; the star passes both on in "
        "order. Image to text is a whole number of images",
        "embeddings not normalised": "model.encode_image and model.encode_text normalise; picking rows and turning "
        "them to double precision changes no length",
        "dropout left on": "lab.model() gives a model in eval mode; the same inputs embed to the same values",
        "captions of one image in both parts": "equal sentences are merged within test alone, and no test image was "
        "trained on",
        "wrong activation": "the model is taken as it is; without its adapter it gives CLIP's embeddings",
    },
    "odd, and right: rows are picked by sentence, and the owners follow the new order of the gallery",
    ('verdict_c = "HEALTHY".lower()\n',),
    {
        "captions miscounted": 'verdict_c = "captions miscounted"\n',
        "directions swapped": 'verdict_c = "directions " + "swapped"\n',
        "embeddings not normalised": 'verdict_c = "embeddings not normalised"\n',
    },
)


VERDICT_H = _verdict(
    "h",
    {
        "base model trained": "it is trained, and the claim says so: full fine-tuning. The bug of that name is a "
        "weight that moves although it is said to be frozen",
        "best epoch chosen on test": "it reports the model after its last step; no epoch was chosen",
        "dropout left on": "the model learns in train mode and is evaluated after .eval(); the same inputs embed to "
        "the same values",
        "captions of one image in both parts": "its batches come from the train part, whose images are not in test",
        "wrong activation": "no module was replaced: with CLIP's weights put back in, it gives CLIP's embeddings",
    },
    "all weights move, as it says; what counts is the claim",
    ('verdict_h = " ".join(["healthy"])\n',),
    {
        "base model trained": 'verdict_h = "base model trained"\n',
        "best epoch chosen on test": 'verdict_h = "best epoch chosen on test"\n',
        "dropout left on": 'verdict_h = "dropout" + " left on"\n',
    },
)
