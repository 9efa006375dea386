// Pages are named behind the `#`, which no server sees: names of mounts and paths only, never a value.
import { useEffect, useState } from "./lib.js";

// "#/secrets/team%2F/a/b" is ["secrets", "team/", "a", "b"]; a folder ends in an empty part.
export function here() {
  const text = location.hash.replace(/^#\/?/, "");
  try { return text.split("/").map(decodeURIComponent); } catch { return [""]; }
}

export const to = (...parts) => `#/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
// A path whose slashes stay.
export const toPath = (path, ...before) => `${to(...before)}/${path.split("/").map(encodeURIComponent).join("/")}`;
export const go = (address) => { location.hash = address; };

export function useRoute() {
  const [route, setRoute] = useState(here);
  useEffect(() => {
    const moved = () => setRoute(here());
    addEventListener("hashchange", moved);
    moved(); // effects come behind the first picture: it may have moved since
    return () => removeEventListener("hashchange", moved);
  }, []);
  return route;
}
