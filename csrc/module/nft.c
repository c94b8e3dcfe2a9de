/* nftables through libnftables, which is loaded when it is first needed: few commands need it. */
#include "kubelite.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

#define LIBRARY "libnftables.so.1"
#define OUTPUT_JSON (1u << 4) /* NFT_CTX_OUTPUT_*, nftables/libnftables.h */
#define OUTPUT_NUMERIC (1u << 8)

struct nft_ctx;

static struct {
    struct nft_ctx *(*ctx_new)(uint32_t flags);
    void (*ctx_free)(struct nft_ctx *);
    void (*set_flags)(struct nft_ctx *, unsigned);
    int (*buffer_output)(struct nft_ctx *);
    int (*buffer_error)(struct nft_ctx *);
    int (*run)(struct nft_ctx *, const char *);
    const char *(*get_output)(struct nft_ctx *);
    const char *(*get_error)(struct nft_ctx *);
} nft;
static bool loaded;

static void load(void) {
    const struct {
        const char *name;
        void *slot;
    } symbols[] = {{"nft_ctx_new", &nft.ctx_new},
                   {"nft_ctx_free", &nft.ctx_free},
                   {"nft_ctx_output_set_flags", &nft.set_flags},
                   {"nft_ctx_buffer_output", &nft.buffer_output},
                   {"nft_ctx_buffer_error", &nft.buffer_error},
                   {"nft_run_cmd_from_buffer", &nft.run},
                   {"nft_ctx_get_output_buffer", &nft.get_output},
                   {"nft_ctx_get_error_buffer", &nft.get_error}};
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (!symbol)
            return;
        memcpy(symbols[i].slot, &symbol, sizeof symbol);
    }
    loaded = library != NULL;
}

/* The context of the last call. The kernel lets nobody close a socket of nftables before it has
 * freed what was deleted, which takes a grace period of RCU, some ten milliseconds, and makes
 * whoever comes next wait for that. So the context stays open for the next call in its network
 * namespace. */
static struct {
    pthread_mutex_t lock;
    struct nft_ctx *context;
    pid_t process; /* a child does not share its parent's socket */
    dev_t device;  /* of the network namespace */
    ino_t inode;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void drop(void) {
    if (kept.context && kept.process == getpid())
        nft.ctx_free(kept.context);
    kept.context = NULL;
}

/* The context for the caller's network namespace, or NULL. */
static struct nft_ctx *take(void) {
    struct stat namespace;
    if (stat("/proc/thread-self/ns/net", &namespace) < 0)
        return NULL;
    const bool fits = kept.context && kept.process == getpid() && kept.device == namespace.st_dev &&
                      kept.inode == namespace.st_ino;
    if (fits)
        return kept.context;
    drop();
    kept.context = nft.ctx_new(0);
    if (!kept.context)
        return NULL;
    kept.process = getpid();
    kept.device = namespace.st_dev;
    kept.inode = namespace.st_ino;
    nft.set_flags(kept.context, OUTPUT_JSON | OUTPUT_NUMERIC);
    nft.buffer_output(kept.context);
    nft.buffer_error(kept.context);
    return kept.context;
}

static int run(struct nft_ctx *context, const char *commands, char **text, kl_error *err) {
    const bool refused = nft.run(context, commands) != 0;
    const char *result = refused ? nft.get_error(context) : nft.get_output(context);
    *text = strdup(result ? result : "");
    if (refused)
        drop(); /* what a failure leaves behind in it is nobody's business */
    return *text ? refused : kl_fail(err, ENOMEM, "run nftables commands", LIBRARY);
}

int kl_nft_run(const char *commands, char **text, kl_error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!loaded)
        return kl_fail(err, ENOENT, "load", LIBRARY);
    pthread_mutex_lock(&kept.lock);
    struct nft_ctx *context = take();
    const int result = context ? run(context, commands, text, err)
                               : kl_fail(err, ENOMEM, "make nftables context", LIBRARY);
    pthread_mutex_unlock(&kept.lock);
    return result;
}

void kl_text_free(char *text) {
    free(text);
}
