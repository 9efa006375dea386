// The parts that pages are made of.
import { html, useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "./lib.js";

// Loads when its inputs change. `reload` looks again; what was there stays to be seen meanwhile.
export function useLoad(load, inputs) {
  const [state, setState] = useState({ loading: true });
  const [count, setCount] = useState(0);
  useEffect(() => {
    let gone = false;
    setState((before) => ({ ...before, loading: true }));
    Promise.resolve().then(load).then(
      (data) => gone || setState({ data }),
      (error) => gone || setState({ error }),
    );
    return () => { gone = true; };
  }, [...inputs, count]);
  const reload = useCallback(() => setCount((n) => n + 1), []);
  return { ...state, reload };
}

// Runs what a button or a form does; keeps whether it runs, and what went wrong.
export function useAction() {
  const [state, setState] = useState({});
  const run = useCallback(async (work) => {
    setState({ busy: true });
    try {
      const result = await work();
      setState({});
      return result ?? true;
    } catch (error) {
      setState({ error });
      return null;
    }
  }, []);
  const clear = useCallback(() => setState({}), []);
  return { ...state, run, clear };
}

const HINTS = {
  403: "This token may not see or do that here. Another token may.",
  404: "There is nothing here, or nothing that this token may know of.",
};

export function Trouble({ error, what }) {
  if (!error) return null;
  const told = error.texts?.length ? error.texts.join(" ") : error.message;
  const text = told === "permission denied" || !told ? HINTS[error.status] || told : told;
  const sealed = error.status === 503 && /sealed/i.test(told);
  return html`<div class="note bad" role="alert"><p>${what ? `${what}: ` : ""}${text}${sealed ? html` <a href="#/seal">To the seal</a>` : ""}</p></div>`;
}

export const Note = ({ kind = "info", children }) => html`<div class=${`note ${kind}`}>${children}</div>`;

// A page that waits for what it shows.
export function Loaded({ of, what, children }) {
  if (of.error) return html`<${Trouble} error=${of.error} what=${what} />`;
  if (of.data === undefined) return html`<p class="muted" role="status">Loading…</p>`;
  return children(of.data);
}

export function Title({ children, trail = [], actions }) {
  const heading = useRef(null);
  const words = [children].flat().filter((each) => typeof each === "string").join("");
  useEffect(() => { document.title = words ? `${words} · Clever KMS` : "Clever KMS"; }, [words]);
  useEffect(() => { heading.current?.focus({ preventScroll: true }); scrollTo(0, 0); }, []);
  return html`<div class="title">
    ${trail.length > 0 && html`<nav class="trail" aria-label="Where this is"><ol>${trail.map(([text, link]) => html`<li><a href=${link}>${text}</a></li>`)}</ol></nav>`}
    <div class="title-row"><h1 tabindex="-1" ref=${heading}>${children}</h1>${actions && html`<div class="actions">${actions}</div>`}</div>
  </div>`;
}

export function Button({ kind = "", busy, children, ...rest }) {
  return html`<button type="button" class=${`button ${kind}`} disabled=${rest.disabled || busy} ...${rest}>${children}</button>`;
}

// A labelled input; `as` is textarea or select where it is not an input.
export function Field({ label, hint, as = "input", value, set, children, wide, ...rest }) {
  const id = useId();
  const shown = { id, value, onInput: (event) => set(event.currentTarget.value), "aria-describedby": hint ? `${id}-hint` : undefined,
    autocomplete: "off", spellcheck: false, ...rest };
  const input = as === "textarea" ? html`<textarea ...${shown}></textarea>`
    : as === "select" ? html`<select ...${shown}>${children}</select>` : html`<input type="text" ...${shown} />`;
  return html`<div class=${wide ? "field wide" : "field"}><label for=${id}>${label}</label>${input}${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}</div>`;
}

export function Check({ label, value, set, hint }) {
  const id = useId();
  return html`<div class="check"><input type="checkbox" id=${id} checked=${value} onChange=${(event) => set(event.currentTarget.checked)} aria-describedby=${hint ? `${id}-hint` : undefined} /><label for=${id}>${label}</label>${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}</div>`;
}

export function Form({ send, children, label, error, busy, submit = "Save", kind = "primary", extra, disabled }) {
  const sent = (event) => { event.preventDefault(); if (!busy && !disabled) send(); };
  return html`<form onSubmit=${sent} aria-label=${label} novalidate>${children}<${Trouble} error=${error} />
    <div class="actions"><button type="submit" class=${`button ${kind}`} disabled=${busy || disabled}>${busy ? "One moment…" : submit}</button>${extra}</div></form>`;
}

// Says for a moment what was done; screen readers hear it.
let announce = () => {};
export const say = (text, bad = false) => announce(text, bad);
export function Announcements() {
  const [told, setTold] = useState(null);
  useEffect(() => {
    announce = (text, bad) => setTold({ text, bad, at: Date.now() });
    return () => { announce = () => {}; };
  }, []);
  useEffect(() => {
    if (!told) return undefined;
    const timer = setTimeout(() => setTold(null), 5000);
    return () => clearTimeout(timer);
  }, [told]);
  return html`<div class="announcements" role="status" aria-live="polite">${told && html`<p class=${told.bad ? "toast bad" : "toast"}>${told.text}</p>`}</div>`;
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} is copied.`);
  } catch {
    say("The browser lets this page copy nothing here: show it, and mark it.", true);
  }
}

export const Copy = ({ text, what }) => html`<button type="button" class="button small quiet" aria-label=${`Copy ${what}`} onClick=${() => copy(text, what)}>Copy</button>`;

// What is not to be seen until it is asked for.
export function Secret({ text, what, shown, copyable = true }) {
  const [own, setOwn] = useState(false);
  const visible = shown || own;
  return html`<span class="secret">
    <code class=${visible ? "value" : "value masked"}>${visible ? text : "••••••••"}</code>
    <span class="secret-actions">${!shown && html`<button type="button" class="button small quiet" aria-pressed=${own} aria-label=${`${own ? "Hide" : "Show"} ${what}`} onClick=${() => setOwn(!own)}>${own ? "Hide" : "Show"}</button>`}
    ${copyable && html`<${Copy} text=${text} what=${what} />`}</span></span>`;
}

export const Badge = ({ kind = "", children }) => html`<span class=${`badge ${kind}`}>${children}</span>`;
export const Empty = ({ children }) => html`<div class="empty">${children}</div>`;

export function Table({ caption, head, rows, empty = "Nothing yet." }) {
  if (!rows.length) return html`<${Empty}><p>${empty}</p><//>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table><caption class="unseen">${caption}</caption>
    <thead><tr>${head.map((each) => html`<th scope="col">${each}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

export function Facts({ of }) {
  return html`<dl class="facts">${of.filter(Boolean).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value ?? "–"}</dd></div>`)}</dl>`;
}

export const Card = ({ title, children, actions, level = 2 }) => html`<section class="card">
  ${title && html`<div class="card-head">${level === 2 ? html`<h2>${title}</h2>` : html`<h3>${title}</h3>`}${actions && html`<div class="actions">${actions}</div>`}</div>`}${children}</section>`;

// Tabs by the arrow keys, as the ARIA pattern has them.
export function Tabs({ label, tabs, at, set }) {
  const id = useId();
  const bar = useRef(null);
  const keyed = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const index = tabs.findIndex(([name]) => name === at);
    const next = Number.isFinite(step) ? (index + step + tabs.length) % tabs.length : step > 0 ? tabs.length - 1 : 0;
    set(tabs[next][0]);
    bar.current.querySelectorAll("[role=tab]")[next].focus();
  };
  const current = tabs.find(([name]) => name === at) || tabs[0];
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${bar} onKeyDown=${keyed}>
      ${tabs.map(([name, text]) => html`<button type="button" role="tab" id=${`${id}-${name}`} aria-selected=${name === current[0]} aria-controls=${`${id}-panel`} tabindex=${name === current[0] ? 0 : -1} onClick=${() => set(name)}>${text}</button>`)}
    </div><div role="tabpanel" id=${`${id}-panel`} aria-labelledby=${`${id}-${current[0]}`} class="panel" key=${current[0]}>${current[2]()}</div>`;
}

// Asks before what cannot be taken back; the browser's own dialog keeps the focus within.
export function Dialog({ title, close, children }) {
  const box = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = box.current;
    if (!dialog.open) dialog.showModal();
    return () => dialog.open && dialog.close();
  }, []);
  return html`<dialog ref=${box} aria-labelledby=${id} onCancel=${(event) => { event.preventDefault(); close(); }}><h2 id=${id}>${title}</h2>${children}</dialog>`;
}

export function Confirm({ title, text, word, label, kind = "danger", act, close }) {
  const action = useAction();
  const [typed, setTyped] = useState("");
  const go = async () => { if (await action.run(act)) close(true); };
  return html`<${Dialog} title=${title} close=${() => close(false)}><p>${text}</p>
    <${Form} send=${go} label=${title} error=${action.error} busy=${action.busy} submit=${label} kind=${kind} disabled=${word && typed !== word}
      extra=${html`<${Button} onClick=${() => close(false)}>Cancel<//>`}>
      ${word && html`<${Field} label=${`Type ${word} to go on`} value=${typed} set=${setTyped} />`}<//><//>`;
}

// A button that opens such a question.
export function Asking({ button, kind = "", small, ...question }) {
  const [open, setOpen] = useState(false);
  return html`<${Button} kind=${small ? `small ${kind}` : kind} onClick=${() => setOpen(true)} aria-label=${question.name}>${button}<//>
    ${open && html`<${Confirm} ...${question} close=${(done) => { setOpen(false); if (done && question.done) question.done(); }} />`}`;
}

export function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
