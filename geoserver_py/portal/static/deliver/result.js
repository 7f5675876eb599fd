// What became of an upload: verdict, counts, rules, rows, the answer to an objection, the rejects.

import { both, chip, COUNTS, make, metres, post, say, takes } from "../desk.js";

const SHOWN_ROWS = 20;

/** Result of an upload, or null while there is none; `done` is called once an answer was given. */
export function resultOf(upload, done) {
  const reports = upload.reports ?? [];
  const parts = [];
  if (upload.message && !reports.length) parts.push(make("p", { class: "reason" }, upload.message));
  if (upload.state === "refused")
    parts.push(make("p", {}, "请按上面的说明改正后重新上传。", make("small", {}, " Correct it and upload again.")));
  if (upload.state === "broken")
    parts.push(make("p", { class: "reason" }, "处理中断，图层没有改变；可以重新开始。 It was cut off; no layer changed."));
  if (["failed", "broken"].includes(upload.state)) parts.push(restart(upload, done));
  for (const report of reports) parts.push(oneReport(upload, report, done));
  return parts.length ? make("div", { id: "result" }, parts) : null;
}

/** Begin again with the same files and statement, e.g. after a cut or once parameters are registered. */
function restart(upload, done) {
  const button = make("button", { type: "button", class: "main", id: "restart" }, both("重新开始", "Restart"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await post(`deliveries/${upload.id}/restart`, {});
      await done();
    } catch (refused) {
      button.disabled = false;
      say(refused.message);
    }
  });
  return make("p", { class: "again" }, button,
    make("small", {}, "　文件和说明不变，重新检查入库；若文件有误，请改正后重新上传。 The same files and statement again; if a file is wrong, correct it and upload."));
}

function oneReport(upload, report, done) {
  const rejected = report.counts.rejected ?? 0;
  return make("section", { class: "report" },
    make("h3", {}, `${report.layer_title} `, chip(report.status)),
    report.reason ? make("p", { class: report.status === "blocked" ? "reason ask" : "reason" }, report.reason)
      : make("p", { class: "reason fine" }, report.sentence),
    make("div", { class: "counts" }, Object.entries(COUNTS).map(([name, zh]) =>
      make("div", { class: name === "rejected" && rejected ? "bad" : null },
        make("b", {}, (report.counts[name] ?? 0).toLocaleString()), make("small", {}, `${zh} ${name}`)))),
    files(report, upload.coordsys ?? {}),
    measured(report),
    report.status === "blocked" ? answerForm(upload, report, done) : null,
    rules(report, upload.rules ?? {}),
    rows(report, upload.rules ?? {}),
    takes(`deliveries/${upload.id}`, report.run, rejected),
    rejected && ["succeeded", "unchanged"].includes(report.status)
      ? make("p", {}, "改正退回的行，打包成 zip 再次上传，只补这些行。", make("small", {}, " Correct the rejected rows, zip the folder and upload it again."))
      : null);
}

const files = (report, words) =>
  make("div", { class: "scroll" }, make("table", {},
    make("tr", {}, head("文件", "file"), head("坐标系", "coordsys"), head("精度", "accuracy"), head("基准判定", "datum verdict")),
    report.files.map((file) => {
      const given = file.datum?.accuracy_m;
      const poor = report.required_accuracy_m !== null && given > report.required_accuracy_m;
      return make("tr", {},
        make("td", {}, file.file, make("br"), make("small", {}, [file.driver, file.encoding].filter(Boolean).join(" "))),
        make("td", {}, words[file.coordsys] ?? file.coordsys ?? "—"),
        make("td", { class: poor ? "poor" : null }, metres(given), make("br"), make("small", {}, `要求 ${metres(report.required_accuracy_m)}`)),
        make("td", {}, file.detection?.sentence ?? "—", file.answer ? [make("br"), make("b", {}, `答复：${file.answer}`)] : null));
    })));

/** RMSE at check points, offsets to neighbouring layers, and what could not be judged. */
function measured(report) {
  const said = [...(report.measures ?? []).map((one) => one.sentence).filter(Boolean), ...(report.notes ?? [])];
  return said.length ? make("ul", {}, said.map((sentence) => make("li", {}, sentence))) : null;
}

const head = (zh, en, cls = null) => make("th", { class: cls }, both(zh, en));

function rules(report, known) {
  const entries = Object.entries(report.rules).sort((one, other) => other[1] - one[1]);
  if (!entries.length) return null;
  return make("div", { class: "scroll" }, make("h3", {}, both("按规则", "By rule")), make("table", {},
    make("tr", {}, head("规则", "rule"), head("行", "rows", "n"), head("依据", "clause"), head("怎样改", "how to mend")),
    entries.map(([rule, count]) => make("tr", {}, make("td", {}, known[rule]?.title ?? rule), make("td", { class: "n" }, count.toLocaleString()),
      make("td", {}, known[rule]?.clause ?? ""), make("td", {}, known[rule]?.mend ?? "")))));
}

function rows(report, known) {
  if (!report.sample.length) return null;
  return make("details", {}, make("summary", {}, `有问题的行（前 ${Math.min(SHOWN_ROWS, report.sample.length)} 行） `, make("small", {}, "rows at fault")),
    make("div", { class: "scroll" }, make("table", {},
      make("tr", {}, head("文件", "file"), head("行", "row", "n"), head("标识码", "id"), head("原因", "reason")),
      report.sample.slice(0, SHOWN_ROWS).map((row) => make("tr", {},
        make("td", {}, row.file ?? ""), make("td", { class: "n" }, row.row ?? ""), make("td", {}, row.id ?? ""),
        make("td", {}, make("b", {}, known[row.rule]?.title ?? row.rule), make("br"), row.reason))))));
}

/** Objections are answered with a reason, which the platform keeps with the data. */
function answerForm(upload, report, done) {
  const objected = report.files.some((file) => file.detection?.objection && !file.answer);
  const given = Math.max(0, ...report.files.map((file) => file.datum?.accuracy_m ?? 0));
  const poor = !objected && report.required_accuracy_m !== null && given > report.required_accuracy_m;
  if (!objected && !poor) return null;
  const reason = make("textarea", { id: `answer-${report.run}`, required: true, maxlength: 1000, placeholder: "理由，例如：已核对，列名与内容相反 Reason" });
  const form = make("form", { class: "answer" },
    make("label", { for: `answer-${report.run}` }, objected
      ? both("坐标系声明属实，说明理由（记入谱系）", "The stated datum is right: say why; it is recorded")
      : both(`接受 ${metres(given)} 的精度，说明理由（记入谱系）`, "Accept this accuracy: say why; it is recorded")),
    reason, make("p", {}, make("button", { class: "main" }, both("答复并重新检查", "answer and run again")),
      make("small", {}, "　若声明有误，请改正后重新上传。 If the statement is wrong, correct it and upload again.")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = { layer: report.layer };
    if (objected) answer.answers = { datum: reason.value };
    else answer.accept_accuracy = { metres: Math.ceil(given * 1000) / 1000, reason: reason.value };
    try {
      await post(`deliveries/${upload.id}/answers`, { answers: [answer] });
      await done();
    } catch (refused) {
      say(refused.message);
    }
  });
  return form;
}
