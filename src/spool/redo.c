/* The journal's file.
 *
 * A turn is one filling of one half. Its head says its epoch and the sequence number of its first record, and it is on the
 * disk before anything of the half behind it is overwritten; what the other half holds is on the disk before that. So whatever
 * moment the power goes: a half with its old head still has all its old records, one with its new head has none that count,
 * and one whose head was being written (its checksum is wrong) was free to be overwritten. The two flushes more cost nothing
 * measurable, for a turn takes megabytes.
 *
 * After an opening the first append begins a turn, always: behind the last valid record there may be later ones of the same
 * epoch that nobody was promised, and a new record of the same length in the gap would bring them back to life. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/id.h"
#include "basic/scoped.h"
#include "spool/layout.h"
#include "spool/redo.h"
#include "spool/redo_internal.h"
#include "spool/spool_internal.h"

enum {
	BATCH = 64,	/* records of one pwritev(2) */
	ZERO_CHUNK = 1024 * 1024,
};

int (*redo_sync)(int fd) = fdatasync;

static const char zeros[REDO_BLOCK];

/* What an opening found in a half. */
struct half {
	bool valid;	/* its head is whole */
	struct redo_half_head head;
	uint64_t next_seq;	/* behind its last valid record */
};

struct redo {
	int fd;
	uint64_t half_bytes;
	struct half found[2];
	int newest;	/* of found; -1: none is valid */
	bool older_counts;	/* the other one's records are needed too */
	/* Appending. */
	bool begun;	/* a turn of this process */
	int half;	/* where appends go; not begun: where the first turn begins */
	uint64_t pos;	/* of the next group, from the half's start */
	uint64_t epoch;	/* of the current or, not begun, the last turn */
	uint64_t first_seq;	/* of the current or last turn */
	uint64_t next_seq;
	atomic_bool released[2];
	int err;	/* the first failure, for ever */
};

static off_t
half_start(const struct redo *r, int half)
{
	return (off_t)(REDO_BLOCK + (uint64_t)half * r->half_bytes);
}

static uint32_t
file_head_crc(struct redo_file_head head)
{
	head.crc = 0;
	return crc32c(0, &head, sizeof head);
}

static uint32_t
half_head_crc(struct redo_half_head head)
{
	head.crc = 0;
	return crc32c(0, &head, sizeof head);
}

/* head: with the epoch and number it gets; data: the encoded record, whose own head does not count. */
static uint32_t
record_crc(uint32_t salt, struct redo_record_head head, const void *data)
{
	head.crc = 0;
	return crc32c(crc32c(salt, &head, sizeof head), (const char *)data + sizeof head, head.len - sizeof head);
}

/* A window on the file that follows the reading: few system calls, bounded memory. */
struct window {
	int fd;
	off_t start;
	size_t len;
	char *buf;	/* REDO_RECORD_MAX bytes */
};

/* need bytes at offset, or NULL: the file ends before, or an error in *ret_err. */
static const char *
look(struct window *w, off_t offset, size_t need, int *ret_err)
{
	if (offset < w->start || offset + (off_t)need > w->start + (off_t)w->len) {
		ssize_t n = pread_full(w->fd, w->buf, REDO_RECORD_MAX, offset);

		w->start = offset;
		w->len = n < 0 ? 0 : (size_t)n;
		if (n < 0)
			*ret_err = (int)n;
		if (n < (ssize_t)need)
			return NULL;
	}
	return w->buf + (offset - w->start);
}

/* The valid record at pos of a half; NULL: none there, and *ret_padding tells whether nothing was written there. */
static const char *
record_at(const struct redo *r, struct window *w, const struct half *h, int half, uint64_t pos, uint64_t seq,
    struct redo_record_head *ret_head, bool *ret_padding, int *ret_err)
{
	struct redo_record_head head;
	const char *data = NULL;

	*ret_padding = false;
	if (r->half_bytes - pos < sizeof head) {
		*ret_padding = true;
		return NULL;
	}
	data = look(w, half_start(r, half) + (off_t)pos, sizeof head, ret_err);
	if (!data)
		return NULL;
	memcpy(&head, data, sizeof head);
	if (head.magic == 0)
		*ret_padding = true;
	if (head.magic != REDO_RECORD_MAGIC || head.epoch != h->head.epoch || head.seq != seq || head.len < sizeof head ||
	    head.len > REDO_RECORD_MAX || head.len % REDO_ALIGN != 0 || head.len > r->half_bytes - pos)
		return NULL;
	data = look(w, half_start(r, half) + (off_t)pos, head.len, ret_err);
	if (!data || record_crc(h->head.salt, head, data) != head.crc)
		return NULL;
	*ret_head = head;
	return data;
}

