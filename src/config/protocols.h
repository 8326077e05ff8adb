/* The generations of INGInious' protocol by name, as wire/generation.h has them: this room does not
 * know the wire. */
#pragma once

#define PROTOCOL_DEFAULT "main"

/** All names, and NULL. */
extern const char *const config_protocols[];
