"""docker-compose.yml and Dockerfile: what they promise, where no engine runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tools.odoo import find_addons

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_images_are_the_official_ones(compose):
    assert compose["services"]["db"]["image"] == "postgres:16"
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)$", dockerfile, re.M) == ["odoo:19"]
    assert compose["services"]["odoo"]["build"] == "."


def test_image_has_our_requirements_and_does_not_run_as_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert any("--requirement /tmp/requirements.txt" in line for line in lines)
    assert [line for line in lines if line.startswith("USER ")][-1] == "USER odoo"
    # All that is sent to the builder is what the Dockerfile copies.
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored == ["*", "!requirements.txt"]


def test_every_addon_is_mounted_read_only(compose):
    mounts = [
        volume
        for volume in compose["services"]["odoo"]["volumes"]
        if volume.startswith("./")
    ]
    assert sorted(mounts) == [
        f"./{addon}:/mnt/extra-addons/{addon}:ro" for addon in find_addons(ROOT)
    ]


def test_data_outlives_the_containers(compose):
    services = compose["services"]
    assert "db-data:/var/lib/postgresql/data" in services["db"]["volumes"]
    assert "odoo-data:/var/lib/odoo" in services["odoo"]["volumes"]
    assert set(compose["volumes"]) == {"db-data", "odoo-data"}


@pytest.mark.parametrize("service", ["db", "odoo"])
def test_services_tell_their_health(compose, service):
    check = compose["services"][service]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(check)


def test_odoo_waits_for_a_healthy_database(compose):
    assert compose["services"]["odoo"]["depends_on"] == {
        "db": {"condition": "service_healthy"}
    }


def test_secret_comes_from_the_environment_and_is_written_nowhere(compose):
    assert compose["secrets"] == {
        "postgres_password": {"environment": "POSTGRES_PASSWORD"}
    }
    for service in compose["services"].values():
        assert service["secrets"] == ["postgres_password"]
        for name, value in service["environment"].items():
            if "PASSWORD" in name:
                assert name.endswith("_FILE")
                assert value == "/run/secrets/postgres_password"
    example = (ROOT / ".env.example").read_text()
    assert re.search(r"^#POSTGRES_PASSWORD=", example, re.M)
    assert not re.search(r"^POSTGRES_PASSWORD=", example, re.M)


def test_only_this_machine_reaches_odoo_and_nobody_the_database(compose):
    assert compose["services"]["odoo"]["ports"] == ["127.0.0.1:${PORT:-8069}:8069"]
    assert "ports" not in compose["services"]["db"]


def _has_compose():
    if not shutil.which("docker"):
        return False
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True)
    return asked.returncode == 0


@pytest.mark.skipif(not _has_compose(), reason="docker compose is not installed")
def test_compose_itself_accepts_the_file():
    done = subprocess.run(
        ["docker", "compose", "--file", "docker-compose.yml", "config", "--quiet"],
        cwd=ROOT,
        env={**os.environ, "POSTGRES_PASSWORD": "only-to-check"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
