// The way to an OpenID provider and back. What has to outlast it (mount, vault and a nonce; no token) lies in the
// tab's own storage for that while, and is taken out by whoever comes back.
import { html, useEffect, useState } from "../lib.js";
import { ApiError, call, write } from "../api.js";
import { signIn } from "../session.js";
import { Button, Trouble } from "../ui.js";

const KEPT = "kms-console-oidc";
const PATH = /^\/ui\/vault\/auth\/(.+)\/oidc\/callback$/;

export async function begin({ mount, role, vault }) {
  const nonce = Array.from(crypto.getRandomValues(new Uint8Array(20)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const redirect = `${location.origin}/ui/vault/auth/${mount.split("/").map(encodeURIComponent).join("/")}/oidc/callback`;
  const answer = await write(`auth/${mount}/oidc/auth_url`, { role, redirect_uri: redirect, client_nonce: nonce }, { as: "", namespace: vault });
  const url = answer.data.auth_url;
  if (!url) throw new ApiError(400, [`The role does not allow the console's address. Put ${redirect} among its allowed_redirect_uris.`]);
  if (!/^https?:\/\//.test(url)) throw new ApiError(400, ["The server names no address of a provider."]);
  sessionStorage.setItem(KEPT, JSON.stringify({ mount, vault, nonce }));
  location.assign(url);
}

// Begun while the page loads: the code leaves the address before anything else happens.
const returned = PATH.test(location.pathname) ? take() : null;
export const isReturn = () => returned !== null;

function take() {
  const sent = new URLSearchParams(location.search);
  let kept = null;
  try { kept = JSON.parse(sessionStorage.getItem(KEPT)); } catch { kept = null; }
  sessionStorage.removeItem(KEPT);
  history.replaceState(null, "", "/ui/");
  return { sent, kept };
}

export function Return({ done }) {
  const [error, setError] = useState(null);
  useEffect(() => {
    const { sent, kept } = returned;
    const finish = async () => {
      if (sent.get("error")) throw new ApiError(400, [`The provider refused: ${sent.get("error_description") || sent.get("error")}`]);
      if (!kept) throw new ApiError(400, ["This tab began no sign-in: begin anew."]);
      const query = { state: sent.get("state") || "", code: sent.get("code") || "", client_nonce: kept.nonce };
      const answer = await call("GET", `auth/${kept.mount}/oidc/callback`, { query, as: "", namespace: kept.vault });
      await signIn(answer.auth.client_token, { own: true, method: "oidc" });
      done();
    };
    finish().catch(setError);
  }, []);
  return html`<div class="sign-in card"><h1>Signing in…</h1>
    ${error ? html`<${Trouble} error=${error} /><${Button} kind="primary" onClick=${done}>Back to sign in<//>` : html`<p role="status">One moment: the server asks the provider who you are.</p>`}</div>`;
}
