"""Index an app with Microsoft's worker library, and print the result as JSON.

Usage: `python -I -S index_package.py APP MESSAGES PATH...`. APP is the folder of `function_app.py`.
MESSAGES is the file of the worker's message module. Besides the standard library, modules are
imported only from the folders PATH.
"""

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


def import_module_at(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("worker_messages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def index_functions(app: str, rpc: Any) -> list[str]:
    """Return the names of the app's functions. Raises `RuntimeError` if the worker cannot start."""
    import azure_functions_runtime as runtime

    def request(**message: Any) -> SimpleNamespace:
        properties = {"host": "127.0.0.1", "protos": rpc}
        return SimpleNamespace(request=SimpleNamespace(**message), properties=properties)

    init = rpc.WorkerInitRequest(host_version="4.0.0.0", function_app_directory=app)
    started = await runtime.worker_init_request(request(worker_init_request=init))
    if started.result.status != rpc.StatusResult.Success:
        raise RuntimeError(started.result.exception.message)
    wanted = request(functions_metadata_request=rpc.FunctionsMetadataRequest())
    listed = await runtime.functions_metadata_request(wanted)
    return sorted(function.name for function in listed.function_metadata_results)


def main(app: str, messages: str, *paths: str) -> None:
    sys.path[:0] = paths
    functions = asyncio.run(index_functions(app, import_module_at(messages).rpc))
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    standard = Path(asyncio.__file__).parents[1]
    loaded = [file for file in files if file and not Path(file).is_relative_to(standard)]
    print(json.dumps({"functions": functions, "loaded": sorted(loaded)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
