// 一张图 One map: the base map, the layers by theme, search and identify.
//
// The parts start by themselves: search needs no map, the list no style, and what is missing is
// told where it would stand, with a button to try again.

import { showCard } from "./card.js";
import { forgetSchemas, identify } from "./identify.js";
import { applyShown, byCollection, listLayers, withShown } from "./layers.js";
import { drawMap, NoMap } from "./map.js";
import { tell, untell } from "./notice.js";
import { labelOf, searchBox } from "./search.js";
import { get, keepKey, key, root } from "./service.js";

const STYLE = "styles/basemap";
const PATIENCE_MS = 20_000;
// Drawn only when asked for: they hide the base map.
const OFF_AT_FIRST = new Set(["unit_grid", "component", "event"]);
const ZOOM_BY_LEVEL = { 市: 10, 区县: 11, 乡镇: 12, 村庄: 13, 道路: 15, 坐标: 17 };
const REACH_DEGREES = 3e-5; // 3 m: what is found at a place where nobody clicked a pixel

const byId = (id) => document.getElementById(id);
const now = { style: null, collections: [], shown: new Set(), map: null, marker: null, fade: null };
let messageTimer;

function say(text) {
  const box = byId("message");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => (box.hidden = true), 8000);
}

/** Style, catalogue (also in English) and landing page; null what was not read, with the reason. */
async function readDocuments() {
  const lang = "zh-CN";
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), PATIENCE_MS);
  const asked = [get(STYLE, {}, late.signal), get("collections", { lang }, late.signal),
    get("", { lang }, late.signal), get("collections", { lang: "en-US" }, late.signal)];
  const settled = await Promise.allSettled(asked);
  clearTimeout(timer);
  const [style, catalogue, landing, english] = settled.map((one) => one.value ?? null);
  const why = settled.map((one) =>
    one.reason?.name === "AbortError"
      ? `${PATIENCE_MS / 1000} 秒没有应答 no answer within ${PATIENCE_MS / 1000} s`
      : one.reason?.message);
  const refused = settled.find((one) => one.status === "rejected")?.reason ?? null;
  return { style, catalogue, landing, english, refused, why: { style: why[0], catalogue: why[1] } };
}

function take({ style, catalogue, landing, english }) {
  if (landing) byId("city").textContent = landing.title;
  const drawn = byCollection(style);
  now.style = style;
  now.collections = catalogue?.collections ?? [];
  const words = new Map(english?.collections.map((one) => [one.id, one.title]));
  for (const collection of now.collections) {
    collection.titleEn = words.get(collection.id)?.replace(/ \(synthetic\)$/, "");
    const layers = drawn.get(collection.id) ?? [];
    collection.lowestZoom = layers.length ? Math.min(...layers.map((layer) => layer.minzoom ?? 0)) : 0;
  }
  for (const { id } of now.collections) if (!OFF_AT_FIRST.has(id)) now.shown.add(id);
}

function list() {
  byId("synthetic").hidden = !now.collections.some((one) => one.synthetic);
  now.fade = listLayers(byId("layers"), now.collections, now.style, now.shown, (id) => {
    if (now.map?.getStyle()) applyShown(now.map, now.style, now.shown, [id]);
  });
  if (now.map) now.fade(now.map.getZoom());
}

async function draw() {
  const { map, marker } = await drawMap("map", withShown(now.style, now.shown));
  Object.assign(now, { map, marker });
  globalThis.oneMap = map; // for the browser's console, and for tests
  map.on("zoom", () => now.fade?.(map.getZoom()));
  map.on("style.load", () => applyShown(map, now.style, now.shown));
  map.on("error", ({ error }) => say(`地图 Map: ${error?.message ?? error}`));
  map.on("webglcontextlost", () => say("显卡中断，地图正在恢复。 The graphics were lost; the map comes back."));
  map.on("idle", () => (byId("drawing").hidden = true));
  map.on("mousemove", ({ lngLat }) => {
    byId("cursor").textContent = `${lngLat.lng.toFixed(6)}°E ${lngLat.lat.toFixed(6)}°N CGCS2000`;
    byId("cursor").hidden = false;
  });
  map.on("mouseout", () => (byId("cursor").hidden = true));
  map.on("click", (event) => at(event).catch((refused) => say(refused.message)));
  now.fade?.(map.getZoom());
}

const DIMENSIONS = { Point: 0, MultiLineString: 1, MultiPolygon: 2 };
const dimension = (one) => DIMENSIONS[one.geometryType.replace(/Z$/, "")] ?? 2;

