"""`python -m local_cloud.child MODULE …` runs a module that ends when its parent process ends.

The parent keeps the other end of this process's standard input open and writes nothing. The system
closes that end when the parent ends, even if the parent was killed.
"""

import os
import runpy
import sys
import threading


def main() -> None:
    """Run the module that the first argument names; the other arguments are passed to it."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _exit_with_parent() -> None:
    # Not sys.stdin: a thread that holds its lock makes the interpreter's own end fail.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
