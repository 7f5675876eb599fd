// The list of layers by theme: what is drawn, what could be, from which zoom on.

import { root } from "./service.js";

const SWATCH_PAINT = ["fill-color", "line-color", "circle-color", "text-color"];

/** Style layers by the collection they draw. */
export function byCollection(style) {
  const groups = new Map();
  for (const layer of style?.layers ?? []) {
    // labels of areas are points of a companion source layer
    const name = layer["source-layer"]?.replace(/_label$/, "");
    if (!name) continue;
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(layer);
  }
  return groups;
}

function swatchColour(layers) {
  for (const layer of layers)
    for (const property of SWATCH_PAINT) {
      const value = layer.paint?.[property];
      if (typeof value === "string") return value;
      if (Array.isArray(value)) {
        const colours = value.flat(Infinity).filter((v) => typeof v === "string" && /^(#|rgb|hsl)/.test(v));
        if (colours.length > 0) return colours[colours.length - 1];
      }
    }
  return "#ccc";
}

const make = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
};

/**
 * Fill `container` with a checkbox for each collection that can be drawn, grouped by theme.
 * Without a style (it was not read) all collections with geometry are listed. `changed(id)` is
 * called when one is switched. Returns `fade(zoom)`, which marks what is not drawn at a zoom.
 */
export function listLayers(container, collections, style, shown, changed) {
  const drawn = byCollection(style);
  const listed = collections.filter((one) =>
    style ? drawn.has(one.id) : one.itemType === "feature" && one.geometryType);
  const themes = new Map();
  for (const one of listed) themes.set(one.theme, [...(themes.get(one.theme) ?? []), one]);
  const rows = [];
  container.replaceChildren();
  for (const [theme, members] of themes) {
    container.append(make("h2", "", theme));
    for (const one of members) {
      const made = row(one, drawn.get(one.id) ?? [], shown, changed);
      rows.push(made);
      container.append(made.element);
    }
  }
  if (rows.length === 0)
    container.append(make("p", "note", "没有可读的图层；非公开图层需要密钥。 No layer that you may read."));
  return (zoom) => rows.forEach((one) => one.fade(zoom));
}

function row(collection, styleLayers, shown, changed) {
  const element = make("div", "row");
  const label = make("label");
  const box = make("input");
  const swatch = make("span", "swatch");
  const more = make("a", "more", "详情");
  const title = collection.title.replace(/（模拟数据）$/u, "");
  box.type = "checkbox";
  box.id = `layer-${collection.id}`;
  box.checked = shown.has(collection.id);
  if (styleLayers.length > 0) swatch.style.background = swatchColour(styleLayers);
  else swatch.hidden = true;
  const name = make("span", "title", `${title} `);
  if (collection.titleEn && collection.titleEn !== title && !collection.title.includes(collection.titleEn))
    name.append(make("small", "", collection.titleEn));
  label.title = collection.description ?? "";
  label.append(box, swatch, name,
    make("span", "count", collection.itemCount?.toLocaleString("zh-CN") ?? ""));
  more.href = new URL(`collections/${encodeURIComponent(collection.id)}?f=html`, root).href;
  more.title = `${title}：图层说明 About this layer`;
  more.setAttribute("aria-label", more.title);
  element.append(label);
  if (collection.access === "public") element.append(more); // a link cannot carry the key
  box.addEventListener("change", () => {
    if (box.checked) shown.add(collection.id);
    else shown.delete(collection.id);
    changed(collection.id);
  });
  const fade = (zoom) => {
    const out = zoom < (collection.lowestZoom ?? 0);
    element.classList.toggle("out", out);
    label.dataset.out = out ? "放大后显示 zoom in" : "";
  };
  return { element, fade };
}

/** Let the map show what is switched on; `ids` are the collections to look at (default: all). */
export function applyShown(map, style, shown, ids = null) {
  for (const [id, layers] of byCollection(style)) {
    if (ids !== null && !ids.includes(id)) continue;
    for (const layer of layers)
      if (map.getLayer(layer.id))
        map.setLayoutProperty(layer.id, "visibility", shown.has(id) ? "visible" : "none");
  }
}

/** The style with what is switched off hidden from the start. */
export function withShown(style, shown) {
  const hidden = new Set();
  for (const [id, layers] of byCollection(style))
    if (!shown.has(id)) for (const layer of layers) hidden.add(layer.id);
  return {
    ...style,
    layers: style.layers.map((layer) =>
      hidden.has(layer.id) ? { ...layer, layout: { ...layer.layout, visibility: "none" } } : layer),
  };
}
