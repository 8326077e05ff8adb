"""Task directories, and the bytes a grading container may say."""

import os
import struct

from . import messages

FEEDBACK = "The grader did not return a readable output : "


def frame(message, order="!"):
    """ORDER: "<" for images up to generation 0.7."""
    body = messages.pack(message)
    return struct.pack(order + "I", len(body)) + body


def result(order="!", **fields):
    """A `result` frame with FIELDS as its result."""
    return frame({"type": "result", "result": fields}, order)


SUCCESS = result(result="success", text="done", grade=100.0)


class Courses:
    """The directory given as --tasks."""

    def __init__(self, directory):
        self.directory = directory
        os.mkdir(directory, 0o755)

    def add(self, name, run=None, mode=0o755, **files):
        """Adds the task NAME ("course/task"), with `run` and other files (str or bytes; "_" stands
        for "." in their names)."""
        directory = os.path.join(self.directory, name)
        os.makedirs(directory)
        files = {key.replace("_", "."): value for key, value in files.items()}
        if run is not None:
            files["run"] = run
        for file_name, content in files.items():
            path = os.path.join(directory, file_name)
            with open(path, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
            os.chmod(path, mode)
        return name

    def says(self, name, *parts):
        """Adds a task for the image `raw` whose container writes PARTS (bytes) to its stdout."""
        return self.add(name, run="cat /task/says", says=b"".join(parts))
