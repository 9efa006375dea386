// The seal of the node and that of the token's scope, and the ceremonies: init, unseal, seal.
import { html, useState } from "../lib.js";
import { call } from "../api.js";
import { isOperator, may, refresh } from "../session.js";
import { Giving, Made, Split, pgpKeys, powerOf, splitting } from "../shares.js";
import { Asking, Badge, Button, Card, Facts, Form, Note, Title, Trouble, say, useAction, useLoad } from "../ui.js";
import { plural } from "../text.js";

export function SealPage({ state }) {
  const node = useLoad(() => call("GET", "sys/seal-status", { as: "" }), []);
  const own = useLoad(() => call("GET", "sys/seal-status"), []);
  const [made, setMade] = useState(null);
  const operator = isOperator(state);
  const again = () => { node.reload(); own.reload(); refresh(); };
  const scope = operator ? "the cluster" : "the vault";
  if (made) return html`<${Made} title=${`Shares of ${scope}`} power=${powerOf(scope, Boolean(made.recovery_keys_base64))} keys=${made.recovery_keys_base64 || made.keys_base64 || []} word=${made.recovery_keys_base64 ? "Recovery Key" : "Unseal Key"} root=${made.root_token} done=${() => { setMade(null); again(); }} />`;
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
  const [values, setValues] = useState(splitting(5, 3));
  const action = useAction();
  const kind = status.recovery_seal ? "recovery" : "secret";
  const send = async () => {
    const keys = pgpKeys(values.pgp);
    const body = { [`${kind}_shares`]: Number(values.shares), [`${kind}_threshold`]: Number(values.threshold), ...(keys.length && { [kind === "secret" ? "pgp_keys" : "recovery_pgp_keys"]: keys }) };
    const made = await action.run(() => call("PUT", "sys/init", { body }));
    if (made) done(made);
  };
  return html`<h3>Initialise</h3><p>A key is made and split into shares: so many of them as you say here open it again, and nothing else does.</p>
    <${Form} label="Initialise" send=${send} submit="Initialise" error=${action.error} busy=${action.busy}>
      <${Split} values=${values} set=${setValues} shares=${status.recovery_seal ? "Recovery shares" : "Shares"} /><//>`;
}

function Unsealing({ status, done }) {
  const [at, setAt] = useState(status);
  const action = useAction();
  const given = async (body) => {
    const next = await call("PUT", "sys/unseal", { body });
    setAt(next);
    if (!next.sealed) { say("It is unsealed."); done(); }
    else if (body.reset) say("The shares given are forgotten.");
    else say(`${plural(next.progress, "share")} of ${next.t} given.`);
  };
  return html`<h3>Unseal</h3><${Trouble} error=${action.error} />
    <${Giving} label="Unseal" progress=${at.progress} needed=${at.t} give=${(key) => given({ key })}
      extra=${at.progress > 0 && html`<${Button} busy=${action.busy} onClick=${() => action.run(() => given({ reset: true }))}>Begin anew<//>`} />`;
}
