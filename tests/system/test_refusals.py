"""Jobs that are answered without a container, with the texts that teachers know."""

from harness import case
from harness.tasks import SUCCESS

CONTACT = " Please contact your course administrator."
NO_ENVIRONMENT = "This environment is not available in this agent." + CONTACT
NO_TASK = (
    "Task unavailable on agent. Please retry later, the agents should synchronize soon. "
    "If the error persists, please contact your course administrator."
)
BAD_PARAMETERS = "The agent is unable to parse the parameters"
UNKNOWN_ERROR = "An unknown error occurred in the agent." + CONTACT


class Refusals(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.start_agent()
        self.task = self.courses.says("course/task", SUCCESS)

    def tearDown(self):
        # Whatever was refused, the next job runs.
        self.assertEqual(self.grade(self.task)["result"], ("success", "done"))

    def test_unknown_environment(self):
        done = self.grade(self.task, environment="nope", inputdata={"@state": "kept"})
        self.assert_crash(done, NO_ENVIRONMENT)
        self.assertEqual(done["state"], "kept")

    def test_unknown_environment_type(self):
        self.assert_crash(self.grade(self.task, environment_type="nvidia"), NO_ENVIRONMENT)

    def test_unknown_task(self):
        self.assert_crash(self.grade("course/nope"), NO_TASK)

    def test_unknown_course(self):
        self.assert_crash(self.grade("nope/task"), NO_TASK)

    def test_a_file_is_no_task(self):
        with open(self.courses.directory + "/course/file", "w", encoding="ascii"):
            pass
        self.assertEqual(self.grade("course/file")["result"][0], "crash")

    def test_ids_that_lead_elsewhere(self):
        for course, task in (
            ("..", "etc"),
            ("../x", "task"),
            ("course", "../task"),
            ("course", "../../etc"),
            ("/etc", "task"),
            ("course", "/etc"),
            (" course", "task"),
            ("course", "task\n"),
            ("", "task"),
            ("course", ""),
        ):
            done = self.grade(self.task, course_id=course, task_id=task)
            self.assert_crash(done, UNKNOWN_ERROR)

    def test_ids_with_a_nul_byte(self):
        self.assertEqual(self.grade(self.task, task_id="task\0x")["result"][0], "crash")

    def test_very_long_ids(self):
        self.assertEqual(self.grade(self.task, task_id="x" * 100000)["result"][0], "crash")

    def test_a_course_without_task_and_the_reverse(self):
        self.assert_crash(self.grade(self.task, course_id=None), UNKNOWN_ERROR)
        self.assert_crash(self.grade(self.task, task_id=None), UNKNOWN_ERROR)

    def test_no_course_and_an_unknown_environment_is_answered(self):
        text = "Unknown container." + CONTACT
        self.assert_crash(self.grade(None, environment="nope"), text)

    def test_parameters_that_are_no_numbers(self):
        for limits in ({"time": "abc"}, {"memory": "10.5"}, {"time": ""}, {"memory": None}):
            self.assert_crash(self.grade(self.task, limits=limits), BAD_PARAMETERS)

    def test_limits_that_are_no_map(self):
        parameters = {"run_cmd": None, "network_grading": False, "limits": None}
        done = self.grade(self.task, environment_parameters=parameters)
        self.assert_crash(done, BAD_PARAMETERS)

    def test_numbers_may_be_text_as_python_reads_it(self):
        limits = {"time": " 10 ", "hard_time": "", "memory": "1_00"}
        self.assertEqual(self.grade(self.task, limits=limits)["result"], ("success", "done"))

    def test_missing_parameters_have_defaults(self):
        done = self.grade(self.task, environment_parameters={})
        self.assertEqual(done["result"], ("success", "done"))

    def test_more_memory_than_a_slot_has(self):
        done = self.grade(self.task, limits={"memory": 1 << 30})
        self.assertRegex(
            done["result"][1], r"^Not enough memory on agent \(available: \d+MB\)\." + CONTACT + "$"
        )
        self.assert_crash(done, done["result"][1])

    def test_the_first_fault_in_upstreams_order_is_told(self):
        wrong = {"limits": {"time": "abc", "memory": 1 << 30}}
        self.assert_crash(self.grade("course/nope", environment="nope", **wrong), NO_ENVIRONMENT)
        self.assert_crash(self.grade("course/nope", **wrong), NO_TASK)
        self.assert_crash(self.grade(self.task, **wrong), BAD_PARAMETERS)
        done = self.grade(None, environment="nope", limits={"memory": 1 << 30})
        self.assertIn("Not enough memory on agent", done["result"][1])

    def test_inputdata_that_is_no_map_is_answered(self):
        for inputdata in (None, "text", [1, 2], 7):
            self.assert_crash(self.grade(self.task, inputdata=inputdata), UNKNOWN_ERROR)

    def test_a_duplicate_id_does_not_disturb_the_first(self):
        slow = self.courses.add("course/slow", run="sleep 0.5; cat says", says=SUCCESS)
        job = self.backend.new_job(slow)
        self.backend.wait_started(job)
        self.backend.new_job(self.task, job_id=job)
        done = self.backend.wait_done(job)
        self.assertEqual(done["result"], ("success", "done"))
        self.backend.serve(0.5)  # the checks of the backend would see a second answer

    def test_a_job_id_may_be_used_again_when_it_was_answered(self):
        job = self.backend.new_job(self.task)
        self.backend.wait_done(job)
        self.backend.new_job(self.task, job_id=job)
        self.backend.wait_done(job)


if __name__ == "__main__":
    case.main()
