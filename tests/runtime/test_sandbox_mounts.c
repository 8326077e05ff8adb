/* links: runtime */
#include "sandbox_harness.h"

#include "base/fdio.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A task tree "NAME" of the host: run (root), data (uid 1000), secret (0600), dir/file, a link. */
static void make_task(const char *name)
{
    _cleanup_close_ int fd = -EBADF;

    (void)fd_remove_tree(H.tasks_fd, name);
    assert_int_equal(mkdirat(H.tasks_fd, name, 0755), 0);
    fd = openat(H.tasks_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_file(fd, "run", "original\n", 0755);
    put_file(fd, "data", "data\n", 0644);
    assert_int_equal(fchownat(fd, "data", 1000, 1000, 0), 0);
    put_file(fd, "secret", "secret\n", 0600);
    assert_int_equal(mkdirat(fd, "dir", 0755), 0);
    put_file(fd, "dir/file", "deep\n", 0644);
    assert_int_equal(symlinkat("run", fd, "link"), 0);
}

static struct sandbox_mount *add(struct run *r, enum sandbox_mount_kind kind, uint32_t root,
                                 const char *source, const char *target)
{
    struct sandbox_mount *m = sandbox_spec_add_mount(&r->spec, kind, root, source, target);

    assert_non_null(m);
    return m;
}

static void an_overlay_leaves_the_original_untouched(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct stat st;
    struct run r;

    (void)state;
    make_task("one");
    run_init(&r, "cd /task; stat -c '%n %u %a' run data secret; cat secret dir/file link\n"
                 "echo changed >run; echo new >new; rm data; mv dir moved; cat moved/file\n"
                 "chown -R 4242:4242 . && chmod -R 777 . && stat -c '%u %a' . run moved/file");
    add(&r, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "one", "/task");
    assert_string_equal(run_output(&r, 0),
                        "run 0 755\ndata 1000 644\nsecret 0 600\nsecret\ndeep\noriginal\ndeep\n"
                        "4242 777\n4242 777\n4242 777");
    run_clear(&r);
    assert_string_equal(get_file(H.tasks_fd, "one/run", &b), "original\n");
    assert_string_equal(get_file(H.tasks_fd, "one/data", &b), "data\n");
    assert_string_equal(get_file(H.tasks_fd, "one/dir/file", &b), "deep\n");
    assert_int_equal(count_entries(H.tasks_fd, "one"), 5);
    assert_int_equal(fstatat(H.tasks_fd, "one/run", &st, 0), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_mode & 07777, 0755);
}

static void directories_are_made_in_an_overlay(void **state)
{
    struct sandbox_mount *m;
    struct run r;

    (void)state;
    make_task("two");
    run_init(&r, "cd /task; stat -c '%n %u %a' . student student/scripts dir dir/sub run");
    m = add(&r, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "two", "/task");
    m->mode = 0777;
    assert_int_equal(sandbox_mount_add_dir(m, "student", 0777), 0);
    assert_int_equal(sandbox_mount_add_dir(m, "student/scripts", 0750), 0);
    assert_int_equal(sandbox_mount_add_dir(m, "dir/sub", 0700), 0);
    assert_int_equal(sandbox_mount_add_dir(m, "dir", 0700), 0); /* exists: stays as it is */
    assert_string_equal(run_output(&r, 0), ". 0 777\nstudent 0 777\nstudent/scripts 0 750\n"
                                           "dir 0 755\ndir/sub 0 700\nrun 0 755");
    run_clear(&r);
    assert_int_equal(faccessat(H.tasks_fd, "two/student", F_OK, 0), -1);
}

/* A link in a task tree that leads out of it must not make the launcher act elsewhere. */
static void a_directory_is_not_made_through_a_link_out_of_the_task(void **state)
{
    struct sandbox_mount *m;
    struct run r;

    (void)state;
    make_task("three");
    assert_int_equal(symlinkat("../../shared", H.tasks_fd, "three/out"), 0);
    run_init(&r, "true");
    m = add(&r, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "three", "/task");
    assert_int_equal(sandbox_mount_add_dir(m, "out/made", 0777), 0);
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
    assert_string_equal(r.report.failed_step, "mount /task");
    run_clear(&r);
    assert_int_equal(count_entries(H.shared_fd, "."), 0);
}

/* Owners that no container has: the tree is copied, root inside owns what they own. */
static void foreign_owners_become_root_in_a_copy(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct run r;

    (void)state;
    make_task("four");
    assert_int_equal(fchownat(H.tasks_fd, "four/dir/file", 1234567, 1234567, 0), 0);
    run_init(&r, "cd /task; stat -c '%n %u %a' data dir/file secret; cat dir/file; readlink link\n"
                 "echo x >dir/file && chown 4242 dir/file && stat -c %u dir/file");
    add(&r, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "four", "/task");
    assert_string_equal(run_output(&r, 0), "data 1000 644\ndir/file 0 644\nsecret 0 600\ndeep\n"
                                           "run\n4242");
    run_clear(&r);
    assert_string_equal(get_file(H.tasks_fd, "four/dir/file", &b), "deep\n");
}

/* "NAME" with COUNT files in four directories; the last one belongs to OWNER. */
static void make_large_task(const char *name, int count, uid_t owner)
{
    char path[64];

    make_task(name);
    for (int i = 0; i < count; i++) {
        if (i % 256 == 0) {
            snprintf(path, sizeof(path), "%s/d%d", name, i / 256);
            assert_int_equal(mkdirat(H.tasks_fd, path, 0755), 0);
        }
        snprintf(path, sizeof(path), "%s/d%d/f%d", name, i / 256, i);
        put_file(H.tasks_fd, path, "x", 0644);
    }
    assert_int_equal(fchownat(H.tasks_fd, path, owner, owner, 0), 0);
}

/* More entries than the launcher looks at by itself: the owners decide all the same. */
static void large_trees_are_mapped_or_copied_by_their_owners(void **state)
{
    static const uid_t owners[] = {1000, 1234567};
    struct run r;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
        make_large_task("large", 1200, owners[i]);
        run_init(&r, "find /task -name 'f[0-9]*' | wc -l; stat -c %u /task/d4/f1199 /task/data;"
                     "grep -c ' /task .* overlay ' /proc/self/mountinfo");
        add(&r, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "large", "/task");
        run_start(&r);
        assert_false(sandbox_is_running(r.sandbox));
        run_wait(&r);
        assert_int_equal(r.report.verdict, SANDBOX_EXITED);
        assert_string_equal(buffer_string(&r.out),
                            i == 0 ? "1200\n1000\n1000\n1\n" : "1200\n0\n1000\n0\n");
        run_clear(&r);
    }
    assert_int_equal(fd_remove_tree(H.tasks_fd, "large"), 0);
}

