"""Another name of inginious_container_api.lang."""

import sys

import inginious_container_api.lang

sys.modules[__name__] = inginious_container_api.lang
