// Writing a secret: fields or JSON, with check-and-set by what was read before.
import { html, useState } from "../lib.js";
import { call, write } from "../api.js";
import { unchanged } from "../clash.js";
import { go, toPath } from "../router.js";
import { Button, Card, Check, Field, Form, Note, Title, say, useAction } from "../ui.js";
import { asText, parse, unkept } from "../text.js";

const latest = async (mount, path) => (await call("GET", `${mount}data/${path}`)).data.metadata.version;

// Fields of data that rows can show: texts. Others are JSON.
const flat = (data) => Object.values(data).every((value) => typeof value === "string");

// `current`: the version that was read; 0 for a new secret, undefined where there are no versions.
export function Editor({ mount, folder = "", path, version, data = {}, current = version === 2 ? 0 : undefined, trail, close, done }) {
  const fresh = path === undefined;
  const [name, setName] = useState("");
  const [rows, setRows] = useState(() => { const found = Object.entries(data).map(([key, value]) => ({ key, value: asText(value) })); return found.length ? found : [{ key: "", value: "" }]; });
  const [json, setJson] = useState(flat(data) ? null : JSON.stringify(data, null, 2));
  const [shown, setShown] = useState(fresh);
  const [anyway, setAnyway] = useState(false);
  const action = useAction();
  const change = (index, part) => setRows(rows.map((row, at) => (at === index ? { ...row, ...part } : row)));

  const gather = () => {
    if (json !== null) {
      let found;
      try { found = parse(json); } catch (error) { throw new Error(`That is no JSON: ${error.message}`); }
      if (found === null || Array.isArray(found) || typeof found !== "object") throw new Error("A secret is an object: { … }.");
      if (unkept(found)) throw new Error("A number in it has more digits than a browser keeps: write it by the API.");
      return found;
    }
    const keys = rows.filter((row) => row.key !== "" || row.value !== "");
    if (keys.some((row) => row.key === "")) throw new Error("Each field needs a name.");
    if (new Set(keys.map((row) => row.key)).size < keys.length) throw new Error("Two fields have the same name.");
    return Object.fromEntries(keys.map((row) => [row.key, row.value]));
  };
  const toJson = () => action.run(() => setJson(JSON.stringify(gather(), null, 2)));
  const toRows = () => action.run(() => {
    const found = gather();
    if (!flat(found)) throw new Error("What is no text can only be written as JSON.");
    setRows(Object.entries(found).map(([key, value]) => ({ key, value })));
    setJson(null);
  });
  const send = () => action.run(async () => {
    const where = fresh ? folder + name.trim().replace(/^\/+/, "") : path;
    if (!where || where.endsWith("/")) throw new Error("The secret needs a name.");
    const sent = gather();
    if (version === 2) await write(`${mount}data/${where}`, { data: sent, options: { cas: anyway ? await latest(mount, where) : current } });
    else {
      await unchanged(mount + where, data);
      await write(mount + where, sent);
    }
    say(fresh ? "The secret is written." : "A new version is written.");
    if (fresh) go(toPath(where, "secrets", mount));
    else done();
  });
  const clash = action.error && /check-and-set/.test(action.error.message);
  const inexact = unkept(data);

  return html`${fresh ? html`<${Title} trail=${trail}>New secret<//>` : ""}
    <${Card} title=${fresh ? "" : "Edit"}><${Form} label=${fresh ? "New secret" : "Edit secret"} send=${send} error=${action.error} busy=${action.busy} disabled=${inexact} extra=${html`<${Button} onClick=${close}>Cancel<//>`}>
    ${inexact && html`<${Note} kind="warn"><p>A number in it has more digits than a browser keeps. Change it by the API, so that none of them is lost.</p><//>`}
    ${fresh && html`<${Field} label="Name" value=${name} set=${setName} hint=${`Below ${mount}${folder}; slashes make folders.`} />`}
    ${json === null ? html`<fieldset><legend>Fields</legend>${rows.map((row, index) => html`<div class="pair" key=${index}>
        <${Field} label=${`Name ${index + 1}`} value=${row.key} set=${(key) => change(index, { key })} />
        <${Value} label=${`Value ${index + 1}`} value=${row.value} set=${(value) => change(index, { value })} shown=${shown} />
        <${Button} kind="small quiet" aria-label=${`Remove field ${row.key || index + 1}`} onClick=${() => setRows(rows.filter((_, at) => at !== index))}>Remove<//></div>`)}
      <div class="actions"><${Button} kind="small" onClick=${() => setRows([...rows, { key: "", value: "" }])}>Add a field<//>
        <${Button} kind="small quiet" aria-pressed=${shown} onClick=${() => setShown(!shown)}>${shown ? "Hide values" : "Show values"}<//>
        <${Button} kind="small quiet" onClick=${toJson}>As JSON<//></div></fieldset>`
      : html`<${Field} as="textarea" label="JSON" rows="10" class="mono" value=${json} set=${setJson} /><div class="actions"><${Button} kind="small quiet" onClick=${toRows}>As fields<//></div>`}
    ${version === 2 && html`<p class="hint">${current === 0 ? "Written only if there is no such secret yet" : `Written only if version ${current} is still the latest`} (check-and-set).</p>`}
    ${clash && html`<${Note} kind="warn"><p>Somebody has written it meanwhile. Cancel to look at what is there now, or:</p><${Check} label="Write over it" value=${anyway} set=${setAnyway} /><//>`}
    <//><//>`;
}

// A text of several lines keeps them: the input for one line would make one of them, without a word.
function Value({ label, value, set, shown }) {
  const [several, setSeveral] = useState(false);
  const paste = (event) => {
    const text = event.clipboardData.getData("text/plain").replace(/\r\n?/g, "\n");
    if (!/\n[^]/.test(text)) return; // one line, and its end
    event.preventDefault();
    const { id, selectionStart, selectionEnd } = event.currentTarget;
    set(value.slice(0, selectionStart) + text + value.slice(selectionEnd));
    requestAnimationFrame(() => document.getElementById(id)?.focus());
  };
  const changed = (text) => { setSeveral(true); set(text); };
  if (!several && !/[\r\n]/.test(value)) return html`<${Field} label=${label} type=${shown ? "text" : "password"} value=${value} set=${set} onPaste=${paste} />`;
  if (!shown) return html`<${Field} label=${label} value="••••••••" set=${() => {}} readonly hint="Several lines: show the values to change them." />`;
  return html`<${Field} as="textarea" label=${label} rows=${Math.min(12, value.split("\n").length + 1)} class="mono" value=${value} set=${changed} />`;
}
