// Audit devices: which there are, and how far the logs of those that prove themselves go.
import { html } from "../lib.js";
import { read } from "../api.js";
import { isOperator } from "../session.js";
import { Badge, Button, Card, Facts, Loaded, Note, Title, useLoad } from "../ui.js";
import { plural, when } from "../text.js";

export function Audit({ state }) {
  const loaded = useLoad(() => read("sys/audit"), []);
  return html`<${Title} actions=${html`<${Button} onClick=${loaded.reload}>Look again<//>`}>Audit devices<//>
    <p class="muted">${isOperator(state) ? "Devices of the cluster: they record requests of all vaults, and of none." : "Devices of this vault. Those of the cluster are its operator's."} What no device records is not done.</p>
    <${Loaded} of=${loaded} what="The devices">${(devices) => {
      const found = Object.entries(devices || {});
      if (!found.length) return html`<${Note} kind="warn"><p>No device is enabled: nothing that is asked here is recorded. <code>vault audit enable file file_path=audit.log</code> enables one, where the node's configuration allows it.</p><//>`;
      return html`<div class="cards">${found.map(([path, device]) => html`<${Device} key=${path} path=${path} device=${device} />`)}</div>`;
    }}<//>`;
}

function Device({ path, device }) {
  const logs = useLoad(() => (device.type === "file" ? read(`sys/audit-checkpoint/${path.replace(/\/$/, "")}`) : null), [path]);
  const found = logs.data?.logs || [];
  return html`<${Card} title=${path}><p><${Badge} kind="good">enabled<//> <${Badge}>${device.type}<//></p>
    <${Facts} of=${[device.description && ["Description", device.description], ...Object.entries(device.options || {}).map(([key, value]) => [key, html`<code>${String(value)}</code>`])]} />
    ${found.length > 0 && html`<h3>Logs that prove themselves</h3><ul class="plain">${found.map((log) => html`<li><code class="break">${log.file}</code> on ${log.node}: ${plural(log.lines, "line")} <span class="muted">${log.closed ? "closed" : "checked"} ${when(log.time)}</span></li>`)}</ul>`}<//>`;
}
