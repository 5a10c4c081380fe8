"""Five captions for a drawn scene, in the manner of human annotators.

A small grammar turns the templates of ``phrases.py`` and a scene's attributes into sentences:

=====================  ==========================================================================
``(a|b|c)``            one of the alternatives
``[...]``              left out half of the time, and always when an attribute in it is empty
``{near}``             the attribute's value, or its wording in ``WORDS`` or in the class's own words
``{n:plane/planes}``   the count with its noun: "one plane", "two planes", "many planes"
``{n~is/are}``         the form that agrees with the value (``PLURAL``)
``near=road: ...``     a template for scenes with that attribute only (``!=`` for all others)
=====================  ==========================================================================

Annotators differ: a template's level says how much it tells (0: the class and what everybody sees,
1: one attribute, 2: several), and people repeat themselves, within a picture and across pictures.
"""

from __future__ import annotations

import re

import numpy as np

from rsnb.worlds.toy.phrases import PHRASES
from rsnb.worlds.toy.words import OWN_WORDS, PLURAL, SYNONYMS, WORDS

LEVELS = (0.11, 0.33, 0.56)  # how often a caption of level 0, 1, 2 is written
# How often the five captions of a picture are made of so many different sentences, each so many times.
REPEATS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.80, (1, 1, 1, 1, 1)),
    (0.09, (2, 1, 1, 1)),
    (0.03, (2, 2, 1)),
    (0.03, (3, 1, 1)),
    (0.02, (3, 2)),
    (0.01, (4, 1)),
    (0.02, (5,)),
)
JOINED = (0.0, 0.36, 0.3)  # how often a caption of level 0, 1, 2 goes on with a second clause
LONGEST = 20  # words of a caption
_OPENING = ("it is ", "this is ", "there ", "here ", "we can ")
_SUBJECT = re.compile(
    r"^((?:an?|one|two|three|four|six|many|lots of|some|several) (?!of )"
    r"(?:(?!cross |go |goes |sails |has )[\w]+ )*?)(is|are) "
)
_CHOICE = re.compile(r"\(([^()]*)\)")
_OPTION = re.compile(r"\[([^\[\]]*)\]")
_KEY = re.compile(r"\{(\w+)")
_SLOT = re.compile(r"\{(\w+)\}")
_COUNT = re.compile(r"\{(\w+)([:~])([^/{}]*)/([^/{}]*)\}")
_RULE = re.compile(r"^((?:\w+!?=[\w ]*,)*\w+!?=[\w ]*): ")


def _holds(template: str, attributes: dict[str, str]) -> str | None:
    """The template without its conditions, or None when it does not fit this scene."""
    rule = _RULE.match(template)
    if rule:
        for condition in rule.group(1).split(","):
            key, value = re.split(r"!?=", condition)
            if (attributes.get(key, "") == value) == ("!=" in condition):
                return None
        template = template[rule.end() :]
    return template if _known(_OPTION.sub("", template), attributes) else None


def _known(template: str, attributes: dict[str, str]) -> bool:
    return all(key == "NEAR" or attributes.get(key) for key in _KEY.findall(template))


def _one(rng: np.random.Generator, options: list[str] | tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def expand(template: str, name: str, attributes: dict[str, str], rng: np.random.Generator) -> str:
    """One sentence of class ``name`` from a template that fits the scene."""

    def option(match: re.Match[str]) -> str:
        return match.group(1) if _known(match.group(1), attributes) and rng.random() < 0.5 else ""

    def slot(match: re.Match[str]) -> str:
        key = match.group(1)
        value = attributes.get(key, key)
        return _one(rng, OWN_WORDS.get(name, {}).get(f"{key}={value}") or WORDS.get(value, (value,)))

    def count(match: re.Match[str]) -> str:
        key, mark, singular, plural = match.groups()
        form = plural if attributes[key] in PLURAL else singular
        return form if mark == "~" else f"{slot(match)} {form}"

    text = _OPTION.sub(option, template)
    while _CHOICE.search(text):
        text = _CHOICE.sub(lambda m: _one(rng, m.group(1).split("|")), text)
    text = _COUNT.sub(count, _SLOT.sub(slot, text))
    return re.sub(r"\ba(?= [aeiou])", "an", " ".join(text.split())) + " ."


def _joined(first: str, second: str) -> str:
    """Two sentences as one, if that is not too long and they do not tell the same thing."""
    told = set(first.split())
    said = second.split()[:-1]
    new = sum(word not in told for word in said)
    both = f"{first.removesuffix(' .')} and {second}"
    fits = " and " not in first and not second.startswith(_OPENING) and len(both.split()) <= LONGEST + 1
    return both if fits and new > 2 and new >= 0.5 * len(said) else first


def _reworded(sentence: str, rng: np.random.Generator) -> str:
    """The same in other words: "there are ..." and synonyms, as another annotator would put it."""
    if rng.random() < 0.3:
        sentence = _SUBJECT.sub(r"there \2 \1", sentence, count=1)
    for words, others in SYNONYMS.items():
        if words in sentence and rng.random() < 0.5:
            sentence = sentence.replace(words, _one(rng, others), 1)
    return sentence


def write(name: str, attributes: dict[str, str], rng: np.random.Generator) -> list[str]:
    """Five captions for one scene, some of them the same on purpose."""
    by_level: list[list[str]] = [[], [], []]
    for line in PHRASES[name]:
        fitting = _holds(line[2:], attributes)
        if fitting is not None:
            by_level[int(line[0])].append(fitting)
    pattern = REPEATS[int(rng.choice(len(REPEATS), p=[share for share, _ in REPEATS]))][1]
    sentences: list[str] = []
    for _ in range(60):
        if len(sentences) == len(pattern):
            break
        level = int(rng.choice(3, p=LEVELS))
        if not sentences:
            level = max(level, 1)  # somebody always looks closely
        if by_level[level]:
            sentence = expand(_one(rng, by_level[level]), name, attributes, rng)
            sentence = _reworded(sentence, rng)
            if by_level[1] and rng.random() < JOINED[level]:
                sentence = _joined(sentence, expand(_one(rng, by_level[1]), name, attributes, rng))
            if sentence not in sentences and len(sentence.split()) <= LONGEST + 1:
                sentences.append(sentence)
    five = [s for s, times in zip(sentences, pattern) for _ in range(times)]
    five += [sentences[-1]] * (5 - len(five))
    return [five[int(k)] for k in rng.permutation(5)]
