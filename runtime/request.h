/* What crosses the boundary, as bytes: requests down, events up.
 *
 * One message is one packet of a SOCK_SEQPACKET pair:
 *
 *     u32 magic   REQUEST_MAGIC or EVENT_MAGIC; another build's message is refused by it
 *     u32 type
 *     u64 id      of the sandbox or probe
 *     ...         fields in the order of the struct, nothing behind them
 *
 * Numbers are in host order (both ends are forks of one program), texts a u32 length and bytes
 * without NUL, lists a u32 count and items. A request of more than REQUEST_PACKET_MAX bytes travels
 * in a sealed memfd instead: the packet then is a REQUEST_LARGE of three fields, and its first fd
 * holds the request. Fds follow in the order of the container's 0, 1, 2.
 *
 * Decoding is strict: every count and length has a bound, every byte is consumed, every fault is
 * -EBADMSG with a line that names the field. It touches nothing but memory, so it can be fuzzed. */
#pragma once

#include "base/buffer.h"
#include "runtime/launcher.h"

#define REQUEST_MAGIC 0x31526c44U /* "DlR1" */
#define EVENT_MAGIC   0x31456c44U /* "DlE1" */

/** Requests up to this travel in the packet itself. Far below what a socket buffer takes, and few
 * specs are larger. */
#define REQUEST_PACKET_MAX ((size_t)16 * 1024)

/** The largest request: execve(2) takes no more than 6 MiB of argv and env, the longest paths of
 * all layers, mounts and directories are 5 MiB. */
#define REQUEST_MAX ((size_t)12 << 20)

/** The largest event: a report with its three texts. */
#define EVENT_MAX ((size_t)4096)

enum request_type {
    REQUEST_SUBMIT = 1,
    REQUEST_KILL,
    REQUEST_PROBE,
    REQUEST_LARGE, /* only as a packet: see request_is_large() */
    REQUEST_CONNECT,
    REQUEST_SIGNAL,
};

struct request {
    enum request_type type;
    uint64_t id;
    uint32_t stdio;           /* SUBMIT: bit N says that the container's fd N is among the fds */
    struct sandbox_spec spec; /* SUBMIT; owned */
    uint32_t root;            /* PROBE; CONNECT: number of the mount */
    char *path;               /* PROBE, CONNECT; owned */
    uint64_t sandbox;         /* CONNECT */
    uint32_t signal;          /* SIGNAL */
};

/** Frees what R owns and zeroes it. */
void request_clear(struct request *r);

/** Appends R's bytes to B, which should have REQUEST_MAX as its bound. -EMSGSIZE, -ENOMEM. */
int request_encode(const struct request *r, struct buffer *b);

/** Decodes exactly SIZE bytes. Says nothing of whether the spec is a sensible one: that is
 * sandbox_spec_validate()'s business. On failure *RET is untouched. -EBADMSG, -ENOMEM. */
int request_decode(const void *data, size_t size, struct request *ret, struct error *e);

/** Appends the packet that announces a request in a memfd. */
int request_encode_large(struct buffer *b);
/** Whether the packet announces one. */
bool request_is_large(const void *data, size_t size);

/** Puts SIZE bytes into a new memfd that nobody can change any more; the fd or a negative errno. */
int request_seal(const void *data, size_t size);

/** Reads the request in FD into B. The memfd must be sealed against writing, growing and shrinking
 * (else its bytes could change between check and use, or a read could end in SIGBUS) and hold at
 * most REQUEST_MAX bytes. -EBADMSG, -ENOMEM, or what reading failed with. */
int request_unseal(int fd, struct buffer *b, struct error *e);

enum event_type {
    EVENT_READY = 1, /* the launcher takes requests */
    EVENT_FAILED,    /* the launcher ends: `result` and `report.error` say why */
    EVENT_STARTED,
    EVENT_EXITED,
    EVENT_PROBED,
    EVENT_CONNECTED, /* with result 0 its packet carries one fd */
};

struct event {
    enum event_type type;
    uint64_t id;
    int result;                   /* FAILED, PROBED, CONNECTED */
    struct sandbox_report report; /* EXITED; FAILED: its `error` */
};

/** Appends E's bytes to B. -EMSGSIZE, -ENOMEM. */
int event_encode(const struct event *event, struct buffer *b);
/** Decodes exactly SIZE bytes. On failure *RET is untouched. -EBADMSG. */
int event_decode(const void *data, size_t size, struct event *ret, struct error *e);
