// The button for light, dark or what the browser asks for; the choice is kept where the browser keeps any.
"use strict";

(() => {
  const themes = ["auto", "light", "dark"];
  const made = document.getElementById("theme");
  let theme = "auto";
  try { theme = localStorage.getItem("theme") ?? theme; } catch { /* kept nowhere */ }

  function show() {
    if (!themes.includes(theme)) theme = "auto";
    document.documentElement.dataset.theme = theme;
    made.textContent = `Theme: ${theme}`;
  }

  made.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("theme", theme); } catch { /* kept nowhere */ }
    show();
  });
  made.hidden = false;
  show();
})();
