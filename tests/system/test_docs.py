"""The examples of the documentation do what they say."""

import os
import re
import subprocess
import tempfile

from harness import case, sandboxes

DOCS = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../docs"))


USER = 4321  # without an account


def blocks(file, language):
    with open(f"{DOCS}/{file}", encoding="utf-8") as text:
        return re.findall(rf"^```{language}\n(.*?)^```$", text.read(), re.MULTILINE | re.DOTALL)


class Docs(sandboxes.RunTest):
    def setUp(self):
        super().setUp()
        store, self.programs = self.directory + "/store", self.directory + "/bin"
        sandboxes.load_busybox(self.directory + "/image", store, "busybox")
        os.mkdir(self.programs)
        sandboxes.write_wrapper(self.programs + "/dockless", store, self.scratch)

    def run_shell(self, script, directory, *words, program="sh", **environment):
        environment |= os.environ | {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        return subprocess.run(
            [program, "-c", script, program, *words], cwd=directory, env=environment, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def check_console(self, block, directory):
        """Commands behind "$ ", each with the output that follows it."""
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            pattern = "".join(
                r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n"
                for line in expected.splitlines()
            )
            output = self.run_shell(command, directory).stdout
            self.assertRegex(output, f"\\A{pattern}\\Z", command)

    def check_examples(self, file):
        found = blocks(file, "console")
        self.assertGreater(len(found), 5)
        for block in found:
            with tempfile.TemporaryDirectory(dir=self.directory) as directory:
                self.check_console(block, directory)

    def test_examples_of_run_do_what_they_say(self):
        self.check_examples("run.md")

    def test_examples_of_bench_do_what_they_say(self):
        self.check_examples("bench.md")

    def test_the_step_of_a_plain_shell_tells_failures_from_trouble(self):
        (script,) = blocks("ci/shell.md", "sh")
        for words, status, text in (
            (["busybox", "sh", "-c", "echo x >/results/x; echo y >/src/y"], 0, "passed\n"),
            (["busybox", "sh", "-c", "exit 4"], 4, "failed: status 4\n"),
            (["no-such-image", "true"], 125, "broken: the machine, not the change\n"),
        ):
            with tempfile.TemporaryDirectory(dir=self.directory) as directory:
                done = self.run_shell(script, directory, *words)
                self.assertEqual((done.returncode, done.stdout), (status, text))
                if status == 0:
                    self.assertEqual(os.listdir(directory), ["results"])
                    self.assertIn("x", os.listdir(directory + "/results"))

    def test_the_batch_script_for_slurm_runs_a_step_as_its_user(self):
        """slurmd starts a copy of the script in the directory it was submitted from, without input.
        There are no srun and sudo here: these do what matters of them."""
        step, batch = blocks("ci/slurm.md", "sh")
        sandboxes.load_busybox(self.directory + "/solver", self.directory + "/store", "solver")
        work = self.directory + "/work"
        os.mkdir(work)
        for path, text in (
            (self.programs + "/step", step),
            (self.programs + "/srun", '#!/bin/sh\n[ "$1" = --cpus-per-task=2 ] && shift && exec "$@"\n'),
            (self.programs + "/sudo",
             f"#!/bin/sh\n[ $1 = /usr/local/libexec/dockless-step ] && shift &&\n"
             f'SUDO_UID={USER} SUDO_GID={USER} exec {self.programs}/step "$@"\n'),
            (work + "/solve",
             '#!/bin/sh\n[ "$*" = "--input data.bin" ] && echo $(id -u) >user && exit 3\n'),
        ):  # fmt: skip
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, 0o755)
        slurm = {"SLURM_JOB_ID": "4711", "SLURM_CPUS_PER_TASK": "2"}
        done = self.run_shell(batch, work, program="bash", **slurm)
        self.assertEqual((done.returncode, done.stdout), (125, "not your directory\n"))
        os.chown(work, USER, USER)
        done = self.run_shell(batch, work, program="bash", **slurm)
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertEqual(os.stat(work + "/user").st_uid, USER)
        for image in ("-v/:/host", "rootfs:/", "no-such-image"):
            words = f"sudo /usr/local/libexec/dockless-step {image} true"
            self.assertEqual(self.run_shell(words, work).returncode, 125, image)


if __name__ == "__main__":
    case.main()
