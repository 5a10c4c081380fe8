"""The sentence register of the captions: what a travel page or a drone pilot's blog says of a view from above."""

from __future__ import annotations

from random import Random

from rsnb.worlds.web.words import PLURAL_MASS, SENTENCE_PLACES, VERBS

LOOKS = (
    "{} as the drone saw {it}",
    "we flew over {}",
    "you can see {} from up here",
    "you can see {} in this shot",
    "this is {} from the air",
    "it is {} that we see below us",
    "here is {} and nothing else",
    "only {} without any people",
    "the whole area is covered by {}",
    "our drone looks down on {}",
    "{} can be seen from above",
    "{} in the middle of the picture",
    "the map has {}",
    "half of the land is {}",
)


def is_plural(text: str, group: dict) -> bool:
    """Whether a noun phrase written for a group takes a plural verb."""
    if text.split()[-1] in PLURAL_MASS:
        return True
    return group["count"] > 1 and not text.startswith(("a row", "a line", "a pair", "a couple"))


def conjugate(verb: str, plural: bool) -> str:
    """`lies next to` -> `lie next to` for a plural subject (verbs are listed in the third person singular)."""
    if not plural:
        return verb
    first, _, rest = verb.partition(" ")
    irregular = {"is": "are", "has": "have", "goes": "go", "crosses": "cross", "reaches": "reach", "passes": "pass"}
    first = irregular.get(first, first[:-1] if first.endswith("s") else first)
    return f"{first} {rest}".strip()


def sentence(tags: dict, subject: str, other: str | None, neighbours: list[str], r: Random) -> str:
    """One sentence about a view from above.

    Args:
        subject, other: noun phrases of the first and second group. neighbours: of what lies beside.
    """
    plural = is_plural(subject, tags["items"][0])
    if other and tags.get("relation"):
        text = f"{subject} {conjugate(r.choice(VERBS[tags['relation']]), plural)} {other}"
    elif neighbours:
        text = f"{subject} {conjugate(r.choice(VERBS['next to']), plural)} {neighbours.pop(0)}"
    elif r.random() < 0.35:
        text = f"there {'are' if plural else 'is'} {subject}"
    else:
        text = r.choice(LOOKS).format(subject, it="them" if plural else "it")
    if neighbours and r.random() < 0.8:
        beside = " and ".join(neighbours[: r.choice((1, 2))])
        text += r.choice(
            (
                f" and with {beside} nearby",
                f", adjacent to {beside}",
                f" close to {beside}",
                f" with {beside} on the other side",
                f", not far from {beside}",
                f" near {beside}",
            )
        )
    places = SENTENCE_PLACES.get(tags.get("scene") or "")
    if places and r.random() < 0.5:
        place = r.choice(places)
        a = "an" if place[0] in "aeiou" else "a"
        text = r.choice(
            (
                f"{text} in {a} {place}",
                f"{text}, this is {a} {place}",
                f"{a} {place} where {text}",
                f"{text}, part of the {place}",
                f"the {place}: {text}",
                f"{a} {place}, {text}",
            )
        )
    return text
