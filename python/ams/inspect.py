"""The command: python -m ams.inspect. In Python, ams.inspect is a function."""

if __name__ != "__main__":
    raise ImportError("ams.inspect is a function: import ams, and call ams.inspect(module)")

import sys

from ams.inspection.cli import main

sys.exit(main())
