"""What the command feedback-msg-tpl leaves to Jinja2. Arguments: "set" or "append", a problem's id or
"", the template, and NAME=VALUE."""

import sys

from inginious_container_api import feedback


def main():
    """The rest of that command."""
    how, problem, template, *options = sys.argv[1:]
    values = dict(option.split("=") for option in options)
    feedback.set_feedback_from_tpl(template, values, problem or None, how == "append")


if __name__ == "__main__":
    main()
