"""The examples of the documentation do what they say."""

import os
import re
import subprocess
import tempfile

from harness import case, sandboxes

DOCS = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../docs"))


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

    def run_shell(self, script, directory, *words):
        environment = os.environ | {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-c", script, "sh", *words], cwd=directory, env=environment, check=False,
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


if __name__ == "__main__":
    case.main()
