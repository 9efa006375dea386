// Trying a key: what is typed here goes to the server and comes back, and is kept nowhere.
import { html, useState } from "../lib.js";
import { write } from "../api.js";
import { Button, Check, Copy, Field, Form, Note, useAction } from "../ui.js";
import { fromBase64, toBase64 } from "../text.js";

const fits = {
  encrypt: (data) => data.supports_encryption,
  decrypt: (data) => data.supports_decryption,
  rewrap: (data) => data.supports_encryption,
  sign: (data) => data.supports_signing,
  verify: (data) => data.supports_signing,
  hmac: (data) => !/cmac/.test(data.type),
  "verify hmac": (data) => !/cmac/.test(data.type),
};
const NAMES = { encrypt: "Encrypt", decrypt: "Decrypt", rewrap: "Rewrap", sign: "Sign", verify: "Verify a signature", hmac: "HMAC", "verify hmac": "Verify an HMAC" };
const pathOf = (kind) => kind.split(" ")[0];
const HASHES = ["sha2-256", "sha2-384", "sha2-512", "sha3-256", "sha3-512"];

export function Playground({ mount, name, data, can }) {
  const kinds = Object.keys(NAMES).filter((kind) => fits[kind](data) && can(pathOf(kind)));
  const [kind, setKind] = useState(kinds[0]);
  const [text, setText] = useState("");
  const [sealed, setSealed] = useState("");
  const [raw, setRaw] = useState(false);
  const [context, setContext] = useState("");
  const [hash, setHash] = useState("sha2-256");
  const [result, setResult] = useState(null);
  const action = useAction();
  if (!kinds.length) return html`<${Note}><p>This token may do nothing with this key, or the key is of no kind that could be tried here.</p><//>`;
  const takesText = ["encrypt", "sign", "verify", "hmac", "verify hmac"].includes(kind);
  const takesSealed = ["decrypt", "rewrap", "verify", "verify hmac"].includes(kind);
  const ofMac = kind.endsWith("hmac");
  const hashes = ofMac || (["sign", "verify"].includes(kind) && /^(rsa|ecdsa)/.test(data.type));
  const choose = (next) => { setKind(next); setResult(null); action.clear(); };

  const send = () => action.run(async () => {
    setResult(null);
    const input = raw ? text.trim() : toBase64(text);
    const body = { ...(data.derived && context ? { context: toBase64(context) } : {}) };
    if (kind === "encrypt") body.plaintext = input;
    if (["sign", "verify", "hmac", "verify hmac"].includes(kind)) body.input = input;
    if (kind === "decrypt" || kind === "rewrap") body.ciphertext = sealed.trim();
    if (kind === "verify") body.signature = sealed.trim();
    if (kind === "verify hmac") body.hmac = sealed.trim();
    if (hashes) body[ofMac ? "algorithm" : "hash_algorithm"] = hash;
    setResult((await write(`${mount}${pathOf(kind)}/${name}`, body)).data);
  });
  return html`<${Form} label="Playground" send=${send} submit=${NAMES[kind]} error=${action.error} busy=${action.busy}>
      <${Field} as="select" label="What" value=${kind} set=${choose}>${kinds.map((each) => html`<option value=${each} selected=${each === kind}>${NAMES[each]}</option>`)}<//>
      ${takesText && html`<${Field} as="textarea" label=${kind === "encrypt" ? "Plaintext" : "Input"} rows="4" value=${text} set=${setText} /><${Check} label="It is base64 already" value=${raw} set=${setRaw} />`}
      ${takesSealed && html`<${Field} as="textarea" label=${kind === "verify" ? "Signature" : ofMac ? "HMAC" : "Ciphertext"} rows="3" class="mono" value=${sealed} set=${setSealed} placeholder="vault:v1:…" />`}
      ${data.derived && html`<${Field} label="Context" value=${context} set=${setContext} hint="The key is derived: it needs one." />`}
      ${hashes && html`<${Field} as="select" label="Hash" value=${hash} set=${setHash}>${HASHES.map((each) => html`<option value=${each} selected=${each === hash}>${each}</option>`)}<//>`}<//>
    ${result && html`<${Result} result=${result} again=${(given, next) => { setSealed(given); choose(next); }} kinds=${kinds} />`}`;
}

function Result({ result, again, kinds }) {
  if (typeof result.valid === "boolean") return html`<div class=${`note ${result.valid ? "good" : "bad"}`} role="status"><p>${result.valid ? "It is valid." : "It is not valid."}</p></div>`;
  const [label, value] = [["Ciphertext", result.ciphertext], ["Plaintext", result.plaintext], ["Signature", result.signature], ["HMAC", result.hmac]].find(([, each]) => each !== undefined) || ["Result", JSON.stringify(result)];
  const text = label === "Plaintext" ? fromBase64(value) : null;
  const next = { Ciphertext: "decrypt", Signature: "verify", HMAC: "verify hmac" }[label];
  return html`<div class="result" role="status"><h3>${label}</h3><pre class="value">${text ?? value}</pre>
    ${label === "Plaintext" && text === null && html`<p class="hint">It is no text: shown in base64.</p>`}
    <div class="actions"><${Copy} text=${text ?? value} what=${label.toLowerCase()} />${next && kinds.includes(next) && html`<${Button} kind="small" onClick=${() => again(value, next)}>${next === "decrypt" ? "Decrypt it" : "Verify it"}<//>`}</div></div>`;
}
