#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "basic/scoped.h"
#include "gate/api_native.h"
#include "gate/auth.h"
#include "gate/exchange.h"
#include "gate/problem.h"

void
caller_done(struct caller *c)
{
	free(c->tools);
	c->tools = NULL;
}

bool
caller_may(const struct caller *c, unsigned scopes)
{
	return (c->scopes & (scopes | SCOPE_ADMIN)) != 0;
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

static int
refuse_token(struct exchange *x)
{
	response_header(&x->res, "WWW-Authenticate", "Bearer realm=\"spoolgate\", error=\"invalid_token\"");
	native_problem(x, 401, PLACE_HEADER, "Authorization", "This token is not known here, or its time is over.");
	return 1;
}

static int
token_caller(struct exchange *x, const char *credentials, struct caller *ret)
{
	static const char scheme[] = "Bearer";
	scoped(token_done) struct token t = { .name = "" };
	struct tokens *tokens = NULL;
	int r;

	if (strncasecmp(credentials, scheme, sizeof scheme - 1) != 0 || credentials[sizeof scheme - 1] != ' ')
		return refuse_token(x);
	credentials += sizeof scheme - 1;
	r = gate_tokens(x->gate, &tokens);
	if (r == 0)
		r = tokens_find(tokens, credentials + strspn(credentials, " "), &t);
	if (r == -ENOENT)
		return refuse_token(x);
	if (r < 0)
		return r;
	(void)snprintf(ret->owner, sizeof ret->owner, "%s:token:%s", x->service->name, t.name);
	ret->scopes = t.scopes;
	ret->tools = take_ptr(t.tools);
	return 0;
}

int
auth_caller(struct exchange *x, struct caller *ret)
{
	const struct native_settings *s = x->state;
	const char *credentials = request_header(&x->req, "HTTP_AUTHORIZATION");
	char address[ADDRESS_NAME_SIZE];

	*ret = (struct caller){ .owner = "" };
	if (credentials)
		return token_caller(x, credentials, ret);
	address_name(x->req.remote_addr, address);
	(void)snprintf(ret->owner, sizeof ret->owner, "%s:ip:%s", x->service->name, address);
	ret->scopes = s->anonymous;
	ret->anonymous = true;
	return 0;
}

int
auth_require(struct exchange *x, unsigned scopes, struct caller *ret)
{
	int r = auth_caller(x, ret);

	if (r != 0 || caller_may(ret, scopes))
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
