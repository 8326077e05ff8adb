/* links: runner */
/* The commands of a grading container against INGInious' own: tests/data/runner/commands.json was
 * recorded from those by tests/tools/make-runner-table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "commands.h"
#include "feedback.h"
#include "input.h"

#include "base/fdio.h"
#include "base/text.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TABLE_MAX ((size_t)4 << 20)

/* A container's root for one command, with the working directory "w". */
struct place {
    char path[64];
    int root_fd;
};

static void write_text(int dir_fd, const char *path, struct text t)
{
    char copy[256];
    int fd;

    assert_true(strlen(path) < sizeof(copy));
    strcpy(copy, path);
    for (char *p = copy; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdirat(dir_fd, copy, 0755);
    }
    fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, t.data, t.size), 0);
    close(fd);
}

static void place_make(struct place *p, const struct json *input, struct text upload)
{
    static const char *const dirs[] = {FEEDBACK_DIR, INPUT_DIR, "archive", "w"};
    _cleanup_buffer_ struct buffer b = {.max = TABLE_MAX};

    strcpy(p->path, "/tmp/dockless-test-XXXXXX");
    assert_non_null(mkdtemp(p->path));
    p->root_fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(p->root_fd >= 0);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        assert_int_equal(mkdirat(p->root_fd, dirs[i], 0755), 0);
    assert_int_equal(buffer_printf(&b, "{\"type\": \"start\", \"input\": "), 0);
    assert_int_equal(json_write(input, &b), 0);
    assert_int_equal(buffer_printf(&b, "}"), 0);
    write_text(p->root_fd, INPUT_DIR "/" INPUT_FILE, (struct text){(char *)b.data, b.size});
    write_text(p->root_fd, INPUT_DIR "/__inputfile_0", upload);
}

static void place_remove(struct place *p)
{
    close(p->root_fd);
    assert_int_equal(fd_remove_tree(AT_FDCWD, p->path), 0);
}

static struct text read_text(struct pool *pool, int dir_fd, const char *path)
{
    _cleanup_buffer_ struct buffer b = {.max = TABLE_MAX};
    int k = fd_read_file(dir_fd, path, &b, TABLE_MAX);

    if (k == -ENOENT)
        return (struct text){NULL, 0};
    assert_int_equal(k, 0);
    return (struct text){pool_copy(pool, b.data, b.size), b.size};
}

