/* libFuzzer target: whatever the bytes, a plan is refused or can be read to its last item. The
 * first byte chooses how many descriptors come with the plan, and whether its length is put right,
 * without which few inputs would get past the head. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "plan.h"

#define FIX_TOTAL 0x80

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as_text(const uint8_t *bytes, size_t size) {
    char small[16];
    kl_error err;
    int needed = kl_plan_text(bytes, size, small, sizeof small, &err);
    SCOPED_MEM char *text = needed < 0 ? NULL : malloc((size_t)needed + 1);
    if (text && kl_plan_text(bytes, size, text, (size_t)needed + 1, &err) != needed)
        abort();
    if (text && strlen(text) != (size_t)needed)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    kl_error err;
    struct plan plan;
    if (size < 1)
        return 0;
    /* An allocation of its own: reading one byte past the end is noticed. */
    SCOPED_MEM uint8_t *bytes = malloc(size - 1 ? size - 1 : 1);
    const uint32_t total = (uint32_t)size - 1;
    memcpy(bytes, data + 1, total);
    if (data[0] & FIX_TOTAL && total >= sizeof(struct plan_head))
        memcpy(bytes + offsetof(struct plan_head, total), &total, sizeof total);
    if (plan_open(bytes, total, data[0] & 15u, &plan, &err) == 0)
        read_as_text(bytes, total);
    return 0;
}
