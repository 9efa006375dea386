// Requests of the API. The token is kept here, in memory, and leaves by the header of a request alone.

import { parse } from "./text.js";

let token = "";
let refused = () => {};

export const setToken = (value) => { token = value; };
export const tokenOf = () => token;
// Called where the session's token is refused something: it may be over.
export const onRefused = (listener) => { refused = listener; };

export class ApiError extends Error {
  constructor(status, texts) {
    super(texts.join(" ") || sentence(status));
    this.status = status;
    this.texts = texts;
  }
}

function sentence(status) {
  if (status === 404) return "There is nothing here.";
  if (status === 403) return "This token may not do that.";
  if (status === 0) return "The server cannot be reached.";
  return `The server answered ${status}.`;
}

// Texts of the server come as Vault has them: "1 error occurred:\n\t* permission denied\n\n".
const plain = (text) => String(text).replace(/^\d+ errors? occurred:\s*/, "").replace(/^\s*\* /gm, "").trim();

export const segments = (path) => path.split("/").map(encodeURIComponent).join("/");

// Returns the whole answer, {} for one without a body. `as`: another token than the session's, "" for none.
export async function call(method, path, { body, query, as, namespace, wrap, signal } = {}) {
  const used = as === undefined ? token : as;
  const headers = {};
  if (used) headers["X-Vault-Token"] = used;
  if (namespace) headers["X-Vault-Namespace"] = namespace;
  if (wrap) headers["X-Vault-Wrap-TTL"] = wrap;
  if (body !== undefined) headers["Content-Type"] = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  const words = query ? `?${new URLSearchParams(query)}` : "";
  let response;
  try {
    response = await fetch(`/v1/${segments(path)}${words}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, []);
  }
  const text = await response.text();
  let answer = {};
  try { answer = text ? parse(text) : {}; } catch { answer = { errors: [`The server answered ${response.status}.`] }; }
  if (!response.ok && !(response.status < 500 && answer.data && !answer.errors)) {
    if (response.status === 403 && as === undefined && used) refused(used);
    throw new ApiError(response.status, (answer.errors || []).map(plain));
  }
  return answer;
}

export const read = async (path, options) => (await call("GET", path, options)).data;
export const write = async (path, body = {}, options = {}) => call("POST", path, { ...options, body });
export const patch = async (path, body) => call("PATCH", path, { body });
export const remove = async (path, options) => call("DELETE", path, options);

// Names below a folder; none where there is no folder.
export async function list(path, query = {}) {
  try {
    return (await read(path, { query: { list: "true", ...query } })) || { keys: [] };
  } catch (error) {
    if (error.status === 404) return { keys: [] };
    throw error;
  }
}

// What a token may do on paths: the session's own, unless another is named by `token` or `accessor`.
export async function capabilities(paths, of = {}) {
  const end = of.token ? "capabilities" : of.accessor ? "capabilities-accessor" : "capabilities-self";
  const answer = await write(`sys/${end}`, { paths, ...of });
  return answer.data || answer;
}
