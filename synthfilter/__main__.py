"""`python -m synthfilter` is the `synthfilter` command."""

import sys

from synthfilter.cli import main

sys.exit(main())
