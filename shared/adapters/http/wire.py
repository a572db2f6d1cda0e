"""The base of all models of the platform's answers.

They take what they know and ignore the rest, so that a field added by the platform breaks nothing;
where an answer lacks what is needed, it reads as no answer.
"""

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from shared.errors import ServiceUnavailable

#: Members are named up to here: they may nest without end.
_LONGEST = 500


class Wire(BaseModel):
    """A JSON object of the platform, with camelCase members."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        # Input may hold a signature; errors must not quote it.
        hide_input_in_errors=True,
    )


def read_wire[T: Wire](model: type[T], document: object) -> T:
    """Return the document as a model; raises `ServiceUnavailable` naming the members that do not
    fit.
    """
    try:
        return model.model_validate(document)
    except ValidationError as err:
        places = ", ".join(".".join(map(str, error["loc"])) for error in err.errors()[:5])
        text = f"the platform's {model.__name__} does not read: {places[:_LONGEST]}"
        raise ServiceUnavailable(text) from None
