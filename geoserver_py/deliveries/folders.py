"""Where uploads lie on disk: one folder an upload, named by its number, never by its sender."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNPACKED = 20
"""Files of an upload may take so many times the size of the largest upload."""


@dataclass(frozen=True, slots=True)
class UploadFolder:
    """The parts of an upload's folder."""

    root: Path

    @property
    def received(self) -> Path:
        """The bytes as they came."""
        return self.root / "received"

    @property
    def files(self) -> Path:
        """What they unpacked to."""
        return self.root / "files"

    @property
    def log(self) -> Path:
        """What the child process said."""
        return self.root / "log.txt"


def upload_folder(home: Path, upload: int) -> UploadFolder:
    """The folder of an upload below `home`."""
    return UploadFolder(home / str(int(upload)))


def form_path(home: Path, run: int, form: str) -> Path:
    """Where a form of a run's report is kept once it was made."""
    return home / "runs" / f"{int(run)}.{form}"
