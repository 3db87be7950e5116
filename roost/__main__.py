"""``python -m roost`` is the `roost` command."""

import sys

from roost.command import main

if __name__ == "__main__":
    sys.exit(main())
