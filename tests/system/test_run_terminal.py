"""dockless run -t: a terminal inside, ours raw outside."""

import contextlib
import fcntl
import os
import pty
import select
import shlex
import signal
import struct
import subprocess
import termios
import time

from harness import case, host, sandboxes


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal(sandboxes.RunTest):
    def setUp(self):
        super().setUp()
        self.master, self.slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        set_size(self.master, 33, 101)
        self.seen = b""

    def start(self, *words, options=("-i", "-t")):
        """A run in a session of its own whose terminal is ours."""
        self.start_program(self.words(*words, options=options))

    def start_program(self, words, **environment):
        def control():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            words, stdin=self.slave, stdout=self.slave, stderr=self.slave, preexec_fn=control,
            env=os.environ | environment,
        )  # fmt: skip

    def expect(self, text):
        end = time.monotonic() + 30 * host.time_scale()
        while text.encode() not in self.seen:
            left = end - time.monotonic()
            self.assertGreater(left, 0, f"no {text!r} in {self.seen!r}")
            if select.select([self.master], [], [], left)[0]:
                self.seen += os.read(self.master, 4096)
        self.seen = self.seen.split(text.encode(), 1)[1]

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, status):
        self.assertEqual(self.process.wait(30 * host.time_scale()), status)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def test_the_command_has_a_terminal_of_our_size_and_follows_it(self):
        self.start("sh", "-c", "busybox tty; busybox stty size; echo $TERM; read x; busybox stty size")
        self.expect("/dev/pts/0\r\n33 101\r\nxterm\r\n")
        set_size(self.master, 20, 50)
        self.process.send_signal(signal.SIGWINCH)
        self.type("\r")
        self.expect("20 50\r\n")
        self.end(0)

    def test_our_terminal_is_raw_while_it_runs_and_itself_again_afterwards(self):
        before = termios.tcgetattr(self.slave)
        self.start("sh", "-c", "echo up; read x; exit 4")
        self.expect("up")
        self.assertTrue(host.wait_until(self.is_raw, 10))
        self.type("\r")
        self.end(4)
        self.assertEqual(termios.tcgetattr(self.slave), before)

    def test_ctrl_c_ends_the_command_and_ctrl_d_its_input(self):
        self.start("sh", "-c", "echo up; sleep 60; echo not reached")
        self.expect("up")
        self.assertTrue(host.wait_until(self.is_raw, 10))
        self.type("\x03")
        self.end(130)
        self.start("cat")
        self.assertTrue(host.wait_until(self.is_raw, 10))
        self.type("word\r")
        self.expect("word\r\nword\r\n")
        self.type("\x04")
        self.end(0)

    def test_a_shell_inside_has_job_control(self):
        self.start("sh", "-i")
        self.expect("# ")
        self.type("sh -c 'echo in the fore''ground; exec sleep 60'\r")
        self.expect("in the foreground\r\n")
        self.type("\x1a")
        self.expect("Stopped")
        self.type("kill %1; fg; echo status $?\r")
        self.expect("status 143")
        self.type("exit 5\r")
        self.end(5)

    def test_a_stop_gives_the_terminal_back_until_it_goes_on(self):
        self.start("sh", "-c", "echo up; read x; echo got $x")
        self.expect("up")
        self.assertTrue(host.wait_until(self.is_raw, 10))
        self.process.send_signal(signal.SIGTSTP)
        stopped = os.waitpid(self.process.pid, os.WUNTRACED)
        self.assertTrue(os.WIFSTOPPED(stopped[1]))
        self.assertFalse(self.is_raw())
        self.process.send_signal(signal.SIGCONT)
        self.assertTrue(host.wait_until(self.is_raw, 10))
        self.type("it\r")
        self.expect("got it")
        self.end(0)

    def test_without_a_terminal_of_its_own_it_is_a_job_as_any_other(self):
        """A shell with job control outside: Ctrl-Z, fg, Ctrl-C."""
        words = self.words("sh", "-c", "echo up; while read x; do echo got $x; done", options=["-i"])
        shell = ["bash", "--norc", "--noprofile", "-i"]
        self.start_program(shell, PS1="# ", JOB=shlex.join(words))
        self.expect("# ")
        self.type("eval $JOB\r")
        self.expect("up\r\n")
        self.type("one\r")
        self.expect("got one\r\n")
        self.type("\x1a")
        self.expect("Stopped")
        (inside,) = self.pids_of("sh", "T")
        self.type("fg\r")
        self.assertTrue(host.wait_until(lambda: self.pids_of("sh", "S") == [inside]))
        self.type("two\r")
        self.expect("got two\r\n")
        self.type("\x03")
        self.expect("# ")
        self.type("echo status $?; exit 6\r")
        self.expect("status 130\r\n")
        self.end(6)

    def pids_of(self, name, state):
        """Processes below ours of this name and state."""
        found = []
        for pid in host.descendants(self.process.pid):
            with contextlib.suppress(OSError, KeyError):
                fields = host.status_field(pid, "Name"), host.status_field(pid, "State")[0]
                found += [pid] if fields == (name, state) else []
        return found

    def test_the_end_of_an_input_that_is_no_terminal_is_the_end_inside(self):
        done = self.sandbox("cat", options=["-i", "-t"], input="word\n")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.replace("\r", ""), "word\nword\n")  # the echo, and the command

    def test_without_i_nothing_is_read_from_our_terminal(self):
        self.start("sh", "-c", "busybox tty; busybox stty size", options=["-t"])
        self.expect("/dev/pts/0\r\n33 101\r\n")
        self.end(0)


if __name__ == "__main__":
    case.main()
