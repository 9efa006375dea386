// Methods of logins: mounts, and the roles or users of one.
import { html, useState } from "../lib.js";
import { call, list, remove } from "../api.js";
import { go, to } from "../router.js";
import { PARTIES, loginsOf } from "../mounts.js";
import { may, refresh } from "../session.js";
import { Asking, Badge, Button, Card, Field, Form, Loaded, Note, Table, Title, say, useAction, useLoad } from "../ui.js";
import { Role } from "./login_role.js";

const TYPES = ["approle", "userpass", "jwt", "oidc", "kubernetes", "cert"];
export function Logins({ parts, state }) {
  const [mount, name] = parts;
  if (!mount) return html`<${All} state=${state} />`;
  const found = state.mounts?.auth?.[mount];
  if (!found || !PARTIES[found.type]) return html`<${Title} trail=${[["Logins and roles", "#/logins"]]}>${mount}<//><${Note}><p>There is no such mount, or none whose roles can be shown here.</p><//>`;
  if (name !== undefined && name !== "") return html`<${Role} key=${`${mount}|${name}`} mount=${mount} type=${found.type} name=${name === "+" ? "" : name} />`;
  return html`<${Parties} key=${mount} mount=${mount} type=${found.type} />`;
}

function All({ state }) {
  const [adding, setAdding] = useState(false);
  const rows = loginsOf(state).map(([path, mount]) => html`<tr key=${path}><th scope="row">${PARTIES[mount.type] ? html`<a href=${to("logins", path)}>${path}</a>` : path}</th><td><${Badge}>${mount.type}<//></td><td>${mount.description || html`<span class="muted">–</span>`}</td></tr>`);
  return html`<${Title} actions=${may("sys/auth/new", "update", "create") && !adding && html`<${Button} onClick=${() => setAdding(true)}>New method<//>`}>Logins and roles<//>
    ${adding && html`<${Enable} close=${() => setAdding(false)} />`}
    <${Table} caption="Methods of logins" head=${["Mount", "Method", "Description"]} rows=${rows} empty="None that this token may see." />`;
}

function Enable({ close }) {
  const [type, setType] = useState("approle");
  const [path, setPath] = useState("");
  const action = useAction();
  const send = () => action.run(async () => {
    const where = (path.trim() || type).replace(/^\/+|\/+$/g, "");
    await call("POST", `sys/auth/${where}`, { body: { type } });
    await refresh();
    say(`${where}/ is enabled.`);
    close();
  });
  return html`<${Card} title="New method"><${Form} label="New method" send=${send} submit="Enable" error=${action.error} busy=${action.busy} extra=${html`<${Button} onClick=${close}>Cancel<//>`}>
    <div class="row"><${Field} as="select" label="Method" value=${type} set=${setType}>${TYPES.map((each) => html`<option value=${each} selected=${each === type}>${each}</option>`)}<//>
    <${Field} label="Path" value=${path} set=${setPath} placeholder=${type} /></div><//><//>`;
}

function Parties({ mount, type }) {
  const [folder, word] = PARTIES[type];
  const loaded = useLoad(() => list(`auth/${mount}${folder}`), [mount]);
  const editable = type === "approle" || type === "userpass";
  const disabled = async () => { await refresh(); say("The method is disabled."); go("#/logins"); };
  return html`<${Title} trail=${[["Logins and roles", "#/logins"]]} actions=${html`
      ${editable && html`<a class="button primary" href=${to("logins", mount, "+")}>New ${word.toLowerCase()}</a>`}
      ${may("sys/auth/new", "delete") && html`<${Asking} button="Disable" kind="danger-quiet" title=${`Disable ${mount}?`} text="All tokens of its logins end at once, and its users and roles are removed." word=${mount} label="Disable" act=${() => remove(`sys/auth/${mount.replace(/\/$/, "")}`)} done=${disabled} />`}`}>${mount}<//>
    <${Loaded} of=${loaded} what="The list">${({ keys }) => html`<${Table} caption=${`${word}s`} head=${[word]} rows=${(keys || []).map((name) => html`<tr key=${name}><th scope="row"><a href=${to("logins", mount, name)}>${name}</a></th></tr>`)} empty="None yet." />`}<//>`;
}
