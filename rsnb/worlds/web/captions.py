"""Captions in the manner of alt-text: many registers, synonyms, parts dropped, now and then noise."""

from __future__ import annotations

from random import Random

from rsnb.worlds.web.sentences import sentence
from rsnb.worlds.web.words import (
    ADJECTIVES,
    ARRANGEMENTS,
    FRAMES,
    MASS,
    MEDIA,
    PLACES,
    PLURALS,
    RELATIONS,
    SETTINGS,
    STYLE_WORDS,
    SYNONYMS,
    WORDS,
)

SENTENCES = 0.5  # share of whole sentences among the captions of views from above


def plural(noun: str) -> str:
    """The plural of a noun or noun phrase."""
    if noun in PLURALS:
        return PLURALS[noun]
    head, _, last = noun.rpartition(" ")
    if last in PLURALS:
        return f"{head} {PLURALS[last]}".strip()
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def quantity(count: int, r: Random) -> str:
    """A count in words: exact for few, vague for many."""
    if count <= 5 or (count <= 12 and r.random() < 0.45):
        if count == 2 and r.random() < 0.15:
            return r.choice(("a pair of", "a couple of"))
        return WORDS[count] if count > 3 or r.random() < 0.9 else r.choice(("some", "several"))
    return r.choice(("many", "lots of", "many", "several" if count < 12 else "dozens of", "a lot of", "plenty of"))


