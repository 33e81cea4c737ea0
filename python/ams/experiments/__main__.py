import signal
import sys

from ams.experiments.cli import main

if __name__ == "__main__":
    # Both end it in good order, also where a shell started it in the background ignoring them.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
