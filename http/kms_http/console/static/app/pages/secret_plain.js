// One secret of KV version 1: what was written last.
import { html, useState } from "../lib.js";
import { allowed } from "../session.js";
import { call, capabilities, remove } from "../api.js";
import { parentOf, trailOf } from "../mounts.js";
import { unchanged } from "../clash.js";
import { go } from "../router.js";
import { Asking, Button, Title, Trouble, say, useLoad } from "../ui.js";
import { Editor } from "./secret_edit.js";
import { Values } from "./secret.js";

export function PlainSecret({ mount, path }) {
  const [editing, setEditing] = useState(false);
  const loaded = useLoad(() => call("GET", mount + path).then((answer) => answer.data), [mount, path]);
  const caps = useLoad(() => capabilities([mount + path]).then((found) => found[mount + path]), [mount, path]);
  const can = (...wanted) => (caps.data ? allowed(caps.data, ...wanted) : caps.error !== undefined);
  const again = () => { setEditing(false); loaded.reload(); };
  const discard = async () => { await unchanged(mount + path, loaded.data); return remove(mount + path); };
  const gone = () => { say("The secret is gone."); go(parentOf(mount, path)); };
  const missing = loaded.error?.status === 404;
  return html`<${Title} trail=${trailOf(mount, path)} actions=${html`
      ${can("update", "create") && (loaded.data || missing) && !editing && html`<${Button} kind="primary" onClick=${() => setEditing(true)}>${missing ? "Write it" : "Edit"}<//>`}
      ${loaded.data && can("delete") && html`<${Asking} button="Delete" kind="danger-quiet" title="Delete the secret?" text="Version 1 keeps nothing of it." label="Delete" act=${discard} done=${gone} />`}`}>${path.split("/").at(-1)}<//>
    ${editing ? html`<${Editor} mount=${mount} path=${path} version=${1} data=${loaded.data || {}} close=${() => setEditing(false)} done=${again} />`
      : html`<${Trouble} error=${loaded.error} />${loaded.data && html`<${Values} data=${loaded.data} />`}`}`;
}
