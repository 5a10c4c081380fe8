// On the pages of the site and on those of `rsnb run`: code that can be copied, figures in full size, and regions that
// scroll within reach of the keyboard.
"use strict";

(() => {
  const page = document.querySelector("main, article");

  function button(name, label, action) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = name;
    made.textContent = label;
    made.addEventListener("click", action);
    return made;
  }

  // ---- copy

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // a page that came over plain HTTP may not use it
      const box = document.body.appendChild(document.createElement("textarea"));
      box.value = text;
      box.select();
      document.execCommand("copy");
      box.remove();
    }
  }

  for (const code of page.querySelectorAll("div.highlight > pre")) {
    const made = button("copy", "Copy", async () => {
      await copy(code.textContent);
      made.textContent = "Copied";
      setTimeout(() => { made.textContent = "Copy"; }, 2000);
    });
    made.setAttribute("aria-live", "polite");
    code.after(made);
  }

  // ---- full size

  const dialog = document.body.appendChild(document.createElement("dialog"));
  dialog.className = "full-size";
  dialog.setAttribute("aria-label", "Figure in full size");
  const close = dialog.appendChild(button("close", "Close", () => dialog.close()));
  const frame = dialog.appendChild(document.createElement("div"));
  frame.tabIndex = 0;
  const picture = frame.appendChild(document.createElement("img"));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  for (const figure of page.querySelectorAll("img")) {
    if (figure.closest("a, button, table")) continue;
    const made = button("full-size", "", () => {
      picture.src = figure.src;
      picture.alt = figure.alt;
      dialog.showModal();
      close.focus();
    });
    made.title = "Show in full size";
    made.setAttribute("aria-haspopup", "dialog");
    figure.replaceWith(made);
    made.append(figure);
  }

  // ---- what scrolls sideways

  function reach() {
    for (const region of page.querySelectorAll("pre, div, .highlight, dl.py > dt")) {
      const hidden = region.scrollWidth > region.clientWidth + 1;
      if (hidden && /auto|scroll/.test(getComputedStyle(region).overflowX)) {
        region.tabIndex = 0;
      } else if (region.tabIndex === 0 && region.hasAttribute("tabindex")) {
        region.removeAttribute("tabindex");
      }
    }
  }

  reach();
  addEventListener("load", reach);
  addEventListener("resize", reach);
})();
