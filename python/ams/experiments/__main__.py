import sys

from ams.experiments.cli import main

if __name__ == "__main__":
    sys.exit(main())
