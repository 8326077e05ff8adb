/* feedback-msg-tpl: feedback from a template. */
#include "commands.h"

#include "catalog.h"
#include "feedback.h"
#include "input.h"
#include "template.h"
#include "words.h"

#include "base/fdio.h"
#include "base/text.h"

#include <string.h>
#include <unistd.h>

/** A template becomes a message: it need not be longer than one may be. */
#define TEMPLATE_SIZE_MAX FEEDBACK_SIZE_MAX
#define LANGUAGE_MAX      64

/* Where an image has them, they do what goes beyond template.h: Jinja2 itself. */
#define PYTHON        "/usr/bin/python3"
#define PYTHON_MODULE "/usr/lib/python3/dist-packages/inginious_container_api/_msg_tpl.py"

#define NOT_FOUND                                                                                  \
    "\n.. error::\n\n    Unable to find template named %s. Please contact your administrator.\n"   \
    "    \n\n    "
#define NOT_RENDERED                                                                               \
    "\n.. error::\n   \n   An error occured while parsing the feedback template. Here is the "     \
    "full "                                                                                        \
    "error:\n   \n   ::\n   \n\t\t%s.tpl: %s\n\tPlease contact your administrator.\n"

enum { APPEND, PROBLEM };

/* The student's language, a name for files. */
static int read_language(const struct invocation *c, struct pool *pool, const char **ret,
                         struct error *e)
{
    struct json input, *language;
    int k = input_load(c->root_fd, pool, &input, e);

    if (k < 0)
        return k;
    language = json_get(&input, text_of("@lang"));
    if (!language || language->kind != JSON_TEXT)
        return error_set(e, -ENOENT, "there is no input \"@lang\"");
    *ret = language->text.data;
    if (strchr(*ret, '/') || language->text.size >= LANGUAGE_MAX)
        *ret = "en";
    return 0;
}

/* The options, NAME=VALUE. -EINVAL after having explained a wrong one. */
static int read_names(const struct invocation *c, struct pool *pool, const struct args *a,
                      struct json *ret)
{
    *ret = json_map();
    for (size_t i = 1; i < a->n_positional; i++) {
        char *equals = strchr(a->positional[i], '=');
        struct text name, value = TEXT_EMPTY;
        int k;
        if (!equals || strchr(equals + 1, '=')) {
            fprintf(stderr, "%s: error: argument options: Invalid entry %s\n", c->name,
                    a->positional[i]);
            return -EINVAL;
        }
        name = words_repair(pool, a->positional[i], (size_t)(equals - a->positional[i]));
        k = command_text(pool, equals + 1, &value);
        if (k >= 0)
            k = name.data ? json_set(pool, ret, name, json_text(value)) : -ENOMEM;
        if (k < 0)
            return k;
    }
    return 0;
}

/* Reads PART1 PART2 PART3 ".tpl" below DIR_FD: what was written for a language, or for all. */
static int read_one(struct pool *pool, int dir_fd, const char *const parts[3], struct text *ret)
{
    _cleanup_buffer_ struct buffer b = {.max = 2 * TEMPLATE_SIZE_MAX};
    _cleanup_free_ char *path = text_printf("%s%s%s.tpl", parts[0], parts[1], parts[2]);
    int k = path ? fd_read_file(dir_fd, path, &b, TEMPLATE_SIZE_MAX) : -ENOMEM;

    if (k < 0)
        return k;
    *ret = words_repair(pool, (const char *)b.data, b.size);
    return ret->data ? 0 : -ENOMEM;
}

/* -ENOENT where there is none. NAME may be a path: it is the run script's own. */
static int find_template(const struct invocation *c, struct pool *pool, const char *name,
                         const char *language, struct text *ret)
{
    _cleanup_free_ char *behind = text_printf("/%s", name);
    const char *const beside[] = {name, ".", language}, *const any[] = {name, "", ""};
    const char *const translated[] = {"task/lang/", language, behind};
    int k = behind ? read_one(pool, AT_FDCWD, beside, ret) : -ENOMEM;

    if (k == -ENOENT && *name != '/')
        k = read_one(pool, c->root_fd, translated, ret);
    return k == -ENOENT ? read_one(pool, AT_FDCWD, any, ret) : k;
}

