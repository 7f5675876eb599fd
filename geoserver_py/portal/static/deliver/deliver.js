// The upload page: a key that names the bureau, files in, verdict and report, rejects back.

import { key, get, root } from "../service.js";
import { both, byId, chip, make, moment, overview, say, silence, STATES, UNDER_WAY } from "../desk.js";
import { formOf } from "./form.js";
import { signIn } from "../sign-in.js";
import { resultOf } from "./result.js";

const POLL_MS = 900;
const STEPS = [["上传", "upload"], ["说明", "describe"], ["检查入库", "check and load"], ["结果", "result"]];
const STEP_OF = {
  received: 1, inspecting: 1, waiting: 1, queued: 2, running: 2,
  done: 3, blocked: 3, failed: 3, refused: 3, broken: 3,
};

let desk = null;
let shown = null;
let drawn = "";
let poll;

async function enter() {
  desk = await overview();
  byId("desk").hidden = false;
  byId("who").textContent = desk.bureau ?? "地理信息中心 Centre";
  byId("limit").textContent = `${desk.limit_mb} MB`;
  byId("for-bureau").hidden = desk.bureau !== null;
  list();
}

function list() {
  byId("uploads").replaceChildren(
    ...desk.uploads.map((one) =>
      make("li", {},
        make("button", { type: "button", "aria-current": one.id === shown ? "true" : null, onclick: () => open(one.id) },
          chip(one.state), one.name, make("br"),
          make("small", {}, `${desk.admin ? `${one.bureau} · ` : ""}${moment(one.created_at)}`)))));
  if (!desk.uploads.length) byId("uploads").append(make("li", {}, make("small", {}, "还没有上传 none yet")));
}

async function open(number) {
  shown = number;
  drawn = "";
  history.replaceState(null, "", `#${number}`);
  list();
  await follow();
}

/** Ask for the state of the shown upload until nothing is under way. */
async function follow() {
  clearTimeout(poll);
  const number = shown;
  const one = await get(`deliveries/${number}`);
  if (number !== shown) return;
  const listed = desk.uploads.find((entry) => entry.id === number);
  if (listed && listed.state !== one.state) Object.assign(listed, { state: one.state }), list();
  draw(one);
  if (UNDER_WAY.has(one.state)) poll = setTimeout(() => follow().catch(failed), POLL_MS);
}

function draw(one) {
  const fingerprint = JSON.stringify([one.id, one.state, one.updated_at]);
  if (fingerprint === drawn) return; // a form that is being filled in stays as it is
  drawn = fingerprint;
  const at = STEP_OF[one.state];
  byId("current").replaceChildren(
    make("section", { class: "card" },
      make("h2", {}, `${one.name} `, chip(one.state)),
      make("ol", { class: "steps" },
        STEPS.map(([zh, en], i) => make("li", { class: i < at ? "past" : i === at ? "now" : null }, both(zh, en)))),
      UNDER_WAY.has(one.state) ? progress(one) : null,
      one.state === "waiting" ? formOf(one, restarted) : null,
      resultOf(one, restarted),
      one.state !== "waiting" && one.inspection
        ? make("details", {}, make("summary", {}, both("改正说明后重新检查", "correct the statement and run again")), formOf(one, restarted))
        : null));
}

function progress(one) {
  const { rows, total, layer } = one.progress ?? {};
  const bar = make("progress", total ? { max: total, value: Math.min(rows, total) } : {});
  const text = rows ? `${layer}：${rows.toLocaleString()}${total ? ` / ${total.toLocaleString()}` : ""} 行 rows` : STATES[one.state].join(" ");
  return make("div", {}, make("p", {}, `${text}…`), bar);
}

async function restarted() {
  silence();
  drawn = "";
  await follow();
}

function failed(refused) {
  say(refused.message);
}

function upload(file) {
  const query = { name: file.name };
  if (desk.bureau === null) query.bureau = byId("bureau").value.trim();
  const url = new URL("deliveries", root);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const request = new XMLHttpRequest(); // fetch tells nothing of how much has been sent
  request.open("POST", url);
  request.setRequestHeader("X-API-Key", key());
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.upload.onprogress = (event) => {
    byId("sent").value = event.loaded / event.total;
    byId("sending-text").textContent = `上传 ${file.name} ${Math.round((100 * event.loaded) / event.total)} %`;
  };
  request.onloadend = async () => {
    byId("sending").hidden = true;
    byId("file").value = "";
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      answer = { detail: "上传中断，请重试。 The upload broke off." };
    }
    if (request.status !== 202) return say(answer.detail ?? `HTTP ${request.status}`);
    desk = await overview();
    await open(answer.id).catch(failed);
  };
  byId("sent").value = 0;
  byId("sending").hidden = false;
  request.send(file);
}

byId("file").addEventListener("change", (event) => event.target.files[0] && upload(event.target.files[0]));
const drop = byId("drop");
for (const kind of ["dragenter", "dragover"])
  drop.addEventListener(kind, (event) => (event.preventDefault(), drop.classList.add("over")));
for (const kind of ["dragleave", "drop"])
  drop.addEventListener(kind, (event) => (event.preventDefault(), drop.classList.remove("over")));
drop.addEventListener("drop", (event) => event.dataTransfer.files[0] && upload(event.dataTransfer.files[0]));
byId("upload-form").addEventListener("submit", (event) => event.preventDefault());

signIn(async () => {
  await enter();
  const asked = Number(location.hash.slice(1));
  if (asked) await open(asked).catch(failed);
});
