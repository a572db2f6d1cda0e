"""The base class of models of the platform's responses.

Models ignore unknown fields, so a new field does not break them. If a required field is missing,
the response counts as invalid.
"""

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from shared.errors import ServiceUnavailable

#: Maximum length of the listed fields, which can be deeply nested.
_LONGEST = 500


class Wire(BaseModel):
    """A JSON object of the platform with camelCase members."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        # Input can contain a signature, so errors must not quote it.
        hide_input_in_errors=True,
    )


def parse_wire[T: Wire](model: type[T], document: object) -> T:
    """Return the document as a model.

    Raises `ServiceUnavailable`, which names the invalid fields.
    """
    try:
        return model.model_validate(document)
    except ValidationError as err:
        places = ", ".join(".".join(map(str, error["loc"])) for error in err.errors()[:5])
        text = f"The platform's answer has missing or malformed members: {places[:_LONGEST]}"
        raise ServiceUnavailable(text) from None
