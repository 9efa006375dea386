// Mounts that the token may reach, by type, and the way to what lies in one.
import { to, toPath } from "./router.js";

export const mountsOf = (state, type) => Object.entries(state.mounts?.secret || {}).filter(([, mount]) => mount.type === type);
export const loginsOf = (state) => Object.entries(state.mounts?.auth || {});
export const versionOf = (mount) => (mount?.options?.version === "2" ? 2 : 1);

// The way from all mounts to a folder or a secret.
export function trailOf(mount, path) {
  const parts = path.split("/").slice(0, path.endsWith("/") ? -2 : -1);
  return [["Secrets", "#/secrets"], ...(path ? [[mount, `${to("secrets", mount)}/`]] : []),
    ...parts.map((part, index) => [part, `${toPath(parts.slice(0, index + 1).join("/"), "secrets", mount)}/`])];
}

// The folder that a secret lies in.
export const parentOf = (mount, path) => (path.includes("/") ? `${toPath(path.replace(/\/[^/]*$/, ""), "secrets", mount)}/` : `${to("secrets", mount)}/`);

// What each method calls those that may log in, and where they are.
export const PARTIES = { approle: ["role", "Role"], userpass: ["users", "User"], jwt: ["role", "Role"], oidc: ["role", "Role"], kubernetes: ["role", "Role"], cert: ["certs", "Certificate role"] };
