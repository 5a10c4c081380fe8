// Lessons that run in the page: what all live parts share. A part registers with rsnb.live(name, mount); its place in
// a page is <div class="live" data-live="name">. Without JavaScript the place is empty and the page is as it was.
"use strict";

const rsnb = { data: {} };

(() => {
  const inPage = typeof document !== "undefined";  // under Node there are the pure functions alone
  const home = inPage && document.currentScript ? new URL("live/", document.currentScript.src).href : "";
  const mounts = {};
  const loading = {};

  // ---- parts and their places
  /** Register a part: mount(root, home) fills its place; home is the address of the folder of its data and pictures. */
  rsnb.live = (name, mount) => { mounts[name] = mount; };

  /** Fill one place. Where that fails, the place says why and the rest of the page works. */
  rsnb.fill = async (root) => {
    try {
      await mounts[root.dataset.live](root, home);
    } catch (error) {
      rsnb.fail(root, error);
    }
  };

  /** One plain sentence in place of a part. */
  rsnb.fail = (root, error) => {
    const why = error instanceof rsnb.Problem ? error.message : `it met an error (${error.message})`;
    root.replaceChildren(rsnb.el("p", { class: "live-problem", role: "alert" },
      `This live part does not work: ${why}. The rest of the page does.`));
  };

  /** An error whose message is a plain sentence for the reader, without its full stop. */
  rsnb.Problem = class extends Error {};

  // ---- elements
  function made(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if ((value ?? false) !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat(Infinity).filter((child) => (child ?? null) !== null));
    return element;
  }

  /** An HTML element: attributes by name, listeners as onclick: function, children as elements and strings. */
  rsnb.el = (tag, attributes = {}, ...children) => made(document.createElement(tag), attributes, children);

  /** The same for SVG. */
  rsnb.svg = (tag, attributes = {}, ...children) =>
    made(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  /** Let a screen reader say a text when it has time: a polite live region, hidden from the eye. */
  rsnb.announce = (root, text) => {
    const said = root.querySelector(":scope > .live-said")
      || root.appendChild(rsnb.el("p", { class: "live-said", role: "status" }));
    said.textContent = text;
  };

  /** Wait until an element is about to be seen. */
  rsnb.near = (element) => new Promise((resolve) => {
    const watch = new IntersectionObserver((seen) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      resolve();
    }, { rootMargin: "600px" });
    watch.observe(element);
  });

  /** Wait until a picture of the data is there. */
  rsnb.picture = (name) => new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = resolve;
    picture.onerror = () => reject(new rsnb.Problem(`its file ${name} is missing or damaged`));
    picture.src = home + name;
  });

  /** Many items as one tab stop: arrow keys, Home and End move among the items, which are asked for anew each time. */
  rsnb.roving = (group, items) => {
    const reach = (chosen) => { for (const item of items()) item.tabIndex = item === chosen ? 0 : -1; };
    group.addEventListener("keydown", (event) => {
      const all = items(), at = all.indexOf(document.activeElement);
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : step && at + step;
      if (at < 0 || to === undefined || !all[to]) return;
      event.preventDefault();
      all[to].focus();
    });
    group.addEventListener("focusin", (event) => { if (items().includes(event.target)) reach(event.target); });
    reach(items()[0]);
    return () => reach(items()[0]);  // to be called when the items have changed
  };

  // ---- data
  /** Adler-32 of a text of plain ASCII, as zlib.adler32 in Python. */
  rsnb.adler32 = (text, from = 0, to = text.length, seed = 1) => {
    let a = seed & 65535, b = seed >>> 16;
    for (let start = from; start < to; start += 3800) {  // b stays below 2^53 and, so often reduced, below 2^31
      for (let i = start; i < Math.min(start + 3800, to); i++) { a += text.charCodeAt(i); b += a; }
      a %= 65521;
      b %= 65521;
    }
    return (b * 65536) + a;
  };

  let started = 0;  // when the page last came to rest

  /** Between two steps of long work: after some ms without a rest, let clicks, keys and drawing come first. */
  rsnb.rest = async (after = 5) => {
    if (performance.now() - started < after) return;
    await new Promise((resolve) => { setTimeout(resolve, 0); });
    started = performance.now();
  };

  /**
   * The data of that name. A script live/NAME.js sets rsnb.data.NAME = {length, checksum, text}, where text is JSON in
   * plain ASCII; a script loads from a folder too, where a page may not read other files.
   */
  rsnb.load = (name) => {
    loading[name] ||= fetchData(name).catch((error) => { delete loading[name]; throw error; });
    return loading[name];
  };

  async function fetchData(name) {
    await new Promise((resolve, reject) => {
      document.head.append(rsnb.el("script", {
        src: `${home}${name}.js`,
        onload: resolve,
        onerror: () => reject(new rsnb.Problem(`its file ${name}.js is missing`)),
      }));
    });
    return rsnb.unseal(name, rsnb.data[name]);
  }

  /** What a sealed text holds, if it is whole. */
  rsnb.unseal = async (name, sealed) => {
    const damaged = new rsnb.Problem(`its file ${name}.js is damaged; get the pages again`);
    if (typeof sealed?.text !== "string" || sealed.text.length !== sealed.length) throw damaged;
    let sum = 1;
    for (let from = 0; from < sealed.length; from += 100000) {
      sum = rsnb.adler32(sealed.text, from, Math.min(from + 100000, sealed.length), sum);
      await rsnb.rest();
    }
    if (sum !== sealed.checksum) throw damaged;
    return JSON.parse(sealed.text);
  };

  const floatOf = new Float32Array(65536);  // of every 16-bit float
  for (let half = 0; half < 65536; half++) {
    const exponent = (half >> 10) & 31, fraction = half & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    floatOf[half] = half >> 15 ? -size : size;
  }

  /** The numbers of a base64 text of little-endian 16-bit floats, decoded in slices. */
  rsnb.halves = async (base64) => {
    const numbers = new Float32Array((base64.length / 4 * 3 - base64.match(/=*$/)[0].length) / 2);
    for (let from = 0, at = 0; from < base64.length; from += 80000) {  // a multiple of 8: whole numbers in every slice
      const bytes = atob(base64.slice(from, from + 80000));
      for (let k = 0; k < bytes.length; k += 2) {
        numbers[at++] = floatOf[bytes.charCodeAt(k) | (bytes.charCodeAt(k + 1) << 8)];
      }
      await rsnb.rest();
    }
    return numbers;
  };

  // ---- start
  if (inPage) {
    document.addEventListener("DOMContentLoaded", () => {
      for (const root of document.querySelectorAll("div.live[data-live]")) {
        if (mounts[root.dataset.live]) rsnb.fill(root);
      }
    });
  }
})();
