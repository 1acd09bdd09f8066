/* A half of the journal with these bytes behind its head. What looks like a record gets the epoch, number and checksum that it
 * would need to be taken for one, so that the fuzzer reaches what lies behind the checksum. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/hash.h"
#include "basic/scoped.h"
#include "fuzz.h"
#include "spool/layout.h"
#include "spool/redo_internal.h"

enum { BYTES_MAX = 64 * 1024 };

static struct spool spool = { .root_fd = -EBADF };
static int redo_fd = -EBADF;

static void
make_journal(void)
{
	char path[] = "/tmp/fuzz-redo.XXXXXX";
	struct redo *redo = NULL;

	MUST(mkdtemp(path));
	spool.root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(redo_open(&spool, 0, &redo) == 0);
	(void)redo_free(redo);
	redo_fd = openat(spool.root_fd, "redo", O_RDWR | O_CLOEXEC);
	MUST(redo_fd >= 0);
	/* Nothing is left behind, however this process ends. */
	MUST(unlinkat(spool.root_fd, "redo", 0) == 0 && rmdir(path) == 0);
}

static int
touch_all(const struct redo_record *rec, void *ctx)
{
	uint64_t *sum = ctx;

	MUST(id_valid(rec->id));
	for (size_t i = 0; i < rec->text_len; i++)
		*sum += (unsigned char)rec->text[i];
	for (size_t b = 0; b < rec->n_blobs; b++) {
		for (size_t i = 0; rec->blobs[b].data && i < rec->blobs[b].len; i++)
			*sum += ((const unsigned char *)rec->blobs[b].data)[i];
	}
	return 0;
}

/* Returns how many records now look right. */
static size_t
make_valid(char *bytes, size_t size)
{
	size_t n = 0;

	for (size_t at = 0; at + sizeof(struct redo_record_head) <= size;) {
		struct redo_record_head head;

		memcpy(&head, bytes + at, sizeof head);
		if (head.magic != REDO_RECORD_MAGIC || head.len < sizeof head || head.len > size - at || head.len % REDO_ALIGN != 0)
			break;
		head.epoch = 1;
		head.seq = ++n;
		head.crc = 0;
		memcpy(bytes + at, &head, sizeof head);
		head.crc = crc32c(7, bytes + at, head.len);
		memcpy(bytes + at, &head, sizeof head);
		at += head.len;
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct redo_half_head half = { .magic = REDO_HALF_MAGIC, .epoch = 1, .first_seq = 1, .since_seq = 1, .salt = 7 };
	static char bytes[BYTES_MAX];
	struct redo_record rec;
	struct redo_blob blobs[INPUTS_MAX];
	struct redo *redo = NULL;
	uint64_t sum = 0;
	int64_t n = 0;
	size_t valid = 0;

	if (redo_fd < 0)
		make_journal();
	if (size > BYTES_MAX)
		size = BYTES_MAX;
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, data, size);
	if (redo_decode(bytes, size, &rec, blobs, INPUTS_MAX) == 0)
		(void)touch_all(&rec, &sum);
	valid = make_valid(bytes, size);
	half.crc = crc32c(0, &half, sizeof half);
	MUST(pwrite_all(redo_fd, &half, sizeof half, REDO_BLOCK) == 0);
	MUST(pwrite_all(redo_fd, bytes, sizeof bytes, (off_t)2 * REDO_BLOCK) == 0);
	MUST(redo_open_fd(dup(redo_fd), &redo) == 0);
	n = redo_replay(redo, touch_all, &sum);
	MUST(n < 0 ? n == -EBADMSG || n == -EPROTONOSUPPORT : (size_t)n >= valid);
	(void)redo_free(redo);
	return 0;
}
