// One Transit key: its versions and their use, its settings, and a playground.
import { html, useState } from "../lib.js";
import { call, capabilities, read, remove, write } from "../api.js";
import { unchanged } from "../clash.js";
import { go, to } from "../router.js";
import { allowed } from "../session.js";
import { Asking, Badge, Card, Check, Copy, Facts, Field, Form, Loaded, Table, Tabs, Title, say, useAction, useLoad } from "../ui.js";
import { ago, number, span, when } from "../text.js";
import { Playground } from "./playground.js";

export const OPERATIONS = ["encrypt", "decrypt", "sign", "verify", "hmac", "rewrap"];

export function KeyPage({ mount, name }) {
  const path = `${mount}keys/${name}`;
  const paths = [path, `${path}/rotate`, `${path}/config`, `${path}/trim`, ...OPERATIONS.map((each) => `${mount}${each}/${name}`)];
  const [tab, setTab] = useState("versions");
  const key = useLoad(() => read(path), [path]);
  const caps = useLoad(() => capabilities(paths), [path]);
  const can = (where, ...wanted) => (caps.data ? allowed(caps.data[where] || [], ...wanted) : caps.error !== undefined);
  const rotate = () => call("POST", `${path}/rotate`, { body: {} });
  const done = (text) => { say(text); key.reload(); };
  return html`<${Title} trail=${[["Transit keys", "#/transit"], [mount, to("transit", mount)]]}
      actions=${key.data && can(`${path}/rotate`, "update") && html`<${Asking} button="Rotate" title="Rotate the key?" text="A new version is made, and used from now on. Older versions go on to decrypt and verify." label="Rotate" kind="primary" act=${rotate} done=${() => done("The key has a new version.")} />`}>${name}<//>
    <${Loaded} of=${key} what="The key">${(data) => html`
      <p><${Badge}>${data.type}<//> ${data.derived && html`<${Badge}>derived<//>`} ${data.exportable && html`<${Badge} kind="warn">exportable<//>`} ${data.deletion_allowed && html`<${Badge} kind="warn">may be deleted<//>`} ${data.imported_key && html`<${Badge}>imported<//>`}</p>
      <${Tabs} label="Parts of the key" at=${tab} set=${setTab} tabs=${[
        ["versions", "Versions and use", () => html`<${Versions} data=${data} />`],
        ["play", "Playground", () => html`<${Playground} mount=${mount} name=${name} data=${data} can=${(part) => can(`${mount}${part}/${name}`, "update", "create")} />`],
        ["settings", "Settings", () => html`<${Settings} path=${path} data=${data} can=${can} mount=${mount} name=${name} done=${done} />`],
      ]} />`}<//>`;
}

const born = (version) => (typeof version === "number" ? version : version?.creation_time);

function Versions({ data }) {
  const usage = data.usage || {};
  const versions = Object.entries(data.keys || {}).map(([each, version]) => [Number(each), version]).sort((a, b) => b[0] - a[0]);
  const most = Math.max(1, ...Object.values(usage).flatMap((kinds) => Object.values(kinds).map((each) => each.count)));
  const rows = versions.map(([each, version]) => {
    const state = each === data.latest_version ? ["good", "latest"] : each < data.min_decryption_version ? ["bad", "refused"] : ["", "decrypts"];
    return html`<tr key=${each}><th scope="row">Version ${each}</th><td><${Badge} kind=${state[0]}>${state[1]}<//></td><td>${when(born(version))}</td>
      <td>${Object.entries(usage[each] || {}).map(([kind, of]) => html`<div class="use"><span>${kind}</span><${Meter} share=${of.count / most} /><span>${number(of.count)}</span><span class="muted">last ${ago(of.last_used)}</span></div>`)}${!usage[each] && html`<span class="muted">Not used since it is counted</span>`}</td>
      <td>${version?.public_key ? html`<details><summary>Public key</summary><pre class="value">${version.public_key}</pre><${Copy} text=${version.public_key} what=${`the public key of version ${each}`} /></details>` : html`<span class="muted">–</span>`}</td></tr>`;
  });
  return html`<${Table} caption="Versions" head=${["Version", "State", "Made", "Use", "Public key"]} rows=${rows} empty="Its versions are not shown." />
    <p class="hint">What other processes counted comes in some seconds later.</p>`;
}

