import json
from pathlib import Path

import aiohttp
import pytest

from tests.local_cloud.functions_host.functions_host_process import (
    SAMPLE_APP,
    run_failed_start,
    run_host,
    wait_until,
)

_APP = "import azure.functions as func\napp = func.FunctionApp()\n"
_HTTP = "def {name}(req: func.HttpRequest) -> str:\n    return ''\n"
_QUEUE = "def job(message: func.ServiceBusMessage) -> None:\n    pass\n"
_OUTPUT = """
@app.route()
@app.queue_output(arg_name='out', queue_name='q', connection='S')
def both(req: func.HttpRequest, out: func.Out[str]) -> str:
    return ''
"""
_BUS = "Endpoint=sb://localhost:9;SharedAccessKeyName=x;SharedAccessKey=secret;"


def _write_app(folder: Path, code: str, host_json: str = '{"version": "2.0"}') -> Path:
    app_dir = folder / "app"
    app_dir.mkdir()
    (app_dir / "function_app.py").write_text(_APP + code)
    (app_dir / "host.json").write_text(host_json)
    return app_dir


def _build_timer_app(schedule: str) -> str:
    trigger = f"@app.timer_trigger(arg_name='timer', schedule='{schedule}')\n"
    return trigger + "def tick(timer: func.TimerRequest) -> None:\n    pass\n"


def _build_queue_app(arguments: str) -> str:
    trigger = f"@app.service_bus_queue_trigger(arg_name='message', connection='Bus', {arguments})\n"
    return trigger + _QUEUE


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise ValueError('broken app')\n", "ValueError: broken app"),
        ("other = func.FunctionApp()\n", "More than one FunctionApp"),
        (
            "@app.route()\n" + _HTTP.format(name="fake") + "\n@app.function_name('fake')\n"
            "@app.route(route='b')\n" + _HTTP.format(name="other"),
            "does not have a unique function name",
        ),
        ("@app.route()\ndef job(wrong: func.HttpRequest) -> str:\n    return ''\n", "job"),
    ],
    ids=["missing module", "exception", "two apps", "same name", "wrong parameter"],
)
async def test_app_that_cannot_be_indexed_stops_the_host(
    tmp_path: Path, code: str, reason: str
) -> None:
    code_, stderr = await run_failed_start(tmp_path, _write_app(tmp_path, code))

    assert code_ == 1
    assert "functions host: " in stderr
    assert reason in stderr


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (_build_queue_app("queue_name='q', is_sessions_enabled=True"), "Service Bus sessions"),
        (_build_queue_app("queue_name='q', cardinality='many'"), "cardinality MANY"),
        (_build_queue_app("queue_name='%NOT_SET%'"), "'%NOT_SET%' does not resolve"),
        (
            "@app.service_bus_topic_trigger(arg_name='message', connection='Bus',"
            " topic_name='t', subscription_name='s')\n" + _QUEUE,
            "a Service Bus topic",
        ),
        (_build_timer_app("often"), "schedule 'often' must have six fields"),
        (_build_timer_app("0 0 0 30 2 *"), "no next occurrence"),
        (
            "@app.route(route='a{b}')\n" + _HTTP.format(name="odd"),
            "does not understand 'a{b}'",
        ),
        (_OUTPUT, "the binding 'out' (queue)"),
        (
            "@app.retry(strategy='fixed_delay', max_retry_count='3', delay_interval='00:00:01')\n"
            + _build_timer_app("0 0 0 1 1 *"),
            "a retry policy",
        ),
    ],
    ids=[
        "sessions",
        "batches",
        "setting",
        "topic",
        "schedule",
        "never",
        "route",
        "output",
        "retry",
    ],
)
async def test_unsupported_trigger_is_rejected_at_start(
    tmp_path: Path, code: str, reason: str
) -> None:
    """The host must not ignore what it does not support."""
    exit_code, stderr = await run_failed_start(tmp_path, _write_app(tmp_path, code), Bus=_BUS)

    assert exit_code == 1
    assert "function" in stderr
    assert reason in stderr


