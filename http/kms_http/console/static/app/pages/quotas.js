// How often a vault, its mounts, paths and roles may be asked.
import { html, useState } from "../lib.js";
import { unchanged } from "../clash.js";
import { list, read, remove, write } from "../api.js";
import { go, to } from "../router.js";
import { may } from "../session.js";
import { Asking, Button, Card, Check, Facts, Field, Form, Loaded, Table, Title, say, useAction, useLoad } from "../ui.js";
import { number, span } from "../text.js";

const PATH = "sys/quotas/rate-limit";
const MOST = 200;
const NEW = { rate: "", path: "", role: "", interval: 1, block_interval: 0, group_by: "ip" };

export function Quotas({ parts }) {
  const [name] = parts;
  if (name) return html`<${Quota} key=${name} name=${name === "+" ? "" : name} />`;
  return html`<${All} />`;
}

async function all() {
  const names = (await list(PATH)).keys || [];
  return { count: names.length, found: await Promise.all(names.slice(0, MOST).map((name) => read(`${PATH}/${name}`))) };
}

const rateOf = (quota) => `${number(quota.rate)} in ${quota.interval === 1 ? "a second" : span(quota.interval)}`;

function All() {
  const loaded = useLoad(all, []);
  return html`<${Title} actions=${may(`${PATH}/new`, "update", "create") && html`<a class="button primary" href="#/quotas/+">New quota</a>`}>Quotas<//>
    <p class="muted">How many requests are answered in a time; others are told to come again later (429). Of several quotas the nearest holds: that of a role, a path, a mount, the vault.</p>
    <${Loaded} of=${loaded} what="The list">${({ found, count }) => html`${count > MOST && html`<p class="hint">The first ${MOST} of ${count}.</p>`}
      <${Table} caption="Quotas" head=${["Quota", "Of", "Requests", "Counted"]} rows=${found.map((each) => html`<tr key=${each.name}><th scope="row"><a href=${to("quotas", each.name)}>${each.name}</a></th>
        <td class="mono break">${each.path || html`<span class="muted">the vault</span>`}${each.role && html` <span class="muted">role</span> ${each.role}`}</td><td>${rateOf(each)}</td><td>${each.group_by === "none" ? "for all together" : "for each address"}</td></tr>`)} empty="No quota: nothing bounds requests but what the cluster's operator has set." />`}<//>
    ${may("sys/quotas/config", "read") && html`<${Config} />`}`;
}

function Quota({ name }) {
  const path = `${PATH}/${name}`;
  const loaded = useLoad(() => (name ? read(path) : NEW), [path]);
  return html`<${Title} trail=${[["Quotas", "#/quotas"]]} actions=${name && may(`${PATH}/new`, "delete") && html`<${Asking} button="Delete" kind="danger-quiet" title=${`Delete the quota ${name}?`} text="What it bounds is bounded by the next wider one, if there is any." label="Delete" act=${() => remove(path)} done=${() => { say("The quota is deleted."); go("#/quotas"); }} />`}>${name || "New quota"}<//>
    <${Loaded} of=${loaded} what="The quota">${(data) => (may(`${PATH}/new`, "update", "create") ? html`<${Edit} key=${JSON.stringify(data)} name=${name} data=${data} done=${loaded.reload} />`
      : html`<${Card}><${Facts} of=${[["Of", data.path || "the vault"], data.role && ["Role", data.role], ["Requests", rateOf(data)]]} /><//>`)}<//>`;
}

function Edit({ name, data, done }) {
  const [called, setCalled] = useState("");
  const [values, setValues] = useState({ ...data, rate: String(data.rate), interval: `${data.interval}s`, block_interval: `${data.block_interval}s` });
  const action = useAction();
  const set = (field) => (value) => setValues({ ...values, [field]: value });
  const send = () => action.run(async () => {
    const path = `${PATH}/${name || called.trim()}`;
    await unchanged(path, name ? data : {});
    await write(path, { rate: Number(values.rate), path: values.path.trim(), role: values.role.trim(), ...(name && { inheritable: data.inheritable }), interval: values.interval || "1s", block_interval: values.block_interval || "0s", group_by: values.group_by });
    say("The quota is written, and holds from now on.");
    if (name) done(); else go(to("quotas", called.trim()));
  });
  return html`<${Card}><${Form} label="Quota" send=${send} error=${action.error} busy=${action.busy} disabled=${!(name || called.trim()) || !values.rate.trim()}>
    <div class="row">${!name && html`<${Field} label="Name" value=${called} set=${setCalled} />`}
      <${Field} label="Path" value=${values.path} set=${set("path")} placeholder="secret/" hint="A mount, or what is below it; empty: the whole vault." />
      <${Field} label="Role" value=${values.role} set=${set("role")} hint="Of a mount of logins; empty: all of it." /></div>
    <div class="row"><${Field} label="Requests" inputmode="decimal" value=${values.rate} set=${set("rate")} />
      <${Field} label="In so long" value=${values.interval} set=${set("interval")} hint="Such as 1s or 1m." />
      <${Field} label="Then blocked for" value=${values.block_interval} set=${set("block_interval")} hint="Such as 30s; 0s: only until the time is over." />
      <${Field} as="select" label="Counted" value=${values.group_by} set=${set("group_by")}><option value="ip" selected=${values.group_by === "ip"}>for each address</option><option value="none" selected=${values.group_by === "none"}>for all together</option><//></div>
<//><//>`;
}

function Config() {
  const loaded = useLoad(() => read("sys/quotas/config"), []);
  return html`<${Card} title="For all quotas"><${Loaded} of=${loaded} what="The settings">${(data) => html`<${EditConfig} key=${JSON.stringify(data)} data=${data} done=${loaded.reload} />`}<//><//>`;
}

function EditConfig({ data, done }) {
  const [paths, setPaths] = useState((data.rate_limit_exempt_paths || []).join("\n"));
  const [headers, setHeaders] = useState(data.enable_rate_limit_response_headers);
  const action = useAction();
  const changeable = may("sys/quotas/config", "update", "create");
  const send = () => action.run(async () => {
    await unchanged("sys/quotas/config", data);
    await write("sys/quotas/config", { rate_limit_exempt_paths: paths.split("\n").map((line) => line.trim()).filter(Boolean), enable_rate_limit_response_headers: headers });
    say("The settings are written.");
    done();
  });
  if (!changeable) return html`<${Facts} of=${[["Exempt", (data.rate_limit_exempt_paths || []).join(", ") || "–"], ["Headers", headers ? "Yes" : "No"]]} />`;
  return html`<${Form} label="For all quotas" send=${send} error=${action.error} busy=${action.busy}>
    <${Field} as="textarea" class="mono" rows="6" label="Paths that none counts" value=${paths} set=${setPaths} hint="One a line." />
    <${Check} label="Answers tell how much is left (X-Ratelimit-… headers)" value=${headers} set=${setHeaders} /><//>`;
}
