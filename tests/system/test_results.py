"""What a grading container says, and what the backend is told: protocol of generation main."""

import base64
import math

from harness import case, messages, tasks
from harness.tasks import FEEDBACK, SUCCESS, result

BADLY_FORMATTED = FEEDBACK + "Feedback file is badly formatted."
NO_RESULT = FEEDBACK + "Grading container did not return any result."


class Results(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.start_agent()

    def says(self, *parts, **job):
        """AgentJobDone of a job whose container writes PARTS."""
        return self.grade(self.courses.says("course/task", *parts), **job)

    def assert_unreadable(self, done, text):
        self.assertEqual(done["result"], ("crash", text))
        self.assertEqual(done["grade"], 0.0)
        for key in ("problems", "tests", "custom"):
            self.assertEqual(done[key], {}, key)
        self.assertEqual((done["state"], done["stdout"], done["stderr"]), ("", "", ""))
        self.assertIsNone(done["archive"])

    def test_every_field_reaches_the_backend(self):
        done = self.says(
            result(
                result="failed",
                text="texte é €",
                grade=66.666666,
                problems={"q1": ["failed", "no"], "q.2-x_Y": "only text"},
                tests={"tag1": True, "*auto-tag-12": "x"},
                custom={"c": {"x": [1, None, 2.5]}, "any key": b"\x00\xff"},
                state="état",
                archive=base64.b64encode(b"\x1f\x8bzip").decode(),
                stdout="out",
                stderr="err",
            )
        )
        self.assertEqual(done["result"], ("failed", "texte é €"))
        self.assertEqual(done["grade"], 66.67)
        self.assertEqual(done["problems"], {"q1": ("failed", "no"), "q.2-x_Y": "only text"})
        self.assertEqual(done["tests"], {"tag1": True, "*auto-tag-12": "x"})
        self.assertEqual(done["custom"], {"c": {"x": (1, None, 2.5)}, "any key": b"\x00\xff"})
        self.assertEqual(done["state"], "état")
        self.assertEqual(done["archive"], b"\x1f\x8bzip")
        self.assertEqual((done["stdout"], done["stderr"]), ("out", "err"))

    def test_an_empty_result_is_an_error_with_defaults(self):
        done = self.says(result(), inputdata={"@state": "of the submission"})
        self.assertEqual(done["result"], ("error", ""))
        self.assertEqual(done["grade"], 0.0)
        self.assertEqual((done["state"], done["stdout"], done["stderr"]), ("", "", ""))
        self.assertIsNone(done["archive"])

    def test_success_without_grade_is_worth_100(self):
        self.assertEqual(self.says(result(result="success"))["grade"], 100.0)

    def test_failure_without_grade_is_worth_0(self):
        self.assertEqual(self.says(result(result="failed"))["grade"], 0.0)

    def test_grades_are_rounded_as_python_does_and_not_clamped(self):
        expected = {33.335: 33.34, 2.675: 2.67, 0.005: 0.01, 1e-9: 0.0, -5.0: -5.0, 1000.0: 1000.0}
        for number, (grade, rounded) in enumerate(expected.items()):
            task = self.courses.says(f"course/grade{number}", result(result="success", grade=grade))
            self.assertEqual(self.grade(task)["grade"], rounded, grade)

    def test_grades_that_are_no_number_pass_through(self):
        self.assertTrue(math.isnan(self.says(result(result="success", grade=math.nan))["grade"]))

    def test_an_integer_grade_is_refused(self):
        self.assert_unreadable(self.says(result(result="success", grade=100)), BADLY_FORMATTED)

    def test_an_unknown_key_is_refused_by_name(self):
        self.assert_unreadable(self.says(result(result="success", foo=1)), FEEDBACK + "'foo'")

    def test_a_problem_id_with_a_space_is_refused(self):
        done = self.says(result(result="success", problems={"q 1": ["success", ""]}))
        self.assert_unreadable(done, BADLY_FORMATTED)

    def test_any_result_word_passes(self):
        self.assertEqual(self.says(result(result="banana"))["result"], ("banana", ""))

    def test_bad_base64_in_the_archive_is_a_crash(self):
        done = self.says(result(result="success", archive="AAA"))
        self.assertEqual(done["result"], ("crash", FEEDBACK + "Incorrect padding"))

    def test_the_last_of_several_results_counts(self):
        done = self.says(result(result="failed", text="first"), result(result="success", text="last"))
        self.assertEqual(done["result"], ("success", "last"))

    def test_no_result_is_a_crash_that_says_so(self):
        self.assert_unreadable(self.says(), NO_RESULT)

    def test_the_exit_status_does_not_matter(self):
        task = self.courses.add("course/task", run="cat /task/says; exit 3", says=SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))

    def test_output_on_stderr_is_not_part_of_the_conversation(self):
        task = self.courses.add(
            "course/task", run="echo noise >&2; cat /task/says; echo noise >&2", says=SUCCESS
        )
        self.assertEqual(self.grade(task)["result"], ("success", "done"))

    def test_a_frame_may_come_in_many_pieces(self):
        task = self.courses.add(
            "course/task",
            run="for i in 0 1 2 3 4 5 6 7; do dd if=says bs=1 skip=$i count=1 2>/dev/null;"
            " sleep 0.02; done; tail -c +9 says",
            says=SUCCESS,
        )
        self.assertEqual(self.grade(task)["result"], ("success", "done"))

    def test_megabytes_of_text_arrive_whole(self):
        text = "0123456789abcdef" * (4 << 16)
        done = self.says(result(result="success", text=text, stdout=text))
        self.assertEqual(done["result"][1], text)
        self.assertEqual(done["stdout"], text)

    def test_the_start_frame_is_what_images_expect(self):
        inputdata = {"@state": "s", "q1": "é", "file": {"filename": "a", "value": b"\x00\xff"}}
        start = tasks.frame(
            {
                "type": "start",
                "input": inputdata,
                "debug": False,
                "envtypes": {"docker": True},
                "run_cmd": "run it",
                "run_as_root": False,
            }
        )
        task = self.courses.add(
            "course/task",
            run=f"head -c {len(start)} | cmp - expected && cat says",
            expected=start,
            says=SUCCESS,
        )
        parameters = {"run_cmd": "run it", "network_grading": False, "limits": {}}
        done = self.grade(task, inputdata=inputdata, environment_parameters=parameters)
        self.assertEqual(done["result"], ("success", "done"))

    def test_a_large_submission_reaches_the_container(self):
        answer = bytes(range(256)) * (8 << 12)
        start = tasks.frame(
            {
                "type": "start",
                "input": {"q1": answer},
                "debug": False,
                "envtypes": {"docker": True},
                "run_as_root": False,
            }
        )
        # Reads late, so that the pipe is full for a while.
        run = f"sleep 0.3; head -c {len(start)} | cmp - expected && cat says"
        task = self.courses.add("course/task", run=run, expected=start, says=SUCCESS)
        self.assertEqual(self.grade(task, inputdata={"q1": answer})["result"], ("success", "done"))

    def test_a_container_that_never_reads_its_submission_still_ends(self):
        task = self.courses.says("course/task", SUCCESS)
        done = self.grade(task, inputdata={"q1": b"x" * (4 << 20)})
        self.assertEqual(done["result"], ("success", "done"))

    def test_stdin_stays_open_until_the_container_ends(self):
        # cat would see the end of its input; it must not within the second that is watched. The
        # shell gives a background process another stdin, unless it is told which.
        run = "exec 3<&0; cat <&3 >/dev/null & reader=$!; sleep 1; kill -0 $reader && cat says"
        task = self.courses.add("course/task", run=run, says=SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))

    def test_messages_of_unknown_types_are_skipped(self):
        noise = [tasks.frame({"type": "nonsense", "x": 1}), tasks.frame({"type": "run_student"})]
        self.assertEqual(self.says(*noise, SUCCESS)["result"], ("success", "done"))

    def test_the_task_directory_is_writable_inside_and_untouched_outside(self):
        run = "echo changed >data; rm gone; mkdir new; cat says"
        task = self.courses.add("course/task", run=run, says=SUCCESS, data="kept", gone="kept")
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        for name in ("data", "gone"):
            with open(f"{self.courses.directory}/{task}/{name}", encoding="ascii") as file:
                self.assertEqual(file.read(), "kept")

    def test_two_jobs_of_one_task_do_not_see_each_other(self):
        run = "[ ! -e mark ] && touch mark && sleep 0.5 && cat says"
        task = self.courses.add("course/task", run=run, says=SUCCESS)
        jobs = [self.backend.new_job(task) for _ in range(3)]
        for job in jobs:
            self.assertEqual(self.backend.wait_done(job)["result"], ("success", "done"))

    def test_a_job_without_course_runs_on_an_empty_task(self):
        done = self.grade(None)
        # There is no /task/run, so the container says nothing.
        self.assert_unreadable(done, NO_RESULT)

    def test_integer_keys_in_a_result_are_unreadable(self):
        body = messages.pack({"type": "result", "result": {1: 2}})
        done = self.says(len(body).to_bytes(4, "big") + body)
        self.assertEqual(done["result"][0], "crash")


if __name__ == "__main__":
    case.main()
