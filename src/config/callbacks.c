#include <config.h>	/* in angle brackets: config/config.h is another */

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "config/callbacks.h"

#define KEY_PREFIX "whsec_"
enum { FILE_MAX = 256 };

/* The bytes of "whsec_<base64>"; 0: it is none. */
static size_t
decode_key(char *text, size_t len, unsigned char ret[CALLBACK_KEY_MAX])
{
	unsigned char bytes[FILE_MAX];
	size_t padding = 0;
	int n;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ' || text[len - 1] == '\r'))
		text[--len] = '\0';
	if (strncmp(text, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
		return 0;
	text += strlen(KEY_PREFIX);
	len -= strlen(KEY_PREFIX);
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	if (len == 0 || len % 4 != 0 || len > FILE_MAX)
		return 0;
	n = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len);
	if (n < 0 || (size_t)n - padding < CALLBACK_KEY_MIN || (size_t)n - padding > CALLBACK_KEY_MAX)
		return 0;
	memcpy(ret, bytes, (size_t)n - padding);
	explicit_bzero(bytes, sizeof bytes);
	return (size_t)n - padding;
}

static void
load_key(const char *path, struct faults *f, struct callbacks *c)
{
	scoped(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char text[FILE_MAX + 1] = "";
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		faults_add(f, path, 0, "%s", strerror(errno));
		return;
	}
	if (!S_ISREG(st.st_mode) || (st.st_mode & 007)) {
		faults_add(f, path, 0, "it must be a file that nobody but its owner and its group may read");
		return;
	}
	n = read_full(fd, text, sizeof text - 1);
	if (n >= 0)
		c->key_len = decode_key(text, (size_t)n, c->key);
	explicit_bzero(text, sizeof text);
	if (c->key_len == 0)
		faults_add(f, path, 0, "it must have one line, " KEY_PREFIX " and the base64 of %d to %d bytes", CALLBACK_KEY_MIN,
		    CALLBACK_KEY_MAX);
}

int
callbacks_load(const struct config *config, struct faults *f, struct callbacks *ret)
{
	const char *path = config_string(config, "callbacks", "secret_file");
	const char *allow = config_string(config, "callbacks", "allow");
	struct callbacks c = { .key_len = 0 };
	size_t before = f->n;
	int r;

	if (path)
		load_key(path, f, &c);
	r = allow ? networks_parse(allow, &c.allowed, &c.n_allowed) : 0;
	if (r == -EINVAL)
		faults_add(f, NULL, 0, "[callbacks] allow: \"%s\" is no list of addresses and networks", allow);
	if (r == -ENOMEM || f->n > before) {
		callbacks_done(&c);
		return r == -ENOMEM ? r : -EINVAL;
	}
	*ret = c;
	return 0;
}

void
callbacks_done(struct callbacks *c)
{
	explicit_bzero(c->key, sizeof c->key);
	c->key_len = 0;
	free(c->allowed);
	c->allowed = NULL;
	c->n_allowed = 0;
}

bool
callbacks_permit(const struct callbacks *c, const struct in6_addr *address)
{
	for (size_t i = 0; i < c->n_allowed; i++)
		if (network_has(&c->allowed[i], address))
			return true;
	return address_is_public(address);
}
