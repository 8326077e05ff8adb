/* The configuration that a caller gives to a root file system. */
#include "image/bounds.h"
#include "image/fields.h"
#include "image/image.h"

#include "base/text.h"

#include <string.h>

static int check_pairs(char *const *list, const char *what, struct error *e)
{
    char shown[FIELD_SHOWN_MAX];

    for (; list && *list; list++)
        if (!strchr(*list, '=') || (*list)[0] == '=')
            return error_set(e, -EINVAL, "%s \"%s\": expected KEY=VALUE", what,
                             show_foreign(*list, shown));
    return 0;
}

static int copy_list(char *const *list, char ***ret)
{
    *ret = strv_copy(list);
    return *ret ? 0 : -ENOMEM;
}

static int copy_text(const char *text, char **ret)
{
    if (!text)
        return 0;
    *ret = strdup(text);
    return *ret ? 0 : -ENOMEM;
}

/* A label given twice has the value given last. */
static int set_label(struct image *image, const char *pair)
{
    const char *value = strchr(pair, '=') + 1;
    size_t length = (size_t)(value - pair) - 1;
    struct image_label *label = NULL;
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < image->n_labels && !label; i++) {
        const char *key = image->labels[i].key;
        if (key && strncmp(key, pair, length) == 0 && !key[length])
            label = &image->labels[i];
    }
    if (!label) {
        label = &image->labels[image->n_labels];
        label->key = strndup(pair, length);
        if (!label->key) {
            free(copy);
            return -ENOMEM;
        }
        image->n_labels++;
    }
    free(label->value);
    label->value = copy;
    return 0;
}

int image_config_apply(const struct image_config *config, struct image *image, struct error *e)
{
    int r = check_pairs(config->env, "environment variable", e);

    if (r >= 0)
        r = check_pairs(config->labels, "label", e);
    if (r < 0)
        return r;
    image->labels = calloc(strv_length(config->labels) + 1, sizeof(*image->labels));
    r = image->labels ? 0 : -ENOMEM;
    for (char *const *pair = config->labels; r >= 0 && pair && *pair; pair++)
        r = set_label(image, *pair);
    if (r >= 0)
        r = copy_list(config->cmd, &image->cmd);
    if (r >= 0)
        r = copy_list(config->entrypoint, &image->entrypoint);
    if (r >= 0)
        r = copy_list(config->env, &image->env);
    if (r >= 0)
        r = copy_text(config->working_dir, &image->working_dir);
    if (r >= 0)
        r = copy_text(config->user, &image->user);
    return r < 0 ? error_sys(e, r, "configuration") : 0;
}
