"""A caller of the kind secret: it holds the trigger URL, a content type and tags."""

from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, seeded

CASE = CallerCase(
    add=Builder.secret_caller,
    remove=lambda build: build.world.secrets.clear(),
    add_on_the_wire=seeded,
    is_by_hand=False,
)
