// The page of all deliveries: the latest run of each, late ones first.

import { both, byId, chip, make, metres, moment, overview, takes } from "../desk.js";
import { signIn } from "../sign-in.js";

const DAY = 86_400_000;
const HEADS = [
  ["委办局", "bureau"], ["交付 · 图层", "delivery · layer"], ["状态", "status"], ["时间", "time"],
  ["新增", "new", "n"], ["更新", "changed", "n"], ["删除", "gone", "n"], ["拒绝", "rejected", "n"],
  ["精度", "accuracy", "n"], ["应交", "due"], ["报告", "report"],
];

function line(one) {
  const counts = one.counts ?? {};
  const poor = one.required_accuracy_m !== null && one.accuracy_m > one.required_accuracy_m;
  const number = (name) => make("td", { class: `n${name === "rejected" && counts[name] ? " poor" : ""}` }, (counts[name] ?? 0).toLocaleString());
  const details = make("details", {}, make("summary", {}, both("查看", "open")));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(takes(`runs/${one.run}`, one.run, counts.rejected));
  });
  return make("tr", { class: one.late ? "late" : null },
    make("td", {}, one.bureau ?? "—"),
    make("td", {}, one.delivery, make("br"), make("small", {}, `${one.layer_title ?? one.layer}${one.synthetic ? " · 模拟数据 synthetic" : ""}`)),
    make("td", {}, one.status ? chip(one.status) : "未交 none", one.reason ? [make("br"), make("small", {}, shorten(one.reason))] : null),
    make("td", { class: "when" }, moment(one.finished_at ?? one.started_at)),
    number("inserted"), number("updated"), number("deleted"), number("rejected"),
    make("td", { class: poor ? "n poor" : "n" }, metres(one.accuracy_m), one.required_accuracy_m === null ? null : [make("br"), make("small", {}, `要求 ${metres(one.required_accuracy_m)}`)]),
    due(one),
    make("td", {}, one.run ? details : "—",
      one.upload && ["failed", "blocked"].includes(one.status)
        ? make("a", { href: `../deliver/#${one.upload}` }, both("处理", "mend")) : null));
}

function due(one) {
  if (!one.due_at) return make("td", {}, "—");
  const promise = make("small", {}, one.expected_every ? `约定每 ${one.expected_every}` : one.cron ? `计划 ${one.cron}` : "");
  if (!one.late) return make("td", {}, moment(one.due_at), make("br"), promise);
  const days = Math.max(1, Math.round((Date.now() - new Date(one.due_at)) / DAY));
  return make("td", {}, chip("late"), ` ${days} 天 days`, make("br"), promise);
}

const shorten = (text) => (text.length > 90 ? `${text.slice(0, 89)}…` : text);

function draw(deliveries) {
  const bureau = byId("bureau").value;
  const only = byId("only").checked;
  const shown = deliveries.filter((one) =>
    (!bureau || one.bureau === bureau) && (!only || one.late || ["failed", "blocked"].includes(one.status)));
  byId("table").replaceChildren(
    make("tr", {}, HEADS.map(([zh, en, cls]) => make("th", { class: cls ?? null }, both(zh, en)))),
    ...shown.map(line),
    shown.length ? "" : make("tr", {}, make("td", { colspan: HEADS.length }, "没有交付 none")));
}

function sums(deliveries) {
  const bureaus = new Set(deliveries.map((one) => one.bureau));
  const late = new Set(deliveries.filter((one) => one.late).map((one) => one.delivery));
  const waiting = deliveries.filter((one) => ["failed", "blocked"].includes(one.status)).length;
  const rejected = deliveries.reduce((sum, one) => sum + (one.counts?.rejected ?? 0), 0);
  const tiles = [
    ["委办局 bureaus", bureaus.size], ["交付 deliveries", new Set(deliveries.map((one) => one.delivery)).size],
    ["迟交 late", late.size, late.size], ["未入库 not loaded", waiting, waiting], ["拒绝的行 rejected rows", rejected, rejected],
  ];
  byId("sums").replaceChildren(...tiles.map(([title, value, bad]) =>
    make("div", { class: bad ? "bad" : null }, make("b", {}, value.toLocaleString()), make("small", {}, title))));
}

signIn(async () => {
  const found = await overview();
  byId("who").textContent = found.bureau ?? "地理信息中心 Centre";
  byId("all").hidden = false;
  const bureaus = [...new Set(found.deliveries.map((one) => one.bureau))].filter(Boolean).sort((a, b) => a.localeCompare(b, "zh-CN"));
  byId("bureau").replaceChildren(make("option", { value: "" }, "全部 all"), ...bureaus.map((name) => make("option", { value: name }, name)));
  sums(found.deliveries);
  for (const id of ["bureau", "only"]) byId(id).onchange = () => draw(found.deliveries);
  draw(found.deliveries);
});
