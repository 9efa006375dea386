// Mounts of engines and of logins: what each is set to, where it is, its end.
import { html, useState } from "../lib.js";
import { unchanged } from "../clash.js";
import { call, read, remove, write } from "../api.js";
import { PARTIES, loginsOf } from "../mounts.js";
import { go, to } from "../router.js";
import { may, refresh } from "../session.js";
import { Asking, Badge, Card, Facts, Field, Form, Loaded, Table, Title, say, useAction, useLoad } from "../ui.js";
import { span, words } from "../text.js";

const ROOMS = { kv: (path) => `${to("secrets", path)}/`, transit: (path) => to("transit", path) };
// Every vault has these, and they are not tuned.
const OWN = ["system", "identity", "cubbyhole"];

export function Mounts({ parts, state }) {
  const [kind, path] = parts;
  if (kind === "engines" && path) return html`<${Mount} key=${path} path=${path} entry=${state.mounts?.secret?.[path]} />`;
  if (kind === "logins" && path) return html`<${Mount} key=${path} path=${path} entry=${state.mounts?.auth?.[path]} login />`;
  return html`<${All} state=${state} />`;
}

const usedAt = (path, mount, login) => (login ? PARTIES[mount.type] && to("logins", path) : ROOMS[mount.type]?.(path));

function All({ state }) {
  const engines = Object.entries(state.mounts?.secret || {}).filter(([, mount]) => !OWN.includes(mount.type));
  const rows = (found, room) => found.map(([path, mount]) => html`<tr key=${path}><th scope="row"><a href=${to("mounts", room, path)}>${path}</a></th><td><${Badge}>${mount.type}${mount.options?.version ? `, version ${mount.options.version}` : ""}<//></td><td>${mount.description || html`<span class="muted">–</span>`}</td></tr>`);
  const head = ["Mount", "Type", "Description"];
  return html`<${Title}>Mounts<//>
    <p class="muted">What is set for each, and where it is. New ones are made where they are used: <a href="#/secrets">secrets</a>, <a href="#/transit">Transit keys</a>, <a href="#/logins">logins</a>.</p>
    <${Card} title="Engines"><${Table} caption="Engines" head=${head} rows=${rows(engines, "engines")} empty="None that this token may see." /><//>
    <${Card} title="Logins"><${Table} caption="Logins" head=${head} rows=${rows(loginsOf(state), "logins")} empty="None that this token may see." /><//>`;
}

function Mount({ path, entry, login }) {
  const where = `sys/mounts/${login ? "auth/" : ""}${path}tune`;
  const loaded = useLoad(() => read(where), [where]);
  const bare = path.replace(/\/$/, "");
  const gone = async () => { await refresh(); say("The mount is gone."); go("#/mounts"); };
  const own = login && path === "token/";
  const end = login ? may("sys/auth/new", "delete") : may("sys/mounts/new", "delete");
  return html`<${Title} trail=${[["Mounts", "#/mounts"]]} actions=${html`${entry && usedAt(path, entry, login) && html`<a class="button" href=${usedAt(path, entry, login)}>What is in it</a>`}
      ${!own && end && entry && html`<${Asking} button="Disable" kind="danger-quiet" title=${`Disable ${path}?`} word=${path} label="Disable" act=${() => remove(`sys/${login ? "auth" : "mounts"}/${bare}`)} done=${gone}
        text=${login ? "All tokens of its logins end at once, and its users and roles are removed." : "All that is in it is removed, and cannot be brought back."} />`}`}>${path}<//>
    <${Loaded} of=${loaded} what="The settings">${(data) => html`
      ${may(login ? "sys/mounts/auth/new/tune" : "sys/mounts/new/tune", "update") ? html`<${Tune} key=${JSON.stringify(data)} where=${where} data=${data} login=${login} own=${own} done=${() => { refresh(); loaded.reload(); }} />`
        : html`<${Card} title="Settings"><${Facts} of=${[["Description", data.description || "–"], ["Leases last", span(data.default_lease_ttl)], ["At most", span(data.max_lease_ttl)]]} /><//>`}
      ${!own && may("sys/remount", "update") && entry && html`<${Move} path=${login ? `auth/${path}` : path} login=${login} />`}
      ${entry && html`<${Card} title="Facts"><${Facts} of=${[["Type", entry.type], ["Accessor", html`<code class="break">${entry.accessor}</code>`], ["UUID", html`<code class="break">${entry.uuid}</code>`], ...Object.entries(entry.options || {})]} /><//>`}`}<//>`;
}

