// Retrieval in the page: a sentence, or a picture that is clicked on, finds pictures among the toy test images.
"use strict";

rsnb.retrieval = (() => {
  const SHOWN = 10;  // pictures in a list

  // ---- numbers
  /** The images' embeddings at one scale of the adapter's output: an array of rows of length 1. */
  function rowsAt(numbers, step, { images, width }) {
    const start = step * images.length * width;
    return images.map((_, k) => numbers.subarray(start + k * width, start + (k + 1) * width));
  }

  const cosine = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);

  /** All images by their cosine to a query, best first: [{image, cosine}]; equal ones in their order. */
  const rank = (query, rows) =>
    rows.map((row, image) => ({ image, cosine: cosine(query, row) })).sort((a, b) => b.cosine - a.cosine);

  /** The images that carry a sentence as one of their captions. */
  function ownersOf(sentence, { captions, images }) {
    const caption = captions.indexOf(rsnb.tokenizer.clean(sentence));
    return images.flatMap((image, k) => (image.captions.includes(caption) ? [k] : []));
  }

  // ---- words
  /** What is wrong with a sentence, or curious about how it is read; "" if nothing is. */
  function remark({ pieces, cut, known }) {
    if (!pieces.length) return "The box is empty: type what a picture should show.";
    if (!known) return "The model knows no piece of this and reads it letter by letter: the order means nothing.";
    return cut && `The model reads ${pieces.length} pieces at most; it did not read: “${cut}”.`;
  }

  const places = (ranked, owners) => owners.map((owner) => ranked.findIndex(({ image }) => image === owner) + 1);

  /** Where the images that carry the sentence were found in two lists, by zero-shot CLIP and with the adapter. */
  function verdict(owners, lists) {
    if (!owners.length) return "No test image has this sentence as its caption, so no answer counts as right.";
    const whose = owners.length > 1 ? `${owners.length} images carry this sentence; the best is at` : "Its image is at";
    const best = lists.map((ranked) => Math.min(...places(ranked, owners)));
    return `${whose} rank ${best[0]} with zero-shot CLIP, ${best[1]} with the adapter.`;
  }

  return { SHOWN, rowsAt, cosine, rank, ownersOf, remark, verdict };
})();

