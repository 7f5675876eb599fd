// The card beside the map: what is at a place, in the notations that surveyors read.

import { root } from "./service.js";

const element = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};

const page = (path, zh, en) => {
  const made = element("a", `${zh} `);
  made.href = new URL(`${path}?f=html`, root).href;
  made.append(element("small", en));
  return made;
};

/** Show the card with a title and sections `{heading, rows: [[name, value]], page}`. */
export function showCard(card, { title, subtitle, readout, sections }) {
  const close = element("button", "×", "close");
  const hide = () => (card.hidden = true);
  close.type = "button";
  close.title = "关闭 Close";
  close.setAttribute("aria-label", close.title);
  close.addEventListener("click", hide);
  card.onkeydown = (event) => event.key === "Escape" && hide();
  card.replaceChildren(close, element("h2", title));
  if (subtitle) card.append(element("p", subtitle, "note"));
  if (readout) {
    const lines = element("p", undefined, "readout");
    // parts that do not break, still one text: what is copied is what the search box takes
    readout.split(" | ").forEach((part, i) => lines.append(i ? " | " : "", element("span", part)));
    card.append(lines);
  }
  for (const { heading, rows, page: path } of sections ?? []) {
    const list = element("dl");
    for (const [name, value] of rows)
      if (value !== null && value !== undefined && value !== "")
        list.append(element("dt", name), element("dd", String(value)));
    if (list.children.length === 0) continue;
    card.append(element("h3", heading), list);
    if (path) {
      const more = element("p", undefined, "links");
      more.append(page(path, "要素", "Feature"), page(`${path}/lineage`, "来源", "Lineage"));
      card.append(more);
    }
  }
  card.hidden = false;
}
