#include "sched.h"

#include <stdlib.h>

/* At least `need` items of `size`; *room is what there is. NULL leaves the old memory as it was. */
void *sched_grow(void *old, int32_t *room, int32_t need, size_t size) {
    if (need <= *room)
        return old;
    int32_t more = *room < 16 ? 16 : *room > INT32_MAX / 2 ? INT32_MAX : *room * 2;
    more = more < need ? need : more;
    void *grown = realloc(old, (size_t)more * size);
    if (grown)
        *room = more;
    return grown;
}
