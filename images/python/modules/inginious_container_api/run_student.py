"""Commands in a student container: one of its own, which sees of this one only /task/student and
/course/common/student. The program run_student does the work."""

import os

# Like the command run_student, with what only a program needs to say.
_PROGRAM = "/usr/local/bin/_run_student"
_SIGNALS_FD = 3
# Above those that the program has.
_FIRST_FREE_FD = 10


def _words(options):
    """OPTIONS, a dict, as arguments of the program; those that are False, None, 0 or "" are left out."""
    words = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value:
            words.append(f"--{name}={value}")
    return words


class _Files:
    """Descriptors for a program that is to be started, closed at the end."""

    def __init__(self):
        self._fds = []

    def add(self, fd):
        """A copy of FD (None: /dev/null) that is in nobody's way."""
        import fcntl

        null = os.open(os.devnull, os.O_RDWR) if fd is None else None
        try:
            self._fds.append(fcntl.fcntl(null if fd is None else fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE_FD))
        finally:
            if null is not None:
                os.close(null)
        return self._fds[-1]

    def actions(self):
        """What puts them, in the order they were added, at 0, 1, 2..."""
        return [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(self._fds)]

    def close(self):
        while self._fds:
            os.close(self._fds.pop())


def _start(arguments, stdin, stdout, stderr, signals):
    files = _Files()
    try:
        for fd in (stdin, stdout, stderr) if signals is None else (stdin, stdout, stderr, signals):
            files.add(fd)
        return os.posix_spawn(_PROGRAM, [_PROGRAM, *arguments], os.environ, file_actions=files.actions())
    finally:
        files.close()


def _wait(pid):
    """The exit status of the program, which ends with this function at the latest."""
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except BaseException:
        import signal

        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    return status if status >= 0 else 254


class _Signals:
    """A pipe for the numbers of signals, and the function that writes into it until it is closed."""

    def __init__(self):
        self.reader, self._writer = os.pipe()

    def send(self, number):
        """Sends the command a signal."""
        if self._writer is not None:
            os.write(self._writer, b"%03d" % int(number))

    def close(self):
        writer, self._writer = self._writer, None
        os.close(self.reader)
        os.close(writer)


def _whole(limit):
    """A limit as a whole number, rounded up: 0 would be another one."""
    return int(-(-limit // 1)) if limit else 0


def run_student(
    cmd,
    container=None,
    time_limit=0,
    hard_time_limit=0,
    memory_limit=0,
    share_network=False,
    working_dir=None,
    stdin=None,
    stdout=None,
    stderr=None,
    signal_handler_callback=None,
    ssh=False,
    start_student_as_root=False,
    teardown_script="",
):
    """Runs CMD, a text that is cut into words as a shell would, in a student container.

    container: another environment than the task's. time_limit, hard_time_limit: seconds;
    memory_limit: megabytes; 0, and at most: those of the task. share_network: in the network of this
    container. working_dir: default: the present one; must exist there. stdin, stdout, stderr:
    descriptors; None: /dev/null. signal_handler_callback: called with a function that sends a signal,
    by its number, to the command. ssh: the student may log in afterwards. start_student_as_root: as
    the container's root. teardown_script: a command to run at the end.

    Returns the command's exit status, or 256 minus the signal that ended it; 251: not available; 252:
    out of memory; 253: out of time; 254: no container."""
    signals = None
    try:
        if signal_handler_callback is not None:
            signals = _Signals()
            signal_handler_callback(signals.send)
        arguments = _words(
            {
                "container": container,
                "time": _whole(time_limit),
                "hard-time": _whole(hard_time_limit),
                "memory": _whole(memory_limit),
                "share-network": bool(share_network),
                "working-dir": working_dir or os.getcwd(),
                "ssh": bool(ssh),
                "run-as-root": bool(start_student_as_root),
                "teardown-script": teardown_script,
                "signals": _SIGNALS_FD if signals else None,
            }
        )
        if cmd:
            arguments += "--", cmd
        return _wait(_start(arguments, stdin, stdout, stderr, signals and signals.reader))
    except (OSError, ValueError, TypeError):
        return 254
    finally:
        if signals:
            signals.close()


def run_student_simple(
    cmd,
    cmd_input=None,
    container=None,
    time_limit=0,
    hard_time_limit=0,
    memory_limit=0,
    share_network=False,
    working_dir=None,
    stdout_err_fuse=False,
    text="utf-8",
):
    """Runs CMD in a student container with CMD_INPUT, a str, bytes or None, as its input.

    Returns (stdout, stderr, status), or with stdout_err_fuse (stdout, status). Outputs are decoded as
    TEXT says; False: they are bytes. For the rest see run_student()."""
    import threading

    def read_all(fd, parts):
        while block := os.read(fd, 1 << 16):
            parts.append(block)

    def write_all(fd, data):
        try:
            while data:
                data = data[os.write(fd, data) :]
        except BrokenPipeError:
            pass  # the command did not want all of it
        os.close(fd)

    stdin, threads, outputs, ours, theirs = None, [], [], [], []
    if cmd_input is not None:
        stdin, writer = os.pipe()
        theirs.append(stdin)
        data = cmd_input.encode() if isinstance(cmd_input, str) else cmd_input
        threads.append(threading.Thread(target=write_all, args=(writer, data), daemon=True))
    for _ in range(1 if stdout_err_fuse else 2):
        reader, writer = os.pipe()
        ours.append(reader)
        theirs.append(writer)
        outputs.append([])
        threads.append(threading.Thread(target=read_all, args=(reader, outputs[-1]), daemon=True))
    for thread in threads:
        thread.start()
    stdout, stderr = theirs[-len(outputs)], theirs[-1]
    status = run_student(
        cmd,
        container,
        time_limit,
        hard_time_limit,
        memory_limit,
        share_network,
        working_dir,
        stdin,
        stdout,
        stderr,
    )
    for fd in theirs:
        os.close(fd)
    for thread in threads:
        thread.join()
    for fd in ours:
        os.close(fd)
    found = [b"".join(parts) for parts in outputs]
    return (*(found if text is False else [part.decode(text) for part in found]), status)


def _hack_signals(receive_signal):
    """A signal_handler_callback: every signal that this process gets goes to the command."""
    import signal

    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE}:
        try:
            signal.signal(number, lambda got, _: receive_signal(got))
        except (OSError, ValueError):
            pass  # the libc keeps some for itself
