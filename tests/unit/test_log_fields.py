"""Test that a log message ends with its fields as JSON, which no other text can imitate."""

import ast
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.logs.fields import get_product_log, log_with
from shared.logs.redaction import install_redaction

ROOT = Path(__file__).parents[2]
#: The fields of a message, as the queries of infra/modules/alerts.bicep find them.
FIELDS = re.compile(r" \| (\{.*\})")
FORGED = 'Orders | {"reason_code": "neither_on"}'
SIGNATURE = "abcDEF0123456789abcDEF0123456789abcDEF01234"
URL = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/0123456789abcdef0123456789abcdef"
    f"/triggers/manual/paths/invoke?api-version=2016-06-01&sv=1.0&sig={SIGNATURE}"
)
#: The length at which Application Insights cuts a message.
LONGEST_MESSAGE = 32_768


class _Messages(logging.Handler):
    """A handler that keeps each message as Microsoft's worker would send it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sent.append(self.format(record))


@pytest.fixture(scope="module")
def messages() -> Iterator[_Messages]:
    """Return a handler that keeps all log messages. The app's redaction is installed."""
    root, factory, level = logging.getLogger(), logging.getLogRecordFactory(), logging.root.level
    handler = _Messages()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    others = {one: list(one.filters) for one in root.handlers}
    install_redaction()
    yield handler
    logging.setLogRecordFactory(factory)
    root.removeHandler(handler)
    root.setLevel(level)
    for one, filters in others.items():
        one.filters[:] = filters


def parse_fields(message: str) -> dict[str, object]:
    found = FIELDS.search(message)
    return json.loads(found[1]) if found else {}


def test_fields_are_at_the_end_of_the_message(messages: _Messages) -> None:
    get_product_log("app").warning(
        "told %s", "x", extra={"reason_code": "plan", "count": 2, "environment": ""}
    )

    assert messages.sent[-1] == 'told x | {"reason_code": "plan", "count": 2}'


def test_a_stack_follows_the_fields(messages: _Messages) -> None:
    """The host cuts long messages at their end, where the stack is."""
    try:
        raise LookupError(FORGED * 2_000)
    except LookupError:
        get_product_log("app").exception("cannot write", extra={"order": "o-1"})

    assert messages.sent[-1].startswith('cannot write | {"order": "o-1"}\nTraceback')
    assert parse_fields(messages.sent[-1]) == {"order": "o-1"}


@pytest.mark.parametrize("log", [get_product_log("app"), logging.getLogger("library")])
def test_no_text_adds_a_field(log: logging.Logger, messages: _Messages) -> None:
    try:
        raise LookupError(FORGED)
    except LookupError:
        log.exception("flow %s | %s", FORGED, '{"reason_code": "neither_on"}')

    assert parse_fields(messages.sent[-1]) == {}
    assert "Orders" in messages.sent[-1]


def test_signature_in_a_field_is_redacted(messages: _Messages) -> None:
    get_product_log("app").info("calling %s", URL, extra={"url": URL})

    assert SIGNATURE not in messages.sent[-1]
    assert "workflows/0123456789abcdef0123456789abcdef" in str(
        parse_fields(messages.sent[-1])["url"]
    )


def test_arguments_that_do_not_match_the_format_are_logged(messages: _Messages) -> None:
    """Such a log call is wrong, but must not lose its line."""
    get_product_log("app").info("count %d", "many", extra={"reason_code": "plan"})

    assert messages.sent[-1] == 'count %d (\'many\',) | {"reason_code": "plan"}'


@given(
    text=st.text(max_size=40) | st.text(min_size=1, max_size=2).map(lambda text: text * 9_000),
    values=st.dictionaries(
        st.sampled_from(
            ["reason_code", "kind", "row", "job", "environment", "remediation", "queue"]
        ),
        st.text(min_size=1, max_size=40) | st.integers() | st.just("𝄞\n\"'" * 3_000),
    ),
)
def test_any_text_and_any_values_can_be_read_again(
    text: str, values: dict[str, str | int], messages: _Messages
) -> None:
    get_product_log("app").info("%s%s", text, FORGED, extra=values)

    sent = messages.sent[-1]
    assert len(sent.encode("utf-16-le", "surrogatepass")) // 2 < LONGEST_MESSAGE
    read = parse_fields(sent)
    assert set(read) == set(values)
    for name, value in values.items():
        is_whole = not isinstance(value, str) or len(value) <= 40
        assert read[name] == value if is_whole else str(read[name]).startswith(str(value)[:40])


def test_documented_log_fields_equal_the_fields_of_the_code() -> None:
    """People need the names of the fields for queries."""
    used: set[str] = set()
    for path in [*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.keyword(arg="extra", value=ast.Dict(keys=keys)):
                    pass
                case ast.Assign(targets=[ast.Name(id="extra")], value=ast.Dict(keys=keys)):
                    pass
                case ast.keyword(arg="ids", value=ast.Lambda(body=ast.Dict(keys=keys))):
                    pass  # fields of the job, which each line of its invocation has
                case ast.Call(func=ast.Name(id="log_with"), keywords=named):
                    used |= {one.arg for one in named if one.arg}
                    continue
                case _:
                    continue
            used |= {str(key.value) for key in keys if isinstance(key, ast.Constant)}
    page = (ROOT / "docs/notifications.md").read_text()
    section = page.partition("## Fields of a log line")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)

    assert len(used) > 15
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == used


def test_every_log_line_with_fields_uses_product_log() -> None:
    """A logger of the standard library would drop the fields in `extra`."""
    wrong = []
    for path in [*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]:
        source = path.read_text()
        has_extra = any(
            isinstance(node, ast.Call) and any(one.arg == "extra" for one in node.keywords)
            for node in ast.walk(ast.parse(source))
        )
        if has_extra and "logging.getLogger(__name__)" in source:
            wrong.append(path.name)

    assert wrong == []


def test_context_follows_the_fields_of_a_line(caplog: pytest.LogCaptureFixture) -> None:
    log = get_product_log("tests")
    with caplog.at_level(logging.INFO), log_with(trace="t-1", job="j-1"):
        with log_with(flow="f-1", trace=""):
            log.info("one", extra={"text": "x", "job": "j-2"})
        log.info("two")
    log.info("three")

    assert caplog.messages[:2] == [
        'one | {"text": "x", "job": "j-2", "flow": "f-1"}',
        'two | {"trace": "t-1", "job": "j-1"}',
    ]