/* Runs the command in a process of its own; what it printed is in the file "out". */
static int run_command(const struct place *p, const char *const *argv)
{
    struct invocation c = {
        .name = argv[0], .argv = (char **)(uintptr_t)(argv + 1), .root_fd = p->root_fd};
    const struct command *command = command_find(argv[0]);
    int status;
    pid_t pid;

    assert_non_null(command);
    fflush(stdout);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int in = openat(p->root_fd, "in", O_RDONLY | O_CLOEXEC);
        int out = openat(p->root_fd, "out", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0 ||
            fchdir(openat(p->root_fd, "w", O_PATH | O_CLOEXEC)) < 0)
            _exit(120);
        status = command->run(&c);
        fflush(stdout);
        _exit(status);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static char *dump(struct pool *pool, const struct json *v)
{
    _cleanup_buffer_ struct buffer b = {.max = TABLE_MAX};

    assert_int_equal(json_write(v, &b), 0);
    return pool_copy(pool, b.data, b.size);
}

static unsigned count_files(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    unsigned n = 0;

    assert_non_null(d);
    while ((entry = readdir(d))) {
        char path[PATH_MAX + 256];
        if (entry->d_name[0] == '.' && (!entry->d_name[1] || entry->d_name[1] == '.'))
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        n += entry->d_type == DT_DIR ? count_files(path) : 1;
    }
    closedir(d);
    return n;
}

/* The files a command should have made or changed, and no others. */
static void check_files(struct pool *pool, const struct place *p, struct json *c)
{
    struct json *files = json_get(c, text_of("files")), *made = json_get(c, text_of("made"));
    unsigned expected = 0;
    char path[128];

    for (size_t i = 0; files && i < files->map.count; i++) {
        snprintf(path, sizeof(path), "w/%s", files->map.members[i].key.data);
        if (!made || !json_get(made, text_of(path)))
            expected++;
    }
    for (size_t i = 0; made && i < made->map.count; i++, expected++) {
        const struct json_member *m = &made->map.members[i];
        struct text got = read_text(pool, p->root_fd, m->key.data);
        if (!got.data)
            fail_msg("%s was not made", m->key.data);
        assert_string_equal(got.data, m->value.text.data);
    }
    snprintf(path, sizeof(path), "%s/w", p->path);
    expected -= count_files(path);
    snprintf(path, sizeof(path), "%s/archive", p->path);
    assert_int_equal(expected, count_files(path));
}

static void check_feedback(struct pool *pool, const struct place *p, struct json *c)
{
    struct text got = read_text(pool, p->root_fd, FEEDBACK_DIR "/" FEEDBACK_FILE);
    struct json *before = json_get(c, text_of("before")), *after = json_get(c, text_of("after"));
    struct json parsed;

    if (after) {
        assert_non_null(got.data);
        assert_int_equal(json_parse(pool, got.data, got.size, &parsed, NULL), 0);
        assert_string_equal(dump(pool, &parsed), dump(pool, after));
    } else if (before && before->text.size) {
        assert_string_equal(got.data, before->text.data);
    } else if (got.size) {
        assert_string_equal(got.data, "{}");
    }
}

static struct text optional(struct json *c, const char *key)
{
    struct json *v = json_get(c, text_of(key));

    return v ? v->text : text_of("");
}

static void check_case(struct pool *pool, const struct json *input, struct text upload,
                       struct json *c)
{
    struct json *argv = json_get(c, text_of("argv")), *files = json_get(c, text_of("files"));
    struct json *before = json_get(c, text_of("before"));
    struct place p;
    const char *words[16] = {NULL};
    int status;

    assert_in_range(argv->list.count, 1, ARRAY_SIZE(words) - 1);
    for (size_t i = 0; i < argv->list.count; i++)
        words[i] = argv->list.items[i].text.data;
    place_make(&p, input, upload);
    write_text(p.root_fd, "in", optional(c, "stdin"));
    if (before)
        write_text(p.root_fd, FEEDBACK_DIR "/" FEEDBACK_FILE, before->text);
    for (size_t i = 0; files && i < files->map.count; i++) {
        char path[128];
        snprintf(path, sizeof(path), "w/%s", files->map.members[i].key.data);
        write_text(p.root_fd, path, files->map.members[i].value.text);
    }
    status = run_command(&p, words);
    if (status != json_get(c, text_of("status"))->integer)
        fail_msg("%s: exit status %d", dump(pool, c), status);
    assert_string_equal(read_text(pool, p.root_fd, "out").data, optional(c, "stdout").data);
    check_feedback(pool, &p, c);
    check_files(pool, &p, c);
    place_remove(&p);
}

static void commands_do_what_inginious_commands_do(void **state)
{
    _cleanup_pool_ struct pool pool = {NULL};
    struct text text = read_text(&pool, AT_FDCWD, TEST_DATA "/runner/commands.json");
    struct error e = ERROR_INIT;
    struct json table, *cases, *input;

    (void)state;
    assert_non_null(text.data);
    if (json_parse(&pool, text.data, text.size, &table, &e) < 0)
        fail_msg("%s", e.text);
    cases = json_get(&table, text_of("cases"));
    input = json_get(&table, text_of("input"));
    assert_true(cases->list.count > 300);
    for (size_t i = 0; i < cases->list.count; i++) {
        print_message("%s\n", dump(&pool, &cases->list.items[i]));
        check_case(&pool, input, json_get(&table, text_of("upload"))->text, &cases->list.items[i]);
    }
}

static const struct json no_input = {.kind = JSON_MAP};

static struct text feedback_of(struct pool *pool, const struct place *p)
{
    return read_text(pool, p->root_fd, FEEDBACK_DIR "/" FEEDBACK_FILE);
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
    _cleanup_pool_ struct pool pool = {NULL};
    struct place p;

    (void)state;
    place_make(&p, &no_input, text_of(""));
    write_text(p.root_fd, "in", text_of("\xff\xe2\x82z"));
    assert_int_equal(run_command(&p, (const char *[]){"feedback-msg", "-m", "a\xff", NULL}), 0);
    assert_string_equal(feedback_of(&pool, &p).data, "{\"text\": \"a\\ufffd\"}");
    assert_int_equal(run_command(&p, (const char *[]){"feedback-msg", NULL}), 0);
    assert_string_equal(feedback_of(&pool, &p).data, "{\"text\": \"\\ufffd\\ufffdz\"}");
    place_remove(&p);
}

static void equal_tags_have_equal_ids(void **state)
{
    _cleanup_pool_ struct pool pool = {NULL};
    struct json map, *tests;
    struct text text;
    struct place p;

    (void)state;
    place_make(&p, &no_input, text_of(""));
    write_text(p.root_fd, "in", text_of(""));
    for (int i = 0; i < 2; i++)
        assert_int_equal(run_command(&p, (const char *[]){"tag", "one", NULL}), 0);
    assert_int_equal(run_command(&p, (const char *[]){"tag", "two", NULL}), 0);
    text = feedback_of(&pool, &p);
    assert_int_equal(json_parse(&pool, text.data, text.size, &map, NULL), 0);
    tests = json_get(&map, text_of("tests"));
    assert_int_equal(tests->map.count, 2);
    assert_memory_equal(tests->map.members[0].key.data, "*auto-tag-", 10);
    assert_string_equal(tests->map.members[0].value.text.data, "one");
    place_remove(&p);
}

static void parallel_commands_lose_nothing(void **state)
{
    enum { PROCESSES = 8, ROUNDS = 20 };
    _cleanup_pool_ struct pool pool = {NULL};
    struct json map;
    struct text text;
    struct place p;

    (void)state;
    place_make(&p, &no_input, text_of(""));
    write_text(p.root_fd, "in", text_of(""));
    for (int i = 0; i < PROCESSES; i++) {
        fflush(stdout);
        if (fork() > 0)
            continue;
        for (int j = 0; j < ROUNDS; j++) {
            char key[16];
            snprintf(key, sizeof(key), "%d-%d", i, j);
            run_command(&p, (const char *[]){"feedback-custom", key, "1", NULL});
        }
        _exit(0);
    }
    while (wait(NULL) > 0)
        continue;
    text = feedback_of(&pool, &p);
    assert_int_equal(json_parse(&pool, text.data, text.size, &map, NULL), 0);
    assert_int_equal(json_get(&map, text_of("custom"))->map.count, PROCESSES * ROUNDS);
    place_remove(&p);
}

static void feedback_above_its_bound_is_refused_and_the_old_one_stays(void **state)
{
    _cleanup_pool_ struct pool pool = {NULL};
    size_t size = FEEDBACK_SIZE_MAX - 5;
    char *big = malloc(size);
    struct place p;

    (void)state;
    assert_non_null(big);
    memset(big, 'x', size);
    place_make(&p, &no_input, text_of(""));
    write_text(p.root_fd, "in", (struct text){big, size});
    assert_int_equal(run_command(&p, (const char *[]){"feedback-result", "failed", NULL}), 0);
    assert_int_equal(run_command(&p, (const char *[]){"feedback-msg", NULL}), 1);
    assert_string_equal(feedback_of(&pool, &p).data, "{\"result\": \"failed\"}");
    place_remove(&p);
    free(big);
}

static void a_feedback_file_that_is_no_file_counts_as_modified(void **state)
{
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct place p;

    (void)state;
    place_make(&p, &no_input, text_of(""));
    write_text(p.root_fd, "target", text_of("{\"result\": \"success\"}"));
    assert_int_equal(symlinkat("../target", p.root_fd, FEEDBACK_DIR "/" FEEDBACK_FILE), 0);
    assert_int_equal(feedback_read(p.root_fd, &f, NULL), 0);
    assert_string_equal(json_get(&f.map, text_of("text"))->text.data, FEEDBACK_MODIFIED);
    assert_string_equal(json_get(&f.map, text_of("result"))->text.data, "crash");
    feedback_clear(&f);
    assert_int_equal(unlinkat(p.root_fd, FEEDBACK_DIR "/" FEEDBACK_FILE, 0), 0);
    assert_int_equal(mkfifoat(p.root_fd, FEEDBACK_DIR "/" FEEDBACK_FILE, 0600), 0);
    assert_int_equal(feedback_read(p.root_fd, &f, NULL), 0);
    assert_string_equal(json_get(&f.map, text_of("text"))->text.data, FEEDBACK_MODIFIED);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_do_what_inginious_commands_do),
        cmocka_unit_test(bytes_that_are_no_utf8_are_replaced),
        cmocka_unit_test(equal_tags_have_equal_ids),
        cmocka_unit_test(parallel_commands_lose_nothing),
        cmocka_unit_test(feedback_above_its_bound_is_refused_and_the_old_one_stays),
        cmocka_unit_test(a_feedback_file_that_is_no_file_counts_as_modified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