static void a_sandbox_may_be_killed_or_freed_while_its_tree_is_copied(void **state)
{
    struct run r;

    (void)state;
    make_large_task("large", 3000, 1234567);
    for (int i = 0; i < 6; i++) {
        run_init(&r, "echo should not; sleep 100");
        add(&r, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "large", "/task");
        run_start(&r);
        usleep((useconds_t)i * 3000);
        if (i % 2 == 0) {
            sandbox_kill(r.sandbox);
            run_wait(&r);
            assert_int_equal(r.report.verdict, SANDBOX_KILLED);
        }
        run_clear(&r);
    }
    assert_int_equal(fd_remove_tree(H.tasks_fd, "large"), 0);
}

static void a_copy_keeps_links_fifos_and_times(void **state)
{
    const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct run r;

    (void)state;
    make_task("five");
    assert_int_equal(symlinkat("/etc/shadow", H.tasks_fd, "five/dangling"), 0);
    assert_int_equal(symlinkat("../../shared", H.tasks_fd, "five/outside"), 0);
    assert_int_equal(mkfifoat(H.tasks_fd, "five/fifo", 0640), 0);
    assert_int_equal(utimensat(H.tasks_fd, "five/run", times, 0), 0);
    assert_int_equal(fchownat(H.tasks_fd, "five", 70000, 70000, 0), 0);
    put_file(H.shared_fd, "treasure", "x", 0644);
    run_init(&r, "cd /task; stat -c '%n %F' dangling outside fifo; stat -c %Y run; ls outside/");
    add(&r, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "five", "/task");
    assert_string_equal(run_output(&r, 1), "dangling symbolic link\noutside symbolic link\n"
                                           "fifo fifo\n1000000000\n"
                                           "ls: outside/: No such file or directory");
    run_clear(&r);
    assert_int_equal(unlinkat(H.shared_fd, "treasure", 0), 0);
}

