"""inginious-ipython: runs run.py with the container's functions among its global names, and with those
additions of IPython to Python that run files use:

    !command                     runs it by the shell
    lines = !command             the lines that it prints, on either output; also !!command
    %cd folder, %env, %pwd       as IPython has them
    get_ipython()                with system() and getoutput()

In a command, {expression} and $name stand for their values, and $$name for the shell's $name; where
one of them has no value, all are left to the shell. Other additions need IPython itself, which is used
where the image has it.

A script that is plain Python costs nothing more than Python does: what it does not name is not
imported."""

import os
import sys

_PACKAGE = "inginious_container_api"
# What a script may use without importing it, by the modules that have it. INGInious' own interpreter
# also has what those modules import.
_NAMES = {
    "input": "get_input get_lang get_submission_time get_username parse_template",
    "feedback": "get_feedback save_feedback set_custom_value set_feedback_from_tpl set_global_feedback"
    " set_global_result set_grade set_problem_feedback set_problem_result set_state set_tag tag",
    "lang": "get_lang_dir_path init",
    "rst": "get_admonition get_codeblock get_imageblock indent_block",
    "run_student": "run_student run_student_simple",
    "ssh_student": "ssh_student",
}
_MODULES = (
    "array asyncio base64 builtins datetime gettext inginious_container_api json os re signal socket struct sys"
    " tempfile threading traceback"
).split()
# Whoever uses one of these may use names that cannot be seen in the code.
_DYNAMIC = {"dir", "eval", "exec", "get_ipython", "globals", "locals", "vars"}
_SOURCES = {name: module for module, names in _NAMES.items() for name in names.split()}


def _names_in(code):
    names = set(code.co_names)
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            names |= _names_in(constant)
    return names


def _provide(namespace, code):
    """Puts into NAMESPACE what CODE may want from there."""
    wanted = _names_in(code)
    everything = not wanted.isdisjoint(_DYNAMIC)
    for name in _MODULES if everything else wanted.intersection(_MODULES):
        namespace[name] = __import__(name)
    for name in _SOURCES if everything else wanted.intersection(_SOURCES):
        # Not importlib, which would itself have to be imported.
        module = __import__(f"{_PACKAGE}.{_SOURCES[name]}", fromlist=(name,))
        namespace[name] = getattr(module, name)


def _with_ipython(path):
    """Runs the script by IPython, where there is one; returns False where not."""
    try:
        from IPython.core.interactiveshell import InteractiveShell
    except ImportError:
        return False
    shell = InteractiveShell()
    for module in _NAMES:
        shell.run_cell(f"from {_PACKAGE}.{module} import *", store_history=False)
    shell.user_ns["__file__"] = path
    shell.safe_execfile_ipy(path)
    return True


def _compile(path):
    """The code of the script; None where it needs IPython."""
    with open(path, "rb") as file:
        source = file.read()
    try:
        return compile(source, path, "exec")
    except SyntaxError:
        from inginious_container_api import _shell

        translated = _shell.translate(source)
        if translated is None:
            return None
        if translated == source:
            raise
    return compile(translated, path, "exec")


def main():
    """The command inginious-ipython FILE [ARGUMENT...]."""
    if len(sys.argv) < 2:
        print("No file given", file=sys.stderr)
        sys.exit(1)
    del sys.argv[0]
    path = sys.argv[0]
    # As for a script that Python itself was called with.
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    code = _compile(path)
    if code is None:
        if not _with_ipython(path):
            sys.exit(f"{path}: needs IPython, which this image does not have")
        return
    main_module = type(sys)("__main__")
    namespace = vars(main_module)
    namespace["__file__"] = path
    _provide(namespace, code)
    if "get_ipython" in _names_in(code):
        from inginious_container_api import _shell

        namespace["get_ipython"] = _shell.Shell(namespace).itself
    sys.modules["__main__"] = main_module
    exec(code, namespace)  # pylint: disable=exec-used
