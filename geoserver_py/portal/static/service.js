// The service's interfaces, relative to this file's own address, with the caller's key.

export const root = new URL("..", import.meta.url);
const KEY = "geoserver_py.key";

export const key = () => sessionStorage.getItem(KEY) ?? "";
export const keepKey = (value) =>
  value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY);

const headers = () => (key() ? { "X-API-Key": key() } : {});

/** A refusal of the service, with its own sentence. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `HTTP ${status}`);
    this.status = status;
  }
}

/** GET a JSON document below the service's root; `query` values that are null are left out. */
export async function get(path, query = {}, signal = undefined) {
  const url = new URL(path, root);
  for (const [name, value] of Object.entries(query))
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  const response = await fetch(url, {
    headers: { Accept: "application/geo+json, application/json", ...headers() },
    signal,
  }).catch((failed) => {
    if (failed.name === "AbortError") throw failed;
    throw new Refusal(0, { detail: "服务没有应答，请检查网络或稍后重试。 The service did not answer." });
  });
  const document = response.status === 204 ? null : await response.json().catch((failed) => {
    if (failed.name === "AbortError") throw failed;
    throw new Refusal(response.status, {
      detail: `应答不是 JSON（HTTP ${response.status}）。 The answer is not JSON.`,
    });
  });
  if (!response.ok) throw new Refusal(response.status, document ?? {});
  return document;
}

/** MapLibre's requests to this service carry the key; no other host is ever asked. */
export const transformRequest = (url) =>
  url.startsWith(root.href) ? { url, headers: headers() } : { url };
