// One role or user: its fields, and, for AppRole, its role id and secret ids.
import { html, useState } from "../lib.js";
import { list, read, remove, write } from "../api.js";
import { unchanged } from "../clash.js";
import { PARTIES } from "../mounts.js";
import { go, to } from "../router.js";
import { Asking, Button, Card, Copy, Facts, Field, Form, Loaded, Note, Secret, Table, Title, say, useAction, useLoad } from "../ui.js";
import { span, words } from "../text.js";

// Fields that are offered; the others are shown, and changed by the API.
const SHARED = [
  ["token_policies", "Policies of its tokens", "names", "Separated by commas."],
  ["token_ttl", "Tokens live", "span", "Such as 20m; 0: as the mount has it."],
  ["token_max_ttl", "At most", "span", ""],
];
const OFFERED = {
  approle: [...SHARED, ["secret_id_ttl", "Secret ids live", "span", "0: without end."], ["secret_id_num_uses", "Uses of a secret id", "count", "0: any number."]],
  userpass: SHARED,
};

export function Role({ mount, type, name }) {
  const path = name && `auth/${mount}${PARTIES[type][0]}/${name}`;
  const loaded = useLoad(() => (path ? read(path) : {}), [path]);
  const trail = [["Logins and roles", "#/logins"], [mount, to("logins", mount)]];
  const offered = OFFERED[type];
  return html`<${Title} trail=${trail} actions=${name && html`<${Asking} button="Delete" kind="danger-quiet" title=${`Delete ${name}?`} text="It can log in no more. Tokens that it has go on to their end." label="Delete" act=${() => remove(path)} done=${() => { say(`${name} is deleted.`); go(to("logins", mount)); }} />`}>${name || (type === "userpass" ? "New user" : "New role")}<//>
    <${Loaded} of=${loaded} what="The role">${(data) => html`
      ${offered ? html`<${Edit} key=${JSON.stringify(data)} mount=${mount} type=${type} name=${name} data=${data} offered=${offered} done=${loaded.reload} />` : html`<${Note}><p>Roles of this method are changed by the API; they are shown here.</p><//>`}
      ${name && type === "userpass" && html`<${Password} path=${path} />`}
      ${name && type === "approle" && html`<${RoleId} path=${path} /><${SecretIds} path=${path} />`}
      ${name && html`<${Rest} data=${data} offered=${offered || []} />`}`}<//>`;
}

function Edit({ mount, type, name, data, offered, done }) {
  const shown = (kind, value) => (kind === "names" ? (value || []).join(", ") : kind === "span" ? (value ? `${value}s` : "0") : String(value ?? 0));
  const [values, setValues] = useState(() => Object.fromEntries(offered.map(([field, , kind]) => [field, shown(kind, data[field])])));
  const [called, setCalled] = useState("");
  const [password, setPassword] = useState("");
  const action = useAction();
  const send = () => action.run(async () => {
    const body = Object.fromEntries(offered.map(([field, , kind]) => [field, kind === "names" ? words(values[field]) : kind === "count" ? Number(values[field]) || 0 : values[field] || "0"]));
    if (!name && type === "userpass") body.password = password;
    const target = name || called.trim();
    const path = `auth/${mount}${PARTIES[type][0]}/${target}`;
    await unchanged(path, data);
    await write(path, body);
    setPassword("");
    say(`${target} is written.`);
    if (name) done(); else go(to("logins", mount, target.toLowerCase()));
  });
  return html`<${Card}><${Form} label="Fields" send=${send} error=${action.error} busy=${action.busy} disabled=${!name && !called.trim()}>
    ${!name && html`<div class="row"><${Field} label="Name" value=${called} set=${setCalled} />${type === "userpass" && html`<${Field} label="Password" type="password" autocomplete="new-password" value=${password} set=${setPassword} />`}</div>`}
    <div class="row">${offered.map(([field, label, kind, hint]) => html`<${Field} key=${field} label=${label} type=${kind === "count" ? "number" : "text"} value=${values[field]} set=${(value) => setValues({ ...values, [field]: value })} hint=${hint} />`)}</div><//><//>`;
}

function Password({ path }) {
  const [password, setPassword] = useState("");
  const action = useAction();
  const send = () => action.run(async () => { await write(`${path}/password`, { password }); setPassword(""); say("The password is changed."); });
  return html`<${Card} title="Password"><${Form} label="Password" send=${send} submit="Change it" error=${action.error} busy=${action.busy} disabled=${!password}><${Field} label="New password" type="password" autocomplete="new-password" value=${password} set=${setPassword} /><//><//>`;
}

function RoleId({ path }) {
  const loaded = useLoad(() => read(`${path}/role-id`), [path]);
  return html`<${Card} title="Role id"><${Loaded} of=${loaded}>${({ role_id: id }) => html`<p><code class="value">${id}</code> <${Copy} text=${id} what="the role id" /></p>`}<//><//>`;
}

function SecretIds({ path }) {
  const loaded = useLoad(() => list(`${path}/secret-id`), [path]);
  const [made, setMade] = useState(null);
  const action = useAction();
  const make = () => action.run(async () => { setMade((await write(`${path}/secret-id`)).data); loaded.reload(); });
  const destroy = (accessor) => write(`${path}/secret-id-accessor/destroy`, { secret_id_accessor: accessor });
  return html`<${Card} title="Secret ids" actions=${html`<${Button} busy=${action.busy} onClick=${make}>New secret id<//>`}>
    ${action.error && html`<${Note} kind="bad"><p role="alert">${action.error.message}</p><//>`}
    ${made && html`<${Note} kind="warn"><p>It is shown this once${made.secret_id_ttl ? `, and lives ${span(made.secret_id_ttl)}` : ""}.</p><p><${Secret} text=${made.secret_id} what="the secret id" /></p><//>`}
    <${Loaded} of=${loaded} what="The list">${({ keys }) => html`<${Table} caption="Secret ids" head=${["Accessor", "Change"]} rows=${(keys || []).map((each) => html`<tr key=${each}><th scope="row" class="mono break">${each}</th><td><${Asking} small button="Destroy" kind="danger-quiet" name=${`Destroy ${each}`} title="Destroy the secret id?" text="Nobody logs in by it any more." label="Destroy" act=${() => destroy(each)} done=${() => { say("The secret id is destroyed."); loaded.reload(); }} /></td></tr>`)} empty="None." />`}<//><//>`;
}

function Rest({ data, offered }) {
  const known = new Set(offered.map(([field]) => field));
  const rest = Object.entries(data).filter(([field, value]) => !known.has(field) && value !== null && value !== "" && !(Array.isArray(value) && !value.length));
  return html`<${Card} title="All other fields"><${Facts} of=${rest.map(([field, value]) => [field, typeof value === "object" ? JSON.stringify(value) : String(value)])} /><//>`;
}
