// May it? What a token may do on paths, as the server decides it.
import { html, useState } from "../lib.js";
import { capabilities } from "../api.js";
import { may } from "../session.js";
import { Badge, Card, Field, Form, Table, Title, useAction } from "../ui.js";

const ALL = ["create", "read", "update", "patch", "delete", "list", "scan", "sudo"];
const WHOSE = [
  ["self", "This token", () => true],
  ["token", "Another token", () => may("sys/capabilities", "update")],
  ["accessor", "A token by its accessor", () => may("sys/capabilities-accessor", "update")],
];

export function Checker() {
  const [whose, setWhose] = useState("self");
  const [other, setOther] = useState("");
  const [paths, setPaths] = useState("");
  const [found, setFound] = useState(null);
  const action = useAction();
  const wanted = [...new Set(paths.split("\n").map((line) => line.trim().replace(/^\/?(v1\/)?/, "")).filter(Boolean))];
  const send = () => action.run(async () => {
    setFound(null);
    const of = whose === "self" ? {} : { [whose]: other.trim() };
    const answer = await capabilities(wanted, of);
    setFound(wanted.map((path) => [path, answer[path] || []]));
  });
  const choose = (value) => { setWhose(value); setOther(""); setFound(null); action.clear(); };
  return html`<${Title}>May it?<//>
    <p class="muted">Name paths as requests have them, such as <code>secret/data/app/db</code>: what a token may do there is told, by its policies, its rights and all that narrows it.</p>
    <${Card}><${Form} label="May it?" send=${send} submit="Check" error=${action.error} busy=${action.busy} disabled=${!wanted.length || (whose !== "self" && !other.trim())}>
      <${Field} as="select" label="Who" value=${whose} set=${choose}>${WHOSE.filter(([, , fits]) => fits()).map(([name, text]) => html`<option value=${name} selected=${name === whose}>${text}</option>`)}<//>
      ${whose !== "self" && html`<${Field} label=${whose === "token" ? "Token" : "Accessor"} type=${whose === "token" ? "password" : "text"} value=${other} set=${setOther} />`}
      <${Field} as="textarea" label="Paths, one a line" class="mono" rows="4" value=${paths} set=${setPaths} /><//><//>
    ${found && html`<div role="status"><${Table} caption="What it may do" head=${["Path", ...ALL]} rows=${found.map(([path, given]) => html`<tr key=${path}><th scope="row" class="mono break">${path}${given.includes("deny") && html` <${Badge} kind="bad">nothing<//>`}${given.includes("root") && html` <${Badge} kind="good">everything<//>`}</th>
      ${ALL.map((each) => { const yes = given.includes(each) || given.includes("root"); return html`<td class=${yes ? "yes" : "no"}>${yes ? "yes" : "no"}</td>`; })}</tr>`)} /></div>`}`;
}
