"""What README and docs tell people to type works: curl lines are run, links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.service.conftest import City

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
RUN = ("README.md", "operator.md", "integrator.md")
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.M)


def curl_lines() -> list[str]:
    """Each curl line of the pages for integrators and operators."""
    return [
        line.strip()
        for page in PAGES
        if page.name in RUN
        for block in BLOCK.findall(page.read_text("utf-8"))
        for line in block.splitlines()
        if line.strip().startswith("curl ")
    ]


@pytest.mark.parametrize("line", curl_lines())
def test_a_curl_line_answers_as_the_page_says(city: City, line: str, tmp_path: Path) -> None:
    """2xx, or the status that a comment behind the line names."""
    command, _, comment = line.partition("   # ")
    expected = comment or "2"
    told = command.replace("http://127.0.0.1:8000", city.url)
    told = told.replace("curl ", "curl -m 30 -w '%{stderr}%{http_code}' ", 1)
    done = subprocess.run(
        ["/bin/bash", "-c", told],
        env={**os.environ, "KEY": city.restricted_key},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(expected), f"{done.stderr}: {done.stdout[:400]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    inside = [target for target in targets if not re.match(r"[a-z]+:|/", target)]
    assert [target for target in inside if not (page.parent / target).exists()] == []
