// What the session is, and where to go from here.
import { html } from "../lib.js";
import { to } from "../router.js";
import { isOperator, may, refresh, renew } from "../session.js";
import { mountsOf } from "../mounts.js";
import { Badge, Button, Card, Facts, Note, Title, say, useAction } from "../ui.js";
import { ago, when } from "../text.js";

export function Home({ state }) {
  const { self, seal } = state;
  const action = useAction();
  const again = () => action.run(async () => { await renew(); say("The token is renewed."); });
  const operator = isOperator(state);
  return html`<${Title} actions=${html`<${Button} onClick=${refresh}>Look again<//>`}>Overview<//>
    ${state.may === null && !seal?.sealed && html`<${Note}><p>What this token may do cannot be asked; pages are shown, and the server says what it refuses.</p><//>`}
    <div class="cards">
      <${Card} title=${operator ? "The cluster" : "The vault"}>
        <p class="big">${seal?.cluster_name || "–"}</p>
        <p>${seal ? html`<${Badge} kind=${seal.sealed ? "bad" : "good"}>${seal.sealed ? (seal.initialized ? "Sealed" : "Not initialised") : "Unsealed"}<//>` : html`<${Badge}>Unknown<//>`}</p>
        <p class="hint">Server ${seal?.version || "–"}</p>
        <p><a href="#/seal">Seal and shares</a></p>
      <//>
      <${Card} title="This token" actions=${self.renewable && may("auth/token/renew-self", "update") && html`<${Button} kind="small" busy=${action.busy} onClick=${again}>Renew<//>`}>
        <${Facts} of=${[
          ["Name", self.display_name || "–"],
          ["Policies", [...(self.policies || []), ...(self.identity_policies || [])].join(", ") || "–"],
          ["Ends", self.expire_time ? `${when(self.expire_time)} (${ago(self.expire_time)})` : "No end of its own"],
          self.accessor !== "n/a" && ["Accessor", html`<code>${self.accessor}</code>`],
          self.num_uses > 0 && ["Uses left", self.num_uses],
          self.entity_id && ["Entity", html`<code>${self.entity_id}</code>`],
        ]} />
      <//>
      ${!operator && html`<${Card} title="What it reaches"><${Reached} state=${state} /><//>`}
      ${operator && html`<${Card} title="As an operator of the cluster"><p>You see how vaults stand, and never what is in one. Their own operators hold their shares.</p>
        <ul class="links">${may("sys/tenants", "list") && html`<li><a href="#/tenants">Tenants</a></li>`}${may("sys/ha-status", "read") && html`<li><a href="#/nodes">Nodes</a></li>`}${may("sys/key-status", "read") && html`<li><a href="#/rotations">Rotations</a></li>`}</ul><//>`}
    </div>`;
}

function Reached({ state }) {
  const kv = mountsOf(state, "kv");
  const transit = mountsOf(state, "transit");
  if (!kv.length && !transit.length) return html`<p class="muted">No secrets engine, as far as it may see.</p>`;
  return html`<ul class="links">
    ${kv.map(([path, mount]) => html`<li><a href=${`${to("secrets", path)}/`}>${path}</a> <span class="muted">secrets, version ${mount.options?.version || "1"}</span></li>`)}
    ${transit.map(([path]) => html`<li><a href=${to("transit", path)}>${path}</a> <span class="muted">Transit keys</span></li>`)}</ul>`;
}
