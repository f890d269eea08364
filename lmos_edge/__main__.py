"""`python -m lmos_edge` is `lmos-edge`, where the console script is not on the PATH."""

from __future__ import annotations

import sys

from lmos_edge.command import main

sys.exit(main())
