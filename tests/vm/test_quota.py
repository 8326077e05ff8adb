"""Whole jobs, and runs, whose scratch is on a file system with project quotas: for virtual machines, whose
kernels have them. Each is the same with an image file, but for what a program is told."""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../system"))

from harness import case, sandboxes  # noqa: E402
from harness.tasks import SUCCESS  # noqa: E402

MAKE = (
    "PATH=$PATH:/sbin:/usr/sbin; truncate -s 300M {0}/image && mkfs.ext4 -q -F -O quota,project {0}/image && "
    "mkdir {0}/mounted && mount -o loop,prjquota {0}/image {0}/mounted"
)
REFUSED = {"quota": "Disk quota exceeded", "image": "No space left on device"}
SHELL = "#!/bin/bash\nfeedback-result success\n"


class Quota(sandboxes.RunTest):
    @classmethod
    def setUpClass(cls):
        # Before the first look at what is mounted.
        cls.top = tempfile.mkdtemp(prefix="dockless-quota.")
        os.chmod(cls.top, 0o755)
        subprocess.run(["sh", "-c", MAKE.format(cls.top)], check=True, stdin=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["umount", cls.top + "/mounted"], check=True)
        os.unlink(cls.top + "/image")
        os.rmdir(cls.top + "/mounted")
        os.rmdir(cls.top)

    def setUp(self):
        super().setUp()
        self.scratch = self.top + "/mounted/run"

    def start_agent_by(self, how, disk):
        path = f"{self.directory}/{how}.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"disk-by: {how}\nlimits: {{disk: {disk}M}}\n")
        return self.start_agent("--config", path, tmpdir=f"{self.top}/mounted/{how}")

    def test_jobs_end_as_with_an_image_file(self):
        fill = 'text=$(dd if=/dev/zero of=/task/fill bs=1M count=20 2>&1) '
        mute = self.courses.add("course/mute", run=fill + "|| exit 1; cat says", says=SUCCESS)
        ends = {}
        for how, text in REFUSED.items():
            told = self.courses.add("course/" + how, says=SUCCESS,
                                    run=fill + f'&& exit 1; case $text in *"{text}"*) cat says; esac')
            agent = self.start_agent_by(how, 64)
            for task in (told, mute):
                done = self.grade(task, limits={"disk": 8}, inputdata={"@state": "kept"})
                del done["job_id"]
                ends.setdefault(how, []).append(done)
            if how == "quota":
                self.assertEqual(self.grade(mute, limits={"disk": 32})["result"], ("success", "done"))
            self.assertEqual(agent.stop(), 0)
        self.assertEqual(ends["quota"], ends["image"])
        self.assertEqual([done["result"][0] for done in ends["quota"]], ["success", "crash"])

    def test_a_students_container_has_a_limit_of_its_own(self):
        self.need_default_image()
        script = SHELL + (
            "head -c 6000000 /dev/zero >/tmp/fill && feedback-custom grader $?\n"
            "run_student sh -c \"'head -c 6000000 /dev/zero >/tmp/fill'\"\nfeedback-custom within $?\n"
            "run_student sh -c \"'head -c 9000000 /dev/zero 2>/tmp/text >/tmp/fill && exit 5; grep -c quota /tmp/text'\""
            "\nfeedback-custom beyond $?\n"
        )
        self.start_agent_by("quota", 8)
        task = self.courses.add("course/student", run=script)
        done = self.grade(task, environment="default", limits={"time": 60, "hard_time": 120, "memory": 100})
        self.assertEqual(done["custom"], {"grader": 0, "within": 0, "beyond": 0}, done)

    def test_a_run_chooses_by_what_its_disk_is_bounded(self):
        for how, text in {**REFUSED, "auto": REFUSED["quota"]}.items():
            done = self.shell("dd if=/dev/zero of=/fill bs=1M count=3 2>&1", options=["--disk", "2m", "--disk-by", how])
            self.assertEqual((done.returncode, done.stderr), (1, ""))
            self.assertIn(text, done.stdout)
        self.scratch = self.directory + "/scratch"
        done = self.shell("echo fine", options=["--disk", "2m", "--disk-by", "quota"])
        self.assertEqual(done.returncode, 125)
        self.assertIn("no project quotas", done.stderr)


if __name__ == "__main__":
    case.main()
