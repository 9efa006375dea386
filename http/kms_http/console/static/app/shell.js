// The frame around all pages: who is signed in, where one can go, and the page itself.
import { html, useEffect, useState } from "./lib.js";
import { useRoute } from "./router.js";
import { idle, isOperator, leave, may, onSession, reaches, session, setIdle, signOut, used } from "./session.js";
import { mountsOf } from "./mounts.js";
import { setTheme, theme } from "./theme.js";
import { Announcements, Button, Dialog, Field, Title, Trouble, useAction } from "./ui.js";
import { SignIn } from "./pages/signin.js";
import { Return, isReturn } from "./pages/oidc.js";
import { Home } from "./pages/home.js";
import { SealPage } from "./pages/seal.js";
import { Secrets } from "./pages/secrets.js";
import { Transit } from "./pages/transit.js";
import { Policies } from "./pages/policies.js";
import { Checker } from "./pages/checker.js";
import { Tokens } from "./pages/tokens.js";
import { Logins } from "./pages/logins.js";
import { Audit } from "./pages/audit.js";
import { Tenants } from "./pages/tenants.js";
import { Nodes } from "./pages/nodes.js";
import { Rotations } from "./pages/rotations.js";
import { Ceremonies } from "./pages/ceremonies.js";
import { Identity } from "./pages/identity.js";
import { Mounts } from "./pages/mounts.js";
import { Quotas } from "./pages/quotas.js";

// Pages: name, text, the page, and whether it can be of use to who is signed in.
const PAGES = [
  ["", "Overview", Home, () => true],
  ["secrets", "Secrets", Secrets, (state) => !isOperator(state) && (mountsOf(state, "kv").length > 0 || may("sys/mounts/new", "update"))],
  ["transit", "Transit keys", Transit, (state) => !isOperator(state) && (mountsOf(state, "transit").length > 0 || may("sys/mounts/new", "update"))],
  ["policies", "Policies", Policies, (state) => !isOperator(state) && may("sys/policies/acl", "list")],
  ["checker", "May it?", Checker, (state) => !isOperator(state) && may("sys/capabilities-self", "update")],
  ["tokens", "Tokens", Tokens, (state) => !isOperator(state)],
  ["logins", "Logins and roles", Logins, (state) => !isOperator(state) && (may("sys/auth/new", "update") || reaches("auth/", "auth/token/"))],
  ["identity", "Identity", Identity, (state) => !isOperator(state) && (may("identity/entity/id", "list") || may("identity/group/id", "list"))],
  ["mounts", "Mounts", Mounts, (state) => !isOperator(state) && (may("sys/mounts/new/tune", "update") || may("sys/mounts/auth/new/tune", "update") || may("sys/mounts/new", "delete") || may("sys/auth/new", "delete"))],
  ["quotas", "Quotas", Quotas, (state) => !isOperator(state) && may("sys/quotas/rate-limit", "list")],
  ["tenants", "Tenants", Tenants, (state) => isOperator(state) && may("sys/tenants", "list")],
  ["nodes", "Nodes", Nodes, (state) => isOperator(state) && may("sys/ha-status", "read")],
  ["rotations", "Rotations", Rotations, (state) => may("sys/key-status", "read")],
  ["audit", "Audit devices", Audit, (state) => may("sys/audit", "read")],
  ["ceremonies", "Ceremonies", Ceremonies, (state) => may(state.seal?.recovery_seal && isOperator(state) ? "sys/rekey-recovery-key/init" : "sys/rekey/init", "read") || (!isOperator(state) && may("sys/generate-root/attempt", "read"))],
  ["seal", "Seal", SealPage, () => true],
];

const pagesFor = (state) => PAGES.filter(([, , , fits]) => fits(state));

