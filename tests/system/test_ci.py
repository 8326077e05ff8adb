"""The scripts for continuous integration, called as the services call them."""

import json
import os
import signal
import stat
import subprocess

from harness import case, host, sandboxes

SCRIPTS = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../scripts/ci"))
BUILD_FAILURE, SYSTEM_FAILURE = 81, 82

# What GitLab Runner 16 sends for a job of one script line, cut to what matters: it changes into the
# checkout and runs line by line.
SOURCES = "cd /builds/group/project\necho 'echo tested $1' >test.sh\n"


class GitLab(sandboxes.RunTest):
    def setUp(self):
        super().setUp()
        self.store = self.directory + "/store"
        sandboxes.load_busybox(self.directory + "/image", self.store, "alpine", "helper")
        self.program = self.directory + "/dockless"
        sandboxes.write_wrapper(self.program, self.store, self.scratch)
        self.environment = os.environ | {
            "DOCKLESS": self.program,
            "DOCKLESS_DATA": self.directory + "/data",
            "DOCKLESS_HELPER_IMAGE": "helper",
            "DOCKLESS_HELPER_NETWORK": "none",
            "DOCKLESS_GITLAB_SETTINGS": "/dev/null",
            "DOCKLESS_JOB_OPTIONS": "--memory 64m --wall-time 20",
            "CUSTOM_ENV_CI_JOB_ID": "4711",
            "CUSTOM_ENV_CI_PROJECT_ID": "12",
            "CUSTOM_ENV_CI_JOB_IMAGE": "alpine",
            "BUILD_FAILURE_EXIT_CODE": str(BUILD_FAILURE),
            "SYSTEM_FAILURE_EXIT_CODE": str(SYSTEM_FAILURE),
        }

    def call(self, name, *words, **changes):
        return subprocess.run(
            [f"{SCRIPTS}/gitlab/{name}", *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            env=self.environment | changes,
        )  # fmt: skip

    def script(self, name, text):
        path = f"{self.directory}/script-{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, stat.S_IRWXU)
        return path

    def stage(self, name, script, **changes):
        return self.call("run", self.script(name, script), name, **changes)

    def test_a_job_of_several_stages_succeeds_and_leaves_only_its_cache(self):
        config = json.loads(self.call("config").stdout)
        self.assertEqual((config["builds_dir"], config["cache_dir"]), ("/builds", "/cache"))
        self.assertEqual(self.call("prepare").returncode, 0)
        self.assertEqual(self.stage("prepare_script", "mkdir -p /builds/group/project").stderr, "")
        self.assertEqual(self.stage("get_sources", SOURCES).returncode, 0)
        script = "cd /builds/group/project && sh test.sh it && echo kept >/cache/file"
        done = self.stage("build_script", script)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "tested it\n", ""))
        self.assertEqual(self.call("cleanup").returncode, 0)
        self.assertEqual(os.listdir(self.directory + "/data/builds"), [])
        self.assertEqual(os.listdir(self.directory + "/data/cache/12"), ["file"])

    def test_a_script_is_given_to_bash_where_the_image_has_it(self):
        self.assertEqual(self.call("prepare").returncode, 0)
        bash = self.directory + "/bash"
        with open(bash, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho bash; exec sh\n")
        os.chmod(bash, 0o755)
        self.assertEqual(self.stage("build_script", "echo it").stdout, "it\n")
        done = self.stage("build_script", "echo it", DOCKLESS_JOB_OPTIONS=f"-v {bash}:/bin/bash:ro")
        self.assertEqual(done.stdout, "bash\nit\n")

    def test_a_job_that_is_cancelled_ends_in_good_order(self):
        """The runner sends SIGTERM to the process group of `run`."""
        self.assertEqual(self.call("prepare").returncode, 0)
        script = "trap 'echo bye; exit 5' TERM\necho up\nwhile :; do sleep 0.05; done\n"
        code = self.directory + "/code"
        process = subprocess.Popen(
            [f"{SCRIPTS}/gitlab/run", self.script("step_script", script), "step_script"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
            env=self.environment | {"BUILD_EXIT_CODE_FILE": code},
        )  # fmt: skip
        self.assertEqual(process.stdout.readline(), b"up\n")
        os.killpg(process.pid, signal.SIGTERM)
        self.assertEqual(process.stdout.read(), b"bye\n")
        self.assertEqual(process.wait(30 * host.time_scale()), BUILD_FAILURE)
        process.stdout.close()
        self.assertEqual(host.read(code), "5\n")
        self.assertEqual(self.call("cleanup").returncode, 0)

    def test_failures_of_the_job_and_of_the_system_are_told_apart(self):
        self.assertEqual(self.call("prepare").returncode, 0)
        self.assertEqual(self.stage("build_script", "exit 3").returncode, BUILD_FAILURE)
        limit = self.stage("build_script", "sleep 60", DOCKLESS_JOB_OPTIONS="--wall-time 0.2")
        self.assertEqual(limit.returncode, BUILD_FAILURE)
        self.assertIn("limit on wall-time", limit.stderr)
        services = self.call("prepare", CUSTOM_ENV_CI_JOB_SERVICES='[{"name":"redis"}]')
        self.assertEqual(services.returncode, SYSTEM_FAILURE)
        self.assertIn("services are not supported", services.stderr)
        self.assertEqual(self.call("prepare", CUSTOM_ENV_CI_JOB_SERVICES="[]").returncode, 0)
        missing = self.call("prepare", CUSTOM_ENV_CI_JOB_IMAGE="no-such-image")
        self.assertEqual(missing.returncode, SYSTEM_FAILURE)
        gone = self.stage("build_script", "true", CUSTOM_ENV_CI_JOB_IMAGE="no-such-image")
        self.assertEqual(gone.returncode, SYSTEM_FAILURE)
        for name in ("--privileged", "-v/:/host"):
            option = self.stage("build_script", "true", CUSTOM_ENV_CI_JOB_IMAGE=name)
            self.assertEqual(option.returncode, SYSTEM_FAILURE, name)
        self.assertEqual(self.call("prepare", CUSTOM_ENV_CI_JOB_ID="../x").returncode, SYSTEM_FAILURE)


if __name__ == "__main__":
    case.main()
