/* Makes a fast disk as slow as a cloud volume: every fsync and fdatasync takes so many microseconds longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static long delay_microseconds(void)
{
    static long microseconds = -1;
    if (microseconds < 0) {
        const char *text = getenv("DOMICILE_BENCH_FSYNC_DELAY_US");
        microseconds = text ? atol(text) : 0;
    }
    return microseconds;
}

static int delayed(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(fd);
    int error = errno;
    long microseconds = delay_microseconds();
    struct timespec left = {microseconds / 1000000, (microseconds % 1000000) * 1000};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {
    }
    errno = error;
    return result;
}

int fsync(int fd)
{
    return delayed("fsync", fd);
}

int fdatasync(int fd)
{
    return delayed("fdatasync", fd);
}
