// Nodes of the cluster, as they were heard of, and what the one that answers is made of.
import { html } from "../lib.js";
import { read } from "../api.js";
import { Badge, Button, Card, Facts, Loaded, Table, Title, useLoad } from "../ui.js";
import { ago, size, span } from "../text.js";

export function Nodes() {
  const nodes = useLoad(() => read("sys/ha-status"), []);
  const host = useLoad(() => read("sys/host-info"), []);
  const settings = useLoad(() => read("sys/config/state/sanitized"), []);
  const again = () => { nodes.reload(); host.reload(); };
  return html`<${Title} actions=${html`<${Button} onClick=${again}>Look again<//>`}>Nodes<//>
    <p class="muted">Nodes that were heard of in the last hour. All are alike: any of them answers any request.</p>
    <${Loaded} of=${nodes} what="Nodes">${({ nodes: found }) => html`<${Table} caption="Nodes" head=${["Node", "State", "Host", "Address", "Version", "Up for", "Heard"]} rows=${found.map((node) => {
      const quiet = Date.now() - Date.parse(node.last_echo) > 60_000;
      return html`<tr key=${node.node_name + node.hostname}><th scope="row">${node.node_name || node.hostname}</th><td><${Badge} kind=${quiet ? "bad" : node.active_node ? "good" : "warn"}>${quiet ? "silent" : node.active_node ? "serves" : "sealed"}<//></td><td>${node.hostname}</td><td class="break">${node.api_address || "–"}</td>
        <td>${node.version}</td><td>${node.started ? span((Date.now() - Date.parse(node.started)) / 1000) : "–"}</td><td>${ago(node.last_echo)}</td></tr>`;
    })} empty="None." />`}<//>
    <div class="cards"><${Card} title="The one that answers"><${Loaded} of=${host} what="Host">${(of) => html`<${Facts} of=${[
      ["Host", of.host.hostname], ["System", `${of.host.platform} ${of.host.platformVersion}`], ["Processors", of.cpu.length], ["Memory", `${size(of.memory.used)} of ${size(of.memory.total)} used`],
      ...of.disk.map((disk) => [`Disk ${disk.path}`, `${size(disk.used)} of ${size(disk.total)} used`])]} />`}<//><//>
      <${Card} title="Its configuration"><${Loaded} of=${settings} what="Configuration">${(of) => html`<${Facts} of=${[
        ["Cluster", of.cluster_name], ["Node", of.node_name], ["Store", of.storage?.type], ["Workers", of.workers], ["Seal", of.seals?.map((seal) => seal.type).join(", ")],
        ["Listeners", of.listeners?.map((each) => `${each.config.address}${each.config.tls_disable ? "" : " (TLS)"}`).join(", ")], ["Log", `${of.log_level}, ${of.log_format}`]]} />`}<//><//></div>`;
}
