"""`python -m npgradcam`: the command line without its script."""

import sys

from npgradcam.cli import main

if __name__ == "__main__":
    sys.exit(main())
