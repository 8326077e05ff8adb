"""What the messages of each generation look like on the wire, and as the other parts of the harness
see them, who only know the latest: a message from an agent is checked as its release would do it and
then translated, one to it is translated before it is sent."""

MAIN = "main"
ALL = ("main", "0.9", "0.8", "0.7", "0.6", "0.5")

# What 0.5 and 0.6 call things: their messages have "type" in place of "@type".
OLD_NAMES = {
    "AgentHello": "agent_hello",
    "AgentJobStarted": "agent_job_started",
    "AgentJobDone": "agent_job_done",
    "AgentJobSSHDebug": "agent_job_ssh_debug",
    "Pong": "pong",
    "BackendNewJob": "backend_new_job",
    "BackendKillJob": "backend_kill_job",
    "Ping": "ping",
}

# A job id of theirs is the address of a client and a text.
CLIENT = b"\x00client"

IMAGE_VERSION = {"main": "4", "0.9": "3", "0.8": "3", "0.7": "3", "0.6": "2", "0.5": None}
UNKNOWN_ERROR = "An unknown error occurred in the agent. Please contact your course administrator."
NO_RESULT = "'NoneType' object has no attribute 'items'"


def is_old(generation):
    return generation in ("0.6", "0.5")


def is_little_endian(generation):
    """Of the lengths in front of what a container says."""
    return generation in ("0.7", "0.6", "0.5")


def unknown_error(generation):
    return UNKNOWN_ERROR.replace("occurred", "occured") if generation == "0.5" else UNKNOWN_ERROR


def no_result(generation):
    return "Grading container did not return any result." if generation == MAIN else NO_RESULT


def has_state(generation):
    """Whether the state of a submission is handed back with a job that gave no result."""
    return generation in ("main", "0.9", "0.8")


def environment_fields(generation, fields):
    """FIELDS of main's environments as GENERATION has them."""
    fields = dict(fields)
    if generation != MAIN:
        del fields["advertised"]
    if is_old(generation):
        del fields["title"], fields["runtime"]
    if generation == "0.5":
        del fields["ports"]
    if generation in ("0.7", "0.6", "0.5"):
        fields["created"] = (float,)
    return fields


def message_fields(generation, kind, fields):
    """The same for a message from an agent."""
    fields = dict(fields)
    if is_old(generation) and "job_id" in fields:
        fields["job_id"] = (tuple,)
    if is_old(generation) and kind == "AgentHello":
        del fields["available_environments"]
        fields["available_containers"] = (dict,)
    if generation == "0.5" and kind == "AgentJobDone":
        del fields["state"]
    if is_old(generation) and kind == "AgentJobSSHDebug":
        del fields["user"]
    return fields


def type_key(generation):
    return "type" if is_old(generation) else "@type"


def kind_of(generation, message):
    """The latest generation's name of a message's type, None for an unknown one."""
    kind = message.get(type_key(generation))
    if not is_old(generation):
        return kind
    return {old: new for new, old in OLD_NAMES.items()}.get(kind)


def from_agent(generation, kind, message):
    """A checked MESSAGE as the latest generation would have it."""
    message = {key: value for key, value in message.items() if key != type_key(generation)}
    message["@type"] = kind
    if not is_old(generation):
        return message
    if "job_id" in message:
        client, message["job_id"] = message["job_id"]
        if client != CLIENT:
            raise AssertionError(f"{kind}: the address in the job id is {client!r}")
    if kind == "AgentHello":
        message["available_environments"] = {"docker": message.pop("available_containers")}
    if kind == "AgentJobDone":
        message.setdefault("state", "")
    return message


def _flat(fields, generation):
    """The fields of a BackendNewJob whose client has taken the parameters apart."""
    parameters = fields.pop("environment_parameters")
    limits = parameters.get("limits", {})
    del fields["environment_type"], fields["task_problems"]
    fields["enable_network"] = parameters.get("network_grading", False)
    fields["time_limit"] = limits.get("time", 20)
    fields["hard_time_limit"] = limits.get("hard_time")
    fields["mem_limit"] = limits.get("memory", 200)
    if generation != "0.5":
        fields["run_cmd"] = parameters.get("run_cmd")


def to_agent(generation, kind, fields):
    """The message that a backend of GENERATION sends for one of the latest."""
    fields = dict(fields)
    if generation == MAIN:
        return {**fields, "@type": kind}
    if kind == "BackendKillJob" and generation in ("0.7", "0.6", "0.5"):
        fields.pop("state", None)
    if not is_old(generation):
        return {**fields, "@type": kind}
    if kind == "BackendNewJob":
        _flat(fields, generation)
    if "job_id" in fields:
        fields["job_id"] = (CLIENT, fields["job_id"])
    return {**fields, "type": OLD_NAMES[kind]}