/* Lets Jinja2 do it; returns only where there is none. */
static void become_python(const struct args *a)
{
    const char **argv = calloc(a->n_positional + 8, sizeof(*argv));
    size_t n = 0;

    if (argv && access(PYTHON, X_OK) == 0 && access(PYTHON_MODULE, R_OK) == 0) {
        argv[n++] = PYTHON;
        argv[n++] = "-m";
        argv[n++] = "inginious_container_api._msg_tpl";
        argv[n++] = a->value[APPEND] ? "append" : "set";
        argv[n++] = args_value(a, PROBLEM);
        for (size_t i = 0; i < a->n_positional; i++)
            argv[n++] = a->positional[i];
        execv(PYTHON, (char *const *)(uintptr_t)argv);
    }
    free(argv);
}

/* The message: what the template gives, or what is wrong with it. */
static int render(const struct invocation *c, struct pool *pool, const struct args *a,
                  struct json *names, struct text *ret, struct error *e)
{
    _cleanup_catalogs_ struct catalogs catalogs = {.n = 0};
    const struct template_translator translator = {catalogs_translate, &catalogs};
    _cleanup_free_ char *message = NULL;
    const char *name = a->positional[0], *language = "";
    struct error why = ERROR_INIT;
    struct text source, copy;
    int k = read_language(c, pool, &language, e);

    if (k < 0)
        return k;
    k = find_template(c, pool, name, language, &source);
    if (k == -ENOENT) {
        message = text_printf(NOT_FOUND, name);
    } else {
        catalogs_open(c->root_fd, language, &catalogs);
        if (k >= 0)
            k = template_render(pool, source, names, &translator, &copy, &why);
        if (k == -ENOMEM)
            return k;
        if (k >= 0) {
            /* Translations are in memory of the catalogues. */
            *ret = (struct text){pool_copy(pool, copy.data, copy.size), copy.size};
            return ret->data ? 0 : -ENOMEM;
        }
        become_python(a);
        message = text_printf(NOT_RENDERED, name, *why.text ? why.text : strerror(-k));
    }
    return message ? command_text(pool, message, ret) : -ENOMEM;
}

int command_feedback_msg_tpl(const struct invocation *c)
{
    static const struct args_spec spec = {
        .summary = "Set the feedback message of the task or of one problem from a template: the "
                   "first that exists of\nTEMPLATE.LANGUAGE.tpl, "
                   "/task/lang/LANGUAGE/TEMPLATE.tpl and TEMPLATE.tpl, with the values of the\n"
                   "options, NAME=VALUE, in it.",
        .options = {{'a', "append", NULL, "append to the present message"},
                    {'i', "id", "ID", "problem id"}},
        .positional = {"template"},
        .rest = ARGS_REST_LIST,
        .rest_name = "options",
    };
    _cleanup_args_ struct args a;
    _cleanup_pool_ struct pool pool = {NULL};
    _cleanup_feedback_ struct feedback f = FEEDBACK_INIT;
    struct error e = ERROR_INIT;
    struct text problem = TEXT_EMPTY, message = TEXT_EMPTY;
    struct json names;
    int k = args_parse(&spec, c->name, c->argv, &a);

    if (k >= 0)
        return k;
    k = read_names(c, &pool, &a, &names);
    if (k == -EINVAL)
        return 2;
    if (k >= 0)
        k = render(c, &pool, &a, &names, &message, &e);
    if (k >= 0)
        k = command_text(&pool, args_value(&a, PROBLEM), &problem);
    if (k >= 0)
        k = feedback_open(c->root_fd, &f, &e);
    if (k >= 0)
        k = feedback_set_message(&f, problem, message, a.value[APPEND], &e);
    if (k >= 0)
        k = feedback_save(&f, &e);
    return k < 0 ? command_failed(c, k, &e) : 0;
}