/* Calls f, where there is one, for each valid record of a half; *ret_next is the number behind the last. */
static int
walk_half(const struct redo *r, int half, uint64_t *ret_next, int (*f)(const struct redo_record *, void *), void *ctx)
{
	const struct half *h = &r->found[half];
	scoped(free_ptr) char *buf = malloc(REDO_RECORD_MAX);
	struct window w = { .fd = r->fd, .buf = buf };
	uint64_t pos = REDO_BLOCK, seq = h->head.first_seq;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	while (pos < r->half_bytes) {
		struct redo_record_head head;
		struct redo_blob blobs[INPUTS_MAX];
		struct redo_record rec;
		bool padding = false;
		const char *data = record_at(r, &w, h, half, pos, seq, &head, &padding, &err);

		if (err < 0)
			return err;
		if (!data) {
			/* A group ends with zeros up to its block's end; the next one begins there. */
			if (!padding || pos % REDO_BLOCK == 0)
				break;
			pos = redo_padded(pos, REDO_BLOCK);
			continue;
		}
		if (f) {
			int n = redo_decode(data, head.len, &rec, blobs, INPUTS_MAX);

			if (n >= 0)
				n = f(&rec, ctx);
			if (n < 0)
				return n;
		}
		pos += head.len;
		seq++;
	}
	*ret_next = seq;
	return 0;
}

static int
load_half(struct redo *r, int half)
{
	struct half *h = &r->found[half];
	ssize_t n = pread_full(r->fd, &h->head, sizeof h->head, half_start(r, half));

	if (n < 0)
		return (int)n;
	h->valid = n == (ssize_t)sizeof h->head && h->head.magic == REDO_HALF_MAGIC && h->head.crc == half_head_crc(h->head);
	return h->valid ? walk_half(r, half, &h->next_seq, NULL, NULL) : 0;
}

/* Which halves count, and what comes next. */
static int
survey(struct redo *r)
{
	const struct half *f = r->found;
	int older = 0;

	for (int i = 0; i < 2; i++) {
		int n = load_half(r, i);

		if (n < 0)
			return n;
	}
	r->newest = -1;
	if (f[0].valid && f[1].valid && f[0].head.epoch == f[1].head.epoch)
		return -EBADMSG;
	if (f[0].valid || f[1].valid)
		r->newest = !f[1].valid || (f[0].valid && f[0].head.epoch > f[1].head.epoch) ? 0 : 1;
	if (r->newest < 0) {
		r->next_seq = 1;
		return 0;
	}
	older = r->newest ^ 1;
	r->half = older;
	r->epoch = f[r->newest].head.epoch;
	r->first_seq = f[r->newest].head.first_seq;
	r->next_seq = f[r->newest].next_seq;
	if (f[older].valid && f[r->newest].head.since_seq < r->first_seq) {
		/* Its records were flushed before the newer half's head was: one that is missing was damaged later. */
		if (f[older].head.epoch + 1 != r->epoch || f[older].next_seq != r->first_seq ||
		    f[older].head.first_seq != f[r->newest].head.since_seq)
			return -EBADMSG;
		r->older_counts = true;
	}
	return 0;
}

static int
load_file_head(struct redo *r)
{
	struct redo_file_head head;
	struct stat st;
	ssize_t n = pread_full(r->fd, &head, sizeof head, 0);

	if (n < 0)
		return (int)n;
	if (fstat(r->fd, &st) < 0)
		return -errno;
	if (n != (ssize_t)sizeof head || head.magic != REDO_FILE_MAGIC)
		return -EBADMSG;
	if (head.version > REDO_VERSION)
		return -EPROTONOSUPPORT;
	if (head.crc != file_head_crc(head) || head.half_bytes % REDO_BLOCK != 0 || head.half_bytes < REDO_RECORD_MAX + REDO_BLOCK ||
	    head.half_bytes > INT64_MAX / 4 || (uint64_t)st.st_size < REDO_BLOCK + 2 * head.half_bytes)
		return -EBADMSG;
	r->half_bytes = head.half_bytes;
	return 0;
}

/* Zeros that are really written: an extent that is only reserved would be converted, in the file system's journal, by the
 * first flush of each record. */
static int
write_zeros(int fd, uint64_t size)
{
	scoped(free_ptr) char *chunk = calloc(1, ZERO_CHUNK);

	if (!chunk)
		return -ENOMEM;
	for (uint64_t done = 0; done < size;) {
		size_t len = size - done < ZERO_CHUNK ? (size_t)(size - done) : ZERO_CHUNK;
		int r = pwrite_all(fd, chunk, len, (off_t)done);

		if (r < 0)
			return r;
		done += len;
	}
	return 0;
}

