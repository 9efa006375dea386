// ACL policies: the list, and the text of one.
import { html, useState } from "../lib.js";
import { Clash } from "../clash.js";
import { capabilities, list, read, remove, write } from "../api.js";
import { go, to, toPath } from "../router.js";
import { allowed, may } from "../session.js";
import { Asking, Card, Field, Form, Loaded, Note, Table, Title, say, useAction, useLoad } from "../ui.js";
import { when } from "../text.js";

const FIRST = `path "secret/data/app/*" {\n  capabilities = ["read", "list"]\n}\n`;

export function Policies({ parts }) {
  const name = parts.join("/");
  if (name === "new/") return html`<${Edit} name="" data=${{ policy: FIRST, version: -1 }} />`;
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
  // Together: what may not be done is not even shown for a moment. Where it cannot be asked, the server is left to say no.
  const loaded = useLoad(async () => {
    const [data, caps] = await Promise.all([read(path), capabilities([path]).then((found) => found[path]).catch(() => null)]);
    return { data, caps };
  }, [path]);
  return html`<${Loaded} of=${loaded} what="The policy">${({ data, caps }) => html`<${Edit} name=${name} data=${data} caps=${caps} />`}<//>`;
}

// What a policy has beside its text: a write keeps it by saying it again.
const KEPT = ["cas_required", "expiration", "allow_slashes_in_identity_templates", "allow_wildcards_in_identity_templates"];

// `data.version`: the version that was read, -1 for a new policy; it is written only if that is still the latest.
function Edit({ name, data, caps }) {
  const fresh = !name;
  const [called, setCalled] = useState(name);
  const [policy, setPolicy] = useState(data.policy);
  const [base, setBase] = useState(data);
  const [theirs, setTheirs] = useState(null);
  const action = useAction();
  const can = (...wanted) => !caps || allowed(caps, ...wanted);
  const path = `sys/policies/acl/${called.trim()}`;
  const send = () => action.run(async () => {
    const kept = Object.fromEntries(KEPT.filter((field) => base[field]).map((field) => [field, base[field]]));
    try {
      await write(path, { ...kept, policy, cas: base.version });
    } catch (error) {
      const found = /check-and-set/.test(error.message) ? await read(path).catch(() => null) : null;
      if (!found) throw error;
      return setTheirs(found);
    }
    say("The policy is written, and holds from now on.");
    return fresh ? go(toPath(called.trim(), "policies")) : setBase(await read(path));
  });
  const rename = (value) => { setCalled(value); setBase(data); setTheirs(null); action.clear(); };
  const settled = (text) => { setBase(theirs); setPolicy(text); setTheirs(null); action.clear(); };
  const editable = can("update", "create");
  const place = /line (\d+)/.exec(action.error?.message || "")?.[1];
  return html`<${Title} trail=${[["Policies", "#/policies"]]} actions=${!fresh && name !== "default" && can("delete") && html`<${Asking} button="Delete" kind="danger-quiet" title=${`Delete the policy ${name}?`} text="Tokens that name it may no more do what it gives." label="Delete" act=${() => remove(`sys/policies/acl/${name}`)} done=${() => { say("The policy is deleted."); go(to("policies")); }} />`}>${fresh ? "New policy" : name}<//>
    <${Card}>${editable ? html`<${Form} label="Policy" send=${send} error=${action.error} busy=${action.busy} disabled=${!called.trim() || theirs}>
      ${fresh && html`<${Field} label="Name" value=${called} set=${rename} hint="Small letters; slashes are allowed." />`}
      <${Field} as="textarea" label="Rules (HCL or JSON)" class="mono" rows=${Math.min(28, Math.max(10, policy.split("\n").length + 1))} value=${policy} set=${setPolicy} aria-invalid=${place ? "true" : undefined} />
      <p class="hint">${base.version === -1 ? "Written only if there is no such policy yet" : `Written only if version ${base.version} is still the latest`} (check-and-set).</p>
      ${place && html`<pre class="value" aria-label=${`Line ${place}`}>${place}  ${policy.split("\n")[Number(place) - 1]}</pre>`}
      ${theirs && html`<${Clash} what=${`version ${theirs.version}${theirs.modified ? `, of ${when(theirs.modified)}` : ""}`} text=${theirs.policy} take=${() => settled(theirs.policy)} keep=${() => settled(policy)} />`}<//>`
      : html`<${Note}><p>This token may read it, and not change it.</p><//><pre class="value">${policy}</pre>`}<//>`;
}
