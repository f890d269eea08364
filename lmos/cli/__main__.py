"""`python -m lmos.cli` is `python -m lmos`."""

from __future__ import annotations

import sys

from lmos.cli import main

sys.exit(main())
