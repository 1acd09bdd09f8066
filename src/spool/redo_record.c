/* One record as bytes and back. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/scoped.h"
#include "spool/layout.h"
#include "spool/redo.h"
#include "spool/redo_internal.h"

int
redo_encode(const struct redo_record *rec, void **ret_data, size_t *ret_len)
{
	scoped(free_ptr) char *data = NULL;
	struct redo_record_head head = { .magic = REDO_RECORD_MAGIC, .type = rec->type };
	uint64_t len = sizeof head;
	char *p = NULL;

	if (!id_valid(rec->id) || rec->n_blobs > INPUTS_MAX)
		return -EINVAL;
	if (rec->text_len > REDO_RECORD_MAX)
		return -E2BIG;
	len += redo_padded(rec->text_len, REDO_ALIGN);
	for (size_t i = 0; i < rec->n_blobs; i++) {
		len += sizeof(struct redo_blob_head);
		if (!rec->blobs[i].data)
			continue;
		if (rec->blobs[i].len > REDO_RECORD_MAX)
			return -E2BIG;
		len += redo_padded(rec->blobs[i].len, REDO_ALIGN);
	}
	if (len > REDO_RECORD_MAX)
		return -E2BIG;
	data = calloc(1, len);
	if (!data)
		return -ENOMEM;
	head.len = (uint32_t)len;
	head.text_len = (uint32_t)rec->text_len;
	head.n_blobs = (uint32_t)rec->n_blobs;
	memcpy(head.id, rec->id, ID_LEN);
	memcpy(data, &head, sizeof head);
	p = data + sizeof head;
	if (rec->text_len > 0)
		memcpy(p, rec->text, rec->text_len);
	p += redo_padded(rec->text_len, REDO_ALIGN);
	for (size_t i = 0; i < rec->n_blobs; i++) {
		const struct redo_blob_head blob = { rec->blobs[i].len, rec->blobs[i].data != NULL };

		memcpy(p, &blob, sizeof blob);
		p += sizeof blob;
		if (blob.present && blob.len > 0)
			memcpy(p, rec->blobs[i].data, blob.len);
		if (blob.present)
			p += redo_padded(blob.len, REDO_ALIGN);
	}
	*ret_data = take_ptr(data);
	*ret_len = len;
	return 0;
}

int
redo_decode(const void *data, size_t len, struct redo_record *ret, struct redo_blob *ret_blobs, size_t max_blobs)
{
	struct redo_record_head head;
	struct redo_record rec = { 0 };
	const char *p = data;
	size_t left = len;

	if (len < sizeof head || len > REDO_RECORD_MAX || len % REDO_ALIGN != 0)
		return -EBADMSG;
	memcpy(&head, p, sizeof head);
	p += sizeof head;
	left -= sizeof head;
	memcpy(rec.id, head.id, ID_LEN);
	/* left is a multiple of REDO_ALIGN, so what fits also fits padded. */
	if (head.magic != REDO_RECORD_MAGIC || head.len != len || !id_valid(rec.id) || head.text_len > left ||
	    head.n_blobs > max_blobs)
		return -EBADMSG;
	if (head.type < REDO_ACCEPT || head.type > REDO_FORGET)
		return -EPROTONOSUPPORT;
	rec.type = (enum redo_type)head.type;
	rec.text = p;
	rec.text_len = head.text_len;
	p += redo_padded(head.text_len, REDO_ALIGN);
	left -= redo_padded(head.text_len, REDO_ALIGN);
	for (size_t i = 0; i < head.n_blobs; i++) {
		struct redo_blob_head blob;

		if (left < sizeof blob)
			return -EBADMSG;
		memcpy(&blob, p, sizeof blob);
		p += sizeof blob;
		left -= sizeof blob;
		if (blob.present > 1 || (blob.present && blob.len > left))
			return -EBADMSG;
		ret_blobs[i] = (struct redo_blob){ blob.present ? p : NULL, blob.len };
		if (blob.present) {
			p += redo_padded(blob.len, REDO_ALIGN);
			left -= redo_padded(blob.len, REDO_ALIGN);
		}
	}
	if (left != 0)
		return -EBADMSG;
	rec.blobs = ret_blobs;
	rec.n_blobs = head.n_blobs;
	*ret = rec;
	return 0;
}
