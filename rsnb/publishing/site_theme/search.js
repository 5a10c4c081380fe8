// The search of the site. Sphinx keeps stems of words and looks for them anywhere, so that "hinge" finds "nothing":
// here a word is found where a word begins with it.
"use strict";

const begins = (word) => new RegExp(`(?<![\\p{L}\\p{N}])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`, "iu");

document.addEventListener("DOMContentLoaded", () => {
  const { performTermsSearch, _performSearch, makeSearchSummary } = Search;

  // A word that the index does not have is not looked for inside of others.
  Search.performTermsSearch = (wanted, excluded) => {
    for (const index of [Search._index.terms, Search._index.titleterms])
      for (const word of wanted) if (!Object.hasOwn(index, word)) index[word] = [];
    return performTermsSearch(wanted, excluded);
  };

  // Titles and names of the package; results by text have passed already.
  Search._performSearch = (query, ...rest) => {
    const words = query.trim().split(/[\s.]+/).map(begins);
    return _performSearch(query, ...rest).filter(([, title, , about, , , kind]) =>
      kind === SearchResultKind.text || words.every((word) => word.test(`${title} ${about ?? ""}`)));
  };

  // An excerpt begins at a word that was looked for.
  Search.makeSearchSummary = (page, keywords, anchor) => {
    const text = Search.htmlToText(page, anchor);
    const whole = [...keywords].map((word) => text.match(begins(word))).filter(Boolean).at(-1);
    if (!whole) return makeSearchSummary(page, keywords, anchor);
    const first = Math.max(whole.index - 120, 0);
    const excerpt = document.createElement("p");
    excerpt.classList.add("context");
    excerpt.textContent = `${first ? "…" : ""}${text.slice(first, first + 240).trim()}${text.length > first + 240 ? "…" : ""}`;
    return excerpt;
  };
});

// A page opened from disk may not read its neighbours, so that search results would have no excerpts.
if (location.protocol === "file:") {
  window.fetch = async (address) => ({ text: async () => EXCERPTS[decodeURI(address).replace(/^\.\//, "")] ?? "" });
}
