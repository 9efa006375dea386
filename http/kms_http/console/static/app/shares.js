// What the ceremonies of operators have in common: shares that are shown once, shares that are given, and PGP keys.
import { html, useState } from "./lib.js";
import { Button, Card, Check, Field, Form, Note, Secret, Title, download, useAction } from "./ui.js";

// Shares as they were made, this once: they lie in this component alone and go with it. `power`: what enough of them do;
// `fingerprints`: of the PGP keys that they are encrypted to, if they are.
export function Made({ title, power, keys, word = "Unseal Key", fingerprints, root, note, done }) {
  const [kept, setKept] = useState(false);
  const text = () => [
    ...keys.map((key, index) => `${word} ${index + 1}${fingerprints ? ` fingerprint: ${fingerprints[index]}; value` : ""}: ${key}`),
    ...(root ? ["", `Initial Root Token: ${root}`] : []), "",
  ].join("\n");
  return html`<${Title}>${title}<//>
    <${Note} kind="warn"><p>They are shown this once, and the server does not keep them. Give each to another person. Who has enough of them ${power}.${fingerprints ? " Each is encrypted, to whoever has the PGP key beside it." : ""}</p><//>
    ${note}
    <${Card}>${keys.length ? html`<ol class="shares">${keys.map((key, index) => html`<li><${Secret} text=${key} what=${`share ${index + 1}`} />${fingerprints && html` <span class="muted">for <code class="break">${fingerprints[index]}</code></span>`}</li>`)}</ol>` : html`<p>There are no shares: they were made before.</p>`}
      ${root && html`<h2>Initial root token</h2><p><${Secret} text=${root} what="the root token" /></p>`}
      <div class="actions"><${Button} onClick=${() => download("shares.txt", text())}>Download all<//></div>
    <//>
    <${Check} label="All of them are kept, each where it belongs." value=${kept} set=${setKept} />
    <div class="actions"><${Button} kind="primary" disabled=${!kept} onClick=${done}>Go on<//></div>`;
}

// How many shares were given, and a field for the next. `give`: sends one; `extra`: what else can be done.
export function Giving({ progress, needed, give, label, submit = "Give this share", hint, extra }) {
  const [share, setShare] = useState("");
  const action = useAction();
  const send = () => { const given = share.trim(); setShare(""); return action.run(() => give(given)); };
  return html`<p id="progress-text">${progress} of ${needed} shares given.</p>
    <progress max=${needed || 1} value=${progress} aria-labelledby="progress-text"></progress>
    <${Form} label=${label} send=${send} submit=${submit} error=${action.error} busy=${action.busy} disabled=${!share.trim()} extra=${extra}>
      <${Field} label="Share" type="password" value=${share} set=${setShare} hint=${hint || "In base64 or hex, as it was made. It is sent and then forgotten here."} /><//>`;
}

// Shares and how many of them are needed, and whom they are encrypted to.
export function Split({ values, set, needed = "Needed to unseal", shares = "Shares" }) {
  const change = (name) => (value) => set({ ...values, [name]: value });
  return html`<div class="row"><${Field} label=${shares} type="number" min="1" max="255" value=${values.shares} set=${change("shares")} />
    <${Field} label=${needed} type="number" min="1" max="255" value=${values.threshold} set=${change("threshold")} /></div>
    <details class="more"><summary>Encrypt the shares</summary><${Field} as="textarea" class="mono" rows="4" label="PGP public keys" value=${values.pgp} set=${change("pgp")} hint="One for each share: armored, or in base64, one a line. Each share is then of use to whoever has that key alone." /></details>`;
}

export const splitting = (shares, threshold) => ({ shares: String(shares), threshold: String(threshold), pgp: "" });

// PGP keys of a text, in base64: armored blocks, without their headers and sums, or base64 as it is.
export function pgpKeys(text) {
  const found = [];
  const rest = text.replace(/-----BEGIN PGP PUBLIC KEY BLOCK-----([\s\S]*?)-----END PGP PUBLIC KEY BLOCK-----/g, (_, block) => {
    found.push(block.split("\n").map((line) => line.trim()).filter((line) => line && !line.includes(":") && !line.startsWith("=")).join(""));
    return "\n";
  });
  return [...found, ...rest.split(/\s+/).filter(Boolean)];
}

export const powerOf = (scope, recovery) => (recovery ? "may do what takes several operators" : `has ${scope}`);
