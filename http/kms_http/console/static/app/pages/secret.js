// One secret of KV version 2: a version's data, all versions, what is known of it.
import { html, useState } from "../lib.js";
import { allowed } from "../session.js";
import { call, capabilities, remove, write } from "../api.js";
import { parentOf, trailOf } from "../mounts.js";
import { go } from "../router.js";
import { Asking, Badge, Button, Loaded, Note, Secret, Table, Tabs, Title, Trouble, say, useLoad } from "../ui.js";
import { asText, unkept, when } from "../text.js";
import { Editor } from "./secret_edit.js";
import { Versions } from "./secret_versions.js";
import { Metadata } from "./secret_metadata.js";

export const stateOf = (version) => (version.destroyed ? "destroyed" : version.deletion_time && Date.parse(version.deletion_time) <= Date.now() ? "deleted" : "kept");

// Data of a version, or what is left of one that was deleted: that comes as 404, with its metadata.
export async function versionData(mount, path, version) {
  return (await call("GET", `${mount}data/${path}`, { query: version ? { version } : undefined })).data;
}

export function SecretPage({ mount, path }) {
  const [tab, setTab] = useState("data");
  const [picked, setPicked] = useState(0);
  const paths = ["data", "metadata", "delete", "undelete", "destroy"].map((part) => `${mount}${part}/${path}`);
  const meta = useLoad(() => call("GET", paths[1]).then((answer) => answer.data), [mount, path]);
  const caps = useLoad(() => capabilities(paths), [mount, path]);
  const can = (part, ...wanted) => (caps.data ? allowed(caps.data[`${mount}${part}/${path}`] || [], ...wanted) : caps.error !== undefined);
  const gone = () => { say("The secret is gone."); go(parentOf(mount, path)); };
  const shared = { mount, path, meta: meta.data, can, reload: meta.reload };
  return html`<${Title} trail=${trailOf(mount, path)}
      actions=${can("metadata", "delete") && meta.data && html`<${Asking} button="Delete all" kind="danger-quiet" title="Delete the secret?" text="All its versions and all that is known of it go, and cannot be brought back." word=${path.split("/").at(-1)} label="Delete all" act=${() => remove(paths[1])} done=${gone} />`}>${path.split("/").at(-1)}<//>
    <${Tabs} label="Parts of the secret" at=${tab} set=${setTab} tabs=${[
      ["data", "Data", () => html`<${Data} ...${shared} picked=${picked} pick=${setPicked} />`],
      ["versions", "Versions", () => html`<${Loaded} of=${meta} what="Versions">${() => html`<${Versions} ...${shared} show=${(version) => { setPicked(version); setTab("data"); }} />`}<//>`],
      ["metadata", "Metadata", () => html`<${Loaded} of=${meta} what="Metadata">${() => html`<${Metadata} ...${shared} />`}<//>`],
    ]} />`;
}

function Data({ mount, path, meta, can, reload, picked, pick }) {
  const [editing, setEditing] = useState(false);
  const loaded = useLoad(() => versionData(mount, path, picked), [mount, path, picked]);
  const again = () => { setEditing(false); pick(0); loaded.reload(); reload(); };
  const writable = can("data", "create", "update");
  // The version that is seen, by its number: a newer one may be there by now. Who may do less deletes the latest.
  const discard = (number) => (can("delete", "update") ? write(`${mount}delete/${path}`, { versions: [number] }) : remove(`${mount}data/${path}`));
  if (loaded.error) {
    if (loaded.error.status === 404 && editing) return html`<${Editor} mount=${mount} path=${path} version=${2} close=${() => setEditing(false)} done=${again} />`;
    return html`<${Trouble} error=${loaded.error} />${loaded.error.status === 404 && writable && html`<${Button} onClick=${() => setEditing(true)}>Write it<//>`}`;
  }
  if (!loaded.data) return html`<p class="muted" role="status">Loading…</p>`;
  const { data, metadata } = loaded.data;
  const latest = meta?.current_version || metadata.version;
  const current = metadata.version;
  if (editing) return html`<${Editor} mount=${mount} path=${path} version=${2} data=${data || {}} current=${latest} close=${() => setEditing(false)} done=${again} />`;
  const versions = Object.keys(meta?.versions || {}).map(Number).sort((a, b) => b - a);
  return html`<div class="bar-row">
      ${versions.length > 1 ? html`<label class="inline">Version <select onChange=${(event) => pick(Number(event.currentTarget.value))}>${versions.map((each) => html`<option value=${each} selected=${each === current}>${each}${each === latest ? " (latest)" : ""}</option>`)}</select></label>`
        : html`<span>Version ${current}</span>`}
      <span class="muted">written ${when(metadata.created_time)}</span>
      <div class="actions end">${writable && html`<${Button} kind="primary" onClick=${() => setEditing(true)}>${current === latest ? "Edit" : "Edit from this version"}<//>`}
        ${data && current === latest && can("data", "delete") && html`<${Asking} button="Delete" kind="danger-quiet" title=${`Delete version ${current}?`} text="It can be undeleted, until it is destroyed." label="Delete" act=${() => discard(current)} done=${again} />`}</div>
    </div>
    ${data ? html`<${Values} data=${data} />` : html`<${Note} kind="warn"><p>Version ${current} is ${metadata.destroyed ? "destroyed" : html`deleted since ${when(metadata.deletion_time)}`}. ${!metadata.destroyed && "See Versions to undelete it."}</p><//>`}`;
}

// Fields with their values hidden.
export function Values({ data }) {
  const [all, setAll] = useState(false);
  const rows = Object.entries(data).map(([key, value]) => html`<tr key=${key}><th scope="row" class="mono">${key}</th><td><${Secret} text=${asText(value)} what=${`the value of ${key}`} shown=${all} /></td></tr>`);
  return html`<div class="actions"><${Button} kind="small quiet" aria-pressed=${all} onClick=${() => setAll(!all)}>${all ? "Hide all values" : "Show all values"}<//></div>
    ${unkept(data) && html`<p class="hint">A number in it has more digits than a browser keeps, and is shown rounded.</p>`}
    <${Table} caption="Fields" head=${["Name", "Value"]} rows=${rows} empty="This version has no fields." />`;
}

export const StateBadge = ({ of }) => html`<${Badge} kind=${{ kept: "good", deleted: "warn", destroyed: "bad" }[of]}>${of}<//>`;