export function App() {
  const [state, setState] = useState(session());
  const [returning, setReturning] = useState(isReturn);
  useEffect(() => { setState(session()); return onSession(setState); }, []);
  useEffect(() => {
    for (const event of ["pointerdown", "keydown"]) addEventListener(event, used, { passive: true });
  }, []);
  if (returning && !state.signedIn) return html`<${Alone}><${Return} done=${() => setReturning(false)} /><//>`;
  if (!state.signedIn) return html`<${Alone}><${SignIn} notice=${state.notice} /><//>`;
  return html`<${Frame} state=${state} />`;
}

function Alone({ children }) {
  return html`<header class="bar plain"><${Mark} /><${Theme} /></header><main class="alone" id="main">${children}</main><${Announcements} />`;
}

const Mark = () => html`<a class="mark" href="#/" aria-label="Clever KMS, overview"><img src="/ui/icon.svg" alt="" width="28" height="28" /><span>Clever KMS</span></a>`;

function Theme() {
  const [value, set] = useState(theme());
  const next = { auto: "light", light: "dark", dark: "auto" };
  const text = { auto: "Auto", light: "Light", dark: "Dark" }[value];
  const turn = () => { set(next[value]); setTheme(next[value]); };
  return html`<button type="button" class="button quiet small" onClick=${turn} aria-label=${`Colours: ${text}`} title="Colours"><span aria-hidden="true">${{ auto: "◐", light: "☀", dark: "☾" }[value]}</span><span class="wide-only">${text}</span></button>`;
}

function Frame({ state }) {
  const route = useRoute();
  const [open, setOpen] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const pages = pagesFor(state);
  const [name, ...rest] = route;
  const found = PAGES.find((page) => page[0] === name);
  useEffect(() => setOpen(false), [route.join("\0")]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector("h1")?.focus(); }}>To the content</a>
    <header class="bar">
      <button type="button" class="button quiet menu" aria-expanded=${open} aria-controls="nav" onClick=${() => setOpen(!open)}>Menu</button>
      <${Mark} /><span class="who" title=${state.self.display_name}>${state.self.display_name}</span>
      <div class="bar-end"><${Theme} /><${Button} kind="small" onClick=${() => setLeaving(true)}>Sign out<//></div>
    </header>
    <div class="frame">
      <nav id="nav" class=${open ? "side open" : "side"} aria-label="Pages"><ul>
        ${pages.map(([path, text]) => html`<li><a href=${`#/${path}`} aria-current=${path === name ? "page" : undefined}>${text}</a></li>`)}
      </ul></nav>
      <main id="main">${found ? html`<${found[2]} key=${name} parts=${rest} state=${state} />`
        : html`<${Title}>There is no such page<//><p>Choose another one from the menu.</p>`}</main>
    </div>
    ${leaving && html`<${Leaving} state=${state} close=${() => setLeaving(false)} />`}
    <${Announcements} />`;
}

function Leaving({ state, close }) {
  const action = useAction();
  const [minutes, setMinutes] = useState(String(idle()));
  const choose = (value) => { setMinutes(value); setIdle(Number(value)); };
  const revocable = may("auth/token/revoke-self", "update");
  return html`<${Dialog} title="Sign out" close=${close}>
    <p>${state.own ? "This sign-in made the token, and nobody else has it: revoke it." : "The token was made elsewhere: revoked, it is of no use there either."}</p>
    <${Field} as="select" label="Sign out by itself after" value=${minutes} set=${choose}>
      ${[5, 15, 60].map((each) => html`<option value=${each} selected=${String(each) === minutes}>${each} minutes without use</option>`)}<//>
    <${Trouble} error=${action.error} />
    <div class="actions">
      <${Button} kind=${state.own ? "primary" : ""} busy=${action.busy} disabled=${!revocable} onClick=${() => action.run(() => signOut(true))}>Sign out and revoke<//>
      <${Button} kind=${state.own ? "" : "primary"} onClick=${() => leave("You are signed out.")}>Sign out<//>
      <${Button} kind="quiet" onClick=${close}>Stay<//>
    </div><//>`;
}
