// What is at a place: the address and divisions, and the features there.

import { get } from "./service.js";

const MOST_LAYERS = 12;

const schemas = new Map();
const schemaOf = (name) => {
  if (!schemas.has(name)) schemas.set(name, get(`collections/${name}/schema`));
  return schemas.get(name);
};

/** Forget titles of fields, e.g. when the key changed. */
export const forgetSchemas = () => schemas.clear();

/**
 * Everything known about a place `{lon, lat, bbox}` (CGCS2000 degrees; bbox is what counts as
 * "here"), as the card shows it; `collections` are asked for features.
 */
export async function identify({ lon, lat, bbox }, collections, { address = true } = {}) {
  const [position, reverse, ...found] = await Promise.all([
    get("position", { lon, lat, coordsys: "cgcs2000" }),
    address ? get("reverse", { lon, lat, coordsys: "cgcs2000", limit: 1 }).catch(() => null) : null,
    ...collections.slice(0, MOST_LAYERS).map((one) => featuresIn(bbox, one).catch(() => [])),
  ]);
  const place = reverse?.features?.[0]?.properties?.geocoding;
  return {
    title: place?.label ?? "此处 Here",
    subtitle: place?.distance_m ? `相距 ${place.distance_m.toFixed(1)} m` : undefined,
    readout: position.readout,
    sections: found.flat(),
  };
}

/** A value as people read it: the word of its code, 是 or 否, the unit behind a number. */
function readable(value, field = {}) {
  if (value === null) return null;
  if (typeof value === "boolean") return value ? "是 yes" : "否 no";
  const title = field["x-enum-titles"]?.[value];
  if (title && title !== value) return `${title}（${value}）`;
  const unit = field["x-ogc-unit"]?.replace("m2", "m²");
  return unit ? `${value} ${unit}` : value;
}

async function featuresIn(bbox, collection) {
  const answer = await get(`collections/${collection.id}/items`, {
    bbox: bbox.map((value) => value.toFixed(9)).join(","),
    limit: 2,
    skipGeometry: true,
  });
  if (answer.features.length === 0) return [];
  const { properties } = await schemaOf(collection.id);
  return answer.features.map((feature) => ({
    heading: collection.title.replace(/（模拟数据）$/u, ""),
    // a link cannot carry the key: pages of other layers would not open
    page: collection.access !== "public" ? null : `collections/${collection.id}/items/${encodeURIComponent(feature.id)}`,
    rows: [
      ["标识", feature.id],
      ...Object.entries(feature.properties).map(([name, value]) => [
        (properties[name]?.title ?? name).split(" ")[0],
        readable(value, properties[name]),
      ]),
    ],
  }));
}