/* Returns the new file, open; *ret_suspect says how the flush of its name failed, if it did: the name is there all the same. */
static int
create_file(const struct spool *s, uint64_t bytes, int *ret_suspect)
{
	struct redo_file_head head = { .magic = REDO_FILE_MAGIC, .version = REDO_VERSION };
	scoped(close_fd) int fd = -EBADF;
	int r = unlink_at(s->root_fd, FILE_REDO_NEW);

	if (r < 0)
		return r;
	if (bytes < REDO_BYTES_MIN)
		bytes = REDO_BYTES_MIN;
	if (bytes > INT64_MAX / 4)
		return -EFBIG;
	head.half_bytes = (bytes - REDO_BLOCK) / 2 / REDO_BLOCK * REDO_BLOCK;
	head.crc = file_head_crc(head);
	fd = openat(s->root_fd, FILE_REDO_NEW, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE_OWN_FILE);
	if (fd < 0)
		return -errno;
	r = -posix_fallocate(fd, 0, (off_t)(REDO_BLOCK + 2 * head.half_bytes));	/* in one piece, if the disk has one */
	if (r >= 0 || r == -EOPNOTSUPP || r == -EINVAL)
		r = write_zeros(fd, REDO_BLOCK + 2 * head.half_bytes);
	if (r >= 0)
		r = pwrite_all(fd, &head, sizeof head, 0);
	if (r >= 0 && (fsync(fd) < 0 || renameat(s->root_fd, FILE_REDO_NEW, s->root_fd, FILE_REDO) < 0))
		r = -errno;
	if (r < 0) {
		(void)unlinkat(s->root_fd, FILE_REDO_NEW, 0);
		return r;
	}
	*ret_suspect = fsync(s->root_fd) < 0 ? -errno : 0;
	return take_fd(fd);
}

int
redo_open_fd(int fd, struct redo **ret)
{
	scoped(free_redo) struct redo *r = calloc(1, sizeof *r);
	int n = 0;

	if (!r) {
		(void)close(fd);
		return -ENOMEM;
	}
	r->fd = fd;
	n = load_file_head(r);
	if (n >= 0)
		n = survey(r);
	if (n < 0)
		return n;
	n = r->newest < 0 || (!r->older_counts && r->next_seq == r->first_seq);	/* nothing to replay */
	atomic_init(&r->released[0], n != 0);
	atomic_init(&r->released[1], n != 0);
	*ret = take_ptr(r);
	return 0;
}

