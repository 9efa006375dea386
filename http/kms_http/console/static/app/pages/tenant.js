// One vault as the cluster's operator sees it: counts against limits, its rate, its seal, its end.
import { html, useState } from "../lib.js";
import { call, read, remove, write } from "../api.js";
import { unchanged } from "../clash.js";
import { Asking, Badge, Button, Card, Facts, Field, Form, Loaded, Note, Title, say, useAction, useLoad } from "../ui.js";
import { ago, number, plural, size, when } from "../text.js";
import { Meter } from "./transit_key.js";

const KINDS = [["secrets", "Secrets", number], ["bytes", "Bytes of secrets", size], ["keys", "Transit keys", number], ["mounts", "Mounts", number], ["tokens", "Tokens", number], ["policies", "Policies", number]];
const STATES = { unsealed: "good", sealed: "warn", created: "info", restoring: "info", leaving: "bad", erasing: "bad" };

export function TenantPage({ id }) {
  const path = `sys/tenants/${id}`;
  const loaded = useLoad(() => read(path), [path]);
  const [editing, setEditing] = useState(false);
  const done = (text) => { say(text); setEditing(false); loaded.reload(); };
  return html`<${Title} trail=${[["Tenants", "#/tenants"]]}>${id}<//>
    <${Loaded} of=${loaded} what="The vault">${(tenant) => html`
      <p><${Badge} kind=${STATES[tenant.state]}>${tenant.state}<//></p>
      ${tenant.deletion && html`<${Note} kind="warn"><p>It is to be deleted ${tenant.deletion.begun ? "and that has begun" : `at ${when(tenant.deletion.due_time)}`}.</p><//>`}
      <div class="cards two">
        <${Card} title="What it holds" actions=${!editing && html`<${Button} kind="small" onClick=${() => setEditing(true)}>Limits<//>`}>
          ${editing ? html`<${Limits} path=${path} tenant=${tenant} close=${() => setEditing(false)} done=${done} />` : html`<ul class="meters">${KINDS.map(([kind, text, shown]) => {
            const [count, limit] = [tenant.counts[kind], tenant.limits[kind]];
            return html`<li key=${kind}><span>${text}</span><${Meter} share=${limit ? count / limit : 0} kind=${!limit ? "unbounded" : count / limit > 0.9 ? "high" : ""} /><span>${shown(count)} <span class="muted">${limit ? `of ${shown(limit)}` : "no bound"}</span></span></li>`;
          })}</ul>`}<//>
        <${Card} title="Facts"><${Facts} of=${[
          ["Seal", tenant.seal.n ? `${tenant.seal.t} of ${tenant.seal.n} shares` : "Not initialised"], ["Made", when(tenant.created_time)], ["Last use", ago(tenant.last_used)],
          ["Rate limit", tenant.rate_limit ? `${number(tenant.rate_limit.rate)} in ${tenant.rate_limit.interval} s` : "None"],
          ["Measured", tenant.measured ? `${plural(tenant.measured.records, "record")}, ${size(tenant.measured.bytes)}, ${when(tenant.measured.time)}` : "Never"]]} />
          <div class="actions">
            ${tenant.state === "unsealed" && html`<${Asking} button="Seal" kind="danger-quiet" title=${`Seal ${id}?`} text="Nobody can use it until its own operators unseal it." label="Seal" act=${() => call("POST", `${path}/seal`, { body: {} })} done=${() => done("The vault is sealed.")} />`}
            ${tenant.deletion ? !tenant.deletion.begun && html`<${Asking} button="Keep it" kind="primary" title=${`Keep ${id}?`} text="It stays, sealed, until its operators unseal it." label="Keep it" act=${() => call("POST", `${path}/keep`, { body: {} })} done=${() => done("The vault stays.")} />`
              : html`<${Asking} button="Delete" kind="danger-quiet" title=${`Delete ${id}?`} word=${id} text="It is sealed at once. After the waiting period of the configuration all that it has is removed; until then it can be kept." label="Delete" act=${() => remove(path)} done=${() => done("The vault is to be deleted.")} />`}
          </div><//>
      </div>`}<//>`;
}

function Limits({ path, tenant, close, done }) {
  const [values, setValues] = useState(() => Object.fromEntries(KINDS.map(([kind]) => [kind, tenant.own_limits.includes(kind) ? String(tenant.limits[kind]) : ""])));
  const [rate, setRate] = useState(tenant.rate_limit ? String(tenant.rate_limit.rate) : "");
  const action = useAction();
  const send = () => action.run(async () => {
    const body = Object.fromEntries(KINDS.map(([kind]) => [`max_${kind}`, values[kind].trim() === "" ? "default" : Number(values[kind])]));
    Object.assign(body, rate.trim() ? { rate: Number(rate) } : tenant.rate_limit ? { lift_rate: true } : {});
    await unchanged(path, tenant, ["limits", "own_limits", "rate_limit"]);
    await write(path, body);
    done("The limits are set.");
  });
  return html`<${Form} label="Limits" send=${send} error=${action.error} busy=${action.busy} extra=${html`<${Button} onClick=${close}>Cancel<//>`}><p class="hint">Empty: as the configuration says. 0: no bound.</p>
    <div class="row">${KINDS.map(([kind, text]) => html`<${Field} key=${kind} label=${text} inputmode="numeric" value=${values[kind]} set=${(value) => setValues({ ...values, [kind]: value })} />`)}
    <${Field} label="Requests a second" inputmode="decimal" value=${rate} set=${setRate} hint="Empty: no rate limit." /></div><//>`;
}
