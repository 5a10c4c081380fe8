"""A small byte-pair vocabulary for the text tower, learned from pre-training captions only.

The file is in the format that open_clip's `SimpleTokenizer(bpe_path=...)` reads: gzip, a header line, then
one merge per line, no newline at the end (it would become an empty merge). The vocabulary is 512 byte
symbols, the merges, and the two specials, of which `<end_of_text>` has the largest id
(pooling by argmax needs that).
"""

from __future__ import annotations

import gzip
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from rsnb.base.files import write_bytes
from rsnb.errors import RsnbError

HEADER = "#version: rsnb web world"
MAX_MERGES = 49152 - 256 - 2  # what SimpleTokenizer reads at most


def _words(captions: Iterable[str]) -> Counter:
    """Words as open_clip splits them (same pattern), with counts, in byte symbols."""
    import regex
    from open_clip.tokenizer import bytes_to_unicode

    pattern = regex.compile(r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+""", regex.IGNORECASE)
    symbols, counts = bytes_to_unicode(), Counter()
    for text in captions:
        counts.update(pattern.findall(text.lower()))
    return Counter({"".join(symbols[b] for b in w.encode("utf-8")): n for w, n in counts.items()})


def train_bpe(captions: Iterable[str], merges: int = 1500) -> list[str]:
    """Learn byte-pair merges from captions.

    captions: the pre-training captions. merges: how many to learn at most (fewer once every word is whole).
    Returns lines `left right` in order of learning. The most frequent pair is merged first, ties in
    alphabetical order; a pair whose result exists already is left out, because an entry must not
    stand in the vocabulary twice.
    """
    if not 0 < merges <= MAX_MERGES:
        raise RsnbError(f"merges is {merges}; open_clip's tokenizer reads 1 to {MAX_MERGES}. Choose a number between.")
    counted = sorted(_words(captions).items())
    if not counted:
        raise RsnbError("There is no word to learn merges from. Pass a list of captions with text in it.")
    words = [[*w[:-1], w[-1] + "</w>"] for w, _ in counted]
    weight = [n for _, n in counted]
    pairs: Counter = Counter()
    where: dict[tuple[str, str], set[int]] = defaultdict(set)
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += weight[i]
            where[pair].add(i)
    out: list[str] = []
    known: set[str] = set()
    banned: set[tuple[str, str]] = set()
    while len(out) < merges:
        best = min((p for p in pairs if pairs[p] > 0 and p not in banned), key=lambda p: (-pairs[p], p), default=None)
        if best is None:
            break
        joined = best[0] + best[1]
        if joined in known:
            banned.add(best)
            continue
        known.add(joined)
        out.append(f"{best[0]} {best[1]}")
        for i in sorted(where.pop(best)):
            old = words[i]
            new, k = [], 0
            while k < len(old):
                if k + 1 < len(old) and (old[k], old[k + 1]) == best:
                    new.append(joined)
                    k += 2
                else:
                    new.append(old[k])
                    k += 1
            for pair in zip(old, old[1:]):
                pairs[pair] -= weight[i]
            for pair in zip(new, new[1:]):
                pairs[pair] += weight[i]
                where[pair].add(i)
            words[i] = new
        del pairs[best]
    return out


def write_bpe(path: str | Path, merges: list[str]) -> None:
    """Write merges to `path` (.txt.gz), the same bytes each time."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as packed:
        packed.write("\n".join([HEADER, *merges]).encode("utf-8"))
    write_bytes(path, buffer.getvalue())
