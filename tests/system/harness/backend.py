"""A scripted backend on a real ZeroMQ ROUTER socket.

It checks every frame (messages.check) and the order of a job's frames: AgentJobStarted first and
once, AgentJobDone once, nothing after it, nothing for a job it never sent.  It pings once a second
whenever the test waits for something, as the real one does."""

import time
import uuid

import zmq

from . import generations, messages
from .host import time_scale

PING_SECONDS = 1.0
WAIT_SECONDS_MAX = 300.0  # on the slowest machine; what runs a file of tests does not wait much longer


class Backend:
    def __init__(self, address="tcp://127.0.0.1:*", generation=generations.MAIN):
        self.generation = generation
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.ipv6 = True
        self.socket.bind(address)
        self.address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.pings = True
        self.next_ping = 0.0
        self.peer = None  # identity of the agent that said hello last
        self.hellos = []
        self.goodbyes = []
        self.pongs = 0
        self.jobs = {}  # job id -> "sent", "started" or "done"
        self.done = {}  # job id -> AgentJobDone
        self.lost = set()  # jobs whose agent connected anew before it had answered
        self.offers = {}  # job id -> AgentJobSSHDebug

    def close(self):
        self.socket.close()
        self.context.term()

    # -- sending

    def send_raw(self, *parts):
        self.socket.send_multipart([self.peer, *parts])

    def send(self, kind, **fields):
        self.send_raw(messages.pack(generations.to_agent(self.generation, kind, fields)))

    def new_job(self, task="course/task", **changes):
        """Sends BackendNewJob and returns the job's id.  Keyword arguments replace fields of the
        message; `limits` those of its environment_parameters."""
        course, name = task.split("/", 1) if task is not None else (None, None)
        limits = {"time": 20, "hard_time": 60, "memory": 100, "disk": 100}
        limits.update(changes.pop("limits", {}))
        fields = {
            "job_id": str(uuid.uuid4()),
            "course_id": course,
            "task_id": name,
            "task_problems": {},
            "inputdata": {"@username": "student", "@lang": "en", "@state": ""},
            "environment_type": "docker",
            "environment": "raw",
            "environment_parameters": {
                "run_cmd": None,
                "network_grading": False,
                "limits": limits,
            },
            "debug": False,
        }
        fields.update(changes)
        if self.jobs.get(fields["job_id"]) in (None, "done"):
            self.jobs[fields["job_id"]] = "sent"
            self.lost.discard(fields["job_id"])
        self.send("BackendNewJob", **fields)
        return fields["job_id"]

    def kill_job(self, job_id, state=""):
        self.send("BackendKillJob", job_id=job_id, state=state)

    # -- receiving

    def _take(self, message):
        kind = message["@type"]
        if kind == "AgentHello":
            # Without slots it is the last word of an agent that leaves.
            known = self.hellos if message["available_job_slots"] > 0 else self.goodbyes
            known.append(message)
            return
        if kind == "Pong":
            self.pongs += 1
            return
        job_id = message["job_id"]
        state = self.jobs.get(job_id)
        if state is None:
            raise AssertionError(f"{kind} for a job never sent: {job_id}")
        if kind == "AgentJobStarted":
            if state != "sent":
                raise AssertionError(f"AgentJobStarted for a job that is {state}: {job_id}")
            self.jobs[job_id] = "started"
        elif state != "started":
            raise AssertionError(f"{kind} for a job that is {state}: {job_id}")
        elif kind == "AgentJobSSHDebug":
            if job_id in self.offers:
                raise AssertionError(f"a second AgentJobSSHDebug: {job_id}")
            self.offers[job_id] = message
        elif kind == "AgentJobDone":
            self.jobs[job_id] = "done"
            self.done[job_id] = message

    def step(self, seconds):
        """Takes one frame if one comes within SECONDS; pings when it is time to."""
        now = time.monotonic()
        if self.pings and self.peer is not None and now >= self.next_ping:
            self.next_ping = now + PING_SECONDS
            self.send("Ping")
        if not self.socket.poll(max(0, min(seconds, PING_SECONDS)) * 1000):
            return
        parts = self.socket.recv_multipart()
        if len(parts) != 2:
            raise AssertionError(f"{len(parts) - 1} frames in one message from the agent")
        message = messages.check(parts[1], self.generation)
        if message["@type"] == "AgentHello":
            if self.peer not in (None, parts[0]):
                self.lost.update(job for job, state in self.jobs.items() if state != "done")
            self.peer = parts[0]
        elif parts[0] != self.peer:
            raise AssertionError(f"{message['@type']} from an agent that has not said hello")
        self._take(message)

    def wait(self, condition, what, seconds=30.0):
        """Serves until CONDITION() is true; fails after SECONDS (scaled)."""
        seconds = min(seconds * time_scale(), max(seconds, WAIT_SECONDS_MAX))
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no {what} within {seconds:.0f} s")
            self.step(left)

    def serve(self, seconds):
        """Serves for SECONDS, whatever comes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step(end - time.monotonic())

    def wait_hello(self, count=1, seconds=30.0):
        self.wait(lambda: len(self.hellos) >= count, f"hello number {count}", seconds)
        return self.hellos[-1]

    def wait_started(self, job_id, seconds=30.0):
        self.wait(lambda: self.jobs[job_id] != "sent", "AgentJobStarted", seconds)

    def wait_done(self, job_id, seconds=60.0):
        def answered():
            if job_id in self.lost:
                raise AssertionError(f"the agent lost the connection, and with it job {job_id}")
            return self.jobs[job_id] == "done"

        self.wait(answered, "AgentJobDone", seconds)
        return self.done[job_id]