static void a_bind_is_shared_and_ids_are_shifted(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    struct stat st;
    struct run r;

    (void)state;
    put_file(H.shared_fd, "theirs", "host\n", 0644);
    assert_int_equal(fchownat(H.shared_fd, "theirs", 33, 33, 0), 0);
    run_init(&r, "cd /shared; cat theirs; stat -c %u theirs; echo ours >ours; chown 44 ours");
    add(&r, SANDBOX_MOUNT_BIND, ROOT_SHARED, "", "/shared");
    assert_string_equal(run_output(&r, 0), "host\n33");
    run_clear(&r);
    assert_string_equal(get_file(H.shared_fd, "ours", &b), "ours\n");
    assert_int_equal(fstatat(H.shared_fd, "ours", &st, 0), 0);
    assert_int_equal(st.st_uid, 44);
    assert_int_equal(unlinkat(H.shared_fd, "ours", 0), 0);
    assert_int_equal(unlinkat(H.shared_fd, "theirs", 0), 0);
}

static void a_read_only_bind_refuses_every_change(void **state)
{
    struct run r;

    (void)state;
    make_task("common");
    run_init(
        &r,
        "cd /course; cat run; (echo x >run) 2>&1; touch new 2>&1; rm run 2>&1; chmod 0 run 2>&1;"
        "mkdir d 2>&1; touch dir/file 2>&1; true");
    add(&r, SANDBOX_MOUNT_BIND, ROOT_TASKS, "common", "/course")->read_only = true;
    assert_string_equal(run_output(&r, 0),
                        "original\n"
                        "sh: can't create run: Read-only file system\n"
                        "touch: new: Read-only file system\n"
                        "rm: can't remove 'run': Read-only file system\n"
                        "chmod: run: Read-only file system\n"
                        "mkdir: can't create directory 'd': Read-only file system\n"
                        "touch: dir/file: Read-only file system");
    run_clear(&r);
}

static void a_read_only_root_is_never_bound_writable(void **state)
{
    struct run r;

    (void)state;
    make_task("six");
    run_init(&r, "true");
    add(&r, SANDBOX_MOUNT_BIND, ROOT_TASKS, "six", "/task");
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
    assert_int_equal(r.report.error_code, -EROFS);
    run_clear(&r);
}

static void missing_sources_fail_unless_they_are_optional(void **state)
{
    struct sandbox_mount *m;
    struct run r;

    (void)state;
    for (int kind = SANDBOX_MOUNT_BIND; kind <= SANDBOX_MOUNT_OVERLAY; kind++) {
        run_init(&r, "true");
        add(&r, (enum sandbox_mount_kind)kind, ROOT_TASKS, "no/such", "/x")->read_only = true;
        run_start(&r);
        run_wait(&r);
        assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
        assert_string_equal(r.report.failed_step, "mount /x");
        assert_int_equal(r.report.error_code, -ENOENT);
        assert_non_null(strstr(r.report.error, "no/such"));
        run_clear(&r);
    }
    run_init(&r, "ls -A /a /b; touch /a/x 2>/dev/null && echo wrote; touch /b/x; ls /b");
    m = add(&r, SANDBOX_MOUNT_BIND, ROOT_TASKS, "no/such", "/a");
    m->read_only = m->optional = true;
    add(&r, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "no/such", "/b")->optional = true;
    assert_string_equal(run_output(&r, 0), "/a:\n\n/b:\nx");
    run_clear(&r);
}

static void sources_cannot_leave_their_root(void **state)
{
    struct run r;

    (void)state;
    put_file(H.shared_fd, "treasure", "x", 0644);
    (void)unlinkat(H.tasks_fd, "escape", 0);
    assert_int_equal(symlinkat("../shared", H.tasks_fd, "escape"), 0);
    run_init(&r, "ls /x");
    add(&r, SANDBOX_MOUNT_BIND, ROOT_TASKS, "escape", "/x")->read_only = true;
    run_start(&r);
    run_wait(&r);
    assert_int_equal(r.report.verdict, SANDBOX_START_FAILED);
    assert_int_equal(r.report.error_code, -ENOENT);
    run_clear(&r);
    assert_int_equal(unlinkat(H.shared_fd, "treasure", 0), 0);
    assert_int_equal(unlinkat(H.tasks_fd, "escape", 0), 0);
}

