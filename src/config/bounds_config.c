#include "config/bounds_config.h"

#include "config/agent_config.h"

#include "base/fdio.h"
#include <string.h>

static const struct setting settings[] = {
#define SETTING(constant, field, name, is_size, standard, highest)                                 \
    {name,                                                                                         \
     (is_size) ? SETTING_SIZE : SETTING_NUMBER,                                                    \
     offsetof(struct image_bounds, field),                                                         \
     1,                                                                                            \
     highest,                                                                                      \
     NULL},
    IMAGE_BOUND_LIST(SETTING)
#undef SETTING
};

struct settings bounds_config_settings(void)
{
    return (struct settings){settings, ARRAY_SIZE(settings)};
}

int bounds_config_set(struct image_bounds *b, const char *assignment, struct error *e)
{
    _cleanup_free_ char *key = NULL;
    const char *value;
    int r = settings_split(assignment, &key, &value, e);

    if (r < 0)
        return r;
    r = settings_set(bounds_config_settings(), key, value, b, e);
    return r == -ENOENT ? error_set(e, -EINVAL, "there is no bound \"%s\"", key) : r;
}

/* Over B what the file says. */
static int read_file(struct image_bounds *b, const char *path, struct error *e)
{
    _cleanup_buffer_ struct buffer text = {0};
    const char *file = path ? path : AGENT_CONFIG_DEFAULT;
    struct agent_config config = {0};
    int r = fd_read_file(AT_FDCWD, file, &text, AGENT_CONFIG_MAX);

    if (r == -ENOENT && !path)
        return 0;
    if (r < 0)
        return error_sys(e, r, "%s", file);
    r = agent_config_init(&config);
    if (r < 0)
        return error_sys(e, r, "%s", file);
    config.bounds = *b;
    r = agent_config_parse(file, buffer_string(&text), text.size, &config, e);
    if (r >= 0)
        *b = config.bounds;
    agent_config_clear(&config);
    return r;
}

int bounds_config_read(const char *path, char *const *assignments, struct image_bounds *ret,
                       struct error *e)
{
    int r;

    *ret = image_bounds_default;
    r = read_file(ret, path, e);
    for (; r >= 0 && assignments && *assignments; assignments++)
        r = bounds_config_set(ret, *assignments, e);
    return r;
}