// A bar whose length is a share of the whole; told in words beside it.
export const Meter = ({ share, kind = "" }) => html`<svg class=${`meter ${kind}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect class="rail" width="100" height="6" /><rect class="fill" width=${share > 0 ? Math.max(1.5, Math.min(100, share * 100)) : 0} height="6" /></svg>`;

function Settings({ path, data, can, mount, name, done }) {
  const [values, setValues] = useState({
    min_decryption_version: String(data.min_decryption_version), min_encryption_version: String(data.min_encryption_version),
    auto_rotate_period: data.auto_rotate_period ? `${data.auto_rotate_period}s` : "0", deletion_allowed: data.deletion_allowed,
    exportable: data.exportable, allow_plaintext_backup: data.allow_plaintext_backup,
  });
  const action = useAction();
  const set = (field) => (value) => setValues({ ...values, [field]: value });
  const send = () => action.run(async () => {
    const body = { min_decryption_version: Number(values.min_decryption_version), min_encryption_version: Number(values.min_encryption_version),
      auto_rotate_period: values.auto_rotate_period || "0", deletion_allowed: values.deletion_allowed };
    if (values.exportable && !data.exportable) body.exportable = true;
    if (values.allow_plaintext_backup && !data.allow_plaintext_backup) body.allow_plaintext_backup = true;
    await unchanged(path, data, ["min_decryption_version", "min_encryption_version", "auto_rotate_period", "deletion_allowed", "exportable", "allow_plaintext_backup"]);
    await write(`${path}/config`, body);
    done("The settings are written.");
  });
  const facts = [["Type", data.type], ["Latest version", data.latest_version], ["Oldest that is kept", data.min_available_version || 1],
    ["Rotates by itself", data.auto_rotate_period ? `every ${span(data.auto_rotate_period)}` : "No"], ["Derived", data.derived ? "Yes" : "No"], ["Exportable", data.exportable ? "Yes" : "No"], ["Backup in the clear", data.allow_plaintext_backup ? "Allowed" : "Not allowed"]];
  if (!can(`${path}/config`, "update")) return html`<${Card}><${Facts} of=${facts} /><p class="hint">This token may not change them.</p><//>`;
  return html`<${Card}><${Form} label="Settings of the key" send=${send} error=${action.error} busy=${action.busy}>
      <div class="row"><${Field} label="Oldest version that decrypts" type="number" min="1" max=${data.latest_version} value=${values.min_decryption_version} set=${set("min_decryption_version")} />
      <${Field} label="Oldest version that encrypts" type="number" min="0" max=${data.latest_version} value=${values.min_encryption_version} set=${set("min_encryption_version")} hint="0: the latest alone, unless asked." />
      <${Field} label="Rotate by itself after" value=${values.auto_rotate_period} set=${set("auto_rotate_period")} hint="Such as 720h; 0: never." /></div>
      <${Check} label="May be deleted" value=${values.deletion_allowed} set=${set("deletion_allowed")} />
      ${!data.exportable && html`<${Check} label="Exportable, for ever" value=${values.exportable} set=${set("exportable")} />`}
      ${!data.allow_plaintext_backup && html`<${Check} label="Backups in the clear, for ever" value=${values.allow_plaintext_backup} set=${set("allow_plaintext_backup")} />`}<//><//>
    ${can(path, "delete") && html`<${Card} title="Delete the key"><p>${data.deletion_allowed ? "What it has encrypted can never be read again." : "Its settings do not allow it."}</p>
      ${data.deletion_allowed && html`<${Asking} button="Delete" kind="danger" title=${`Delete the key ${name}?`} text="What it has encrypted can never be read again." word=${name} label="Delete" act=${() => remove(path)} done=${() => { say("The key is deleted."); go(to("transit", mount)); }} />`}<//>`}`;
}
