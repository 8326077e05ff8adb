"""`dockless grade`: one task, no server."""

import json
import os

from harness import case
from harness.tasks import SUCCESS, result

TASK = """\
name: Sum
environment_id: raw
environment_type: docker
environment_parameters:
  limits: {time: 20, hard_time: 60, memory: 64}
problems:
  q1: {type: code}
"""


class Grade(case.SystemTest):
    def grade_task(self, *words):
        return case.run(
            *("grade", "--tasks", self.courses.directory, "--store", case.shared_store()),
            *("--tmpdir", self.directory + "/grade-tmp", *words),
            preexec_fn=lambda places=self.cgroup.make_place(): case.host.Cgroup.enter(places),
        )

    def tearDown(self):
        left = [name for _, d, f in os.walk(self.directory + "/grade-tmp") for name in d + f]
        self.assertLessEqual(set(left), {"agent.lock"})

    def add(self, run="cat says", says=SUCCESS, yaml=TASK):
        return self.courses.add("course/task", run=run, says=says, task_yaml=yaml)

    def test_the_verdict_is_printed_for_people(self):
        done = self.grade_task(self.add())
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("success", "100", "done"):
            self.assertIn(word, done.stdout)

    def test_the_verdict_as_json(self):
        says = result(result="failed", text="né", grade=12.345, custom={"a": [1, None]})
        done = self.grade_task("--format", "json", self.add(says=says))
        self.assertEqual(done.returncode, 0, done.stderr)
        verdict = json.loads(done.stdout)
        self.assertEqual((verdict["result"], verdict["text"]), ("failed", "né"))
        self.assertEqual(verdict["grade"], 12.35)
        self.assertEqual(verdict["custom"], {"a": [1, None]})

    def test_a_failed_submission_is_still_a_verdict(self):
        self.assertEqual(self.grade_task(self.add(says=result(result="failed"))).returncode, 0)

    def test_a_crash_is_no_verdict(self):
        self.assertEqual(self.grade_task(self.add(says=b"")).returncode, 1)

    def test_the_limits_of_the_task_apply(self):
        done = self.grade_task(self.add(run="sleep 600", yaml=TASK.replace("hard_time: 60", "hard_time: 1")))
        self.assertEqual(done.returncode, 1)
        self.assertIn("timeout", done.stdout)

    def test_inputs_reach_the_container(self):
        with open(self.directory + "/answer", "w", encoding="utf-8") as file:
            file.write("from a file é")
        # The frame holds the answers; the task looks for them in it.
        run = "dd bs=64k count=1 >got && grep -q typed got && grep -q 'from a file é' got && cat says"
        done = self.grade_task(
            "--input", "q1=typed", "--input", f"q2=@{self.directory}/answer", self.add(run=run)
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_unknown_task_is_one_clear_line(self):
        os.mkdir(self.courses.directory + "/course")
        self.assert_one_line(self.grade_task("course/nope"), "course/nope")

    def test_an_unknown_environment_is_named(self):
        done = self.grade_task("--env", "nope", self.add())
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nope", done.stdout + done.stderr)

    def test_a_broken_task_file_is_named_with_its_line(self):
        done = self.grade_task(self.add(yaml="name: x\nproblems: [unclosed\n"))
        self.assert_one_line(done, f"{self.courses.directory}/course/task/task.yaml:")

    def test_a_missing_input_file_is_named(self):
        done = self.grade_task("--input", "q1=@/nonexistent/file", self.add())
        self.assert_one_line(done, "/nonexistent/file")

    def test_wrong_command_lines_exit_with_2(self):
        for words in ([], ["no-slash"], ["--format", "xml", "c/t"], ["--input", "nonsense", "c/t"]):
            self.assertEqual(self.grade_task(*words).returncode, 2, words)


if __name__ == "__main__":
    case.main()
