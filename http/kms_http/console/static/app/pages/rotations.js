// What is due: the keyring of the token's scope, and keys that rotate by themselves.
import { html } from "../lib.js";
import { call, list, read } from "../api.js";
import { to } from "../router.js";
import { isOperator, may } from "../session.js";
import { mountsOf } from "../mounts.js";
import { Asking, Badge, Button, Card, Facts, Loaded, Note, Table, Title, say, useLoad } from "../ui.js";
import { ago, number, span, when } from "../text.js";
import { Meter } from "./transit_key.js";

const MOST = 300;

export function Rotations({ state }) {
  const operator = isOperator(state);
  const ring = useLoad(async () => {
    const [status, config] = await Promise.all([read("sys/key-status"), read("sys/rotate/config").catch(() => null)]);
    return { status, config };
  }, []);
  const done = () => { say("The keyring has a new version."); ring.reload(); };
  return html`<${Title}>Rotations<//>
    <${Card} title=${operator ? "The cluster's keyring" : "The vault's keyring"} actions=${may("sys/rotate", "update") && html`<${Asking} button="Rotate" kind="primary" title="Rotate the keyring?" text="What is written from then on is sealed by a new version. Old records open as ever." label="Rotate" act=${() => call("POST", "sys/rotate", { body: {} })} done=${done} />`}>
      <${Loaded} of=${ring} what="The keyring">${({ status, config }) => html`<${Keyring} status=${status} config=${config} />`}<//><//>
    ${operator ? html`<${Limits} />` : html`<${Keys} state=${state} />`}`;
}

function Keyring({ status, config }) {
  const most = config?.max_operations || 2 ** 32;
  const interval = config?.interval ? Number(config.interval) : 0;
  const due = interval ? new Date(Date.parse(status.install_time) + interval * 1000) : null;
  return html`<${Facts} of=${[["Version", status.term], ["Since", `${when(status.install_time)} (${ago(status.install_time)})`],
      ["Rotates by itself", config?.enabled === false ? "No" : interval ? `every ${span(interval)}, next ${when(due)}` : "by its use alone"]]} />
    <div class="use"><span>Records sealed</span><${Meter} share=${status.encryptions / most} kind=${status.encryptions / most > 0.5 ? "high" : ""} /><span>${number(status.encryptions)} <span class="muted">of ${number(most)}</span></span></div>`;
}

// Numbers that the metrics of the cluster have.
function Limits() {
  const loaded = useLoad(() => call("GET", "sys/metrics"), []);
  const gauge = (data, name) => data.Gauges?.find((each) => each.Name === name)?.Value;
  return html`<${Card} title="Near their limits" actions=${html`<${Button} kind="small" onClick=${loaded.reload}>Look again<//>`}><${Loaded} of=${loaded} what="The metrics">${(data) => html`<dl class="tiles">
      <div><dt>Vaults' keyrings</dt><dd>${number(gauge(data, "kms_keyrings_near_limit"))}</dd></div><div><dt>Transit keys</dt><dd>${number(gauge(data, "kms_transit_keys_near_limit"))}</dd></div>
      <div><dt>Clock</dt><dd>${gauge(data, "kms_clock_distrusted") > 0 ? `off by ${number(Math.round(gauge(data, "kms_clock_offset_seconds") || 0))} s` : "good"}</dd></div></dl>
      <p class="hint">How many have sealed half of what one key should, or more, as this node's schedule last saw it. Keyrings rotate by themselves before that is used up.</p>
      ${gauge(data, "kms_clock_distrusted") > 0 && html`<${Note} kind="bad"><p>This node's clock is so far off that nothing is rotated by it.</p><//>`}`}<//><//>`;
}

async function rotating(mounts) {
  const names = (await Promise.all(mounts.map(async ([mount]) => ((await list(`${mount}keys`, { limit: MOST })).keys || []).map((name) => [mount, name])))).flat().slice(0, MOST);
  const found = [];
  for (let from = 0; from < names.length; from += 8) {
    found.push(...await Promise.all(names.slice(from, from + 8).map(async ([mount, name]) => ({ mount, name, key: await read(`${mount}keys/${name}`).catch(() => null) }))));
  }
  return { seen: names.length, rows: found.filter(({ key }) => key).map(({ mount, name, key }) => {
    const latest = key.keys[key.latest_version];
    const born = typeof latest === "number" ? latest * 1000 : Date.parse(latest?.creation_time);
    return { mount, name, key, born, due: key.auto_rotate_period ? born + key.auto_rotate_period * 1000 : null };
  }).sort((a, b) => (a.due ?? Infinity) - (b.due ?? Infinity) || a.born - b.born) };
}

function Keys({ state }) {
  const loaded = useLoad(() => rotating(mountsOf(state, "transit")), []);
  return html`<${Card} title="Transit keys, by when they are due"><${Loaded} of=${loaded} what="The keys">${({ rows, seen }) => html`
    ${seen === MOST && html`<p class="hint">The first ${MOST} keys.</p>`}
    <${Table} caption="Transit keys" head=${["Key", "Version", "Made", "Due"]} rows=${rows.map(({ mount, name, key, born, due }) => html`<tr key=${mount + name}><th scope="row"><a href=${to("transit", mount, name)}>${mount}${name}</a></th><td>${key.latest_version}</td><td>${when(born / 1000)}</td>
      <td>${due === null ? html`<span class="muted">Not by itself</span>` : html`<${Badge} kind=${due < Date.now() ? "bad" : due < Date.now() + 7 * 86_400_000 ? "warn" : "good"}>${ago(due)}<//>`}</td></tr>`)} empty="No keys yet." />`}<//><//>`;
}
