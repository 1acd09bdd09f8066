/* A packet of any bytes with some descriptors: received it is an object, or refused; either way nothing stays open. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/json.h"
#include "basic/scoped.h"
#include "fuzz.h"
#include "proto/message.h"

static void
send_packet(int fd, const uint8_t *data, size_t size, size_t n_fds, int what)
{
	union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int) * 128)]; } control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)data, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds > 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof what, &what, sizeof what);
	}
	MUST(sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)size);
}

static int
lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	MUST(fd >= 0);
	(void)close(fd);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int pair[2] = { -EBADF, -EBADF };
	scoped(message_done) struct message m = MESSAGE_INIT;
	scoped(free_ptr) char *text = NULL;
	size_t n_fds;
	int free_before, r;

	if (size < 2 || size > 150000)	/* more does not fit into the socket */
		return 0;
	if (pair[0] < 0)
		MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	n_fds = data[0] % 70;
	free_before = lowest_fd();
	send_packet(pair[0], data + 1, size - 1, n_fds, pair[0]);
	r = message_receive(pair[1], &m, 1000);
	MUST(r == 1 || r == -EBADMSG || (r == -EMSGSIZE && n_fds > MESSAGE_FDS_MAX));
	if (r == 1) {
		MUST(json_object_is_type(m.body, json_type_object) && m.n_fds == n_fds);
		MUST(json_format(m.body, &text, NULL) == 0);
	} else {
		MUST(!m.body && m.n_fds == 0);
	}
	message_done(&m);
	MUST(lowest_fd() == free_before);
	return 0;
}
