# ctest: timeout=300
"""Logins by ssh and their refusals as backends and images of each release say them."""

from harness import case, generations, world
from harness.tasks import frame, result
from test_protocols import OWN_IMAGE, Protocols, order_of
from test_ssh import NO_PORTS, SSHTest

NO_PORTS_05 = "No ports are available for SSH debug right now. Please retry later."


def says_login(generation):
    """How an image of GENERATION tells the password of its server."""
    message = {"type": "ssh_debug", "ssh_user": "worker", "ssh_key": "secret"}
    if generation in ("0.7", "0.6", "0.5"):
        message["type"] = "ssh_key"
    if generations.is_old(generation):
        del message["ssh_user"]
    return frame(message, order_of(generation))


class Releases(SSHTest, Protocols):
    def test_offers_and_refusals_have_the_form_of_the_release(self):
        store = self.make_store()
        for generation in generations.ALL:
            agent = self.start(generation, store, "--debug-host", "192.0.2.9", "--debug-ports", "2200-2200")
            says = says_login(generation) + result(order_of(generation), result="success", text="done")
            task = self.courses.says(f"course/debug{generation}", says)
            job = self.debug(task, environment=OWN_IMAGE[generation])
            self.assertEqual(self.backend.wait_done(job)["result"], ("success", "done"), generation)
            offer = self.backend.offers[job]
            self.assertEqual((offer["host"], offer["port"], offer["password"]), ("192.0.2.9", 2200, "secret"))
            self.assertEqual(offer.get("user"), None if generations.is_old(generation) else "worker")
            with world.occupy(2200):
                done = self.backend.wait_done(self.debug(task, environment=OWN_IMAGE[generation]))
            self.assert_crash(done, NO_PORTS_05 if generation == "0.5" else NO_PORTS)
            self.assertEqual(agent.stop(), 0)


if __name__ == "__main__":
    case.main()
