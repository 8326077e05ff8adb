/* links: runtime */
#include "sandbox_harness.h"

#include "base/fdio.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* course/task with links of every kind, and course/shared beside it. */
static int make_course(void **state)
{
    (void)state;
    (void)fd_remove_tree(H.tasks_fd, "course");
    assert_int_equal(mkdirat(H.tasks_fd, "course", 0755), 0);
    assert_int_equal(mkdirat(H.tasks_fd, "course/shared", 0750), 0);
    assert_int_equal(mkdirat(H.tasks_fd, "course/shared/deep", 0755), 0);
    put_file(H.tasks_fd, "course/shared/data", "shared\n", 0640);
    assert_int_equal(fchownat(H.tasks_fd, "course/shared/data", 1000, 1000, 0), 0);
    assert_int_equal(symlinkat("../../inner", H.tasks_fd, "course/shared/deep/nested"), 0);
    assert_int_equal(mkdirat(H.tasks_fd, "course/inner", 0755), 0);
    put_file(H.tasks_fd, "course/inner/file", "inner\n", 0644);
    assert_int_equal(mkdirat(H.tasks_fd, "course/task", 0755), 0);
    assert_int_equal(mkdirat(H.tasks_fd, "course/task/dir", 0700), 0);
    put_file(H.tasks_fd, "course/task/dir/file", "own\n", 0644);
    return 0;
}

static void link_to(const char *target, const char *name)
{
    assert_int_equal(symlinkat(target, H.tasks_fd, name), 0);
}

static void add_task(struct run *r)
{
    struct sandbox_mount *m =
        sandbox_spec_add_mount(&r->spec, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "course/task", "/task");

    assert_non_null(m);
    m->follow_links = true;
}

static void a_link_to_a_directory_of_the_course_becomes_a_copy(void **state)
{
    struct run r;

    (void)state;
    link_to("../shared", "course/task/out");
    link_to("dir", "course/task/in");
    link_to("../../inner", "course/task/dir/sub");
    run_init(&r, "cd /task; stat -c '%n %F %u %a' out in dir dir/sub out/data\n"
                 "cat out/data in/file dir/sub/file out/deep/nested/file dir/file");
    add_task(&r);
    assert_string_equal(run_output(&r, 0), "out directory 0 750\nin directory 0 700\n"
                                           "dir directory 0 700\ndir/sub directory 0 755\n"
                                           "out/data regular file 1000 640\n"
                                           "shared\nown\ninner\ninner\nown");
    run_clear(&r);
}

static void what_a_job_writes_there_stays_in_the_job(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct run r;

    (void)state;
    link_to("../shared", "course/task/out");
    run_init(&r, "cd /task/out && echo changed >data && rm -r deep && echo x >new && ls");
    add_task(&r);
    assert_string_equal(run_output(&r, 0), "data\nnew");
    run_clear(&r);
    assert_string_equal(get_file(H.tasks_fd, "course/shared/data", &b), "shared\n");
    assert_int_equal(count_entries(H.tasks_fd, "course/shared"), 2);
}

static void links_that_lead_out_of_the_root_stay_links(void **state)
{
    struct run r;

    (void)state;
    put_file(H.shared_fd, "treasure", "x", 0644);
    link_to("/etc", "course/task/absolute");
    link_to("../../../shared", "course/task/escape");
    link_to("/proc/self/root", "course/task/magic");
    link_to("nowhere", "course/task/dangling");
    link_to("dir/file", "course/task/file");
    run_init(&r, "cd /task; for l in absolute escape magic dangling file; do readlink $l; done; "
                 "cat file; ls escape/");
    add_task(&r);
    assert_string_equal(run_output(&r, 1), "/etc\n../../../shared\n/proc/self/root\nnowhere\n"
                                           "dir/file\nown\nls: escape/: No such file or directory");
    run_clear(&r);
    assert_int_equal(unlinkat(H.shared_fd, "treasure", 0), 0);
}

static void loops_stay_links(void **state)
{
    struct run r;

    (void)state;
    link_to(".", "course/task/self");
    link_to("..", "course/task/dir/up");
    link_to("../..", "course/task/dir/course");
    run_init(&r, "cd /task; readlink self; readlink dir/up; ls dir/course/task/dir");
    add_task(&r);
    /* The course holds the task: its copy has the task once more, where the links are met again. */
    assert_string_equal(run_output(&r, 0), ".\n..\ncourse\nfile\nup");
    run_clear(&r);
}

static void a_tree_that_is_copied_follows_links_too(void **state)
{
    struct run r;

    (void)state;
    link_to("../shared", "course/task/out");
    assert_int_equal(fchownat(H.tasks_fd, "course/task/dir/file", 70000, 70000, 0), 0);
    run_init(&r, "cd /task; stat -c '%n %F %u' out dir/file; cat out/data out/deep/nested/file");
    add_task(&r);
    assert_string_equal(run_output(&r, 0),
                        "out directory 0\ndir/file regular file 0\nshared\ninner");
    run_clear(&r);
}

static void too_many_links_fail_the_start(void **state)
{
    char name[64];
    struct run r;

    (void)state;
    for (int i = 0; i <= 1000; i++) {
        snprintf(name, sizeof(name), "course/task/link%d", i);
        link_to("dir", name);
    }
    run_init(&r, "true");
    add_task(&r);
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
    assert_non_null(strstr(r.report.error, "more than 1000 links to directories"));
    run_clear(&r);
}

static int remove_course(void **state)
{
    (void)state;
    return fd_remove_tree(H.tasks_fd, "course");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_course, remove_course)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_link_to_a_directory_of_the_course_becomes_a_copy),
        TEST(what_a_job_writes_there_stays_in_the_job),
        TEST(links_that_lead_out_of_the_root_stay_links),
        TEST(loops_stay_links),
        TEST(a_tree_that_is_copied_follows_links_too),
        TEST(too_many_links_fail_the_start),
    };

    return harness_main("sandbox_links", tests, ARRAY_SIZE(tests));
}
