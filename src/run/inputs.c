#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/scoped.h"
#include "run/inputs.h"
#include "run/publish.h"

int
work_make(const struct plan *plan, int job_fd)
{
	const char *name = NULL;
	scoped(close_fd) int parent_fd = work_parent(plan, job_fd, &name);
	int r = parent_fd < 0 ? parent_fd : remove_tree_at(parent_fd, name);

	if (r < 0)
		return r;
	return make_dir_at(parent_fd, name, 02750, plan->groups.read_gid);
}

static int
copy_one(int in_fd, int work_fd, const char *name, gid_t gid, uint64_t *total)
{
	scoped(close_fd) int from = -EBADF, to = -EBADF;
	int64_t n = 0;

	from = open_regular_at(in_fd, name, NULL);
	if (from < 0)
		return from;
	to = make_file_at(work_fd, name, 0640, gid);
	if (to < 0)
		return to;
	n = copy_bytes(from, to, -1);
	if (n < 0)
		return (int)n;
	*total += (uint64_t)n;
	return 0;
}

int
inputs_copy(const struct plan *plan, int job_fd, int work_fd, uint64_t *ret_bytes)
{
	scoped(close_fd) int in_fd = -EBADF;
	uint64_t total = 0;

	if (plan->inputs && plan->inputs[0]) {
		in_fd = open_dir_at(job_fd, "in");
		if (in_fd < 0)
			return in_fd;
	}
	for (char **name = plan->inputs; name && *name; name++) {
		int r = input_name_valid(*name) ? copy_one(in_fd, work_fd, *name, plan->groups.read_gid, &total) : -EINVAL;

		if (r < 0)
			return r;
	}
	*ret_bytes = total;
	return 0;
}

/* -EINVAL: it is not "NAME /absolute/path". */
static int
link_parse(const char *link, char ret_name[NAME_MAX + 1], const char **ret_target)
{
	const char *target = strchr(link, ' ');
	int n = target ? snprintf(ret_name, NAME_MAX + 1, "%.*s", (int)(target - link), link) : -1;

	if (n < 0 || n > NAME_MAX || !input_name_valid(ret_name) || target[1] != '/')
		return -EINVAL;
	*ret_target = target + 1;
	return 0;
}

int
links_make(const struct plan *plan, int work_fd)
{
	for (char **link = plan->links; link && *link; link++) {
		const char *target = NULL;
		char name[NAME_MAX + 1];
		int r = link_parse(*link, name, &target);

		if (r < 0)
			return r;
		if (symlinkat(target, work_fd, name) < 0)
			return -errno;
	}
	return 0;
}

void
links_remove(const struct plan *plan, int work_fd)
{
	for (char **link = plan->links; link && *link; link++) {
		const char *target = NULL;
		char name[NAME_MAX + 1];
		struct stat st;

		/* The walk finds what stays, and removes it or lists it. */
		if (link_parse(*link, name, &target) == 0 && fstatat(work_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISLNK(st.st_mode))
			(void)!unlinkat(work_fd, name, 0);
	}
}
