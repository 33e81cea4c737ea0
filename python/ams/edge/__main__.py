import sys

from ams.edge.cli import main

if __name__ == "__main__":
    sys.exit(main())
