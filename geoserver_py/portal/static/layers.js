// The list of layers by theme: what is drawn, what could be, from which zoom on.

const SWATCH_PAINT = ["fill-color", "line-color", "circle-color", "text-color"];

/** Style layers by the collection they draw. */
export function byCollection(style) {
  const groups = new Map();
  for (const layer of style.layers) {
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
        const colour = value.flat(Infinity).findLast((v) => typeof v === "string" && /^(#|rgb|hsl)/.test(v));
        if (colour) return colour;
      }
    }
  return "#ccc";
}

/** Fill `container` with a checkbox for each drawn collection, grouped by theme. */
export function listLayers(container, collections, style, map, shown) {
  const drawn = byCollection(style);
  const themes = Map.groupBy(
    collections.filter((collection) => drawn.has(collection.id)),
    (collection) => collection.theme,
  );
  container.replaceChildren();
  for (const [theme, members] of themes) {
    const heading = document.createElement("h2");
    heading.textContent = theme;
    container.append(heading, ...members.map((one) => row(one, drawn.get(one.id), map, shown)));
  }
}

function row(collection, styleLayers, map, shown) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  const swatch = document.createElement("span");
  const count = document.createElement("span");
  box.type = "checkbox";
  box.id = `layer-${collection.id}`;
  box.checked = shown.has(collection.id);
  swatch.className = "swatch";
  swatch.style.background = swatchColour(styleLayers);
  count.className = "count";
  count.textContent = collection.itemCount?.toLocaleString("zh-CN") ?? "";
  label.title = collection.description ?? "";
  label.append(box, swatch, collection.title.replace(/（模拟数据）$/u, ""), count);
  const lowest = Math.min(...styleLayers.map((layer) => layer.minzoom ?? 0));
  const apply = () => {
    if (box.checked) shown.add(collection.id);
    else shown.delete(collection.id);
    for (const layer of styleLayers)
      map.setLayoutProperty(layer.id, "visibility", box.checked ? "visible" : "none");
  };
  const fade = () => label.classList.toggle("out", map.getZoom() < lowest);
  box.addEventListener("change", apply);
  map.on("zoom", fade);
  apply();
  fade();
  return label;
}
