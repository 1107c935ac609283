"""A real browser without a window: what it says of a page, what the page asks for, what it looks like."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
_TIMEOUT_S = 180
# Put before all else, so that it hears of every error, those of pictures too; told in the page when all is there.
_PROBE = """<script>
const heard = [];
const lost = place => "not loaded: " + (place.src || place.href);
addEventListener("error", event => heard.push(event.message || lost(event.target)), true);
addEventListener("unhandledrejection", event => heard.push(String(event.reason)));
for (const level of ["error", "warn"]) console[level] = (...words) => heard.push(words.join(" "));
addEventListener("load", async () => {
  const pictures = [...document.images];
  await Promise.allSettled(pictures.map(picture => picture.decode()));
  const wide = document.documentElement;
  const entries = performance.getEntriesByType("resource").map(entry => entry.name);
  document.body.setAttribute("data-probe", JSON.stringify({
    errors: heard,
    pictures: pictures.map(picture => [picture.naturalWidth, picture.naturalHeight, picture.alt]),
    asked: entries.filter(name => !name.startsWith("data:")),
    overflows: wide.scrollWidth > wide.clientWidth,
    links: [...document.querySelectorAll("a")].filter(a => !document.querySelector(a.getAttribute("href"))).length,
  }));
});
</script>"""


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page.

    Attributes
    ----------
    errors : list of str
        Of scripts, the console, and everything that did not load.
    pictures : list of (width, height, alternative text)
    asked : list of str
        Addresses that the page asked for, but for those it holds itself.
    overflows : bool
        Whether the page is wider than the window.
    broken_links : int
    """

    errors: list[str]
    pictures: list[tuple[int, int, str]]
    asked: list[str]
    overflows: bool
    broken_links: int


def see(page: Path, scratch: Path, *, width: int = 1200) -> Seen:
    """Open a page and listen."""
    probed = scratch / "probed.html"
    probed.write_text(page.read_text(encoding="utf-8").replace("<head>", f"<head>{_PROBE}", 1), encoding="utf-8")
    log = scratch / "net.json"
    dom = _run(
        scratch,
        probed,
        "--dump-dom",
        f"--log-net-log={log}",
        f"--window-size={width},900",
        "--virtual-time-budget=20000",
    )
    found = re.search(r'data-probe="([^"]*)"', dom)
    if found is None:
        raise AssertionError(f"the page never loaded: {dom[-300:]!r}")
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    pictures = [(int(wide), int(high), str(alt)) for wide, high, alt in told["pictures"]]
    return Seen(told["errors"], pictures, [*told["asked"], *_sent(log)], told["overflows"], told["links"])


def screenshot(page: Path, scratch: Path, picture: Path, *, width: int = 1200, height: int = 2400) -> None:
    """Draw a page as a reader sees it."""
    _run(scratch, page, f"--screenshot={picture}", f"--window-size={width},{height}", "--virtual-time-budget=20000")


def _sent(log: Path) -> list[str]:
    """Return the addresses that pages asked the network for; the browser's own requests are not their doing."""
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = [event["params"] for event in events if "url" in event.get("params", {})]
    return sorted({each["url"] for each in asked if each.get("initiator", "not an origin") != "not an origin"})


def _run(scratch: Path, page: Path, *words: str) -> str:
    if BROWSER is None:
        raise FileNotFoundError("no browser")
    profile = scratch / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    call = [BROWSER, *_FLAGS, f"--user-data-dir={profile}", *words, page.resolve().as_uri()]
    done = subprocess.run(call, capture_output=True, check=True, timeout=_TIMEOUT_S)
    return done.stdout.decode(errors="replace")
