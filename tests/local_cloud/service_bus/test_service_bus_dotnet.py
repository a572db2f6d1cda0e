"""Test the local Service Bus with Microsoft's client for .NET, which has its own codec."""

import os
import subprocess
from pathlib import Path

import pytest

from local_cloud.service_bus import LocalServiceBus

#: A program of checks with Azure.Messaging.ServiceBus; its queues stand beside it.
PROGRAM = os.environ.get("SERVICE_BUS_DOTNET", "")


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    not PROGRAM, reason="needs SERVICE_BUS_DOTNET, a program of Microsoft's client: .ci/run"
)
def test_client_for_dotnet_passes_its_checks() -> None:
    """A program with Microsoft's client makes its own checks, and all of them pass."""
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
