"""What can keep the host from starting, said so that one line tells what to change."""


class HostStartError(Exception):
    """The app or its settings cannot be run by this host; the text says which and why."""
