"""`dockless run` as users call it."""

import json
import os
import subprocess

from . import case, host, images


class RunTest(case.SystemTest):
    """Each run in a cgroup of the test's own, with its scratch below the test's directory, where
    nothing may be left."""

    def setUp(self):
        super().setUp()
        self.scratch = os.path.join(self.directory, "scratch")
        self.report_file = os.path.join(self.directory, "report.json")
        self.addCleanup(self._check_scratch)

    def _check_scratch(self):
        left = os.listdir(self.scratch) if os.path.exists(self.scratch) else []
        self.assertEqual(left, [], "files are left in the scratch directory")

    def words(self, *words, image="raw", options=()):
        """The command line of a run; WORDS is the command."""
        return [
            case.DOCKLESS, "run", "--store", case.shared_store(), "--tmpdir", self.scratch,
            "--report", self.report_file, "--entrypoint", "", *options, image, "--", *words,
        ]  # fmt: skip

    def popen(self, *words, image="raw", options=(), **keywords):
        places = self.cgroup.make_place()
        keywords.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(
            self.words(*words, image=image, options=options),
            preexec_fn=lambda: host.Cgroup.enter(places),
            **keywords,
        )

    def sandbox(self, *words, image="raw", options=(), text=True, **keywords):
        """Runs it to its end; a CompletedProcess whose `report` is the report."""
        places = self.cgroup.make_place()
        if "input" not in keywords:
            keywords.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            self.words(*words, image=image, options=options),
            capture_output="stdout" not in keywords,
            text=text,
            timeout=60 * host.time_scale(),
            check=False,
            preexec_fn=lambda: host.Cgroup.enter(places),
            **keywords,
        )
        done.report = self.take_report()
        return done

    def take_report(self):
        """The report of the run before, if there is one."""
        if not os.path.exists(self.report_file):
            return None
        with open(self.report_file, encoding="utf-8") as file:
            report = json.load(file)
        os.unlink(self.report_file)
        return report

    def output(self, *words, **keywords):
        """What a command that succeeds prints."""
        done = self.sandbox(*words, **keywords)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def shell(self, script, **keywords):
        return self.sandbox("sh", "-c", script, **keywords)


def load_busybox(directory, store, *names):
    """Loads a small image of busybox into STORE under NAMES."""
    layout = images.Layout(directory)
    layout.add("busybox", [images.layer(images.busybox_files())], {}, Cmd=["sh"])
    for name in names:
        done = case.run("image", "load", "--store", store, "--name", name, f"oci:{directory}:busybox")
        if done.returncode != 0:
            raise AssertionError(done.stderr)


def write_wrapper(path, store, scratch):
    """A program PATH that is dockless with STORE and SCRATCH as its defaults."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f"#!/bin/sh\nverb=$1\nshift\ncase $verb in\n"
            f"run|bench) exec {case.DOCKLESS} $verb --store {store} --tmpdir {scratch} \"$@\" ;;\n"
            f"image) verb=$1 && shift && exec {case.DOCKLESS} image $verb --store {store} \"$@\" ;;\n"
            f"*) exec {case.DOCKLESS} $verb \"$@\" ;;\nesac\n"
        )
    os.chmod(path, 0o755)
