#include "resolv.h"

#include <arpa/inet.h>
#include <string.h>

#define BLANKS " \t\r"

void resolv_clear(struct resolv *r)
{
    buffer_clear(&r->text);
    r->n_servers = r->n_dropped = 0;
}

/* What a sandbox cannot mean by an address that the host can. */
static bool is_of_the_host(const struct address *a)
{
    static const char *const ranges[] = {"127.0.0.0/8", "0.0.0.0/8", "169.254.0.0/16",
                                         "::/127",      "fe80::/10", "::ffff:127.0.0.0/104"};
    struct address_range range;

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        if (address_range_parse(ranges[i], &range) == 0 && address_in_range(a, &range))
            return true;
    return false;
}

static int add_server(struct resolv *r, const struct address *a)
{
    char text[INET6_ADDRSTRLEN];

    if (r->n_servers == RESOLVERS_MAX)
        return 0;
    r->servers[r->n_servers++] = *a;
    inet_ntop(a->family, a->bytes, text, sizeof(text));
    return buffer_printf(&r->text, "nameserver %s\n", text);
}

/* One line of the host's file, without its end. */
static int take_line(char *line, bool with_servers, bool ipv6, struct resolv *r)
{
    char *word = line + strspn(line, BLANKS);
    size_t length = strcspn(word, BLANKS);
    char *value = word + length + strspn(word + length, BLANKS); /* before the word gets its end */
    struct address a;

    word[length] = 0;
    if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0 || strcmp(word, "options") == 0)
        return buffer_printf(&r->text, "%s %s\n", word, value);
    if (!with_servers || strcmp(word, "nameserver") != 0)
        return 0;
    value[strcspn(value, BLANKS)] = 0;
    /* With a zone ("fe80::1%eth0") it is no address for us: it means a link of the host. */
    if (address_parse(value, &a) < 0 || is_of_the_host(&a) || (a.family == AF_INET6 && !ipv6)) {
        r->n_dropped++;
        return 0;
    }
    return add_server(r, &a);
}

int resolv_make(const char *host_text, const struct address *servers, size_t n_servers, bool ipv6,
                struct resolv *ret)
{
    _cleanup_free_ char *copy = strdup(host_text);
    struct resolv made = {.text.max = 2 * RESOLV_TEXT_MAX};
    char *next = copy, *line;
    int r = 0;

    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < n_servers && r == 0; i++)
        r = add_server(&made, &servers[i]);
    while (r == 0 && (line = strsep(&next, "\n")))
        r = take_line(line, n_servers == 0, ipv6, &made);
    if (r == 0 && made.n_dropped > 0)
        r = buffer_printf(&made.text,
                          "# name servers of the host that cannot be reached from here: %zu\n",
                          made.n_dropped);
    if (r < 0) {
        resolv_clear(&made);
        return r;
    }
    *ret = made;
    return 0;
}
