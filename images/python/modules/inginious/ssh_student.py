"""Another name of inginious_container_api.ssh_student."""

import sys

import inginious_container_api.ssh_student

sys.modules[__name__] = inginious_container_api.ssh_student
