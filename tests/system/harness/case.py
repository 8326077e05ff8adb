"""The base of all system tests."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from . import host, images, tasks
from .backend import Backend

BUILD_DIR = os.environ.get("DOCKLESS_BUILD_DIR") or os.path.join(
    os.path.dirname(__file__), "../../../build/dev"
)
DOCKLESS = os.path.join(os.path.realpath(BUILD_DIR), "src/dockless")
# An OCI layout made by scripts/build-image; a fixture of ctest.
DEFAULT_IMAGE = os.environ.get("DOCKLESS_DEFAULT_IMAGE") or os.path.join(
    os.path.dirname(__file__), "../../../build/images/default"
)
STOP_SECONDS = 15
TEST_SECONDS_MAX = 600  # in a virtual machine; tests/vm/suite ends a whole file after 900 s, and says less


def run(*words, seconds=60, **options):
    """Runs dockless to its end; a CompletedProcess with text."""
    return subprocess.run(
        [DOCKLESS, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds * host.time_scale(),
        check=False,
        **options,
    )


def _load(store, reference):
    done = run("image", "load", "--store", store, reference, seconds=300)
    if done.returncode != 0:
        raise AssertionError(f"image load {reference}: {done.stderr}")


def make_store(directory, *layouts):
    """A store with the images of these OCI layouts; without them with the image `raw` and, where it
    was built, `default`."""
    if layouts:
        for layout in layouts:
            _load(directory, f"oci:{layout}")
        return
    with tempfile.TemporaryDirectory() as scratch:
        images.make_raw(scratch + "/raw")
        _load(directory, f"oci:{scratch}/raw:raw")
    if os.path.exists(DEFAULT_IMAGE + "/index.json"):
        _load(directory, f"oci:{DEFAULT_IMAGE}")


_store = None


def shared_store():
    """The store that tests only read: ctest's fixture, else one made once for this process."""
    global _store
    if _store is None:
        _store = os.environ.get("DOCKLESS_TEST_STORE")
    if _store is None:
        directory = tempfile.mkdtemp(prefix="dockless-store.")
        os.chmod(directory, 0o755)
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        _store = directory + "/store"
        make_store(_store)
    return _store


