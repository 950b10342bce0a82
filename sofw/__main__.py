"""`python3 -m sofw` is the sofw command."""

import sys

from sofw.cli.main import main

sys.exit(main())
