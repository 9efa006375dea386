// One group: its policies, and who is in it; or what fills it at a provider.
import { html, useState } from "../lib.js";
import { unchanged } from "../clash.js";
import { list, read, remove, write } from "../api.js";
import { go, to } from "../router.js";
import { may } from "../session.js";
import { Asking, Badge, Button, Card, Facts, Field, Form, Loaded, Note, Title, say, useAction, useLoad } from "../ui.js";
import { when, words } from "../text.js";
import { MetadataField, NewAlias, asLines, sent } from "./entity.js";

const TRAIL = [["Identity", "#/identity/groups"]];
const NEW = { name: "", type: "internal", policies: [], metadata: null, member_entity_ids: null, member_group_ids: null };

// Names of those that can be members, by id; those beyond the first 500 are named by their ids.
async function namesOf(path, query = {}) {
  const found = await list(path, query).catch(() => ({}));
  return Object.fromEntries((found.keys || []).map((id) => [id, found.key_info[id].name]));
}

export function Group({ id, state }) {
  const path = `identity/group/id/${id}`;
  const loaded = useLoad(async () => {
    const [data, entities, groups] = await Promise.all([id ? read(path) : NEW, namesOf("identity/entity/id", { limit: 500 }), namesOf("identity/group/id")]);
    return { data, entities, groups };
  }, [path]);
  const done = (text) => { say(text); loaded.reload(); };
  return html`<${Loaded} of=${loaded} what="The group">${({ data, entities, groups }) => html`<${Title} trail=${TRAIL} actions=${id && may("identity/group/id/new", "delete") && html`<${Asking} button="Delete" kind="danger-quiet" title=${`Delete ${data.name}?`} text="Its members lose what it gives; they stay." word=${data.name} label="Delete" act=${() => remove(path)} done=${() => { say("The group is deleted."); go("#/identity/groups"); }} />`}>${id ? data.name : "New group"}<//>
    ${id && html`<p><${Badge}>${data.type}<//></p>`}
    ${may("identity/group/id/new", "update", "create") && html`<${Edit} key=${data.modify_index} path=${id && path} data=${data} entities=${entities} groups=${groups} done=${done} />`}
    ${id && data.type === "external" && html`<${Filled} data=${data} state=${state} done=${done} />`}
    ${id && html`<${Card} title="Facts"><${Facts} of=${[["Id", html`<code class="break">${data.id}</code>`], ["Policies", data.policies.join(", ") || "–"],
      ["Entities", html`<${Links} ids=${data.member_entity_ids} names=${entities} kind="entities" />`], ["Groups", html`<${Links} ids=${data.member_group_ids} names=${groups} kind="groups" />`],
      ["In groups", html`<${Links} ids=${data.parent_group_ids} names=${groups} kind="groups" />`], ["Made", when(data.creation_time)], ["Changed", when(data.last_update_time)], ...Object.entries(data.metadata || {})]} /><//>`}`}<//>`;
}

const Links = ({ ids, names, kind }) => (ids?.length ? html`${ids.map((id, index) => html`${index > 0 ? ", " : ""}<a href=${to("identity", kind, id)}>${names[id] || id}</a>`)}` : "–");

// Members by name, where that is known, or by id.
function idsOf(text, names) {
  const byName = Object.fromEntries(Object.entries(names).map(([id, name]) => [name.toLowerCase(), id]));
  return text.split("\n").map((each) => each.trim()).filter(Boolean).map((each) => {
    const id = byName[each.toLowerCase()] || (names[each] || /^[0-9a-f-]{36}$/.test(each) ? each : null);
    if (!id) throw new Error(`There is no ${each}.`);
    return id;
  });
}

function Edit({ path, data, entities, groups, done }) {
  const named = (ids, names) => (ids || []).map((id) => names[id] || id).join("\n");
  const [values, setValues] = useState({ name: data.name, type: data.type, policies: data.policies.join(", "), metadata: asLines(data.metadata), entities: named(data.member_entity_ids, entities), groups: named(data.member_group_ids, groups) });
  const action = useAction();
  const set = (field) => (value) => setValues({ ...values, [field]: value });
  const internal = values.type === "internal";
  const send = () => action.run(async () => {
    const body = { name: values.name.trim(), policies: words(values.policies), ...sent(values.metadata),
      ...(internal && { member_entity_ids: idsOf(values.entities, entities), member_group_ids: idsOf(values.groups, groups) }) };
    if (path) {
      await unchanged(path, data, ["modify_index"]);
      await write(path, body);
      return done("The group is written.");
    }
    await unchanged(`identity/group/name/${body.name}`, {});
    const made = (await write("identity/group", { ...body, type: values.type })).data;
    say("The group is made.");
    go(to("identity", "groups", made.id));
  });
  return html`<${Card}><${Form} label="Group" send=${send} error=${action.error} busy=${action.busy} disabled=${!values.name.trim()}>
    <div class="row"><${Field} label="Name" value=${values.name} set=${set("name")} />
      ${!path && html`<${Field} as="select" label="Members" value=${values.type} set=${set("type")}><option value="internal" selected=${internal}>Are named here</option><option value="external" selected=${!internal}>Are told by a provider at login</option><//>`}
      <${Field} label="Policies" value=${values.policies} set=${set("policies")} hint="Separated by commas." /></div>
    ${internal && html`<div class="row"><${Field} as="textarea" rows="4" label="Member entities" value=${values.entities} set=${set("entities")} hint="Names or ids, one a line." />
      <${Field} as="textarea" rows="4" label="Member groups" value=${values.groups} set=${set("groups")} hint="Names or ids, one a line." /></div>`}
    <${MetadataField} value=${values.metadata} set=${set("metadata")} /><//><//>`;
}

// What a group of a provider is called there.
function Filled({ data, state, done }) {
  const alias = data.alias?.id ? data.alias : null;
  const [adding, setAdding] = useState(false);
  return html`<${Card} title="At the provider" actions=${!alias && !adding && may("identity/group-alias", "update", "create") && html`<${Button} kind="small" onClick=${() => setAdding(true)}>Name it<//>`}>
    ${adding && !alias && html`<${NewAlias} path="identity/group-alias" id=${data.id} state=${state} close=${() => setAdding(false)} done=${(text) => { setAdding(false); done(text); }} />`}
    ${alias ? html`<p>${alias.name} <span class="muted">at ${alias.mount_path}</span></p>${may("identity/group-alias/id/new", "delete") && html`<${Asking} small button="Remove" kind="danger-quiet" name=${`Remove ${alias.name}`} title="Remove the name?" text="Logins fill the group no more." label="Remove" act=${() => remove(`identity/group-alias/id/${alias.id}`)} done=${() => done("The name is removed.")} />`}`
      : html`<${Note}><p>Nobody is in it until it has the name that a provider gives it.</p><//>`}<//>`;
}
