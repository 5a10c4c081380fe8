// Labelled controls of the live parts. Each is a label element with its .input; .get() and .set(value) are its value.
"use strict";

rsnb.controls = (() => {
  /** A slider that shows its value; say turns a value into words. */
  function slider(name, { min, max, step = 1, value, say = String }, changed) {
    const shown = rsnb.el("span", { class: "live-value" });  // an output would take the label
    const input = rsnb.el("input", { type: "range", min, max, step, value, "aria-label": name,
      oninput: () => { show(); changed(); } });
    const show = () => {
      shown.textContent = say(Number(input.value));
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    show();
    const label = rsnb.el("label", { class: "live-field" }, rsnb.el("span", {}, name, shown), input);
    return Object.assign(label, { input, set: (to) => { input.value = to; show(); }, get: () => Number(input.value) });
  }

  /** A list to choose from; options are texts or [value, text]. */
  function select(name, options, changed) {
    const input = rsnb.el("select", { onchange: changed }, options.map((option) => {
      const [value, text] = [option].flat();
      return rsnb.el("option", { value }, text ?? value);
    }));
    const label = rsnb.el("label", { class: "live-field" }, rsnb.el("span", {}, name), input);
    return Object.assign(label, { input, set: (to) => { input.value = to; }, get: () => input.value });
  }

  /** A box to tick. */
  function check(name, checked, changed) {
    const input = rsnb.el("input", { type: "checkbox", checked, onchange: changed });
    const label = rsnb.el("label", { class: "live-check" }, input, name);
    return Object.assign(label, { input, set: (to) => { input.checked = to; }, get: () => input.checked });
  }

  const button = (name, action, attributes = {}) =>
    rsnb.el("button", { type: "button", class: "live-button", onclick: action, ...attributes }, name);

  /** A table with a caption and, where heads are given, a first row of them. */
  const table = (caption, heads, body, name = "") => rsnb.el("table", { class: `live-table ${name}` },
    rsnb.el("caption", {}, caption), heads.length ? rsnb.el("thead", {}, rsnb.el("tr", {},
      heads.map((head) => rsnb.el("th", { scope: "col" }, head)))) : null, body);

  /** The frame of a part: a heading, one line that says what to do, and the rest. */
  function frame(root, title, what, ...children) {
    root.replaceChildren(rsnb.el("p", { class: "live-title" }, title), rsnb.el("p", { class: "live-what" }, what),
      ...children);
    root.setAttribute("role", "region");
    root.setAttribute("aria-label", title);
  }
  return { slider, select, check, button, table, frame };
})();
