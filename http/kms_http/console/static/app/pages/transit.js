// Transit: mounts, and the keys of one.
import { html, useEffect, useState } from "../lib.js";
import { capabilities, list, write } from "../api.js";
import { unchanged } from "../clash.js";
import { go, to } from "../router.js";
import { allowed } from "../session.js";
import { Button, Card, Check, Field, Form, Loaded, Table, Title, Trouble, say, useAction, useLoad } from "../ui.js";
import { Mounts } from "./secrets.js";
import { KeyPage } from "./transit_key.js";

const AT_A_TIME = 500;
const TYPES = [
  ["Encryption", ["aes256-gcm96", "aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305"]],
  ["Signatures", ["ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ml-dsa", "hybrid"]],
  ["Encryption and signatures", ["rsa-2048", "rsa-3072", "rsa-4096"]],
  ["Authentication", ["hmac", "aes128-cmac", "aes192-cmac", "aes256-cmac"]],
];

export function Transit({ parts, state }) {
  const [mount, key] = parts;
  if (!mount) return html`<${Mounts} state=${state} type="transit" title="Transit keys" room="transit" />`;
  if (key) return html`<${KeyPage} key=${`${mount}|${key}`} mount=${mount} name=${key} />`;
  return html`<${Keys} key=${mount} mount=${mount} />`;
}

function Keys({ mount }) {
  const loaded = useLoad(() => list(`${mount}keys`, { limit: AT_A_TIME }), [mount]);
  const caps = useLoad(() => capabilities([`${mount}keys/new`]).then((found) => found[`${mount}keys/new`]), [mount]);
  const [names, setNames] = useState([]);
  const [more, setMore] = useState(false);
  const [filter, setFilter] = useState("");
  const [creating, setCreating] = useState(false);
  const action = useAction();
  const take = (found, before) => { setNames([...before, ...found]); setMore(found.length === AT_A_TIME); };
  useEffect(() => { if (loaded.data) take(loaded.data.keys || [], []); }, [loaded.data]);
  const next = () => action.run(async () => take((await list(`${mount}keys`, { limit: AT_A_TIME, after: names.at(-1) })).keys || [], names));
  const may = caps.data ? allowed(caps.data, "create", "update") : caps.error !== undefined;
  const shown = names.filter((name) => name.includes(filter));
  return html`<${Title} trail=${[["Transit keys", "#/transit"]]} actions=${may && !creating && html`<${Button} kind="primary" onClick=${() => setCreating(true)}>New key<//>`}>${mount}<//>
    ${creating && html`<${NewKey} mount=${mount} close=${() => setCreating(false)} />`}
    <${Loaded} of=${loaded} what="The list">${() => html`
      ${names.length > 8 && html`<${Field} label="Filter" type="search" value=${filter} set=${setFilter} />`}
      <${Table} caption="Keys" head=${["Key"]} rows=${shown.map((name) => html`<tr key=${name}><th scope="row"><a href=${to("transit", mount, name)}>${name}</a></th></tr>`)} empty=${filter ? "No name has that in it." : "No keys yet."} />
      <${Trouble} error=${action.error} />${more && html`<${Button} busy=${action.busy} onClick=${next}>More<//>`}`}<//>`;
}

function NewKey({ mount, close }) {
  const [name, setName] = useState("");
  const [type, setType] = useState("aes256-gcm96");
  const [derived, setDerived] = useState(false);
  const [convergent, setConvergent] = useState(false);
  const [exportable, setExportable] = useState(false);
  const [period, setPeriod] = useState("");
  const [more, setMore] = useState({ set: "44", ec: "ecdsa-p256" });
  const action = useAction();
  const derivable = !/^(rsa|ecdsa|hmac|ml-dsa|hybrid)|cmac/.test(type);
  const send = () => action.run(async () => {
    const body = { type, exportable, ...(period ? { auto_rotate_period: period } : {}) };
    if (derivable && derived) Object.assign(body, { derived: true, convergent_encryption: convergent && type !== "ed25519" });
    if (type === "hmac") body.key_size = 32;
    if (type === "ml-dsa" || type === "hybrid") body.parameter_set = more.set;
    if (type === "hybrid") Object.assign(body, { hybrid_key_type_pqc: "ml-dsa", hybrid_key_type_ec: more.ec });
    await unchanged(`${mount}keys/${name.trim()}`, {});
    await write(`${mount}keys/${name.trim()}`, body);
    say("The key is made.");
    go(to("transit", mount, name.trim()));
  });
  return html`<${Card} title="New key"><${Form} label="New key" send=${send} submit="Make the key" error=${action.error} busy=${action.busy} disabled=${!name.trim()} extra=${html`<${Button} onClick=${close}>Cancel<//>`}>
    <div class="row"><${Field} label="Name" value=${name} set=${setName} />
      <${Field} as="select" label="Type" value=${type} set=${setType}>${TYPES.map(([group, types]) => html`<optgroup label=${group}>${types.map((each) => html`<option value=${each} selected=${each === type}>${each}</option>`)}</optgroup>`)}<//>
      <${Field} label="Rotate by itself after" value=${period} set=${setPeriod} placeholder="720h" hint="Empty: never." /></div>
    ${(type === "ml-dsa" || type === "hybrid") && html`<div class="row"><${Field} as="select" label="Parameter set" value=${more.set} set=${(set) => setMore({ ...more, set })}>${["44", "65", "87"].map((each) => html`<option value=${each} selected=${each === more.set}>${each}</option>`)}<//>
      ${type === "hybrid" && html`<${Field} as="select" label="Curve beside it" value=${more.ec} set=${(ec) => setMore({ ...more, ec })}>${["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"].map((each) => html`<option value=${each} selected=${each === more.ec}>${each}</option>`)}<//>`}</div>`}
    ${derivable && html`<${Check} label="Derived: another key for each context" value=${derived} set=${setDerived} />`}
    ${derivable && derived && type !== "ed25519" && html`<${Check} label="Convergent: the same text gives the same ciphertext" value=${convergent} set=${setConvergent} />`}
    <${Check} label="Exportable: its material may leave the server, for ever" value=${exportable} set=${setExportable} /><//><//>`;
}
