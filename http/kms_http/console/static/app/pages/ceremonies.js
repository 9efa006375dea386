// Ceremonies of operators: other shares for the cluster or a vault, and root tokens of a vault.
import { html, useState } from "../lib.js";
import { unchanged } from "../clash.js";
import { call, read } from "../api.js";
import { isOperator, may, refresh } from "../session.js";
import { Giving, Made, Split, pgpKeys, powerOf, splitting } from "../shares.js";
import { Asking, Button, Card, Check, Copy, Facts, Form, Loaded, Note, Secret, Tabs, Title, say, useAction, useLoad } from "../ui.js";
import { plural } from "../text.js";
import { RootToken } from "./root_token.js";

export function Ceremonies({ state }) {
  const [tab, setTab] = useState("");
  const [made, setMade] = useState(null);
  const operator = isOperator(state);
  const recovery = operator && state.seal?.recovery_seal === true;
  const tabs = [
    may(recovery ? "sys/rekey-recovery-key/init" : "sys/rekey/init", "read") && ["rekey", recovery ? "New recovery shares" : "New shares", () => html`<${Rekey} operator=${operator} recovery=${recovery} show=${setMade} />`],
    !operator && may("sys/generate-root/attempt", "read") && ["root", "Root token", () => html`<${RootToken} />`],
  ].filter(Boolean);
  if (made) return html`<${Made} title="New shares" power=${powerOf(operator ? "the cluster" : "the vault", recovery)} keys=${made.keys_base64} word=${recovery ? "Recovery Key" : "Unseal Key"} fingerprints=${made.pgp_fingerprints} note=${html`<${AfterThem} made=${made} />`} done=${() => { setMade(null); refresh(); }} />`;
  return html`<${Title}>Ceremonies<//>
    <p class="muted">Operators hold these together, each with a share; any of them may begin one, or cancel it.</p>
    ${tabs.length ? html`<${Tabs} label="Ceremonies" at=${tab || tabs[0][0]} set=${setTab} tabs=${tabs} />` : html`<${Note}><p>This token may hold none.</p><//>`}`;
}

const AfterThem = ({ made }) => html`<${Note} kind=${made.verification_required ? "warn" : "good"}><p>${made.verification_required
  ? "They do not hold yet, and the old ones do: go on, and give enough of the new ones back. That shows that they were kept well." : "They hold from now on; the old ones are of no use any more."}</p><//>`;

// An attempt as it stands. Its nonce goes with each share, so that nobody helps another one than he sees.
export const Attempt = ({ status, facts, cancel, done }) => html`<${Facts} of=${[["Nonce", html`<code class="break">${status.nonce}</code> <${Copy} text=${status.nonce} what="the nonce" />`], ...facts]} />
  <p class="hint">Whoever gives a share should see the same nonce: it names this attempt.</p>
  <div class="actions"><${Asking} button="Cancel it" kind="danger-quiet" title="Cancel the ceremony?" text="Shares that were given for it are forgotten; nothing is changed." label="Cancel it" act=${cancel} done=${done} /></div>`;

function Rekey({ operator, recovery, show }) {
  const path = recovery ? "sys/rekey-recovery-key" : "sys/rekey";
  const loaded = useLoad(() => call("GET", `${path}/init`), [path]);
  const again = (text) => { if (text) say(text); loaded.reload(); };
  const cancel = () => call("DELETE", `${path}/init`);
  return html`<${Loaded} of=${loaded} what="The ceremony">${(status) => html`
      <${Card} title=${!status.started ? "Begin" : status.verification_nonce ? "Give new shares back" : "Give shares"} actions=${html`<${Button} kind="small" onClick=${() => again()}>Look again<//>`}>
        ${!status.started ? html`<${Begin} path=${path} operator=${operator} recovery=${recovery} required=${status.required} show=${show} done=${() => again("The ceremony has begun.")} />`
          : html`${status.verification_nonce ? html`<${Verify} key=${status.verification_nonce} path=${path} done=${again} />`
            : html`<${Giving} label="Give shares" progress=${status.progress} needed=${status.required} give=${async (key) => {
              const next = await call("PUT", `${path}/update`, { body: { key, nonce: status.nonce } });
              if (next.complete) show(next); else again(`${plural(next.progress, "share")} of ${next.required} given.`);
            }} />`}
            <${Attempt} status=${status} facts=${[["Will be", `${status.t} of ${status.n} shares`], ["New shares", status.verification_required ? "are given back before they hold" : "hold at once"],
              status.pgp_fingerprints && ["Encrypted to", html`${status.pgp_fingerprints.map((each) => html`<code class="break">${each}</code> `)}`]]} cancel=${cancel} done=${() => again("The ceremony is cancelled.")} />`}<//>
      <${Backup} path=${recovery ? "sys/rekey/recovery-key-backup" : "sys/rekey/backup"} />`}<//>`;
}

