"""Another name of inginious_container_api.feedback."""

import sys

import inginious_container_api.feedback

sys.modules[__name__] = inginious_container_api.feedback
