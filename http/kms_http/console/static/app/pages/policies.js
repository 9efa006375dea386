// ACL policies: the list, and the text of one.
import { html, useState } from "../lib.js";
import { capabilities, list, read, remove, write } from "../api.js";
import { go, to, toPath } from "../router.js";
import { allowed, may } from "../session.js";
import { Asking, Card, Field, Form, Loaded, Note, Table, Title, say, useAction, useLoad } from "../ui.js";

const FIRST = `path "secret/data/app/*" {\n  capabilities = ["read", "list"]\n}\n`;

export function Policies({ parts }) {
  const name = parts.join("/");
  if (name === "new/") return html`<${Edit} name="" text=${FIRST} />`;
  if (name) return html`<${Policy} key=${name} name=${name} />`;
  return html`<${All} />`;
}

function All() {
  const loaded = useLoad(() => list("sys/policies/acl"), []);
  return html`<${Title} actions=${may("sys/policies/acl/new", "update", "create") && html`<a class="button primary" href="#/policies/new/">New policy</a>`}>Policies<//>
    <p class="muted">What tokens may do on which paths. <a href="#/checker">May a token do something?</a></p>
    <${Loaded} of=${loaded} what="The list">${({ keys }) => html`<${Table} caption="Policies" head=${["Policy", "What of it"]} rows=${keys.map((name) => html`<tr key=${name}><th scope="row">${name === "root" ? name : html`<a href=${toPath(name, "policies")}>${name}</a>`}</th>
      <td class="muted">${name === "root" ? "Allows everything; has no text" : name === "default" ? "Goes with almost every token" : ""}</td></tr>`)} />`}<//>`;
}

function Policy({ name }) {
  const path = `sys/policies/acl/${name}`;
  const loaded = useLoad(() => read(path), [path]);
  const caps = useLoad(() => capabilities([path]).then((found) => found[path]), [path]);
  return html`<${Loaded} of=${loaded} what="The policy">${(data) => html`<${Edit} name=${name} text=${data.policy} caps=${caps.data} />`}<//>`;
}

function Edit({ name, text, caps }) {
  const fresh = !name;
  const [called, setCalled] = useState(name);
  const [policy, setPolicy] = useState(text);
  const action = useAction();
  const can = (...wanted) => !caps || allowed(caps, ...wanted);
  const send = () => action.run(async () => {
    await write(`sys/policies/acl/${called.trim()}`, { policy });
    say("The policy is written, and holds from now on.");
    if (fresh) go(toPath(called.trim(), "policies"));
  });
  const editable = can("update", "create");
  const place = /line (\d+)/.exec(action.error?.message || "")?.[1];
  return html`<${Title} trail=${[["Policies", "#/policies"]]} actions=${!fresh && name !== "default" && can("delete") && html`<${Asking} button="Delete" kind="danger-quiet" title=${`Delete the policy ${name}?`} text="Tokens that name it may no more do what it gives." label="Delete" act=${() => remove(`sys/policies/acl/${name}`)} done=${() => { say("The policy is deleted."); go(to("policies")); }} />`}>${fresh ? "New policy" : name}<//>
    <${Card}>${editable ? html`<${Form} label="Policy" send=${send} error=${action.error} busy=${action.busy} disabled=${!called.trim()}>
      ${fresh && html`<${Field} label="Name" value=${called} set=${setCalled} hint="Small letters; slashes are allowed." />`}
      <${Field} as="textarea" label="Rules (HCL or JSON)" class="mono" rows=${Math.min(28, Math.max(10, policy.split("\n").length + 1))} value=${policy} set=${setPolicy} aria-invalid=${place ? "true" : undefined} />
      ${place && html`<pre class="value" aria-label=${`Line ${place}`}>${place}  ${policy.split("\n")[Number(place) - 1]}</pre>`}<//>`
      : html`<${Note}><p>This token may read it, and not change it.</p><//><pre class="value">${policy}</pre>`}<//>`;
}
