"""API: the route that the app requests so that the Functions host checks a function key."""

import azure.functions as func

blueprint = func.Blueprint()


@blueprint.route(route="function-key", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def check_function_key(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  # the worker passes it by this name
    """Return 204.

    The host rejects requests without a valid key (shared/adapters/function_keys.py).
    """
    return func.HttpResponse(status_code=204)
