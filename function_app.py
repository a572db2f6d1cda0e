"""Register the functions of the app, and do nothing else.

Azure Functions finds `app` here. A function's code is imported when it is triggered, because every
import delays a cold start.
"""

import gc
from contextlib import suppress

import azure.functions as func
from pydantic import ValidationError

from functions import function_key, queue_triggers, routes, timers
from shared.logs.redaction import install_redaction
from shared.settings import AccessSettings

install_redaction()
#: Objects between two runs of the garbage collector. By default it runs after 2,000, which flows in
#: work exceed all the time without leaving cycles.
gc.set_threshold(20_000)

#: Who calls is decided in `functions/principals.py`; the host asks nobody for a key.
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for _module in (queue_triggers, timers, routes):
    app.register_functions(_module.blueprint)
with suppress(ValidationError):  # each request reports it; without functions, nothing could
    if AccessSettings().function_key_roles:
        app.register_functions(function_key.blueprint)
