"""Two network namespaces in place of the machine's own: this process's, which plays the host, and one
connected to it, which plays the rest of the world. Whatever is started from here on is in the first.

  host  203.0.113.1, 2001:db8:1::1 -- 203.0.113.2, 2001:db8:1::2  world
                                      198.51.100.7, 2001:db8:2::7
                                      10.8.8.8, 169.254.169.254

A server at port 7000 of all addresses of the world tells who is asking; the host has one like it."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import threading

from . import host

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PORT = 7000

HOST4, HOST6 = "203.0.113.1", "2001:db8:1::1"
WORLD4, WORLD6 = "198.51.100.7", "2001:db8:2::7"
PRIVATE4 = "10.8.8.8"
METADATA4 = "169.254.169.254"

HOST_SETUP = f"""
link set lo up
address add {HOST4}/24 dev out
address add {HOST6}/64 dev out nodad
link set out up
route add 169.254.0.0/16 via 203.0.113.2
route add 10.0.0.0/8 via 203.0.113.2
"""
DEFAULT_ROUTES = """
route add default via 203.0.113.2
route add default via 2001:db8:1::2
"""
WORLD_SETUP = f"""
link set lo up
address add 203.0.113.2/24 dev out
address add 2001:db8:1::2/64 dev out nodad
link set out up
address add {WORLD4}/32 dev lo
address add {WORLD6}/128 dev lo
address add {PRIVATE4}/32 dev lo
address add {METADATA4}/32 dev lo
"""


def _unshare():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")


def _serve():
    """A server in the present namespace; its listening socket."""
    listener = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)

    def loop():
        with contextlib.suppress(OSError):
            while True:
                client, peer = listener.accept()
                with client, contextlib.suppress(OSError):
                    client.sendall(peer[0].removeprefix("::ffff:").encode() + b"\n")

    threading.Thread(target=loop, daemon=True).start()
    return listener


class World:
    def __init__(self, case, default_route=True):
        """Skips CASE where the machine cannot make them."""
        self.own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        case.addCleanup(self._end)
        try:
            _unshare()
        except OSError as error:
            case.skipTest(f"no network namespaces: {error}")
        self.pid = self._start()
        case.helpers = (self.pid,)
        self._ip("link add out type veth peer name out netns %d" % self.pid)
        self._batch(HOST_SETUP + (DEFAULT_ROUTES if default_route else ""))
        self._batch(WORLD_SETUP, "nsenter", "-t", str(self.pid), "-n")
        self.listener = _serve()

    def _start(self):
        """The world's process: it serves until this one kills it."""
        ready, done = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ready)
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            _unshare()
            _serve()
            os.close(done)
            while True:
                signal.pause()
        os.close(done)
        os.read(ready, 1)
        os.close(ready)
        return pid

    @staticmethod
    def _ip(words):
        subprocess.run(["ip", *words.split()], check=True)

    @staticmethod
    def _batch(text, *prefix):
        subprocess.run([*prefix, "ip", "-batch", "-"], input=text, text=True, check=True)

    def _end(self):
        libc = ctypes.CDLL(None, use_errno=True)
        if hasattr(self, "pid"):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.listener.close()
        libc.setns(self.own, CLONE_NEWNET)
        os.close(self.own)

    def enter(self):
        """For preexec_fn: the process goes to the world."""
        fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
            os._exit(1)

    def fetch(self, address, port, seconds=5):
        """What the world gets from ADDRESS:PORT, or None where nobody answers."""
        return self.run(
            "bash", "-c", f"exec 2>/dev/null; timeout {seconds} cat < /dev/tcp/{address}/{port} || echo -"
        )

    def run(self, *words, seconds=60, **options):
        """Standard output of a command in the world."""
        return subprocess.run(
            words,
            preexec_fn=self.enter,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds * host.time_scale(),
            **options,
        ).stdout.strip()


@contextlib.contextmanager
def occupy(port):
    """Another program of the host that has PORT."""
    with socket.create_server(("127.0.0.1", port)):
        yield


def port_is_free(port):
    """Whether a program of the host can have PORT now, at all its addresses."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind(("::", port))
        except OSError:
            return False
        return True
