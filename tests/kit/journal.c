/* Journals what a process and its children do to the files below one directory, in order and with the data, so that a
 * test can tell what the directory would hold had the power failed at any moment. Loaded with LD_PRELOAD.
 *
 * SOS_JOURNAL       the journal, appended to; one record is one writev, so that processes may share it
 * SOS_JOURNAL_ROOT  only files below this directory (a canonical path) are of interest
 *
 * A record is written after the call returned, but for the begin of a sync: so what stands before the begin of a sync is
 * covered by it, and what stands after its end came later. Layout: struct record, path, second path, data; journal.py.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE, TRUNCATE, ALLOCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, MKDIR, RMDIR };
enum { CREATED = 1, DURABLE = 2, TRUNCATED = 4 };

struct record {
    uint32_t kind, flags;
    uint64_t file;
    int64_t offset;
    uint64_t length; /* of the range; data follows for WRITE only */
    uint32_t path, second;
    uint32_t mode, pid;
};

#define FD_MIN 900 /* out of the way of programs that count on low numbers */
#define PARTS_MAX 1024

static int journal = -1;
static char root[PATH_MAX];
static size_t root_length;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SOS_JOURNAL"), *below = getenv("SOS_JOURNAL_ROOT");
    if (!path || !below || strlen(below) >= sizeof root)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    journal = fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);
    syscall(SYS_close, fd);
    strcpy(root, below);
    root_length = strlen(root);
}

static void fail(const char *what)
{
    dprintf(2, "journal: %s: %s\n", what, strerror(errno));
    abort(); /* a journal with a hole would accuse the innocent */
}

static void emit(struct record *record, const char *path, const char *second, const struct iovec *data, int count)
{
    struct iovec parts[PARTS_MAX + 3];
    size_t total = sizeof *record;
    record->pid = (uint32_t)getpid();
    record->path = path ? (uint32_t)strlen(path) : 0;
    record->second = second ? (uint32_t)strlen(second) : 0;
    parts[0] = (struct iovec){record, sizeof *record};
    parts[1] = (struct iovec){(void *)path, record->path};
    parts[2] = (struct iovec){(void *)second, record->second};
    total += record->path + record->second;
    for (int i = 0; i < count; i++) {
        parts[3 + i] = data[i];
        total += data[i].iov_len;
    }
    if (syscall(SYS_writev, journal, parts, (long)(3 + count)) != (long)total)
        fail("short write");
}

