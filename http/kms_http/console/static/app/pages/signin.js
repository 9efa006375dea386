// Signing in: by a token, or by a method of logins that gives one.
import { html, useEffect, useRef, useState } from "../lib.js";
import { call, write } from "../api.js";
import { signIn } from "../session.js";
import { Field, Form, Note, useAction, useLoad } from "../ui.js";
import { begin } from "./oidc.js";

const METHODS = [
  ["token", "Token", ["token"]],
  ["userpass", "User name and password", ["username", "password"]],
  ["approle", "AppRole", ["role_id", "secret_id"]],
  ["jwt", "JWT", ["role", "jwt"]],
  ["kubernetes", "Kubernetes service account", ["role", "jwt"]],
  ["oidc", "OpenID Connect", ["role"]],
  ["cert", "Certificate of this browser", ["name"]],
];
const FIELDS = {
  token: ["Token", { type: "password", wide: true }],
  username: ["User name", {}],
  password: ["Password", { type: "password" }],
  role_id: ["Role id", {}],
  secret_id: ["Secret id", { type: "password" }],
  role: ["Role", { hint: "Empty: the mount's default role." }],
  jwt: ["Signed token (JWT)", { type: "password" }],
  name: ["Role", { hint: "Empty: whichever fits the certificate." }],
};

export function SignIn({ notice }) {
  const [method, setMethod] = useState("token");
  const [values, setValues] = useState({});
  const [mount, setMount] = useState("");
  const [vault, setVault] = useState("");
  const action = useAction();
  const heading = useRef(null);
  const seal = useLoad(() => call("GET", "sys/seal-status", { as: "" }), []);
  const visible = useLoad(() => call("GET", "sys/internal/ui/mounts", { as: "", namespace: vault.trim() }).then((answer) => answer.data.auth), []);
  const methods = METHODS.filter(([name]) => name !== "cert" || location.protocol === "https:");
  const [, , fields] = METHODS.find(([name]) => name === method);
  const known = Object.entries(visible.data || {}).filter(([, each]) => each.type === method || (method === "jwt" && each.type === "oidc"));
  useEffect(() => { document.title = "Sign in · Clever KMS"; heading.current?.focus(); }, []);

  const choose = (name) => { setMethod(name); setValues({}); setMount(""); action.clear(); };
  const send = () => action.run(async () => {
    if (method === "token") return signIn(values.token || "");
    const where = (mount.trim() || method).replace(/^\/+|\/+$/g, "").replace(/^auth\//, "");
    if (method === "oidc") return begin({ mount: where, role: values.role || "", vault: vault.trim() });
    const path = method === "userpass" ? `auth/${where}/login/${values.username || ""}` : `auth/${where}/login`;
    const body = method === "userpass" ? { password: values.password || "" } : Object.fromEntries(fields.filter((name) => values[name]).map((name) => [name, values[name]]));
    const answer = await write(path, body, { as: "", namespace: vault.trim() });
    setValues({});
    return signIn(answer.auth.client_token, { own: true, method });
  });

  return html`<div class="sign-in card">
    <h1 tabindex="-1" ref=${heading}>Sign in</h1>
    ${notice && html`<${Note}><p role="status">${notice}</p><//>`}
    ${seal.data?.sealed && html`<${Note} kind="warn"><p>${seal.data.initialized ? "This node is sealed" : "This node is not initialised"}: sign in with the token of an operator to change that.</p><//>`}
    <${Form} label="Sign in" send=${send} submit=${method === "oidc" ? "Go to the provider" : "Sign in"} error=${action.error} busy=${action.busy}>
      <${Field} as="select" label="How" value=${method} set=${choose}>${methods.map(([name, text]) => html`<option value=${name} selected=${name === method}>${text}</option>`)}<//>
      ${fields.map((name) => html`<${Field} key=${method + name} label=${FIELDS[name][0]} name=${name} value=${values[name] || ""} set=${(value) => setValues({ ...values, [name]: value })} ...${FIELDS[name][1]} />`)}
      ${method !== "token" && html`<details class="more"><summary>Vault and mount</summary>
        <${Field} label="Vault" value=${vault} set=${setVault} hint="Its id; empty: the one that the server takes where none is named." />
        <${Field} label="Mount" value=${mount} set=${setMount} placeholder=${method} hint=${known.length ? `Shown to anybody: ${known.map(([path]) => path).join(", ")}` : `Where the method is mounted below auth/; empty: ${method}.`} />
      </details>`}
    <//>
    <p class="hint">The token stays in the memory of this tab, and is gone when you sign out, reload or close it.</p>
  </div>`;
}
