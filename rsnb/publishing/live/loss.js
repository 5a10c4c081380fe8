// The loss by hand: six pairs on a circle, and what each term of the loss does to every point. First the losses and
// their gradients, of embeddings of any width, as rsnb.losses has them; then the picture.
"use strict";

rsnb.loss = (() => {
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const add = (total, x, factor) => x.forEach((value, i) => { total[i] += factor * value; });
  const zeros = (rows, columns) => Array.from({ length: rows }, () => new Array(columns).fill(0));
  const sizeOf = (x) => Math.max(Math.sqrt(dot(x, x)), 1e-12);
  const unit = (x) => x.map((value) => value / sizeOf(x));

  /** Cosines of all rows of a with all rows of b. */
  const cosines = (a, b) => a.map(unit).map((x) => b.map(unit).map((y) => dot(x, y)));

  /** From the gradient of each cosine to those of the embeddings: only what is at right angles to x turns it. */
  function toEmbeddings(a, b, ds) {
    const through = (x, pull) => pull.map((p, i) => (p - dot(pull, unit(x)) * unit(x)[i]) / sizeOf(x));
    const pulls = (x, others, weight) => x.map((row, i) => {
      const pull = new Array(row.length).fill(0);
      others.forEach((other, j) => add(pull, unit(other), weight(i, j)));
      return through(row, pull);
    });
    return [pulls(a, b, (i, j) => ds[i][j]), pulls(b, a, (i, j) => ds[j][i])];
  }

  /** The bidirectional hinge T(a, b) as rsnb.losses.triplet: summed; mining is hardest, semi-hard or sum. */
  function triplet(a, b, margin = 0.2, mining = "hardest") {
    const s = cosines(a, b), ds = zeros(a.length, a.length);
    let loss = 0;
    const anchor = (i, cosine, change) => {  // one row or one column: its hinges, and those that count
      let hinges = s.map((_, j) => ({ j, value: j === i ? 0 : margin + cosine(j) - s[i][i] }));
      hinges = hinges.filter((h) => h.value > 0);
      if (mining === "semi-hard") hinges = hinges.filter((h) => cosine(h.j) < s[i][i]);
      const most = Math.max(...hinges.map((h) => h.value));
      if (mining !== "sum") hinges = hinges.filter((h) => h.value === most);
      const share = mining === "sum" ? 1 : 1 / hinges.length;  // equals share the gradient, as in PyTorch
      for (const { j, value } of hinges) {
        loss += share * value;
        change(j, share);
        ds[i][i] -= share;
      }
    };
    for (let i = 0; i < a.length; i++) {
      anchor(i, (j) => s[i][j], (j, share) => { ds[i][j] += share; });
      anchor(i, (j) => s[j][i], (j, share) => { ds[j][i] += share; });
    }
    return { loss, gradients: toEmbeddings(a, b, ds) };
  }

  /** CLIP's symmetric cross-entropy, averaged over the batch, as rsnb.losses.clip_loss; scale is 1 / temperature. */
  function clip(a, b, scale = 100) {
    const s = cosines(a, b), n = a.length, ds = zeros(n, n);
    let loss = 0;
    const entropy = (i, cosine, change) => {
      const logits = s.map((_, j) => scale * cosine(j)), most = Math.max(...logits);
      const total = logits.reduce((sum, x) => sum + Math.exp(x - most), 0);
      loss += (most + Math.log(total) - logits[i]) / (2 * n);
      logits.forEach((x, j) => change(j, scale * (Math.exp(x - most) / total - (j === i)) / (2 * n)));
    };
    for (let i = 0; i < n; i++) {
      entropy(i, (j) => s[i][j], (j, d) => { ds[i][j] += d; });
      entropy(i, (j) => s[j][i], (j, d) => { ds[j][i] += d; });
    }
    return { loss, gradients: toEmbeddings(a, b, ds) };
  }

  /** HMMC: w1 T(v, t) + w2 T(v, v') + w3 T(t, t'), as rsnb.losses.hmmc; gradients are of v, t, v', t'. */
  function hmmc(v, t, v2, t2, margin = 0.2, weights = [1, 1, 1], mining = "hardest") {
    const parts = [[v, t], [v, v2], [t, t2]].map(([a, b]) => triplet(a, b, margin, mining));
    const gradients = [v, t, v2, t2].map((x) => zeros(x.length, x[0].length));
    parts.forEach((part, k) => [[0, 1], [0, 2], [1, 3]][k].forEach((which, side) =>
      part.gradients[side].forEach((row, i) => add(gradients[which][i], row, weights[k]))));
    const losses = parts.map((part) => part.loss);
    return { loss: losses.reduce((sum, loss, k) => sum + weights[k] * loss, 0), parts: losses, gradients };
  }
  return { cosines, triplet, clip, hmmc };
})();

