"""The default image: what teachers' run scripts do, and what the backend is told.  Texts and
defaults are those of INGInious' own images."""

import io
import tarfile

from harness import case, host

SHELL = "#!/bin/bash\n"


class Graders(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.need_default_image()
        self.start_agent()

    def runs(self, script, fields=None, **files):
        """AgentJobDone of a job with SCRIPT as its task's `run`."""
        task = self.courses.add("course/task", run=SHELL + script, **files)
        return self.grade(task, environment="default", **(fields or {}))

    def test_success(self):
        done = self.runs("feedback-result success\nfeedback-grade 88.5\nfeedback-msg -m 'Well done'\n")
        self.assertEqual(done["result"][0], "success")
        self.assertIn("Well done", done["result"][1])
        self.assertEqual(done["grade"], 88.5)
        self.assertEqual((done["stdout"], done["stderr"]), ("", ""))

    def test_success_without_grade_is_worth_100(self):
        self.assertEqual(self.runs("feedback-result success\n")["grade"], 100.0)

    def test_failed(self):
        done = self.runs("feedback-result failed\n")
        self.assertEqual((done["result"], done["grade"]), (("failed", ""), 0.0))

    def test_grades_are_rounded_to_two_places(self):
        self.assertEqual(self.runs("feedback-result success\nfeedback-grade 33.335\n")["grade"], 33.34)

    def test_problems_and_custom_values(self):
        done = self.runs(
            "feedback-result failed\n"
            "feedback-result -i q1 success\n"
            "feedback-msg -i q1 -m 'good'\n"
            "feedback-result -i q2 failed\n"
            "feedback-custom n 42\n"
            "feedback-custom -j list '[1, 2.5, null, {\"a\": \"b\"}]'\n"
        )
        self.assertEqual(done["problems"]["q1"][0], "success")
        self.assertIn("good", done["problems"]["q1"][1])
        self.assertEqual(done["problems"]["q2"], ("failed", ""))
        self.assertEqual(done["custom"], {"n": 42, "list": (1, 2.5, None, {"a": "b"})})

    def test_no_feedback_at_all(self):
        self.assertEqual(self.runs("true\n")["result"], ("crash", "No feedback was given !"))

    def test_a_missing_run_file(self):
        task = self.courses.add("course/task", readme="no run here")
        done = self.grade(task, environment="default")
        self.assertEqual(done["result"], ("crash", "'/task/run' could not be found"))

    def test_a_run_file_that_cannot_be_executed(self):
        task = self.courses.add("course/task", run="\0\1\2not a program", mode=0o755)
        done = self.grade(task, environment="default")
        self.assertEqual(done["result"][0], "crash")
        self.assertIn("An error occured while running the grading script", done["result"][1])

    def test_a_run_script_that_fails_without_feedback(self):
        self.assertEqual(self.runs("exit 3\n")["result"][0], "crash")

    def test_answers_are_read_with_getinput(self):
        done = self.runs(
            'feedback-result success\nfeedback-custom answer "$(getinput q1)"\n'
            'feedback-custom user "$(getinput @username)"\n',
            {"inputdata": {"q1": "42 é\n'quoted'", "@username": "ada"}},
        )
        self.assertEqual(done["custom"], {"answer": "42 é\n'quoted'", "user": "ada"})

    def test_unicode_passes_everywhere(self):
        text = "naïve — 漢字 \U0001f600"
        done = self.runs(f"feedback-result success\nfeedback-custom text '{text}'\nfeedback-state '{text}'\n")
        self.assertEqual((done["custom"], done["state"]), ({"text": text}, text))

    def test_bytes_that_are_no_unicode_do_not_reach_the_backend(self):
        self.runs(r"feedback-result success; printf 'caf\351\377\n'; feedback-custom x $'\351'" + "\n", {"debug": True})
        # The frame was decoded strictly; that is the test.

    def test_debug_shows_what_the_script_wrote(self):
        script = "echo to stdout\necho to stderr >&2\nfeedback-result success\n"
        done = self.runs(script, {"debug": True})
        self.assertIn("to stdout", done["stdout"])
        self.assertIn("to stderr", done["stderr"])

    def test_without_debug_nothing_of_it_is_sent(self):
        done = self.runs("echo to stdout\necho to stderr >&2\nfeedback-result success\n")
        self.assertEqual((done["stdout"], done["stderr"]), ("", ""))

    def test_the_state_survives_to_the_next_submission(self):
        done = self.runs(
            'feedback-result success\nfeedback-state "$(getinput @state)+1"\n', {"inputdata": {"@state": "one"}}
        )
        self.assertEqual(done["state"], "one+1")

    def test_the_archive_holds_what_the_script_put_there(self):
        script = (
            "mkdir -p out/deep\necho hello > out/deep/file\narchive -s dir -a out/deep/file\nfeedback-result success\n"
        )
        done = self.runs(script)
        self.assertIsInstance(done["archive"], bytes)
        with tarfile.open(fileobj=io.BytesIO(done["archive"])) as tar:
            names = tar.getnames()
        self.assertTrue([name for name in names if name.endswith("dir/file")], names)

    def test_the_run_command_of_the_task_is_used(self):
        parameters = {"run_cmd": "/task/other a b", "network_grading": False, "limits": {}}
        other = SHELL + 'feedback-result success\nfeedback-custom words "$*"\n'
        done = self.runs("feedback-result failed\n", {"environment_parameters": parameters}, other=other)
        self.assertEqual(done["result"][0], "success")

    def test_scripts_run_as_the_worker_and_may_write_where_they_should(self):
        script = (
            "for place in /tmp /task /archive /sockets; do touch $place/x || exit 1; done\n"
            'feedback-result success\nfeedback-custom who "$(id -u)"\n'
        )
        self.assertEqual(self.runs(script)["custom"], {"who": 4242})

    def test_out_of_memory_in_the_run_script_is_overflow(self):
        script = "feedback-result success\na=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done\n"
        done = self.runs(script, {"environment_parameters": {"limits": {"memory": 60}}})
        self.assert_ended(done, "overflow")

    def test_an_endless_run_script_is_timeout(self):
        script = "feedback-result success\nwhile :; do :; done\n"
        done = self.runs(script, {"environment_parameters": {"limits": {"time": 1}}})
        self.assert_ended(done, "timeout")

    def test_a_background_process_does_not_keep_the_job_alive(self):
        done = self.runs("setsid sleep 60 </dev/null >/dev/null 2>&1 &\nfeedback-result success\n")
        self.assertEqual(done["result"][0], "success")
        self.assertTrue(host.wait_until(lambda: not [x for x in self.cgroup.left() if " sleep (" in x], 5))


if __name__ == "__main__":
    case.main()
