/* Texts that teachers and frontends know from INGInious' own agent, byte for byte. Those that
 * differ between its releases are in wire/generation.h. */
#pragma once

#define TEXT_NO_ENVIRONMENT                                                                        \
    "This environment is not available in this agent. Please contact your course administrator."
#define TEXT_NO_TASK                                                                               \
    "Task unavailable on agent. Please retry later, the agents should synchronize soon. If the "   \
    "error persists, "                                                                             \
    "please contact your course administrator."
#define TEXT_BAD_PARAMETERS "The agent is unable to parse the parameters"
#define TEXT_NO_MEMORY                                                                             \
    "Not enough memory on agent (available: %lluMB). Please contact your course administrator."
#define TEXT_NO_CONTAINER "Unknown container. Please contact your course administrator."
#define TEXT_NOT_CREATED  "Cannot create container."
#define TEXT_NOT_STARTED  "Cannot start container"
#define TEXT_STUDENT_SSH                                                                           \
    "ssh for student requires to allow ssh and internet access in the task environment "           \
    "configuration tab!"
#define TEXT_FOREIGN_STUDENT "Trying to connect with ssh to a non-children student container !"
/* The backend's own word for jobs of an agent that went away. */
#define TEXT_RESTARTED "Agent restarted"
/* Ours: upstream has an exception there. */
#define TEXT_NO_SSH_HOST                                                                           \
    "This agent does not know the address at which it can be reached by ssh. Please contact your " \
    "course administrator."
