"""A headless Chromium, driven by W3C WebDriver over HTTP: what a person would do in it, by labels and names.

Source: https://www.w3.org/TR/webdriver2/; `goog:` is chromedriver's own.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.browser_keys import CHOSEN_BY_ITSELF, People
from tests.support.node import free_port

#: Seconds that a page may take to show what is waited for.
PATIENCE: Final = 30.0
#: Keys, as WebDriver names them.
TAB, ENTER, ESCAPE, ARROW_RIGHT, ARROW_DOWN = "\ue004", "\ue007", "\ue00c", "\ue014", "\ue015"
#: Where else than in its home a browser would look for what a user has.
_FOLDERS: Final = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-GB",
    "--force-device-scale-factor=1",
)
#: Finds what can be used, by the name that assistive technology would tell.
_BY_NAME: Final = """
const [selector, name, exact] = arguments;
const named = (e) => (e.getAttribute("aria-label") || [...(e.labels || [])].map((l) => l.textContent).join(" ")
  || e.textContent).trim();
const usable = (e) => e.checkVisibility() && !e.disabled
  && !(document.querySelector("dialog[open]") && !e.closest("dialog[open]"));
const found = [...document.querySelectorAll(selector)].filter((e) => usable(e) && (exact ? named(e) === name
  : named(e).includes(name)));
return found.find((e) => e.closest("main")) || found[0] || null;
"""
_USABLE: Final = "button, a, summary, [role=tab]"
_FIELDS: Final = "input, select, textarea"


def require_chromium() -> str:
    """Return chromedriver's path; skip where it or the browser is absent."""
    found = shutil.which("chromedriver")
    if found is None or shutil.which("chromium") is None:
        pytest.skip("Chromium is not installed (Debian: chromium chromium-driver): the console is not tested")
    return found


class Browser:
    """One window. What it writes to its console is kept for `complaints`."""

    def __init__(self, port: int, session: str) -> None:
        self._port, self._session = port, session

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the value of an answer of WebDriver."""
        return _ask(self._port, method, f"/session/{self._session}{path}", body)

    def open(self, address: str) -> None:
        self.ask("POST", "/url", {"url": address})

    def script(self, text: str, *arguments: Any) -> Any:
        return self.ask("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def later(self, text: str, *arguments: Any) -> Any:
        """Return what a script gives to its last argument, a function."""
        return self.ask("POST", "/execute/async", {"script": text, "args": list(arguments)})

    def develop(self, command: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    @property
    def text(self) -> str:
        return str(self.script("return document.body.innerText"))

    def wait(self, holds: Callable[[], Any], what: str) -> Any:
        """Return what `holds` gives once that is true."""
        deadline, pause = time.monotonic() + PATIENCE, 0.02
        while not (found := holds()):
            assert time.monotonic() < deadline, f"in vain: {what}\n{self.text}"
            time.sleep(pause)
            pause = min(1.3 * pause, 0.2)  # looking takes the browser's time, too
        return found

    def shows(self, *texts: str) -> None:
        """Wait until the page has all of these texts."""
        for text in texts:
            self.wait(lambda: text in self.text, text)  # noqa: B023 - called at once

    def find(self, name: str, selector: str = _USABLE, *, exact: bool = True) -> Any:
        """Wait for what can be used by this name."""
        return self.wait(lambda: self.script(_BY_NAME, selector, name, exact), name)

    def has(self, name: str) -> bool:
        """Tell whether something can be used by this name now."""
        return self.script(_BY_NAME, _USABLE, name, True) is not None

    def click(self, name: str, selector: str = _USABLE) -> None:
        self._on(self.find(name, selector), "click", {})

    def answer(self, name: str) -> None:
        """Wait for a question, and click one of its buttons."""
        self.wait(lambda: self.script("return !!document.querySelector('dialog[open]')"), f"a question: {name}")
        self.click(name)

    def check(self, name: str) -> None:
        """Click a box by its label."""
        self._on(self.find(name, _FIELDS), "click", {})

    def fill(self, name: str, text: str) -> None:
        """Put a text into the field of this label, in place of what it has, as if it were pasted."""
        self.script("arguments[0].focus(); arguments[0].select()", self.find(name, _FIELDS))
        self.develop("Input.insertText", text=text)

    def choose(self, name: str, option: str) -> None:
        """Choose an option by its text."""
        field = self.find(name, "select")
        self.script(
            "const [f, t] = arguments; f.value = [...f.options].find((o) => o.text.trim() === t).value;"
            "for (const each of ['input', 'change']) f.dispatchEvent(new Event(each, {bubbles: true}));",
            field,
            option,
        )

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def colours(self, scheme: str) -> None:
        """Prefer `light` or `dark`, and no motion: what fades is of no colour for a while."""
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        self.develop(
            "Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in wanted.items()]
        )

    def resize(self, width: int, height: int) -> None:
        self.develop(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        """Return errors and warnings since the last look; answers of the API that are errors are none of them."""
        entries: list[Mapping[str, Any]] = self.ask("POST", "/se/log", {"type": "browser"})
        return [
            entry["message"]
            for entry in entries
            if entry["level"] in ("SEVERE", "WARNING")
            and not ("/v1/" in entry["message"] and "Failed to load resource" in entry["message"])
        ]

    def _on(self, element: Any, what: str, body: Any) -> None:
        self.ask("POST", f"/element/{element[_ELEMENT]}/{what}", body)


def _ask(port: int, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = json.loads(connection.getresponse().read())["value"]
    finally:
        connection.close()
    assert not (isinstance(answer, dict) and "error" in answer), answer
    return answer


@contextlib.contextmanager
def browser(driver: str, width: int = 1280, height: int = 900, people: People | None = None) -> Iterator[Browser]:
    """Run a browser with a home of its own, in which is nothing, or what `people` put there."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        if people is not None:
            people.move_in(Path(home))
        process = stack.enter_context(
            subprocess.Popen(
                [driver, f"--port={port}"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "HOME": home, **{name: f"{home}/{name}" for name in _FOLDERS}},
            )
        )
        try:
            _wait_for(port)
            flags = [*_FLAGS, f"--window-size={width},{height}", f"--user-data-dir={home}/profile"]
            wanted = {
                "goog:chromeOptions": {"args": flags, "prefs": CHOSEN_BY_ITSELF},
                "goog:loggingPrefs": {"browser": "ALL"},
                "timeouts": {"script": 60_000},
            }
            made = _ask(port, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            window = Browser(port, made["sessionId"])
            yield window
            window.ask("DELETE", "")
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if _ask(port, "GET", "/status")["ready"]:
                return
        except OSError:
            assert time.monotonic() < deadline, "chromedriver does not answer"
        time.sleep(0.05)
