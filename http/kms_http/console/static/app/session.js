// Who is signed in: in the memory of this tab alone, until it is closed, reloaded, signed out of, or left unused.
import { ApiError, capabilities, call, onRefused, read, setToken, tokenOf } from "./api.js";

const listeners = new Set();
let state = { signedIn: false, notice: "" };
let idleMinutes = 15;
let lastUse = 0;
let watch = 0;

export const session = () => state;
export const onSession = (listener) => { listeners.add(listener); return () => listeners.delete(listener); };

function become(next) {
  state = next;
  listeners.forEach((listener) => listener(state));
}

// Paths of which it is asked, once, what the token may do there: what the navigation shows depends on it.
export const ASKED = [
  "sys/policies/acl", "sys/policies/acl/new", "sys/auth", "sys/auth/new", "sys/mounts/new", "sys/audit", "sys/tenants",
  "sys/tenants/new", "sys/ha-status", "sys/seal", "sys/init", "sys/unseal", "sys/key-status", "sys/rotate",
  "sys/rotate/config", "sys/capabilities-self", "sys/capabilities", "sys/capabilities-accessor", "sys/metrics",
  "sys/mounts/new/tune", "sys/mounts/auth/new/tune", "sys/remount", "sys/rekey/init", "sys/rekey/backup",
  "sys/rekey-recovery-key/init", "sys/generate-root/attempt", "sys/quotas/rate-limit", "sys/quotas/rate-limit/new",
  "sys/quotas/config", "identity/entity", "identity/entity/id", "identity/entity/id/new", "identity/entity-alias",
  "identity/entity-alias/id/new", "identity/group", "identity/group/id", "identity/group/id/new", "identity/group-alias",
  "identity/group-alias/id/new",
  "auth/token/create", "auth/token/create-orphan", "auth/token/accessors", "auth/token/lookup",
  "auth/token/lookup-accessor", "auth/token/renew-accessor", "auth/token/revoke-accessor", "auth/token/renew-self",
  "auth/token/revoke-self",
];

// Begins a session; throws what the server says of a token that is none. `own`: a login of this page made it.
export async function signIn(token, { own = false, method = "token" } = {}) {
  setToken(token.trim());
  let self;
  try {
    self = await read("auth/token/lookup-self");
  } catch (error) {
    setToken("");
    throw error.status === 403 ? new ApiError(403, ["This token is not known here, or may not look itself up."]) : error;
  }
  lastUse = Date.now();
  clearInterval(watch);
  watch = setInterval(check, 1000);
  become({ signedIn: true, self, own, method, notice: "", ...(await rights()) });
}

async function rights() {
  let refused = 0;
  const [acl, may, mounts, seal, node] = await Promise.all([
    read("sys/internal/ui/resultant-acl").catch(() => null),
    capabilities(ASKED).catch(() => null),
    read("sys/internal/ui/mounts").catch((error) => { refused = error.status; return null; }),
    call("GET", "sys/seal-status").catch(() => null),
    call("GET", "sys/seal-status", { as: "" }).catch(() => null),
  ]);
  // Every token of a vault may see mounts, however it is narrowed: who is refused is of no vault, but the cluster's
  // operator. A sealed node takes tokens of no vault. What was found when the session began holds until it ends.
  const operator = state.signedIn ? state.operator : refused === 403 || (!mounts && Boolean(node?.sealed));
  return { acl, may, mounts, seal, operator };
}

// Looks anew at what the token may do, and at mounts and seal: after a change of any of them.
export async function refresh() {
  if (!state.signedIn) return;
  const found = await rights();
  if (state.signedIn) become({ ...state, ...found });
}

export const isOperator = (at = state) => at.operator === true;

// Tells whether the token may, as far as was asked; where that is not known, the server is left to say no.
export function may(path, ...wanted) {
  const found = state.may?.[path];
  if (!found) return state.may === null || state.may === undefined;
  return allowed(found, ...wanted);
}

export function allowed(found, ...wanted) {
  if (found.includes("root")) return true;
  if (found.includes("deny")) return false;
  return wanted.length === 0 || wanted.some((each) => found.includes(each));
}

// Tells whether policies give anything below a folder such as `auth/`, beside what `but` begins.
export function reaches(folder, but) {
  if (state.acl?.root || !state.acl) return true;
  const exact = Object.keys(state.acl.exact_paths || {}).some((path) => path.startsWith(folder) && !path.startsWith(but));
  return exact || Object.keys(state.acl.glob_paths || {}).some((path) => (path.startsWith(folder) && !path.startsWith(but)) || folder.startsWith(path));
}

export const idle = () => idleMinutes;
export const setIdle = (minutes) => { idleMinutes = minutes; };
export const used = () => { lastUse = Date.now(); };

function check() {
  if (Date.now() - lastUse > idleMinutes * 60_000) leave(`You were signed out after ${idleMinutes} minutes without use.`);
  const end = state.self?.expire_time && Date.parse(state.self.expire_time);
  if (end && Date.now() > end) leave("You were signed out: the token has ended.");
}

// What is refused may be one thing, or all from now on: the token was revoked, or that from which it was made.
let asking = false;
onRefused(async (used) => {
  if (!state.signedIn || asking || state.self?.num_uses > 0) return; // to ask would be one use of few
  asking = true;
  try {
    await call("GET", "auth/token/lookup-self", { as: used });
  } catch (error) {
    if (error.status === 403 && tokenOf() === used) leave("You were signed out: the server no longer takes the token. It has ended, or was revoked.");
  } finally {
    asking = false;
  }
});

export function leave(notice = "") {
  clearInterval(watch);
  setToken("");
  become({ signedIn: false, notice });
}

// Ends the session; with `revoke` the token, too, whose failure is thrown and leaves the session as it is.
export async function signOut(revoke) {
  if (revoke) await call("POST", "auth/token/revoke-self");
  leave(revoke ? "You are signed out, and the token is revoked." : "You are signed out.");
}

export async function renew() {
  await call("POST", "auth/token/renew-self", { body: {} });
  const self = await read("auth/token/lookup-self");
  become({ ...state, self });
}

export const ownToken = tokenOf;
