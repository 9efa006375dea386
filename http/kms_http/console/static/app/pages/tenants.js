// Vaults of the cluster, as its operator sees them: how they stand and what they hold, never what it is.
import { html, useEffect, useState } from "../lib.js";
import { list, write } from "../api.js";
import { Bars, Parts } from "../charts.js";
import { go, to } from "../router.js";
import { may } from "../session.js";
import { Badge, Button, Card, Field, Form, Loaded, Table, Title, Trouble, useAction, useLoad } from "../ui.js";
import { ago, number, plural, size } from "../text.js";
import { TenantPage } from "./tenant.js";

const AT_A_TIME = 500;
const STATES = { unsealed: "good", sealed: "warn", created: "info", restoring: "info", leaving: "bad", erasing: "bad" };
const MEASURES = [["secrets", "Secrets", number], ["bytes", "Bytes of secrets", size], ["keys", "Transit keys", number], ["tokens", "Tokens", number], ["mounts", "Mounts", number], ["policies", "Policies", number]];

export function Tenants({ parts }) {
  const [id] = parts;
  if (id === "+") return html`<${NewTenant} />`;
  return id ? html`<${TenantPage} key=${id} id=${id} />` : html`<${All} />`;
}

function All() {
  const loaded = useLoad(() => list("sys/tenants", { limit: AT_A_TIME }), []);
  const [all, setAll] = useState([]);
  const [more, setMore] = useState(false);
  const [filter, setFilter] = useState("");
  const [measure, setMeasure] = useState("secrets");
  const action = useAction();
  const take = (page, before) => { setAll([...before, ...(page.keys || []).map((key) => page.key_info[key])]); setMore((page.keys || []).length === AT_A_TIME); };
  useEffect(() => { if (loaded.data) take(loaded.data, []); }, [loaded.data]);
  const next = () => action.run(async () => take(await list("sys/tenants", { limit: AT_A_TIME, after: all.at(-1).vault_id }), all));
  const shown = all.filter((tenant) => tenant.vault_id.toLowerCase().includes(filter.toLowerCase())).slice(0, AT_A_TIME);
  const [, title, text] = MEASURES.find(([name]) => name === measure);
  const top = [...all].sort((a, b) => b.counts[measure] - a.counts[measure]).slice(0, 10).filter((tenant) => tenant.counts[measure] > 0);
  const sum = (name) => all.reduce((total, tenant) => total + tenant.counts[name], 0);
  return html`<${Title} actions=${html`<${Button} onClick=${loaded.reload}>Look again<//>${may("sys/tenants", "list") && html`<a class="button primary" href="#/tenants/+">New tenant</a>`}`}>Tenants<//>
    <${Loaded} of=${loaded} what="The list">${() => html`
      <dl class="tiles"><div><dt>${all.length === 1 ? "Vault" : "Vaults"}${more ? " so far" : ""}</dt><dd>${number(all.length)}</dd></div>
        <div><dt>Secrets</dt><dd>${number(sum("secrets"))}</dd></div><div><dt>Bytes of secrets</dt><dd>${size(sum("bytes"))}</dd></div>
        <div><dt>Transit keys</dt><dd>${number(sum("keys"))}</dd></div><div><dt>Tokens</dt><dd>${number(sum("tokens"))}</dd></div></dl>
      <div class="cards two"><${Card} title="How they stand"><${Parts} title="Vaults by state" parts=${Object.entries(STATES).map(([name, kind]) => [name, all.filter((tenant) => tenant.state === name).length, `${kind} ${name}`]).filter(([name, count]) => count > 0 || ["unsealed", "sealed"].includes(name))} /><//>
        <${Card} title="Who holds the most"><${Field} as="select" label="Of" value=${measure} set=${setMeasure}>${MEASURES.map(([name, words]) => html`<option value=${name} selected=${name === measure}>${words}</option>`)}<//>
          <${Bars} title=${`${title}: the first ${top.length || "none"}`} items=${top.map((tenant) => [tenant.vault_id, tenant.counts[measure], to("tenants", tenant.vault_id)])} text=${text} /><//></div>
      ${all.length > 8 && html`<${Field} label="Filter" type="search" value=${filter} set=${setFilter} />`}
      <${Table} caption="Vaults" head=${["Vault", "State", "Seal", "Secrets", "Bytes", "Keys", "Tokens", "Last use"]} rows=${shown.map((tenant) => html`<tr key=${tenant.vault_id}><th scope="row"><a href=${to("tenants", tenant.vault_id)}>${tenant.vault_id}</a></th>
        <td><${Badge} kind=${STATES[tenant.state]}>${tenant.state}<//></td><td>${tenant.seal.n ? `${tenant.seal.t} of ${tenant.seal.n}` : "–"}</td><td class="n">${number(tenant.counts.secrets)}</td><td class="n">${size(tenant.counts.bytes)}</td><td class="n">${number(tenant.counts.keys)}</td><td class="n">${number(tenant.counts.tokens)}</td><td>${ago(tenant.last_used)}</td></tr>`)} empty="No vault yet." />
      <${Trouble} error=${action.error} />${more && html`<p class="muted">${plural(all.length, "vault")} are loaded.</p><${Button} busy=${action.busy} onClick=${next}>More<//>`}`}<//>`;
}

function NewTenant() {
  const [id, setId] = useState("");
  const action = useAction();
  const send = () => action.run(async () => { await write(`sys/tenants/${id.trim()}`); go(to("tenants", id.trim())); });
  return html`<${Title} trail=${[["Tenants", "#/tenants"]]}>New tenant<//>
    <${Card}><p>The vault is made, and empty: its own operator initialises it, and alone has its shares.</p><${Form} label="New tenant" send=${send} submit="Make it" error=${action.error} busy=${action.busy} disabled=${!id.trim()}>
      <${Field} label="Vault id" value=${id} set=${setId} hint="Letters, digits, _ . and -; up to 128 characters." /><//><//>`;
}
