"""`python -m autoscaler.replay`."""

import sys

from autoscaler.replay.command import main

sys.exit(main())
