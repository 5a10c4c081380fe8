// The mini CLIP's tokenizer: a sentence becomes words, a word becomes pieces, a piece is a number (byte pair encoding).
// In Python: open_clip.SimpleTokenizer with rsnb/mini/bpe.txt.gz. It also lets ftfy repair broken text first; of that
// there is only what a keyboard does: one form for accents, straight quotes.
"use strict";

rsnb.tokenizer = (() => {
  const START = "<start_of_text>", END = "<end_of_text>";
  const WORD = new RegExp(`${START}|${END}|'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}|[^\\s\\p{L}\\p{N}]+`, "gu");
  const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

  // ---- bytes as symbols: every byte has one that can be seen, so that no text is unknown
  const shown = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const order = [...bytes.filter(shown), ...bytes.filter((byte) => !shown(byte))];
  const symbolOf = [];
  order.forEach((byte, k) => { symbolOf[byte] = String.fromCharCode(shown(byte) ? byte : 256 + k - 188); });

  // ---- the vocabulary
  /** From the merges, one a line, best first: {numbers: piece -> number, ranks: "left right" -> rank, context}. */
  function vocabulary(merges, context) {
    const symbols = order.map((byte) => symbolOf[byte]);
    const lines = merges.split("\n");
    const pieces = [...symbols, ...symbols.map((s) => `${s}</w>`), ...lines.map((line) => line.replace(" ", ""))];
    pieces.push(START, END);
    return {
      context,
      learned: 2 * symbols.length,  // the first number of a piece that was learned
      numbers: new Map(pieces.map((piece, number) => [piece, number])),
      ranks: new Map(lines.map((line, rank) => [line, rank])),
    };
  }

  // ---- from a sentence to pieces
  /** "Two  Planes &amp; a car" -> "two planes & a car" */
  function clean(sentence) {
    let text = sentence.normalize("NFC").replace(/[‘’‚‛]/g, "'").replace(/[“”„‟]/g, '"');
    for (let twice = 0; twice < 2; twice++) text = text.replace(/&(#?\w+);/g, unescaped);
    return text.replace(/[\s\x1c-\x1f\x85]+/g, " ").trim().toLowerCase();
  }

  function unescaped(entity, name) {
    const number = /^#x[\da-f]+$/i.test(name) ? parseInt(name.slice(2), 16) : /^#\d+$/.test(name) ? +name.slice(1) : 0;
    return number > 0 && number < 0x110000 ? String.fromCodePoint(number) : ENTITIES[name] || entity;
  }

  /** A word as pieces: it begins as single bytes; the pair that was learned first is joined, again and again. */
  function pieces(word, { ranks }) {
    if (word === START || word === END) return [word];
    const parts = Array.from(new TextEncoder().encode(word), (byte) => symbolOf[byte]);
    parts[parts.length - 1] += "</w>";
    for (;;) {
      const found = parts.slice(1).map((right, i) => ranks.get(`${parts[i]} ${right}`) ?? Infinity);
      const best = Math.min(...found);
      if (best === Infinity) return parts;
      for (let i = 0; i < parts.length - 1; i++) {
        if (ranks.get(`${parts[i]} ${parts[i + 1]}`) === best) parts.splice(i, 2, parts[i] + parts[i + 1]);
      }
    }
  }

  /** The text of some pieces. */
  function written(some) {
    const symbols = some.map((piece) => piece.replace("</w>", " ")).join("");
    const found = Array.from(symbols, (symbol) => (symbol === " " ? 32 : symbolOf.indexOf(symbol)));
    return new TextDecoder().decode(Uint8Array.from(found)).trim();
  }

  /**
   * What the text tower gets of a sentence: {ids: with start and end, pieces, cut: the text beyond the last place,
   * known: whether any piece was learned; else it is read letter by letter}.
   */
  function encode(sentence, vocabulary) {
    const all = (clean(sentence).match(WORD) || []).flatMap((word) => pieces(word, vocabulary));
    const read = all.slice(0, vocabulary.context - 2);
    const numbers = read.map((piece) => vocabulary.numbers.get(piece));
    return {
      ids: [vocabulary.numbers.get(START), ...numbers, vocabulary.numbers.get(END)],
      pieces: read.map((piece) => written([piece])),
      cut: written(all.slice(read.length)),
      known: numbers.some((number) => number >= vocabulary.learned),
    };
  }

  return { vocabulary, clean, pieces, encode };
})();
