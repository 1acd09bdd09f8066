#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "basic/clock.h"
#include "basic/fd.h"
#include "basic/json.h"
#include "basic/scoped.h"
#include "proto/message.h"

void
message_done(struct message *m)
{
	json_object_put(m->body);
	m->body = NULL;
	for (size_t i = 0; i < m->n_fds; i++)
		close_fd(&m->fds[i]);
	m->n_fds = 0;
}

static int
make_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_len)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof ret->sun_path)
		return -ENAMETOOLONG;
	memset(ret, 0, sizeof *ret);
	ret->sun_family = AF_UNIX;
	memcpy(ret->sun_path, path, len + 1);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return 0;
}

static int
new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int size = 2 * MESSAGE_MAX;

	if (fd < 0)
		return -errno;
	/* A packet must fit whole; the kernel's default leaves less than MESSAGE_MAX once its own overhead is counted. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return fd;
}

/* Binds, with mode and group exact before anybody can connect. Not listening yet. */
static int
bind_closed(int fd, const char *path, mode_t mode, gid_t gid)
{
	struct sockaddr_un address;
	socklen_t len = 0;
	mode_t mask;
	int r = make_address(path, &address, &len);

	if (r < 0)
		return r;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	mask = umask(0777);
	r = bind(fd, (const struct sockaddr *)&address, len) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r == 0 && ((gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) < 0) || chmod(path, mode) < 0)) {
		r = -errno;
		(void)unlink(path);
	}
	return r;
}

int
message_listen(const char *path, mode_t mode, gid_t gid)
{
	scoped(close_fd) int fd = -EBADF;
	scoped(close_fd) int probe = -EBADF;
	char first[sizeof ((struct sockaddr_un *)NULL)->sun_path + 1];
	struct stat st;
	int r;

	probe = message_connect(path, true);
	if (probe >= 0 || probe == -EAGAIN)
		return -EADDRINUSE;
	if (probe == -ENAMETOOLONG)
		return probe;
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = new_socket();
	if (fd < 0)
		return fd;
	/* Made beside its place and moved there: no moment in which somebody else could connect, and none in which those whom it is
	 * for are refused. Where there is no room for the one character more it is made in its place. */
	(void)snprintf(first, sizeof first, "%s~", path);
	if (strlen(first) >= sizeof first - 1)
		first[strlen(path)] = '\0';
	r = bind_closed(fd, first, mode, gid);
	if (r < 0)
		return r;
	if (listen(fd, SOMAXCONN) < 0 || (strcmp(first, path) != 0 && rename(first, path) < 0)) {
		r = -errno;
		(void)unlink(first);
		return r;
	}
	return take_fd(fd);
}

int
message_connect(const char *path, bool no_wait)
{
	static const struct timeval limit = { .tv_sec = MESSAGE_SEND_SEC };
	scoped(close_fd) int fd = -EBADF;
	struct sockaddr_un address;
	socklen_t len = 0;
	int r = make_address(path, &address, &len);

	if (r < 0)
		return r;
	fd = new_socket();
	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);	/* for connect(2) too */
	if (no_wait && (r = set_nonblock(fd, true)) < 0)
		return r;
	do
		r = connect(fd, (const struct sockaddr *)&address, len) < 0 ? -errno : 0;
	while (r == -EINTR);
	return r < 0 ? r : take_fd(fd);
}

int
message_send(int fd, json_object *body, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
	} control = { .bytes = { 0 } };
	scoped(free_ptr) char *text = NULL;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t len = 0;
	ssize_t sent;
	int r;

	if (n_fds > MESSAGE_FDS_MAX)
		return -EMSGSIZE;
	r = json_format(body, &text, &len);
	if (r < 0)
		return r;
	if (len > MESSAGE_MAX)
		return -EMSGSIZE;
	iov = (struct iovec){ .iov_base = text, .iov_len = len };
	if (n_fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	do
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return 0;
}

/* Takes the descriptors out of a received packet; too many of them is the caller's to refuse. */
static void
take_descriptors(struct msghdr *msg, struct message *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
			if (m->n_fds < MESSAGE_FDS_MAX)
				m->fds[m->n_fds++] = fd;
			else
				(void)close(fd);
		}
	}
}

static int
wait_readable(int fd, int timeout_msec)
{
	uint64_t wait = (uint64_t)timeout_msec;
	uint64_t end = timeout_msec < 0 ? USEC_INFINITY : clock_mono() + wait * USEC_PER_MSEC;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_mono();
		int left = -1, n;

		if (end != USEC_INFINITY)
			left = now >= end ? 0 : (int)((end - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
		n = poll(&p, 1, left);
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int
message_receive(int fd, struct message *ret, int timeout_msec)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
	} control;
	scoped(message_done) struct message m = MESSAGE_INIT;
	scoped(free_ptr) char *text = NULL;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes };
	size_t room;
	ssize_t n;
	int r;

	if (timeout_msec != 0) {
		r = wait_readable(fd, timeout_msec);
		if (r < 0)
			return r;
	}
	/* Room for what is there, not for the largest packet: most are a hundred bytes. */
	do
		n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	room = n < MESSAGE_MAX ? (size_t)n + 1 : MESSAGE_MAX;
	text = malloc(room);
	if (!text)
		return -ENOMEM;
	iov = (struct iovec){ .iov_base = text, .iov_len = room };
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_descriptors(&msg, &m);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EMSGSIZE;
	if (n == 0)
		return 0;
	r = json_parse(text, (size_t)n, &m.body);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (!json_object_is_type(m.body, json_type_object))
		return -EBADMSG;
	*ret = m;
	m = (struct message)MESSAGE_INIT;
	return 1;
}

int
message_peer(int fd, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	*ret_uid = peer.uid;
	*ret_gid = peer.gid;
	*ret_pid = peer.pid;
	return 0;
}
