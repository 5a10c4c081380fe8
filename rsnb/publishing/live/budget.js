// The adapter's budget: every layer of an MRS-Adapter counted, as rsnb.adapt would build it (rsnb/mrs.py).
"use strict";

rsnb.budget = (() => {
  /** The layers of one adapter: from a features to b with bias, a·b + b parameters. widths: {image: 768, text: 512}. */
  function layers(widths, bottleneck, shared) {
    const towers = Object.entries(widths), layer = (name, a, b) => ({ name, a, b, count: a * b + b });
    return [
      ...towers.map(([tower, width]) => layer(`down, ${tower}`, width, bottleneck)),
      ...towers.map(([tower, width]) => layer(`up, ${tower}`, bottleneck, width - shared)),
      ...(shared ? [layer("up, shared", bottleneck, shared)] : []),
    ];
  }

  /** All that trains: one adapter for all blocks, or one for each depth. */
  const count = (widths, bottleneck, shared, adapters = 1) =>
    adapters * layers(widths, bottleneck, shared).reduce((sum, layer) => sum + layer.count, 0);
  return { layers, count };
})();

(() => {
  const BACKBONES = {  // widths, blocks of a tower, and parameters of the whole CLIP
    "ViT-B/32": { image: 768, text: 512, blocks: 12, total: 151277313 },
    "mini CLIP of the lessons": { image: 192, text: 128, blocks: 4, total: 2928513 },
    "widths of your own": {},
  };
  rsnb.budget.backbones = BACKBONES;
  const COLOURS = { image: "#0b84c6", text: "#d55e00", shared: "#0a9468" };

  rsnb.live("budget", (root) => {
    const { slider, select, button, table, frame } = rsnb.controls, number = (x) => x.toLocaleString("en");
    const backbone = select("backbone", Object.keys(BACKBONES), () => choose());
    const own = () => { backbone.set("widths of your own"); draw(); };
    const widths = { image: slider("width, image tower", { min: 64, max: 1280, step: 64, value: 768 }, own),
      text: slider("width, text tower", { min: 64, max: 1280, step: 64, value: 512 }, own) };
    const bottleneck = slider("bottleneck r", { min: 1, max: 256, value: 64 }, () => draw());
    const shared = slider("shared slice d", { min: 0, max: 511, value: 64 }, () => draw());
    const blocks = slider("blocks with the adapter", { min: 1, max: 12, value: 12 }, () => draw());
    const sharing = select("the blocks use", ["one adapter for all", "an adapter for each depth"], () => draw());
    const towers = select("towers", ["both", "image", "text"], () => draw());
    const body = rsnb.el("tbody"), total = rsnb.el("p", { class: "live-total" });
    const said = rsnb.el("p", { class: "live-result" });
    const bar = rsnb.svg("svg", { viewBox: "0 0 400 26", preserveAspectRatio: "none", class: "live-stack",
      "aria-hidden": "true" });
    frame(root, "The adapter's budget", "Move a slider and see which layer grows. It starts at the paper's 161,088.",
      rsnb.el("div", { class: "live-columns" },
        rsnb.el("div", {}, backbone, bottleneck, shared, sharing, blocks, towers, widths.image, widths.text,
          rsnb.el("div", { class: "live-buttons" }, button("The paper's adapter", () => begin()))),
        rsnb.el("div", {}, total, bar, table("From a to b features with bias: a × b + b",
          ["layer", "a × b + b", "parameters"], body), said)));
    root.addEventListener("change", () => rsnb.announce(root, total.textContent));

    function draw() {
      const chosen = Object.fromEntries(Object.entries(widths).map(([tower, width]) => [tower, width.get()])
        .filter(([tower]) => [tower, "both"].includes(towers.get())));
      shared.input.max = Math.min(...Object.values(chosen)) - 1;
      shared.set(shared.get());
      const r = bottleneck.get(), d = shared.get(), each = sharing.input.selectedIndex === 1;
      const adapters = each ? blocks.get() : 1;
      const layers = rsnb.budget.layers(chosen, r, d), one = rsnb.budget.count(chosen, r, d), all = one * adapters;
      const whole = BACKBONES[backbone.get()].total;
      const share = whole ? `, ${(100 * all / whole).toFixed(2)} % of the ${number(whole)} of ${backbone.get()}` : "";
      total.textContent = `${number(all)} parameters${share}`;
      const colour = ({ name }) => COLOURS[name.split(", ")[1]];
      const strength = ({ name }) => (name.startsWith("down") ? 1 : 0.6);
      let x = 0;
      bar.replaceChildren(...layers.map((layer) => {
        const width = 400 * layer.count / one;
        x += width;
        return rsnb.svg("rect", { x: x - width, width: Math.max(width - 1, 0.5), height: 26, fill: colour(layer),
          "fill-opacity": strength(layer) });
      }));
      const row = (name, how, count, key) => rsnb.el("tr", {}, rsnb.el("th", { scope: "row" },
        key && rsnb.el("span", { class: "live-key", style: `background:${colour(key)};opacity:${strength(key)}` }),
        name), rsnb.el("td", {}, how), rsnb.el("td", {}, number(count)));
      body.replaceChildren(
        ...layers.map((layer) => row(layer.name, `${layer.a} × ${layer.b} + ${layer.b}`, layer.count, layer)),
        row("one adapter", layers.map((layer) => number(layer.count)).join(" + "), one),
        ...(each ? [row(`${adapters} adapters`, `${adapters} × ${number(one)}`, all)] : []));
      const saved = rsnb.budget.count(chosen, r, 0) - one, places = blocks.get() * Object.keys(chosen).length;
      said.textContent = (saved > 0 ? `Sharing the last ${d} features of the output saves ${number(saved * adapters)}. `
        : "The shared slice saves nothing here: there is no second tower or no slice. ")
        + (each ? `Each of the ${adapters} depths has an adapter of its own.`
          : `One adapter is called in ${places} blocks; more blocks cost nothing.`);
    }
    function choose() {
      const { image, text, blocks: depth } = BACKBONES[backbone.get()];
      if (depth) {
        widths.image.set(image);
        widths.text.set(text);
        blocks.input.max = depth;
        blocks.set(depth);
      }
      draw();
    }
    function begin() {
      backbone.set("ViT-B/32");
      bottleneck.set(64);
      towers.set("both");
      sharing.set("one adapter for all");
      widths.image.set(768);
      widths.text.set(512);
      shared.input.max = 511;
      shared.set(64);
      choose();
    }
    begin();
  });
})();
