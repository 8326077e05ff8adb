"""Networks of grading and student containers, seen from inside and from the world."""

import os

from harness import case, host, images, world
from harness.backend import Backend
from harness.tasks import SUCCESS

SHELL = "#!/bin/bash\nfeedback-result success\n"
# REACH ADDRESS PORT: what a server there says; else the way in which nobody does, where 124 is a
# silence.
REACH = (
    "reach() { timeout 5 bash -c 'exec 2>/dev/null; cat < /dev/tcp/$0/$1' $1 $2 || echo failed $?; }\n"
    "export -f reach\n"
)
NETWORK = {"run_cmd": None, "network_grading": True, "limits": {"time": 20, "hard_time": 60, "memory": 100}}
REFUSED = "failed 1"


class NetworkTest(case.SystemTest):
    default_route = True

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.world = world.World(self, self.default_route)
        super().setUp()

    def custom(self, script, **fields):
        self.need_default_image()
        name = f"course/task{len(self.backend.jobs)}"
        self.courses.add(name, run=SHELL + REACH + script)
        fields.setdefault("environment_parameters", NETWORK)
        done = self.grade(name, environment="default", **fields)
        self.assertEqual(done["result"][0], "success", done)
        return done["custom"]

    def reached(self, *addresses, prefix=""):
        """What `reach` says of each of ADDRESSES."""
        script = "".join(
            f'feedback-custom r{i} "$({prefix} reach {address} {world.PORT})"\n'
            for i, address in enumerate(addresses)
        )
        custom = self.custom(script)
        return [custom[f"r{i}"] for i in range(len(addresses))]


class Reach(NetworkTest):
    def test_the_outer_world_is_reached_with_the_hosts_addresses(self):
        self.start_agent()
        self.assertEqual(self.reached(world.WORLD4, world.WORLD6), [world.HOST4, world.HOST6])

    def test_the_host_its_neighbourhood_and_private_ranges_are_refused(self):
        self.start_agent()
        places = [world.HOST4, world.HOST6, "host.docker.internal", world.METADATA4, world.PRIVATE4]
        self.assertEqual(self.reached(*places), [REFUSED] * len(places))

    def test_private_ranges_are_reached_where_they_are_allowed(self):
        self.start_agent("--allow", "10.8.8.0/24")
        places = [world.PRIVATE4, world.METADATA4]
        self.assertEqual(self.reached(*places), [world.HOST4, REFUSED])

    def test_jobs_without_network_grading_have_none(self):
        self.start_agent()
        parameters = {**NETWORK, "network_grading": False}
        script = (
            'feedback-custom n "$(grep -c : /proc/net/dev)"\n'
            'feedback-custom gateway "$(getent hosts host.docker.internal || echo none)"\n'
        )
        self.assertEqual(self.custom(script, environment_parameters=parameters), {"n": 1, "gateway": "none"})

    def test_without_ipv6_there_is_only_the_other(self):
        self.start_agent("--ipv6-pool", "none", "--ipv4-pool", "10.77.0.0/16")
        script = (
            f'feedback-custom four "$(reach {world.WORLD4} {world.PORT})"\n'
            f'feedback-custom six "$(reach {world.WORLD6} {world.PORT})"\n'
            'feedback-custom own "$(hostname -i)"\n'
        )
        custom = self.custom(script)
        self.assertEqual((custom["four"], custom["six"]), (world.HOST4, REFUSED))
        self.assertRegex(custom["own"], r"^10\.77\.")

    def test_files_of_etc_name_gateway_and_resolvers(self):
        self.start_agent("--resolver", "192.0.2.53", "--resolver", "2001:db8::53")
        script = (
            'feedback-custom resolv "$(grep ^nameserver /etc/resolv.conf | tr "\\n" " ")"\n'
            'feedback-custom gateway "$(getent hosts host.docker.internal | cut -d " " -f 1)"\n'
            'feedback-custom route "$(printf %d.%d.%d.%d $(awk \'$2 == "00000000" {print $3}\' '
            '/proc/net/route | sed "s/\\(..\\)\\(..\\)\\(..\\)\\(..\\)/0x\\4 0x\\3 0x\\2 0x\\1/"))"\n'
        )
        custom = self.custom(script)
        self.assertEqual(custom["resolv"], "nameserver 192.0.2.53 nameserver 2001:db8::53 ")
        self.assertEqual(custom["gateway"], custom["route"])
        self.assertRegex(custom["gateway"], r"^10\.213\.")

    def test_students_have_the_graders_network_or_none(self):
        self.start_agent()
        student = f"student/reach {world.WORLD4} {world.PORT}"
        script = (
            "mkdir -p student; { echo '#!/bin/bash'; declare -f reach; echo 'reach $1 $2'; } > student/reach\n"
            "chmod 755 student/reach\n"
            f'feedback-custom shared "$(run_student --share-network {student})"\n'
            f'feedback-custom none "$(run_student {student})"\n'
            'feedback-custom resolv "$(run_student --share-network cat /etc/resolv.conf | cmp - /etc/resolv.conf)"\n'
        )
        custom = self.custom(script)
        self.assertEqual(custom, {"shared": world.HOST4, "none": REFUSED, "resolv": ""})

    def test_two_jobs_do_not_reach_each_other(self):
        self.start_agent()
        serves = self.courses.add("course/serves", run="busybox nc -ll -p 9000 -e echo hello & sleep 60\n")
        first = self.backend.new_job(serves, environment_parameters=NETWORK)
        self.backend.wait_started(first)
        # Addresses are given out in turn; one of these is the first job's, one its own.
        places = {"p2": "10.213.0.2", "p3": "10.213.0.3"}
        script = "sleep 1\n" + "".join(
            f'feedback-custom {key} "$(reach {place} 9000)"\n' for key, place in places.items()
        )
        self.assertEqual(self.custom(script), dict.fromkeys(places, REFUSED))
        self.backend.kill_job(first)
        self.backend.wait_done(first)


