/* links: runtime */
/* What the launcher is started with, on its way there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "request.h"
#include "seccomp.h"
#include "self.h"
#include "startup.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct launcher_root roots[] = {{"store", "/var/lib/store", true},
                                             {"tasks", "relative/tasks", false}};
static const char *const allowed[] = {"10.1.0.0/16", "fd00::/8"};
static const char *const resolvers[] = {"9.9.9.9"};
static const struct launcher_network network = {.pool4 = "10.213.0.0/16",
                                                .pool6 = "",
                                                .allowed = allowed,
                                                .n_allowed = ARRAY_SIZE(allowed),
                                                .resolvers = resolvers,
                                                .n_resolvers = ARRAY_SIZE(resolvers),
                                                .first_port = 20000,
                                                .last_port = 20099};

static struct sock_filter instructions[] = {{0x20, 0, 0, 4}, {0x06, 1, 2, 0x7fff0000}};
static const struct seccomp_program filter = {instructions, ARRAY_SIZE(instructions)};

static const struct launcher_config whole = {
    .roots = roots,
    .n_roots = ARRAY_SIZE(roots),
    .scratch = "/var/lib/scratch",
    .run_dir = "/run/here",
    .first_id = 1,
    .ranges = 2,
    .max_sandboxes = 3,
    .spares = 4,
    .needed = LAUNCHER_LIMIT_DISK,
    .waived = LAUNCHER_LIMIT_CPUS | LAUNCHER_LIMIT_IO_WEIGHT,
    .disk = LAUNCHER_DISK_QUOTA,
    .first_project = 5,
    .client = 6,
    .network = &network,
    .filter = &filter,
};

static void encode(const struct launcher_config *config, struct buffer *b)
{
    b->max = REQUEST_MAX;
    assert_int_equal(startup_encode(config, b), 0);
}

/* A page in a pipe is one that somebody holds. */
static void sealing_waits_for_pages_that_are_held_for_a_moment(void **state)
{
    _cleanup_close_ int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    static char page[4096];
    loff_t at = 0;
    int ends[2], status;
    pid_t child;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
    assert_int_equal(splice(fd, &at, ends[1], NULL, sizeof(page), 0), sizeof(page));
    child = fork();
    if (child == 0) {
        usleep(500 * 1000);
        _exit(read(ends[0], page, sizeof(page)) != sizeof(page));
    }
    assert_int_equal(self_seal(fd), 0);
    assert_true(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
}

static void everything_arrives(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    _cleanup_(startup_free_p) struct launcher_config *got = NULL;
    struct error e = ERROR_INIT;

    (void)state;
    encode(&whole, &b);
    assert_int_equal(startup_decode(b.data, b.size, &got, &e), 0);
    assert_int_equal(got->n_roots, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(got->roots[i].name, roots[i].name);
        assert_string_equal(got->roots[i].path, roots[i].path);
        assert_int_equal(got->roots[i].read_only, roots[i].read_only);
    }
    assert_string_equal(got->scratch, whole.scratch);
    assert_string_equal(got->run_dir, whole.run_dir);
    assert_int_equal(got->first_id, 1);
    assert_int_equal(got->ranges, 2);
    assert_int_equal(got->max_sandboxes, 3);
    assert_int_equal(got->spares, 4);
    assert_int_equal(got->needed, whole.needed);
    assert_int_equal(got->waived, whole.waived);
    assert_int_equal(got->disk, LAUNCHER_DISK_QUOTA);
    assert_int_equal(got->first_project, 5);
    assert_int_equal(got->client, 6);
    assert_string_equal(got->network->pool4, network.pool4);
    assert_string_equal(got->network->pool6, "");
    assert_int_equal(got->network->n_allowed, 2);
    assert_string_equal(got->network->allowed[1], "fd00::/8");
    assert_int_equal(got->network->n_resolvers, 1);
    assert_string_equal(got->network->resolvers[0], "9.9.9.9");
    assert_int_equal(got->network->first_port, 20000);
    assert_int_equal(got->network->last_port, 20099);
    assert_int_equal(got->filter->length, 2);
    assert_memory_equal(got->filter->filter, instructions, sizeof(instructions));
}

static void what_is_not_there_does_not_arrive(void **state)
{
    const struct launcher_config bare = {.scratch = "/s"};
    const struct launcher_network plain = {0};
    struct launcher_config with_network = bare;
    _cleanup_buffer_ struct buffer b = {0}, c = {0};
    _cleanup_(startup_free_p) struct launcher_config *got = NULL, *second = NULL;

    (void)state;
    encode(&bare, &b);
    assert_int_equal(startup_decode(b.data, b.size, &got, NULL), 0);
    assert_int_equal(got->n_roots, 0);
    assert_null(got->run_dir);
    assert_null(got->network);
    assert_null(got->filter);
    with_network.network = &plain;
    encode(&with_network, &c);
    assert_int_equal(startup_decode(c.data, c.size, &second, NULL), 0);
    assert_null(second->network->pool4);
    assert_null(second->network->pool6);
    assert_int_equal(second->network->n_allowed, 0);
}

static void what_is_cut_off_or_goes_on_is_refused(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};

    (void)state;
    encode(&whole, &b);
    for (size_t size = 0; size < b.size; size++) {
        struct launcher_config *got = NULL;
        assert_int_equal(startup_decode(b.data, size, &got, NULL), -EBADMSG);
        assert_null(got);
    }
    assert_int_equal(buffer_append(&b, "", 1), 0);
    assert_int_equal(startup_decode(b.data, b.size, &(struct launcher_config *){NULL}, NULL),
                     -EBADMSG);
}

static void refuse(const struct launcher_config *config, const char *text)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct launcher_config *got = NULL;
    struct error e = ERROR_INIT;

    encode(config, &b);
    assert_int_equal(startup_decode(b.data, b.size, &got, &e), -EBADMSG);
    assert_string_equal(e.text, text);
}

static void bounds_hold(void **state)
{
    struct launcher_root many[LAUNCHER_ROOTS_MAX + 1];
    struct launcher_config config = whole;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = roots[0];
    config.roots = many;
    config.n_roots = ARRAY_SIZE(many);
    refuse(&config, "roots has too many entries");
    config = whole;
    config.scratch = NULL;
    refuse(&config, "scratch is missing");
    config = whole;
    config.max_sandboxes = LAUNCHER_SANDBOXES_MAX + 1;
    refuse(&config, "max_sandboxes is too large");
    config = whole;
    config.disk = LAUNCHER_DISK_IMAGE + 1;
    refuse(&config, "disk is unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives),
        cmocka_unit_test(sealing_waits_for_pages_that_are_held_for_a_moment),
        cmocka_unit_test(what_is_not_there_does_not_arrive),
        cmocka_unit_test(what_is_cut_off_or_goes_on_is_refused),
        cmocka_unit_test(bounds_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