rsnb.live("retrieval", async (root, home) => {
  const { SHOWN, rowsAt, rank, ownersOf, remark, verdict } = rsnb.retrieval;
  const { el } = rsnb;

  root.append(el("p", { class: "live-what", role: "status" }, "Retrieval in the page: 4 MB are loaded …"));
  await rsnb.near(root);
  const [weights, data] = await Promise.all([rsnb.load("tower"), rsnb.load("gallery"), rsnb.picture("gallery.jpg")]);
  const vocabulary = rsnb.tokenizer.vocabulary(weights.merges, weights.context);
  const tower = await rsnb.tower.unpack(weights);
  const numbers = await rsnb.halves(data.halves), last = data.scales - 1;

  // ---- what is on the page
  const examples = [data.captions[0], ...[3, 7, 12, 17].map((k) =>
    data.captions[data.images[Math.floor(k * data.images.length / 20)].captions[0]]), "a red car", "ein Flugzeug"];
  const box = el("input", { type: "text", value: examples[0], autocomplete: "off", spellcheck: "false",
    oninput: () => { chosen.selectedIndex = -1; ask(); } });
  const chosen = el("select", { onchange: () => { box.value = chosen.value; ask(); } },
    examples.map((sentence) => el("option", { value: sentence }, sentence)));
  const ends = { 0: ": zero-shot CLIP", [last]: ": as trained" };
  const times = (step) => `${(step / last).toFixed(1)}${ends[step] || ""}`;
  const scale = rsnb.controls.slider("The adapter's output, times",
    { min: 0, max: last, value: last, say: times }, () => ask());
  const read = el("p", { class: "live-read" }), said = el("p", { class: "live-result" });
  const lists = [list("Zero-shot CLIP"), list("With the adapter")];
  const about = el("div", { class: "live-about-picture", tabindex: -1 });
  rsnb.controls.frame(root, "Retrieval in the page", "Type a sentence: the model's text tower runs here, in the page. "
    + "Below each picture are its rank, its cosine to the sentence, and its class. Choose one for more.",
  el("label", { class: "live-field" }, el("span", {}, "What should the picture show?"), box),
  el("label", { class: "live-field" }, el("span", {}, "Or take one of these"), chosen),
  scale, read, said, el("div", { class: "live-two" }, lists.map(({ part }) => part)), about);

  function list(name) {
    const title = el("p", { class: "live-list-title" }, name);
    const items = el("ol", { class: "live-pictures", "aria-label": name });
    const first = rsnb.roving(items, () => [...items.querySelectorAll("button")]);
    return { part: el("div", {}, title, items), title, items, first };
  }

  const label = (image) => data.images[image].label.replaceAll("_", " ");

  /** A picture as a button; notes say what it is. */
  function picture(image, kind, ...notes) {
    return el("li", {}, el("button", { type: "button", class: `live-picture ${kind}`, onclick: () => show(image) },
      thumbnail(image, 1), notes.map((note) => el("span", {}, note))));
  }

  function thumbnail(image, zoom) {
    const tile = data.size * zoom, column = image % data.columns, row = Math.floor(image / data.columns);
    return el("span", { class: "live-tile", style: `width:${tile}px; height:${tile}px; `
      + `background: url("${home}gallery.jpg") -${column * tile}px -${row * tile}px / ${data.columns * tile}px auto` });
  }

  // ---- a sentence
  let asked = 0;

  async function ask() {
    const mine = ++asked, stale = () => mine !== asked;
    const sentence = box.value, step = scale.get(), words = rsnb.tokenizer.encode(sentence, vocabulary);
    const note = remark(words);
    read.replaceChildren(note && el("strong", {}, note), note && el("br"), words.pieces.length ? "Read as: " : "",
      ...words.pieces.map((piece) => el("span", { class: "live-piece" }, piece)));
    if (!words.pieces.length) {
      said.textContent = "";
      for (const { items } of lists) items.replaceChildren();
      rsnb.announce(root, note);
      return;
    }
    const owners = ownersOf(sentence, data), ranked = [];
    for (const at of [0, step]) {
      const query = await rsnb.tower.embed(words.ids, at / last, tower, stale);
      if (!query) return;  // something else has been typed
      const all = rank(query, rowsAt(numbers, at, data));
      fill(lists[ranked.length], all, owners);
      ranked.push(all);
      await rsnb.rest(0);
      if (stale()) return;
    }
    lists[1].title.textContent = `With the adapter, times ${times(step)}`;
    said.textContent = verdict(owners, ranked);
    const firsts = ranked.map(([{ image, cosine: c }]) => `${label(image)}, ${c.toFixed(2)}`);
    rsnb.announce(root, `${note} First with zero-shot CLIP: ${firsts[0]}; with the adapter: ${firsts[1]}. `
      + said.textContent);
  }

  function fill({ items, first }, all, owners) {
    const top = all.slice(0, SHOWN), missed = all.findIndex(({ image }) => owners.includes(image));
    if (missed >= SHOWN) top.push(all[missed]);  // the right one comes last, with its rank
    const labels = owners.map(label);
    items.replaceChildren(...top.map((one) => {
      const { image } = one, own = owners.includes(image), same = labels.includes(label(image));
      return picture(image, own ? "live-own" : same ? "live-same" : "", `${all.indexOf(one) + 1}. `
        + one.cosine.toFixed(2), label(image), own ? "✓ its own" : same ? "same class" : null);
    }));
    first();
  }

  // ---- a picture
  let opener = box;  // where the reader was

  function show(image) {
    const { captions } = data.images[image];
    if (!about.contains(document.activeElement)) opener = document.activeElement;
    const neighbours = (step) => {
      const rows = rowsAt(numbers, step, data);
      return rank(rows[image], rows).filter((one) => one.image !== image).slice(0, 5);
    };
    const nearest = (outer) => el("ol", {}, data.nearest[outer][image].map(([caption, c]) => el("li", {},
      `${data.captions[caption]} `, el("span", { class: "live-value" }, c.toFixed(2)),
      captions.includes(caption) ? " ✓ its own" : "")));
    const column = (name, outer, step) => {
      const near = list("The nearest pictures");
      near.items.append(...neighbours(step).map(({ image: other, cosine: c }, k) => picture(other,
        label(other) === label(image) ? "live-same" : "", `${k + 1}. ${c.toFixed(2)}`, label(other))));
      near.first();
      return el("div", {}, el("p", { class: "live-list-title" }, name), el("p", {}, "The nearest captions:"),
        nearest(outer), near.part);
    };
    about.replaceChildren(
      el("p", { class: "live-list-title" }, `A picture of the class ${label(image)}`), thumbnail(image, 2),
      el("p", {}, "Its captions:"), el("ul", {}, captions.map((caption) => el("li", {}, data.captions[caption]))),
      el("div", { class: "live-columns" }, column("Zero-shot CLIP", 0, 0), column("With the adapter", 1, last)),
      el("button", { type: "button", class: "live-button", onclick: close }, "Close"));
    about.focus();
    rsnb.announce(root, `A picture of the class ${label(image)}, its captions and its neighbours`);
  }

  function close() {
    about.replaceChildren();
    (opener.isConnected ? opener : box).focus();
  }

  await ask();
});
