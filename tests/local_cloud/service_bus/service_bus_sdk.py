"""Run the live tests of Microsoft's azure-servicebus against the local Service Bus.

python tests/local_cloud/service_bus/service_bus_sdk.py [SDIST] [pytest options]

The tests come with the SDK's source distribution. Without SDIST, pip downloads that of the
installed version. They wait for locks to expire, so run them in parallel (`-n 8`), which takes some
minutes. Tests of features that this service does not have are excluded by name, each with its
reason.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[3]
SHIM = "tests.local_cloud.service_bus.service_bus_shim"
#: Parts of test names, and why such a test is left out.
NOT_APPLICABLE = {
    "autolockrenew_many_msgs": "keeps 300 locks alive from a pool of threads: the client's speed",
    "websocket": "AMQP over WebSocket is not offered",
    "send_timeout": "the same",
    "send_large_message_receive": "the same",
    "send_twice": "the same",
    "operation_negative": "replaces an SDK function by one without its newest argument",
    "keep_conn_alive": "sleeps for minutes",
    "after_link_timeout": "the same",
}
_MODULES = {
    "devtools_testutils.py": f"from {SHIM} import *\n",
    "servicebus_preparer.py": f"from {SHIM} import *\n",
    "conftest.py": f"from {SHIM} import bus, pytest_configure\n",
    "pytest.ini": "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n",
}


def main() -> int:
    arguments = sys.argv[1:]
    given = Path(arguments.pop(0)) if arguments and arguments[0].endswith(".tar.gz") else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tests = _unpack(given or _download(folder), folder)
        for module, text in _MODULES.items():
            (tests / module).write_text(text)
        left_out = " and ".join(f"not {part}" for part in NOT_APPLICABLE)
        command = [sys.executable, "-m", "pytest", "--rootdir", str(tests), "-p", "no:randomly"]
        files = ["test_queues.py", "async_tests/test_queues_async.py"]
        selection = ["-k", left_out] if left_out else []
        return subprocess.run(
            [*command, *selection, *files, *arguments],
            cwd=tests,
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{tests}"},
            check=False,
        ).returncode


def _download(folder: Path) -> Path:
    package = f"azure-servicebus=={version('azure-servicebus')}"
    pip = [sys.executable, "-m", "pip", "download", "--no-binary", ":all:", "--no-deps"]
    subprocess.run([*pip, "--dest", str(folder), package], check=True)
    return next(folder.glob("*.tar.gz"))


def _unpack(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.glob("*/tests"))


if __name__ == "__main__":
    sys.exit(main())