static int is_below(const char *path)
{
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* Whether a descriptor is of a file of interest; its number is then in *file, its path in path (PATH_MAX). */
static int is_watched(int fd, uint64_t *file, char *path)
{
    struct stat status;
    char link[64];
    if (journal < 0 || fstat(fd, &status) || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    *file = status.st_ino;
    return is_below(path);
}

/* The absolute path of a name as an *at call takes it; 0 where it is of no interest. */
static int resolve(int directory, const char *name, char *path)
{
    char link[64];
    if (journal < 0)
        return 0;
    if (*name == '/') {
        if (strlen(name) >= PATH_MAX)
            return 0;
        strcpy(path, name);
        return is_below(path);
    }
    ssize_t length;
    if (directory == AT_FDCWD) {
        if (!getcwd(path, PATH_MAX))
            return 0;
        length = (ssize_t)strlen(path);
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        length = readlink(link, path, PATH_MAX - 1);
        if (length < 0)
            return 0;
    }
    if (length + strlen(name) + 2 > PATH_MAX)
        return 0;
    path[length] = '/';
    strcpy(path + length + 1, name);
    return is_below(path);
}

#define KEEP_ERRNO(statement) do { int kept = errno; statement; errno = kept; } while (0)

/* -- names ------------------------------------------------------------------------------------------------------- */

static int do_open(int directory, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    struct stat status;
    int watched = resolve(directory, name, path);
    int is_new = watched && (flags & O_CREAT) && fstatat(directory, name, &status, 0);
    int fd = (int)syscall(SYS_openat, directory, name, flags, mode);
    if (watched && fd >= 0) {
        struct record record = {.kind = OPEN, .flags = (is_new ? CREATED : 0) | (flags & O_TRUNC ? TRUNCATED : 0)};
        KEEP_ERRNO(if (is_watched(fd, &record.file, path)) emit(&record, path, NULL, NULL, 0));
    }
    return fd;
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list list; \
        va_start(list, last); \
        mode = va_arg(list, mode_t); \
        va_end(list); \
    }

int open(const char *name, int flags, ...) { MODE(flags, flags) return do_open(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags, flags) return do_open(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int directory, const char *name, int flags, ...) { MODE(flags, flags) return do_open(directory, name, flags, mode); }
int openat64(int directory, const char *name, int flags, ...) { MODE(flags, flags) return do_open(directory, name, flags | O_LARGEFILE, mode); }

static int renamed(int result, int from_directory, const char *from, int to_directory, const char *to)
{
    char first[PATH_MAX], second[PATH_MAX];
    struct record record = {.kind = RENAME};
    if (!result && resolve(from_directory, from, first) && resolve(to_directory, to, second))
        emit(&record, first, second, NULL, 0);
    return result;
}

int rename(const char *from, const char *to)
{
    return renamed((int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to), AT_FDCWD, from, AT_FDCWD, to);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    return renamed((int)syscall(SYS_renameat, from_directory, from, to_directory, to), from_directory, from, to_directory, to);
}

static int named(int result, int kind, int directory, const char *name)
{
    char path[PATH_MAX];
    struct record record = {.kind = (uint32_t)kind};
    if (!result && resolve(directory, name, path))
        emit(&record, path, NULL, NULL, 0);
    return result;
}

int unlinkat(int directory, const char *name, int flags)
{
    return named((int)syscall(SYS_unlinkat, directory, name, flags), flags & AT_REMOVEDIR ? RMDIR : UNLINK, directory, name);
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int mkdirat(int directory, const char *name, mode_t mode)
{
    return named((int)syscall(SYS_mkdirat, directory, name, mode), MKDIR, directory, name);
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

/* -- contents ---------------------------------------------------------------------------------------------------- */

/* Journals the first `done` bytes of the buffers. */
static ssize_t wrote(ssize_t done, int fd, const struct iovec *parts, int count, off_t offset)
{
    struct record record = {.kind = WRITE, .offset = offset, .length = (uint64_t)done};
    struct iovec kept[PARTS_MAX];
    char path[PATH_MAX];
    size_t left = (size_t)done;
    int used = 0;
    if (done <= 0 || !is_watched(fd, &record.file, path))
        return done;
    for (; used < count && used < PARTS_MAX && left; used++) {
        kept[used] = parts[used];
        if (kept[used].iov_len > left)
            kept[used].iov_len = left;
        left -= kept[used].iov_len;
    }
    record.flags = fcntl(fd, F_GETFL) & O_DSYNC ? DURABLE : 0;
    emit(&record, NULL, NULL, kept, used);
    return done;
}

static ssize_t at_position(ssize_t done, int fd, const struct iovec *parts, int count)
{
    struct stat status;
    if (done > 0 && journal >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode))
        KEEP_ERRNO(wrote(done, fd, parts, count, lseek(fd, 0, SEEK_CUR) - done));
    return done;
}

ssize_t write(int fd, const void *data, size_t length)
{
    struct iovec part = {(void *)data, length};
    return at_position(syscall(SYS_write, fd, data, length), fd, &part, 1);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return at_position(syscall(SYS_writev, fd, parts, (long)count), fd, parts, count);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    struct iovec part = {(void *)data, length};
    return wrote(syscall(SYS_pwrite64, fd, data, length, offset), fd, &part, 1, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return pwrite(fd, data, length, offset); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return wrote(syscall(SYS_pwritev, fd, parts, (long)count, (long)offset, 0L), fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return pwritev(fd, parts, count, offset); }
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (flags) {
        errno = ENOTSUP;
        return -1;
    }
    return pwritev(fd, parts, count, offset);
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t offset, int flags) { return pwritev2(fd, parts, count, offset, flags); }

static int changed(int result, int kind, int fd, int mode, off_t offset, off_t length)
{
    struct record record = {.kind = (uint32_t)kind, .mode = (uint32_t)mode, .offset = offset, .length = (uint64_t)length};
    char path[PATH_MAX];
    if (!result && is_watched(fd, &record.file, path))
        emit(&record, NULL, NULL, NULL, 0);
    return result;
}

int ftruncate(int fd, off_t length) { return changed((int)syscall(SYS_ftruncate, fd, length), TRUNCATE, fd, 0, 0, length); }
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }
int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return changed((int)syscall(SYS_fallocate, fd, (long)mode, offset, length), ALLOCATE, fd, mode, offset, length);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }

/* -- durability -------------------------------------------------------------------------------------------------- */

static int synced(long number, int fd)
{
    struct record record = {.kind = SYNC_BEGIN};
    char path[PATH_MAX];
    int watched = is_watched(fd, &record.file, path);
    if (watched) {
        static __thread uint64_t syncs;
        record.length = ++syncs;
        record.offset = (int64_t)syscall(SYS_gettid);
        emit(&record, NULL, NULL, NULL, 0);
    }
    int result = (int)syscall(number, fd);
    if (watched && !result) {
        record.kind = SYNC_END;
        emit(&record, NULL, NULL, NULL, 0);
    }
    return result;
}

int fsync(int fd) { return synced(SYS_fsync, fd); }
int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }
