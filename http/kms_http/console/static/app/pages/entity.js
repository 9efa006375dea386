// One entity: its policies, the logins that are it, and the groups it is in.
import { html, useState } from "../lib.js";
import { unchanged } from "../clash.js";
import { list, read, remove, write } from "../api.js";
import { loginsOf } from "../mounts.js";
import { go, to } from "../router.js";
import { may } from "../session.js";
import { Asking, Badge, Button, Card, Check, Facts, Field, Form, Loaded, Table, Title, say, useAction, useLoad } from "../ui.js";
import { when, words } from "../text.js";

const TRAIL = [["Identity", "#/identity/entities"]];

// Metadata as text, a pair in a line, and back; null for what cannot be told so.
export function asLines(data) {
  const pairs = Object.entries(data || {});
  if (pairs.some(([key, value]) => /[=\n]/.test(key) || value.includes("\n"))) return null;
  return pairs.map(([key, value]) => `${key}=${value}`).join("\n");
}
function fromLines(text) {
  const lines = text.split("\n").filter((line) => line.trim());
  if (lines.some((line) => line.indexOf("=") < 1)) throw new Error("Metadata has a line for each: name=value.");
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}
export const sent = (lines) => (lines === null ? {} : { metadata: fromLines(lines) });
export const MetadataField = ({ value, set }) => (value === null ? html`<p class="hint">Its metadata cannot be shown as lines: the API changes it.</p>`
  : html`<${Field} as="textarea" rows="2" label="Metadata" value=${value} set=${set} hint="A line for each: name=value." />`);

export function Entity({ id, state }) {
  const path = `identity/entity/id/${id}`;
  const loaded = useLoad(() => (id ? read(path) : { name: "", policies: [], metadata: null, disabled: false }), [path]);
  const done = (text) => { say(text); loaded.reload(); };
  if (!id) return html`<${Title} trail=${TRAIL}>New entity<//><${Loaded} of=${loaded}>${(data) => html`<${Edit} data=${data} done=${done} />`}<//>`;
  return html`<${Loaded} of=${loaded} what="The entity">${(data) => html`<${Title} trail=${TRAIL} actions=${may("identity/entity/id/new", "delete") && html`<${Asking} button="Delete" kind="danger-quiet" title=${`Delete ${data.name}?`} text="What it gives its tokens ends; who logs in again is somebody new." word=${data.name} label="Delete" act=${() => remove(path)} done=${() => { say("The entity is deleted."); go("#/identity/entities"); }} />`}>${data.name}<//>
    ${data.disabled && html`<p><${Badge} kind="bad">disabled<//></p>`}
    ${may("identity/entity/id/new", "update", "create") && html`<${Edit} key=${data.last_update_time} path=${path} data=${data} done=${done} />`}
    <${Aliases} data=${data} state=${state} done=${done} />
    <div class="cards two"><${Card} title="Groups"><${Groups} data=${data} /><//>
      <${Card} title="Facts"><${Facts} of=${[["Id", html`<code class="break">${data.id}</code>`], ["Policies", data.policies.join(", ") || "–"], ["Made", when(data.creation_time)], ["Changed", when(data.last_update_time)],
        ...Object.entries(data.metadata || {}), data.merged_entity_ids && ["Merged", data.merged_entity_ids.join(", ")]]} /><//></div>`}<//>`;
}

