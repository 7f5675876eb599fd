"""Every setting of the service, from the environment: `GEOSERVER_PY_<NAME>`, or `.env`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from geoserver_py.cluster import ClusterPaths, status
from geoserver_py.errors import WorkFailed


class Settings(BaseSettings):
    """Settings of one installation; see each field's description."""

    model_config = SettingsConfigDict(
        env_prefix="GEOSERVER_PY_", env_file=".env", extra="ignore", frozen=True
    )

    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("GEOSERVER_PY_DATABASE_URL", "DATABASE_URL", "database_url"),
        description="libpq URL of a PostGIS database to use instead of the private cluster",
    )
    data_dir: Path = Field(
        default=Path(".data"), description="folder of the private cluster and of what is built"
    )
    postgres_bin: Path | None = Field(
        default=None, description="folder of initdb and pg_ctl, when not Debian's newest"
    )
    host: str = Field(default="127.0.0.1", description="address that the HTTP server listens on")
    port: int = Field(default=8000, ge=1, le=65535, description="port of the HTTP server")
    workers: int = Field(default=1, ge=1, le=64, description="server processes")
    shutdown_seconds: int = Field(
        default=2, ge=0, description="grace for running requests when the server is stopped"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level of log lines"
    )
    city: str = Field(default="meizhou", description="city profile: name or path of a city.yaml")
    base_url: str | None = Field(
        default=None, description="public URL in links, when a proxy hides the server"
    )
    tile_cache_mb: int = Field(
        default=64, ge=0, description="memory for encoded vector tiles a process, 0 for none (MiB)"
    )
    upload_dir: Path | None = Field(
        default=None, description="folder of the deliveries uploaded; DATA_DIR/uploads when unset"
    )
    upload_max_mb: int = Field(
        default=2048, ge=1, description="largest upload of a delivery, as sent (MiB)"
    )
    upload_quota_mb: int = Field(
        default=51_200, ge=1, description="disk that the uploads of one bureau may take (MiB)"
    )
    upload_day_mb: int = Field(
        default=20_480, ge=1, description="what one bureau may upload within 24 hours, sent (MiB)"
    )
    upload_day_count: int = Field(
        default=200, ge=1, description="uploads of one bureau within 24 hours"
    )
    upload_keep_days: float = Field(
        default=30, ge=0, description="days that the files of an upload are kept after it ended"
    )
    upload_look_seconds: int = Field(
        default=300, ge=1, description="longest that unpacking and looking into an upload may take"
    )
    upload_run_seconds: int = Field(
        default=1800, ge=1, description="longest that a run of an upload may take, once it starts"
    )
    upload_form_seconds: int = Field(
        default=120, ge=1, description="longest that a form of a report may take to be made"
    )
    job_dir: Path | None = Field(
        default=None, description="folder of the tables of jobs; DATA_DIR/jobs when unset"
    )
    job_max_mb: int = Field(
        default=256, ge=1, description="largest table that a job of a process takes (MiB)"
    )
    job_keep_days: float = Field(
        default=7, ge=0, description="days that a job and its results are kept after it ended"
    )
    job_run_seconds: int = Field(
        default=7200, ge=1, description="longest that a job may run, once it starts"
    )
    raster_dir: Path | None = Field(
        default=None, description="folder of the published rasters; DATA_DIR/rasters when unset"
    )
    demo_seed: int = Field(default=20261122, description="seed of the synthetic sample city")
    demo_scale: float = Field(default=1.0, gt=0, description="size of the synthetic sample city")
    real_data: Path | None = Field(
        default=None, description="folder of the real data sets that `make demo DATA=` loads too"
    )

    @field_validator(
        "database_url",
        "real_data",
        "postgres_bin",
        "base_url",
        "upload_dir",
        "raster_dir",
        "job_dir",
        mode="before",
    )
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        return None if value == "" else value  # `make demo` passes unset variables as ""

    @property
    def cluster(self) -> ClusterPaths:
        """Paths of the private cluster."""
        return ClusterPaths(self.data_dir.absolute())

    @property
    def upload_home(self) -> Path:
        """Absolute folder of the uploaded deliveries."""
        return (self.upload_dir or self.data_dir / "uploads").absolute()

    @property
    def job_home(self) -> Path:
        """Absolute folder of the tables of jobs."""
        return (self.job_dir or self.data_dir / "jobs").absolute()

    @property
    def raster_home(self) -> Path:
        """Absolute folder of the published rasters."""
        return (self.raster_dir or self.data_dir / "rasters").absolute()

    @property
    def demo_key_file(self) -> Path:
        """File (mode 600) of the API key that `make demo` makes and prints."""
        return self.data_dir / "demo-key"

    def dsn(self) -> str:
        """Return the libpq URL of the database: the outside one, or the running private one.

        Raises WorkFailed when neither is there.
        """
        if self.database_url:
            return self.database_url
        running = status(self.cluster)
        if running is None:
            raise WorkFailed(
                "no database: `geoserver-py db up` starts the private one, or set DATABASE_URL"
            )
        return running.dsn()


def load_settings() -> Settings:
    """Return the settings of this environment; WorkFailed names the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as problem:
        first = problem.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        if not name.endswith("DATABASE_URL"):
            name = f"GEOSERVER_PY_{name}"
        raise WorkFailed(f"setting {name}={first['input']!r}: {first['msg']}") from problem
