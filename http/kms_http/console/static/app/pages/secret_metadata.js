// What is known of a secret beside its data: settings of its versions, and notes of its owners.
import { html, useState } from "../lib.js";
import { write } from "../api.js";
import { unchanged } from "../clash.js";
import { Button, Card, Check, Facts, Field, Form, Table, say, useAction } from "../ui.js";
import { when } from "../text.js";

export function Metadata({ mount, path, meta, can, reload }) {
  const [editing, setEditing] = useState(false);
  if (editing) return html`<${Edit} mount=${mount} path=${path} meta=${meta} close=${() => setEditing(false)} done=${() => { setEditing(false); reload(); }} />`;
  const own = Object.entries(meta.custom_metadata || {});
  return html`<${Card} title="Settings" actions=${can("metadata", "update", "create") && html`<${Button} onClick=${() => setEditing(true)}>Edit<//>`}><${Facts} of=${[
      ["Written first", when(meta.created_time)], ["Written last", when(meta.updated_time)],
      ["Latest version", meta.current_version], ["Versions kept", meta.max_versions || "As the mount says"],
      ["Check-and-set", meta.cas_required ? "Required" : "Not required"],
      ["Deleted by itself", meta.delete_version_after === "0s" ? "No" : `${meta.delete_version_after} after it is written`],
    ]} /><//>
    <${Card} title="Custom metadata"><${Table} caption="Custom metadata" head=${["Name", "Value"]} rows=${own.map(([key, value]) => html`<tr key=${key}><th scope="row" class="mono">${key}</th><td class="break">${value}</td></tr>`)} empty="None." /><//>`;
}

function Edit({ mount, path, meta, close, done }) {
  const [most, setMost] = useState(String(meta.max_versions));
  const [cas, setCas] = useState(meta.cas_required);
  const [after, setAfter] = useState(meta.delete_version_after);
  const [rows, setRows] = useState(Object.entries(meta.custom_metadata || {}));
  const action = useAction();
  const change = (index, part, value) => setRows(rows.map((row, at) => (at === index ? (part ? [row[0], value] : [value, row[1]]) : row)));
  const send = () => action.run(async () => {
    const custom = Object.fromEntries(rows.filter(([key]) => key));
    await unchanged(`${mount}metadata/${path}`, meta, ["max_versions", "cas_required", "delete_version_after", "custom_metadata"]);
    await write(`${mount}metadata/${path}`, { max_versions: Number(most) || 0, cas_required: cas, delete_version_after: after || "0s", custom_metadata: custom });
    say("The metadata is written.");
    done();
  });
  return html`<${Card} title="Edit metadata"><${Form} label="Edit metadata" send=${send} error=${action.error} busy=${action.busy} extra=${html`<${Button} onClick=${close}>Cancel<//>`}>
    <div class="row"><${Field} label="Versions kept" type="number" min="0" value=${most} set=${setMost} hint="0: as the mount says." />
    <${Field} label="Deleted by itself after" value=${after} set=${setAfter} hint="Such as 720h; 0s: never." /></div>
    <${Check} label="Require check-and-set" value=${cas} set=${setCas} />
    <fieldset><legend>Custom metadata</legend><p class="hint">It is no secret: whoever may list may see it.</p>
      ${rows.map(([key, value], index) => html`<div class="pair" key=${index}><${Field} label=${`Name ${index + 1}`} value=${key} set=${(text) => change(index, 0, text)} /><${Field} label=${`Value ${index + 1}`} value=${value} set=${(text) => change(index, 1, text)} />
        <${Button} kind="small quiet" aria-label=${`Remove ${key || index + 1}`} onClick=${() => setRows(rows.filter((_, at) => at !== index))}>Remove<//></div>`)}
      <${Button} kind="small" onClick=${() => setRows([...rows, ["", ""]])}>Add<//></fieldset><//><//>`;
}
