"""What a machine without the parts, and without root, is told by the set-up script."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
POSTGRES = "/usr/lib/postgresql/15/bin"
SCRIPT = REPOSITORY / ".ci" / "setup.sh"


def run(path: Path, *words: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-s", "--", *words],
        input=SCRIPT.read_text(encoding="utf-8"),
        cwd="/",
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
        user=user,
    )


def test_a_machine_that_has_everything_is_left_alone() -> None:
    answer = subprocess.run(
        [str(SCRIPT), "tests"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_without_root_one_sentence_names_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "id").symlink_to("/usr/bin/id")  # a machine with hardly a command
    python = tmp_path / "python3"  # one whose venv module is not installed
    python.write_text("#!/bin/sh\ncase $2 in *ensurepip*) exit 1 ;; esac\n")
    python.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    answer = run(tmp_path, "tests", user=65534)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) == 1
    for package in ("gdal-bin", "python3-venv", "chromium", "fonts-noto-cjk", "postgresql-client"):
        assert package in answer.stderr
    assert "let an administrator run 'make setup' here as root" in answer.stderr
    assert "DATABASE_URL" in answer.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.skipif(shutil.which("initdb", path=POSTGRES) is None, reason="no Debian PostgreSQL")
def test_without_root_a_part_that_the_demo_runs_without_is_named_and_does_not_stop_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "id").symlink_to("/usr/bin/id")
    (tmp_path / "python3").symlink_to("/bin/true")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    answer = run(tmp_path, user=65534)
    assert (answer.returncode, answer.stdout) == (0, "")
    assert len(answer.stderr.splitlines()) == 1
    assert "not installed: postgresql-client gdal-bin mdbtools curl" in answer.stderr
    assert "sudo make setup" in answer.stderr


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1\n')
    python.chmod(0o755)
    answer = run(tmp_path)
    assert answer.returncode == 1
    assert "Python 3.9.2 is too old: Python 3.11 or newer" in answer.stderr


def test_the_script_runs_under_the_posix_shell_and_prevents_the_main_cluster() -> None:
    assert subprocess.run(["/bin/sh", "-n", str(SCRIPT)], check=False).returncode == 0
    text = SCRIPT.read_text(encoding="utf-8")
    assert text.index("create_main_cluster = false") < text.index("apt install -y")


@pytest.mark.parametrize("locale", ["POSIX", "C", "zh_CN.GB18030", ""])
def test_make_reads_a_clone_in_a_chinese_folder_whatever_the_callers_locale(locale: str) -> None:
    """The venv names the clone's path in UTF-8; Python reads it in the locale's encoding."""
    rule = 'shown: ; @python3 -c "import locale; print(locale.getencoding())"'
    answer = subprocess.run(
        ["make", "-s", "--eval", rule, "shown"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "LC_ALL": locale},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.lower() == "utf-8\n"
