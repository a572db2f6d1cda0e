"""`python -m local_cloud.functions_host APP_DIR --port N` runs a Functions app on this machine."""

import argparse
import asyncio
import json
import logging
import os
import secrets
import sys
from pathlib import Path

from local_cloud.functions_host.host import HostOptions, Ready, run_host
from local_cloud.functions_host.host_settings import HostStartError


def main() -> int:
    """Run the host until a signal stops it.

    Returns 0 after a clean stop. Returns 1 if the app cannot run, or if the stop interrupted an
    invocation.
    """
    parser = argparse.ArgumentParser(
        prog="python -m local_cloud.functions_host", description=__doc__
    )
    parser.add_argument("app_dir", type=Path, help="the folder with function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="0 takes a free one")
    parser.add_argument("--function-key", help="made up if not given")
    arguments = parser.parse_args()
    options = HostOptions(
        app_dir=arguments.app_dir.resolve(),
        port=arguments.port,
        function_key=arguments.function_key or secrets.token_urlsafe(24),
    )

    def report_ready(ready: Ready) -> None:
        line = {
            "listening": ready.url,
            "functions": ready.functions,
            "function_key": options.function_key,
        }
        print(json.dumps(line), flush=True)

    try:
        is_clean = asyncio.run(run_host(options, report_ready))
    except HostStartError as err:
        print(f"functions host: {err}", file=sys.stderr, flush=True)
        return 1
    return 0 if is_clean else 1


if __name__ == "__main__":
    code = main()
    if code == 0:
        sys.exit(0)
    # A handler's thread that never returns must not keep the process: its message is back already.
    logging.shutdown()
    os._exit(code)
