"""Another name of inginious_container_api.run_types."""

import sys

import inginious_container_api.run_types

sys.modules[__name__] = inginious_container_api.run_types
