// Two people who edit the same thing: nobody writes over what they have not seen.
import { html } from "./lib.js";
import { ApiError, read } from "./api.js";
import { Button, Note } from "./ui.js";

// What somebody else has written meanwhile, and what may become of it. `take`: theirs goes into the form; `keep`: what
// is in the form stays, to be written over theirs, which was seen here.
export const Clash = ({ what, text, take, keep }) => html`<${Note} kind="warn"><p role="status">Somebody has written it meanwhile. This is there now (${what}):</p>
  <pre class="value" tabindex="0" aria-label="What is there now">${text}</pre>
  <div class="actions"><${Button} onClick=${take}>Take this text<//><${Button} onClick=${keep}>Keep mine, to write over it<//></div><//>`;

// Throws where some of `fields` (all, if none are named) are not as `before` has them, {} for what is to be new: what the
// API has no check-and-set for is compared before it is written. Of two who write in the moment between, the last wins.
export async function unchanged(path, before, fields) {
  const fresh = Object.keys(before).length === 0;
  const now = await read(path).catch((error) => { if (error.status === 404 || (fresh && error.status === 403)) return {}; throw error; });
  const other = (fields || Object.keys({ ...before, ...now })).filter((name) => JSON.stringify(now[name]) !== JSON.stringify(before[name]));
  if (other.length) throw new ApiError(409, [fresh ? "There is one of this name already: open it, and look at what is there."
    : `Somebody has changed it meanwhile (${other.join(", ")}): open the page anew, and look at what is there.`]);
}
