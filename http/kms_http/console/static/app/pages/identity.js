// Who people and machines are, however they log in: entities and groups, and which of them there are.
import { html, useEffect, useState } from "../lib.js";
import { list } from "../api.js";
import { go, to } from "../router.js";
import { may } from "../session.js";
import { Button, Field, Loaded, Note, Table, Tabs, Title, Trouble, useAction, useLoad } from "../ui.js";
import { Entity } from "./entity.js";
import { Group } from "./group.js";

const AT_A_TIME = 500;

export function Identity({ parts, state }) {
  const [kind, id] = parts;
  const fresh = id === "+";
  if (id && kind === "entities") return html`<${Entity} key=${id} id=${fresh ? "" : id} state=${state} />`;
  if (id && kind === "groups") return html`<${Group} key=${id} id=${fresh ? "" : id} state=${state} />`;
  const tabs = [
    may("identity/entity/id", "list") && ["entities", "Entities", () => html`<${Entities} />`],
    may("identity/group/id", "list") && ["groups", "Groups", () => html`<${Groups} />`],
  ].filter(Boolean);
  const at = tabs.some(([name]) => name === kind) ? kind : tabs[0]?.[0];
  const [words, path] = at === "groups" ? ["New group", "identity/group"] : ["New entity", "identity/entity"];
  return html`<${Title} actions=${at && may(path, "update", "create") && html`<a class="button primary" href=${to("identity", at, "+")}>${words}</a>`}>Identity<//>
    <p class="muted">An entity is somebody, by whichever logins; a group is several. Both have policies, which count with those of a login's token.</p>
    ${tabs.length ? html`<${Tabs} label="Identity" at=${at} set=${(name) => go(to("identity", name))} tabs=${tabs} />` : html`<${Note}><p>This token may list none of them.</p><//>`}`;
}

function Entities() {
  const loaded = useLoad(() => list("identity/entity/id", { limit: AT_A_TIME }), []);
  const [all, setAll] = useState([]);
  const [more, setMore] = useState(false);
  const [filter, setFilter] = useState("");
  const action = useAction();
  const take = (page, before) => { setAll([...before, ...(page.keys || []).map((id) => ({ id, ...page.key_info[id] }))]); setMore((page.keys || []).length === AT_A_TIME); };
  useEffect(() => { if (loaded.data) take(loaded.data, []); }, [loaded.data]);
  const next = () => action.run(async () => take(await list("identity/entity/id", { limit: AT_A_TIME, after: all.at(-1).id }), all));
  const named = (each) => [each.name, ...(each.aliases || []).map((alias) => alias.name)].some((text) => text.toLowerCase().includes(filter.toLowerCase()));
  const shown = all.filter(named).sort((a, b) => a.name.localeCompare(b.name));
  return html`<${Loaded} of=${loaded} what="The list">${() => html`
    ${all.length > 8 && html`<${Field} label="Filter" type="search" value=${filter} set=${setFilter} hint="By its name, or that of a login." />`}
    <${Table} caption="Entities" head=${["Entity", "Logins"]} rows=${shown.map((each) => html`<tr key=${each.id}><th scope="row"><a href=${to("identity", "entities", each.id)}>${each.name}</a></th>
      <td>${(each.aliases || []).map((alias) => html`<div>${alias.name} <span class="muted">at ${alias.mount_path}</span></div>`)}${!each.aliases?.length && html`<span class="muted">None</span>`}</td></tr>`)} empty=${filter ? "No name has that in it." : "None yet: logins make them."} />
    <${Trouble} error=${action.error} />${more && html`<${Button} busy=${action.busy} onClick=${next}>More<//>`}`}<//>`;
}

function Groups() {
  const loaded = useLoad(() => list("identity/group/id"), []);
  return html`<${Loaded} of=${loaded} what="The list">${({ keys, key_info: info }) => html`<${Table} caption="Groups" head=${["Group", "Members", "In groups", "Filled by"]} rows=${(keys || []).map((id) => [id, info[id]]).sort((a, b) => a[1].name.localeCompare(b[1].name)).map(([id, group]) => html`<tr key=${id}><th scope="row"><a href=${to("identity", "groups", id)}>${group.name}</a></th>
    <td class="n">${group.num_member_entities}</td><td class="n">${group.num_parent_groups}</td><td>${group.alias ? html`${group.alias.name} <span class="muted">at ${group.alias.mount_path}</span>` : html`<span class="muted">–</span>`}</td></tr>`)} empty="None yet." />`}<//>`;
}