function Edit({ path, data, done }) {
  const [values, setValues] = useState({ name: data.name, policies: data.policies.join(", "), metadata: asLines(data.metadata), disabled: data.disabled });
  const action = useAction();
  const set = (field) => (value) => setValues({ ...values, [field]: value });
  const send = () => action.run(async () => {
    const body = { name: values.name.trim(), policies: words(values.policies), ...sent(values.metadata), disabled: values.disabled };
    if (path) {
      await unchanged(path, data, ["name", "policies", "metadata", "disabled"]);
      await write(path, body);
      return done("The entity is written.");
    }
    await unchanged(`identity/entity/name/${body.name}`, {});
    const made = (await write("identity/entity", body)).data;
    say("The entity is made.");
    go(to("identity", "entities", made.id));
  });
  return html`<${Card}><${Form} label="Entity" send=${send} error=${action.error} busy=${action.busy} disabled=${!values.name.trim()}>
    <div class="row"><${Field} label="Name" value=${values.name} set=${set("name")} /><${Field} label="Policies" value=${values.policies} set=${set("policies")} hint="Separated by commas." /></div>
    <${MetadataField} value=${values.metadata} set=${set("metadata")} />
    ${path && html`<${Check} label="Disabled: its logins and tokens are of no use" value=${values.disabled} set=${set("disabled")} />`}<//><//>`;
}

function Aliases({ data, state, done }) {
  const [adding, setAdding] = useState(false);
  const added = (text) => { setAdding(false); done(text); };
  return html`<${Card} title="Logins" actions=${!adding && may("identity/entity-alias", "update", "create") && html`<${Button} kind="small" onClick=${() => setAdding(true)}>Add a login<//>`}>
    <p class="hint">Who logs in by one of these is this entity.</p>
    ${adding && html`<${NewAlias} path="identity/entity-alias" id=${data.id} state=${state} close=${() => setAdding(false)} done=${added} />`}
    <${Table} caption="Logins" head=${["Name", "Mount", "Method", "Change"]} rows=${(data.aliases || []).map((alias) => html`<tr key=${alias.id}><th scope="row">${alias.name}</th><td>${alias.mount_path}</td><td><${Badge}>${alias.mount_type}<//></td>
      <td>${may("identity/entity-alias/id/new", "delete") && html`<${Asking} small button="Remove" kind="danger-quiet" name=${`Remove ${alias.name}`} title=${`Remove the login ${alias.name}?`} text="Who logs in by it next is somebody new." label="Remove" act=${() => remove(`identity/entity-alias/id/${alias.id}`)} done=${() => done("The login is removed.")} />`}</td></tr>`)} empty="None." /><//>`;
}

// A name at a mount of logins, for an entity or for a group that a provider fills.
export function NewAlias({ path, id, state, close, done }) {
  const mounts = loginsOf(state).filter(([, mount]) => mount.accessor && mount.type !== "token");
  const [accessor, setAccessor] = useState(mounts[0]?.[1].accessor || "");
  const [name, setName] = useState("");
  const action = useAction();
  const send = () => action.run(async () => { await write(path, { name: name.trim(), mount_accessor: accessor, canonical_id: id }); done("The login is added."); });
  return html`<${Form} label="Add a login" send=${send} submit="Add" error=${action.error} busy=${action.busy} disabled=${!name.trim() || !accessor} extra=${html`<${Button} onClick=${close}>Cancel<//>`}>
    <div class="row"><${Field} as="select" label="Mount" value=${accessor} set=${setAccessor}>${mounts.map(([where, mount]) => html`<option value=${mount.accessor} selected=${mount.accessor === accessor}>${where}</option>`)}<//>
    <${Field} label="Name there" value=${name} set=${setName} hint="As the method knows it: a user name, a role id, a subject." /></div><//>`;
}

function Groups({ data }) {
  const loaded = useLoad(() => (data.group_ids.length ? list("identity/group/id") : { keys: [] }), [data.group_ids.join()]);
  return html`<${Loaded} of=${loaded} what="Groups">${({ key_info: info }) => (data.group_ids.length === 0 ? html`<p class="muted">In none.</p>` : html`<ul class="links">${data.group_ids.map((id) => html`<li key=${id}><a href=${to("identity", "groups", id)}>${info?.[id]?.name || id}</a> ${data.inherited_group_ids.includes(id) && html`<span class="muted">by another group</span>`}</li>`)}</ul>`)}<//>`;
}
