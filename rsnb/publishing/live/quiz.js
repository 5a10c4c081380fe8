// Quizzes and predictions of a lesson: an answer is chosen before the solution opens, a prediction is written and shown
// beside its result. What a reader writes stays in this browser, and goes into a file only by the button at the end.
"use strict";

rsnb.quiz = (() => {
  const plain = (html) => html.replace(/<[^>]*>/g, "").replace(/\s+/g, " ").trim();
  const capital = (html) => html.replace(/^(\W*)(\p{Ll})/u, (_, before, first) => before + first.toUpperCase());

  /** The first sentence of some HTML, and the second one too where the first says little more than yes or no. */
  function opening(html, least = 30) {
    const sentences = html.trim().split(/(?<=[.?!]”?)\s+(?=[\p{Lu}“<])/u);
    let text = sentences.shift();
    while (sentences.length && plain(text).length < least) text += ` ${sentences.shift()}`;
    return text;
  }

  /** Answers to choose from, [{html, right}], of a folded answer: how it begins, and what it calls tempting. */
  function choices(html) {
    const [right, ...tempting] = html.replace(/^\s*<p>|<\/p>\s*$/g, "").split(/<i>(?:Also )?[Tt]empting:<\/i>/);
    return [{ html: opening(right), right: true },
      ...tempting.map((wrong) => ({ html: capital(opening(wrong, 1)), right: false }))];
  }

  /** A short name for a text, the same in every browser. */
  const nameOf = (text) => rsnb.adler32(encodeURIComponent(text.replace(/\s+/g, " ").trim())).toString(36);

  /** The same order for every reader, which says nothing of the right one. */
  const mixed = (options) => options.map((option) => [nameOf(`${plain(option.html)}?`), option])
    .sort(([a], [b]) => (a < b ? -1 : 1)).map(([, option]) => option);

  /** The file for the lecturer, as text. */
  const exported = (kept) =>
    `${JSON.stringify({ what: "Answers and predictions of a reader of rsnb's lessons", lessons: kept }, null, 1)}\n`;
  return { plain, choices, mixed, nameOf, exported };
})();

/** What the reader wrote, by lesson and question; in the browser's storage, or for this page only where it refuses. */
rsnb.kept = (() => {
  const PLACE = "rsnb-answers";
  let here = {};
  return {
    lasting: true,
    all() {
      if (this.lasting) try {
        const text = localStorage.getItem(PLACE), found = text ? JSON.parse(text) : {};
        if (found && typeof found === "object" && !Array.isArray(found)) here = found;
      } catch { this.lasting = false; }
      return here;
    },
    of(lesson) { const found = this.all()[lesson]; return found && typeof found === "object" ? found : {}; },
    put(lesson, question, value) {
      const all = this.all();
      all[lesson] = { ...this.of(lesson), [question]: value };
      this.write(all);
    },
    write(all) {
      here = all;
      try { localStorage.setItem(PLACE, JSON.stringify(all)); } catch { this.lasting = false; }
    },
  };
})();

