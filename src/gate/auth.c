#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate/api_native.h"
#include "gate/auth.h"
#include "gate/exchange.h"
#include "gate/problem.h"

static const struct {
	const char *name;
	enum scope scope;
} scopes[] = {
	{ "submit", SCOPE_SUBMIT },
	{ "read", SCOPE_READ },
	{ "kill", SCOPE_KILL },
	{ "admin", SCOPE_ADMIN },
};

int
scopes_parse(const char *text, unsigned *ret)
{
	static const char between[] = ", \t\n";
	unsigned all = 0;

	for (const char *p = text + strspn(text, between); *p; p += strspn(p, between)) {
		size_t len = strcspn(p, between);
		unsigned found = 0;

		for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
			if (strlen(scopes[i].name) == len && strncmp(scopes[i].name, p, len) == 0)
				found = scopes[i].scope;
		if (!found)
			return -EINVAL;
		all |= found;
		p += len;
	}
	*ret = all;
	return 0;
}

void
caller_done(struct caller *c)
{
	free(c->tools);
	c->tools = NULL;
}

bool
caller_may(const struct caller *c, enum scope scope)
{
	return (c->scopes & (scope | SCOPE_ADMIN)) != 0;
}

bool
caller_may_use(const struct caller *c, const char *tool)
{
	size_t len = strlen(tool);

	if (!c->tools)
		return true;
	for (const char *p = c->tools; (p = strstr(p, tool)) != NULL; p++)
		if (p > c->tools && p[-1] == '\n' && p[len] == '\n')
			return true;
	return false;
}

int
auth_caller(struct exchange *x, struct caller *ret)
{
	const struct native_settings *s = x->state;
	char address[ADDRESS_NAME_SIZE];

	*ret = (struct caller){ .owner = "" };
	if (request_header(&x->req, "HTTP_AUTHORIZATION")) {
		response_header(&x->res, "WWW-Authenticate", "Bearer realm=\"spoolgate\", error=\"invalid_token\"");
		native_problem(x, 401, PLACE_HEADER, "Authorization", "This token is not known here.");
		return 1;
	}
	address_name(x->req.remote_addr, address);
	(void)snprintf(ret->owner, sizeof ret->owner, "%s:ip:%s", x->service->name, address);
	ret->scopes = s->anonymous;
	ret->anonymous = true;
	return 0;
}

int
auth_require(struct exchange *x, enum scope scope, struct caller *ret)
{
	int r = auth_caller(x, ret);

	if (r != 0 || caller_may(ret, scope))
		return r;
	if (ret->anonymous) {
		response_header(&x->res, "WWW-Authenticate", "Bearer realm=\"spoolgate\"");
		native_problem(x, 401, PLACE_NONE, NULL, "This needs a token: send it as `Authorization: Bearer TOKEN`.");
	} else {
		response_header(&x->res, "WWW-Authenticate", "Bearer realm=\"spoolgate\", error=\"insufficient_scope\"");
		native_problem(x, 403, PLACE_NONE, NULL, "This token may not do that.");
	}
	caller_done(ret);
	return 1;
}