static void scratch_is_empty_owned_by_root_and_gone_afterwards(void **state)
{
    struct sandbox_mount *m;
    struct run r;

    (void)state;
    run_init(&r, "stat -c '%u %g %a' /sockets /sockets/in; ls -A /sockets; touch /sockets/x");
    m = add(&r, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/sockets");
    m->mode = 0777;
    assert_int_equal(sandbox_mount_add_dir(m, "in", 0711), 0);
    assert_string_equal(run_output(&r, 0), "0 0 777\n0 0 711\nin");
    run_clear(&r);
}

static void a_tmpfs_has_its_size(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, "stat -c '%u %a' /t; dd if=/dev/zero of=/t/x bs=64k count=100 2>&1 |"
                 " grep -o 'No space'; stat -c %s /t/x; df -k /half | tail -n1 | awk '{print $2}'");
    r.spec.limits.memory_bytes = 64 << 20;
    add(&r, SANDBOX_MOUNT_TMPFS, 0, NULL, "/t")->size = 2 << 20;
    add(&r, SANDBOX_MOUNT_TMPFS, 0, NULL, "/half");
    r.spec.mounts[0].mode = 01777;
    assert_string_equal(run_output(&r, 0), "0 1777\nNo space\n2097152\n32768");
    run_clear(&r);
}

static void targets_may_nest_and_are_made(void **state)
{
    struct sandbox_mount *m;
    struct run r;

    (void)state;
    make_task("seven");
    run_init(&r, "cat /course/common/run; ls /course/common/student; stat -c '%u %a' /course");
    m = add(&r, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "seven", "/course/common");
    assert_int_equal(sandbox_mount_add_dir(m, "student", 0755), 0);
    m->read_only = true;
    add(&r, SANDBOX_MOUNT_BIND, ROOT_TASKS, "seven/dir", "/course/common/student")->read_only =
        true;
    assert_string_equal(run_output(&r, 0), "original\nfile\n0 755");
    run_clear(&r);
}

/* Images whose links point the runtime's mounts at something else. */
static void links_of_the_image_stay_inside(void **state)
{
    /* Where it goes well, what is read; else the step that refuses. */
    static const struct {
        const char *link, *to, *out, *step;
    } cases[] = {
        {"task", "/etc", "original\n", NULL}, /* the image's own /etc */
        {"task", "/../../../../etc", "original\n", NULL},
        {"task", "elsewhere", "original\n", NULL}, /* "extra" has that directory */
        {"task", "/proc/sys", NULL, "mount /task"},
        {"task", "/proc/1/root/etc", NULL, "mount /task"},
        {"task", "/sys/kernel", NULL, "mount /task"},
        {"task", "/dev/shm", NULL, "mount /task"},
        {"task", "/dev", NULL, "mount /task"},
        {"task", "/", NULL, "mount /task"},
        {"task", "..", NULL, "mount /task"},
        {"task", "task", NULL, "mount /task"},
        {"task", "/nowhere", NULL, "mount /task"},
        {"proc", "..", NULL, "mount /proc"},
        {"proc", "/tmp", NULL, "mount /proc"},
        {"sys", "/tmp", NULL, "mount /sys"},
        {"dev", "/tmp", NULL, "mount /dev"},
        {"etc", "/tmp", NULL, "root file system"},
    };
    struct run r;

    (void)state;
    make_task("eight");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *link = cases[i].link, *to = cases[i].to;
        (void)fd_remove_tree(H.store_fd, "extra");
        assert_int_equal(mkdirat(H.store_fd, "extra", 0755), 0);
        assert_int_equal(mkdirat(H.store_fd, "extra/elsewhere", 0755), 0);
        _cleanup_close_ int extra = openat(H.store_fd, "extra", O_PATH | O_CLOEXEC);
        assert_int_equal(symlinkat(to, extra, link), 0);
        run_init(&r, "cat /task/run");
        assert_int_equal(strv_append(&r.spec.layers, "extra"), 0);
        add(&r, SANDBOX_MOUNT_BIND, ROOT_TASKS, "eight", "/task")->read_only = true;
        run_start(&r);
        run_wait(&r);
        if (cases[i].out) {
            if (r.report.verdict != SANDBOX_EXITED)
                fail_msg("%s -> %s: %s: %s", link, to, r.report.failed_step, r.report.error);
            assert_string_equal(buffer_string(&r.out), cases[i].out);
        } else {
            if (r.report.verdict != SANDBOX_START_FAILED ||
                strcmp(r.report.failed_step, cases[i].step) != 0)
                fail_msg("%s -> %s: %s at \"%s\": %s", link, to,
                         sandbox_verdict_name(r.report.verdict), r.report.failed_step,
                         r.report.error);
        }
        run_clear(&r);
    }
}

