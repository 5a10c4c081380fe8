// Ties and ceilings: who shares a caption decides what a recall can be. The counting is that of rsnb.measures.ties and
// rsnb.measures.ceiling; below it, the grid in which captions are given to images.
"use strict";

rsnb.ties = (() => {
  /** The chance that at least one of `own` items of a group in random order is among its first `places`. */
  function chance(places, group, own) {
    let miss = 1;
    for (let j = 0; j < Math.min(Math.max(places, 0), group); j++) miss *= Math.max(group - own - j, 0) / (group - j);
    return 1 - miss;
  }

  /** Of one query: how many items are ahead of its best right item, how many right and wrong ones are as near. */
  function beside(cosines, right) {
    const best = Math.max(...cosines.filter((_, j) => right(j)));
    const count = (wanted) => cosines.filter((cosine, j) => wanted(cosine, right(j))).length;
    return {
      ahead: count((cosine) => cosine > best),
      own: count((cosine, mine) => mine && cosine === best),
      foreign: count((cosine, mine) => !mine && cosine === best),
    };
  }

  const COUNTINGS = {
    expected: ({ ahead, own, foreign }, k) => chance(k - ahead, own + foreign, own),
    optimistic: ({ ahead, own }, k) => Number(own > 0 && k - ahead > 0),
    pessimistic: ({ ahead, own, foreign }, k) => Number(own > 0 && k - ahead > foreign),
  };
  const percent = (values) => 100 * values.reduce((sum, x) => sum + x, 0) / values.length;

  /** Recalls in percent, {text_r1: ..., image_r1: ...}, of similarities s[image][caption]; owner: a caption's image. */
  function recalls(s, owner, ks, counting = "expected") {
    const texts = s.map((row, i) => beside(row, (j) => owner[j] === i));
    const images = owner.map((mine, j) => beside(s.map((row) => row[j]), (i) => i === mine));
    const hit = COUNTINGS[counting], named = (kind, queries) =>
      ks.map((k) => [`${kind}_r${k}`, percent(queries.map((query) => hit(query, k)))]);
    return Object.fromEntries([...named("text", texts), ...named("image", images)]);
  }

  /** The best recalls in percent that a model can reach whose similarity depends on the image and the text alone. */
  function ceiling(captions, owner, ks, images) {
    const copies = (text) => captions.filter((other) => other === text).length;
    const carriers = (text) => new Set(owner.filter((_, j) => captions[j] === text)).size;
    const mine = (i) => captions.filter((_, j) => owner[j] === i);
    const best = (i, k) => Math.max(0, ...mine(i).map((text) =>
      chance(k, copies(text), mine(i).filter((other) => other === text).length)));
    return Object.fromEntries([
      ...ks.map((k) => [`text_r${k}`, percent(Array.from({ length: images }, (_, i) => best(i, k)))]),
      ...ks.map((k) => [`image_r${k}`, percent(captions.map((text) => Math.min(1, k / carriers(text))))]),
    ]);
  }
  return { chance, recalls, ceiling };
})();

// ---- the grid

