// Click to identify: the address and divisions of a place, and the features drawn there.

import { get } from "./service.js";

const REACH_PX = 5;
const MOST_LAYERS = 12;

const schemas = new Map();
const schemaOf = (name) => {
  if (!schemas.has(name)) schemas.set(name, get(`collections/${name}/schema`));
  return schemas.get(name);
};

/** Forget titles of fields, e.g. when the key changed. */
export const forgetSchemas = () => schemas.clear();

/** Everything known about a clicked point of the map, as the card shows it. */
export async function identify(map, event, collections, shown) {
  const { lng: lon, lat } = event.lngLat;
  const zoom = map.getZoom();
  const candidates = collections
    .filter((one) => shown.has(one.id) && zoom >= (one.lowestZoom ?? 0))
    .slice(0, MOST_LAYERS);
  const [position, reverse, ...found] = await Promise.all([
    get("position", { lon, lat, coordsys: "cgcs2000" }),
    get("reverse", { lon, lat, coordsys: "cgcs2000", limit: 1 }).catch(() => null),
    ...candidates.map((one) => featuresAt(map, event.point, one).catch(() => [])),
  ]);
  const place = reverse?.features?.[0]?.properties?.geocoding;
  return {
    title: place?.label ?? "此处 Here",
    subtitle: place?.distance_m ? `相距 ${place.distance_m.toFixed(1)} m` : undefined,
    readout: position.readout,
    sections: found.flat(),
  };
}

/** A value as people read it: the word of its code, the unit behind a number. */
function readable(value, field = {}) {
  if (value === null) return null;
  const title = field["x-enum-titles"]?.[value];
  if (title && title !== value) return `${title}（${value}）`;
  const unit = field["x-ogc-unit"]?.replace("m2", "m²");
  return unit ? `${value} ${unit}` : value;
}

async function featuresAt(map, point, collection) {
  const [west, north] = map.unproject([point.x - REACH_PX, point.y - REACH_PX]).toArray();
  const [east, south] = map.unproject([point.x + REACH_PX, point.y + REACH_PX]).toArray();
  const bbox = [west, south, east, north].map((value) => value.toFixed(9)).join(",");
  const answer = await get(`collections/${collection.id}/items`, {
    bbox,
    limit: 2,
    skipGeometry: true,
  });
  if (answer.features.length === 0) return [];
  const { properties } = await schemaOf(collection.id);
  return answer.features.map((feature) => ({
    heading: collection.title,
    rows: [
      ["标识 Id", feature.id],
      ...Object.entries(feature.properties).map(([name, value]) => [
        (properties[name]?.title ?? name).split(" ")[0],
        readable(value, properties[name]),
      ]),
    ],
  }));
}