def phrase(group: dict, r: Random, short: bool = False) -> str:
    """A noun phrase for one group of things, e.g. `three small red cars in a row`."""
    noun = r.choice(SYNONYMS.get(group["name"], (group["name"],)))
    keep = 0.35 if short else 0.8
    before = []
    if group.get("size") and r.random() < keep:
        before.append(
            r.choice({"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}[group["size"]])
        )
    before += [r.choice(ADJECTIVES.get(w, (w,))) for w in group.get("adjectives", ()) if r.random() < keep]
    if group.get("texture") and r.random() < keep:
        before.append(
            {"dotted": r.choice(("dotted", "spotted")), "checkered": "checkered", "striped": "striped"}[
                group["texture"]
            ]
        )
    if group.get("colour") and r.random() < (0.5 if short else 0.85):
        colour = group["colour"]
        before.append(
            r.choice(("light", "bright", "dark")) + " " + colour
            if r.random() < 0.08
            else {"gray": r.choice(("gray", "grey"))}.get(colour, colour)
        )
    if group["name"] == "house" and group["count"] > 1 and group.get("colour") and r.random() < 0.3:
        bare = phrase({**group, "colour": None, "arrangement": None}, r, short)
        return f"{bare} {r.choice(('with', 'with', 'under'))} {group['colour']} {r.choice(('roofs', 'roof tiles'))}"
    if noun in MASS:
        return " ".join([*before, noun])
    if group["count"] == 1:
        words = " ".join([*before, noun])
        return r.choice(("one ", "the ", "")) + words if r.random() < 0.22 else article(words)
    arranged = group.get("arrangement")
    tail = f" {r.choice(ARRANGEMENTS.get(arranged, (arranged,)))}" if arranged and r.random() < keep else ""
    if arranged in ("in rows", "in a row") and tail and r.random() < 0.3:
        return (
            r.choice(("rows of ", "lines of ")) if arranged == "in rows" else r.choice(("a row of ", "a line of "))
        ) + " ".join([*before, plural(noun)])
    many = quantity(group["count"], r) if r.random() < 0.85 else ""
    return " ".join(w for w in (many, *before, plural(noun)) if w) + tail


def _abstract(tags: dict, r: Random) -> str:
    group, ground = tags["items"][0], tags.get("ground")
    if tags["form"] == "pattern":
        name, colour, way = group["name"], group.get("colour"), tags.get("direction")
        if way == "diagonal":
            way = r.choice(("diagonal", "slanted"))
        head = " ".join(
            w
            for w in (
                way if r.random() < 0.7 else None,
                colour,
                f"and {ground}" if colour and ground and r.random() < 0.7 else None,
                name,
            )
            if w
        )
        head = r.choice(
            ("{}", "{} pattern", "{} texture", "{} background", "seamless {}", "close up {} surface", "abstract {}")
        ).format(head)
        return head
    text = phrase(group, r)
    if len(tags["items"]) > 1:
        text += f" {r.choice(RELATIONS['next to'])} {phrase(tags['items'][1], r, True)}"
    if ground and r.random() < 0.55:
        text += r.choice((f" on {ground}", f" on a {ground} background", f", {ground} background", f" over {ground}"))
    return text


def _sentence(tags: dict, r: Random) -> str:
    items = tags["items"]
    other = phrase(items[1], r, r.random() < 0.5) if len(items) > 1 and r.random() < 0.9 else None
    beside = [*tags.get("also", ()), *([tags["extra"]] if tags.get("extra") else [])]
    return sentence(tags, phrase(items[0], r), other, [phrase(g, r, r.random() < 0.6) for g in beside], r)


def _scene(tags: dict, r: Random, short: bool) -> str:
    items = tags["items"]
    text = phrase(items[0], r, short)
    relation = tags.get("relation")
    if len(items) > 1 and r.random() < (0.55 if short else 0.92):
        second = phrase(items[1], r, True)
        if relation and r.random() < 0.85:
            text += f" {r.choice(RELATIONS[relation])} {second}"
        else:
            text = f"{text} and {second}" if r.random() < 0.6 else f"{second} and {text}"
    if tags.get("extra") and r.random() < 0.45:
        text += r.choice((" near ", ", next to ", " beside ", " by ")) + phrase(tags["extra"], r, True)
    for group in tags.get("also", ()):
        if r.random() < (0.4 if short else 0.75):
            text += r.choice((" next to ", ", beside ", " and ", ", ", " adjacent to ")) + phrase(group, r, True)
    if tags.get("scene") in SETTINGS and r.random() < 0.22:
        place = r.choice(SETTINGS[tags["scene"]])
        text += r.choice((f" in {article(place)}", f" of {article(place)}", f", {place}", f" at the {place}"))
    if tags.get("side") and r.random() < 0.6:
        text += r.choice((f" on the {tags['side']}", f" at {tags['side']}", f" on the {tags['side']} side"))
    return text


def _noise(text: str, r: Random) -> str:
    """The web's carelessness: file names, stray marks, lost articles."""
    k = r.random()
    if k < 0.3:
        return text + r.choice((" !", " #1", " (2)", " hd", " jpg", " img 03", " ..."))
    words = text.split()
    return " ".join(w for w in words if w not in ("a", "the", "an")) or text


def caption(tags: dict, r: Random) -> str:
    """One caption of about 2 to 20 words for the tags of a picture; it names at least the first group."""
    short, before = r.random() < 0.3, ""
    whole = tags["kind"] == "overhead" and r.random() < SENTENCES
    if tags["kind"] == "abstract":
        text = _abstract(tags, r)
    elif whole:
        text = _sentence(tags, r)
    else:
        text = _scene(tags, r, short)
        if tags.get("place") and r.random() < (0.3 if short else 0.65):
            where = r.choice(PLACES[tags["place"]])
            before = f"{where}, " if r.random() < 0.12 else ""
            text = text if before else f"{text} {where}"
    style = tags.get("style")
    if tags["kind"] == "overhead" and not whole:
        if style == "sketch" and r.random() < 0.6:
            text = r.choice(("sketched plan of {}", "hand drawn map, {}", "line drawing of {} from above")).format(text)
        elif style == "blueprint" and r.random() < 0.6:
            text = r.choice(("blueprint of {}", "{}, blue technical drawing")).format(text)
        elif style == "night" and r.random() < 0.6:
            text = r.choice(("night, {} from above", "{} at night", "city lights, {}")).format(text)
        elif r.random() < 0.72:
            text = r.choice(MEDIA[tags["medium"]]).format(text)
    elif not whole and r.random() < 0.5:
        text = r.choice(FRAMES).format(text)
    text = before + text
    if style in STYLE_WORDS and style not in ("sketch", "blueprint", "night") and r.random() < 0.3:
        word = r.choice(STYLE_WORDS[style])
        text = f"{text}, {word}" if r.random() < 0.6 else f"{word} picture, {text}"
    if tags.get("outlined") and r.random() < 0.1:
        text += ", outlined"
    if r.random() < 0.07:
        text = _noise(text, r)
    k = r.random()
    return text[0].upper() + text[1:] if k < 0.3 else text.title() if k < 0.34 else text


def captions(tags: dict, r: Random, count: int = 3) -> list[str]:
    """`count` different captions from the same tags (fewer only where the tags allow no more)."""
    out: list[str] = []
    for _ in range(count * 6):
        text = caption(tags, r)
        if text not in out:
            out.append(text)
        if len(out) == count:
            break
    return out
