"""The error that prevents the start of the host, with the fix in one line."""


class HostStartError(Exception):
    """This host cannot run the app or its settings; the text names the reason."""
