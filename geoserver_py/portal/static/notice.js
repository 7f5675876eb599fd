// What stays on the page until its cause is gone: what is missing, why, what to do, try again.

const make = (name, text, className) => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
};

/** Fill `box` with `{zh, en, why, steps: [[zh, en]], retry}` and show it. */
export function tell(box, { zh, en, why, steps, retry }) {
  const heading = make("h2", `${zh} `);
  heading.append(make("small", en));
  box.replaceChildren(heading);
  if (steps) {
    const list = make("ol");
    for (const [first, second] of steps) {
      const item = make("li", `${first} `);
      item.append(make("small", second));
      list.append(item);
    }
    box.append(list);
  }
  if (why) box.append(make("p", why, "why"));
  const again = make("button", "重试 ", "main");
  again.type = "button";
  again.append(make("small", "Retry"));
  again.addEventListener("click", () => {
    again.disabled = true;
    retry();
  });
  box.append(again);
  box.hidden = false;
}

/** Take a notice away. */
export function untell(box) {
  box.replaceChildren();
  box.hidden = true;
}
