"""Run the server: `python -m langcache_mockserver`."""

import sys

from langcache_mockserver.cli import main

sys.exit(main())
