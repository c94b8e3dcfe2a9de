/* Only in a sanitizer build: a shim has no stderr to complain to, so what is found goes to files.
 * REPORTS is their prefix. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) {
    return "log_path=" REPORTS ":detect_leaks=0:detect_stack_use_after_return=1";
}

const char *__ubsan_default_options(void) {
    return "log_path=" REPORTS ":print_stacktrace=1";
}