class Agent:
    """A running `dockless agent`."""

    def __init__(self, case, backend, *options, store=None, tmpdir=None):
        self.case = case
        self.tmpdir = tmpdir or os.path.join(case.directory, "agent-tmp")
        self.log = os.path.join(case.directory, f"agent-{len(case.agents)}.log")
        words = ["--tasks", case.courses.directory, "--tmpdir", self.tmpdir]
        words += ["--store", store or shared_store(), "--share-store", "--friendly-name", "test agent"]
        words += ["--concurrency", "8", "-v", *options]
        places = case.cgroup.make_place()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [DOCKLESS, "agent", *words, backend.address],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: host.Cgroup.enter(places),
            )
        self.pid = self.process.pid
        self.launcher = None

    def find_launcher(self):
        """The agent's only child."""
        found = host.children(self.pid)
        if len(found) != 1:
            raise AssertionError(f"the agent has {len(found)} children")
        self.launcher = found[0]
        return self.launcher

    def stop(self, with_signal=signal.SIGTERM):
        """Ends it in good order; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.wait()

    def wait(self, seconds=STOP_SECONDS):
        try:
            return self.process.wait(seconds * host.time_scale())
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the agent did not leave within {seconds} s") from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def messages(self):
        return host.read(self.log)


class SystemTest(unittest.TestCase):
    """Each test has a directory, courses, a backend; afterwards nothing of its agents may be
    left."""

    helpers = ()  # processes of the test's own

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        host.become_subreaper()
        self.directory = tempfile.mkdtemp(prefix="dockless-system.")
        os.chmod(self.directory, 0o755)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.courses = tasks.Courses(self.directory + "/tasks")
        self.cgroup = host.Cgroup(f"dockless-test-{os.getpid()}")
        self.addCleanup(self.cgroup.remove)
        self.mounts = self._mounts()
        self.agents = []
        self.addCleanup(self._end_everything)
        self.addCleanup(self._check_leaks)
        self.backend = Backend()
        self.addCleanup(self.backend.close)

    # -- agents and jobs

    def start_agent(self, *options, **keywords):
        """A new agent that has said hello to self.backend."""
        count = len(self.backend.hellos)
        agent = Agent(self, keywords.pop("backend", self.backend), *options, **keywords)
        self.agents.append(agent)
        self.backend.wait(
            lambda: len(self.backend.hellos) > count or agent.process.poll() is not None, "hello"
        )
        self.assertIsNone(agent.process.poll(), f"the agent ended: {agent.messages()}")
        agent.find_launcher()
        return agent

    def grade(self, task, **fields):
        """One job's AgentJobDone."""
        return self.backend.wait_done(self.backend.new_job(task, **fields))

    def need_default_image(self):
        if not os.path.exists(DEFAULT_IMAGE + "/index.json"):
            self.skipTest(f"there is no image in {DEFAULT_IMAGE}: scripts/build-image makes it")

    def assert_crash(self, done, text):
        """A job that was refused before there was a container."""
        self.assertEqual(done["result"], ("crash", text))
        self.assertEqual(done["grade"], 0.0)
        for key in ("problems", "tests", "custom"):
            self.assertEqual(done[key], {}, key)
        for key in ("archive", "stdout", "stderr"):
            self.assertIsNone(done[key], key)

    def assert_ended(self, done, kind, state=""):
        """A job whose container was ended by the agent."""
        self.assertEqual(done["result"], (kind, ""))
        self.assertEqual(done["grade"], 0.0)
        for key in ("problems", "tests", "custom"):
            self.assertEqual(done[key], {}, key)
        self.assertIsNone(done["archive"])
        self.assertEqual((done["stdout"], done["stderr"], done["state"]), ("", "", state))

    def assert_one_line(self, done, *parts, status=1):
        """A command that failed with one clear line that names all PARTS."""
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertEqual(done.stdout, "")
        for part in ("dockless ", *parts):
            self.assertIn(part, done.stderr)

    def assert_memory_below(self, pid, kib):
        """Resident memory. A sanitizer keeps what was freed: with one this says nothing."""
        if "ASAN_OPTIONS" not in os.environ:
            self.assertLess(host.rss_kib(pid), kib, host.describe(pid))

    def assert_last_line(self, done, *parts):
        """The same for a service, which has said before what it found."""
        done.stderr = done.stderr.strip().splitlines()[-1]
        self.assert_one_line(done, *parts)

    # -- what is left

    def _mounts(self):
        """Mounts of this namespace that could be an agent's: by place, source or kind."""
        words = ("dockless", " nsfs ", " overlay ")
        return {
            line.split(" ", 1)[0]: line
            for line in host.read("/proc/self/mountinfo").splitlines()
            if any(word in line for word in words)
        }

    def left_processes(self):
        """Processes that outlived their agent; this process is their parent now."""
        known = [agent.pid for agent in self.agents if agent.process.poll() is None]
        known += self.helpers
        host.reap([agent.pid for agent in self.agents] + list(self.helpers))
        mine = [pid for pid in host.descendants(os.getpid()) if pid not in known]
        running = {pid for known_pid in known for pid in host.descendants(known_pid)}
        return [pid for pid in mine if pid not in running]

    def assert_nothing_runs(self, seconds=10):
        """No process and no cgroup of agents that have ended, at the latest after SECONDS."""
        host.wait_until(lambda: not self.left_processes(), seconds)
        left = [host.describe(pid) for pid in self.left_processes()]
        self.assertEqual(left, [], "processes are left")

    def _left_files(self):
        found = []
        for agent in self.agents:
            for path, directories, files in os.walk(agent.tmpdir):
                found += [os.path.join(path, name) for name in directories + files]
        return [path for path in found if os.path.basename(path) != "agent.lock"]

    def _check_leaks(self):
        for agent in self.agents:
            if agent.process.poll() is None:
                self.assertEqual(agent.stop(), 0, "exit status of the agent")
            for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
                self.assertNotIn(word, agent.messages())
        self.assert_nothing_runs()
        host.wait_until(lambda: not self.cgroup.left(), 5)
        self.assertEqual(self.cgroup.left(), [], "cgroups are left")
        host.wait_until(lambda: not self._mounts().keys() - self.mounts.keys(), 5)
        new = self._mounts()
        left = [new[key] for key in new.keys() - self.mounts.keys() if self.directory in new[key]]
        self.assertEqual(left, [], "mounts are left")
        self.assertEqual(self._left_files(), [], "files are left in the agent's temporary directory")

    def _end_everything(self):
        """After a failure: what would disturb the next test; and what agents had to say."""
        for agent in self.agents:
            if agent.process.poll() is None:
                agent.kill()
        for pid in self.left_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        host.wait_until(lambda: not self.left_processes(), 5)
        outcome = self._outcome.result
        if any(case is self for case, _ in outcome.failures + outcome.errors):
            for agent in self.agents:
                print(f"--- {agent.log}\n{agent.messages()}", file=sys.stderr)


def _too_long(_number, _frame):
    raise AssertionError(f"this test has taken {TEST_SECONDS_MAX} s")


class _Result(unittest.TextTestResult):
    """Also leaves each test's outcome as a file in $DOCKLESS_TEST_OUTCOMES, for tests/vm; there a
    test that hangs fails, with what its agents had to say."""

    def startTest(self, test):
        super().startTest(test)
        if "DOCKLESS_TEST_OUTCOMES" in os.environ:
            signal.signal(signal.SIGALRM, _too_long)
            signal.alarm(TEST_SECONDS_MAX)

    def stopTest(self, test):
        super().stopTest(test)
        signal.alarm(0)
        directory = os.environ.get("DOCKLESS_TEST_OUTCOMES")
        if directory is None:
            return
        bad = [text for case, text in self.failures + self.errors if test in (case, getattr(case, "test_case", None))]
        skipped = [reason for case, reason in self.skipped if case is test]
        outcome = "failed" if bad else "skipped" if skipped else "passed"
        file = os.path.basename(sys.argv[0]).removeprefix("test_").removesuffix(".py")
        path = f"{directory}/system.{file}.{test._testMethodName.removeprefix('test_')}"
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.write("\n".join([outcome, *bad, *skipped, ""]))
        os.rename(path + ".new", path)


def main():
    """Runs the tests named on the command line (methods, without class), else all of the file.
    Exit status 77: nothing failed, but something was skipped."""
    module = sys.modules["__main__"]
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    wanted = sys.argv[1:]
    if wanted:
        cases = [case for group in suite for case in group if case._testMethodName in wanted]
        if len(cases) != len(wanted):
            sys.exit(f"{sys.argv[0]}: there is no such test among {wanted}")
        suite = unittest.TestSuite(cases)
    outcome = unittest.TextTestRunner(verbosity=2, resultclass=_Result).run(suite)
    if not outcome.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if outcome.skipped else 0)
