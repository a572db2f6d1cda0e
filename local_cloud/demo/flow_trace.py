"""Choose one migrated flow, and arrange its trace as rows of a picture for the report."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from local_cloud.collector import ReceivedSpan

#: The longest pause between operations that the picture shows, in seconds.
_LONGEST_PAUSE = 0.2
_STEP = "step "
#: The part of a request's name that the picture omits.
_NAMESPACE = re.compile(r" /providers/Microsoft\.\w+/")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """A row of the picture: one operation, or several equal operations in sequence."""

    name: str
    #: The number of operations above it in the tree.
    depth: int
    count: int
    is_request: bool
    has_failed: bool
    #: HTTP status or state of the job; may be empty.
    result: str
    #: Total duration, in milliseconds.
    milliseconds: int
    #: Position and width of the bar, in percent of the picture, without long pauses.
    start: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowTrace:
    title: str
    trace_id: str
    #: From the first operation to the last, with all pauses.
    seconds: float
    rows: tuple[TraceRow, ...]


def build_flow_trace(spans: Sequence[ReceivedSpan], titles: Mapping[str, str]) -> dict[str, object]:
    """Return the trace of the flow with the most kinds of steps, as JSON.

    It is empty if no flow has a span. `titles` maps the originals to choose from to their names.
    """
    by_flow: dict[str, list[ReceivedSpan]] = defaultdict(list)
    for span in spans:
        if (flow := str(span.attributes.get("cmk.flow", ""))) in titles:
            by_flow[flow].append(span)
    tree = _Tree(spans)
    parts = {flow: tree.find_all(invocations) for flow, invocations in by_flow.items()}
    steps = {
        flow: (len({one.name for one in part if one.name.startswith(_STEP)}), titles[flow])
        for flow, part in parts.items()
    }
    if not steps:
        return {}
    chosen = max(steps, key=lambda flow: steps[flow])
    shown = parts[chosen]
    trace = FlowTrace(
        title=titles[chosen],
        trace_id=by_flow[chosen][0].trace_id,
        seconds=round(max(one.ended for one in shown) - min(one.began for one in shown), 1),
        rows=tuple(_build_rows(_Tree(shown))),
    )
    return asdict(trace)


class _Tree:
    def __init__(self, spans: Sequence[ReceivedSpan]) -> None:
        self.spans = spans
        self._by_id = {span.span_id: span for span in spans}
        self.children: dict[str, list[ReceivedSpan]] = defaultdict(list)
        for span in sorted(spans, key=lambda one: one.began):
            self.children[span.parent_id if span.parent_id in self._by_id else ""].append(span)

    def find_all(self, spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
        found = {one.span_id: one for span in spans for one in self._walk_spans(span)}
        for span in spans:
            parent = self._by_id.get(span.parent_id)
            while parent is not None:
                found[parent.span_id] = parent
                parent = self._by_id.get(parent.parent_id)
        return list(found.values())

    def _walk_spans(self, span: ReceivedSpan) -> Iterator[ReceivedSpan]:
        yield span
        for child in self.children[span.span_id]:
            yield from self._walk_spans(child)


def _build_rows(tree: _Tree) -> Iterator[TraceRow]:
    scale = _Scale(tree.spans)

    def build_level(parent: str, depth: int) -> Iterator[TraceRow]:
        before: TraceRow | None = None
        for span in tree.children[parent]:
            row = _build_row(span, depth, scale)
            has_children = bool(tree.children[span.span_id])
            if before and not has_children and _is_same(before, row):
                before = _join_rows(before, row)
                continue
            if before:
                yield before
                before = None
            if has_children:
                yield row
                yield from build_level(span.span_id, depth + 1)
            else:
                before = row
        if before:
            yield before

    yield from build_level("", 0)


class _Scale:
    def __init__(self, spans: Sequence[ReceivedSpan]) -> None:
        times = sorted({time for span in spans for time in (span.began, span.ended)})
        self._at: dict[float, float] = {times[0]: 0.0}
        for before, time in itertools.pairwise(times):
            is_pause = not any(one.began <= before and time <= one.ended for one in spans)
            length = min(time - before, _LONGEST_PAUSE) if is_pause else time - before
            self._at[time] = self._at[before] + length
        self._whole = self._at[times[-1]] or 1.0

    def compute_position(self, time: float) -> float:
        return round(100 * self._at[time] / self._whole, 2)


def _build_row(span: ReceivedSpan, depth: int, scale: _Scale) -> TraceRow:
    start = scale.compute_position(span.began)
    attributes = span.attributes
    return TraceRow(
        name=_NAMESPACE.sub(" …/", span.name),
        depth=depth,
        count=1,
        is_request=span.kind == "client",
        has_failed=span.has_failed,
        result=str(attributes.get("http.response.status_code") or attributes.get("cmk.state", "")),
        milliseconds=round(1000 * (span.ended - span.began)),
        start=start,
        width=round(max(scale.compute_position(span.ended) - start, 0.2), 2),
    )


def _is_same(row: TraceRow, other: TraceRow) -> bool:
    return (row.name, row.result, row.has_failed) == (other.name, other.result, other.has_failed)


def _join_rows(row: TraceRow, other: TraceRow) -> TraceRow:
    return replace(
        row,
        count=row.count + 1,
        milliseconds=row.milliseconds + other.milliseconds,
        width=round(other.start + other.width - row.start, 2),
    )
