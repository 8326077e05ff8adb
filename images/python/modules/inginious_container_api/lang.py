"""Texts in the student's language, from the task's folder "lang"."""

import os

import inginious_container_api
from inginious_container_api import input as container_input


def get_lang_dir_path():
    """The folder that gettext looks into, for LANGUAGE/LC_MESSAGES/messages.mo."""
    return "./__lang" if inginious_container_api.DEBUG else "/task/lang"


def init():
    """Makes the function _(), which translates a text, one of Python's own functions."""
    import builtins

    if "_" in vars(builtins):
        return
    import gettext

    os.environ["LANGUAGE"] = container_input.get_lang()
    gettext.install("messages", get_lang_dir_path())
