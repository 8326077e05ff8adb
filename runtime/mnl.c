/* libmnl, loaded by the first netlink socket: most sandboxes have no network to be made, and what
 * is loaded at each start takes longer than most of what a start does. The functions that are used
 * stand here under their own names. */
#include "netlink.h"

#include "base/library.h"

#define LIBRARY "libmnl.so.0"

static struct {
    __typeof__(&mnl_attr_get_payload) attr_get_payload;
    __typeof__(&mnl_attr_get_payload_len) attr_get_payload_len;
    __typeof__(&mnl_attr_get_str) attr_get_str;
    __typeof__(&mnl_attr_get_type) attr_get_type;
    __typeof__(&mnl_attr_nest_end) attr_nest_end;
    __typeof__(&mnl_attr_nest_start) attr_nest_start;
    __typeof__(&mnl_attr_next) attr_next;
    __typeof__(&mnl_attr_ok) attr_ok;
    __typeof__(&mnl_attr_put) attr_put;
    __typeof__(&mnl_attr_put_strz) attr_put_strz;
    __typeof__(&mnl_attr_put_u32) attr_put_u32;
    __typeof__(&mnl_attr_put_u8) attr_put_u8;
    __typeof__(&mnl_attr_validate) attr_validate;
    __typeof__(&mnl_nlmsg_get_payload) nlmsg_get_payload;
    __typeof__(&mnl_nlmsg_get_payload_offset) nlmsg_get_payload_offset;
    __typeof__(&mnl_nlmsg_get_payload_tail) nlmsg_get_payload_tail;
    __typeof__(&mnl_nlmsg_next) nlmsg_next;
    __typeof__(&mnl_nlmsg_ok) nlmsg_ok;
    __typeof__(&mnl_nlmsg_put_extra_header) nlmsg_put_extra_header;
    __typeof__(&mnl_nlmsg_put_header) nlmsg_put_header;
} lib;

#define SYMBOL(name)                                                                               \
    {                                                                                              \
        "mnl_" #name, &lib.name                                                                    \
    }

int netlink_load(struct error *e)
{
    static const struct library_symbol symbols[] = {
        SYMBOL(attr_get_payload),
        SYMBOL(attr_get_payload_len),
        SYMBOL(attr_get_str),
        SYMBOL(attr_get_type),
        SYMBOL(attr_nest_end),
        SYMBOL(attr_nest_start),
        SYMBOL(attr_next),
        SYMBOL(attr_ok),
        SYMBOL(attr_put),
        SYMBOL(attr_put_strz),
        SYMBOL(attr_put_u32),
        SYMBOL(attr_put_u8),
        SYMBOL(attr_validate),
        SYMBOL(nlmsg_get_payload),
        SYMBOL(nlmsg_get_payload_offset),
        SYMBOL(nlmsg_get_payload_tail),
        SYMBOL(nlmsg_next),
        SYMBOL(nlmsg_ok),
        SYMBOL(nlmsg_put_extra_header),
        SYMBOL(nlmsg_put_header), /* the last: it says that all are there */
    };
    int r = lib.nlmsg_put_header ? 0 : library_load(LIBRARY, symbols, ARRAY_SIZE(symbols));

    return r < 0 ? error_sys(e, r, "load " LIBRARY) : 0;
}

void *mnl_attr_get_payload(const struct nlattr *attr)
{
    return lib.attr_get_payload(attr);
}

uint16_t mnl_attr_get_payload_len(const struct nlattr *attr)
{
    return lib.attr_get_payload_len(attr);
}

const char *mnl_attr_get_str(const struct nlattr *attr)
{
    return lib.attr_get_str(attr);
}

uint16_t mnl_attr_get_type(const struct nlattr *attr)
{
    return lib.attr_get_type(attr);
}

void mnl_attr_nest_end(struct nlmsghdr *nlh, struct nlattr *start)
{
    lib.attr_nest_end(nlh, start);
}

struct nlattr *mnl_attr_nest_start(struct nlmsghdr *nlh, uint16_t type)
{
    return lib.attr_nest_start(nlh, type);
}

struct nlattr *mnl_attr_next(const struct nlattr *attr)
{
    return lib.attr_next(attr);
}

bool mnl_attr_ok(const struct nlattr *attr, int len)
{
    return lib.attr_ok(attr, len);
}

void mnl_attr_put(struct nlmsghdr *nlh, uint16_t type, size_t len, const void *data)
{
    lib.attr_put(nlh, type, len, data);
}

void mnl_attr_put_strz(struct nlmsghdr *nlh, uint16_t type, const char *data)
{
    lib.attr_put_strz(nlh, type, data);
}

void mnl_attr_put_u32(struct nlmsghdr *nlh, uint16_t type, uint32_t data)
{
    lib.attr_put_u32(nlh, type, data);
}

void mnl_attr_put_u8(struct nlmsghdr *nlh, uint16_t type, uint8_t data)
{
    lib.attr_put_u8(nlh, type, data);
}

int mnl_attr_validate(const struct nlattr *attr, enum mnl_attr_data_type type)
{
    return lib.attr_validate(attr, type);
}

void *mnl_nlmsg_get_payload(const struct nlmsghdr *nlh)
{
    return lib.nlmsg_get_payload(nlh);
}

void *mnl_nlmsg_get_payload_offset(const struct nlmsghdr *nlh, size_t offset)
{
    return lib.nlmsg_get_payload_offset(nlh, offset);
}

void *mnl_nlmsg_get_payload_tail(const struct nlmsghdr *nlh)
{
    return lib.nlmsg_get_payload_tail(nlh);
}

struct nlmsghdr *mnl_nlmsg_next(const struct nlmsghdr *nlh, int *len)
{
    return lib.nlmsg_next(nlh, len);
}

bool mnl_nlmsg_ok(const struct nlmsghdr *nlh, int len)
{
    return lib.nlmsg_ok(nlh, len);
}

void *mnl_nlmsg_put_extra_header(struct nlmsghdr *nlh, size_t size)
{
    return lib.nlmsg_put_extra_header(nlh, size);
}

struct nlmsghdr *mnl_nlmsg_put_header(void *buf)
{
    return lib.nlmsg_put_header(buf);
}
