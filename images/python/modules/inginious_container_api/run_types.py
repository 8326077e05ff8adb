"""What runs the run files that have an extension."""

run_types = {
    "py": ["/usr/local/bin/inginious-ipython"],
    "py3": ["/usr/local/bin/inginious-ipython"],
    "sh": ["/bin/bash"],
}