// Fields that are sent where they were changed: what is not sent stays. `shown`: as the field has it; `sent`: as it goes.
const inUnits = (value) => (value && value % 3600 === 0 ? `${value / 3600}h` : value && value % 60 === 0 ? `${value / 60}m` : `${value || 0}s`);
const seconds = { shown: inUnits, sent: (text) => text.trim() || "0s" };
const names = { shown: (value) => (value || []).join(", "), sent: words };
const plain = { shown: (value) => String(value ?? ""), sent: (text) => text };
const FIELDS = [
  ["description", "Description", plain],
  ["default_lease_ttl", "Leases last", seconds, "Such as 1h; 0s: as the server has it."],
  ["max_lease_ttl", "At most", seconds, ""],
  ["listing_visibility", "Shown before a login", plain, "", [["", "no"], ["hidden", "no, by name"], ["unauth", "to anybody"]]],
  ["audit_non_hmac_request_keys", "Plain in audit logs, of requests", names, "Fields, separated by commas."],
  ["audit_non_hmac_response_keys", "Plain in audit logs, of answers", names, "Fields, separated by commas."],
];
const OF_LOGINS = [
  ["token_type", "Tokens of its logins", plain, "", [["default-service", "service, unless a role says otherwise"], ["default-batch", "batch, unless a role says otherwise"], ["service", "service"], ["batch", "batch"]]],
];

function Tune({ where, data, login, own, done }) {
  const fields = login && !own ? [...FIELDS, ...OF_LOGINS] : FIELDS;
  const [values, setValues] = useState(() => Object.fromEntries(fields.map(([field, , form]) => [field, form.shown(data[field])])));
  const action = useAction();
  const send = () => action.run(async () => {
    const changed = fields.filter(([field, , form]) => values[field] !== form.shown(data[field]));
    const body = Object.fromEntries(changed.map(([field, , form]) => [field, form.sent(values[field])]));
    await unchanged(where, data);
    await write(where, body);
    say("The settings are written.");
    done();
  });
  const set = (field) => (value) => setValues({ ...values, [field]: value });
  return html`<${Card} title="Settings"><${Form} label="Settings" send=${send} error=${action.error} busy=${action.busy}>
    <div class="row">${fields.map(([field, label, , hint, choices]) => (choices
      ? html`<${Field} key=${field} as="select" label=${label} value=${values[field]} set=${set(field)}>${choices.map(([value, text]) => html`<option value=${value} selected=${value === values[field]}>${text}</option>`)}<//>`
      : html`<${Field} key=${field} label=${label} value=${values[field]} set=${set(field)} hint=${hint} />`))}</div><//><//>`;
}

function Move({ path, login }) {
  const [target, setTarget] = useState("");
  const action = useAction();
  const send = () => action.run(async () => {
    const wanted = `${target.trim().replace(/^\/+|\/+$/g, "").replace(/^auth\//, "")}/`;
    await call("POST", "sys/remount", { body: { from: path, to: login ? `auth/${wanted}` : wanted } });
    await refresh();
    say(`It is at ${wanted} now.`);
    go(to("mounts", login ? "logins" : "engines", wanted));
  });
  return html`<${Card} title="Move it"><p class="muted">What is in it goes along. Policies and clients that name the old path have to be changed.</p><${Form} label="Move it" send=${send} submit="Move" kind="" error=${action.error} busy=${action.busy} disabled=${!target.trim()}>
    <${Field} label="New path" value=${target} set=${setTarget} /><//><//>`;
}
