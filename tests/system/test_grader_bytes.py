"""Hostile bytes on the grading container's stdout: the job ends, the agent does not."""

import struct

from harness import case, host, messages
from harness.tasks import SUCCESS, frame


class GraderBytes(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.agent = self.start_agent()

    def tearDown(self):
        # The agent still grades, and is the one that was started.
        task = self.courses.says("course/after", SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        self.assertEqual(len(self.backend.hellos), 1)

    def assert_crashes(self, *parts):
        done = self.grade(self.courses.says("course/task", *parts))
        self.assertEqual(done["result"][0], "crash")
        self.assertEqual(done["grade"], 0.0)
        return done

    def test_garbage(self):
        self.assert_crashes(b"this is not a frame at all\n" * 100)

    def test_random_bytes_behind_a_good_length(self):
        self.assert_crashes(struct.pack("!I", 64) + bytes(range(192, 256)))

    def test_a_huge_length(self):
        self.assert_crashes(struct.pack("!I", 0xFFFFFFFF) + b"x" * 1000)

    def test_a_length_that_is_negative_as_signed(self):
        self.assert_crashes(struct.pack("!i", -1), SUCCESS)

    def test_a_length_just_below_2_gib_does_not_take_that_memory(self):
        before = host.rss_kib(self.agent.pid)
        self.assert_crashes(struct.pack("!I", 0x7FFFFFFF) + b"x" * 100000)
        self.assert_memory_below(self.agent.pid, before + 4096)

    def test_little_endian_lengths(self):
        body = SUCCESS[4:]
        self.assert_crashes(struct.pack("<I", len(body)) + body)

    def test_a_truncated_frame(self):
        self.assert_crashes(SUCCESS[:-3])

    def test_a_truncated_length(self):
        self.assert_crashes(SUCCESS[:2])

    def test_a_result_before_garbage_is_dropped_or_kept_but_answered(self):
        done = self.grade(self.courses.says("course/task", SUCCESS, b"\xff" * 4096))
        self.assertIn(done["result"][0], ("success", "crash"))

    def test_deep_nesting(self):
        body = messages.pack({"type": "result"})[1:]
        deep = b"\x82" + body + b"\xa6result" + b"\x91" * 100000 + b"\xc0"
        self.assert_crashes(struct.pack("!I", len(deep)) + deep)

    def test_a_map_that_announces_4_billion_pairs(self):
        body = b"\xdf\xff\xff\xff\xff" + b"\xa1a\xa1b" * 10
        self.assert_crashes(struct.pack("!I", len(body)) + body)

    def test_a_string_that_announces_4_gib(self):
        body = b"\x81\xa4type\xdb\xff\xff\xff\xff" + b"x" * 100
        self.assert_crashes(struct.pack("!I", len(body)) + body)

    def test_text_that_is_not_utf8(self):
        body = messages.pack({"type": "result", "result": {"text": "AAAA"}}).replace(b"AAAA", b"\xff" * 4)
        self.assert_crashes(struct.pack("!I", len(body)) + body)

    def test_a_message_that_is_no_map(self):
        for number, value in enumerate(([1, 2], "text", 7, None, b"bytes")):
            body = messages.pack(value)
            task = self.courses.says(f"course/{number}", struct.pack("!I", len(body)) + body)
            self.assertEqual(self.grade(task)["result"][0], "crash")

    def test_a_result_that_is_no_map(self):
        for number, value in enumerate(([1], "text", 7, None)):
            task = self.courses.says(f"course/{number}", frame({"type": "result", "result": value}))
            self.assertEqual(self.grade(task)["result"][0], "crash")

    def test_results_with_wrong_types(self):
        for number, (key, value) in enumerate(
            {"text": 1, "result": None, "problems": [], "custom": "x", "tests": 3, "state": b"x"}.items()
        ):
            content = {"type": "result", "result": {"result": "success", key: value}}
            self.assertEqual(
                self.grade(self.courses.says(f"course/{number}", frame(content)))["result"][0], "crash"
            )

    def test_empty_frames(self):
        done = self.grade(self.courses.says("course/task", b"\0" * 4000, SUCCESS))
        self.assertEqual(done["result"], ("success", "done"))

    def test_endless_output_ends_with_the_job(self):
        task = self.courses.add("course/task", run="yes")
        done = self.grade(task, limits={"time": 1, "hard_time": 10})
        self.assertIn(done["result"][0], ("timeout", "crash"))
        self.assert_memory_below(self.agent.pid, 64 << 10)

    def test_endless_output_of_small_frames_does_not_starve_others(self):
        noise = self.courses.add("course/noise", run="while :; do cat says; done", says=frame({"type": "x"}) * 4000)
        noisy = self.backend.new_job(noise, limits={"time": 10, "hard_time": 3})
        self.backend.wait_started(noisy)
        task = self.courses.says("course/task", SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        self.assertEqual(self.backend.wait_done(noisy)["result"], ("timeout", ""))

    def test_many_results_keep_only_the_last_one(self):
        big = frame({"type": "result", "result": {"result": "failed", "text": "x" * (1 << 20)}})
        run = "i=0; while [ $i -lt 100 ]; do cat big; i=$((i+1)); done; cat says"
        task = self.courses.add("course/task", run=run, big=big, says=SUCCESS)
        self.assertEqual(self.grade(task)["result"], ("success", "done"))
        self.assert_memory_below(self.agent.pid, 128 << 10)

    def test_closed_stdio_is_no_crash_of_the_agent(self):
        task = self.courses.add("course/task", run="exec 0<&- 1>&- 2>&-; sleep 0.3")
        self.assertEqual(self.grade(task)["result"][0], "crash")


if __name__ == "__main__":
    case.main()