static void upper_layers_win_and_whiteouts_hide(void **state)
{
    struct run r;

    (void)state;
    (void)fd_remove_tree(H.store_fd, "extra");
    assert_int_equal(mkdirat(H.store_fd, "extra", 0711), 0);
    assert_int_equal(fchmodat(H.store_fd, "extra", 0711, 0), 0);
    assert_int_equal(mkdirat(H.store_fd, "extra/etc", 0700), 0);
    put_file(H.store_fd, "extra/etc/passwd", "root:x:0:0::/elsewhere:/bin/sh\n", 0644);
    assert_int_equal(mknodat(H.store_fd, "extra/etc/group", S_IFCHR, 0), 0);
    run_init(&r, "stat -c %a / /etc; cat /etc/passwd; ls /etc; echo $HOME");
    assert_int_equal(strv_append(&r.spec.layers, "extra"), 0);
    assert_string_equal(run_output(&r, 0), "711\n700\nroot:x:0:0::/elsewhere:/bin/sh\n"
                                           "hostname\nhosts\npasswd\nresolv.conf\n/elsewhere");
    run_clear(&r);
}

static void the_image_is_writable_and_stays_as_it_was(void **state)
{
    (void)state;
    check_script(
        "mv /etc /etc2 && rm -rf /tmp && echo x >/bin/new && chmod 000 /bin/payload && ls /", 0,
        "bin\ndev\netc2\nproc\nsys");
    assert_int_equal(faccessat(H.store_fd, "image/bin/new", F_OK, 0), -1);
    assert_int_equal(faccessat(H.store_fd, "image/etc", F_OK, 0), 0);
    check_script("ls /; id -u", 0, "bin\ndev\netc\nproc\nsys\ntmp\n0");
}

static void a_child_sees_a_subtree_of_its_parent(void **state)
{
    struct sandbox_mount *m;
    struct run parent, child;

    (void)state;
    make_task("nine");
    run_init(&parent, "echo for you >/task/student/input; echo up; read x;"
                      "cat /task/student/answer; ls /task/made");
    m = add(&parent, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, "nine", "/task");
    assert_int_equal(sandbox_mount_add_dir(m, "student", 0777), 0);
    run_start(&parent);
    run_until(&parent, "up");

    run_init(&child, "cat /task/student/input; echo 42 >/task/student/answer; ls /task;"
                     "cat /ro/file; touch /ro/x 2>&1; stat -c '%u %a' /made");
    child.parent = parent.sandbox;
    add(&child, SANDBOX_MOUNT_PARENT, 0, "student", "/task/student");
    add(&child, SANDBOX_MOUNT_PARENT, 0, "dir", "/ro")->read_only = true;
    m = add(&child, SANDBOX_MOUNT_PARENT, 0, "made", "/made");
    m->optional = true;
    m->mode = 0750;
    assert_string_equal(run_output(&child, 0), "for you\nstudent\ndeep\n"
                                               "touch: /ro/x: Read-only file system\n0 750");
    run_clear(&child);

    assert_int_equal(write(parent.in_fd, "\n", 1), 1);
    run_wait(&parent);
    assert_string_equal(buffer_string(&parent.out), "up\n42\n");
    run_clear(&parent);
}

