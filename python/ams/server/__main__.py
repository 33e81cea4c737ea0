import sys

from ams.server.cli import main

if __name__ == "__main__":
    sys.exit(main())
