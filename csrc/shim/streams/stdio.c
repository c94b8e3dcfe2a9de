#include "stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cleanup.h"
#include "attach.h"
#include "log.h"

#define CHUNK 16384
#define PIPE_CHUNKS 4            /* in a pipe's 64 KiB */
#define MAX_TERMINAL_BYTES 65536 /* more than a terminal buffers */

static char chunk[CHUNK];

static int number_of(const struct stream *stream) {
    return (int)(stream - stream->process->streams) + 1;
}

static void end_stream(struct stream *stream) {
    struct process *process = stream->process;
    loop_close(&stream->watch);
    if (process->log)
        log_finish(process->log, number_of(stream));
    attach_end(process, number_of(stream));
}

/* Reads once, at most `max` bytes; returns how many, 0 when there is nothing now or at the end. */
static size_t pump(struct stream *stream, size_t max) {
    struct process *process = stream->process;
    ssize_t size = read(stream->watch.fd, chunk, max < CHUNK ? max : CHUNK);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    /* Reading a terminal's master fails with EIO when its slave is open nowhere any more. */
    if (size <= 0) {
        end_stream(stream);
        return 0;
    }
    if (process->log)
        log_feed(process->log, number_of(stream), chunk, (size_t)size);
    attach_output(process, number_of(stream), chunk, (size_t)size);
    return (size_t)size;
}

static void on_output(struct watch *watch, uint32_t events) {
    struct stream *stream = OWNER(watch, struct stream, watch);
    struct process *process = stream->process;
    (void)events;
    /* All that a pipe holds at once, so that one stream's earlier output is seldom logged later. */
    for (int turn = 0; turn < PIPE_CHUNKS && watch->events && pump(stream, CHUNK) == CHUNK; turn++)
        ;
    if (process->acknowledged && !stdio_is_open(process))
        process_remove(process);
}

static void on_input(struct watch *watch, uint32_t events) {
    (void)events;
    loop_change(watch, 0);
    attach_input_ready(OWNER(watch, struct process, input));
}

static int open_output(struct process *process, int index, int child[3], kl_error *err) {
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) < 0)
        return kl_fail(err, errno, "make pipe", "output %d", index + 1);
    child[index + 1] = pair[1];
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    if (loop_watch(&process->streams[index].watch, pair[0], 0, on_output) < 0)
        return kl_fail(err, errno, "watch pipe", "output %d", index + 1);
    return 0;
}

int stdio_open(struct process *process, int child[3], kl_error *err) {
    int pair[2];
    if (open_output(process, 0, child, err) < 0 || open_output(process, 1, child, err) < 0)
        return -1;
    if (!(process->flags & START_STDIN))
        return 0;
    if (pipe2(pair, O_CLOEXEC) < 0)
        return kl_fail(err, errno, "make pipe", "input");
    child[0] = pair[0];
    fcntl(pair[1], F_SETFL, O_NONBLOCK);
    loop_watch(&process->input, pair[1], 0, on_input);
    return 0;
}

int stdio_adopt_terminal(struct process *process, int master, uint16_t rows, uint16_t columns,
                         kl_error *err) {
    process->terminal = true;
    fcntl(master, F_SETFL, O_NONBLOCK);
    /* An epoll watches a descriptor once only: input needs its own. */
    int input = fcntl(master, F_DUPFD_CLOEXEC, 0);
    if (loop_watch(&process->streams[0].watch, master, 0, on_output) < 0 || input < 0) {
        kl_close_scoped(&input);
        return kl_fail(err, errno, "watch terminal", "its master side");
    }
    loop_watch(&process->input, input, 0, on_input);
    if (rows && columns)
        stdio_resize(process, rows, columns);
    return 0;
}

void stdio_drain(struct process *process) {
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &process->streams[i];
        int left = MAX_TERMINAL_BYTES;
        if (stream->watch.fd >= 0 && !process->terminal &&
            ioctl(stream->watch.fd, FIONREAD, &left) < 0)
            left = 0;
        for (size_t got = 1; left > 0 && got > 0 && stream->watch.fd >= 0; left -= (int)got)
            got = pump(stream, (size_t)left);
        if (process->log)
            log_finish(process->log, i + 1);
    }
}

bool stdio_is_open(const struct process *process) {
    return process->streams[0].watch.fd >= 0 || process->streams[1].watch.fd >= 0;
}

void stdio_close(struct process *process) {
    loop_close(&process->streams[0].watch);
    loop_close(&process->streams[1].watch);
    loop_close(&process->input);
}

void stdio_hold(struct process *process, bool hold) {
    for (int i = 0; i < 2; i++)
        loop_change(&process->streams[i].watch, hold ? 0 : EPOLLIN);
}

size_t stdio_write(struct process *process, const uint8_t *bytes, size_t size) {
    size_t done = 0;
    while (done < size && process->input.fd >= 0) {
        ssize_t wrote = write(process->input.fd, bytes + done, size - done);
        if (wrote >= 0) {
            done += (size_t)wrote;
        } else if (errno == EAGAIN) {
            loop_change(&process->input, EPOLLOUT);
            return done;
        } else {
            loop_close(&process->input);
        }
    }
    return size;
}

/* In canonical mode end of file is a character; in raw mode there is none. */
void stdio_end_input(struct process *process) {
    struct termios mode;
    if (!process->terminal) {
        loop_close(&process->input);
        return;
    }
    if (process->input.fd >= 0 && tcgetattr(process->input.fd, &mode) == 0 && mode.c_lflag & ICANON)
        stdio_write(process, &mode.c_cc[VEOF], 1);
}

void stdio_resize(struct process *process, uint16_t rows, uint16_t columns) {
    const struct winsize size = {.ws_row = rows, .ws_col = columns};
    if (process->terminal && process->input.fd >= 0)
        ioctl(process->input.fd, TIOCSWINSZ, &size);
}
