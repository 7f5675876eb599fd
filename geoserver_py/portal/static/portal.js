// 一张图 One map: the base map, the layers by theme, search and identify.

import * as maplibregl from "./maplibre/maplibre-gl.mjs";
import { showCard } from "./card.js";
import { forgetSchemas, identify } from "./identify.js";
import { byCollection, listLayers } from "./layers.js";
import { labelOf, searchBox } from "./search.js";
import { get, keepKey, key, root, transformRequest } from "./service.js";

const STYLE = "styles/basemap";
const LOCAL_FONT =
  '"Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "SimSun-ExtB", "HanaMinB", sans-serif';
// Drawn only when asked for: they hide the base map.
const OFF_AT_FIRST = new Set(["unit_grid", "component", "event"]);
const ZOOM_BY_LEVEL = { 市: 10, 区县: 11, 乡镇: 12, 村庄: 13, 道路: 15, 坐标: 17 };

const byId = (id) => document.getElementById(id);
let messageTimer;

function say(text) {
  const box = byId("message");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => (box.hidden = true), 6000);
}

async function loadDocuments() {
  const lang = "zh-CN";
  const [style, catalogue, landing] = await Promise.all([
    get(STYLE),
    get("collections", { lang }),
    get("", { lang }),
  ]);
  byId("city").textContent = landing.title;
  const drawn = byCollection(style);
  for (const collection of catalogue.collections) {
    const layers = drawn.get(collection.id) ?? [];
    collection.lowestZoom = Math.min(...layers.map((layer) => layer.minzoom ?? 0));
  }
  return { style, collections: catalogue.collections };
}

function firstShown(collections) {
  const asked = new URLSearchParams(location.search).get("layers");
  const shown = new Set(collections.map((one) => one.id).filter((id) => !OFF_AT_FIRST.has(id)));
  for (const id of asked?.split(",") ?? []) shown.add(id);
  return shown;
}

async function start() {
  let { style, collections } = await loadDocuments();
  const shown = firstShown(collections);
  const map = new maplibregl.Map({
    container: "map",
    style,
    hash: "map",
    center: style.center,
    zoom: style.zoom,
    maxZoom: 22,
    localIdeographFontFamily: LOCAL_FONT,
    transformRequest,
    attributionControl: { compact: true },
  });
  globalThis.oneMap = map; // for the browser's console, and for tests
  map.addControl(new maplibregl.NavigationControl({ visualizePitch: false }), "bottom-right");
  map.addControl(new maplibregl.ScaleControl({ maxWidth: 120 }), "bottom-left");
  map.on("error", ({ error }) => say(`地图 Map: ${error?.message ?? error}`));

  const marker = new maplibregl.Marker({ color: "#c8462f" });
  const listed = () => listLayers(byId("layers"), collections, style, map, shown);
  byId("synthetic").hidden = !collections.some((one) => one.synthetic);
  map.once("load", listed);

  map.on("click", async (event) => {
    marker.setLngLat(event.lngLat).addTo(map);
    try {
      showCard(byId("card"), await identify(map, event, collections, shown));
    } catch (refused) {
      say(refused.message);
    }
  });

  const goTo = async (feature) => {
    const [lon, lat] = feature.geometry.coordinates;
    const found = feature.properties.geocoding ?? feature.properties;
    map.flyTo({ center: [lon, lat], zoom: ZOOM_BY_LEVEL[found.level] ?? 16.5, essential: true });
    marker.setLngLat([lon, lat]).addTo(map);
    const position = await get("position", { lon, lat, coordsys: "cgcs2000" });
    showCard(byId("card"), {
      title: labelOf(feature),
      subtitle: [found.level, found.error_m ? `误差约 ${found.error_m} m` : null]
        .filter(Boolean)
        .join("　"),
      readout: position.readout,
      sections: [],
    });
  };
  searchBox(byId("query"), byId("suggestions"), (feature) => goTo(feature).catch((e) => say(e.message)), say);

  byId("key").value = key();
  byId("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const previous = key();
    keepKey(byId("key").value.trim());
    try {
      ({ style, collections } = await loadDocuments());
    } catch (refused) {
      keepKey(previous);
      say(refused.message);
      return;
    }
    byId("message").hidden = true;
    forgetSchemas();
    for (const one of collections) if (!OFF_AT_FIRST.has(one.id)) shown.add(one.id);
    map.setStyle(style, { diff: false });
    map.once("styledata", listed);
  });
}

start().catch((refused) =>
  say(`无法读取服务 ${root.href}：${refused.message} The service cannot be read.`),
);
