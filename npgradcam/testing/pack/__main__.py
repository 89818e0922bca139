"""`python -m npgradcam.testing.pack OUT`: make the reference pack, the same to the last byte every time."""

from __future__ import annotations

import sys
from pathlib import Path

from .write import write_pack

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m npgradcam.testing.pack OUT")
    write_pack(Path(sys.argv[1]), lambda name: print(name, file=sys.stderr))
