// A root token of the vault, made by a quorum of its shares: who has the password, or the PGP key, alone can read it.
import { html, useState } from "../lib.js";
import { call } from "../api.js";
import { Giving, pgpKeys } from "../shares.js";
import { Button, Card, Field, Form, Loaded, Note, Secret, say, useAction, useLoad } from "../ui.js";
import { plural } from "../text.js";
import { Attempt } from "./ceremonies.js";

const PATH = "sys/generate-root";

export function RootToken() {
  const loaded = useLoad(() => call("GET", `${PATH}/attempt`), []);
  const [own, setOwn] = useState(null); // the ceremony that this tab began, and its password
  const [made, setMade] = useState(null);
  const again = (text) => { if (text) say(text); loaded.reload(); };
  const give = (nonce) => async (key) => {
    const next = await call("PUT", `${PATH}/update`, { body: { key, nonce } });
    if (next.complete) { setMade(next); again("The root token is made."); } else again(`${plural(next.progress, "share")} of ${next.required} given.`);
  };
  const begun = ({ nonce, otp }) => { setMade(null); setOwn(otp ? { nonce, otp } : null); again("The ceremony has begun."); };
  // Somebody may have cancelled it and begun another one, whose password is his.
  const ownMade = made && own?.nonce === made.nonce;
  return html`<${Loaded} of=${loaded} what="The ceremony">${(status) => html`
    ${made && html`<${Token} made=${made} otp=${ownMade ? own.otp : ""} close=${() => { if (ownMade) setOwn(null); setMade(null); }} />`}
    ${own && !ownMade && html`<${Note} kind="warn"><p>${status.started && status.nonce !== own.nonce ? html`The password of the ceremony <code class="break">${own.nonce}</code>, which was begun here, and which is not the one below:`
      : "The password of this ceremony is shown this once. Keep it until the token is made: whoever has it can read the token, and nobody else."}</p><p><${Secret} text=${own.otp} what="the password" /></p><//>`}
    <${Card} title=${status.started ? "Give shares" : "Begin"} actions=${html`<${Button} kind="small" onClick=${() => again()}>Look again<//>`}>
      ${status.started ? html`<${Giving} label="Give shares" progress=${status.progress} needed=${status.required} give=${give(status.nonce)} />
        <${Attempt} status=${status} facts=${[["Readable", status.pgp_fingerprint ? html`to who has the PGP key <code class="break">${status.pgp_fingerprint}</code>` : "to who has the password that was shown at its beginning"]]} cancel=${() => call("DELETE", `${PATH}/attempt`)} done=${() => { if (own?.nonce === status.nonce) setOwn(null); again("The ceremony is cancelled."); }} />`
        : html`<${Begin} required=${status.required} done=${begun} />`}<//>
    <${Decode} />`}<//>`;
}

function Begin({ required, done }) {
  const [pgp, setPgp] = useState("");
  const action = useAction();
  const keys = pgpKeys(pgp);
  const send = () => action.run(async () => {
    if (keys.length > 1) throw new Error("A token is encrypted to one key.");
    done(await call("PUT", `${PATH}/attempt`, { body: keys.length ? { pgp_key: keys[0] } : {} }));
  });
  return html`<p>${`A root token may do everything in the vault, and has no end: make one when there is no other way, and revoke it after that. ${plural(required, "share")} must be given for it.`}</p>
    <${Form} label="Begin" send=${send} submit="Begin" error=${action.error} busy=${action.busy}>
      <details class="more"><summary>Encrypt the token</summary><${Field} as="textarea" class="mono" rows="4" label="PGP public key" value=${pgp} set=${setPgp} hint="Armored or in base64. Without it, a password is made, and shown to you." /></details><//>`;
}

// The token, to who has the password of its ceremony in this tab; to others as it is told.
function Token({ made, otp, close }) {
  const sealed = Boolean(made.pgp_fingerprint);
  return html`<${Card} title="The root token" actions=${html`<${Button} kind="small" onClick=${close}>Hide it<//>`}>
    <${Note} kind="warn"><p>It is shown this once.</p><//>
    ${!sealed && otp ? html`<p><${Secret} text=${decoded(made.encoded_token, otp)} what="the root token" /></p>`
      : html`<p>${sealed ? "Encrypted: whoever has the PGP key decrypts it." : "Encoded: give it to whoever began the ceremony, who has the password."}</p><p><${Secret} text=${made.encoded_token} what="the encoded token" /></p>`}<//>`;
}

// Done here: neither is sent anywhere.
function decoded(encoded, otp) {
  let mixed;
  try { mixed = atob(encoded.trim()); } catch { throw new Error("The encoded token is not in base64."); }
  const key = otp.trim();
  if (mixed.length !== key.length) throw new Error("The encoded token and the password do not belong together.");
  return Array.from(mixed, (each, index) => String.fromCharCode(each.charCodeAt(0) ^ key.charCodeAt(index))).join("");
}

function Decode() {
  const [values, setValues] = useState({ encoded: "", otp: "" });
  const [token, setToken] = useState("");
  const action = useAction();
  const send = () => action.run(() => { setToken(decoded(values.encoded, values.otp)); setValues({ encoded: "", otp: "" }); });
  return html`<${Card} title="Decode a token"><p class="muted">For whoever began it, when another one gave the last share.</p>
    <${Form} label="Decode a token" send=${send} submit="Decode" error=${action.error} busy=${action.busy} disabled=${!values.encoded.trim() || !values.otp.trim()}>
      <div class="row"><${Field} label="Encoded token" value=${values.encoded} set=${(encoded) => setValues({ ...values, encoded })} />
      <${Field} label="Password" type="password" value=${values.otp} set=${(otp) => setValues({ ...values, otp })} /></div><//>
    ${token && html`<p><${Secret} text=${token} what="the decoded token" /></p>`}<//>`;
}
