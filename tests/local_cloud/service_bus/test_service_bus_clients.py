"""Test the local Service Bus with Microsoft's clients for .NET and JavaScript, which have codecs of
their own.
"""

import os
import subprocess
from pathlib import Path

import pytest

from local_cloud.service_bus import LocalServiceBus
from tests.local_cloud.service_bus.service_bus_wire import WIRED_QUEUES

#: A program of checks with Azure.Messaging.ServiceBus; its queues stand beside it.
PROGRAM = os.environ.get("SERVICE_BUS_DOTNET", "")


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    not PROGRAM, reason="needs SERVICE_BUS_DOTNET, a program of Microsoft's client: .ci/run"
)
def test_client_for_dotnet_passes_its_checks() -> None:
    with LocalServiceBus(Path(PROGRAM).with_name("queues.json")) as bus:
        run = subprocess.run(
            [PROGRAM, "--port", str(bus.port)],
            env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )

    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "26 passed, 0 failed"


SCRIPT = Path(__file__).with_name("service_bus_npm.cjs")
#: Folder with the package `@azure/service-bus`; CI installs it with npm.
MODULES = os.environ.get("SERVICE_BUS_NPM")


@pytest.mark.npm
@pytest.mark.skipif(not MODULES, reason="needs SERVICE_BUS_NPM, see .ci/run")
def test_client_for_javascript_passes_its_checks() -> None:
    with LocalServiceBus(WIRED_QUEUES) as bus:
        environment = {
            "NODE_PATH": MODULES or "",
            "CONNECTION_STRING": bus.connection_string,
            "QUEUES": " ".join(queue.name for queue in WIRED_QUEUES),
        }
        run = subprocess.run(
            ["node", "--test", "--test-reporter=spec", SCRIPT],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "pass 8" in run.stdout
