import logging
from collections.abc import Iterator

import pytest

from shared.logs.redaction import RedactExtras, install_redaction

SIGNATURE = "abcDEF0123456789abcDEF0123456789abcDEF01234"
URL = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/0123456789abcdef0123456789abcdef"
    "/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0"
    f"&sig={SIGNATURE}"
)


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += logging.Formatter().format(record) + repr(vars(record))
        self.text += repr(record.exc_info and record.exc_info[1])


@pytest.fixture
def lines() -> Iterator[_Lines]:
    """Return a handler of the root logger, with the redaction installed for one test."""
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    handler = _Lines()
    root.addHandler(handler)
    others = {one: list(one.filters) for one in root.handlers}
    install_redaction()
    yield handler
    logging.setLogRecordFactory(factory)
    root.removeHandler(handler)
    for one, filters in others.items():
        one.filters[:] = filters


def test_signatures_in_messages_arguments_and_extras_are_redacted(lines: _Lines) -> None:
    """The line still shows which flow was called."""
    log = logging.getLogger("some.library")

    log.warning("calling " + URL)  # noqa: G003  # what a library might do
    log.warning("calling %s after %d tries", URL, 3)
    log.warning("calling %s%s", URL[:150], URL[150:])
    log.warning("calling %(url)s", {"url": URL})
    log.warning("calling", extra={"url": URL, "many": [URL], "named": {"deep": (URL,)}})

    assert SIGNATURE not in lines.text
    assert "after 3 tries" in lines.text
    assert lines.text.count("https://prod-01.westeurope.logic.azure.com/…/workflows/") >= 4


def test_signatures_in_stacks_are_redacted(lines: _Lines) -> None:
    try:
        try:
            raise ValueError(URL)
        except ValueError as err:
            raise RuntimeError(f"while calling {URL}") from err
    except RuntimeError:
        logging.getLogger("some.library").exception("it failed")

    assert SIGNATURE not in lines.text
    assert "RuntimeError: while calling https://prod-01.westeurope.logic.azure.com/" in lines.text


def test_record_without_a_signature_is_not_changed(lines: _Lines) -> None:
    """Other handlers get the format, arguments and exception of such a record separately."""
    kept: list[logging.LogRecord] = []

    def keep(record: logging.LogRecord) -> bool:
        kept.append(record)
        return True

    lines.addFilter(keep)

    try:
        raise LookupError("nothing")
    except LookupError:
        logging.getLogger("app").exception("job %s: %d", "a", 3)

    (record,) = kept
    assert (record.msg, record.args) == ("job %s: %d", ("a", 3))
    assert record.exc_info
    assert isinstance(record.exc_info[1], LookupError)


def test_record_that_cannot_be_formatted_is_redacted(lines: _Lines) -> None:
    logging.getLogger("some.library").warning("calling %d", URL)

    assert SIGNATURE not in lines.text


def test_installing_twice_changes_nothing(lines: _Lines) -> None:
    """A process may load the app twice."""
    factory = logging.getLogRecordFactory()

    install_redaction()

    assert logging.getLogRecordFactory() is factory
    assert sum(isinstance(one, RedactExtras) for one in lines.filters) == 1
