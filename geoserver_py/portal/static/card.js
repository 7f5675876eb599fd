// The card beside the map: what is at a place, in the notations that surveyors read.

const element = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};

/** Show the card with a title and sections `{heading, rows: [[name, value]]}`. */
export function showCard(card, { title, subtitle, readout, sections }) {
  const close = element("button", "×", "close");
  close.setAttribute("aria-label", "关闭 Close");
  close.addEventListener("click", () => (card.hidden = true));
  card.replaceChildren(close, element("h2", title));
  if (subtitle) card.append(element("small", subtitle));
  if (readout) card.append(element("p", readout, "readout"));
  for (const { heading, rows } of sections ?? []) {
    const list = element("dl");
    for (const [name, value] of rows)
      if (value !== null && value !== undefined && value !== "")
        list.append(element("dt", name), element("dd", String(value)));
    if (list.children.length > 0) card.append(element("h3", heading), list);
  }
  card.hidden = false;
}
