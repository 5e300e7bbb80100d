/* Preloaded into the processes of a PostgreSQL node (agent, Patroni, PostgreSQL): sets their wall clock wrong, makes their
 * fsync slow, and gives them a watchdog device, while they run and without their knowledge.
 *
 * The file named by FAULT_SHIM_STEERING steers it and counts for it; it is mapped, so that a change is seen at once and by all
 * processes. Without that file everything is as always. The layout is that of `inside/steer.rs`.
 *
 * The monotonic clock stays true: a step of the wall clock must not touch it. Waits until an absolute wall-clock time
 * (pthread_cond_timedwait and the like) are left to the kernel's true clock; none of the processes at hand waits like that.
 *
 * Only system calls and names that every C library for Linux has had for ever: the object built on one machine can be
 * preloaded in a container with another C library of the same processor.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <linux/watchdog.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NANOS 1000000000LL

struct steering {
    uint64_t magic;
    int64_t skew_ns;   /* added to the wall clock */
    uint64_t fsync_ns; /* slept before each fsync */
    uint64_t readings; /* how often a wall clock was read */
    uint64_t fsyncs;   /* how often a slow fsync was done */
    uint64_t watchdog_timeout_s;   /* of the watchdog device; 0 until it was set */
    uint64_t watchdog_deadline_ns; /* when it goes off, on the monotonic clock; 0 while it is off */
    uint64_t watchdog_pings;       /* how often it was kept alive */
};

#define MAGIC 0x6c6c697264677001ULL

static struct steering *steering;

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("FAULT_SHIM_STEERING");
    if (!path)
        return;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *found = mmap(0, sizeof(struct steering), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
    syscall(SYS_close, fd);
    /* A file that is too short would end the process at the first look. */
    if (found != MAP_FAILED && ((struct steering *)found)->magic == MAGIC)
        steering = found;
}

static void skew(struct timespec *t)
{
    if (!steering)
        return;
    /* Counted first: a reading that is counted after a step has seen the step. So is one without a skew: a step back to the
     * true time is a step that somebody must see. */
    __atomic_fetch_add(&steering->readings, 1, __ATOMIC_SEQ_CST);
    int64_t by = __atomic_load_n(&steering->skew_ns, __ATOMIC_SEQ_CST);
    if (!by)
        return;
    int64_t ns = t->tv_nsec + by % NANOS;
    t->tv_sec += by / NANOS;
    if (ns < 0) {
        ns += NANOS;
        t->tv_sec -= 1;
    } else if (ns >= NANOS) {
        ns -= NANOS;
        t->tv_sec += 1;
    }
    t->tv_nsec = ns;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int result = (int)syscall(SYS_clock_gettime, id, t);
    if (!result && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        skew(t);
    return result;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &t);
    if (!result && tv) {
        tv->tv_sec = t.tv_sec;
        tv->tv_usec = t.tv_nsec / 1000;
    }
    return result;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}

static void slow(void)
{
    uint64_t ns = steering ? __atomic_load_n(&steering->fsync_ns, __ATOMIC_RELAXED) : 0;
    if (!ns)
        return;
    struct timespec t = {(time_t)(ns / NANOS), (long)(ns % NANOS)};
    /* A signal may cut it short, as it may a real fsync's wait; the rest is slept too. */
    while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, &t) != 0) {
    }
    __atomic_fetch_add(&steering->fsyncs, 1, __ATOMIC_RELAXED);
}

int fsync(int fd)
{
    slow();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    slow();
    return (int)syscall(SYS_fdatasync, fd);
}

/* A watchdog device, where the lab has put one: a character device that swallows what is written to it (that of /dev/null).
 * What the kernel's softdog would do with it (Documentation/watchdog/watchdog-api.rst) is done here and kept in the steering
 * file; whoever resets the machine reads the deadline there. It counts on when its process dies or closes it without 'V'. */

#define WATCHDOG_MAJOR 1
#define WATCHDOG_MINOR 3
#define SOFTDOG_TIMEOUT_S 60

/* The device as this process has it open; learnt from the first request, which every user of a watchdog makes. */
static int watchdog_fd = -1;

static int is_watchdog(int fd)
{
    struct statx found;
    return steering && syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &found) == 0 &&
           (found.stx_mode & 0170000) == 0020000 && found.stx_rdev_major == WATCHDOG_MAJOR &&
           found.stx_rdev_minor == WATCHDOG_MINOR;
}

static void keep_alive(void)
{
    struct timespec t;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    uint64_t timeout_s = __atomic_load_n(&steering->watchdog_timeout_s, __ATOMIC_RELAXED);
    uint64_t now = (uint64_t)t.tv_sec * NANOS + (uint64_t)t.tv_nsec;
    __atomic_store_n(&steering->watchdog_deadline_ns, now + timeout_s * NANOS, __ATOMIC_RELAXED);
    __atomic_fetch_add(&steering->watchdog_pings, 1, __ATOMIC_RELAXED);
}

static int watchdog_request(unsigned long request, void *argument)
{
    int *number = argument;
    switch (request) {
    case WDIOC_GETSUPPORT: {
        struct watchdog_info *info = argument;
        memset(info, 0, sizeof *info);
        info->options = WDIOF_SETTIMEOUT | WDIOF_MAGICCLOSE | WDIOF_KEEPALIVEPING;
        memcpy(info->identity, "pgdrill's test device", sizeof "pgdrill's test device");
        return 0;
    }
    case WDIOC_SETTIMEOUT:
        if (*number < 1 || *number > 65535)
            break;
        __atomic_store_n(&steering->watchdog_timeout_s, (uint64_t)*number, __ATOMIC_RELAXED);
        keep_alive();
        return 0;
    case WDIOC_GETTIMEOUT:
        *number = (int)__atomic_load_n(&steering->watchdog_timeout_s, __ATOMIC_RELAXED);
        return 0;
    case WDIOC_KEEPALIVE:
        keep_alive();
        return 0;
    }
    errno = EINVAL;
    return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    /* Some declare the request as an int, and the upper half is whatever was there. */
    if (((request >> 8) & 0xff) != WATCHDOG_IOCTL_BASE || !is_watchdog(fd))
        return (int)syscall(SYS_ioctl, fd, request, argument);
    if (fd != watchdog_fd) {
        /* Just opened, which starts it. */
        watchdog_fd = fd;
        __atomic_store_n(&steering->watchdog_timeout_s, SOFTDOG_TIMEOUT_S, __ATOMIC_RELAXED);
        keep_alive();
    }
    return watchdog_request(request & 0xffffffffUL, argument);
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    ssize_t written = syscall(SYS_write, fd, bytes, count);
    if (fd != watchdog_fd || written <= 0 || !is_watchdog(fd))
        return written;
    if (memchr(bytes, 'V', (size_t)written)) {
        /* The "magic close": let go after this, it is off. */
        __atomic_store_n(&steering->watchdog_deadline_ns, 0, __ATOMIC_RELAXED);
        watchdog_fd = -1;
    } else {
        keep_alive();
    }
    return written;
}