// ---- the circle

(() => {
  const PAIRS = 6, DEGREE = Math.PI / 180, STILL = 2e-5, MOST = 2000;
  const KINDS = ["image", "caption"];
  const CLASSES = ["harbor", "forest", "desert"], FILL = ["#7cc4f0", "#8fd18a", "#f2b84b"];  // two pairs of each
  const RING = [152, 116], MIDDLE = 190;  // radius of the images and of the captions: one circle, drawn as two rings
  // How far the second view of each image and caption is turned: degrees, fixed as one draw of token dropout.
  const TURNED = [[1, -4, 8, -2, 5, -10], [7, 3, -9, 2, -5, -1]];
  const TERMS = [
    { name: "cross-modal hinge T(v, t)", colour: "#d55e00" }, { name: "image term T(v, v′)", colour: "#0b84c6" },
    { name: "caption term T(t, t′)", colour: "#0a9468" }, { name: "CLIP's loss", colour: "#b8589b" },
  ];
  const GAP = [[24, 79, 67, 58, 47, 35], [144, 110, 123, 100, 132, 157]];  // degrees; images and captions apart
  const AROUND = [[10, 200, 95, 310, 150, 250], [170, 40, 290, 120, 225, 350]];
  const POINT = [[90, 92, 88, 91, 89, 93], [91, 88, 92, 89, 93, 90]];
  const EXPERIMENTS = {  // where it starts, which terms, mining
    "1: hardest negative alone": [GAP, [1, 0, 0, 0], "hardest"],
    "2: hardest negative and the image term": [GAP, [1, 1, 0, 0], "hardest"],
    "3: hardest negative and both terms (HMMC)": [GAP, [1, 1, 1, 0], "hardest"],
    "4: sum of all negatives alone": [GAP, [1, 0, 0, 0], "sum"],
    "5: CLIP's loss": [GAP, [0, 0, 0, 1], "hardest"],
    "6: CLIP's loss, started from nearly one point": [POINT, [0, 0, 0, 1], "hardest"],
    "7: HMMC, started from all around": [AROUND, [1, 1, 1, 0], "hardest"],
  };
  const at = (angles) => angles.map((angle) => [Math.cos(angle), Math.sin(angle)]);
  const turn = (angles, gradients) =>  // the gradient of an angle from that of its point
    gradients.map(([x, y], i) => -Math.sin(angles[i]) * x + Math.cos(angles[i]) * y);
  const plus = (a, b) => a.map((x, i) => x + b[i]);

  rsnb.loss.starts = Object.fromEntries(Object.entries(EXPERIMENTS).map(([name, [start, terms, mining]]) =>
    [name, { angles: start.map((side) => side.map((x) => x * DEGREE)), terms, mining }]));
  rsnb.loss.seconds = (angles) => angles.map((side, k) => side.map((x, i) => x + TURNED[k][i] * DEGREE));

  /** Every term of two lists of angles [images, captions]: its loss, and its gradient of each angle. */
  rsnb.loss.onCircle = (angles, { margin = 0.2, mining = "hardest", scale = 10 } = {}) => {
    const [v, t] = angles, [v2, t2] = rsnb.loss.seconds(angles), none = v.map(() => 0);
    const hinge = (a, b) => rsnb.loss.triplet(at(a), at(b), margin, mining);
    const both = (a, b, found) => [turn(a, found.gradients[0]), turn(b, found.gradients[1])];
    const found = [hinge(v, t), hinge(v, v2), hinge(t, t2), rsnb.loss.clip(at(v), at(t), scale)];
    return found.map((one, k) => {
      const gradients = k === 1 ? [plus(...both(v, v2, one)), none] : k === 2 ? [none, plus(...both(t, t2, one))]
        : both(v, t, one);
      return { loss: one.loss, gradients };
    });
  };

  /** A step of gradient descent on the chosen terms: the new angles, and how far the farthest point moved. */
  rsnb.loss.step = (angles, terms, settings, rate = 0.05) => {
    const found = rsnb.loss.onCircle(angles, settings);
    const moved = angles.map((side, k) => side.map((_, i) =>
      -rate * found.reduce((sum, term, n) => sum + (terms[n] ? term.gradients[k][i] : 0), 0)));
    return { angles: angles.map((side, k) => plus(side, moved[k])), most: Math.max(...moved.flat().map(Math.abs)) };
  };

  /** What a reader wants to know of a state: right answers in first place, and whether each kind is one point. */
  rsnb.loss.stateOf = (angles) => {
    const s = rsnb.loss.cosines(at(angles[0]), at(angles[1])), n = s.length;
    const first = s.filter((row, i) => row.every((x, j) => j === i || x < row[i] - 1e-4)).length;
    const mean = (side) => rsnb.loss.cosines(at(side), at(side)).flat().reduce((sum, x) => sum + x, -n) / (n * n - n);
    const [images, captions] = angles.map(mean);
    const collapsed = images > 0.999 && captions > 0.999;
    return { first, images, captions, collapsed, one: collapsed && s[0][0] > 0.999 };
  };

  rsnb.live("loss", (root) => {
    const { slider, select, check, button, table, frame } = rsnb.controls;
    let angles, chosen = [0, 0], running = 0, steps = 0;
    const experiment = select("experiment", Object.keys(EXPERIMENTS), () => begin());
    const mining = select("negatives that count",
      [["hardest", "hardest of each row and column"], ["semi-hard", "semi-hard"], ["sum", "sum of all"]], () => draw());
    const digits = (x) => (Math.round(100 * x) / 100 + 0).toFixed(2).replace("-", "−");
    const margin = slider("margin m", { min: 0, max: 0.6, step: 0.01, value: 0.2, say: digits }, () => draw());
    const scale = slider("CLIP's τ = 1 / temperature", { min: 1, max: 100, value: 10 }, () => draw());
    const rate = slider("length of a step", { min: 0.01, max: 0.2, step: 0.01, value: 0.05, say: digits }, () =>
      draw());
    const boxes = TERMS.map((term) => check(term.name, false, () => draw()));
    const values = TERMS.map(() => rsnb.el("td"));
    const key = (term) => rsnb.el("span", { class: "live-key", style: `background:${term.colour}` });
    const terms = table("Terms of the loss. Their arrows: where a step takes each point", [], TERMS.map((term, k) =>
      rsnb.el("tr", {}, rsnb.el("th", { scope: "row" }, key(term), boxes[k]), values[k])));
    const said = rsnb.el("p", { class: "live-result" }), about = rsnb.el("p", { class: "live-about" });
    const run = button("Run until nothing moves", () => { if (running) stop(); else start(); });
    const buttons = rsnb.el("div", { class: "live-buttons" },
      button("One step", () => { stop(); move(); draw(); }), run, button("Start again", () => begin()));
    const marks = rsnb.svg("g"), links = rsnb.svg("g"), arrows = rsnb.svg("g");
    const picture = rsnb.svg("svg", { viewBox: "0 0 380 380", class: "live-circle", role: "group", "aria-label":
      "Six images and six captions on a circle. Left and right arrow keys turn a point, up and down go to another." },
      RING.map((r) => rsnb.svg("circle", { cx: MIDDLE, cy: MIDDLE, r, class: "live-ring" })), links, arrows, marks);
    const points = RING.map((_, k) => FILL.concat(FILL).map((_, i) => point(k, i)));
    marks.append(...points.flat().map((p) => p.dim), ...points.flat().map((p) => p.mark));
    frame(root, "The loss, by hand", "Choose an experiment, predict where the points end, and run it; or drag the "
      + "points. Images (discs, outer ring) and captions (squares, inner ring) lie on one circle: the angle between "
      + "two is all that counts.",
      experiment, buttons, said, rsnb.el("div", { class: "live-columns" }, rsnb.el("div", {}, picture, about),
        rsnb.el("div", {}, terms, mining, margin, scale, rate)),
      rsnb.el("details", {}, rsnb.el("summary", {}, "What this picture can and cannot show"), rsnb.el("p", {},
        "The small dots are the second views v′ and t′: each is its point turned by a fixed angle of its own, up "
        + "to 10°. In training it is the same input with other tokens dropped. Here a point moves by itself and has "
        + "two directions only: hard negatives on both sides hold it, so that other starts and steps leave pairs "
        + "stuck on one another with the terms too (experiment 7), and CLIP's loss falls into two points where "
        + "images and captions start apart (experiment 5). In a network the points share their weights and have many "
        + "directions. What holds against collapse there only training can say: see the table of section 8.")));

    function point(k, i) {
      const fill = FILL[i >> 1], mark = rsnb.svg("g", { class: "live-point", role: "slider", tabindex: -1,
        "aria-valuemin": 0, "aria-valuemax": 359, "aria-label": `${KINDS[k]} ${i + 1}, ${CLASSES[i >> 1]}` },
        k ? rsnb.svg("rect", { x: -10, y: -10, width: 20, height: 20, fill }) : rsnb.svg("circle", { r: 12, fill }),
        rsnb.svg("text", { y: 5 }, i + 1));
      const choose = () => { chosen = [k, i]; draw(); };
      mark.addEventListener("focus", choose);
      mark.addEventListener("pointerdown", (event) => {
        stop();
        mark.setPointerCapture(event.pointerId);
        mark.focus();
      });
      mark.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });  // no scrolling
      mark.addEventListener("pointermove", (event) => {
        if (!mark.hasPointerCapture(event.pointerId)) return;
        const box = picture.getBoundingClientRect();
        angles[k][i] = Math.atan2(box.top + box.height / 2 - event.clientY, event.clientX - box.left - box.width / 2);
        draw();
      });
      mark.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: 5, ArrowRight: -5 }[event.key], to = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        if (!by && !to) return;
        event.preventDefault();
        event.stopPropagation();  // the theme's arrow keys go to other pages
        stop();
        if (by) angles[k][i] += (event.shiftKey ? by / 5 : by) * DEGREE;
        const all = points.flat(), next = all[(k * PAIRS + i + (to || 0) + all.length) % all.length];
        if (to) next.mark.focus(); else draw();
      });
      return { mark, dim: rsnb.svg("circle", { r: 4, class: "live-dim", fill }) };
    }

    const place = (angle, r) => [MIDDLE + r * Math.cos(angle), MIDDLE - r * Math.sin(angle)];
    const settings = () => ({ margin: margin.get(), mining: mining.get(), scale: scale.get() });
    const ticked = () => boxes.map((box) => box.get());

    /** An arrow along the ring: where a term pulls a point, as long as three steps. */
    function arrow(angle, r, gradient, colour) {
      const length = Math.max(-0.8, Math.min(0.8, -3 * rate.get() * gradient));
      if (Math.abs(length) < 0.004) return null;
      const end = angle + length, way = Math.sign(length), back = end - way * Math.min(0.05, Math.abs(length));
      const [[x, y], [u, w]] = [place(angle, r), place(end, r)];
      return rsnb.svg("g", { stroke: colour, fill: colour }, rsnb.svg("path", { fill: "none", "stroke-width": 3,
        d: `M${x} ${y}A${r} ${r} 0 0 ${way > 0 ? 0 : 1} ${u} ${w}` }),
        rsnb.svg("polygon", { points: [place(end, r), place(back, r + 5), place(back, r - 5)].join(" ") }));
    }

    function draw() {
      const found = rsnb.loss.onCircle(angles, settings()), on = ticked(), seconds = rsnb.loss.seconds(angles);
      points.forEach((side, k) => side.forEach(({ mark, dim }, i) => {
        mark.setAttribute("transform", `translate(${place(angles[k][i], RING[k])})`);
        dim.setAttribute("transform", `translate(${place(seconds[k][i], RING[k])})`);
        mark.setAttribute("tabindex", chosen[0] === k && chosen[1] === i ? 0 : -1);
        mark.setAttribute("aria-valuenow", ((Math.round(angles[k][i] / DEGREE) % 360) + 360) % 360);
      }));
      const s = rsnb.loss.cosines(at(angles[0]), at(angles[1])), [k, i] = chosen;
      const rivals = s.map((row, j) => ({ j, cosine: k ? row[i] : s[i][j] })).filter(({ j }) => j !== i);
      const hardest = rivals.reduce((a, b) => (b.cosine > a.cosine ? b : a)), other = KINDS[1 - k];
      const hinge = Math.max(0, margin.get() + hardest.cosine - s[i][i]);
      const words = `cosine ${digits(s[i][i])} with its own ${other}; hardest negative ${other} ${hardest.j + 1} with `
        + `${digits(hardest.cosine)}; hinge ${digits(hinge)}.`;
      about.textContent = `Chosen ${KINDS[k]} ${i + 1}: ${words} Long dashes: that negative; short ones: the pairs.`;
      points[k][i].mark.setAttribute("aria-valuetext", words);
      const line = (a, b, name) => {
        const [[x1, y1], [x2, y2]] = [a, b];
        return rsnb.svg("line", { x1, y1, x2, y2, class: name });
      };
      const pairs = angles[0].map((a, j) => line(place(a, RING[0]), place(angles[1][j], RING[1]), "live-pair"));
      links.replaceChildren(...pairs,
        line(place(angles[k][i], RING[k]), place(angles[1 - k][hardest.j], RING[1 - k]), "live-rival"));
      const radius = (m, n) => RING[m] + (m ? -1 : 1) * (n % 3 ? 31 : 20);
      arrows.replaceChildren(...found.flatMap((term, n) => on[n] ? angles.flatMap((side, m) => side.map((angle, j) =>
        arrow(angle, radius(m, n), term.gradients[m][j], TERMS[n].colour))) : []).filter(Boolean));
      values.forEach((cell, n) => {
        cell.textContent = digits(found[n].loss);
        cell.classList.toggle("live-off", !on[n]);
      });
      const total = found.reduce((sum, term, n) => sum + on[n] * term.loss, 0), state = rsnb.loss.stateOf(angles);
      said.textContent = `Step ${steps}: loss ${digits(total)}; ${state.first} of 6 images have their own caption in `
        + `first place. Mean cosine of two images ${digits(state.images)}, of two captions ${digits(state.captions)}.`;
      return { total, state };
    }

    function move() {
      const made = rsnb.loss.step(angles, ticked(), settings(), rate.get());
      angles = made.angles;
      steps += 1;
      return made.most;
    }
    function stop() { cancelAnimationFrame(running); running = 0; run.textContent = "Run until nothing moves"; }
    function start() {
      const last = steps + MOST, calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      run.textContent = "Stop";
      const frames = () => {
        let most = 1;
        for (let n = 0; n < (calm ? 100 : 4) && most > STILL && steps < last; n++) most = move();
        if (most > STILL && steps < last) { draw(); running = requestAnimationFrame(frames); return; }
        stop();
        const { total, state } = draw();
        const end = most > STILL ? `Still moving after ${MOST} more steps. ` : "Nothing moves any more. ";
        const where = state.one ? "all points are one" : "all images are one point and all captions another";
        said.textContent = end + (state.collapsed ? `Collapse: ${where}; nothing can be told apart, and no arrow is `
          + `left although the loss is ${digits(total)}. ` : "") + said.textContent;
        rsnb.announce(root, said.textContent);
      };
      running = requestAnimationFrame(frames);
    }
    function begin() {
      const from = rsnb.loss.starts[experiment.get()];
      stop();
      steps = 0;
      angles = from.angles.map((side) => [...side]);
      boxes.forEach((box, k) => box.set(Boolean(from.terms[k])));
      mining.set(from.mining);
      draw();
    }
    begin();
  });
})();
