// Versions of a secret: deleted, undeleted, destroyed, and compared.
import { html, useState } from "../lib.js";
import { write } from "../api.js";
import { Asking, Badge, Button, Card, Loaded, Note, Secret, Table, say, useAction, useLoad, Trouble } from "../ui.js";
import { asText, when } from "../text.js";
import { StateBadge, stateOf, versionData } from "./secret.js";

export function Versions({ mount, path, meta, can, reload, show }) {
  const [marked, setMarked] = useState(new Set());
  const [compared, setCompared] = useState(null);
  const action = useAction();
  const versions = Object.entries(meta.versions).map(([number, each]) => [Number(number), each]).sort((a, b) => b[0] - a[0]);
  const toggle = (number) => { const next = new Set(marked); if (!next.delete(number)) next.add(number); setMarked(next); };
  const chosen = [...marked].sort((a, b) => a - b);
  const act = (part, text) => action.run(async () => {
    await write(`${mount}${part}/${path}`, { versions: chosen });
    setMarked(new Set());
    say(text);
    reload();
  });
  const name = chosen.length === 1 ? `version ${chosen[0]}` : `${chosen.length} versions`;
  const rows = versions.map(([number, each]) => html`<tr key=${number}>
    <td class="tight"><input type="checkbox" aria-label=${`Mark version ${number}`} checked=${marked.has(number)} onChange=${() => toggle(number)} /></td>
    <th scope="row"><button type="button" class="link" onClick=${() => show(number)}>Version ${number}</button>${number === meta.current_version && html` <${Badge}>latest<//>`}</th>
    <td><${StateBadge} of=${stateOf(each)} /></td><td>${when(each.created_time)}</td><td>${each.deletion_time ? when(each.deletion_time) : html`<span class="muted">–</span>`}</td></tr>`);
  return html`<${Table} caption="Versions" head=${[html`<span class="unseen">Mark</span>`, "Version", "State", "Written", "Deleted"]} rows=${rows} />
    <${Trouble} error=${action.error} />
    <div class="actions">
      <${Button} disabled=${chosen.length !== 2} onClick=${() => setCompared(chosen)}>Compare two<//>
      ${can("delete", "update") && html`<${Button} disabled=${!chosen.length || action.busy} onClick=${() => act("delete", `Deleted: ${name}.`)}>Delete<//>`}
      ${can("undelete", "update") && html`<${Button} disabled=${!chosen.length || action.busy} onClick=${() => act("undelete", `Undeleted: ${name}.`)}>Undelete<//>`}
      ${can("destroy", "update") && (chosen.length ? html`<${Asking} button="Destroy" kind="danger-quiet" title=${`Destroy ${name}?`} text="The data is removed and cannot be brought back." label="Destroy" act=${() => write(`${mount}destroy/${path}`, { versions: chosen })} done=${() => { setMarked(new Set()); say(`Destroyed: ${name}.`); reload(); }} />`
        : html`<${Button} kind="danger-quiet" disabled>Destroy<//>`)}
    </div>
    ${!chosen.length && html`<p class="hint">Mark versions first.</p>`}
    ${compared && html`<${Compared} key=${compared.join("-")} mount=${mount} path=${path} versions=${compared} />`}`;
}

const KINDS = { added: "good", removed: "bad", changed: "warn", same: "" };

// What two versions have, field by field.
export function difference(before, after) {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return keys.map((key) => {
    const [old, now] = [before, after].map((data) => (Object.hasOwn(data, key) ? data[key] : undefined));
    const kind = old === undefined ? "added" : now === undefined ? "removed" : JSON.stringify(old) === JSON.stringify(now) ? "same" : "changed";
    const alike = kind === "changed" && asText(old) === asText(now); // 1 and "1", say
    const [was, is] = [old, now].map((each) => (each === undefined ? null : alike ? JSON.stringify(each) : asText(each)));
    return { key, was, is, kind };
  });
}

function Compared({ mount, path, versions }) {
  const [older, newer] = versions;
  const [all, setAll] = useState(false);
  const loaded = useLoad(() => Promise.all(versions.map((each) => versionData(mount, path, each))), [versions.join()]);
  return html`<${Card} title=${`Version ${older} and version ${newer}`} actions=${html`<${Button} kind="small quiet" aria-pressed=${all} onClick=${() => setAll(!all)}>${all ? "Hide all values" : "Show all values"}<//>`}>
    <${Loaded} of=${loaded}>${([before, after]) => {
      if (!before.data || !after.data) return html`<${Note} kind="warn"><p>Of a version that is deleted or destroyed there is nothing to compare.</p><//>`;
      const found = difference(before.data, after.data);
      const cell = (text, what) => (text === null ? html`<span class="muted">–</span>` : html`<${Secret} text=${text} what=${what} shown=${all} copyable=${false} />`);
      const rows = found.map(({ key, was, is, kind }) => html`<tr key=${key} class=${`diff ${kind}`}><th scope="row" class="mono">${key}</th><td><${Badge} kind=${KINDS[kind]}>${kind}<//></td>
        <td>${cell(was, `${key} of version ${older}`)}</td><td>${cell(is, `${key} of version ${newer}`)}</td></tr>`);
      return html`<${Table} caption="Differences" head=${["Field", "What", `Version ${older}`, `Version ${newer}`]} rows=${rows} empty="Neither has any field." />`;
    }}<//><//>`;
}
