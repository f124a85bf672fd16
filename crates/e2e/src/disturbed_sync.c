/* Put before the C library by the dynamic linker: syncs fail with EIO while the file that FAIL_SYNC
   names is there, and take as many milliseconds longer as the file that SLOW_SYNC names says. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int disturbed(void) {
    const char *fails = getenv("FAIL_SYNC"), *slow = getenv("SLOW_SYNC");
    FILE *says = slow ? fopen(slow, "r") : NULL;
    if (says) {
        long ms = 0;
        if (fscanf(says, "%ld", &ms) == 1) {
            struct timespec left = {ms / 1000, ms % 1000 * 1000000};
            while (nanosleep(&left, &left) == -1 && errno == EINTR) {}
        }
        fclose(says);
    }
    if (fails && access(fails, F_OK) == 0) { errno = EIO; return -1; }
    return 0;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fdatasync(int fd) { return disturbed() ? -1 : NEXT(fdatasync)(fd); }
int fsync(int fd) { return disturbed() ? -1 : NEXT(fsync)(fd); }
int syncfs(int fd) { return disturbed() ? -1 : NEXT(syncfs)(fd); }
