/* What cppcheck would know had it read the compiler's and the libraries' own headers. */
#pragma once

#define __x86_64__                          1
#define json_array_foreach(array, i, value) for (i = 0; (value = json_array_get(array, i)); i++)
#define json_object_foreach(object, key, value)                                                    \
    for (void *at = json_object_iter(object);                                                      \
         (key = json_object_iter_key(at)) && (value = json_object_iter_value(at));                 \
         at = json_object_iter_next(object, at))