static void a_child_reaches_one_socket_of_its_parent(void **state)
{
    struct run parent, child;

    (void)state;
    run_init(&parent, "");
    run_set_argv(&parent, (const char *const[]){"payload", "listen", "/sockets/a.sock", NULL});
    add(&parent, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/sockets");
    run_start(&parent);
    run_until(&parent, "listening");
    run_init(&child, "payload connect /__parent.sock; ls /");
    child.parent = parent.sandbox;
    add(&child, SANDBOX_MOUNT_PARENT, 0, "a.sock", "/__parent.sock");
    assert_string_equal(run_output(&child, 0),
                        "served\n__parent.sock\nbin\ndev\netc\nproc\nsys\ntmp");
    run_clear(&child);
    parent.in_fd = safe_close(parent.in_fd);
    run_wait(&parent);
    run_clear(&parent);
}

static void a_parent_cannot_lead_its_child_out_of_the_mount(void **state)
{
    static const char *const links[] = {"up", "root", "magic"};
    struct run parent, child;

    (void)state;
    run_init(&parent,
             "cd /s; ln -s ../../.. up; ln -s / root; ln -s /proc/1/root magic; mkdir real;"
             "echo up; read x");
    add(&parent, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/s");
    run_start(&parent);
    run_until(&parent, "up");
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        run_init(&child, "ls /x");
        child.parent = parent.sandbox;
        add(&child, SANDBOX_MOUNT_PARENT, 0, links[i], "/x");
        run_start(&child);
        run_wait(&child);
        /* "/" and ".." are the mount itself; a path below proc is not there. */
        if (child.report.verdict == SANDBOX_EXITED)
            assert_string_equal(buffer_string(&child.out), "magic\nreal\nroot\nup\n");
        else
            assert_int_equal(child.report.error_code, -ENOENT);
        run_clear(&child);
    }
    run_clear(&parent);
}

static void a_child_may_share_its_parents_network(void **state)
{
    struct run parent, child;
    const char *net;

    (void)state;
    run_init(&parent, "readlink /proc/self/ns/net; nc -l -p 8080 -e echo from parent; read x");
    run_start(&parent);
    run_until(&parent, "net:");
    /* Its parent may not listen yet. */
    run_init(&child, "readlink /proc/self/ns/net; i=0; until nc 127.0.0.1 8080 || [ $i = 100 ]; do "
                     "i=$((i+1)); usleep 100000; done 2>/dev/null;"
                     "ls /sys/class/net; grep ' /sys ro' /proc/self/mountinfo | wc -l");
    child.parent = parent.sandbox;
    child.spec.network = SANDBOX_NETWORK_PARENT;
    net = run_output(&child, 0);
    assert_non_null(strstr(net, "from parent"));
    assert_non_null(strstr(net, "lo\n1"));
    assert_memory_equal(net, buffer_string(&parent.out), strcspn(net, "\n"));
    run_clear(&child);
    run_clear(&parent);
    /* The launcher itself is back where it was. */
    check_script("ls /sys/class/net", 0, "lo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_overlay_leaves_the_original_untouched),
        cmocka_unit_test(directories_are_made_in_an_overlay),
        cmocka_unit_test(a_directory_is_not_made_through_a_link_out_of_the_task),
        cmocka_unit_test(foreign_owners_become_root_in_a_copy),
        cmocka_unit_test(large_trees_are_mapped_or_copied_by_their_owners),
        cmocka_unit_test(a_sandbox_may_be_killed_or_freed_while_its_tree_is_copied),
        cmocka_unit_test(a_copy_keeps_links_fifos_and_times),
        cmocka_unit_test(a_bind_is_shared_and_ids_are_shifted),
        cmocka_unit_test(a_read_only_bind_refuses_every_change),
        cmocka_unit_test(a_read_only_root_is_never_bound_writable),
        cmocka_unit_test(missing_sources_fail_unless_they_are_optional),
        cmocka_unit_test(sources_cannot_leave_their_root),
        cmocka_unit_test(scratch_is_empty_owned_by_root_and_gone_afterwards),
        cmocka_unit_test(a_tmpfs_has_its_size),
        cmocka_unit_test(targets_may_nest_and_are_made),
        cmocka_unit_test(links_of_the_image_stay_inside),
        cmocka_unit_test(upper_layers_win_and_whiteouts_hide),
        cmocka_unit_test(the_image_is_writable_and_stays_as_it_was),
        cmocka_unit_test(a_child_sees_a_subtree_of_its_parent),
        cmocka_unit_test(a_child_reaches_one_socket_of_its_parent),
        cmocka_unit_test(a_parent_cannot_lead_its_child_out_of_the_mount),
        cmocka_unit_test(a_child_may_share_its_parents_network),
    };

    return harness_main("mounts", tests, ARRAY_SIZE(tests));
}
