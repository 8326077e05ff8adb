"""Shell commands in run files, as IPython lets one write them. See _run_file."""

import os
import re
import sys

_COMMAND = re.compile(r"(?P<indent>\s*)(?:(?P<target>[^#'\"=!%]*[^#'\"=!%<>:]\s*)=\s*)?(?P<mark>!!|!|%%|%)(?P<rest>.*)", re.S)
_LINE_MAGICS = ("cd", "env", "pwd", "set_env")
# What a line may hold that decides where a statement ends.
_LEXEME = re.compile(r"""(?i:[rbuf]{0,2})(?P<quote>\"""|'''|"|')|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comment>\#)""")


class _Lines:
    """Goes through the lines of a source and knows which begin a statement."""

    def __init__(self):
        self._quote = None  # of a text that goes on in the next line
        self._depth = 0  # brackets that are open
        self._continued = False  # a backslash at the end of the last line

    def begins_statement(self):
        """Whether the next line does."""
        return self._quote is None and not self._depth and not self._continued

    def _text_end(self, line, at):
        """Where the text that has begun ends in LINE; sets _quote where it does not."""
        while at < len(line):
            if line[at] == "\\":
                at += 2
            elif line.startswith(self._quote, at):
                at += len(self._quote)
                self._quote = None
                return at
            else:
                at += 1
        if len(self._quote) == 1 and not line.rstrip("\r\n").endswith("\\"):
            self._quote = None  # never closed: Python will say so
        return len(line)

    def read(self, line):
        """Goes past LINE."""
        at = 0 if self._quote is None else self._text_end(line, 0)
        self._continued = False
        while found := _LEXEME.search(line, at):
            at = found.end()
            if found["comment"]:
                return
            if found["quote"]:
                self._quote = found["quote"]
                at = self._text_end(line, at)
            elif found["open"]:
                self._depth += 1
            elif self._depth:
                self._depth -= 1
        self._continued = self._quote is None and line.rstrip("\r\n").endswith("\\")


def _call(found):
    """The Python statement for a line that IPython knows; None where only IPython itself does."""
    target, mark, rest = found["target"], found["mark"], found["rest"].strip()
    assign = f"{target.rstrip()} = " if target else ""
    if mark in ("!", "!!"):
        captured = target or mark == "!!"
        return f"{assign}get_ipython().{'getoutput' if captured else 'system'}({rest!r})"
    name, _, line = rest.partition(" ")
    if mark == "%%" or name not in _LINE_MAGICS:
        return None
    return f"{assign}get_ipython().run_line_magic({name!r}, {line.strip()!r})"


def translate(source):
    """SOURCE, bytes, as Python. None: it needs IPython."""
    import io
    import tokenize

    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    lines, state, done = source.decode(encoding).splitlines(keepends=True), _Lines(), []
    while lines:
        line = lines.pop(0)
        found = _COMMAND.fullmatch(line) if state.begins_statement() else None
        if not found:
            state.read(line)
            done.append(line)
            continue
        taken = 1
        while line.rstrip("\r\n").endswith("\\") and lines:
            line = line.rstrip("\r\n")[:-1] + lines.pop(0)
            taken += 1
        statement = _call(_COMMAND.fullmatch(line))
        if statement is None:
            return None
        # Lines keep their numbers.
        done.append(found["indent"] + statement + "\n" * taken)
    return "".join(done).encode(encoding)


class Lines(list):
    """The lines that a command printed, with the attributes that IPython gives them."""

    @property
    def l(self):
        """A plain list."""
        return list(self)

    @property
    def s(self):
        """All in one line."""
        return " ".join(self)

    @property
    def n(self):
        """One text."""
        return "\n".join(self)

    list, spstr, nlstr = l, s, n

    def grep(self, pattern, prune=False):
        """Those lines that PATTERN, a regular expression or a function, matches, or does not."""
        test = pattern if callable(pattern) else lambda line: re.search(pattern, line, re.I)
        return Lines(line for line in self if bool(test(line)) != bool(prune))

    def fields(self, *numbers):
        """The words of each line, or those of these numbers, joined by spaces."""
        words = [line.split() for line in self]
        if not numbers:
            return words
        found = (" ".join(row[i] for i in numbers if -len(row) <= i < len(row)) for row in words)
        return Lines(filter(None, found))


class Shell:
    """What get_ipython() returns in a run file."""

    def __init__(self, user_ns):
        self.user_ns = user_ns

    def itself(self):
        """The function get_ipython()."""
        return self

    def var_expand(self, command, scope=None):
        """COMMAND with values in the place of {expressions} and $names. Where one has no value, all
        stays as it is."""
        scope = {**self.user_ns, **(scope or {})}

        def value(found):
            if found["dollars"]:
                return found["dollars"][1:]
            if found["braces"]:
                return found["braces"][0]
            # The script's own words, run where it runs them.
            return str(eval(found["expression"] or found["name"], scope))  # pylint: disable=eval-used

        try:
            return _VALUE.sub(value, command)
        except Exception:  # pylint: disable=broad-except
            return command

    def _prepare(self, command):
        command = self.var_expand(command, sys._getframe(2).f_locals)
        if command.rstrip().endswith("&"):
            raise OSError("Background processes not supported.")
        sys.stdout.flush()
        sys.stderr.flush()
        return ["/bin/sh", "-c", command]

    def system(self, command):
        """Runs COMMAND; its exit status, or minus the signal that ended it, becomes _exit_code."""
        pid = os.posix_spawn("/bin/sh", self._prepare(command), os.environ)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.user_ns["_exit_code"] = 128 - status if status > 128 else status

    def getoutput(self, command, split=True):
        """What COMMAND prints on both outputs, as a list of lines."""
        argv = self._prepare(command)
        reader, writer = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)]
        pid = os.posix_spawn("/bin/sh", argv, os.environ, file_actions=actions)
        os.close(writer)
        with open(reader, encoding="utf-8", errors="replace") as file:
            text = file.read()
        os.waitpid(pid, 0)
        return Lines(text.splitlines()) if split else text

    def run_line_magic(self, name, line):
        """%cd, %env, %pwd and %set_env."""
        line = self.var_expand(line, sys._getframe(1).f_locals)
        if name == "cd":
            os.chdir(os.path.expanduser(line or "~"))
            print(os.getcwd())
            return None
        if name == "pwd":
            return os.getcwd()
        variable, separator, value = line.partition("=" if "=" in line else " ")
        if not line:
            return dict(os.environ)
        if not separator:
            return os.environ[variable]
        os.environ[variable.strip()] = value.strip()
        print(f"env: {variable.strip()}={value.strip()}")
        return None


# "$$name" is a dollar sign and a name, "$$" alone the shell's. A $name within '...' is the shell's.
_VALUE = re.compile(
    r"(?P<dollars>\$\$[\w.]+)|(?P<braces>\{\{|\}\})|\{(?P<expression>[^{}]+)\}|\$(?P<name>[A-Za-z_][\w.]*)"
    r"(?=(?:[^']*'[^']*')*[^']*$)"
)
