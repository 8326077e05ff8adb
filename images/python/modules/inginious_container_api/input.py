"""What the student submitted."""

import os

import inginious_container_api
from inginious_container_api import _json_text

_FILES_DIR = "/.__input/"
_input_file = "./__inputdata.json" if inginious_container_api.DEBUG else _FILES_DIR + "__inputdata.json"


def _load_input():
    with open(_input_file, encoding="utf-8") as file:
        return _json_text.loads(file.read().strip("\0").strip())


# Its name in INGInious 0.5.
load_input = _load_input


def _is_upload(value):
    return isinstance(value, dict) and "filename" in value and "value" in value


def _read_upload(value):
    """The bytes of an uploaded file. Only what the container wrote for one is read: a path that came
    with the submission is no file of ours."""
    path = value["value"]
    if not inginious_container_api.DEBUG and (
        not isinstance(path, str) or os.path.dirname(path) + "/" != _FILES_DIR
    ):
        raise FileNotFoundError(f"no uploaded file: {path!r}")
    with open(path, "rb") as file:
        return file.read()


def get_input(problem):
    """What was submitted for PROBLEM: a text, a list, ... or, of an uploaded file, its bytes, or with
    ":filename" behind the problem's id its name. KeyError where there is nothing."""
    name, *part = problem.split(":")
    value = _load_input()["input"][name]
    if not _is_upload(value):
        return value
    return value["filename"] if part[:1] == ["filename"] else _read_upload(value)


def get_username():
    """The name of the user who submitted."""
    return get_input("@username")


def get_lang():
    """The language of the user who submitted, e.g. "en"."""
    return get_input("@lang")


def get_submission_time():
    """When it was submitted, as a datetime.datetime."""
    import datetime

    return datetime.datetime.strptime(get_input("@time"), "%Y-%m-%d %H:%M:%S.%f")


def _fill(template, name, get_text):
    """TEMPLATE with its holes for NAME filled: a hole is @prefix@NAME@suffix@, and what is put there is
    get_text(), each line of it between prefix and suffix."""
    done, at, lines = [], 0, None
    start = template.find("@")
    while start >= 0:
        second = template.find("@", start + 1)
        last = -1
        if second >= 0 and template.startswith(name + "@", second + 1):
            last = template.find("@", second + len(name) + 2)
        if last < 0:
            start = second
            continue
        if lines is None:
            lines = get_text().splitlines()
        prefix, suffix = template[start + 1 : second], template[second + len(name) + 2 : last]
        done += template[at:start], "\n".join(prefix + line + suffix for line in lines)
        at = last + 1
        start = template.find("@", at)
    return "".join(done) + template[at:]


def _fill_all(template, data):
    for name, value in data.items():
        if _is_upload(value):
            template = _fill(template, name + ":filename", lambda v=value: v["filename"])
            template = _fill(template, name + ":value", lambda v=value: _read_upload(v).decode("utf-8"))
        else:
            template = _fill(template, name, lambda v=value: v)
    return template


def parse_template(input_filename, output_filename=""):
    """Fills the holes of a text file, which look like @prefix@problem@suffix@, with what was submitted;
    writes the result to OUTPUT_FILENAME, or back."""
    data = _load_input()
    with open(input_filename, "rb") as file:
        template = file.read().decode("utf-8")
    if "input" not in data:
        raise ValueError("there is no input")
    text = _fill_all(template, data["input"])
    output_filename = output_filename or input_filename
    if os.path.dirname(output_filename):
        os.makedirs(os.path.dirname(output_filename), exist_ok=True)
    with open(output_filename, "wb") as file:
        file.write(text.encode("utf-8"))
