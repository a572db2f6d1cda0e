"""A caller of the kind environment variable: it holds the trigger URL to which a flow posts."""

from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, SearchRequests, seeded

CASE = CallerCase(
    add=Builder.variable_caller,
    remove=lambda build: build.environment.variables.clear(),
    add_on_the_wire=seeded,
    is_by_hand=False,
    requests=SearchRequests(standard=3, without_places=3),
)
