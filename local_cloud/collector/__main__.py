"""`python -m local_cloud.collector` runs the collector in a separate process."""

import argparse
import json
import signal
import sys
from pathlib import Path

from local_cloud.collector.server import Collector


def main() -> None:
    """Serve until SIGTERM or SIGINT. Prints the collector's address as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m local_cloud.collector", description=__doc__)
    parser.add_argument("--file", type=Path, help="for the spans, one line of JSON each")
    parser.add_argument("--port", type=int, default=4318, help="0 takes a free port")
    arguments = parser.parse_args()
    # Before any thread starts, so that only this one takes the signals.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        with Collector(arguments.port, arguments.file) as collector:
            print(json.dumps({"listening": collector.url}), flush=True)
            signal.sigwait(signals)
    except OSError as error:
        sys.exit(f"collector: {error}")


if __name__ == "__main__":
    main()