// A cluster whose key a provider keeps may have no recovery shares yet: then they are made at once.
function Begin({ path, operator, recovery, required, show, done }) {
  const [values, setValues] = useState(splitting(5, 3));
  const [flags, setFlags] = useState({ verify: true, backup: false });
  const action = useAction();
  const keys = pgpKeys(values.pgp);
  const first = recovery && required === 0;
  const send = () => action.run(async () => {
    const body = { secret_shares: Number(values.shares), secret_threshold: Number(values.threshold), ...(keys.length && { pgp_keys: keys, backup: flags.backup }) };
    if (first) return show((await call("POST", "sys/rotate/recovery/init", { body })).data);
    await call("PUT", `${path}/init`, { body: { ...body, require_verification: flags.verify } });
    return done();
  });
  const whose = recovery ? "recovery shares" : operator ? "shares of the cluster" : "shares of the vault";
  return html`<p>${first ? "There are no recovery shares yet, and they are made at once. They open nothing: enough of them prove that operators want what no single one may do."
    : `A new key is made and split into other ${whose}: when somebody leaves, or a share was lost or seen. ${plural(required, "share")} of those that there are must be given for it.`}</p>
    <${Form} label="Begin" send=${send} submit="Begin" error=${action.error} busy=${action.busy}>
      <${Split} values=${values} set=${setValues} needed=${recovery ? "Needed together" : "Needed to unseal"} />
      ${!first && html`<${Check} label="New shares are given back before they hold" value=${flags.verify} set=${(verify) => setFlags({ ...flags, verify })} hint="Who closes the page too early has then lost nothing." />`}
      ${keys.length > 0 && html`<${Check} label="The server keeps the encrypted shares, too" value=${flags.backup} set=${(backup) => setFlags({ ...flags, backup })} />`}<//>`;
}

function Verify({ path, done }) {
  const loaded = useLoad(() => call("GET", `${path}/verify`), [path]);
  const action = useAction();
  const restart = () => action.run(async () => { await call("DELETE", `${path}/verify`); say("The new shares that were given are forgotten."); loaded.reload(); });
  return html`<p>The old shares hold until enough of the new ones were given back. If any is lost, cancel it and begin anew.</p>
    <${Loaded} of=${loaded}>${({ nonce, progress, t }) => html`<${Giving} label="Give new shares back" progress=${progress} needed=${t} give=${async (key) => {
      const next = await call("PUT", `${path}/verify`, { body: { key, nonce } });
      if (next.complete) done("The new shares hold from now on."); else { say(`${plural(next.progress, "new share")} of ${next.t} given.`); loaded.reload(); }
    }} extra=${progress > 0 && html`<${Button} busy=${action.busy} onClick=${restart}>Give them anew<//>`} />`}<//>`;
}

// Encrypted shares that the server was told to keep.
function Backup({ path }) {
  const loaded = useLoad(() => read(path).catch(() => null), [path]);
  const kept = loaded.data;
  if (!kept) return null;
  const act = async () => { await unchanged(path, kept, ["nonce"]); await call("DELETE", path); };
  return html`<${Card} title="Encrypted shares that the server keeps" actions=${html`<${Asking} button="Forget them" kind="danger-quiet" title="Forget the encrypted shares?" text="Whoever has lost his gets it from here no more." label="Forget them" act=${act} done=${() => { say("They are forgotten."); loaded.reload(); }} />`}>
    <${Facts} of=${Object.entries(kept.keys_base64 || {}).flatMap(([fingerprint, keys]) => keys.map((key) => [html`<code class="break">${fingerprint}</code>`, html`<${Secret} text=${key} what=${`the share for ${fingerprint}`} />`]))} /><//>`;
}
