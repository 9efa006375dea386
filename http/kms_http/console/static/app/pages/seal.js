// The seal of the node and that of the token's scope, and the ceremonies: init, unseal, seal.
import { html, useState } from "../lib.js";
import { call } from "../api.js";
import { isOperator, may, refresh } from "../session.js";
import { Asking, Badge, Button, Card, Check, Facts, Field, Form, Note, Secret, Title, download, say, useAction, useLoad } from "../ui.js";
import { plural } from "../text.js";

export function SealPage({ state }) {
  const node = useLoad(() => call("GET", "sys/seal-status", { as: "" }), []);
  const own = useLoad(() => call("GET", "sys/seal-status"), []);
  const [made, setMade] = useState(null);
  const operator = isOperator(state);
  const again = () => { node.reload(); own.reload(); refresh(); };
  if (made) return html`<${Made} made=${made} scope=${operator ? "the cluster" : "the vault"} done=${() => { setMade(null); again(); }} />`;
  return html`<${Title} actions=${html`<${Button} onClick=${again}>Look again<//>`}>Seal<//>
    <div class="cards">
      ${!operator && html`<${Card} title="Node"><${Status} of=${node.data} error=${node.error} />
        ${node.data?.sealed && html`<p class="hint">An operator of the cluster unseals it.</p>`}<//>`}
      <${Card} title=${operator ? "Node" : "Vault"}><${Status} of=${own.data} error=${own.error} />
        ${own.data && html`<${Ceremony} status=${own.data} state=${state} done=${(found) => { if (found) setMade(found); else again(); }} />`}
      <//>
    </div>`;
}

function Status({ of, error }) {
  if (error) return html`<${Note} kind="bad"><p>${error.message}</p><//>`;
  if (!of) return html`<p class="muted" role="status">Loading…</p>`;
  return html`<p><${Badge} kind=${of.sealed ? "bad" : "good"}>${!of.initialized ? "Not initialised" : of.sealed ? "Sealed" : "Unsealed"}<//></p>
    <${Facts} of=${[
      of.cluster_name && ["Name", of.cluster_name],
      ["Kind", of.recovery_seal ? `${of.type}: kept by a provider` : "Shares (Shamir)"],
      of.n > 0 && ["Shares", `${of.t} of ${of.n} unseal`],
      ["Server", of.version],
    ]} />`;
}

function Ceremony({ status, state, done }) {
  const allowed = (path) => may(path, "update", "sudo") || state.may === null;
  if (!status.initialized) return allowed("sys/init") ? html`<${Init} status=${status} done=${done} />` : html`<p class="hint">Its operator initialises it.</p>`;
  if (status.sealed) return allowed("sys/unseal") ? html`<${Unsealing} status=${status} done=${done} />` : html`<p class="hint">Its operators unseal it.</p>`;
  if (!allowed("sys/seal")) return html`<p class="hint">This token may not seal it.</p>`;
  const what = isOperator(state) ? "this node" : "the vault";
  return html`<div class="actions"><${Asking} button="Seal" kind="danger" title=${`Seal ${what}?`} label="Seal" act=${() => call("PUT", "sys/seal")}
    text=${`Nothing of it can be used until operators give their shares again.`} done=${() => { say("It is sealed."); done(); }} /></div>`;
}

function Init({ status, done }) {
  const [shares, setShares] = useState("5");
  const [threshold, setThreshold] = useState("3");
  const action = useAction();
  const recovery = status.recovery_seal;
  const send = async () => {
    const names = recovery ? ["recovery_shares", "recovery_threshold"] : ["secret_shares", "secret_threshold"];
    const body = { [names[0]]: Number(shares), [names[1]]: Number(threshold) };
    const made = await action.run(() => call("PUT", "sys/init", { body }));
    if (made) done(made);
  };
  return html`<h3>Initialise</h3><p>A key is made and split into shares: so many of them as you say here open it again, and nothing else does.</p>
    <${Form} label="Initialise" send=${send} submit="Initialise" error=${action.error} busy=${action.busy}>
      <div class="row"><${Field} label=${recovery ? "Recovery shares" : "Shares"} type="number" min="1" max="255" value=${shares} set=${setShares} />
      <${Field} label="Needed to unseal" type="number" min="1" max="255" value=${threshold} set=${setThreshold} /></div><//>`;
}

// What init gives, this once. It lies in this component alone and goes with it.
function Made({ made, scope, done }) {
  const [kept, setKept] = useState(false);
  const recovery = Boolean(made.recovery_keys_base64);
  const keys = (recovery ? made.recovery_keys_base64 : made.keys_base64) || [];
  const text = () => [
    ...keys.map((key, index) => `${recovery ? "Recovery" : "Unseal"} Key ${index + 1}: ${key}`),
    ...(made.root_token ? ["", `Initial Root Token: ${made.root_token}`] : []), "",
  ].join("\n");
  return html`<${Title}>${`Shares of ${scope}`}<//>
    <${Note} kind="warn"><p>They are shown this once, and the server does not keep them. Give each to another person. Who has enough of them has ${scope}.</p><//>
    <${Card}>${keys.length ? html`<ol class="shares">${keys.map((key, index) => html`<li><${Secret} text=${key} what=${`share ${index + 1}`} /></li>`)}</ol>` : html`<p>There are no shares: they were made before.</p>`}
      ${made.root_token && html`<h2>Initial root token</h2><p><${Secret} text=${made.root_token} what="the root token" /></p>`}
      <div class="actions"><${Button} onClick=${() => download("shares.txt", text())}>Download all<//></div>
    <//>
    <${Check} label="All of them are kept, each where it belongs." value=${kept} set=${setKept} />
    <div class="actions"><${Button} kind="primary" disabled=${!kept} onClick=${done}>Go on<//></div>`;
}

function Unsealing({ status, done }) {
  const [share, setShare] = useState("");
  const [at, setAt] = useState(status);
  const action = useAction();
  const given = async (body) => {
    setShare("");
    const next = await action.run(() => call("PUT", "sys/unseal", { body }));
    if (!next) return;
    setAt(next);
    if (!next.sealed) { say("It is unsealed."); done(); }
    else if (body.reset) say("The shares given are forgotten.");
    else say(`${plural(next.progress, "share")} of ${next.t} given.`);
  };
  return html`<h3>Unseal</h3>
    <p id="progress-text">${at.progress} of ${at.t} shares given.</p>
    <progress max=${at.t || 1} value=${at.progress} aria-labelledby="progress-text"></progress>
    <${Form} label="Unseal" send=${() => given({ key: share.trim() })} submit="Give this share" error=${action.error} busy=${action.busy} disabled=${!share.trim()}
      extra=${at.progress > 0 && html`<${Button} onClick=${() => given({ reset: true })}>Begin anew<//>`}>
      <${Field} label="Share" type="password" value=${share} set=${setShare} hint="In base64 or hex, as init gave it. It is sent and then forgotten here." /><//>`;
}