if (typeof document !== "undefined") document.addEventListener("DOMContentLoaded", () => {
  const { el } = rsnb, article = document.querySelector("article");
  const lesson = location.pathname.split("/").pop().replace(/\.html$/, "");
  const all = (selector) => [...(article?.querySelectorAll(selector) ?? [])];
  const quizzes = all("details").filter((one) => one.querySelector("summary")?.textContent === "Answer"
    && [...one.querySelectorAll("i")].some((part) => part.textContent.endsWith("empting:")));
  const results = all("[class*=tag_predicted-]");
  const asks = all("blockquote").filter((one) => one.textContent.trim().startsWith("Predict."));
  const predicts = results.length ? asks : [];  // a page without results is one of exercises, or no lesson
  if (!quizzes.length && !predicts.length) return;

  quizzes.forEach((answer, n) => {
    let list = answer.previousElementSibling;
    while (list && !/^(OL|P)$/.test(list.tagName)) list = list.previousElementSibling;
    const question = list?.textContent.trim() ?? `Question ${n + 1}`, key = `answer ${rsnb.quiz.nameOf(question)}`;
    const options = rsnb.quiz.mixed(rsnb.quiz.choices(answer.querySelector("p").outerHTML)), group = `${lesson}-${n}`;
    const enable = () => { show.disabled = false; };
    const words = el("input", { type: "text", class: "live-words", "aria-label": "Another answer, in your words",
      placeholder: "another answer, in your words", oninput: () => { radios.at(-1).checked = true; enable(); } });
    const radios = [...options, null].map((_, k) =>
      el("input", { type: "radio", name: group, value: k, onchange: enable }));
    const show = el("button", { type: "submit", class: "live-button", disabled: true }, "Show the answer");
    const said = el("p", { class: "live-result", role: "status" });
    const labels = options.map((option, k) => el("label", { class: "live-option" }, radios[k],
      el("span", {}, ...new DOMParser().parseFromString(option.html, "text/html").body.childNodes)));
    const form = el("form", { class: "live-quiz" }, el("fieldset", {}, el("legend", {}, "Choose before you look"),
      labels, el("label", { class: "live-option" }, radios.at(-1), words)), show, said);
    function reveal(kept) {
      const option = options.find(({ html }) => rsnb.quiz.plain(html) === kept.chosen);
      answer.hidden = false;
      for (const radio of radios) radio.disabled = true;
      radios[option ? options.indexOf(option) : options.length].checked = true;
      words.disabled = true;
      words.value = option ? "" : kept.chosen;
      show.hidden = true;
      labels.forEach((label, k) => {
        label.classList.add(options[k].right ? "live-right" : "live-wrong");
        label.append(el("em", {}, options[k].right ? "✓ right" : "tempting"));
      });
      said.textContent = !option ? "Compare your words with the answer."
        : option.right ? "That is how the answer begins." : "That is the tempting one: the answer says why.";
    }
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const option = options[radios.findIndex((radio) => radio.checked)];
      const chosen = option ? rsnb.quiz.plain(option.html) : words.value.trim() || "(no words)";
      const kept = { question, chosen, right: option ? option.right : null };
      rsnb.kept.put(lesson, key, kept);
      reveal(kept);
      answer.open = true;
      answer.querySelector("summary").focus();
    });
    answer.hidden = true;
    answer.before(form);
    const before = rsnb.kept.of(lesson)[key];
    if (typeof before?.chosen === "string") reveal(before);
  });

  predicts.forEach((ask, n) => {
    const question = ask.textContent.trim().replace(/^Predict\.\s*/, "");
    const key = `prediction ${rsnb.quiz.nameOf(question)}`;
    const result = results.find((cell) => cell.classList.contains(`tag_predicted-${n + 1}`));
    const shown = el("p", { class: "live-predicted" });
    const box = el("textarea", { rows: 2, oninput: () => {
      rsnb.kept.put(lesson, key, { question, predicted: box.value });
      show();
    } });
    const show = () => { shown.textContent = `You predicted: ${box.value}`; shown.hidden = !box.value.trim(); };
    box.value = rsnb.kept.of(lesson)[key]?.predicted ?? "";
    ask.after(el("label", { class: "live-predict" }, "Your prediction", box));
    const output = result?.querySelector(".cell_output");
    if (output) output.before(shown); else result?.append(shown);
    show();
  });

  const status = el("p", { class: "live-result", role: "status" });
  const save = () => {
    const url = URL.createObjectURL(new Blob([rsnb.quiz.exported(rsnb.kept.all())], { type: "application/json" }));
    el("a", { href: url, download: "rsnb-answers.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
    status.textContent = "Saved as rsnb-answers.json, with the lessons whose answers this page can see.";
  };
  const remove = () => {
    if (!confirm("Remove your answers and predictions of all lessons from this browser?")) return;
    rsnb.kept.write({});
    location.reload();
  };
  const { button } = rsnb.controls, last = (quizzes.at(-1) ?? predicts.at(-1));
  last.after(el("div", { class: "live live-answers", role: "region", "aria-label": "Your answers" },
    el("p", {}, "Your answers and predictions stay in this browser; nothing is sent. ",
      rsnb.kept.all() && rsnb.kept.lasting ? "" : "This browser keeps nothing: save them before you close the page."),
    el("div", { class: "live-buttons" }, button("Save my answers as a file", save),
      button("Remove my answers", remove)), status));
});
