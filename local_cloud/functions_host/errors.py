"""The error that prevents the start of the host, with the fix in one line."""


class HostStartError(Exception):
    """This host cannot run the app, or cannot obey its settings. The text names the reason."""
