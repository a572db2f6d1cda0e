"""API: the only route for which the Functions host checks a function key itself."""

import azure.functions as func

blueprint = func.Blueprint()


@blueprint.route(route="function-key", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def check_function_key(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001  # the worker passes it by this name
    """Return 204; only requests with a valid key reach it (see shared/adapters/functions_host)."""
    return func.HttpResponse(status_code=204)
