"""`python -m lmos` is `lmos`, where the console script is not on the PATH."""

from __future__ import annotations

import sys

from lmos.cli import main

sys.exit(main())