/**
 * Collections whose features can be asked for at a place: not rasters, not tables. What one meant
 * to hit stands first: points, lines, areas, those of many small ones before those of few.
 */
const askable = () =>
  now.collections
    .filter((one) => one.itemType === "feature" && one.geometryType && now.shown.has(one.id))
    .sort((one, other) => dimension(one) - dimension(other) || other.itemCount - one.itemCount);

/** What is at a clicked point of the map. */
async function at({ point, lngLat }) {
  const { map, marker } = now;
  marker.setLngLat(lngLat).addTo(map);
  const reach = 5;
  const [west, north] = map.unproject([point.x - reach, point.y - reach]).toArray();
  const [east, south] = map.unproject([point.x + reach, point.y + reach]).toArray();
  const zoom = map.getZoom();
  const asked = askable().filter((one) => zoom >= one.lowestZoom);
  const place = { lon: lngLat.lng, lat: lngLat.lat, bbox: [west, south, east, north] };
  showCard(byId("card"), await identify(place, asked));
}

/** A found place: the map goes there; without a map the card says what is there. */
async function goTo(feature) {
  const [lon, lat] = feature.geometry.coordinates;
  const found = feature.properties.geocoding ?? feature.properties;
  if (now.map) {
    now.map.flyTo({ center: [lon, lat], zoom: ZOOM_BY_LEVEL[found.level] ?? 16.5, essential: true });
    now.marker.setLngLat([lon, lat]).addTo(now.map);
  }
  const bbox = [lon - REACH_DEGREES, lat - REACH_DEGREES, lon + REACH_DEGREES, lat + REACH_DEGREES];
  const asked = now.map ? [] : askable();
  const { readout, sections } = await identify({ lon, lat, bbox }, asked, { address: false });
  showCard(byId("card"), {
    // a typed position is called by what it is; the read-out says where
    title: found.level === "坐标" ? "坐标 Position" : labelOf(feature),
    subtitle: [found.level === "坐标" ? null : found.level, found.error_m ? `误差约 ${found.error_m} m` : null].filter(Boolean).join("　"),
    readout,
    sections,
  });
}

/** Read everything and show as much of it as can be; what cannot says so, with a retry. */
async function begin(read = null) {
  const documents = read ?? (await readDocuments());
  untell(byId("notice"));
  take(documents);
  if (documents.catalogue) list();
  else {
    tell(byId("layers"), {
      zh: "图层目录没有读到", en: "The catalogue was not read", why: documents.why.catalogue, retry: begin,
    });
    if (documents.refused?.status === 401) byId("access").open = true;
  }
  try {
    if (!documents.style)
      throw new NoMap({ zh: "地图样式没有读到", en: "The map's style was not read", why: documents.why.style });
    byId("drawing").hidden = false;
    if (now.map) now.map.setStyle(withShown(now.style, now.shown), { diff: false });
    else await draw();
  } catch (failed) {
    if (!(failed instanceof NoMap)) throw failed;
    byId("drawing").hidden = true;
    const reload = documents.style && documents.catalogue;
    tell(byId("notice"), { ...failed.said, retry: reload ? () => location.reload() : begin });
  }
}

async function useKey() {
  const previous = key();
  keepKey(byId("key").value.trim());
  const documents = await readDocuments();
  if (documents.refused) {
    keepKey(previous);
    return say(documents.refused.message);
  }
  byId("message").hidden = true;
  forgetSchemas();
  return begin(documents);
}

/** What was found before is no answer to what was asked last. */
function leave() {
  now.marker?.remove();
  byId("card").hidden = true;
}

function wire() {
  searchBox({ input: byId("query"), list: byId("suggestions"), button: byId("find") },
    (feature) => goTo(feature).catch((refused) => say(refused.message)), leave, say);
  byId("key").value = key();
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    useKey().catch((refused) => say(refused.message));
  });
  const toggle = byId("panel-toggle");
  toggle.addEventListener("click", () => {
    const open = byId("panel").classList.toggle("open");
    toggle.setAttribute("aria-expanded", String(open));
  });
  for (const id of new URLSearchParams(location.search).get("layers")?.split(",") ?? [])
    now.shown.add(id);
}

wire();
document.documentElement.dataset.started = "true"; // watch.js has nothing to tell any more
begin().catch((refused) => {
  byId("drawing").hidden = true;
  tell(byId("notice"), {
    zh: "门户没有启动", en: "The portal did not start", retry: () => location.reload(),
    why: `${root.href}：${refused.message}`,
  });
});
