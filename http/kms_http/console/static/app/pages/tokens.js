// Tokens: made, looked up, renewed, revoked.
import { html, useState } from "../lib.js";
import { list, write } from "../api.js";
import { may } from "../session.js";
import { Asking, Button, Card, Check, Facts, Field, Form, Loaded, Note, Secret, Table, Tabs, Title, Trouble, say, useAction, useLoad } from "../ui.js";
import { ago, span, when, words } from "../text.js";

export function Tokens() {
  const [tab, setTab] = useState("");
  const [asked, setAsked] = useState("");
  const tabs = [
    may("auth/token/create", "update", "create") && ["create", "Make one", () => html`<${Make} />`],
    may("auth/token/lookup-accessor", "update") && ["look", "Look one up", () => html`<${LookUp} key=${asked} accessor=${asked} />`],
    may("auth/token/accessors", "list") && ["all", "All tokens", () => html`<${All} look=${(accessor) => { setAsked(accessor); setTab("look"); }} />`],
  ].filter(Boolean);
  return html`<${Title}>Tokens<//>
    ${tabs.length ? html`<${Tabs} label="Tokens" at=${tab || tabs[0][0]} set=${setTab} tabs=${tabs} />` : html`<${Note}><p>This token may neither make tokens nor look at others.</p><//>`}`;
}

function Make() {
  const [values, setValues] = useState({ policies: "", ttl: "", display_name: "", type: "service", uses: "" });
  const [flags, setFlags] = useState({ orphan: false, plain: false });
  const [made, setMade] = useState(null);
  const action = useAction();
  const set = (name) => (value) => setValues({ ...values, [name]: value });
  const send = () => action.run(async () => {
    setMade(null);
    const body = { type: values.type, ...(values.ttl && { ttl: values.ttl }), ...(values.display_name && { display_name: values.display_name }),
      ...(values.uses && { num_uses: Number(values.uses) }), ...(words(values.policies).length && { policies: words(values.policies) }), ...(flags.plain && { no_default_policy: true }) };
    setMade((await write(flags.orphan ? "auth/token/create-orphan" : "auth/token/create", body)).auth);
  });
  return html`<${Card}><${Form} label="Make a token" send=${send} submit="Make the token" error=${action.error} busy=${action.busy}>
      <div class="row"><${Field} label="Policies" value=${values.policies} set=${set("policies")} hint="Empty: what this token may do." />
        <${Field} label="Time to live" value=${values.ttl} set=${set("ttl")} placeholder="1h" hint="Such as 30m or 24h; empty: as the server has it." /></div>
      <div class="row"><${Field} label="Display name" value=${values.display_name} set=${set("display_name")} />
        <${Field} label="Uses" type="number" min="0" value=${values.uses} set=${set("uses")} hint="Empty: any number." />
        <${Field} as="select" label="Type" value=${values.type} set=${set("type")}><option value="service" selected=${values.type === "service"}>Service</option><option value="batch" selected=${values.type === "batch"}>Batch</option><//></div>
      ${may("auth/token/create-orphan", "update", "create") && html`<${Check} label="Orphan: it does not end with this token" value=${flags.orphan} set=${(orphan) => setFlags({ ...flags, orphan })} />`}
      <${Check} label="Without the policy default" value=${flags.plain} set=${(plain) => setFlags({ ...flags, plain })} /><//><//>
    ${made && html`<${Card} title="The token"><${Note} kind="warn"><p>It is shown this once.</p><//><${Facts} of=${[
      ["Token", html`<${Secret} text=${made.client_token} what="the token" />`], ["Accessor", html`<code>${made.accessor || "–"}</code>`],
      ["Policies", made.policies.join(", ")], ["Ends", made.lease_duration ? `in ${span(made.lease_duration)}` : "never"]]} /><//>`}`;
}

function LookUp({ accessor }) {
  const [how, setHow] = useState("accessor");
  const [text, setText] = useState(accessor);
  const [found, setFound] = useState(null);
  const action = useAction();
  const look = () => action.run(async () => {
    setFound(null);
    const given = text.trim();
    setFound((await (how === "accessor" ? write("auth/token/lookup-accessor", { accessor: given }) : write("auth/token/lookup", { token: given }))).data);
  });
  const choose = (value) => { setHow(value); setText(""); setFound(null); action.clear(); };
  return html`<${Card}><${Form} label="Look up" send=${look} submit="Look up" error=${action.error} busy=${action.busy} disabled=${!text.trim()}>
      <div class="row">${may("auth/token/lookup", "update", "read") && html`<${Field} as="select" label="By" value=${how} set=${choose}><option value="accessor" selected=${how === "accessor"}>Accessor</option><option value="token" selected=${how === "token"}>Token</option><//>`}
      <${Field} label=${how === "accessor" ? "Accessor" : "Token"} type=${how === "accessor" ? "text" : "password"} value=${text} set=${setText} /></div><//><//>
    ${found && html`<${Found} data=${found} again=${look} gone=${() => { setFound(null); setText(""); }} />`}`;
}

function Found({ data, again, gone }) {
  const action = useAction();
  const accessor = data.accessor;
  const known = accessor && accessor !== "n/a";
  const renew = () => action.run(async () => { await write("auth/token/renew-accessor", { accessor }); say("The token is renewed."); await again(); });
  return html`<${Card} title=${data.display_name || "Token"}><${Facts} of=${[
      ["Accessor", html`<code>${accessor}</code>`], ["Policies", [...(data.policies || []), ...(data.identity_policies || [])].join(", ") || "–"], ["Type", data.type],
      ["Made", `${when(data.creation_time)}`], ["At", html`<code>${data.path}</code>`], ["Ends", data.expire_time ? `${when(data.expire_time)} (${ago(data.expire_time)})` : "Never"],
      ["Orphan", data.orphan ? "Yes" : "No"], data.num_uses > 0 && ["Uses left", data.num_uses], data.entity_id && ["Entity", html`<code>${data.entity_id}</code>`],
      data.meta && ["Metadata", Object.entries(data.meta).map(([key, value]) => `${key}: ${value}`).join(", ")]]} />
    <${Trouble} error=${action.error} />
    ${known && html`<div class="actions">${data.renewable && may("auth/token/renew-accessor", "update") && html`<${Button} busy=${action.busy} onClick=${renew}>Renew<//>`}
      ${may("auth/token/revoke-accessor", "update") && html`<${Asking} button="Revoke" kind="danger" title="Revoke the token?" text="It ends at once, with all tokens that it made." label="Revoke" act=${() => write("auth/token/revoke-accessor", { accessor })} done=${() => { say("The token is revoked."); gone(); }} />`}</div>`}<//>`;
}

function All({ look }) {
  const loaded = useLoad(() => list("auth/token/accessors", { limit: 500 }), []);
  return html`<${Loaded} of=${loaded} what="The list">${({ keys }) => html`<p class="muted">${keys.length === 500 ? "The first 500 service tokens, by their accessors." : "Service tokens of the vault, by their accessors."}</p>
    <${Table} caption="Tokens" head=${["Accessor", "More"]} rows=${keys.map((each) => html`<tr key=${each}><th scope="row" class="mono">${each}</th><td><${Button} kind="small" aria-label=${`Look up ${each}`} onClick=${() => look(each)}>Look up<//></td></tr>`)} />`}<//>`;
}