async def test_error_for_a_bad_connection_string_contains_its_setting_and_no_secret(
    tmp_path: Path,
) -> None:
    app_dir = _write_app(tmp_path, _build_queue_app("queue_name='q'"))

    exit_code, stderr = await run_failed_start(tmp_path, app_dir, Bus="SharedAccessKey=secret")
    missing_code, missing = await run_failed_start(tmp_path, app_dir)

    assert (exit_code, missing_code) == (1, 1)
    assert "the app setting Bus is no connection string" in stderr
    assert "secret" not in stderr
    assert "the app setting Bus holds no connection string" in missing


@pytest.mark.parametrize(
    ("host_json", "reason"),
    [
        ("{", "is not JSON"),
        ("{}", '"version" must be "2.0"'),
        ('{"version": "2.0", "functionTimeout": "soon"}', "'soon' is not a duration"),
        (
            '{"version": "2.0", "extensions": {"serviceBus": {"prefetchCount": 5}}}',
            "prefetchCount must be 0",
        ),
    ],
)
async def test_a_bad_host_json_is_rejected(tmp_path: Path, host_json: str, reason: str) -> None:
    exit_code, stderr = await run_failed_start(tmp_path, _write_app(tmp_path, "", host_json))

    assert exit_code == 1
    assert reason in stderr


async def test_a_folder_without_an_app_is_rejected(tmp_path: Path) -> None:
    """Without the host's check, the worker library would report a success."""
    empty_code, empty = await run_failed_start(tmp_path, tmp_path)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    no_app_code, no_app = await run_failed_start(tmp_path, tmp_path)

    assert (empty_code, no_app_code) == (1, 1)
    assert "host.json is missing" in empty
    assert "holds no function_app.py" in no_app


async def test_settings_come_from_the_file_and_the_environment_wins(tmp_path: Path) -> None:
    code = (
        "import os\n@app.route(auth_level=func.AuthLevel.ANONYMOUS)\n"
        "def read(req: func.HttpRequest) -> str:\n"
        "    return os.environ['FROM_FILE'] + os.environ['FROM_BOTH']\n"
    )
    app_dir = _write_app(tmp_path, code)
    values = {"Values": {"FROM_FILE": "file ", "FROM_BOTH": "file"}}
    (app_dir / "local.settings.json").write_text(json.dumps(values))
    overrides = {"AzureFunctionsJobHost__extensions__http__routePrefix": "v2"}

    async with (
        run_host(tmp_path, app_dir, FROM_BOTH="environment", **overrides) as host,
        aiohttp.ClientSession() as client,
        client.get(f"{host.url}/v2/read") as response,
    ):
        assert await response.text() == "file environment"


async def test_timers_fire_and_disabled_functions_do_not_exist(tmp_path: Path) -> None:
    settings = {"TICK": "*/1 * * * * *", "AzureWebJobs.open_to_all.Disabled": "true"}

    async with run_host(tmp_path, SAMPLE_APP, **settings) as host:
        await wait_until(lambda: len(host.list_notes("tick")) >= 2)

        assert len(host.list_notes("at_start")) == 1
        assert "open_to_all" not in host.ready["functions"]
        # Schedules under a minute have no monitor, so there is no status.
        assert host.list_notes("tick")[0]["status"] == {}
        assert host.list_notes("tick")[0]["past_due"] is False


async def test_timer_can_be_started_with_the_admin_api(tmp_path: Path) -> None:
    async with run_host(tmp_path) as host, aiohttp.ClientSession(host.url) as client:
        statuses = []
        for path in ("tick?code=the-key", "tick", "open_to_all?code=the-key"):
            async with client.post(f"/admin/functions/{path}", json={}) as response:
                statuses.append(response.status)

        assert statuses == [202, 401, 404]
        assert len(host.list_notes("tick")) == 1


async def test_invocation_timeout_restarts_the_worker(tmp_path: Path) -> None:
    timeout = {"AzureFunctionsJobHost__functionTimeout": "00:00:01"}

    async with (
        run_host(tmp_path, SAMPLE_APP, **timeout) as host,
        aiohttp.ClientSession() as client,
    ):
        async with client.get(f"{host.url}/api/slow/30") as slow:
            assert slow.status == 500
        await wait_until(lambda: len(host.list_notes("at_start")) == 2)
        async with client.get(f"{host.url}/api/open") as quick:
            assert quick.status == 200
        [line] = await wait_until(lambda: host.list_log_lines("function failed"))
        assert host.process.returncode is None

    assert line["failure"] == "timed out after 1.0 s"
