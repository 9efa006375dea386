// KV: mounts, folders, and which secret is shown.
import { html, useEffect, useState } from "../lib.js";
import { allowed, may, refresh } from "../session.js";
import { call, capabilities, list } from "../api.js";
import { go, to, toPath } from "../router.js";
import { mountsOf, trailOf, versionOf } from "../mounts.js";
import { Button, Card, Empty, Field, Form, Loaded, Note, Table, Title, Trouble, say, useAction, useLoad } from "../ui.js";
import { SecretPage } from "./secret.js";
import { PlainSecret } from "./secret_plain.js";
import { Editor } from "./secret_edit.js";

const AT_A_TIME = 500;

export function Secrets({ parts, state }) {
  const [mount, ...rest] = parts;
  if (mount === undefined || mount === "") return html`<${Mounts} state=${state} type="kv" title="Secrets" room="secrets" />`;
  const found = state.mounts?.secret?.[mount] || (state.mounts ? null : { options: { version: "2" } });
  if (!found || (found.type && found.type !== "kv")) return html`<${Title} trail=${[["Secrets", "#/secrets"]]}>There is no such mount<//><p>Or this token may not see it.</p>`;
  const path = rest.join("/");
  const version = versionOf(found);
  if (path === "" || path.endsWith("/")) return html`<${Folder} key=${`${mount}|${path}`} mount=${mount} path=${path} version=${version} />`;
  const Page = version === 2 ? SecretPage : PlainSecret;
  return html`<${Page} key=${`${mount}|${path}`} mount=${mount} path=${path} />`;
}

export function Mounts({ state, type, title, room }) {
  const [adding, setAdding] = useState(false);
  const mounts = mountsOf(state, type);
  const rows = mounts.map(([path, mount]) => html`<tr><th scope="row"><a href=${type === "kv" ? `${to(room, path)}/` : to(room, path)}>${path}</a></th>
    ${type === "kv" && html`<td>Version ${mount.options?.version || "1"}</td>`}<td>${mount.description || html`<span class="muted">–</span>`}</td></tr>`);
  const head = type === "kv" ? ["Mount", "Kind", "Description"] : ["Mount", "Description"];
  return html`<${Title} actions=${may("sys/mounts/new", "update", "create") && !adding && html`<${Button} onClick=${() => setAdding(true)}>New mount<//>`}>${title}<//>
    ${adding && html`<${NewMount} type=${type} close=${() => setAdding(false)} />`}
    <${Table} caption=${title} head=${head} rows=${rows} empty="No mount of this kind, as far as this token may see." />`;
}

function NewMount({ type, close }) {
  const [path, setPath] = useState("");
  const [version, setVersion] = useState("2");
  const [description, setDescription] = useState("");
  const action = useAction();
  const send = () => action.run(async () => {
    const where = path.trim().replace(/^\/+|\/+$/g, "");
    await call("POST", `sys/mounts/${where}`, { body: { type, description, ...(type === "kv" ? { options: { version } } : {}) } });
    await refresh();
    say(`${where}/ is mounted.`);
    close();
  });
  return html`<${Card} title="New mount"><${Form} label="New mount" send=${send} submit="Mount" error=${action.error} busy=${action.busy} disabled=${!path.trim()} extra=${html`<${Button} onClick=${close}>Cancel<//>`}>
    <div class="row"><${Field} label="Path" value=${path} set=${setPath} placeholder="team" />
    ${type === "kv" && html`<${Field} as="select" label="Kind" value=${version} set=${setVersion}><option value="2" selected=${version === "2"}>Version 2: keeps versions</option><option value="1" selected=${version === "1"}>Version 1: the last value alone</option><//>`}</div>
    <${Field} label="Description" value=${description} set=${setDescription} /><//><//>`;
}

function Folder({ mount, path, version }) {
  const base = version === 2 ? `${mount}metadata/` : mount;
  const [names, setNames] = useState([]);
  const [more, setMore] = useState(false);
  const [filter, setFilter] = useState("");
  const [creating, setCreating] = useState(false);
  const first = useLoad(() => list(base + path, { limit: AT_A_TIME }), [base, path]);
  const example = `${version === 2 ? `${mount}data/` : mount}${path}new`;
  const mayDo = useLoad(() => capabilities([example]).then((found) => found[example]), [example]);
  const action = useAction();
  useEffect(() => { if (first.data) { setNames(first.data.keys || []); setMore((first.data.keys || []).length === AT_A_TIME); } }, [first.data]);
  const next = () => action.run(async () => {
    const found = (await list(base + path, { limit: AT_A_TIME, after: names.at(-1) })).keys || [];
    setNames([...names, ...found]);
    setMore(found.length === AT_A_TIME);
  });
  const create = mayDo.data ? allowed(mayDo.data, "create", "update") : mayDo.error !== undefined;
  const shown = names.filter((name) => name.toLowerCase().includes(filter.toLowerCase()));
  if (creating) return html`<${Editor} mount=${mount} folder=${path} version=${version} trail=${trailOf(mount, path)} close=${() => setCreating(false)} />`;
  const name = path ? path.split("/").at(-2) : mount;
  return html`<${Title} trail=${trailOf(mount, path)} actions=${create && html`<${Button} kind="primary" onClick=${() => setCreating(true)}>New secret<//>`}>${name}<//>
    <${Loaded} of=${first} what="The list">${() => html`
      ${names.length > 8 && html`<${Field} label="Filter" type="search" value=${filter} set=${setFilter} />`}
      ${names.length === 0 ? html`<${Empty}><p>Nothing here yet.</p><//>` : html`<ul class="names">${shown.map((each) => html`<li key=${each}><a href=${toPath(path + each, "secrets", mount)} class=${each.endsWith("/") ? "folder" : "leaf"}>${each}</a></li>`)}</ul>`}
      ${filter && shown.length === 0 && html`<p class="muted">No name has that in it.</p>`}
      <${Trouble} error=${action.error} />${more && html`<${Button} busy=${action.busy} onClick=${next}>More<//>`}`}<//>
    ${first.error?.status === 403 && html`<${Open} mount=${mount} />`}`;
}

// Who may not list may know a path all the same.
function Open({ mount }) {
  const [path, setPath] = useState("");
  return html`<${Note}><p>If you know the path of a secret, go there.</p><//><${Form} label="Go to a path" send=${() => go(toPath(path.trim().replace(/^\/+/, ""), "secrets", mount))} submit="Go" disabled=${!path.trim()}>
    <${Field} label="Path" value=${path} set=${setPath} /><//>`;
}
