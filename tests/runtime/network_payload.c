/* The part of sandbox_payload that speaks to a network. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_SEC 3

static socklen_t make_address(const char *host, int port, struct sockaddr_storage *ret)
{
    struct sockaddr_in *ip4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, host, &ip4->sin_addr) == 1) {
        ip4->sin_family = AF_INET;
        ip4->sin_port = htons((unsigned short)port);
        return sizeof(*ip4);
    }
    if (inet_pton(AF_INET6, host, &ip6->sin6_addr) != 1)
        exit(90);
    ip6->sin6_family = AF_INET6;
    ip6->sin6_port = htons((unsigned short)port);
    return sizeof(*ip6);
}

/* fetch HOST PORT: prints what the server there says, or why there is none. */
static int do_fetch(const char *host, int port)
{
    const struct timeval wait = {WAIT_SEC, 0};
    struct sockaddr_storage address;
    socklen_t size = make_address(host, port, &address);
    int fd = socket(address.ss_family, SOCK_STREAM, 0);
    char data[256];
    ssize_t n;

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    if (connect(fd, (struct sockaddr *)&address, size) < 0) {
        puts(errno == EINPROGRESS ? "silence" : "refused");
        return 1;
    }
    while ((n = read(fd, data, sizeof(data))) > 0)
        fwrite(data, 1, (size_t)n, stdout);
    return n < 0 ? 2 : 0;
}

static int bind_to(int type, int port)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_port = htons((unsigned short)port)};
    int fd = socket(AF_INET6, type, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        exit(91);
    return fd;
}

/* serve PORT: tells everybody this host's name, for ever. */
static int do_serve(int port)
{
    int fd = bind_to(SOCK_STREAM, port);
    char name[64];

    gethostname(name, sizeof(name));
    listen(fd, 16);
    puts("serving");
    fflush(stdout);
    for (;;) {
        int peer = accept(fd, NULL, NULL);
        if (write(peer, name, strlen(name)) < 0)
            return 3;
        close(peer);
    }
}

/* collect PORT: prints every datagram. */
static int do_collect(int port)
{
    int fd = bind_to(SOCK_DGRAM, port);
    char data[128];
    ssize_t n;

    puts("collecting");
    fflush(stdout);
    while ((n = recv(fd, data, sizeof(data), 0)) >= 0) {
        printf("<%.*s>\n", (int)n, data);
        fflush(stdout);
    }
    return 3;
}

static unsigned short sum_of(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    unsigned long sum = 0;

    for (size_t i = 0; i < size; i += 2)
        sum += (unsigned long)(bytes[i] << 8) | bytes[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((unsigned short)~sum);
}

/* frame SOURCE-MAC DESTINATION-MAC SOURCE-IP DESTINATION-IP PORT TEXT: one datagram in a frame made
 * by hand. */
static int do_frame(char **argument)
{
    struct {
        struct ether_header ethernet;
        struct ip ip;
        struct udphdr udp;
        char text[64];
    } __attribute__((packed)) frame = {0};
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("eth0")};
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    size_t length = strlen(argument[5]);
    unsigned char *macs[2] = {frame.ethernet.ether_shost, frame.ethernet.ether_dhost};
    ssize_t n;

    for (int i = 0; i < 2; i++)
        if (sscanf(argument[i], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &macs[i][0], &macs[i][1],
                   &macs[i][2], &macs[i][3], &macs[i][4], &macs[i][5]) != 6)
            return 92;
    frame.ethernet.ether_type = htons(ETHERTYPE_IP);
    frame.ip.ip_v = 4;
    frame.ip.ip_hl = 5;
    frame.ip.ip_ttl = 64;
    frame.ip.ip_p = IPPROTO_UDP;
    frame.ip.ip_len = htons((unsigned short)(sizeof(frame.ip) + sizeof(frame.udp) + length));
    inet_pton(AF_INET, argument[2], &frame.ip.ip_src);
    inet_pton(AF_INET, argument[3], &frame.ip.ip_dst);
    frame.ip.ip_sum = sum_of(&frame.ip, sizeof(frame.ip));
    frame.udp.uh_sport = htons(4000);
    frame.udp.uh_dport = htons((unsigned short)atoi(argument[4]));
    frame.udp.uh_ulen = htons((unsigned short)(sizeof(frame.udp) + length));
    memcpy(frame.text, argument[5], length);
    n = sendto(fd, &frame, sizeof(frame) - sizeof(frame.text) + length, 0, (struct sockaddr *)&link,
               sizeof(link));
    if (n < 0)
        perror("frame");
    return n < 0;
}

int network_main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (strcmp(verb, "fetch") == 0 && argc == 4)
        return do_fetch(argv[2], atoi(argv[3]));
    if (strcmp(verb, "serve") == 0 && argc == 3)
        return do_serve(atoi(argv[2]));
    if (strcmp(verb, "collect") == 0 && argc == 3)
        return do_collect(atoi(argv[2]));
    if (strcmp(verb, "frame") == 0 && argc == 8)
        return do_frame(argv + 2);
    return 99;
}
