"""`python -m tinygen` is `tinygen`."""

import sys

from .cli import main

sys.exit(main())