(() => {
  const WORDS = ["boats", "trees", "roofs", "sand", "grass", "road"], IMAGES = 6, KS = [1, 2, 3];
  const STARTS = {
    "three images share “trees”": [[0], [1], [1, 2], [1], [4], [4, 5]],
    "every image has its own caption": [[0], [1], [2], [3], [4], [5]],
    "all images share one caption": [[1], [1], [1], [1], [1], [1]],
    "an own caption beside the shared one": [[0, 1], [1, 2], [1, 3], [1, 4], [5], [5]],
  };
  const NOISE = [[0.31, 0.55, 0.12, 0.62, 0.2, 0.47], [0.6, 0.25, 0.41, 0.08, 0.52, 0.3],
    [0.18, 0.44, 0.35, 0.58, 0.63, 0.1], [0.5, 0.22, 0.66, 0.29, 0.14, 0.4],
    [0.26, 0.7, 0.33, 0.45, 0.16, 0.56], [0.09, 0.37, 0.59, 0.21, 0.48, 0.3]];  // of image and caption

  rsnb.live("ties", (root) => {
    const { select, table, frame } = rsnb.controls;
    let carried;  // of each image the numbers of its words
    const start = select("start from", Object.keys(STARTS), () => begin());
    const model = select("similarities of", ["a perfect model", "a model with mistakes"], () => draw());
    const cells = NOISE.map((row, i) => row.map((_, w) => {
      const cell = rsnb.el("button", { type: "button", class: "live-cell", tabindex: -1, onclick: () => toggle(i, w),
        onkeydown: (event) => go(event, i, w), onfocus: () => reach(cell) });
      return cell;
    }));
    const reach = (cell) => cells.flat().forEach((one) => { one.tabIndex = one === cell ? 0 : -1; });
    const grid = rsnb.el("table", { class: "live-grid", role: "grid", "aria-label": "Which image has which caption" },
      rsnb.el("tr", { role: "row" }, rsnb.el("td", { role: "gridcell" }),
        WORDS.map((word) => rsnb.el("th", { scope: "col", role: "columnheader" }, word))),
      cells.map((row, i) => rsnb.el("tr", { role: "row" },
        rsnb.el("th", { scope: "row", role: "rowheader" }, `image ${i + 1}`),
        row.map((cell) => rsnb.el("td", { role: "gridcell" }, cell)))));
    const body = rsnb.el("tbody"), said = rsnb.el("p", { class: "live-result" });
    frame(root, "Who shares a caption?", "A tick gives a caption to an image. A caption with several ticks describes "
      + "several images: watch what a recall can still be.",
      rsnb.el("div", { class: "live-columns" }, rsnb.el("div", {}, start, grid, model), rsnb.el("div", {},
        table("Recall in percent: bar from the worst to the best order of ties, dot expected, line ceiling",
          ["", "in a picture", "expected", "range", "ceiling"], body, "live-recalls"), said)));

    function go(event, i, w) {
      const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const to = by && cells[i + by[0]]?.[w + by[1]];
      if (by) event.preventDefault();
      to?.focus();
    }
    function toggle(i, w) {
      const now = carried[i].includes(w) ? carried[i].filter((one) => one !== w) : [...carried[i], w].sort();
      if (now.length) {
        carried[i] = now;
        draw();
      } else {
        said.textContent = `Image ${i + 1} keeps its last caption: give it another one first.`;
      }
      rsnb.announce(root, said.textContent);
    }

    function draw() {
      const owner = carried.flatMap((words, i) => words.map(() => i)), texts = carried.flat();
      const copies = (w) => texts.filter((other) => other === w).length, perfect = model.input.selectedIndex === 0;
      const similar = (i, w) => perfect ? carried[i].includes(w) * (2 - copies(w) / 100)  // the rarer caption first
        : NOISE[i][w] + 0.3 * carried[i].includes(w);
      const s = carried.map((_, i) => texts.map((w) => similar(i, w)));
      const of = (counting) => rsnb.ties.recalls(s, owner, KS, counting);
      const [expected, best, worst] = ["expected", "optimistic", "pessimistic"].map(of);
      const top = rsnb.ties.ceiling(texts, owner, KS, IMAGES), whole = (x) => String(Math.round(x));
      cells.forEach((row, i) => row.forEach((cell, w) => {
        const has = carried[i].includes(w);
        cell.textContent = has ? "✓" : "";
        cell.setAttribute("aria-pressed", has);
        cell.setAttribute("aria-label", `image ${i + 1}, ${WORDS[w]}`);
        cell.classList.toggle("live-shared", has && copies(w) > 1);
      }));
      const ways = { text: "image to text", image: "text to image" };
      const head = (way) => rsnb.el("tr", {}, rsnb.el("th", { colspan: 5, scope: "rowgroup" }, way));
      body.replaceChildren(...Object.entries(ways).flatMap(([kind, way]) => [head(way), ...KS.map((k) => {
        const name = `${kind}_r${k}`;
        const [from, to] = [worst[name], best[name]].map(whole);
        const bar = rsnb.svg("svg", { viewBox: "0 0 104 16", class: "live-bar", "aria-hidden": "true" },
          rsnb.svg("rect", { x: 2, y: 5, width: 100, height: 6, class: "live-track" }),
          rsnb.svg("rect", { x: 2 + worst[name], y: 3, height: 10, width: best[name] - worst[name],
            class: "live-range" }),
          rsnb.svg("rect", { x: 1 + top[name], y: 0, width: 2, height: 16, class: "live-ceiling" }),
          rsnb.svg("circle", { cx: 2 + expected[name], cy: 8, r: 4, class: "live-dot" }));
        const texts = [whole(expected[name]), worst[name] === best[name] ? "–" : `${from} to ${to}`, whole(top[name])];
        return rsnb.el("tr", {}, rsnb.el("th", { scope: "row", "aria-label": `${way} R@${k}` }, `R@${k}`),
          rsnb.el("td", {}, bar), texts.map((text) => rsnb.el("td", {}, text)));
      })]));
      const shared = WORDS.flatMap((word, w) => copies(w) > 1 ? [`“${word}” describes ${copies(w)} images`] : []);
      const [can, is, low, high] = [top, expected, worst, best].map((one) => whole(one.image_r1));
      said.textContent = `${shared.join(", ") || "No caption is shared, nothing ties"}. Text to image, R@1 can be `
        + `expected to be ${can} % at most; ${perfect ? "a perfect" : "this"} model is expected to reach ${is} %, and `
        + (low === high ? "no order of the files changes it." : `the order of the files decides: ${low} to ${high} %.`);
    }
    function begin() { carried = STARTS[start.get()].map((words) => [...words]); draw(); }
    reach(cells[0][0]);
    begin();
  });
})();
