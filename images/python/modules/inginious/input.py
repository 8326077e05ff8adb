"""Another name of inginious_container_api.input."""

import sys

import inginious_container_api.input

sys.modules[__name__] = inginious_container_api.input
