// The form of an upload without a delivery.yaml, filled in as far as the files tell by themselves.

import { both, make, post, say } from "../desk.js";

const option = (value, text, chosen) => make("option", { value, selected: value === chosen }, text);

const select = (name, options, chosen, blank = null) =>
  make("select", { name },
    blank === null ? null : option("", blank, chosen ?? ""),
    options.map(([value, text]) => option(value, text, chosen)));

const labelled = (zh, en, control, missing = false) =>
  make("label", { class: missing ? "missing" : null }, make("span", {}, `${zh} ${en}`), control);

/** The form; `done` is called once it was accepted. */
export function formOf(upload, done) {
  const { entries, notes } = upload.inspection;
  const cards = entries.map((entry) => card(entry, upload.choices));
  const form = make("form", { id: "statement" },
    notes.map((note) => make("p", { class: "reason ask" }, note)),
    cards.map((one) => one.element),
    make("div", { class: "choice", role: "radiogroup", "aria-label": "数据性质 Kind of data" },
      radio("synthetic", "false", "真实数据", "real data"), radio("synthetic", "true", "模拟数据", "synthetic data")),
    make("p", {}, make("button", { class: "main" }, both("检查并入库", "check and load"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const synthetic = new FormData(form).get("synthetic");
    const loads = cards.filter((one) => one.wanted()).map((one) => one.load());
    if (synthetic === null) return say("请选择真实数据或模拟数据。 Real or synthetic data?");
    if (!loads.length) return say("请至少选择一个文件。 Choose at least one file.");
    try {
      await post(`deliveries/${upload.id}/statement`, { synthetic: synthetic === "true", loads });
      await done();
    } catch (refused) {
      say(refused.message);
    }
  });
  return form;
}

const radio = (name, value, zh, en) =>
  make("label", {}, make("input", { type: "radio", name, value }), " ", both(zh, en));

function card(entry, choices) {
  const columns = entry.columns.map((name) => [name, name]);
  const best = entry.layers[0];
  const use = make("input", { type: "checkbox", checked: Boolean(best), "aria-label": "交付此文件 Deliver this file" });
  const layer = select("layer", choices.layers.map((one) => [one.name, one.title]), best?.layer);
  const coordsys = select("coordsys", choices.coordsys.map((one) => [one.name, one.title]),
    known(entry.coordsys, choices), "— 请选择 choose —");
  const x = select("x", columns, entry.x, "—");
  const y = select("y", columns, entry.y, "—");
  const z = select("z", columns, null, "—");
  const table = entry.x !== undefined && entry.x !== null || !entry.geometry.length;
  const mode = select("mode", [["append", "增补、更新 add and update"], ["full", "全量：未交的删除 full: delete the rest"]], "append");
  const id = make("div");
  const fields = make("details");
  const fill = () => {
    const definition = choices.layers.find((one) => one.name === layer.value);
    const guess = entry.layers.find((one) => one.layer === layer.value) ?? { id: null, fields: {} };
    id.replaceChildren(labelled(definition.id_title, "identifier", select("id", columns, guess.id, "—"), !guess.id));
    const open = definition.fields.some((field) => field.required && !guess.fields[field.name]);
    fields.open = open;
    fields.replaceChildren(
      make("summary", {}, `字段对应 ${Object.keys(guess.fields).length} / ${definition.fields.length} `, make("small", {}, "fields by column")),
      make("div", { class: "grid" }, definition.fields.map((field) =>
        labelled(field.title + (field.required ? " *" : ""), field.name,
          select(`field:${field.name}`, columns, guess.fields[field.name], "—"),
          field.required && !guess.fields[field.name]))));
  };
  const plane = () => choices.coordsys.find((one) => one.name === coordsys.value)?.plane;
  const position = make("div", { class: "grid" });
  const place = () => position.replaceChildren(
    labelled("坐标系", "coordinate system", coordsys),
    ...(table ? [
      labelled(plane() ? "Y（东）列" : "经度列", plane() ? "east" : "longitude", x),
      labelled(plane() ? "X（北）列" : "纬度列", plane() ? "north" : "latitude", y),
      labelled("高程列", "height", z)] : []));
  layer.addEventListener("change", fill);
  coordsys.addEventListener("change", place);
  if (best) fill();
  place();
  const element = make("section", { class: "entry" },
    make("h3", {}, use, ` ${entry.file}${entry.part ? ` # ${entry.part}` : ""} `,
      make("small", {}, [entry.driver, entry.encoding, entry.rows === null ? null : `${entry.rows} 行 rows`, entry.geometry.join(", ")].filter(Boolean).join(" · "))),
    entry.verdict ? make("p", { class: entry.sure ? "reason fine" : "reason ask" }, make("b", {}, "基准判定 "), entry.verdict) : null,
    entry.objection ? make("p", { class: "reason ask" }, entry.objection) : null,
    make("div", { class: "grid" }, labelled("图层", "layer", layer), id, labelled("方式", "mode", mode)),
    position, fields);
  return {
    element,
    wanted: () => use.checked,
    load: () => {
      const chosen = { file: entry.file, part: entry.part, encoding: entry.encoding, layer: layer.value, mode: mode.value, coordsys: coordsys.value || null, fields: {} };
      if (table) Object.assign(chosen, { x: x.value || null, y: y.value || null, z: z.value || null });
      for (const control of element.querySelectorAll("select")) {
        if (control.name === "id") chosen.id = control.value || null;
        if (control.name.startsWith("field:") && control.value) chosen.fields[control.name.slice(6)] = control.value;
      }
      return chosen;
    },
  };
}

/** The offered name of a coordinate system, whatever its case; null where it is not offered. */
const known = (name, choices) =>
  choices.coordsys.find((one) => one.name.toLowerCase() === name?.toLowerCase())?.name ?? null;
