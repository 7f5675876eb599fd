// The key of a bureau, asked for on every page that needs one, with what is needed in words.

import { keepKey, key } from "./service.js";
import { both, byId, make } from "./desk.js";

/** Run `enter` with the key of this window; without one, or when it is refused, ask for it. */
export async function signIn(enter) {
  const box = byId("sign-in");
  const why = make("p", { class: "reason", role: "alert", hidden: true });
  const input = make("input", { id: "key", type: "password", autocomplete: "off", required: true,
    "aria-label": "交付密钥 Key of your bureau", placeholder: "gsp_…" });
  const form = make("form", { class: "key", id: "key-form" }, input, make("button", { class: "main" }, both("进入", "Enter")));
  box.replaceChildren(
    make("h2", {}, both("需要交付密钥", "A key is needed")),
    make("p", {}, "本页只对持有密钥的单位开放：委办局的密钥看本单位的交付，管理密钥看全部。",
      make("br"), make("small", {}, "This page is for holders of a key: a bureau's key shows its own deliveries, an administrator's shows all.")),
    why, form,
    make("p", {}, make("small", {}, "没有密钥？请向地理信息中心申请。密钥只存在本浏览器的这个窗口里。 No key? Ask the geographic information centre. It stays in this window of the browser.")));
  const attempt = async () => {
    try {
      await enter();
      box.hidden = true;
      return true;
    } catch (refused) {
      why.textContent = refused.message;
      why.hidden = false;
      box.hidden = false;
      return false;
    }
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const before = key();
    keepKey(input.value.trim());
    if (!(await attempt())) keepKey(before);
  });
  if (key()) await attempt();
  else {
    box.hidden = false;
    input.focus();
  }
}
