"""Images that an agent's job and a run are in, while others remove, replace, verify and prune them."""

import json
import os
import select
import subprocess

from harness import case, host, images
from harness.tasks import SUCCESS

SIZE = 2 << 20


class InUse(case.SystemTest):
    def setUp(self):
        super().setUp()
        self.place = self.directory + "/place"
        self.store = self.place + "/store"
        os.mkdir(self.place)
        # A file system that says how much of it is free; id mappings of tmpfs came with Linux 6.3.
        release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
        self.measured = release >= (6, 3)
        if self.measured:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", self.place], check=True)
            self.addCleanup(subprocess.run, ["umount", "--lazy", self.place], check=True)

    def load(self, content):
        """The image `raw` with a large file of its own; that layer's diffID."""
        payload = images.layer({"payload": content * SIZE})
        layout = images.Layout(f"{self.directory}/layout-{content.decode()}")
        layout.add("raw", [images.layer(images.busybox_files()), payload], images.environment_labels("raw"))
        self.verb("load", f"oci:{layout.directory}:raw")
        return images.digest(payload)

    def verb(self, *words):
        verb = subprocess.Popen(
            [case.DOCKLESS, "image", words[0], "--store", self.store, "--format", "json", *words[1:]],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.serve_until(lambda: verb.poll() is not None)
        out, err = verb.communicate()
        self.assertEqual((verb.returncode, err), (0, ""))
        return json.loads(out)

    def serve_until(self, condition):
        """An agent that hears nothing for long takes its backend for dead, and gives its jobs up."""
        while not condition():
            self.backend.step(0.02)

    def run_in(self, script):
        places = self.cgroup.make_place()
        run = subprocess.Popen(
            [case.DOCKLESS, "run", "-i", "--store", self.store, "--tmpdir", self.directory + "/scratch",
             "--entrypoint", "", "raw", "--", "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: host.Cgroup.enter(places))
        for end in (run.stdout.close, run.stdin.close, run.wait, run.terminate):
            self.addCleanup(end)
        return run

    def is_inside(self, agent):
        return any(os.path.exists(f"/proc/{pid}/root/payload") for pid in host.descendants(agent.launcher))

    def layers(self):
        return {f"sha256:{name}" for name in os.listdir(self.store + "/layers") if "." not in name}

    def used(self):
        st = os.statvfs(self.place)
        return (st.f_blocks - st.f_bfree) * st.f_frsize

    def test_what_runs_keeps_its_image_and_what_it_held_is_freed_afterwards(self):
        common = self.courses.directory + "/course/$common"
        os.makedirs(common)
        go = open(common + "/go", "w", encoding="ascii")
        self.addCleanup(go.close)
        test = '[ "$(tr -d a </payload | wc -c)-$(wc -c </payload)" = 0-%d ]' % SIZE
        task = self.courses.add(
            "course/waits", says=SUCCESS,
            run=f"until [ -s /course/common/go ]; do sleep 0.05; done; {test} && cat says")
        old = self.load(b"a")
        agent = self.start_agent(store=self.store)
        job = self.backend.new_job(task)
        self.serve_until(lambda: self.is_inside(agent))
        run = self.run_in(f"echo ready; read line; {test} && echo $line")
        self.serve_until(lambda: select.select([run.stdout], [], [], 0)[0])
        self.assertEqual(run.stdout.readline(), "ready\n")

        self.assertEqual(self.verb("rm", "raw"), [{"name": "raw", "in_use": True}])
        gone = self.verb("prune")
        self.assertEqual((gone["layers"], gone["freed"]), ([], 0))
        self.assertEqual(gone["in_use"], 2)
        new = self.load(b"b")
        self.assertEqual(self.verb("verify")["faults"], [])
        gone = self.verb("prune")
        self.assertEqual((gone["freed"], gone["in_use"]), (0, 1))
        self.assertLessEqual({old, new}, self.layers())
        fresh = self.run_in("head -c 1 /payload")
        self.serve_until(lambda: fresh.poll() is not None)
        self.assertEqual(fresh.communicate()[0], "b")

        go.write("go")
        go.flush()
        self.assertEqual(self.backend.wait_done(job)["result"], ("success", "done"))
        self.assertEqual(self.verb("prune")["freed"], 0, "the run is still in it")
        before = self.used()
        self.assertEqual(run.communicate("the end\n")[0], "the end\n")
        self.assertEqual(run.returncode, 0)

        # The agent lets go of what was removed when it has read the store again and no job is left.
        self.backend.wait_hello(2)
        gone = self.verb("prune")
        self.assertEqual(gone, {"layers": [{"layer": old, "size": SIZE}], "freed": SIZE, "in_use": 0})
        self.assertNotIn(old, self.layers())
        if self.measured:
            self.assertTrue(host.wait_until(lambda: before - self.used() >= SIZE), "the space is still taken")
        self.assertEqual(self.verb("verify")["faults"], [])
        fresh = self.courses.add("course/new", says=SUCCESS, run='[ "$(head -c 1 /payload)" = b ] && cat says')
        self.assertEqual(self.grade(fresh)["result"], ("success", "done"))


if __name__ == "__main__":
    case.main()