class Ports(NetworkTest):
    """An image with the label `ports`: each of its jobs takes ports of the host."""

    def start_with_ports(self, label, *options):
        store = self.directory + "/store"
        for name, labels in {"web": {"ports": label}, "raw": {}}.items():
            images.make_raw(f"{self.directory}/{name}", name=name, **labels)
            done = case.run("image", "load", "--store", store, f"oci:{self.directory}/{name}:{name}")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.serves = self.courses.add(
            "course/web",
            run="busybox nc -ll -p 8000 -e echo hello & while [ ! -e /task/stop ]; do sleep 0.1; done\n",
        )
        return self.start_agent("--debug-ports", *options, store=store)

    def new_web(self, **fields):
        return self.backend.new_job(self.serves, environment="web", **fields)

    def reaches(self, port, address=world.HOST4):
        return host.wait_until(lambda: self.world.fetch(address, port) == "hello", 10)

    def end(self, job):
        """Kills JOB; its ports must be free when it is answered."""
        self.backend.kill_job(job)
        self.assertEqual(self.backend.wait_done(job)["result"][0], "killed")

    def test_a_port_of_the_image_is_reached_from_the_world(self):
        self.start_with_ports("8000", "2200-2200")
        self.assertEqual(self.backend.hellos[-1]["available_environments"]["docker"]["web"]["ports"], (8000,))
        job = self.new_web()
        self.assertTrue(self.reaches(2200))
        self.assertEqual(self.world.fetch(f"{world.HOST6}", 2200), "hello")
        self.assertFalse(world.port_is_free(2200))
        self.end(job)
        self.assertTrue(world.port_is_free(2200))

    def test_jobs_with_ports_have_half_an_hour(self):
        self.start_with_ports("8000", "2200-2200")
        slow = self.courses.add("course/slow", run="sleep 3; cat /task/says", says=SUCCESS)
        done = self.grade(slow, environment="web", limits={"time": 1, "hard_time": 1})
        self.assertEqual(done["result"], ("success", "done"))

    def test_the_configuration_bounds_that_half_hour(self):
        path = self.directory + "/agent.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write("limits: {hard-time: 1}\n")
        os.chmod(path, 0o644)
        self.start_with_ports("8000", "2200-2200", "--config", path)
        job = self.new_web()
        self.assertEqual(self.backend.wait_done(job)["result"][0], "timeout")

    def test_exhausted_ports_are_refused_and_come_back(self):
        self.start_with_ports("8000,9000", "2200-2203")
        text = "No ports are available right now. Please retry later."
        first, second = self.new_web(), self.new_web()
        self.backend.wait_started(second)
        for _ in range(3):
            self.assert_crash(self.backend.wait_done(self.new_web()), text)
        self.end(first)
        third = self.new_web()
        self.assert_crash(self.backend.wait_done(self.new_web()), text)
        self.end(second)
        self.end(third)
        self.assertTrue(all(world.port_is_free(port) for port in range(2200, 2204)))

    def test_ports_come_back_after_every_ending(self):
        agent = self.start_with_ports("8000", "2200-2200")
        says = self.courses.says("course/says", SUCCESS)
        silent = self.courses.add("course/silent", run="exit 3\n")
        greedy = self.courses.add("course/greedy", run="head -c 90000000 /dev/zero | tail\n")
        kinds = {
            "success": lambda: self.backend.new_job(says, environment="web"),
            "crash": lambda: self.backend.new_job(silent, environment="web"),
            "overflow": lambda: self.backend.new_job(greedy, environment="web", limits={"memory": 20}),
        }
        for kind, start in kinds.items():
            done = self.backend.wait_done(start())
            self.assertEqual(done["result"][0], kind)
            self.assertNotIn("No ports", done["result"][1])
            self.assertTrue(world.port_is_free(2200), kind)
        early = self.new_web()
        self.backend.kill_job(early)
        self.assertEqual(self.backend.wait_done(early)["result"], ("killed", ""))
        self.refuse_before_a_container()
        self.lose_the_backend()
        self.assertEqual(self.backend.wait_done(kinds["success"]())["result"], ("success", "done"))
        self.assertIsNone(agent.process.poll())

    def refuse_before_a_container(self):
        """Each of them would need a port, if it got so far."""
        self.backend.wait_done(self.backend.new_job("course/none", environment="web"))
        self.backend.wait_done(self.new_web(limits={"memory": 1 << 29}))
        self.backend.wait_done(self.new_web(limits={"time": "x"}))

    def lose_the_backend(self):
        """The job is given up, and its port is free soon after."""
        self.new_web()
        self.assertTrue(self.reaches(2200))
        self.backend.close()
        self.backend = Backend(self.backend.address)
        self.addCleanup(self.backend.close)
        self.backend.wait_hello()
        self.assertTrue(host.wait_until(lambda: world.port_is_free(2200), 10))
        self.backend.serve(0.3)

    def test_ports_come_back_when_no_container_can_be_made(self):
        store = self.directory + "/store"
        agent = self.start_with_ports("8000", "2200-2200")
        layers = os.path.join(store, "layers")
        os.rename(layers, layers + ".away")
        for _ in range(3):
            done = self.backend.wait_done(self.new_web())
            self.assert_crash(done, "Cannot create container.")
        os.rename(layers + ".away", layers)
        self.assertTrue(world.port_is_free(2200))
        self.assertIsNone(agent.process.poll())

    def test_a_port_of_another_program_is_passed_over(self):
        self.start_with_ports("8000", "2200-2202")
        with world.occupy(2201):
            jobs = [self.new_web(), self.new_web()]
            self.assertTrue(self.reaches(2200))
            self.assertTrue(self.reaches(2202))
            text = "No ports are available right now. Please retry later."
            self.assert_crash(self.backend.wait_done(self.new_web()), text)
        for job in jobs:
            self.end(job)

    def test_a_port_that_only_root_can_ask_for_is_passed_over_too(self):
        self.start_with_ports("8000", "900-901")
        with world.occupy(900):
            first = self.new_web()
            self.assertTrue(self.reaches(901))
            text = "No ports are available right now. Please retry later."
            self.assert_crash(self.backend.wait_done(self.new_web()), text)
        self.end(first)

    def test_a_port_is_free_again_when_its_job_is_answered_whatever_starts_meanwhile(self):
        self.start_with_ports("8000", "2200-2200")
        says = self.courses.says("course/says", SUCCESS)
        for _ in range(10):
            jobs = [self.backend.new_job(says, environment="web")]
            # Containers that start while the port is held.
            others = [self.backend.new_job(says) for _ in range(4)]
            done = self.backend.wait_done(jobs[0])
            self.assertTrue(world.port_is_free(2200))
            self.assertEqual(done["result"], ("success", "done"))
            for job in others:
                self.backend.wait_done(job)

    def test_without_ports_jobs_that_need_them_are_refused(self):
        self.start_with_ports("8000", "none")
        text = "No ports are available right now. Please retry later."
        self.assert_crash(self.backend.wait_done(self.new_web()), text)


if __name__ == "__main__":
    case.main()
