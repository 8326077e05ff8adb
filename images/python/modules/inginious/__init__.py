"""The name that inginious_container_api had before; the modules are the same ones."""

from inginious_container_api import DEBUG
