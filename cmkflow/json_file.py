"""Reads JSON that others exported: in UTF-8, with a byte order mark, in UTF-16."""

import json

from shared.domain.definitions.json_values import TooDeep, decoded


class UnreadableFile(Exception):
    """The file cannot be read; the text says why and never quotes it, for it may hold secrets."""


def decode_json(data: bytes) -> object:
    """Decode JSON whatever its encoding; raises `UnreadableFile`."""
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"the text is not {error.encoding}") from None
    try:
        return decoded(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"not JSON: line {error.lineno}, column {error.colno}") from None
    except TooDeep as error:
        raise UnreadableFile(str(error)) from None
    except ValueError:
        raise UnreadableFile("the JSON has a number too long") from None