static int
open_file(const struct spool *s, int flags, struct redo **ret)
{
	int fd = openat(s->root_fd, FILE_REDO, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : redo_open_fd(fd, ret);
}

int
redo_open(const struct spool *s, uint64_t bytes, struct redo **ret)
{
	int n = open_file(s, O_RDWR, ret);

	if (n != -ENOENT)
		return n;
	n = redo_renew(s, bytes, ret);
	if (n < 0 || (*ret)->err == 0)
		return n;
	n = (*ret)->err;
	*ret = redo_free(*ret);
	return n;
}

int
redo_renew(const struct spool *s, uint64_t bytes, struct redo **ret)
{
	int suspect = 0, n = create_file(s, bytes, &suspect);

	if (n < 0)
		return n;
	n = redo_open_fd(n, ret);
	if (n >= 0)
		(*ret)->err = suspect;
	return n;
}

int
redo_open_read(const struct spool *s, struct redo **ret)
{
	int n = open_file(s, O_RDONLY, ret);

	if (n >= 0)
		(*ret)->err = -EBADF;
	return n;
}

struct redo *
redo_free(struct redo *r)
{
	if (!r)
		return NULL;
	close_fd(&r->fd);
	free(r);
	return NULL;
}

int64_t
redo_replay(struct redo *r, int (*f)(const struct redo_record *record, void *ctx), void *ctx)
{
	int64_t count = 0;

	assert(!r->begun);
	for (int turn = r->older_counts ? 0 : 1; turn < 2 && r->newest >= 0; turn++) {
		int half = turn == 0 ? r->newest ^ 1 : r->newest;
		uint64_t next = 0;
		int n = walk_half(r, half, &next, f, ctx);

		if (n < 0)
			return n;
		count += (int64_t)(next - r->found[half].head.first_seq);
	}
	return count;
}

int
redo_reset(struct redo *r)
{
	assert(!r->begun);
	redo_release(r, 0);
	redo_release(r, 1);
	return 0;
}

static int
fail(struct redo *r, int err)
{
	r->err = err;
	return err;
}

int
redo_flush(struct redo *r)
{
	if (r->err < 0)
		return r->err;
	return redo_sync(r->fd) < 0 ? fail(r, -errno) : 0;
}

/* -EAGAIN: the half is not free yet. */
static int
begin_turn(struct redo *r, int half)
{
	char block[REDO_BLOCK] = { 0 };
	struct redo_half_head head = { .magic = REDO_HALF_MAGIC, .epoch = r->epoch + 1, .first_seq = r->next_seq };
	char digits[2 * sizeof head.salt + 1] = { 0 };
	int n = 0;

	if (!atomic_load(&r->released[half]))
		return -EAGAIN;
	/* The other half as it is, with what an earlier process left in the page cache. */
	n = redo_flush(r);
	if (n < 0)
		return n;
	head.since_seq = atomic_load(&r->released[half ^ 1]) ? head.first_seq : r->first_seq;
	random_hex(digits, sizeof head.salt);
	head.salt = (uint32_t)strtoul(digits, NULL, 16);
	head.crc = half_head_crc(head);
	memcpy(block, &head, sizeof head);
	n = pwrite_all(r->fd, block, sizeof block, half_start(r, half));
	if (n < 0)
		return fail(r, n);
	n = redo_flush(r);
	if (n < 0)
		return n;
	atomic_store(&r->released[half], false);
	r->begun = true;
	r->half = half;
	r->pos = REDO_BLOCK;
	r->epoch = head.epoch;
	r->first_seq = head.first_seq;
	r->found[half] = (struct half){ .valid = true, .head = head };
	return 0;
}

/* Records that go out with one system call. */
struct batch {
	struct redo_record_head heads[BATCH];
	struct iovec iov[2 * BATCH + 1];
	size_t n;
	uint64_t len;
};

static int
write_vector(int fd, struct iovec *iov, int n, off_t offset)
{
	while (n > 0) {
		ssize_t done = pwritev(fd, iov, n, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		offset += done;
		while (n > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

/* last: the group ends here. */
static int
batch_write(struct redo *r, struct batch *b, bool last)
{
	int n_iov = (int)(2 * b->n), n = 0;
	uint64_t end = r->pos + b->len;

	if (b->n == 0 && (!last || r->pos % REDO_BLOCK == 0))
		return 0;
	if (last && end % REDO_BLOCK != 0) {
		size_t pad = (size_t)(redo_padded(end, REDO_BLOCK) - end);

		b->iov[n_iov++] = (struct iovec){ (void *)(uintptr_t)zeros, pad };
		end += pad;
	}
	n = write_vector(r->fd, b->iov, n_iov, half_start(r, r->half) + (off_t)r->pos);
	if (n < 0)
		return fail(r, n);
	r->pos = end;
	b->n = 0;
	b->len = 0;
	return 0;
}

static void
batch_add(struct redo *r, struct batch *b, const void *data, size_t len)
{
	struct redo_record_head *head = &b->heads[b->n];

	memcpy(head, data, sizeof *head);
	head->epoch = r->epoch;
	head->seq = r->next_seq++;
	head->crc = record_crc(r->found[r->half].head.salt, *head, data);
	b->iov[2 * b->n] = (struct iovec){ head, sizeof *head };
	b->iov[2 * b->n + 1] = (struct iovec){ (char *)(uintptr_t)data + sizeof *head, len - sizeof *head };
	b->n++;
	b->len += len;
}

int
redo_append(struct redo *r, const void *const *records, const size_t *lens, size_t n, size_t *ret_done, int *ret_half)
{
	struct batch b;
	size_t done = 0;
	int err = r->err;

	b.n = 0;
	b.len = 0;
	for (; err >= 0 && done < n; done++) {
		assert(lens[done] >= sizeof(struct redo_record_head) && lens[done] <= REDO_RECORD_MAX && lens[done] % REDO_ALIGN == 0);
		if (!r->begun || r->pos + b.len + lens[done] > r->half_bytes) {
			err = batch_write(r, &b, true);
			if (err >= 0)
				err = begin_turn(r, r->begun ? r->half ^ 1 : r->half);
			if (err < 0)
				break;
		}
		if (b.n == BATCH)
			err = batch_write(r, &b, false);
		if (err >= 0)
			batch_add(r, &b, records[done], lens[done]);
		else
			break;
	}
	if (err >= 0)
		err = batch_write(r, &b, true);
	/* After a failed write nobody may rely on any of them. */
	*ret_done = r->err < 0 ? 0 : done;
	*ret_half = r->half;
	return err < 0 ? err : 0;
}

int
redo_half(const struct redo *r)
{
	return r->half;
}

void
redo_release(struct redo *r, int half)
{
	assert(half == 0 || half == 1);
	atomic_store(&r->released[half], true);
}

uint64_t
redo_room(const struct redo *r)
{
	return r->half_bytes - (r->begun ? r->pos : REDO_BLOCK);
}
