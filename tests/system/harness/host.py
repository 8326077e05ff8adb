"""The host as the tests see it: time scale, processes, cgroups."""

import contextlib
import ctypes
import errno
import os
import time

PR_SET_CHILD_SUBREAPER = 36
CGROUP_ROOT = "/sys/fs/cgroup"


def time_scale():
    """How much slower than a real machine this one may be, for timed assertions."""
    return float(os.environ.get("DOCKLESS_TIME_SCALE", "1"))


def wait_until(condition, seconds=10.0):
    """Whether CONDITION() came true within SECONDS (scaled)."""
    end = time.monotonic() + seconds * time_scale()
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def become_subreaper():
    """From here on every orphan below this process becomes its child: none can get away."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def children(pid):
    """Direct children of PID, zombies too."""
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def reap(known):
    """Collects dead children other than those in KNOWN (which subprocess waits for)."""
    for child in children(os.getpid()):
        if child not in known:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def describe(pid):
    """One line about a process, for messages."""
    try:
        fields = dict(
            line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines() if ":\t" in line
        )
        command = read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
        return f"{pid} {fields['Name']} ({fields['State']}) {command}"
    except OSError:
        return f"{pid} (gone)"


def status_field(pid, name):
    for line in read(f"/proc/{pid}/status").splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].strip()
    raise KeyError(name)


def rss_kib(pid):
    return int(status_field(pid, "VmRSS").split()[0])


def fd_targets(pid):
    """What the file descriptors of PID refer to."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def _own_cgroups():
    """Pairs (mount point, path of this process's cgroup) for all mounted hierarchies."""
    paths = {}
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        paths[frozenset(filter(None, controllers.split(",")))] = path
    for line in read("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ", 1)
        point, (kind, _, options) = left.split()[4], right.split()[:3]
        if kind == "cgroup2":
            yield kind, point, paths.get(frozenset(), "/")
        elif kind == "cgroup":
            for controllers, path in paths.items():
                if controllers and controllers <= set(options.split(",")):
                    yield kind, point, path
                    break


class Cgroup:
    """A cgroup of the test's own in every hierarchy, so that whatever agents leave behind is found
    in it, also when other tests run beside this one."""

    def __init__(self, name):
        self.directories = []
        self.places = 0
        for kind, point, path in _own_cgroups():
            directory = os.path.normpath(point + "/" + path)
            if kind == "cgroup2" and not self._is_hybrid():
                directory = self._delegating(point, directory)
            directory = os.path.join(directory, name)
            try:
                os.mkdir(directory)
            except OSError as error:
                if error.errno == errno.EROFS:
                    continue
                raise
            self.directories.append(directory)
            if kind == "cgroup2":
                self._enable(directory)
            else:
                self._copy_cpuset(directory)

    @staticmethod
    def _is_hybrid():
        return not os.path.exists(CGROUP_ROOT + "/cgroup.controllers")

    @staticmethod
    def _delegating(point, directory):
        """The nearest cgroup upwards that hands the controllers to its children: one with
        processes, other than the root, cannot."""
        while directory != point:
            if "memory" in read(directory + "/cgroup.subtree_control").split():
                break
            directory = os.path.dirname(directory)
        return directory

    @staticmethod
    def _enable(directory):
        for controller in read(directory + "/cgroup.controllers").split():
            with contextlib.suppress(OSError), open(directory + "/cgroup.subtree_control", "w") as file:
                file.write("+" + controller)

    @staticmethod
    def _copy_cpuset(directory):
        """A v1 cpuset takes no process before its two lists are set."""
        for name in ("cpuset.cpus", "cpuset.mems"):
            with contextlib.suppress(FileNotFoundError):
                value = read(os.path.join(os.path.dirname(directory), name))
                with open(os.path.join(directory, name), "w") as file:
                    file.write(value)

    def make_place(self):
        """Directories of a new child cgroup for one agent: v2 allows processes only in leaves, and
        a killed agent may have made its own into something else."""
        self.places += 1
        places = [f"{directory}/place-{self.places}" for directory in self.directories]
        for place in places:
            os.makedirs(place, exist_ok=True)
            self._copy_cpuset(place)
        return places

    @staticmethod
    def enter(places):
        """Moves the calling process; for preexec_fn."""
        for place in places:
            with open(place + "/cgroup.procs", "w") as file:
                file.write("0")

    def cpu_seconds(self):
        """Processor time used so far by agents and their containers."""
        for directory in self.directories:
            with contextlib.suppress(FileNotFoundError):
                words = read(directory + "/cpu.stat").split()
                if words[0] == "usage_usec":  # v1 has a file of this name with other things in it
                    return int(words[1]) / 1e6
        raise AssertionError("there is no cpu.stat")

    def left(self):
        """Directories and processes in it, as text; the places themselves do not count."""
        found = []
        for directory in self.directories:
            for path, _, _ in os.walk(directory):
                place = os.path.relpath(path, directory)
                if "/" in place or not (place == "." or place.startswith("place-")):
                    found.append(path)
                with contextlib.suppress(OSError):
                    found += [f"{path}: {describe(pid)}" for pid in read(path + "/cgroup.procs").split()]
        return found

    def remove(self):
        """Also what agents left; it was reported before."""
        for directory in self.directories:
            for path, _, _ in os.walk(directory, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
