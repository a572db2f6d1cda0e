import shutil
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from local_cloud.demo.app_client import App
from tests.e2e.test_deployment_under_way import (
    FLOWS,
    SETTINGS,
    read_tenant_state,
    start_remediation,
    wait_for_log,
    wait_until_ended,
)
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT
from tests.performance.over_the_wire import (
    Run,
    run_module,
    serve_cloud,
    sign_in_service_account,
)


@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_remediation_continues_on_a_restored_state(tmp_path: Path) -> None:
    """No flow may be copied twice."""
    async with serve_cloud(Run(flows=FLOWS), tmp_path) as stack, aiohttp.ClientSession() as session:
        await sign_in_service_account(stack)
        passphrase = {"CMKFLOW_STATE_PASSPHRASE": "correct horse"}
        period = {"CMK_NO_CALL_PERIOD": "PT3S"}
        settings = {**stack.options.settings, **SETTINGS, **period, **passphrase}
        stack.options = replace(stack.options, settings=settings)
        await stack.start_app()
        app = App(session, lambda: stack.app)
        remediation = await start_remediation(app)
        await wait_for_log(stack, ": updating_callers -> checking_for_calls", FLOWS // 2)
        await stack.kill_app()
        folder = tmp_path / "state"
        state = (str(tmp_path / "exported"), "--state-folder", str(folder))

        await run_module(stack, "-m", "cmkflow", "state", "export", *state)
        shutil.rmtree(folder)
        await run_module(stack, "-m", "cmkflow", "state", "import", *state)
        await stack.start_app()
        progress = await wait_until_ended(app, remediation)

        environment = await read_tenant_state(stack, session, f"environments/{ENVIRONMENT}")
    assert progress["flow_states"] == {"retired": FLOWS}
    assert environment["flows"] == 2 * FLOWS
