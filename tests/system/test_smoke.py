"""One job of each kind by one agent: the shortest proof that a host can be used."""

from harness import case
from harness.tasks import SUCCESS


class Smoke(case.SystemTest):
    def test_one_job_of_each_kind(self):
        self.start_agent()
        good = self.courses.says("course/good", SUCCESS)
        self.assertEqual(self.grade(good)["result"], ("success", "done"))
        eat = self.courses.add("course/eat", run="a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done")
        self.assert_ended(self.grade(eat, limits={"memory": 30}), "overflow")
        burn = self.courses.add("course/burn", run="while :; do :; done")
        self.assert_ended(self.grade(burn, limits={"time": 1, "hard_time": 50}), "timeout")
        late = self.courses.add("course/late", run="sleep 60")
        self.assert_ended(self.grade(late, limits={"time": 50, "hard_time": 1}), "timeout")
        job = self.backend.new_job(late)
        self.backend.wait_started(job)
        self.backend.serve(0.5)
        self.backend.kill_job(job)
        self.assert_ended(self.backend.wait_done(job), "killed")
        self.assertEqual(self.grade(good)["result"], ("success", "done"))


if __name__ == "__main__":
    case.main()
