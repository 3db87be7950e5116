"""``python -m ctl`` is the `roostctl` command."""

import sys

from ctl.command import main

if __name__ == "__main__":
    sys.exit(main())
