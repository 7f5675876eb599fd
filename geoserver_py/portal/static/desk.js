// What the two pages of deliveries share: elements, words, messages, downloads with the key.

import { get, key, Refusal, root } from "./service.js";

export const byId = (id) => document.getElementById(id);

/** An element: `make("td", {class: "n"}, "text", child)`; null children are left out. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Chinese, with the English word small beside it. */
export const both = (zh, en) => [`${zh} `, make("small", {}, en)];

export const STATES = {
  received: ["已接收", "received"], inspecting: ["查看文件", "inspecting"],
  waiting: ["待填写", "to be filled in"], queued: ["排队", "in line"], running: ["检查入库", "running"],
  done: ["已入库", "loaded"], blocked: ["待答复", "objection"], failed: ["未通过", "failed"],
  refused: ["已退回", "refused"], broken: ["中断", "broken off"],
  succeeded: ["成功", "succeeded"], unchanged: ["无变化", "unchanged"], late: ["迟交", "late"],
};
export const UNDER_WAY = new Set(["received", "inspecting", "queued", "running"]);
export const COUNTS = {
  read: "读取", rejected: "拒绝", warned: "警告", inserted: "新增", updated: "更新", deleted: "删除",
  unchanged: "未变",
};

export const chip = (state) => make("span", { class: `chip ${state}` }, STATES[state]?.[0] ?? state);

let timer;
export function say(text) {
  const box = byId("message");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (box.hidden = true), 9000);
}

export const metres = (value) =>
  value === null || value === undefined ? "—" : `${Number(value.toPrecision(3))} m`;

/** Local time as 2026-11-22 21:13. */
export const moment = (text) =>
  text ? new Date(text).toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short" }) : "—";

export const silence = () => (byId("message").hidden = true);

export async function post(path, body) {
  const response = await fetch(new URL(path, root), {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-API-Key": key() },
    body: JSON.stringify(body),
  });
  const document = await response.json();
  if (!response.ok) throw new Refusal(response.status, document);
  return document;
}

async function fetched(path) {
  const response = await fetch(new URL(path, root), { headers: { "X-API-Key": key() } });
  if (!response.ok) throw new Refusal(response.status, await response.json());
  return response;
}

/** Download a file that only the key opens. */
export async function take(path, name) {
  const response = await fetched(path);
  const link = make("a", { href: URL.createObjectURL(await response.blob()), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Open the whole report in a window of its own. */
export async function showReport(path) {
  const opened = window.open("", "_blank");
  const response = await fetched(path);
  const page = new Blob([await response.text()], { type: "text/html;charset=utf-8" });
  if (opened) opened.location = URL.createObjectURL(page);
}

/** Buttons for the report in all forms, and the rejects where there are any. */
export function takes(base, run, rejected) {
  const query = base.startsWith("runs/") ? "" : `&run=${run}`;
  const button = (zh, en, act) =>
    make("button", { type: "button", onclick: async (event) => {
      event.target.closest("button").disabled = true;
      await act().catch((refused) => say(refused.message));
      event.target.closest("button").disabled = false;
    } }, both(zh, en));
  const file = (form, title) => () => take(`${base}/report?f=${form}${query}`, `${title}-${run}.${form}`);
  return make("div", { class: "takes" },
    button("完整报告", "report", () => showReport(`${base}/report?f=html${query}`)),
    button("Word 报告", ".docx", file("docx", "交付报告")),
    button("问题清单", "Excel", file("xlsx", "问题清单")),
    button("问题位置图", "DXF", file("dxf", "问题位置")),
    rejected ? button("退回的行", "rejected rows, .zip", () =>
      take(`${base}/rejects${query ? `?run=${run}` : ""}`, `退回记录-${run}.zip`)) : null);
}

/** Load the overview as the key sees it. */
export const overview = () => get("deliveries", { limit: 200 });
