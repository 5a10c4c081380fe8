// The map: t-SNE of images and captions, before and after adaptation, with the picture of the chosen point.
"use strict";

rsnb.map = (() => {
  /** The nearest point in the direction [dx, dy], of points [x, y] with y downwards: within 45 degrees of it. */
  function next(points, from, [dx, dy], open = () => true) {
    const [x, y] = points[from], distance = (j) => {
      const [u, v] = [points[j][0] - x, points[j][1] - y], along = u * dx + v * dy, aside = Math.abs(u * dy - v * dx);
      return along > 0 && aside <= along ? Math.hypot(u, v) : Infinity;
    };
    let found = from, least = Infinity;
    for (let j = 0; j < points.length; j++) {
      if (j !== from && open(j) && distance(j) < least) [found, least] = [j, distance(j)];
    }
    return found;
  }

  /** The point nearest to [x, y]. */
  const nearest = (points, [x, y], open = () => true) => points.reduce((best, [u, v], j) =>
    open(j) && Math.hypot(u - x, v - y) < best.distance ? { j, distance: Math.hypot(u - x, v - y) } : best,
  { j: -1, distance: Infinity });
  return { next, nearest };
})();

rsnb.live("map", async (root, home) => {
  const COLOURS = ["#0b84c6", "#d55e00", "#0a9468", "#b8589b", "#a07d00", "#7a6ff0", "#c94f4f", "#4f8f8f"];
  const NAMES = { before: "Before: zero-shot CLIP", after: "After: with the adapter" };
  const { check, frame } = rsnb.controls, data = await rsnb.load("coordinates"), count = data.images.length;
  const label = new Map(data.images), classes = [...new Set(data.images.map(([, name]) => name))].sort();
  const items = [...data.images.map(([image, name]) => ({ image, name })),
    ...data.captions.map(([image, text]) => ({ image, name: label.get(image), text }))];
  const drawn = ([x, y]) => [20 + x * 0.96, 980 - y * 0.96];  // in the picture, y downwards
  let shown = "before", picked = classes.slice(0, 4), chosen = 0;

  const marks = items.map(({ text }) => (text === undefined ? rsnb.svg("circle", { r: 10 })
    : rsnb.svg("path", { d: "M-7 0H7M0 -7V7", "stroke-width": 3.5 })));
  const ring = rsnb.svg("circle", { r: 20, class: "live-ring-chosen" });
  const picture = rsnb.svg("svg", { viewBox: "0 0 1000 1000", class: "live-map", tabindex: 0, role: "group",
    "aria-label": "Map of images and captions. Arrow keys go to the nearest point that way, which is read out." },
  [...marks.slice(count), ...marks.slice(0, count)], ring);
  const switches = Object.keys(NAMES).map((name) => rsnb.el("button", { type: "button", class: "live-button",
    onclick: () => { shown = name; move(); rsnb.announce(root, `${name} adaptation`); } }, NAMES[name]));
  const captions = check("captions", true, () => draw());
  const legend = classes.map((name) => rsnb.el("button", { type: "button", class: "live-class",
    onclick: () => pick(name) }, rsnb.el("span", { class: "live-key" }), name));
  const list = rsnb.el("div", { class: "live-legend", role: "group", "aria-label": "Classes in colour, at most eight" },
    legend);
  const card = rsnb.el("div", { class: "live-card" });
  frame(root, "t-SNE before and after", "Point at a mark, tap it, or use the arrow keys. Discs are images, crosses "
    + "are captions; pick up to eight classes to colour. Only who is near to whom means something.",
    rsnb.el("div", { class: "live-buttons", role: "group", "aria-label": "Which map" }, switches, captions),
    rsnb.el("div", { class: "live-columns live-wide" }, picture, rsnb.el("div", {}, card, list)));
  rsnb.roving(list, () => legend);

  const open = (j) => j < count || captions.get();
  const places = Object.fromEntries(Object.keys(NAMES).map((name) => [name, data[name].map(drawn)]));
  const points = () => places[shown];
  const colour = (name) => (picked.includes(name) ? COLOURS[picked.indexOf(name)] : "");

  function pick(name) {
    const names = picked.includes(name) ? picked.filter((one) => one !== name) : [...picked, name];
    picked = names.slice(-COLOURS.length);
    draw();
    ring.before(...marks.filter((_, j) => colour(items[j].name)));  // what has a colour lies on top
    rsnb.announce(root, `In colour: ${picked.join(", ") || "none"}`);
  }

  /** What a point is: its picture, class and caption, and the classes of its five nearest neighbours on this map. */
  function choose(j, aloud = false) {
    const { image, name, text } = items[j], at = points()[j], tile = 2 * data.size;
    chosen = j;
    ring.setAttribute("transform", `translate(${at})`);
    const near = points().map((point, k) => [Math.hypot(point[0] - at[0], point[1] - at[1]), k])
      .filter(([, k]) => k !== j && open(k)).sort((a, b) => a[0] - b[0]).slice(0, 5).map(([, k]) => k);
    const same = near.filter((k) => items[k].name === name).length, texts = near.filter((k) => k >= count).length;
    const about = text === undefined ? `Image of the class ${name}`
      : `Caption of an image of the class ${name}: “${text}”`;
    const around = `Of its five nearest marks here, ${same} are of its class and ${texts} are captions.`;
    card.replaceChildren(rsnb.el("div", { class: "live-tile", role: "img", "aria-label": `picture, ${name}`, style:
      `width:${tile}px;height:${tile}px;background:url("${home}gallery.jpg") -${image % data.columns * tile}px `
      + `-${Math.floor(image / data.columns) * tile}px / ${data.columns * tile}px auto` }),
    rsnb.el("p", {}, `${about}. ${around}`));
    if (aloud) rsnb.announce(root, `${about}. ${around}`);
  }

  function draw() {
    marks.forEach((mark, j) => {
      const now = colour(items[j].name), text = j >= count;
      mark.setAttribute("class", `live-mark${text ? " live-cross" : ""}${now ? "" : " live-faint"}`);
      mark.style.color = now || "";
      mark.style.display = open(j) ? "" : "none";
    });
    legend.forEach((button, k) => {
      button.setAttribute("aria-pressed", picked.includes(classes[k]));
      button.firstChild.style.background = colour(classes[k]) || "";
    });
    if (!open(chosen)) chosen = 0;
    choose(chosen);
  }

  function move() {
    points().forEach(([x, y], j) => {
      if (j < count) marks[j].style.transform = `translate(${x}px, ${y}px)`;  // a style can move slowly
      else marks[j].setAttribute("transform", `translate(${x} ${y})`);
    });
    switches.forEach((button, k) => button.setAttribute("aria-pressed", Object.keys(NAMES)[k] === shown));
    choose(chosen);
  }

  const under = (event) => {
    const box = picture.getBoundingClientRect(), unit = box.width / 1000;
    const place = [(event.clientX - box.left) / unit, (event.clientY - box.top) / unit];
    const { j, distance } = rsnb.map.nearest(points(), place, open);
    if (distance * unit < 24 && j !== chosen) choose(j);  // a finger's breadth
  };
  picture.addEventListener("pointermove", under);
  picture.addEventListener("pointerdown", under);
  picture.addEventListener("keydown", (event) => {
    const way = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();  // the theme's arrow keys go to other pages
    choose(rsnb.map.next(points(), chosen, way, open), true);
  });
  move();
  draw();
});
