/* Preloaded into the processes of a PostgreSQL node (agent, Patroni, PostgreSQL): sets their wall clock wrong and makes
 * their fsync slow, while they run and without their knowledge.
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
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
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
    uint64_t readings; /* how often a wall clock with a skew was read */
    uint64_t fsyncs;   /* how often a slow fsync was done */
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
    int64_t by = steering ? __atomic_load_n(&steering->skew_ns, __ATOMIC_RELAXED) : 0;
    if (!by)
        return;
    __atomic_fetch_add(&steering->readings, 1, __ATOMIC_RELAXED);
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
