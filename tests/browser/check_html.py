"""Every page of the demonstration before Nu, the W3C's checker of HTML: ``make html``.

Not collected with the tests, since the checker needs Java. It follows all links from the first pages of
parents and agents, and checks one page of each kind, with the words of its address apart.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
from pyotp import TOTP
from visitor import Demo

from core.cli.demo import AGENT, AGENT_PASSWORD

CHECKER = Path(sys.prefix) / "npm" / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
PAGES_AT_MOST = 400
"""So that the walk ends, whatever the pages link to."""
PAGES_OF_A_KIND = 3


def enter(client: httpx.Client, address: str, **fields: str) -> None:
    """Come in by a form."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(address).text)[1]
    answer = client.post(address, data={"csrf_token": token, **fields})
    assert "connexion" not in str(answer.url), f"{address}: {answer.status_code}"


def walk(client: httpx.Client, first: str) -> Iterator[tuple[str, str]]:
    """Address and HTML of the pages that `first` leads to."""
    found, seen, kinds = [first], {first}, {}
    town = urlsplit(first).path.split("/")[1]
    while found and len(seen) < PAGES_AT_MOST:
        address = found.pop(0)
        kind = re.sub(r"\d+", "1", re.sub(r"=[^&]*", "", address))
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] > PAGES_OF_A_KIND:
            continue
        answer = client.get(address)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        yield address, answer.text
        for link in re.findall(r'<a [^>]*href="([^"#]+)', answer.text):
            target = urljoin(address, unescape(link))
            inside = urlsplit(target).path.split("/")[1:2] == [town]
            if inside and target.startswith(str(client.base_url)) and target not in seen:
                seen.add(target)
                found.append(target)


def pages(demo: Demo) -> Iterator[tuple[str, str]]:
    """All pages of both towns, as a visitor, as each family in both languages, and as an agent."""
    options = {"base_url": demo.url, "follow_redirects": True, "trust_env": False, "timeout": 90}
    with httpx.Client(**options) as client:
        yield f"{demo.url}/", client.get("/").text
    for town, families in demo.codes.items():
        with httpx.Client(**options) as client:
            yield from walk(client, f"{demo.url}/{town}/")
        for code, secret in families.items():
            with httpx.Client(**options) as client:
                enter(client, f"{demo.url}/{town}/connexion", family_code=code, child_code=secret)
                yield from walk(client, f"{demo.url}/{town}/factures")
        with httpx.Client(**options) as client:
            code = TOTP(demo.agents[town]["secret"]).now()
            enter(client, f"{demo.url}/{town}/regie/connexion", email=AGENT, password=AGENT_PASSWORD, code=code)
            yield from walk(client, f"{demo.url}/{town}/regie")


def complaints(demo: Demo, folder: Path) -> tuple[int, str]:
    """Number of pages, and everything that Nu says of them."""
    folder.mkdir(parents=True, exist_ok=True)
    addresses = {}
    for number, (address, html) in enumerate(pages(demo)):
        (folder / f"{number}.html").write_text(html, "utf-8")
        addresses[f"{number}.html"] = address
    command = ["java", "-jar", str(CHECKER), "--format", "gnu", "--stdout", *map(str, folder.glob("*.html"))]
    said = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False).stdout
    return len(addresses), re.sub(r'"file:[^"]*/(\d+\.html)"', lambda file: addresses[file[1]], said)


def test_nu_finds_no_fault(demo, tmp_path):
    count, said = complaints(demo, tmp_path)
    assert count > 100
    assert said == ""
