"""What the student and the teacher are told.

The feedback is a JSON map in a file. Each function here, and each command of the container, changes
one part of it while it holds a lock on the file's folder, and replaces the file as a whole: they may
run at the same time."""

import fcntl
import os

import inginious_container_api
from inginious_container_api import _json_text

_feedback_dir = "./" if inginious_container_api.DEBUG else "/.__output"
_feedback_file = os.path.join(_feedback_dir, "__feedback.json")

# The same bound as that of the commands.
_SIZE_MAX = 16 << 20
_MODIFIED = {"result": "crash", "text": "Feedback file has been modified by user !"}
_AUTO_TAG = "*auto-tag-"


def _load_feedback():
    try:
        with open(_feedback_file, encoding="utf-8") as file:
            text = file.read()
        feedback = _json_text.loads(text) if text else {}
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        return dict(_MODIFIED)
    return feedback if isinstance(feedback, dict) else dict(_MODIFIED)


def _write(feedback):
    text = _json_text.dumps(feedback).encode()
    if len(text) > _SIZE_MAX:
        raise ValueError(f"the feedback would be larger than {_SIZE_MAX >> 20} MiB")
    new = _feedback_file + ".new"
    try:
        os.unlink(new)
    except FileNotFoundError:
        pass
    with open(new, "xb") as file:
        file.write(text)
        # Whoever runs the next command, root or worker, may write it, whatever the umask.
        os.fchmod(file.fileno(), 0o666)
    os.rename(new, _feedback_file)


class _Lock:
    """While it is held, nobody else changes the feedback."""

    def __enter__(self):
        os.makedirs(_feedback_dir, exist_ok=True)
        self._fd = os.open(_feedback_dir, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_):
        os.close(self._fd)


class _Change:
    """The feedback, to be changed: written back unless something went wrong."""

    def __enter__(self):
        self._lock = _Lock()
        self._lock.__enter__()
        try:
            self._feedback = _load_feedback()
        except BaseException:
            self._lock.__exit__()
            raise
        return self._feedback

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                _write(self._feedback)
        finally:
            self._lock.__exit__()


def get_feedback():
    """The feedback so far, as a dict."""
    return _load_feedback()


def save_feedback(rdict):
    """Replaces the whole feedback by RDICT."""
    with _Lock():
        _write(rdict)


# Their names in INGInious 0.5.
load_feedback = _load_feedback


def set_global_result(result):
    """Sets the result of the task: success, failed, timeout, overflow or crash."""
    with _Change() as all_of_it:
        all_of_it["result"] = result


def set_problem_result(result, problem_id):
    """Sets the result of one problem."""
    with _Change() as all_of_it:
        problems = all_of_it.setdefault("problems", {})
        present = problems.get(problem_id, "")
        problems[problem_id] = [result, present if isinstance(present, str) else present[1]]


def set_grade(grade):
    """Sets the grade of the task, in percent."""
    with _Change() as all_of_it:
        all_of_it["grade"] = float(grade)


def _must_be_text(message):
    if not isinstance(message, str):
        raise ValueError("Feedback doesn't match correct instance")


def set_global_feedback(feedback, append=False):
    """Sets the message for the task, as reStructuredText, or appends to it."""
    _must_be_text(feedback)
    with _Change() as all_of_it:
        all_of_it["text"] = (all_of_it.get("text", "") if append else "") + feedback


def set_problem_feedback(feedback, problem_id, append=False):
    """Sets the message for one problem, or appends to it."""
    _must_be_text(feedback)
    with _Change() as all_of_it:
        problems = all_of_it.setdefault("problems", {})
        present = problems.get(problem_id, "")
        if isinstance(present, str):
            problems[problem_id] = (present if append else "") + feedback
        else:
            problems[problem_id] = [present[0], (present[1] if append else "") + feedback]


def set_state(state):
    """Sets the text that the student's next submission finds as input "@state"."""
    with _Change() as all_of_it:
        all_of_it["state"] = state


def set_tag(tag, value):
    """Sets a declared tag to True or False."""
    if tag.startswith(_AUTO_TAG):
        return
    with _Change() as all_of_it:
        all_of_it.setdefault("tests", {})[tag] = value == True  # pylint: disable=singleton-comparison


def _number_of(text):
    """The same number for the same text, each time: as the command tag has it (FNV-1a)."""
    number = 0xCBF29CE484222325
    for byte in text.encode("utf-8", "backslashreplace"):
        number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return number - (number >> 63 << 64)


def tag(value):
    """Tags the submission with a text that is not among the declared tags."""
    value = str(value)
    with _Change() as all_of_it:
        all_of_it.setdefault("tests", {})[f"{_AUTO_TAG}{_number_of(value)}"] = value


def set_custom_value(custom_name, custom_val):
    """Sets a value, anything that JSON can hold, that plug-ins find under its name."""
    with _Change() as all_of_it:
        all_of_it.setdefault("custom", {})[custom_name] = custom_val


_NO_TEMPLATE = """
.. error::

    Unable to find template named %s. Please contact your administrator.
    

    """

_BAD_TEMPLATE = """
.. error::
   
   An error occured while parsing the feedback template. Here is the full error:
   
   ::
   
%s
	Please contact your administrator.
"""


def _render(path, parameters):
    """The text of a template, and whether it is one."""
    import builtins

    try:
        from jinja2 import Template

        with open(path, encoding="utf-8") as file:
            template = Template(file.read())
        parameters["_"] = builtins._
        return template.render(parameters), True
    except Exception:  # whatever a template can do wrong is told  # pylint: disable=broad-except
        import traceback

        lines = traceback.format_exc().split("\n")
        return _BAD_TEMPLATE % "\n".join("\t\t" + line for line in lines), False


def set_feedback_from_tpl(tpl_name, parameters, problem_id=None, append=False):
    """Sets the message, of the task or one problem, to what the Jinja2 template TPL_NAME gives with
    PARAMETERS, a dict. In it, _() translates (see lang). The first that exists is used of

        TPL_NAME.LANGUAGE.tpl
        /task/lang/LANGUAGE/TPL_NAME.tpl
        TPL_NAME.tpl

    where LANGUAGE is the student's. Where there is none, or an error in it, the message says so, and
    False is returned."""
    from inginious_container_api import input as container_input, lang

    lang.init()
    language = container_input.get_lang()
    places = (
        f"{tpl_name}.{language}.tpl",
        os.path.join(lang.get_lang_dir_path(), language, tpl_name) + ".tpl",
        f"{tpl_name}.tpl",
    )
    path = next(filter(os.path.exists, places), None)
    if path is None:
        text, valid = _NO_TEMPLATE % tpl_name, False
    else:
        text, valid = _render(path, parameters)
    if problem_id is None:
        set_global_feedback(text, append)
    else:
        set_problem_feedback(text, problem_id, append)
    return valid
