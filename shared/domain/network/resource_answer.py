"""Define the rows that store Azure's answers while a network snapshot is being read."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

#: Characters of an answer in one row: escaped, and in UTF-16, a row holds a megabyte.
_IN_A_ROW = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceAnswer:
    """The row of Azure's answer to one request, or of a piece of it."""

    reading_id: str
    request: str
    read_at: datetime
    #: Which piece of how many it is, counted from 0.
    piece: int
    piece_count: int
    text: str


def split_answer(
    reading_id: str, request: str, text: str, *, read_at: datetime
) -> list[ResourceAnswer]:
    """Return the rows that store an answer. A long answer is split over several."""
    pieces = [text[first : first + _IN_A_ROW] for first in range(0, len(text), _IN_A_ROW)] or [""]
    return [
        ResourceAnswer(
            reading_id=reading_id,
            request=request,
            read_at=read_at,
            piece=number,
            piece_count=len(pieces),
            text=piece,
        )
        for number, piece in enumerate(pieces)
    ]


def join_answers(rows: Iterable[ResourceAnswer]) -> dict[str, str]:
    """Return each complete answer, by its request. An answer is omitted if a piece is missing."""
    found: dict[str, str] = {}
    ordered = sorted(rows, key=lambda row: (row.request, row.piece))
    for request, group in groupby(ordered, key=lambda row: row.request):
        rows_of_answer = list(group)
        first = rows_of_answer[0]
        # Others are of an earlier answer.
        pieces = [row for row in rows_of_answer if row.read_at == first.read_at]
        if len(pieces) == first.piece_count:
            found[request] = "".join(piece.text for piece in pieces)
    return found
