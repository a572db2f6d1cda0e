"""Test how long the app's imports take. Each cold start of an instance waits for them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Imports what any such app needs: Functions and the Service Bus SDK.
MOST = 1.5
MOST_OF_TELEMETRY = 0.9
RUNS = 7
LIBRARIES = "import azure.functions, azure.servicebus"
APP = "import function_app"
FLOW_JOBS = "import function_app, functions.queue_messages, shared.use_cases.run_flow_job"
SDKS = (
    "azure.data.tables",
    "azure.identity",
    "azure.keyvault",
    "azure.mgmt",
    "azure.servicebus",
    "azure.storage.blob",
    "aiohttp",
    "cryptography",
    "jinja2",
    "msal",
    "opentelemetry",
    "requests",
    "rich",
    "typer",
    "local_cloud",
    "cmkflow",
)
TELEMETRY = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:9",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": (
        "InstrumentationKey=00000000-0000-4000-8000-000000000000;"
        "IngestionEndpoint=https://localhost:9/"
    ),
}
#: What a first call imports with or without telemetry.
SERVICES = (
    "import aiohttp, azure.identity.aio, requests; from contextlib import AsyncExitStack; "
    "from shared.adapters.http import client; "
    "from shared.bootstrap.core_services import build_telemetry; "
    "from shared.settings import Settings; settings = Settings(tenant_id='t')"
)
#: What only requests and messages need.
OURS = ("functions.dashboard", "functions.http_responses", "shared.steps", "shared.use_cases")
_CODE = """
import json, os, sys, time
{first}
before = time.process_time()
{code}
print(json.dumps({{"seconds": time.process_time() - before, "modules": sorted(sys.modules)}}))
sys.stdout.flush()
os._exit(0)  # without sending anything
"""


@pytest.fixture(scope="module")
def compiled_environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return the environment of processes that find all modules compiled, as in the deployed
    package.
    """
    folder = tmp_path_factory.mktemp("bytecode")
    variables = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    for code in (LIBRARIES, FLOW_JOBS):
        _measure_seconds(code, variables)
    return variables


def _run_import(code: str, variables: Mapping[str, str], first: str = "") -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", _CODE.format(code=code, first=first)],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, object] = json.loads(done.stdout)
    return told


def _measure_seconds(code: str, variables: Mapping[str, str], first: str = "") -> float:
    return float(str(_run_import(code, variables, first)["seconds"]))


def _find_loaded_modules(
    code: str, variables: Mapping[str, str], names: tuple[str, ...]
) -> set[str]:
    modules = _run_import(code, variables)["modules"]
    assert isinstance(modules, list)
    return {name for name in names for one in modules if f"{one}.".startswith(f"{name}.")}


def test_the_app_starts_within_its_budget(compiled_environment: Mapping[str, str]) -> None:
    """Other processes disturb a measurement, so the shortest of several counts."""
    runs = [
        (
            _measure_seconds(LIBRARIES, compiled_environment),
            _measure_seconds(APP, compiled_environment),
        )
        for _ in range(RUNS)
    ]
    libraries, app = (min(times) for times in zip(*runs, strict=True))

    assert app <= MOST * libraries, (app, libraries)


def test_app_start_imports_no_sdk_and_no_handler(compiled_environment: Mapping[str, str]) -> None:
    for settings in ({}, TELEMETRY):
        assert _find_loaded_modules(APP, {**compiled_environment, **settings}, SDKS + OURS) == set()


@pytest.mark.parametrize("settings", [{}, *({name: value} for name, value in TELEMETRY.items())])
def test_telemetry_is_imported_only_with_a_destination(
    settings: Mapping[str, str], compiled_environment: Mapping[str, str]
) -> None:
    """The test sends nothing."""
    code = f"{SERVICES}; build_telemetry(settings, AsyncExitStack())"

    found = _find_loaded_modules(code, {**compiled_environment, **settings}, ("opentelemetry",))

    assert found == ({"opentelemetry"} if settings else set())


@pytest.mark.parametrize("name", TELEMETRY)
def test_telemetry_is_imported_within_its_budget(
    name: str, compiled_environment: Mapping[str, str]
) -> None:
    """The budget is relative to the time that other imports take on the same machine."""
    variables = {**compiled_environment, name: TELEMETRY[name]}
    code = "build_telemetry(settings, AsyncExitStack())"
    _measure_seconds(code, variables, SERVICES)
    runs = [
        (
            _measure_seconds(LIBRARIES, compiled_environment),
            _measure_seconds(code, variables, SERVICES),
        )
        for _ in range(RUNS)
    ]
    libraries, telemetry = (min(times) for times in zip(*runs, strict=True))

    assert telemetry <= MOST_OF_TELEMETRY * libraries, (telemetry, libraries)


def test_flow_job_imports_no_pages_and_no_assessment(
    compiled_environment: Mapping[str, str],
) -> None:
    """Most instances only process queue messages."""
    others = ("functions.endpoints", "functions.dashboard", "shared.steps.assessing", *SDKS)

    assert _find_loaded_modules(FLOW_JOBS, compiled_environment, others) == set()
