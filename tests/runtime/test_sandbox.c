/* links: runtime */
#include "sandbox_harness.h"

static void says_hello(void **state)
{
    (void)state;
    check_script("echo hello", 0, "hello");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_hello),
    };

    return harness_main("sandbox", tests, ARRAY_SIZE(tests));
}
