"""Another name of inginious_container_api.rst."""

import sys

import inginious_container_api.rst

sys.modules[__name__] = inginious_container_api.rst
