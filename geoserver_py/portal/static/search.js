// The search box: suggestions while typing, the geocoder on Enter, coordinates in any notation.

import { get } from "./service.js";

const WAIT_MS = 120;

/**
 * Wire the box and its button; `choose(feature)` is called with a GeocodeJSON feature, `none()` when
 * there is none.
 */
export function searchBox({ input, list, button }, choose, none, say) {
  let timer;
  let running;
  let features = [];
  let selected = -1;

  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    selected = -1;
  };
  const pick = (feature) => {
    close();
    input.value = labelOf(feature);
    choose(feature);
  };
  const mark = () => {
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", i === selected));
    if (selected < 0) return input.removeAttribute("aria-activedescendant");
    list.children[selected].scrollIntoView({ block: "nearest" });
    return input.setAttribute("aria-activedescendant", list.children[selected].id);
  };

  const show = () => {
    list.replaceChildren(
      ...features.map((feature, i) => {
        const item = document.createElement("li");
        const level = document.createElement("small");
        item.id = `suggestion-${i}`;
        item.setAttribute("role", "option");
        level.textContent = feature.properties.geocoding?.level ?? "";
        item.append(labelOf(feature), level);
        item.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          pick(feature);
        });
        return item;
      }),
    );
    list.hidden = features.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
  };

  const ask = async (path) => {
    running?.abort();
    running = new AbortController();
    const text = input.value.trim();
    if (!text) {
      close();
      return [];
    }
    try {
      const answer = await get(path, { q: text, limit: 8 }, running.signal);
      return answer.features;
    } catch (refused) {
      if (refused.name !== "AbortError") say(refused.message);
      return null;
    }
  };

  /** The geocoder's best answer to what is typed; null from `ask` means that it was told. */
  const find = async () => {
    clearTimeout(timer);
    const found = await ask("geocode");
    if (found?.length > 0) pick(found[0]);
    else if (found && input.value.trim()) {
      none();
      say("没有找到这个地方。 No such place was found.");
    }
  };

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const found = await ask("suggest");
      if (found === null) return;
      features = found;
      selected = -1;
      show();
    }, WAIT_MS);
  });
  input.addEventListener("keydown", async (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden && features.length > 0) show();
      const step = event.key === "ArrowDown" ? 1 : -1;
      selected = Math.max(-1, Math.min(features.length - 1, selected + step));
      mark();
      event.preventDefault();
    } else if (event.key === "Escape") close();
    else if (event.key === "Enter") {
      if (selected >= 0) {
        clearTimeout(timer);
        pick(features[selected]);
      } else await find();
    }
  });
  button.addEventListener("click", find);
  input.addEventListener("blur", close);
}

export const labelOf = (feature) =>
  feature.properties.geocoding?.label ?? feature.properties.label ?? feature.properties.name ?? "";
